//! Sessions on other machines than their mesh: real servers and hooks in homes of their own, which reach it through a hub.
use serde_json::{Value, json};

use crate::support::{
    Hub, Session, World, far_host, hubs_use_a_server, print_to_stderr, wait_until,
};

/// Types prompts until the hook adds this text.
#[track_caller]
fn prompt_until(session: &Session, text: &str) {
    wait_until(text, || {
        let prompt = session.prompt("t1");
        prompt.is_some_and(|prompt| prompt.contains(text))
    });
}

#[test]
fn far_sessions_ask_and_the_hook_delivers_the_question() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
    let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    prompt_until(&bo, "which port?");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    assert!(
        !laptop.database().exists(),
        "no file of a mesh is made on a far host"
    );
}

#[test]
fn far_and_local_sessions_answer_each_other() {
    if hubs_use_a_server() {
        return print_to_stderr("SKIPPED: a session without a hub is in a file");
    }
    let world = World::new();
    let local = world.session("local");
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let far = laptop.session("far");
    let ask = local.start(
        "ask_peer",
        json!({ "to": "far", "question": "which port?" }),
    );
    far.send_reply(&far.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    let ask = far.start("ask_peer", json!({ "to": "local", "question": "and you?" }));
    local.send_reply(&local.next_question(), "5434");
    assert_eq!(ask.result()["answer"], "5434");
}

#[test]
fn stop_hook_of_a_far_session_continues_for_an_open_question() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
    let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let mut blocked = None;
    wait_until("the Stop hook continues the turn", || {
        blocked = bo.stop("t1", false);
        blocked.is_some()
    });
    assert!(blocked.unwrap().contains("which port?"));
    assert!(bo.stop("t1", true).is_some(), "a second time");
    assert!(bo.stop("t1", true).is_none(), "not a third time");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    wait_until("nothing is pending any more", || {
        bo.stop("t2", false).is_none()
    });
}

#[test]
fn far_sessions_share_mail_claims_state_and_memory() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
    let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
    ada.call("post", json!({ "to": "bo", "body": "the build is green" }));
    prompt_until(&bo, "the build is green");
    assert_eq!(bo.prompt("t2"), None, "it is mentioned once");
    let claimed = ada.call("claim", json!({ "resource": "port:5433" }));
    assert_eq!(claimed["status"], "granted", "{claimed}");
    let denied = bo.call("claim", json!({ "resource": "port:5433" }));
    assert_eq!(denied["status"], "denied", "{denied}");
    let queued = bo.start(
        "claim",
        json!({ "resource": "port:5433", "wait": "queue", "wait_seconds": 30 }),
    );
    wait_until("it is queued", || {
        ada.call("claims", json!({ "resource": "port:5433" }))["claims"][0]["queue"][0].is_object()
    });
    ada.call("release", json!({ "resource": "port:5433" }));
    assert_eq!(queued.result()["status"], "granted");
    ada.call(
        "state",
        json!({ "action": "set", "namespace": "shared", "key": "x", "value": 1 }),
    );
    let entry = bo.call(
        "state",
        json!({ "action": "get", "namespace": "shared", "key": "x" }),
    );
    assert_eq!(entry["value"], 1, "{entry}");
    ada.call(
        "remember",
        json!({ "text": "the vault has the password", "scope": "mesh" }),
    );
    let found = bo.call("recall", json!({ "query": "vault" }));
    assert_eq!(
        found["memories"].as_array().map(Vec::len),
        Some(1),
        "{found}"
    );
}

#[test]
fn hub_killed_during_a_far_ask_is_found_again() {
    let world = World::new();
    let hub = Hub::start_with(&world, &["--addr", "127.0.0.1:0"]);
    let address = hub.url().trim_start_matches("http://").to_owned();
    let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
    let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    hub.kill();
    let hub = Hub::start_with(&world, &["--addr", &address]);
    let mut replied = Value::Null;
    wait_until("the reply is stored", || {
        let reply = json!({ "question_id": question, "answer": "5433" });
        replied = bo.call("reply_to_peer", reply);
        replied["status"] == "answered"
    });
    assert_eq!(ask.result()["answer"], "5433");
    assert_eq!(hub.count_rows("question"), 1, "it was asked once");
}

#[test]
fn call_without_a_hub_says_that_nothing_was_stored() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let ada = laptop.session("ada");
    hub.kill();
    let refused = ada.call("post", json!({ "to": "*", "body": "x" }));
    assert_eq!(refused["error"]["code"], "storage", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("cannot be reached") || message.contains("broke"),
        "{message}"
    );
    assert_eq!(ada.prompt("t1"), None, "a hook is silent");
}

#[test]
fn wrong_key_is_reported_by_every_call() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = World::new();
    crate::support::join_home(&laptop.home(), hub.url(), "cmk_wrong");
    let ada = laptop.bare_session("ada", &[]);
    ada.discover();
    let refused = ada.call("list_peers", json!({}));
    assert_eq!(refused["error"]["code"], "unauthorized", "{refused}");
}
