//! Messages, listings and subscriptions that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE, HINT_UNKNOWN_PEER};
use crate::support::{Refusal, World, assert_refusals};

#[expect(clippy::too_many_lines, reason = "it is a list")]
fn refusals() -> Vec<Refusal> {
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    vec![
        (
            "post",
            json!({ "to": "bo" }),
            "invalid_argument",
            "missing parameter `body`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": 7, "body": "x" }),
            "invalid_argument",
            "\"to\": wrong type: the number `7`, expected a text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": ["x"] }),
            "invalid_argument",
            "\"body\": wrong type: a list, expected a text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": " \n" }),
            "invalid_argument",
            "\"body\" is empty",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x".repeat(65_537) }),
            "too_large",
            "\"body\" has 65537 bytes; the limit is 65536",
            HINT_TOO_LARGE,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "subject": "y".repeat(201) }),
            "invalid_argument",
            "\"subject\" may have 200 characters at most, got 201",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "subject": "" }),
            "invalid_argument",
            "\"subject\" is empty",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "type": "alarm" }),
            "invalid_argument",
            "\"type\": unknown value `alarm`, expected one of `text`, `json`, `command`, `alert`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "{\"a\": }", "type": "json" }),
            "invalid_argument",
            "\"body\" of type json does not parse: expected value at line 1 column 7",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "ttl_seconds": 0 }),
            "invalid_argument",
            "\"ttl_seconds\" must be from 1 to 31536000, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "ttl_seconds": -1 }),
            "invalid_argument",
            "\"ttl_seconds\": wrong value: the number `-1`, expected 0 or more",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "idempotency_key": "k".repeat(129) }),
            "invalid_argument",
            "\"idempotency_key\" may have 128 characters at most, got 129",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "in_reply_to": "soon" }),
            "invalid_argument",
            "\"in_reply_to\" must be an id as post and list_messages give it, got \"soon\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "in_reply_to": "01K00000000000000000000000" }),
            "not_found",
            "no message \"01K00000000000000000000000\" in this mesh",
            "Call list_messages {\"filter\": \"all\"} for all messages; expired ones are removed.",
        ),
        (
            "post",
            json!({ "to": "bo", "body": token }),
            "secret",
            "\"body\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "subject": token }),
            "secret",
            "\"subject\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
        (
            "post",
            json!({ "to": "bo", "body": "x", "urgent": true }),
            "invalid_argument",
            "\"urgent\": unknown parameter `urgent`, expected one of `to`, `body`, `subject`, `type`, `ttl_seconds`, `in_reply_to`, `idempotency_key`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "", "body": "x" }),
            "invalid_argument",
            "\"to\" must be the name of a peer such as \"backend\" or \"backend/any\", got \"\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "#", "body": "x" }),
            "invalid_argument",
            "a topic has 1 to 64 characters of a-z, 0-9, \".\", \"_\" and \"-\", got \"#\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "#a b", "body": "x" }),
            "invalid_argument",
            "a topic has 1 to 64 characters of a-z, 0-9, \".\", \"_\" and \"-\", got \"#a b\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "ada", "body": "x" }),
            "invalid_argument",
            "\"ada\" is yourself; name another peer",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "post",
            json!({ "to": "bob", "body": "x" }),
            "unknown_peer",
            "no peer called \"bob\" in this mesh; nearest: bo; here now: bo",
            HINT_UNKNOWN_PEER,
        ),
        (
            "mark_read",
            json!({ "up_to": "01K00000000000000000000000" }),
            "not_found",
            "no message \"01K00000000000000000000000\" in this mesh",
            "Call list_messages {\"filter\": \"all\"} for all messages; expired ones are removed.",
        ),
        (
            "mark_read",
            json!({ "up_to": "last" }),
            "invalid_argument",
            "\"up_to\" must be an id as list_messages give it, got \"last\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "mark_read",
            json!({}),
            "invalid_argument",
            "missing parameter `up_to`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "list_messages",
            json!({ "limit": 0 }),
            "invalid_argument",
            "\"limit\" must be from 1 to 100, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "list_messages",
            json!({ "limit": 101 }),
            "invalid_argument",
            "\"limit\" must be from 1 to 100, got 101",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "list_messages",
            json!({ "filter": "new" }),
            "invalid_argument",
            "\"filter\": unknown value `new`, expected `unread` or `all`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "list_messages",
            json!({ "topics": ["*"] }),
            "invalid_argument",
            "a topic has 1 to 64 characters of a-z, 0-9, \".\", \"_\" and \"-\", got \"*\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "list_messages",
            json!({ "topics": "ops" }),
            "invalid_argument",
            "\"topics\": wrong type: the text \"ops\", expected a list",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "subscribe",
            json!({ "topics": ["*"] }),
            "invalid_argument",
            "a topic has 1 to 64 characters of a-z, 0-9, \".\", \"_\" and \"-\", got \"*\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "subscribe",
            json!({ "topics": [""] }),
            "invalid_argument",
            "a topic has 1 to 64 characters of a-z, 0-9, \".\", \"_\" and \"-\", got \"\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "subscribe",
            json!({ "topics": [] }),
            "invalid_argument",
            "\"topics\" names no topic",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "subscribe",
            json!({}),
            "invalid_argument",
            "\"topics\" names no topic",
            HINT_INVALID_ARGUMENT,
        ),
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
