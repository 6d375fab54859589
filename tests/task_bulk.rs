//! Many tasks at once: bulk updates, cancelling in batches, reclaiming.
use serde_json::{Value, json};

use crate::support::{Session, World};
use crate::support::{create_task, refused, set_status};
use crate::task::{notifications, titles};

// Requirement: Tasks 13
#[test]
fn bulk_update_changes_each_task_fully_or_not_at_all() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = create_task(&ada, "first", json!({}));
    let second = create_task(&ada, "second", json!({}));
    let result = bo.call(
        "bulk_update_tasks",
        json!({ "updates": [
            { "task_id": first, "priority": "low", "status": "in_progress" },
            { "task_id": second, "title": "renamed", "status": "done" },
            { "task_id": "no id", "priority": "low" },
            { "task_id": first, "urgency": "high" },
            { "title": "of nothing" },
            { "task_id": second, "assigned_to": "bo" },
            { "task_id": second, "description": "key: sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
        ] }),
    );
    let ids = |key: &str| -> Vec<Value> {
        let list = result[key].as_array().unwrap();
        list.iter().map(|one| one["task_id"].clone()).collect()
    };
    assert_eq!(ids("updated"), [json!(first), json!(second)], "{result}");
    assert_eq!(
        ids("refused"),
        [
            json!(second),
            json!("no id"),
            json!(first),
            json!(""),
            json!(second)
        ],
        "in the order given: {result}"
    );
    let unknown = &result["refused"][2]["error"]["message"];
    assert!(
        unknown
            .as_str()
            .unwrap()
            .starts_with("\"urgency\": unknown parameter `urgency`"),
        "{unknown}"
    );
    let refusals = result["refused"].as_array().unwrap();
    let codes: Vec<&Value> = refusals.iter().map(|one| &one["error"]["code"]).collect();
    assert_eq!(
        codes,
        [
            "conflict",
            "invalid_argument",
            "invalid_argument",
            "invalid_argument",
            "secret"
        ],
        "{result}"
    );
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(titles(&listed), ["second", "first"], "{listed}");
    assert_eq!(listed["tasks"][0]["assigned_to"], "bo");
}

#[test]
fn bulk_update_of_more_than_a_hundred_tasks_is_refused() {
    let world = World::new();
    let ada = world.session("ada");
    let first = create_task(&ada, "first", json!({}));
    let many: Vec<Value> = (0..101)
        .map(|_| json!({ "task_id": first, "priority": "low" }))
        .collect();
    let result = ada.call("bulk_update_tasks", json!({ "updates": many }));
    assert_eq!(refused(&result).0, "invalid_argument");
}

// Requirement: Tasks 5, Tasks 11, Tasks 13
#[test]
fn stale_or_project_complete_todo_tasks_are_cancelled() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ids: Vec<String> = ["one", "two", "three"]
        .iter()
        .map(|title| create_task(&bo, title, json!({ "assigned_to": "ada" })))
        .collect();
    let others = create_task(&ada, "of another project", json!({}));
    set_status(&ada, &ids[0], "in_progress");
    let stale = |session: &Session, seconds: u32| {
        session.call(
            "cancel_stale_tasks",
            json!({ "older_than_seconds": seconds, "reason": "the plan changed" }),
        )
    };
    assert_eq!(stale(&bo, 3600), json!({ "cancelled": [] }));
    let older = "UPDATE task SET updated_at_ms = updated_at_ms - 7200000 WHERE id = ?1";
    world.rows().execute(older, [&ids[1]]).unwrap();
    assert_eq!(stale(&bo, 3600), json!({ "cancelled": [ids[1]] }));
    let result = bo.call(
        "events",
        json!({ "action": "emit", "type": "project.complete", "data": {} }),
    );
    assert!(result["error"].is_null(), "{result}");
    let status = |id: &str| {
        let listed = ada.call("list_tasks", json!({ "query": id }));
        listed["tasks"][0]["status"].clone()
    };
    assert_eq!(status(&ids[0]), "in_progress");
    assert_eq!(
        (status(&ids[1]), status(&ids[2])),
        (json!("cancelled"), json!("cancelled"))
    );
    assert_eq!(status(&others), "todo");
    let notices = notifications(&ada);
    assert_eq!(notices.len(), 5, "{notices:?}");
    assert!(notices[3].1.contains("the plan changed"), "{notices:?}");
}

#[test]
fn hundreds_of_tasks_are_cancelled_in_batches() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = create_task(&bo, "one", json!({}));
    let more = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 449)
        INSERT INTO task (id, project, title, fingerprint, description, status, priority, created_by, created_by_name, files_owned,
                          depends_on, created_at_ms, updated_at_ms, version)
        SELECT printf('01K0000000000000000000%04d', n), project, title || n, fingerprint || n, description, status, priority,
               created_by, created_by_name, files_owned, depends_on, created_at_ms, updated_at_ms, version
        FROM n, task WHERE id = ?1";
    let project = "UPDATE task SET project = ?1";
    let rows = world.rows();
    rows.execute(more, [&first]).unwrap();
    rows.execute(project, [ada.folder.to_str().unwrap()])
        .unwrap();
    let emitted = ada.call(
        "events",
        json!({ "action": "emit", "type": "project.complete", "data": {} }),
    );
    assert!(emitted["error"].is_null(), "{emitted}");
    let left = "SELECT count(*) FROM task WHERE status <> 'cancelled'";
    let left: i64 = rows.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    // Each transaction posts one message with its result.
    assert_eq!(notifications(&bo).len(), 3);
}

#[test]
fn only_tasks_ended_long_ago_are_reclaimed() {
    let world = World::new();
    let ada = world.session("ada");
    let (ended, open) = (
        create_task(&ada, "ended", json!({})),
        create_task(&ada, "open", json!({})),
    );
    set_status(&ada, &ended, "cancelled");
    let older = "UPDATE task SET created_at_ms = 1, updated_at_ms = 1, ended_at_ms = CASE WHEN ended_at_ms IS NULL THEN NULL ELSE 1 END";
    world.rows().execute(older, []).unwrap();
    let gone = world.cli(&world.home(), &["gc", "--json"]).json();
    assert_eq!(gone["reclaimed"]["tasks"], 1, "{gone}");
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(listed["tasks"][0]["task_id"], json!(open));
    assert_eq!(titles(&listed).len(), 1);
}
