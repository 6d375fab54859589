//! Calls of the `events` tool that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE};
use crate::support::{Refusal, World, assert_refusals};

#[expect(clippy::too_many_lines, reason = "it is a list")]
fn refusals() -> Vec<Refusal> {
    let secret = format!("AKIA{}", "ABCDEFGHIJKLMNOP");
    vec![
        (
            "events",
            json!({ "action": "look" }),
            "invalid_argument",
            "\"action\": unknown value `look`, expected one of `read`, `wait`, `subscribe`, `unsubscribe`, `emit`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "emit" }),
            "invalid_argument",
            "missing parameter `type` of action \"emit\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "emit", "type": "task.done" }),
            "invalid_argument",
            "\"type\" must be project.<name>, in a-z 0-9 _ - and dots, at most 100 bytes, got \"task.done\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.Ä" }),
            "invalid_argument",
            "\"type\" must be project.<name>, in a-z 0-9 _ - and dots, at most 100 bytes, got \"project.Ä\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.x", "types": ["a"] }),
            "invalid_argument",
            "\"types\" does not belong to action \"emit\", which takes type, data",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.x", "data": "x".repeat(65_535) }),
            "too_large",
            "\"data\" has 65537 bytes; the limit is 65536",
            HINT_TOO_LARGE,
        ),
        (
            "events",
            json!({ "action": "emit", "type": "project.x", "data": secret }),
            "secret",
            "\"data\" contains what looks like an AWS access key; nothing was stored",
            HINT_SECRET,
        ),
        (
            "events",
            json!({ "action": "read", "type": "project.x" }),
            "invalid_argument",
            "\"type\" does not belong to action \"read\", which takes types, after, since, limit",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "read", "timeout_seconds": 5 }),
            "invalid_argument",
            "\"timeout_seconds\" does not belong to action \"read\", which takes types, after, since, limit",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "wait", "timeout_seconds": 3601 }),
            "invalid_argument",
            "\"timeout_seconds\" must be from 1 to 3600, got 3601",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "action": "subscribe", "limit": 5 }),
            "invalid_argument",
            "\"limit\" does not belong to action \"subscribe\", which takes types, after",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "limit": 0 }),
            "invalid_argument",
            "\"limit\" must be from 1 to 500, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "limit": 501 }),
            "invalid_argument",
            "\"limit\" must be from 1 to 500, got 501",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "after": -1 }),
            "invalid_argument",
            "\"after\": wrong value: the number `-1`, expected 0 or more",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "after": "1" }),
            "invalid_argument",
            "\"after\": wrong type: the text \"1\", expected a whole number",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "since": "yesterday" }),
            "invalid_argument",
            "\"since\" must be an RFC 3339 time such as 2026-11-20T15:07:01.208Z, got \"yesterday\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "types": [""] }),
            "invalid_argument",
            "\"types\" are names such as question.asked or claim.*, of 1 to 100 bytes, got \"\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "types": [5] }),
            "invalid_argument",
            "\"types[0]\": wrong type: the number `5`, expected a text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "events",
            json!({ "until": 5 }),
            "invalid_argument",
            "\"until\": unknown parameter `until`, expected one of `action`, `types`, `after`, `since`, `limit`, `timeout_seconds`, `type`, `data`",
            HINT_INVALID_ARGUMENT,
        ),
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
