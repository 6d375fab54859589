//! Sessions of other hosts at a hub, by the requests that their programs send: who they are, what they share, what they call.
use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::support::{Hub, OtherHost, OtherHostSession, World, hubs_use_a_server, print_to_stderr};

#[test]
fn sessions_of_two_hosts_ask_and_answer_each_other() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let (ada, bo) = (laptop.join("/code/web", 10), desk.join("/code/api", 10));
    std::thread::scope(|scope| {
        let question = json!({ "to": "api", "question": "which port?" });
        let asked = scope.spawn(|| ada.call("ask_peer", question));
        let id = bo.next_question();
        let replied = bo.call(
            "reply_to_peer",
            json!({ "question_id": id, "answer": "5433" }),
        );
        assert_eq!(replied["asker_waiting"], true, "{replied}");
        assert_eq!(asked.join().unwrap()["answer"], "5433");
    });
}

#[test]
fn far_and_local_sessions_of_one_mesh_ask_each_other() {
    if hubs_use_a_server() {
        return print_to_stderr("SKIPPED: a session without a hub is in a file");
    }
    let world = World::new();
    let local = world.session("local");
    let hub = Hub::start(&world);
    let laptop = OtherHost::new(&hub, "laptop");
    let far = laptop.join("/code/far", 10);
    let ask = local.start(
        "ask_peer",
        json!({ "to": "far", "question": "which port?" }),
    );
    far.call(
        "reply_to_peer",
        json!({ "question_id": far.next_question(), "answer": "5433" }),
    );
    assert_eq!(ask.result()["answer"], "5433");
    std::thread::scope(|scope| {
        let asked =
            scope.spawn(|| far.call("ask_peer", json!({ "to": "local", "question": "and you?" })));
        local.send_reply(&local.next_question(), "5434");
        assert_eq!(asked.join().unwrap()["answer"], "5434");
    });
}

#[test]
fn second_host_gets_a_name_of_its_own_and_keeps_it() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    assert_eq!(laptop.join("/code/backend", 10).name, "backend");
    assert_eq!(desk.join("/code/backend", 10).name, "backend.desk");
    assert_eq!(
        desk.join("/code/backend", 11).name,
        "backend.desk-2",
        "a second seat"
    );
    assert_eq!(desk.join("/home/backend", 12).name, "backend.desk.home");
    assert_eq!(
        laptop.join("/code/backend", 10).name,
        "backend",
        "the same process"
    );
}

#[test]
fn files_and_folders_of_two_hosts_are_different_ones() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let (ada, bo) = (laptop.join("/code/api", 10), desk.join("/code/api", 10));
    for session in [&ada, &bo] {
        let claimed = session.call("claim", json!({ "resource": "file:src/main.rs" }));
        assert_eq!(claimed["status"], "granted", "{claimed}");
    }
    let claims = ada.call("claims", json!({}));
    let mut resources: Vec<_> = claims["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|claim| claim["resource"].as_str().unwrap())
        .collect();
    resources.sort_unstable();
    assert_eq!(
        resources,
        [
            "file://desk/code/api/src/main.rs",
            "file://laptop/code/api/src/main.rs"
        ]
    );
    ada.call(
        "state",
        json!({ "action": "set", "key": "port", "value": 1 }),
    );
    let other = bo.call("state", json!({ "action": "get", "key": "port" }));
    assert_eq!(other["value"], json!(null), "{other}");
    let shared = json!({ "resource": "port:5433" });
    assert_eq!(ada.call("claim", shared.clone())["status"], "granted");
    assert_eq!(bo.call("claim", shared)["status"], "denied");
}

#[test]
fn clones_of_one_repository_share_state_tasks_and_memories() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let facts = |root: &str| json!({ "git_root": root, "git_common": format!("{root}/.git"), "git_remote": "github.com/team/mono" });
    let ada = laptop.join_with("/code/mono/api", 10, facts("/code/mono"));
    let bo = desk.join_with("/home/u/mono/api", 10, facts("/home/u/mono"));
    ada.call(
        "state",
        json!({ "action": "set", "key": "port", "value": 5433 }),
    );
    let entry = bo.call("state", json!({ "action": "get", "key": "port" }));
    assert_eq!(entry["value"], 5433, "{entry}");
    ada.call("create_task", json!({ "title": "fix the login" }));
    let tasks = bo.call("list_tasks", json!({}));
    assert_eq!(tasks["tasks"][0]["title"], "fix the login", "{tasks}");
    ada.call(
        "remember",
        json!({ "text": "the staging password is in the vault" }),
    );
    let found = bo.call("recall", json!({ "query": "staging" }));
    assert_eq!(found["memories"].as_array().unwrap().len(), 1, "{found}");
    let peers = bo.call("list_peers", json!({ "scope": "repo" }));
    assert_eq!(peers["peers"][0]["peer"], "api", "{peers}");
    let here = bo.call("list_peers", json!({ "scope": "machine" }));
    assert_eq!(here["peers"], json!([]), "{here}");
}

#[test]
fn claim_names_who_has_the_same_file_in_another_clone() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let facts = |root: &str, remote: &str| json!({ "git_root": root, "git_common": format!("{root}/.git"), "git_remote": remote });
    let mono = "github.com/team/mono";
    let ada = laptop.join_with("/code/mono/api", 10, facts("/code/mono", mono));
    let bo = desk.join_with("/home/u/mono/api", 10, facts("/home/u/mono", mono));
    let other = facts("/home/u/fork", "github.com/else/mono");
    let cy = desk.join_with("/home/u/fork/api", 11, other);
    let file = json!({ "resource": "file:src/main.rs", "note": "the login" });
    let claim = |session: &OtherHostSession<'_>| session.call("claim", file.clone());
    let first = claim(&ada);
    assert_eq!(first["status"], "granted", "{first}");
    assert!(first.get("other_clones").is_none(), "{first}");
    assert!(
        claim(&cy).get("other_clones").is_none(),
        "another repository"
    );
    let second = claim(&bo);
    assert_eq!(second["status"], "granted", "{second}");
    let found = second["other_clones"].as_array().expect("one is found");
    assert_eq!(found.len(), 1, "{second}");
    assert_eq!(found[0]["peer"], "api", "{second}");
    assert_eq!(
        found[0]["resource"],
        "file://laptop/code/mono/api/src/main.rs"
    );
    assert_eq!(found[0]["note"], "the login");
    ada.call("release", json!({ "resource": "file:src/main.rs" }));
    assert!(claim(&bo).get("other_clones").is_none(), "it was released");
}

#[test]
fn repeated_call_is_carried_out_once_and_gets_its_result() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = OtherHost::new(&hub, "laptop");
    let ada = laptop.join("/code/web", 10);
    let post =
        |body: &str, key: &str| ada.call_once("post", json!({ "to": "*", "body": body }), key);
    let first = post("deployed", "k1");
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(post("deployed", "k1"), first);
    let other = post("another text", "k1");
    assert_eq!(
        (other.0, &other.1["error"]["code"]),
        (409, &json!("conflict"))
    );
    assert_ne!(
        post("deployed", "k2").1["message_id"],
        first.1["message_id"]
    );
    let path = format!("/v1/remote/sessions/{}/tools/post", ada.id);
    let body = json!({ "arguments": { "to": "*", "body": "x" } });
    let (status, refused) = laptop.send(&path, Some(&body), &[]);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("invalid_argument"))
    );
    assert_eq!(hub.count_rows("message"), 2);
}

#[test]
fn call_is_recognized_when_the_next_session_repeats_it() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let ada = laptop.join("/code/web", 10);
    let deployed = || json!({ "to": "*", "body": "deployed" });
    let first = ada.call_once("post", deployed(), "k1");
    assert_eq!(first.0, 200, "{}", first.1);
    ada.leave();
    let (status, ended) = ada.call_once("post", deployed(), "k1");
    assert_eq!(
        (status, &ended["error"]["code"]),
        (409, &json!("session_ended"))
    );
    let next = laptop.join("/code/web", 10);
    assert_ne!(next.id, ada.id);
    assert_eq!(next.call_once("post", deployed(), "k1"), first);
    assert_eq!(hub.count_rows("message"), 1);
    let other = desk
        .join("/code/web", 10)
        .call_once("post", deployed(), "k1");
    assert_eq!(other.0, 200, "{}", other.1);
    assert_eq!(hub.count_rows("message"), 2, "keys of two hosts are two");
}

#[test]
fn results_of_calls_are_stored_before_the_hub_ends() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = OtherHost::new(&hub, "laptop");
    let (web, _api) = (laptop.join("/code/web", 10), laptop.join("/code/api", 11));
    let keys: Vec<String> = (0..16).map(|number| format!("k{number}")).collect();
    let post = |key: &str| json!({ "to": "api", "body": key });
    let first: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = keys
            .iter()
            .map(|key| scope.spawn(|| web.call_once("post", post(key), key)))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let key = laptop.key.clone();
    assert!(hub.terminate());
    let hub = Hub::start(&world);
    let laptop = OtherHost::with_key(&hub, key);
    let web = laptop.join("/code/web", 10);
    for (key, first) in keys.iter().zip(first) {
        assert_eq!(first.0, 200, "{}", first.1);
        assert_eq!(web.call_once("post", post(key), key), first);
    }
    assert_eq!(hub.count_rows("message"), 16);
}

#[test]
fn refused_call_is_not_recorded_and_may_be_repeated() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = OtherHost::new(&hub, "laptop");
    let ada = laptop.join("/code/web", 10);
    let ask = || {
        ada.call_once(
            "ask_peer",
            json!({ "to": "api", "question": "x", "timeout_seconds": 1 }),
            "k1",
        )
    };
    assert_eq!(ask().0, 404);
    let _api = laptop.join("/code/api", 11);
    let (status, asked) = ask();
    assert_eq!(status, 200, "{asked}");
}

#[test]
fn hub_killed_during_an_ask_keeps_question_session_and_claim() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let (web, api) = (laptop.join("/code/web", 10), desk.join("/code/api", 10));
    assert_eq!(
        web.call("claim", json!({ "resource": "port:1" }))["status"],
        "granted"
    );
    let ask = json!({ "to": "api", "question": "which port?", "timeout_seconds": 60 });
    let id = std::thread::scope(|scope| {
        let cut = scope.spawn(|| laptop.try_call(&web.id, "ask_peer", &ask, "k1"));
        let id = api.next_question();
        hub.kill_by_signal();
        assert!(cut.join().unwrap().is_none(), "the connection breaks");
        id
    });
    let (web_id, api_id) = (web.id.clone(), api.id.clone());
    let (laptop, desk) = (laptop.key.clone(), desk.key.clone());
    drop(hub);
    let hub = Hub::start(&world);
    let (laptop, desk) = (
        OtherHost::with_key(&hub, laptop),
        OtherHost::with_key(&hub, desk),
    );
    let (status, ended) = laptop.send(
        &format!("/v1/remote/sessions/{web_id}/tools/claims"),
        Some(&json!({})),
        &[],
    );
    assert_eq!(
        (status, &ended["error"]["code"]),
        (409, &json!("session_ended"))
    );
    let (web_again, api_again) = (laptop.join("/code/web", 10), desk.join("/code/api", 10));
    assert_eq!(
        (&web_again.id, &api_again.id),
        (&web_id, &api_id),
        "the same sessions"
    );
    std::thread::scope(|scope| {
        let joined = scope.spawn(|| web_again.call_once("ask_peer", ask.clone(), "k1"));
        let replied = api_again.call(
            "reply_to_peer",
            json!({ "question_id": id, "answer": "5433" }),
        );
        assert_eq!(replied["status"], "answered", "{replied}");
        let (status, answered) = joined.join().unwrap();
        assert_eq!(
            (status, &answered["answer"]),
            (200, &json!("5433")),
            "{answered}"
        );
    });
    assert_eq!(hub.count_rows("question"), 1, "it was asked once");
    let claims = web_again.call("claims", json!({ "resource": "port:1" }));
    assert_eq!(claims["claims"][0]["holders"][0]["peer"], "web", "{claims}");
}

#[test]
fn key_of_a_host_is_for_its_sessions_only() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let ada = laptop.join("/code/web", 10);
    let (status, about) = desk.send("/v1/remote", None, &[]);
    assert_eq!(
        (status, &about["host"], &about["revision"]),
        (200, &json!("desk"), &json!(1))
    );
    let code = |(status, body): (u16, Value)| {
        format!("{status} {}", body["error"]["code"].as_str().unwrap())
    };
    let foreign = format!("/v1/remote/sessions/{}/tools/claims", ada.id);
    assert_eq!(
        code(desk.send(&foreign, Some(&json!({})), &[])),
        "409 session_ended"
    );
    assert_eq!(code(hub.get("/v1/peers", &laptop.key)), "403 forbidden");
    let peer = hub.key("bo", KeyScope::Admin);
    assert_eq!(code(hub.get("/v1/remote", &peer)), "403 forbidden");
    for (revision, expected) in [
        ("0", "409 revision"),
        ("9", "409 revision"),
        ("x", "400 invalid_argument"),
    ] {
        let refused = laptop.send("/v1/remote", None, &[("claude-mesh-revision", revision)]);
        assert_eq!(code(refused), expected, "{revision}");
    }
    for project in [
        json!({}),
        json!({ "path": "work", "start": "/work", "name": "x" }),
    ] {
        let join = json!({ "boot": "b", "pid_namespace": "p", "pid": 1, "started": 1, "project": project });
        assert_eq!(
            code(laptop.send("/v1/remote/sessions", Some(&join), &[])),
            "400 invalid_argument"
        );
    }
}

#[test]
fn stream_of_a_revoked_key_ends_although_it_is_busy() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let (web, api) = (laptop.join("/code/web", 10), desk.join("/code/api", 10));
    let mut stream = web.open_stream();
    assert_eq!(stream.next().expect("the first snapshot").event, "snapshot");
    assert_eq!(hub.mesh().revoke_keys("laptop").unwrap().len(), 1);
    // Each message changes what is pending, so the stream is never quiet.
    api.call("post", json!({ "to": "web", "body": "news" }));
    while let Some(frame) = stream.next() {
        assert_ne!(frame.event, "snapshot", "{}", frame.data);
    }
}

#[test]
fn session_that_leaves_frees_its_claims_at_once() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = OtherHost::new(&hub, "laptop");
    let (ada, bo) = (laptop.join("/code/web", 10), laptop.join("/code/api", 11));
    let port = json!({ "resource": "port:1" });
    assert_eq!(ada.call("claim", port.clone())["status"], "granted");
    ada.leave();
    assert_eq!(bo.call("claim", port)["status"], "granted");
}
