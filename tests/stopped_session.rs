//! A session that is stopped (SIGSTOP, a debugger, a machine under load) beyond its lease, and goes on later.
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Session, World};

/// Sends a signal to the server of a session and to its client.
fn signal(session: &Session, signal: Signal) {
    let client = i32::try_from(session.pid()).unwrap();
    for pid in [session.server_pid().unwrap(), client] {
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

fn claim(session: &Session, more: Value) -> Value {
    let arguments = json!({ "resource": "deploy", "lease_seconds": 120 });
    session.call("claim", crate::support::merged(arguments, more))
}

#[test]
fn late_writes_of_a_stopped_holder_are_refused() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    let held = claim(&bo, json!({ "lease_seconds": 1 }));
    assert_eq!(
        (&held["status"], &held["fence"]),
        (&json!("granted"), &json!(1))
    );
    let set = |value: &str, version: i64| json!({ "action": "set", "key": "leader", "value": value, "expected_version": version, "namespace": "shared" });
    assert_eq!(bo.call("state", set("bo", 0))["version"], 1);
    signal(&bo, Signal::STOP);
    let granted = claim(&ada, json!({ "wait": "queue", "wait_seconds": 60 }));
    assert_eq!(
        (&granted["status"], &granted["fence"]),
        (&json!("granted"), &json!(2))
    );
    assert_eq!(ada.call("state", set("ada", 1))["version"], 2);
    // These are the first that it reads when it goes on.
    let write = bo.start("state", set("bo again", 1));
    let by_name = bo.start("release", json!({ "resource": "deploy" }));
    let by_id = bo.start("release", json!({ "claim_id": held["claim_id"] }));
    let renew = bo.start("claim", json!({ "resource": "deploy" }));
    signal(&bo, Signal::CONT);
    let refused = write.result();
    assert_eq!(refused["error"]["code"], "conflict", "{refused}");
    for release in [by_name, by_id] {
        let released = release.result();
        assert_eq!(released["released"], false, "{released}");
        assert_eq!(released["was"], "gone", "{released}");
    }
    let denied = renew.result();
    assert_eq!(denied["status"], "denied", "{denied}");
    assert_eq!(denied["holders"][0]["peer"], "ada", "{denied}");
    let seen = claim(&cy, json!({}));
    assert_eq!(seen["holders"][0]["peer"], "ada", "{seen}");
    let renewed = claim(&ada, json!({}));
    assert_eq!(
        (&renewed["renewed"], &renewed["fence"]),
        (&json!(true), &json!(2))
    );
    let leader = bo.call(
        "state",
        json!({ "action": "get", "key": "leader", "namespace": "shared" }),
    );
    assert_eq!(leader["value"], "ada", "{leader}");
}

#[test]
fn stopped_waiter_gets_its_turn_and_its_answer_when_it_goes_on() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    claim(&ada, json!({}));
    let waiting = bo.start(
        "claim",
        json!({ "resource": "deploy", "wait": "queue", "wait_seconds": 60, "lease_seconds": 120 }),
    );
    waiting.wait_for_progress("held by ada");
    signal(&bo, Signal::STOP);
    ada.call("release", json!({ "resource": "deploy" }));
    let denied = claim(&ada, json!({}));
    assert_eq!(denied["holders"][0]["peer"], "bo", "{denied}");
    signal(&bo, Signal::CONT);
    let granted = waiting.result();
    assert_eq!(
        (&granted["status"], &granted["fence"]),
        (&json!("granted"), &json!(2))
    );
}
