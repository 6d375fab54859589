//! Tasks as JSON.
use serde_json::{Map, Value, json};

use crate::mesh::{FileClaim, TaskCreated, TaskUpdated, lease_expires_at_ms};
use crate::model::{Refusal, TaskStatus};
use crate::platform::Moment;
use crate::platform::clock::rfc3339;
use crate::platform::text::cut_chars;
use crate::store::Task;

/// Returns a task.
pub fn task(task: &Task) -> Value {
    json!({
        "task_id": task.id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "assigned_to": task.assigned_name,
        "files_owned": task.files_owned,
        "priority": task.priority,
        "depends_on": task.depends_on,
        "created_by": task.created_by_name,
        "created_at": rfc3339(task.created_at_ms),
        "updated_at": rfc3339(task.updated_at_ms),
        "version": task.version,
        "project": task.project,
    })
}

/// Returns the result of creating a task.
pub fn task_created(created: &TaskCreated) -> Value {
    json!({ "task": task(&created.task), "created": created.created })
}

/// Returns the result of changing a task; for one that was begun also who has its files.
pub fn task_updated(updated: &TaskUpdated, now: &Moment) -> Value {
    let mut value = json!({ "task": task(&updated.task) });
    add_files(&mut value, updated, now);
    value
}

/// Returns the result of changing several tasks, each with its id as the caller gave it.
pub fn tasks_updated(outcomes: &[(String, Result<TaskUpdated, Refusal>)], now: &Moment) -> Value {
    let (mut updated, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in outcomes {
        match outcome {
            Ok(one) => {
                let task = &one.task;
                let mut value =
                    json!({ "task_id": id, "status": task.status, "version": task.version });
                add_files(&mut value, one, now);
                updated.push(value);
            }
            Err(refusal) => {
                let error = json!({ "code": refusal.code(), "message": refusal.to_string() });
                refused.push(json!({ "task_id": id, "error": error }));
            }
        }
    }
    json!({ "updated": updated, "refused": refused })
}

/// Returns the number of tasks in each status.
pub fn task_counts(counts: [u32; 5]) -> Value {
    let pairs = TaskStatus::ALL.iter().zip(counts);
    pairs
        .map(|(status, count)| (status.as_str().to_owned(), count.into()))
        .collect::<Map<_, _>>()
        .into()
}

/// Returns a task that its assignee has not begun, as the inbox shows it.
pub fn unstarted_task(task: &Task) -> Value {
    json!({ "task_id": task.id, "title": task.title, "priority": task.priority, "from": task.created_by_name })
}

fn add_files(value: &mut Value, updated: &TaskUpdated, now: &Moment) {
    if updated.claims.is_empty() {
        return;
    }
    let one = |FileClaim { claim, own }: &FileClaim| {
        let mut value = json!({ "resource": claim.resource });
        if *own {
            value["status"] = "granted".into();
            value["claim_id"] = json!(claim.id);
            value["fence"] = json!(claim.fencing_token);
        } else {
            value["status"] = "held_by".into();
            value["peer"] = json!(claim.peer_name);
        }
        value["lease_expires_at"] = rfc3339(lease_expires_at_ms(claim, now)).into();
        value
    };
    value["claims"] = updated.claims.iter().map(one).collect();
}

/// The beginning of its title, then its id.
pub(super) fn current_task(task: &Task) -> String {
    format!("{} ({})", cut_chars(&task.title, 120), task.id)
}
