//! `claude-mesh task` in a folder whose mesh is at a hub.
use serde_json::Value;

use super::{TaskAction, TaskArgs};
use crate::cli::command_status::CommandResult;
use crate::cli::error::Failure;
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::{print_line, print_table, shown};
use crate::model::TaskStatus;
use crate::platform::id::TaskId;

pub(in crate::cli) fn run(hub: &HubContext, args: &TaskArgs) -> CommandResult {
    let folder = &hub.working_directory;
    hub.run(match &args.action {
        TaskAction::Create { title, given } => {
            let call = HubCall::new("create_task", task).with("title", title.as_str());
            given.add_to_hub_call(call, folder)?
        }
        TaskAction::Update {
            id,
            title,
            given,
            status,
            reason,
            expected_version,
        } => {
            let call = HubCall::new("update_task", task)
                .with("task_id", whole_id(id)?)
                .with_some("title", title.as_deref())
                .with_some("status", status.map(TaskStatus::as_str))
                .with_some("reason", reason.as_deref())
                .with_some("expected_version", *expected_version);
            given.add_to_hub_call(call, folder)?
        }
        TaskAction::List {
            words,
            status,
            assigned_to,
            limit,
        } => HubCall::new("list_tasks", tasks)
            .with_some("query", Some(words.join(" ")).filter(|it| !it.is_empty()))
            .with_some("status", status.map(TaskStatus::as_str))
            .with_some("assigned_to", assigned_to.as_deref())
            .with("limit", *limit),
        TaskAction::Delete { id } => {
            HubCall::new("delete_task", task_deleted).with("task_id", whole_id(id)?)
        }
        TaskAction::CancelStale { older_than, reason } => {
            HubCall::new("cancel_stale_tasks", tasks_cancelled)
                .with("older_than_seconds", older_than.as_secs())
                .with_some("reason", reason.as_deref())
        }
        TaskAction::BulkUpdate(_) => return Err(not_at_hub("bulk-update")),
        TaskAction::Show { .. } => return Err(not_at_hub("show")),
        TaskAction::Board { .. } => return Err(not_at_hub("board")),
    })
}

/// Returns the id of a task, which is given in full.
fn whole_id(given: &str) -> Result<String, Failure> {
    let id: Option<TaskId> = given.trim().parse().ok();
    id.map(|id| id.to_string()).ok_or_else(|| {
        Failure::argument(
            "at a hub the id of a task is given in full",
            "`claude-mesh task list` shows it; nothing was changed",
        )
    })
}

fn task(hub: &HubContext, result: &Value) -> CommandResult {
    let task = &result["task"];
    let word = match result["created"].as_bool() {
        Some(true) => "created",
        Some(false) => "there is such a task already",
        None => "updated",
    };
    print_line(&format!(
        "{word}: {}  {}  {}",
        shown(hub, &task["task_id"]),
        shown(hub, &task["status"]),
        shown(hub, &task["title"])
    ))
}

fn tasks(hub: &HubContext, result: &Value) -> CommandResult {
    let columns = [
        ("TASK", "task_id"),
        ("STATUS", "status"),
        ("PRIORITY", "priority"),
        ("ASSIGNED", "assigned_to"),
        ("TITLE", "title"),
    ];
    print_table(hub, &result["tasks"], &columns, "no such task")
}

fn task_deleted(_: &HubContext, _: &Value) -> CommandResult {
    print_line("deleted")
}

fn tasks_cancelled(_: &HubContext, result: &Value) -> CommandResult {
    let count = result["cancelled"].as_array().map_or(0, Vec::len);
    print_line(&format!("cancelled: {count}"))
}
