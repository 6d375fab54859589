//! Peers and their sessions: registering, ending, restarting, listing.
use serde_json::{Value, json};

use crate::support::{Session, World};

pub(crate) fn peers(session: &Session, arguments: Value) -> Vec<Value> {
    session.call("list_peers", arguments)["peers"]
        .as_array()
        .unwrap()
        .clone()
}

pub(crate) fn names(session: &Session) -> Vec<String> {
    peers(session, json!({}))
        .iter()
        .map(|peer| peer["peer"].as_str().unwrap().to_owned())
        .collect()
}

/// Ends a session as `/exit` does.
pub(crate) fn end_session(session: Session) {
    session.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    session.kill();
}

// Requirement: Tasks 2
#[test]
fn hook_and_server_of_one_client_register_one_peer() {
    let world = World::new();
    let bo = world.session("bo");
    let server_first = world.bare_session("ada", &[]);
    server_first.register("idle");
    server_first.discover();
    server_first.call("mesh_status", json!({}));
    server_first.hook("SessionStart", json!({ "source": "startup" }));
    assert_eq!(server_first.name(), "ada");
    assert_eq!(names(&bo), ["ada"]);
}

#[test]
fn server_registers_once_its_client_is_in_the_registry() {
    let world = World::new();
    let bo = world.session("bo");
    let ada = world.bare_session("ada", &[]);
    ada.discover();
    assert_eq!(names(&bo), Vec::<String>::new());
    ada.register("idle");
    crate::support::wait_until("ada registers", || {
        let seen = peers(&bo, json!({}));
        seen.len() == 1 && seen[0]["peer"] == "ada" && seen[0]["askable"] == true
    });
    assert_eq!(peers(&bo, json!({}))[0]["activity"], "idle");
    ada.register("waiting");
    assert_eq!(peers(&bo, json!({}))[0]["activity"], "waiting");
}

#[test]
fn session_end_after_only_listing_tools_creates_no_files() {
    let world = World::new();
    let looker = world.bare_session("ada", &[("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")]);
    looker.discover();
    looker.request("tools/list", json!({}));
    looker.hook("SessionEnd", json!({ "reason": "other" }));
    drop(looker);
    assert!(!world.home().join(".claude-mesh").exists());
}

// Requirement: Peers 2, Beyond 9
#[test]
fn second_session_of_a_project_gets_its_own_peer_and_name() {
    let world = World::new();
    let (first, second) = (world.session("api"), world.session("api"));
    assert_eq!(
        (first.name().as_str(), second.name().as_str()),
        ("api", "api-2")
    );
    end_session(first);
    let third = world.session("api");
    assert_eq!(third.name(), "api", "the lowest free number");
    assert_eq!(second.name(), "api-2");
}

// Requirement: Peers 2
#[test]
fn resumed_session_gets_its_previous_peer() {
    let world = World::new();
    let (first, second) = (world.session("api"), world.session("api"));
    let old = second.client_session.lock().unwrap().clone();
    end_session(first);
    end_session(second);
    let resumed = world.bare_session("api", &[("CLAUDE_CODE_SESSION_ID", &old)]);
    resumed.hook(
        "SessionStart",
        json!({ "source": "resume", "session_id": old }),
    );
    resumed.discover();
    assert_eq!(resumed.name(), "api-2");
}

#[test]
fn cleared_session_keeps_its_peer_and_questions() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    bo.hook("SessionEnd", json!({ "reason": "clear" }));
    let fresh = "11111111-1111-4111-8111-111111111111".to_owned();
    bo.client_session.lock().unwrap().clone_from(&fresh);
    bo.hook("SessionStart", json!({ "source": "clear" }));
    assert_eq!(names(&ada), ["bo"]);
    assert_eq!(bo.name(), "bo");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

// Requirement: Ask 9
#[test]
fn late_end_of_an_old_conversation_keeps_the_new_registered() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.hook(
        "SessionEnd",
        json!({ "reason": "other", "session_id": "an-earlier-one" }),
    );
    assert_eq!(names(&ada), ["bo"]);
    bo.hook("SessionEnd", json!({ "reason": "other" }));
    assert_eq!(names(&ada), Vec::<String>::new());
}

// Requirement: Ask 11, Mesh 3
#[test]
fn killed_session_is_evicted_and_its_peer_is_free() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let before = peers(&ada, json!({}))[0]["epoch"].as_i64().unwrap();
    bo.kill();
    assert_eq!(names(&ada), Vec::<String>::new());
    let dead = peers(&ada, json!({ "include_stale": true }));
    assert_eq!(
        (&dead[0]["peer"], &dead[0]["liveness"]),
        (&json!("bo"), &json!("dead"))
    );
    let bo = world.session("bo");
    assert_eq!(bo.name(), "bo");
    assert_eq!(peers(&ada, json!({}))[0]["epoch"], before + 1);
}

#[test]
fn session_without_its_server_is_listed_but_not_askable() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let server = rustix::process::Pid::from_raw(bo.server_pid().unwrap()).unwrap();
    // The shell that represents the client would end with its server; it is stopped, so it keeps running.
    let client = rustix::process::Pid::from_raw(bo.pid().try_into().unwrap()).unwrap();
    rustix::process::kill_process(client, rustix::process::Signal::STOP).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
    crate::support::wait_until("the lock is released", || {
        peers(&ada, json!({}))[0]["askable"] == false
    });
    assert_eq!(peers(&ada, json!({}))[0]["activity"], "needs_restart");
    let asked = ada.call("ask_peer", json!({ "to": "bo", "question": "there?" }));
    assert_eq!(asked["status"], "offline");
    assert_eq!(bo.stop("t1", false), None, "the turn is not continued");
    let reported = bo.hook(
        "UserPromptSubmit",
        json!({ "prompt": "x", "prompt_id": "t1" }),
    );
    assert_eq!(reported, Value::Null, "only the first hook reports it");
    rustix::process::kill_process(client, rustix::process::Signal::CONT).unwrap();
}

#[test]
fn server_acquires_a_busy_session_lock_at_its_next_call() {
    let world = World::new();
    let bo = world.session("bo");
    let ada = world.bare_session("ada", &[]);
    ada.hook("SessionStart", json!({ "source": "startup" }));
    let of_ada = "SELECT s.id FROM session s JOIN peer p ON p.id = s.peer_id WHERE p.name = 'ada'";
    let id: String = world
        .rows()
        .query_one(of_ada, [], |row| row.get(0))
        .unwrap();
    let sessions = world.home().join(".claude-mesh/mesh.db.d/sessions");
    let path = sessions.join(format!("{id}.lock"));
    let activity = || {
        let seen = peers(&bo, json!({}));
        seen.into_iter().find(|peer| peer["peer"] == "ada").unwrap()["activity"].clone()
    };
    // A process that only checks whether the lock is held was stopped meanwhile.
    let looker = std::fs::File::create(path).unwrap();
    looker.lock_shared().unwrap();
    ada.discover();
    ada.call("mesh_status", json!({}));
    assert_eq!(activity(), "needs_restart");
    drop(looker);
    ada.call("mesh_status", json!({}));
    assert_ne!(activity(), "needs_restart");
}

#[test]
fn session_without_a_server_is_notified_once_and_not_blocked() {
    let world = World::new();
    let bo = world.session("bo");
    let old = world.bare_session("ada", &[]);
    let reported = |session: &Session| {
        session.hook(
            "UserPromptSubmit",
            json!({ "prompt": "x", "prompt_id": "t" }),
        )["systemMessage"]
            .is_string()
    };
    assert!(
        !reported(&old),
        "a new session may still be starting its server"
    );
    old.register_with("busy", json!({ "startedAt": 1_000 }));
    assert!(reported(&old), "a session opened long before has no server");
    assert!(!reported(&old), "the hook reports it once");
    assert_eq!(peers(&bo, json!({}))[0]["activity"], "needs_restart");
    assert_eq!(old.stop("t", false), None);
}

#[test]
fn first_session_sees_questions_for_offline_project_peers() {
    let world = World::new();
    let ada = world.session("ada");
    let (first, second) = (world.session("api"), world.session("api"));
    end_session(second);
    let asked = ada.call(
        "ask_peer",
        json!({ "to": "api-2", "question": "which port?" }),
    );
    assert_eq!(asked["status"], "offline");
    assert_eq!(asked["same_project"], json!(["api"]));
    let waiting = first.questions();
    assert_eq!(waiting[0]["addressed_to"], "api-2");
    assert!(first.prompt("t1").unwrap().contains("for=\"api-2\""));
    first.send_reply(waiting[0]["question_id"].as_str().unwrap(), "5433");
    let got = ada.call(
        "await_reply",
        json!({ "question_id": asked["question_id"] }),
    );
    assert_eq!(got["answer"], "5433");
}

#[test]
fn any_session_of_a_project_can_be_asked() {
    let world = World::new();
    let ada = world.session("ada");
    let (first, second) = (world.session("api"), world.session("api"));
    end_session(first);
    let ask = ada.start(
        "ask_peer",
        json!({ "to": "api/any", "question": "which port?" }),
    );
    second.send_reply(&second.next_question(), "5433");
    assert_eq!(ask.result()["from"], "api-2");
}

#[test]
fn headless_run_asks_without_a_mailbox_and_is_not_blocked() {
    let world = World::new();
    let bo = world.session("bo");
    let run = world.session_with("ada", &[("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")]);
    let seen = &peers(&bo, json!({}))[0];
    let name = format!("ada/p-{}", run.pid());
    assert_eq!(seen["peer"], name.as_str());
    assert_eq!(seen["askable"], false);
    let ask = run.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    let asked = bo.call("ask_peer", json!({ "to": name, "question": "you?" }));
    assert_eq!(asked["error"]["code"], "unknown_peer");
    let to_project = bo.call("ask_peer", json!({ "to": "ada", "question": "you?" }));
    assert_eq!(to_project["error"]["code"], "unknown_peer");
    assert_eq!(run.stop("t1", false), None);
}

#[test]
fn answering_headless_run_is_kept_twice_and_repeats_its_result() {
    let world = World::new();
    let ada = world.session("ada");
    let environment = [
        ("CLAUDE_CODE_ENTRYPOINT", "sdk-cli"),
        ("CLAUDE_MESH_ANSWER", "1"),
    ];
    let run = world.session_with("bo", &environment);
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let kept = run.stop("t1", false).unwrap();
    assert!(
        kept.contains("repeat your previous final message in full"),
        "{kept}"
    );
    assert!(run.stop("t1", true).is_some());
    assert_eq!(run.stop("t1", true), None);
}

// Requirement: Ask 11
#[test]
fn session_registers_its_role_summary_and_name() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let said = bo.call(
        "register",
        json!({ "role": "database", "summary": "moving to 17", "name": "store" }),
    );
    assert_eq!(said["you"]["peer"], "store");
    assert_eq!(said["mesh"]["peers_live"], 2);
    let seen = &peers(&ada, json!({}))[0];
    assert_eq!(
        (&seen["role"], &seen["summary"]),
        (&json!("database"), &json!("moving to 17"))
    );
    ada.call(
        "ask_peer",
        json!({ "to": "store", "question": "x?", "timeout_seconds": 1 }),
    );
    let refused = bo.call("register", json!({ "name": "other" }));
    assert_eq!(refused["error"]["code"], "conflict");
    world.write("srv/.claude-mesh.json", r#"{"name": "backend"}"#);
    let srv = world.session("srv");
    let named = srv.call("register", json!({ "name": "other" }));
    assert_eq!(
        named["error"]["code"], "conflict",
        "a file names the project: {named}"
    );
    assert_eq!(srv.name(), "backend");
}

// Requirement: Mesh 17
#[test]
fn session_registers_again_in_a_replaced_database() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.home().join(format!(".claude-mesh/mesh.db{suffix}")));
    }
    assert_eq!(bo.name(), "bo");
    assert_eq!(ada.name(), "ada");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn disabled_session_writes_and_prints_nothing() {
    let world = World::new();
    let off = world.bare_session("ada", &[("CLAUDE_MESH", "off")]);
    world.write("bo/.claude-mesh.json", r#"{"enabled": false}"#);
    let disabled = world.bare_session("bo", &[]);
    for session in [&off, &disabled] {
        assert_eq!(
            session.hook("SessionStart", json!({ "source": "startup" })),
            Value::Null
        );
        session.register("idle");
        session.discover();
        assert_eq!(
            session.request("tools/list", json!({}))["result"]["tools"],
            json!([])
        );
        let refused = session.call("ask_peer", json!({ "to": "x", "question": "y" }));
        assert_eq!(refused["error"]["code"], "unsupported");
        assert_eq!(session.prompt("t"), None);
    }
    assert!(!world.database().exists());
}

// Requirement: Mesh 3
#[test]
fn register_renews_the_session_and_death_raises_the_epoch() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = bo.call(
        "register",
        json!({ "role": "API", "branch": "fix", "prompt_ptr": "notes/bo.md", "ttl_seconds": 60 }),
    );
    let again = bo.call("register", json!({ "summary": "moving to 17" }));
    assert_eq!(again["you"]["epoch"], first["you"]["epoch"]);
    let seen = &peers(&ada, json!({}))[0];
    assert_eq!(
        [&seen["role"], &seen["summary"], &seen["git_branch"]],
        [&json!("API"), &json!("moving to 17"), &json!("fix")],
        "a field that is not given keeps its value"
    );
    bo.kill();
    let bo = world.session("bo");
    let later = bo.call("register", json!({}));
    assert_eq!(later["you"]["peer_id"], first["you"]["peer_id"]);
    assert_eq!(
        later["you"]["epoch"].as_i64().unwrap(),
        first["you"]["epoch"].as_i64().unwrap() + 1
    );
}

// Requirement: Mesh 17
#[test]
fn deleting_the_mesh_folder_resets_everything() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("state", json!({ "action": "set", "key": "k", "value": 1 }));
    ada.kill();
    std::fs::remove_dir_all(world.home().join(".claude-mesh")).unwrap();
    let ada = world.session("ada");
    let status = ada.call("mesh_status", json!({}));
    assert_eq!(status["events"], 1, "registering is the first event");
    assert_eq!(
        ada.call("state", json!({ "action": "get", "key": "k" }))["version"],
        0
    );
}
