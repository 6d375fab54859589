//! Changes of tasks that are refused, and what the refusal says.
use serde_json::json;

use crate::support::{Session, World};
use crate::support::{create_task, refused, set_status, update, updated};
use crate::task::{history, notifications};

// Requirement: Tasks 5
#[test]
fn invalid_task_transition_is_refused_with_the_allowed_ones() {
    let world = World::new();
    let ada = world.session("ada");
    let id = create_task(&ada, "one", json!({}));
    let (code, message) = refused(&update(&ada, &id, json!({ "status": "done" })));
    assert_eq!(code, "conflict");
    assert!(
        message.ends_with("it can become in_progress or cancelled"),
        "{message}"
    );
    set_status(&ada, &id, "in_progress");
    set_status(&ada, &id, "todo");
    set_status(&ada, &id, "in_progress");
    set_status(&ada, &id, "in_review");
    let (code, message) = refused(&update(&ada, &id, json!({ "status": "todo" })));
    assert_eq!(code, "invalid_argument");
    assert!(message.contains("\"reason\""), "{message}");
    set_status(&ada, &id, "done");
    for more in [
        json!({ "status": "todo", "reason": "again" }),
        json!({ "title": "other" }),
    ] {
        assert_eq!(refused(&update(&ada, &id, more)).0, "conflict");
    }
}

// Requirement: Tasks 9
#[test]
fn stale_task_update_is_refused_with_the_current_version() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = create_task(&ada, "one", json!({}));
    let first = json!({ "priority": "high", "expected_version": 1 });
    assert_eq!(updated(&ada, &id, first.clone())["version"], 2);
    let (code, message) = refused(&update(&bo, &id, first));
    assert_eq!(code, "conflict");
    assert!(message.ends_with("has version 2, not 1"), "{message}");
    // An update to the present value is no change.
    let same = updated(&bo, &id, json!({ "priority": "high" }));
    assert_eq!(same["version"], 2);
    assert_eq!(history(&ada).len(), 2);
}

#[test]
fn open_dependencies_block_a_task_and_cycles_are_refused() {
    let world = World::new();
    let ada = world.session("ada");
    let first = create_task(&ada, "first", json!({}));
    let second = create_task(&ada, "second", json!({ "depends_on": [first] }));
    let third = create_task(&ada, "third", json!({ "depends_on": [second] }));
    let (code, message) = refused(&update(&ada, &second, json!({ "status": "in_progress" })));
    assert_eq!(code, "conflict");
    assert!(message.contains(&first), "{message}");
    for ids in [json!([third]), json!([first]), json!([second, third])] {
        let result = update(&ada, &first, json!({ "depends_on": ids }));
        assert_eq!(refused(&result).0, "conflict", "{ids}");
    }
    let unknown = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
    let result = update(&ada, &first, json!({ "depends_on": [unknown] }));
    assert_eq!(refused(&result).0, "not_found");
    set_status(&ada, &first, "in_progress");
    set_status(&ada, &first, "cancelled");
    set_status(&ada, &second, "in_progress");
    assert_eq!(
        ada.call("delete_task", json!({ "task_id": second }))["deleted"],
        true
    );
    set_status(&ada, &third, "in_progress");
}

#[test]
fn only_the_creator_or_a_person_can_delete_a_task() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = create_task(&ada, "one", json!({ "assigned_to": "bo" }));
    let delete = |session: &Session| session.call("delete_task", json!({ "task_id": id }));
    assert_eq!(refused(&delete(&bo)).0, "not_yours");
    assert_eq!(delete(&ada), json!({ "deleted": true }));
    assert_eq!(refused(&delete(&ada)).0, "not_found");
    let notices = notifications(&bo);
    assert!(notices[1].1.contains("was deleted"), "{notices:?}");
}

#[test]
fn task_with_a_full_description_can_be_rejected_and_cancelled() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    let full = "x".repeat(65_536);
    let reviewed = create_task(
        &ada,
        "review me",
        json!({ "description": full, "assigned_to": "bo" }),
    );
    // The longest reasons, until the first ones exceed the budget.
    for round in 1..=6 {
        set_status(&bo, &reviewed, "in_progress");
        set_status(&bo, &reviewed, "in_review");
        let reason = format!("round {round}{}", " no".repeat(1_300));
        updated(
            &ada,
            &reviewed,
            json!({ "status": "todo", "reason": reason }),
        );
    }
    let listed = ada.call("list_tasks", json!({ "query": reviewed }));
    let description = listed["tasks"][0]["description"].as_str().unwrap();
    let (given, reasons) = description.split_at(full.len());
    assert_eq!(given, full, "what was given is never cut");
    assert!(
        reasons.starts_with("\n\n[earlier reasons cut: 2]\n\n["),
        "{reasons:.80}"
    );
    for round in 1..=6 {
        let is_there = reasons.contains(&format!("] round {round} no"));
        assert_eq!(is_there, round > 2, "{round}");
    }
    create_task(&ada, "in its way", json!({}));
    let stale = ada.call(
        "cancel_stale_tasks",
        json!({ "older_than_seconds": 0, "reason": "over" }),
    );
    assert_eq!(
        stale["cancelled"].as_array().map(Vec::len),
        Some(2),
        "{stale}"
    );
}
