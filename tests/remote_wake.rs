//! Wakes of sessions far from their mesh: the hub decides, and the program beside the client posts the line and notifies.
use serde_json::json;

use crate::support::{
    Hub, InboxSession, Network, Relay, Session, World, far_host, far_host_at, wait_until,
};

#[test]
fn idle_far_session_is_woken_by_a_line_and_answers() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let ada = world.session("ada");
    let bo = InboxSession::open(&laptop, "bo", "idle");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let line = bo.next_wake_line();
    let output = bo.read_wake_line(&line, "t1");
    let text = output["hookSpecificOutput"]["additionalContext"].as_str();
    assert!(text.unwrap().contains("which port?"), "{output}");
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

/// Returns how the wake of the only question is reported to its asker.
fn wake_of(ada: &Session, question: &str) -> serde_json::Value {
    let read = json!({ "question_id": question, "timeout_seconds": 1 });
    ada.call("await_reply", read)["delivery"].clone()
}

#[test]
fn inbox_that_appears_later_is_used_from_then_on() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let ada = world.session("ada");
    let bo = laptop.bare_session("bo", &[]);
    bo.register("idle");
    bo.discover();
    bo.call("mesh_status", json!({}));
    let asked = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 });
    let first = ada.call("ask_peer", asked);
    let question = first["question_id"].as_str().unwrap();
    let without = wake_of(&ada, question);
    assert!(without.to_string().contains("no inbox socket"), "{without}");
    let path = laptop.home().join("late.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    bo.register_with("idle", json!({ "messagingSocketPath": path }));
    let reports = || {
        let log = hub.log();
        log.matches("POST /v1/remote/sessions/{session}/verbs")
            .count()
    };
    let before = reports();
    ada.call("post", json!({ "to": "bo", "body": "look" }));
    wait_until("the inbox is reported", || reports() > before);
    let asked = json!({ "to": "bo", "question": "and which host?", "timeout_seconds": 1 });
    ada.call("ask_peer", asked);
    let accepted = std::thread::spawn(move || listener.accept().is_ok());
    wait_until("a line is posted", || accepted.is_finished());
    assert!(accepted.join().unwrap());
}

#[test]
fn person_of_a_far_session_is_notified_once_also_over_breaks() {
    let (world, relay) = (World::new(), Relay::new());
    let hub = Hub::start_with(&world, &["--public-url", &relay.url()]);
    relay.lead_to(hub.url());
    let mut laptop = far_host_at(&hub, &relay.url(), "laptop");
    let log = laptop.home().join("notified");
    let content = format!(
        "#!/bin/sh\nprintf '%s|%s\\n' \"$CLAUDE_MESH_PEER\" \"$CLAUDE_MESH_REASON\" >> {}\n",
        log.display()
    );
    let script = laptop.executable("notify", content.as_bytes());
    laptop.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    let ada = world.session("ada");
    let bo = InboxSession::open(&laptop, "bo", "waiting");
    let _ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_until("the person is notified", || lines().lines().count() == 1);
    assert!(lines().starts_with("bo|"), "{}", lines());
    relay.set(Network::Cut);
    relay.set(Network::Up);
    let opened = || {
        hub.log()
            .matches("POST /v1/remote/sessions/{session}/verbs")
            .count()
    };
    let before = opened();
    bo.session.register("busy");
    bo.session.prompt("t1");
    wait_until("the hub hears of the session", || opened() > before);
    assert_eq!(lines().lines().count(), 1, "{}", lines());
}
