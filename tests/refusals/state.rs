//! Calls of the `state` tool that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE};
use crate::support::{Refusal, World, assert_refusals};

#[expect(clippy::too_many_lines, reason = "it is a list")]
fn refusals() -> Vec<Refusal> {
    vec![
        (
            "state",
            json!({}),
            "invalid_argument",
            "missing parameter `action`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "put" }),
            "invalid_argument",
            "\"action\": unknown value `put`, expected one of `get`, `set`, `list`, `delete`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get" }),
            "invalid_argument",
            "missing parameter `key` of action \"get\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get", "key": 5 }),
            "invalid_argument",
            "\"key\": wrong type: the number `5`, expected a text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get", "key": "" }),
            "invalid_argument",
            "\"key\" must have 1 to 256 bytes and no control characters, got 0 bytes: \"\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get", "key": "a\nb" }),
            "invalid_argument",
            "\"key\" must have 1 to 256 bytes and no control characters, got 3 bytes: \"a\\nb\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get", "key": "x".repeat(257) }),
            "invalid_argument",
            "\"key\" must have 1 to 256 bytes and no control characters, got 257 bytes: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get", "key": "k", "value": null }),
            "invalid_argument",
            "\"value\" does not belong to action \"get\", which takes key, namespace",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "get", "key": "k", "prefix": "p" }),
            "invalid_argument",
            "\"prefix\" does not belong to action \"get\", which takes key, namespace",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "list", "key": "k" }),
            "invalid_argument",
            "\"key\" does not belong to action \"list\", which takes namespace, prefix, after",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "delete", "key": "k", "ttl_seconds": 5 }),
            "invalid_argument",
            "\"ttl_seconds\" does not belong to action \"delete\", which takes key, namespace, expected_version",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k" }),
            "invalid_argument",
            "missing parameter `value` of action \"set\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "ttl_seconds": 0 }),
            "invalid_argument",
            "\"ttl_seconds\" must be from 1 to 31536000, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "expected_version": -1 }),
            "invalid_argument",
            "\"expected_version\": wrong value: the number `-1`, expected 0 or more",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "namespace": "" }),
            "invalid_argument",
            "\"namespace\" must have 1 to 128 bytes and no control characters, got 0 bytes: \"\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "namespace": "n".repeat(129) }),
            "invalid_argument",
            "\"namespace\" must have 1 to 128 bytes and no control characters, got 129 bytes: \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "scope": "x" }),
            "invalid_argument",
            "\"scope\": unknown parameter `scope`, expected one of `action`, `key`, `value`, `namespace`, `expected_version`, `ttl_seconds`, `prefix`, `after`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": "x".repeat(65_535) }),
            "too_large",
            "\"value\" has 65537 bytes; the limit is 65536",
            HINT_TOO_LARGE,
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": { "t": format!("ghp_{}", "aB3dE5gH7jK9".repeat(3)) } }),
            "secret",
            "\"value\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
    ]
}

#[test]
fn invalid_state_calls_are_refused_by_name_and_store_nothing() {
    let world = World::new();
    let ada = world.session("ada");
    assert_refusals(&ada, refusals());
    let count: i64 = world
        .rows()
        .query_row("SELECT count(*) FROM state", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 0);
    let largest = json!({ "action": "set", "key": "k", "value": "x".repeat(65_534) });
    assert_eq!(
        ada.call("state", largest)["version"],
        1,
        "the largest value"
    );
}
