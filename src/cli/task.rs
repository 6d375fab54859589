//! `claude-mesh task`: creates, changes and lists the tasks of a project, for people and scripts.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use owo_colors::OwoColorize;
use serde_json::json;

use super::format::bold_name;
use super::task_args::{TaskFieldsArgs, find_task_id, open_task_mesh, statuses};
use super::task_format::{display_file, report_updated, task_line};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::{board, duration, print, table, task_bulk};
use crate::mesh::{Mesh, StaleTaskFilter, TaskChange, TaskSelection};
use crate::model::TaskStatus;
use crate::model::elapsed::format_ago;
use crate::platform::text;
use crate::store;
use crate::tools::output;

/// Create, change and list the tasks of this project
///
/// A task goes from `todo` to `in_progress`, `in_review` and `done`; from review it may be sent back to `todo` with a reason.
/// An ID may be given by its last letters, as the board shows them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh task create 'add a health check' --assign backend --priority high --file src/health.rs
  claude-mesh task update 7K2Q9X --status in_progress
  claude-mesh task update 7K2Q9X --status todo --reason 'the test is missing'
  claude-mesh task bulk-update 7K2Q9X 4M1P0C --priority high
  claude-mesh task list --status todo login
  claude-mesh task cancel-stale --older-than 7d
  claude-mesh task board --watch")]
pub(super) struct TaskArgs {
    #[command(subcommand)]
    action: TaskAction,
}

#[derive(Debug, Subcommand)]
enum TaskAction {
    /// Create a task; an open task with the same title is shown instead.
    Create {
        /// What is to be done, in one line.
        title: String,
        #[command(flatten)]
        given: TaskFieldsArgs,
    },
    /// Change a task.
    Update {
        /// The task.
        id: String,
        /// Another title.
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        given: TaskFieldsArgs,
        /// The new status.
        #[arg(long, value_parser = statuses())]
        status: Option<TaskStatus>,
        /// Why; it is appended to the description.
        #[arg(long, requires = "status")]
        reason: Option<String>,
        /// Only if the task has this version.
        #[arg(long, value_name = "VERSION")]
        expected_version: Option<u32>,
    },
    BulkUpdate(task_bulk::BulkUpdateArgs),
    /// Show a task in full.
    Show {
        /// The task.
        id: String,
    },
    /// List the tasks of this project and yours, those to be done first.
    List {
        /// Only tasks that contain all these words.
        words: Vec<String>,
        /// Only tasks in this status.
        #[arg(long, value_parser = statuses())]
        status: Option<TaskStatus>,
        /// Only tasks of this peer.
        #[arg(long, value_name = "PEER")]
        assigned_to: Option<String>,
        /// The maximum number of tasks.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
    /// Remove a task.
    Delete {
        /// The task.
        id: String,
    },
    /// Cancel the todo tasks of this project that were not changed for a time.
    CancelStale {
        /// How long, for example 12h, 7d; 0s cancels all of them.
        #[arg(long, value_name = "SPAN", value_parser = duration::span)]
        older_than: Duration,
        /// Why; it is appended to each description.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Show the tasks as columns.
    Board {
        /// Redraw after each change, until Ctrl-C.
        #[arg(long)]
        watch: bool,
    },
}

pub(super) fn task(context: &CliContext, args: &TaskArgs) -> CommandResult {
    match &args.action {
        TaskAction::Create { title, given } => create(context, title, given),
        TaskAction::Update {
            id,
            title,
            given,
            status,
            reason,
            expected_version,
        } => {
            let mut mesh = open_task_mesh(context, id)?;
            let change = TaskChange {
                fields: given.fields(context, &mut mesh, title.as_ref())?,
                status: *status,
                reason: reason.clone(),
                expected_version: expected_version.map(i64::from),
                ..TaskChange::of(find_task_id(context, &mut mesh, id)?)
            };
            update(context, mesh, &change)
        }
        TaskAction::BulkUpdate(args) => task_bulk::bulk_update(context, args),
        TaskAction::Show { id } => show(context, id),
        TaskAction::List {
            words,
            status,
            assigned_to,
            limit,
        } => {
            let wanted = TaskSelection {
                status: *status,
                assigned_to: assigned_to.clone(),
                query: Some(words.join(" ")),
                limit: (*limit).into(),
            };
            list(context, &wanted)
        }
        TaskAction::Delete { id } => {
            let mut mesh = open_task_mesh(context, id)?;
            let id = find_task_id(context, &mut mesh, id)?;
            let mut session = context.register(mesh)?;
            session.mesh.delete_task(&session.me, id)?;
            if context.json {
                print::json(&json!({ "deleted": true }))?;
            } else {
                print::line(&format!("deleted: {id}"))?;
            }
            Ok(CommandStatus::Done)
        }
        TaskAction::CancelStale { older_than, reason } => {
            cancel_stale(context, *older_than, reason.as_deref())
        }
        TaskAction::Board { watch } => board::board(context, *watch),
    }
}

fn create(context: &CliContext, title: &String, given: &TaskFieldsArgs) -> CommandResult {
    let mut mesh = context.open()?;
    let fields = given.fields(context, &mut mesh, Some(title))?;
    let mut session = context.register(mesh)?;
    let created = session
        .mesh
        .create_task(&session.me, &context.project.path, &fields)?;
    if context.json {
        print::json(&output::task_created(&created))?;
        return Ok(CommandStatus::Done);
    }
    let task = &created.task;
    let word = if created.created {
        "created"
    } else {
        "there is such a task already"
    };
    print::line(&format!("{word}: {}", task_line(context, task)))?;
    Ok(CommandStatus::Done)
}

fn update(context: &CliContext, mesh: Mesh, change: &TaskChange) -> CommandResult {
    let mut session = context.register(mesh)?;
    let updated = session.mesh.update_task(&session.me, change)?;
    if context.json {
        print::json(&output::task_updated(&updated, &session.mesh.now()))?;
        return Ok(CommandStatus::Done);
    }
    report_updated(context, &updated)?;
    Ok(CommandStatus::Done)
}

fn show(context: &CliContext, id: &str) -> CommandResult {
    let mut mesh = open_task_mesh(context, id)?;
    let id = find_task_id(context, &mut mesh, id)?;
    let task = mesh.task(id)?;
    if context.json {
        print::json(&json!({ "task": output::task(&task) }))?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    let line = |text: &str| context.sanitize_foreign(&text::one_line(text));
    print::line(&bold_name(&line(&task.title)))?;
    let files: Vec<String> = task
        .files_owned
        .iter()
        .map(|one| display_file(context, one))
        .collect();
    let ids: Vec<String> = task.depends_on.iter().map(ToString::to_string).collect();
    let rows = [
        ("id", task.id.to_string()),
        ("status", task.status.as_str().to_owned()),
        ("priority", task.priority.as_str().to_owned()),
        (
            "for",
            line(task.assigned_name.as_deref().unwrap_or("nobody")),
        ),
        ("files", files.join(", ")),
        ("after", ids.join(", ")),
        (
            "created",
            format!(
                "by {}, {}",
                line(&task.created_by_name),
                format_ago(now_ms - task.created_at_ms)
            ),
        ),
        (
            "changed",
            format!(
                "{}, version {}",
                format_ago(now_ms - task.updated_at_ms),
                task.version
            ),
        ),
    ];
    for (key, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        print::line(&format!("{:<9} {value}", key.dimmed()))?;
    }
    if !task.description.is_empty() {
        print::line(&format!(
            "\n{}",
            context.sanitize_foreign(&task.description)
        ))?;
    }
    Ok(CommandStatus::Done)
}

fn list(context: &CliContext, wanted: &TaskSelection) -> CommandResult {
    let Some(mut mesh) = context.open_existing()? else {
        return context
            .report_no_mesh(&json!({ "tasks": [], "counts": output::task_counts([0; 5]) }));
    };
    let own = context.speaker_name(&mut mesh)?;
    let found = mesh.tasks(own.as_ref(), &context.project.path, wanted)?;
    if context.json {
        let tasks: Vec<_> = found.tasks.iter().map(output::task).collect();
        print::json(&json!({ "tasks": tasks, "counts": output::task_counts(found.counts) }))?;
    } else if found.tasks.is_empty() {
        print::line("no such tasks")?;
    } else {
        print::raw(format!("{}\n", table::text(&table(context, &found.tasks))).as_bytes())?;
    }
    Ok(CommandStatus::Done)
}

fn table(context: &CliContext, tasks: &[store::Task]) -> Table {
    let mut table = table::with_header(["ID", "STATUS", "PRIORITY", "FOR", "TITLE"]);
    for task in tasks {
        table.add_row([
            task.id.to_string(),
            task.status.as_str().to_owned(),
            task.priority.as_str().to_owned(),
            context.sanitize_foreign(task.assigned_name.as_deref().unwrap_or("-")),
            context.sanitize_foreign(&text::one_line(&task.title)),
        ]);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

fn cancel_stale(context: &CliContext, older_than: Duration, reason: Option<&str>) -> CommandResult {
    let Some(mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "cancelled": [] }));
    };
    let mut session = context.register(mesh)?;
    let seconds = u32::try_from(older_than.as_secs()).unwrap_or(u32::MAX);
    let folder = &context.project.path;
    let cancelled = session.mesh.cancel_stale_tasks(
        &session.me,
        &StaleTaskFilter {
            project: folder,
            older_than_seconds: seconds,
            reason,
        },
    )?;
    if context.json {
        print::json(&json!({ "cancelled": cancelled }))?;
        return Ok(CommandStatus::Done);
    }
    for id in &cancelled {
        print::line(&format!("cancelled: {id}"))?;
    }
    if cancelled.is_empty() {
        print::line("no todo task of this project is that old")?;
    }
    Ok(CommandStatus::Done)
}
