//! Messages, listings and subscriptions that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    vec![
        ("post", json!({ "to": "bo" }), "", "", ""),
        ("post", json!({ "to": 7, "body": "x" }), "", "", ""),
        ("post", json!({ "to": "bo", "body": ["x"] }), "", "", ""),
        ("post", json!({ "to": "bo", "body": " \n" }), "", "", ""),
        (
            "post",
            json!({ "to": "bo", "body": "x".repeat(65_537) }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "subject": "y".repeat(201) }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "subject": "" }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "type": "alarm" }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "{\"a\": }", "type": "json" }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "ttl_seconds": 0 }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "ttl_seconds": -1 }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "idempotency_key": "k".repeat(129) }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "in_reply_to": "soon" }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "in_reply_to": "01K00000000000000000000000" }),
            "",
            "",
            "",
        ),
        ("post", json!({ "to": "bo", "body": token }), "", "", ""),
        (
            "post",
            json!({ "to": "bo", "body": "x", "subject": token }),
            "",
            "",
            "",
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "urgent": true }),
            "",
            "",
            "",
        ),
        ("post", json!({ "to": "", "body": "x" }), "", "", ""),
        ("post", json!({ "to": "#", "body": "x" }), "", "", ""),
        ("post", json!({ "to": "#a b", "body": "x" }), "", "", ""),
        ("post", json!({ "to": "ada", "body": "x" }), "", "", ""),
        ("post", json!({ "to": "bob", "body": "x" }), "", "", ""),
        (
            "mark_read",
            json!({ "up_to": "01K00000000000000000000000" }),
            "",
            "",
            "",
        ),
        ("mark_read", json!({ "up_to": "last" }), "", "", ""),
        ("mark_read", json!({}), "", "", ""),
        ("list_messages", json!({ "limit": 0 }), "", "", ""),
        ("list_messages", json!({ "limit": 101 }), "", "", ""),
        ("list_messages", json!({ "filter": "new" }), "", "", ""),
        ("list_messages", json!({ "topics": ["*"] }), "", "", ""),
        ("list_messages", json!({ "topics": "ops" }), "", "", ""),
        ("subscribe", json!({ "topics": ["*"] }), "", "", ""),
        ("subscribe", json!({ "topics": [""] }), "", "", ""),
        ("subscribe", json!({ "topics": [] }), "", "", ""),
        ("subscribe", json!({}), "", "", ""),
    ]
}

#[test]
fn invalid_message_is_refused_by_name_and_not_stored() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_refusals(&ada, refusals());
    let listed = bo.call("list_messages", json!({}));
    assert_eq!(listed["messages"], json!([]));
}
