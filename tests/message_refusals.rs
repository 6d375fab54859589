//! Messages that are refused, and limits of size and rate.

use serde_json::{Value, json};

use crate::message::{bodies, post_message, refused};
use crate::support::World;

/// What cannot be posted, and by what words that is told.
#[expect(clippy::too_many_lines, reason = "a list of like things")]
fn bad_messages() -> Vec<(Value, &'static str, &'static str)> {
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    vec![
        (
            json!({ "to": "bo" }),
            "invalid_argument",
            "missing parameter `body`",
        ),
        (
            json!({ "to": 7, "body": "x" }),
            "invalid_argument",
            "\"to\"",
        ),
        (
            json!({ "to": "bo", "body": ["x"] }),
            "invalid_argument",
            "\"body\"",
        ),
        (
            json!({ "to": "bo", "body": " \n" }),
            "invalid_argument",
            "\"body\" is empty",
        ),
        (
            json!({ "to": "bo", "body": "x".repeat(65_537) }),
            "too_large",
            "65537",
        ),
        (
            json!({ "to": "bo", "body": "x", "subject": "y".repeat(201) }),
            "invalid_argument",
            "200",
        ),
        (
            json!({ "to": "bo", "body": "x", "subject": "" }),
            "invalid_argument",
            "\"subject\" is empty",
        ),
        (
            json!({ "to": "bo", "body": "x", "type": "alarm" }),
            "invalid_argument",
            "alarm",
        ),
        (
            json!({ "to": "bo", "body": "{\"a\": }", "type": "json" }),
            "invalid_argument",
            "line 1 column 7",
        ),
        (
            json!({ "to": "bo", "body": "x", "ttl_seconds": 0 }),
            "invalid_argument",
            "\"ttl_seconds\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "ttl_seconds": -1 }),
            "invalid_argument",
            "\"ttl_seconds\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "idempotency_key": "k".repeat(129) }),
            "invalid_argument",
            "128",
        ),
        (
            json!({ "to": "bo", "body": "x", "in_reply_to": "soon" }),
            "invalid_argument",
            "\"in_reply_to\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "in_reply_to": "01K00000000000000000000000" }),
            "not_found",
            "no message",
        ),
        (json!({ "to": "bo", "body": token }), "secret", "GitHub"),
        (
            json!({ "to": "bo", "body": "x", "subject": token }),
            "secret",
            "\"subject\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "urgent": true }),
            "invalid_argument",
            "urgent",
        ),
        (
            json!({ "to": "", "body": "x" }),
            "invalid_argument",
            "\"to\"",
        ),
        (
            json!({ "to": "#", "body": "x" }),
            "invalid_argument",
            "topic",
        ),
        (
            json!({ "to": "#a b", "body": "x" }),
            "invalid_argument",
            "topic",
        ),
        (
            json!({ "to": "ada", "body": "x" }),
            "invalid_argument",
            "yourself",
        ),
        (
            json!({ "to": "bob", "body": "x" }),
            "unknown_peer",
            "nearest: bo",
        ),
    ]
}

#[test]
fn invalid_message_is_refused_by_name_and_not_stored() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    for (arguments, code, words) in bad_messages() {
        let shown = arguments.to_string();
        let shown = shown.get(..120).unwrap_or(&shown).to_owned();
        let (said, message) = refused(&ada, "post", arguments);
        assert_eq!(said, code, "{shown}: {message}");
        assert!(message.contains(words), "{shown}: {message}");
    }
    for (tool, arguments, code) in [
        (
            "mark_read",
            json!({ "up_to": "01K00000000000000000000000" }),
            "not_found",
        ),
        ("mark_read", json!({ "up_to": "last" }), "invalid_argument"),
        ("mark_read", json!({}), "invalid_argument"),
        ("list_messages", json!({ "limit": 0 }), "invalid_argument"),
        ("list_messages", json!({ "limit": 101 }), "invalid_argument"),
        (
            "list_messages",
            json!({ "filter": "new" }),
            "invalid_argument",
        ),
        (
            "list_messages",
            json!({ "topics": ["*"] }),
            "invalid_argument",
        ),
        (
            "list_messages",
            json!({ "topics": "ops" }),
            "invalid_argument",
        ),
        ("subscribe", json!({ "topics": ["*"] }), "invalid_argument"),
        ("subscribe", json!({ "topics": [""] }), "invalid_argument"),
        ("subscribe", json!({ "topics": [] }), "invalid_argument"),
        ("subscribe", json!({}), "invalid_argument"),
    ] {
        assert_eq!(
            refused(&bo, tool, arguments.clone()).0,
            code,
            "{tool} {arguments}"
        );
    }
    assert_eq!(bodies(&bo, json!({})), Vec::<String>::new());
}

#[test]
fn largest_body_arrives_whole_and_a_long_list_is_limited() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let large = "ä".repeat(65_536 / 2);
    for _ in 0..7 {
        post_message(&ada, "bo", &large);
    }
    let first = bo.call("list_messages", json!({}));
    assert_eq!(first["truncated"], true);
    assert!(first.to_string().encode_utf16().count() <= 200_000);
    let page = first["messages"].as_array().unwrap();
    assert_eq!(page[0]["body"], large.as_str());
    let last = &page.last().unwrap()["message_id"];
    assert!(
        first["hint"]
            .as_str()
            .unwrap()
            .contains(last.as_str().unwrap())
    );
    let rest = bo.call("list_messages", json!({ "after": last }));
    assert_eq!(page.len() + rest["messages"].as_array().unwrap().len(), 7);
}

#[test]
fn sixty_broadcasts_a_minute_pass_and_more_are_rate_limited() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    for number in 0..60 {
        post_message(&ada, "*", &format!("{number}"));
    }
    let (code, message) = refused(&ada, "post", json!({ "to": "*", "body": "once more" }));
    assert_eq!(code, "rate_limited");
    assert!(
        message.contains("again in ") && message.ends_with(" s"),
        "{message}"
    );
    post_message(&ada, "bo", "to one it is free");
}
