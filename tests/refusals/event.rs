//! Calls of the `events` tool that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let secret = format!("AKIA{}", "ABCDEFGHIJKLMNOP");
    vec![
        ("events", json!({ "action": "look" }), "", "", ""),
        ("events", json!({ "action": "emit" }), "", "", ""),
        (
            "events",
            json!({ "action": "emit", "type": "task.done" }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.Ä" }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.x", "types": ["a"] }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.x", "data": "x".repeat(65_535) }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.x", "data": secret }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "read", "type": "project.x" }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "read", "timeout_seconds": 5 }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "wait", "timeout_seconds": 3601 }),
            "",
            "",
            "",
        ),
        (
            "events",
            json!({ "action": "subscribe", "limit": 5 }),
            "",
            "",
            "",
        ),
        ("events", json!({ "limit": 0 }), "", "", ""),
        ("events", json!({ "limit": 501 }), "", "", ""),
        ("events", json!({ "after": -1 }), "", "", ""),
        ("events", json!({ "after": "1" }), "", "", ""),
        ("events", json!({ "since": "yesterday" }), "", "", ""),
        ("events", json!({ "types": [""] }), "", "", ""),
        ("events", json!({ "types": [5] }), "", "", ""),
        ("events", json!({ "until": 5 }), "", "", ""),
    ]
}

#[test]
fn invalid_event_calls_are_refused_and_write_nothing() {
    let world = World::new();
    let ada = world.session("ada");
    let all_events = json!({ "action": "read", "after": 0, "limit": 500 });
    let before = ada.call("events", all_events.clone());
    assert_refusals(&ada, refusals());
    assert_eq!(ada.call("events", all_events), before);
}
