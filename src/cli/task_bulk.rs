//! `claude-mesh task bulk-update`: several tasks at once, by one change for all of them or by a list of changes as JSON.
//!
//! Each is changed in full or not at all; what is refused keeps no other from being changed.
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::task::{Given, existing, find, statuses, tell_updated};
use crate::cli::context::Desk;
use crate::cli::error::Failure;
use crate::cli::{Ending, Outcome, print, text_input};
use crate::mesh::task_files;
use crate::mesh::{Mesh, TaskChange, TaskFields};
use crate::model::{Priority, TaskStatus};
use crate::platform::text;
use crate::tools::output;

/// Change several tasks at once; one that is refused keeps no other from being changed.
#[derive(Debug, Args)]
#[command(after_help = "\
A list of changes is JSON: an array of objects with task_id and any of title, description, assigned_to, files_owned, priority,
depends_on, status, reason and expected_version.

Exit status: 1 if any change was refused; the others are made all the same.

Examples:
  claude-mesh task bulk-update 7K2Q9X 4M1P0C --status cancelled --reason 'the importer is gone'
  claude-mesh task bulk-update --from changes.json
  echo '[{\"task_id\": \"7K2Q9X\", \"priority\": \"high\"}]' | claude-mesh task bulk-update --from -")]
pub(super) struct BulkUpdate {
    /// The tasks, 100 at most.
    #[arg(required_unless_present = "from", value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    given: Given,
    /// Where they stand from now on.
    #[arg(long, value_parser = statuses())]
    status: Option<TaskStatus>,
    /// Why; it is put at the end of each description.
    #[arg(long, requires = "status")]
    reason: Option<String>,
    /// A file with a list of changes instead; `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ids", "description", "assign", "files", "priority", "depends_on", "status", "reason"])]
    from: Option<String>,
}

/// One change of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
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

/// The changes that can be tried, and those that cannot, as they are told.
#[derive(Default)]
struct Meant {
    changes: Vec<TaskChange>,
    refused: Vec<Value>,
}

impl Meant {
    fn add(&mut self, written: &str, change: Result<TaskChange, Failure>) -> Result<(), Failure> {
        match change {
            Ok(change) => self.changes.push(change),
            Err(Failure::Wrong(wrong)) => {
                let error = json!({ "code": wrong.code, "message": wrong.message });
                self.refused
                    .push(json!({ "task_id": written, "error": error }));
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

/// Changes them and tells each.
pub(super) fn bulk_update(desk: &Desk, args: &BulkUpdate) -> Outcome {
    let listed = args.from.as_deref().map(read).transpose()?;
    let first = match &listed {
        Some(changes) => changes.first().map(|change| change.task_id.clone()),
        None => args.ids.first().cloned(),
    };
    let Some(first) = first else {
        return Err(Failure::argument("the list of changes is empty", ""));
    };
    let mut mesh = existing(desk, &first)?;
    let meant = match listed {
        Some(changes) => of_list(desk, &mut mesh, changes)?,
        None => of_ids(desk, &mut mesh, args)?,
    };
    let mut seat = desk.sit(mesh)?;
    let outcomes = if meant.changes.is_empty() {
        Vec::new()
    } else {
        seat.mesh.update_tasks(&seat.me, &meant.changes)?
    };
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|(id, outcome)| (id.to_string(), outcome))
        .collect();
    let mut body = output::tasks_updated(&outcomes, &seat.mesh.now());
    if let Some(refused) = body["refused"].as_array_mut() {
        refused.extend(meant.refused);
    }
    let ending = match body["refused"].as_array().map_or(0, Vec::len) {
        0 => Ending::Done,
        _ => Ending::Refused,
    };
    if desk.json {
        print::json(&body)?;
        return Ok(ending);
    }
    for updated in outcomes
        .iter()
        .filter_map(|(_, outcome)| outcome.as_ref().ok())
    {
        tell_updated(desk, updated)?;
    }
    for refused in body["refused"].as_array().into_iter().flatten() {
        let of = |value: &Value| text::one_line(value.as_str().unwrap_or_default());
        let (id, message) = (of(&refused["task_id"]), of(&refused["error"]["message"]));
        print::err(&format!("claude-mesh: {id}: {message}\n"))?;
    }
    Ok(ending)
}

/// The same change for each.
fn of_ids(desk: &Desk, mesh: &mut Mesh, args: &BulkUpdate) -> Result<Meant, Failure> {
    let fields = args.given.fields(desk, mesh, None)?;
    if fields == TaskFields::default() && args.status.is_none() {
        let hint = "for example `--status cancelled`; nothing was changed";
        return Err(Failure::argument("nothing to change is given", hint));
    }
    let mut meant = Meant::default();
    for id in &args.ids {
        let change = find(desk, mesh, id).map(|id| TaskChange {
            fields: fields.clone(),
            status: args.status,
            reason: args.reason.clone(),
            ..TaskChange::of(id)
        });
        meant.add(id, change)?;
    }
    Ok(meant)
}

fn of_list(desk: &Desk, mesh: &mut Mesh, changes: Vec<Change>) -> Result<Meant, Failure> {
    let mut meant = Meant::default();
    for change in changes {
        let written = change.task_id.clone();
        let change = read_one(desk, mesh, change);
        meant.add(&written, change)?;
    }
    Ok(meant)
}

fn read_one(desk: &Desk, mesh: &mut Mesh, change: Change) -> Result<TaskChange, Failure> {
    let folder = &desk.settings.working_directory;
    let files = change.files_owned.map(|files| task_files(folder, &files));
    let depends_on = change.depends_on.map(|ids| {
        let ids = ids.iter().map(|id| find(desk, mesh, id));
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
        ..TaskChange::of(find(desk, mesh, &change.task_id)?)
    })
}

fn read(path: &str) -> Result<Vec<Change>, Failure> {
    let text = text_input::read("list of changes", path)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::argument(
            format!("the list of changes cannot be read: {error}"),
            "it is an array of objects such as {\"task_id\": \"7K2Q9X\", \"status\": \"done\"}; nothing was changed",
        )
    })
}
