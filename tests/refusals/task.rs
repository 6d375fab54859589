//! Tasks that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals, create_task};

fn refusals(id: &str) -> Vec<Refusal> {
    let secret = format!("sk-ant-api03-{}", "a".repeat(95));
    vec![
        ("create_task", json!({ "title": "" }), "", "", ""),
        (
            "create_task",
            json!({ "title": "x".repeat(501) }),
            "",
            "",
            "",
        ),
        ("create_task", json!({ "title": secret }), "", "", ""),
        (
            "create_task",
            json!({ "title": "t", "description": secret }),
            "",
            "",
            "",
        ),
        (
            "create_task",
            json!({ "title": "t", "description": "x".repeat(65_537) }),
            "",
            "",
            "",
        ),
        (
            "create_task",
            json!({ "title": "t", "assigned_to": "nobody" }),
            "",
            "",
            "",
        ),
        (
            "create_task",
            json!({ "title": "t", "priority": "huge" }),
            "",
            "",
            "",
        ),
        (
            "create_task",
            json!({ "title": "t", "files_owned": [""] }),
            "",
            "",
            "",
        ),
        (
            "create_task",
            json!({ "title": "t", "depends_on": ["x"] }),
            "",
            "",
            "",
        ),
        (
            "create_task",
            json!({ "title": "t", "status": "done" }),
            "",
            "",
            "",
        ),
        (
            "list_tasks",
            json!({ "assigned_to": "two words" }),
            "",
            "",
            "",
        ),
        ("update_task", json!({ "task_id": "x" }), "", "", ""),
        ("update_task", json!({ "task_id": id }), "", "", ""),
        (
            "update_task",
            json!({ "task_id": id, "reason": "why" }),
            "",
            "",
            "",
        ),
        (
            "update_task",
            json!({ "task_id": id, "status": "cancelled", "reason": secret }),
            "",
            "",
            "",
        ),
        (
            "update_task",
            json!({ "task_id": id, "status": "cancelled", "reason": "x".repeat(4_097) }),
            "",
            "",
            "",
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
