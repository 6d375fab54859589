//! Tasks that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE, HINT_UNKNOWN_PEER};
use crate::support::{Refusal, World, assert_refusals, create_task};

#[expect(clippy::too_many_lines, reason = "it is a list")]
fn refusals(id: &str) -> Vec<Refusal> {
    let secret = format!("sk-ant-api03-{}", "a".repeat(95));
    vec![
        (
            "create_task",
            json!({ "title": "" }),
            "invalid_argument",
            "\"title\" must have 1 to 500 characters, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "create_task",
            json!({ "title": "x".repeat(501) }),
            "invalid_argument",
            "\"title\" must have 1 to 500 characters, got 501",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "create_task",
            json!({ "title": secret }),
            "secret",
            "\"title\" contains what looks like an Anthropic key; nothing was stored",
            HINT_SECRET,
        ),
        (
            "create_task",
            json!({ "title": "t", "description": secret }),
            "secret",
            "\"description\" contains what looks like an Anthropic key; nothing was stored",
            HINT_SECRET,
        ),
        (
            "create_task",
            json!({ "title": "t", "description": "x".repeat(65_537) }),
            "too_large",
            "\"description\" has 65537 bytes; the limit is 65536",
            HINT_TOO_LARGE,
        ),
        (
            "create_task",
            json!({ "title": "t", "assigned_to": "nobody" }),
            "unknown_peer",
            "no peer called \"nobody\" in this mesh; no other peer is here now",
            HINT_UNKNOWN_PEER,
        ),
        (
            "create_task",
            json!({ "title": "t", "priority": "huge" }),
            "invalid_argument",
            "\"priority\": unknown value `huge`, expected one of `low`, `normal`, `high`, `urgent`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "create_task",
            json!({ "title": "t", "files_owned": [""] }),
            "invalid_argument",
            "\"files_owned\" has an empty path",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "create_task",
            json!({ "title": "t", "depends_on": ["x"] }),
            "invalid_argument",
            "\"depends_on\" must be an id as create_task and list_tasks give it, got \"x\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "create_task",
            json!({ "title": "t", "status": "done" }),
            "invalid_argument",
            "\"status\": unknown parameter `status`, expected one of `title`, `description`, `assigned_to`, `files_owned`, `priority`, `depends_on`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "list_tasks",
            json!({ "assigned_to": "two words" }),
            "invalid_argument",
            "\"assigned_to\" must be the name of a peer such as \"backend\" or \"backend/any\", got \"two words\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "update_task",
            json!({ "task_id": "x" }),
            "invalid_argument",
            "\"task_id\" must be an id as create_task and list_tasks give it, got \"x\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "update_task",
            json!({ "task_id": id }),
            "invalid_argument",
            "nothing to change is given beside the task",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "update_task",
            json!({ "task_id": id, "reason": "why" }),
            "invalid_argument",
            "\"reason\" belongs to a change of \"status\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "update_task",
            json!({ "task_id": id, "status": "cancelled", "reason": secret }),
            "secret",
            "\"reason\" contains what looks like an Anthropic key; nothing was stored",
            HINT_SECRET,
        ),
        (
            "update_task",
            json!({ "task_id": id, "status": "cancelled", "reason": "x".repeat(4_097) }),
            "too_large",
            "\"reason\" has 4097 bytes; the limit is 4096",
            HINT_TOO_LARGE,
        ),
    ]
}

#[test]
fn oversized_secret_or_useless_task_is_refused_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    let id = create_task(&ada, "one", json!({}));
    assert_refusals(&ada, refusals(&id));
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(listed["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["tasks"][0]["version"], 1);
}
