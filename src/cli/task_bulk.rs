//! `claude-mesh task bulk-update`: changes several tasks, by one change for all or by a list of changes as JSON.
//!
//! Each task is changed fully or not at all. A refused change does not prevent the others.
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::task_args::{TaskFieldsArgs, find_task_id, open_task_mesh, statuses};
use super::task_format::report_updated;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::{print, text_input};
use crate::mesh::task_files;
use crate::mesh::{Mesh, TaskChange, TaskFields};
use crate::model::{Priority, TaskStatus};
use crate::platform::text;
use crate::tools::output;

/// Change several tasks at once; a refused change does not prevent the others.
#[derive(Debug, Args)]
#[command(after_help = "\
A list of changes is JSON: an array of objects with task_id and any of title, description, assigned_to, files_owned, priority,
depends_on, status, reason and expected_version.

Exit status: 1 if any change was refused; the others are made.

Examples:
  claude-mesh task bulk-update 7K2Q9X 4M1P0C --status cancelled --reason 'the importer is gone'
  claude-mesh task bulk-update --from changes.json
  echo '[{\"task_id\": \"7K2Q9X\", \"priority\": \"high\"}]' | claude-mesh task bulk-update --from -")]
pub(super) struct BulkUpdateArgs {
    /// The tasks, 100 at most.
    #[arg(required_unless_present = "from", value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    given: TaskFieldsArgs,
    /// The new status.
    #[arg(long, value_parser = statuses())]
    status: Option<TaskStatus>,
    /// Why; it is appended to each description.
    #[arg(long, requires = "status")]
    reason: Option<String>,
    /// A file with a list of changes instead; `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ids", "description", "assign", "files", "priority", "depends_on", "status", "reason"])]
    from: Option<String>,
}

/// One change of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeInput {
    task_id: String,
    title: Option<String>,
    description: Option<String>,
    assigned_to: Option<String>,
    files_owned: Option<Vec<String>>,
    priority: Option<Priority>,
    depends_on: Option<Vec<String>>,
    status: Option<TaskStatus>,
    reason: Option<String>,
    expected_version: Option<u32>,
}

/// The valid changes, and the refusals of the others as JSON.
#[derive(Default)]
struct ParsedChanges {
    changes: Vec<TaskChange>,
    refused: Vec<Value>,
}

impl ParsedChanges {
    fn add(&mut self, id_text: &str, change: Result<TaskChange, Failure>) -> Result<(), Failure> {
        match change {
            Ok(change) => self.changes.push(change),
            Err(Failure::CliError(error)) => {
                let error = json!({ "code": error.code, "message": error.message });
                self.refused
                    .push(json!({ "task_id": id_text, "error": error }));
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

/// Makes the changes and prints the result of each.
pub(super) fn bulk_update(context: &CliContext, args: &BulkUpdateArgs) -> CommandResult {
    let listed = args.from.as_deref().map(read).transpose()?;
    let first = match &listed {
        Some(changes) => changes.first().map(|change| change.task_id.clone()),
        None => args.ids.first().cloned(),
    };
    let Some(first) = first else {
        return Err(Failure::argument("the list of changes is empty", ""));
    };
    let mut mesh = open_task_mesh(context, &first)?;
    let parsed = match listed {
        Some(changes) => changes_from_list(context, &mut mesh, changes)?,
        None => changes_from_ids(context, &mut mesh, args)?,
    };
    let mut session = context.register(mesh)?;
    let outcomes = if parsed.changes.is_empty() {
        Vec::new()
    } else {
        session.mesh.update_tasks(&session.me, &parsed.changes)?
    };
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|(id, outcome)| (id.to_string(), outcome))
        .collect();
    let mut body = output::tasks_updated(&outcomes, &session.mesh.now());
    if let Some(refused) = body["refused"].as_array_mut() {
        refused.extend(parsed.refused);
    }
    let command_status = match body["refused"].as_array().map_or(0, Vec::len) {
        0 => CommandStatus::Done,
        _ => CommandStatus::Refused,
    };
    if context.json {
        print::json(&body)?;
        return Ok(command_status);
    }
    for updated in outcomes
        .iter()
        .filter_map(|(_, outcome)| outcome.as_ref().ok())
    {
        report_updated(context, updated)?;
    }
    for refused in body["refused"].as_array().into_iter().flatten() {
        let of = |value: &Value| text::one_line(value.as_str().unwrap_or_default());
        let (id, message) = (of(&refused["task_id"]), of(&refused["error"]["message"]));
        print::err(&format!("claude-mesh: {id}: {message}\n"))?;
    }
    Ok(command_status)
}

/// Returns the same change for each id.
fn changes_from_ids(
    context: &CliContext,
    mesh: &mut Mesh,
    args: &BulkUpdateArgs,
) -> Result<ParsedChanges, Failure> {
    let fields = args.given.fields(context, mesh, None)?;
    if fields == TaskFields::default() && args.status.is_none() {
        let hint = "for example `--status cancelled`; nothing was changed";
        return Err(Failure::argument("nothing to change is given", hint));
    }
    let mut parsed = ParsedChanges::default();
    for id in &args.ids {
        let change = find_task_id(context, mesh, id).map(|id| TaskChange {
            fields: fields.clone(),
            status: args.status,
            reason: args.reason.clone(),
            ..TaskChange::of(id)
        });
        parsed.add(id, change)?;
    }
    Ok(parsed)
}

fn changes_from_list(
    context: &CliContext,
    mesh: &mut Mesh,
    changes: Vec<ChangeInput>,
) -> Result<ParsedChanges, Failure> {
    let mut parsed = ParsedChanges::default();
    for change in changes {
        let id_text = change.task_id.clone();
        let change = parse_change(context, mesh, change);
        parsed.add(&id_text, change)?;
    }
    Ok(parsed)
}

fn parse_change(
    context: &CliContext,
    mesh: &mut Mesh,
    change: ChangeInput,
) -> Result<TaskChange, Failure> {
    let folder = &context.settings.working_directory;
    let files = change.files_owned.map(|files| task_files(folder, &files));
    let depends_on = change.depends_on.map(|ids| {
        let ids = ids.iter().map(|id| find_task_id(context, mesh, id));
        ids.collect::<Result<Vec<_>, _>>()
    });
    Ok(TaskChange {
        fields: TaskFields {
            title: change.title,
            description: change.description,
            assigned_to: change.assigned_to,
            files_owned: files.transpose()?,
            priority: change.priority,
            depends_on: depends_on.transpose()?,
        },
        status: change.status,
        reason: change.reason,
        expected_version: change.expected_version.map(i64::from),
        ..TaskChange::of(find_task_id(context, mesh, &change.task_id)?)
    })
}

fn read(path: &str) -> Result<Vec<ChangeInput>, Failure> {
    let text = text_input::read("list of changes", path)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::argument(
            format!("the list of changes cannot be read: {error}"),
            "it is an array of objects such as {\"task_id\": \"7K2Q9X\", \"status\": \"done\"}; nothing was changed",
        )
    })
}
