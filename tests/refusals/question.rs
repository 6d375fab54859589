//! Questions and answers that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE, HINT_UNKNOWN_PEER};
use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let key = format!("use sk-ant-api03-{}", "aB3dE5gH".repeat(5));
    vec![
        (
            "ask_peer",
            json!({ "to": "bob", "question": "x" }),
            "unknown_peer",
            "no peer called \"bob\" in this mesh; nearest: bo; here now: bo",
            HINT_UNKNOWN_PEER,
        ),
        (
            "ask_peer",
            json!({ "to": "ada", "question": "x" }),
            "invalid_argument",
            "\"ada\" is yourself; name another peer",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "  " }),
            "invalid_argument",
            "\"question\" is empty",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "bo" }),
            "invalid_argument",
            "missing parameter `question`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "x", "timeout": 5 }),
            "invalid_argument",
            "\"timeout\": unknown parameter `timeout`, expected one of `to`, `question`, `context`, `timeout_seconds`, `wait_for`, `if_offline`, `prefer`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": 5 }),
            "invalid_argument",
            "\"question\": wrong type: the number `5`, expected a text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "x", "timeout_seconds": 0 }),
            "invalid_argument",
            "\"timeout_seconds\" must be from 1 to 3600, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": ["bo", "bo"], "question": "x" }),
            "invalid_argument",
            "\"bo\" is asked twice",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "two words", "question": "x" }),
            "invalid_argument",
            "\"to\" must be the name of a peer such as \"backend\" or \"backend/any\", got \"two words\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "y".repeat(65_537) }),
            "too_large",
            "\"question\" has 65537 bytes; the limit is 65536",
            HINT_TOO_LARGE,
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": key }),
            "secret",
            "\"question\" contains what looks like an Anthropic key; nothing was stored",
            HINT_SECRET,
        ),
        (
            "reply_to_peer",
            json!({ "question_id": "nonsense", "answer": "x" }),
            "invalid_argument",
            "\"question_id\" must be an id as ask_peer and poll_inbox give it, got \"nonsense\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "await_reply",
            json!({ "question_id": "01K00000000000000000000000" }),
            "not_found",
            "no question \"01K00000000000000000000000\" in this mesh",
            "Call poll_inbox for the questions to you and the answers to yours.",
        ),
    ]
}

#[test]
fn invalid_questions_are_refused_and_not_stored() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_refusals(&ada, refusals());
    assert_eq!(bo.questions().len(), 0);
    assert_eq!(ada.call("mesh_status", json!({}))["questions"]["open"], 0);
}
