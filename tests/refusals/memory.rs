//! Memories that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE};
use crate::support::{Refusal, World, assert_refusals};

#[expect(clippy::too_many_lines, reason = "it is a list")]
fn refusals() -> Vec<Refusal> {
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    let seventeen: Vec<String> = (0..17).map(|number| format!("t{number}")).collect();
    vec![
        (
            "remember",
            json!({}),
            "invalid_argument",
            "missing parameter `text`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": " " }),
            "invalid_argument",
            "\"text\" is empty",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x".repeat(65_537) }),
            "too_large",
            "\"text\" has 65537 bytes; the limit is 65536",
            HINT_TOO_LARGE,
        ),
        (
            "remember",
            json!({ "text": token }),
            "secret",
            "\"text\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
        (
            "remember",
            json!({ "text": "x", "key": token }),
            "secret",
            "\"key\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
        (
            "remember",
            json!({ "text": "x", "tags": [token] }),
            "secret",
            "\"tags\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
        (
            "remember",
            json!({ "text": "x", "key": "" }),
            "invalid_argument",
            "\"key\" must be one line of text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "key": "a\nb" }),
            "invalid_argument",
            "\"key\" must be one line of text",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "key": "k".repeat(257) }),
            "invalid_argument",
            "\"key\" has more than 256 characters",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "tags": ["t".repeat(65)] }),
            "invalid_argument",
            "a tag in \"tags\" has more than 64 characters",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "tags": ["*"] }),
            "invalid_argument",
            "a tag in \"tags\" must be one line with a letter or digit",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "tags": seventeen }),
            "invalid_argument",
            "\"tags\" has 17 tags; at most 16",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "ttl_seconds": 0 }),
            "invalid_argument",
            "\"ttl_seconds\" must be from 1 to 315360000, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "scope": "both" }),
            "invalid_argument",
            "\"scope\": unknown value `both`, expected `project` or `mesh`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "remember",
            json!({ "text": "x", "priority": 1 }),
            "invalid_argument",
            "\"priority\": unknown parameter `priority`, expected one of `text`, `key`, `tags`, `ttl_seconds`, `scope`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "recall",
            json!({ "limit": 51 }),
            "invalid_argument",
            "\"limit\" must be from 1 to 50, got 51",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "recall",
            json!({ "query": "a ".repeat(2_000) }),
            "too_large",
            "\"query\" has 4000 bytes; the limit is 2048",
            HINT_TOO_LARGE,
        ),
        (
            "recall",
            json!({ "scope": "all" }),
            "invalid_argument",
            "\"scope\": unknown value `all`, expected one of `project`, `mesh`, `both`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "recall",
            json!({ "tags": [""] }),
            "invalid_argument",
            "a tag in \"tags\" must be one line with a letter or digit",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "forget",
            json!({}),
            "invalid_argument",
            "forget needs either \"key\" or \"memory_id\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "forget",
            json!({ "key": "a", "memory_id": "b" }),
            "invalid_argument",
            "\"memory_id\" must be an id as remember and recall give it, got \"b\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "forget",
            json!({ "memory_id": "b" }),
            "invalid_argument",
            "\"memory_id\" must be an id as remember and recall give it, got \"b\"",
            HINT_INVALID_ARGUMENT,
        ),
    ]
}

#[test]
fn invalid_memory_input_is_refused_by_name_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    assert_refusals(&ada, refusals());
    assert_eq!(ada.call("mesh_status", json!({}))["memories"], 0);
}
