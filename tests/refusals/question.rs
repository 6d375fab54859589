//! Questions and answers that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let key = format!("use sk-ant-api03-{}", "aB3dE5gH".repeat(5));
    vec![
        (
            "ask_peer",
            json!({ "to": "bob", "question": "x" }),
            "",
            "",
            "",
        ),
        (
            "ask_peer",
            json!({ "to": "ada", "question": "x" }),
            "",
            "",
            "",
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "  " }),
            "",
            "",
            "",
        ),
        ("ask_peer", json!({ "to": "bo" }), "", "", ""),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "x", "timeout": 5 }),
            "",
            "",
            "",
        ),
        ("ask_peer", json!({ "to": "bo", "question": 5 }), "", "", ""),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "x", "timeout_seconds": 0 }),
            "",
            "",
            "",
        ),
        (
            "ask_peer",
            json!({ "to": ["bo", "bo"], "question": "x" }),
            "",
            "",
            "",
        ),
        (
            "ask_peer",
            json!({ "to": "two words", "question": "x" }),
            "",
            "",
            "",
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": "y".repeat(65_537) }),
            "",
            "",
            "",
        ),
        (
            "ask_peer",
            json!({ "to": "bo", "question": key }),
            "",
            "",
            "",
        ),
        (
            "reply_to_peer",
            json!({ "question_id": "nonsense", "answer": "x" }),
            "",
            "",
            "",
        ),
        (
            "await_reply",
            json!({ "question_id": "01K00000000000000000000000" }),
            "",
            "",
            "",
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
