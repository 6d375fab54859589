//! `claude-mesh task`: the tasks of a project for people and scripts; how they are drawn as a board is in [`board`](super::board).
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use comfy_table::Table;
use owo_colors::OwoColorize;
use serde_json::json;

use super::peer::strong;
use crate::cli::context::Desk;
use crate::cli::error::{Failure, Wrong};
use crate::cli::{Ending, Outcome, board, duration, print, table, task_bulk, text_input};
use crate::mesh::task_files;
use crate::mesh::{FileClaim, Mesh, TaskChange, TaskFields, TaskSelection, TaskUpdated};
use crate::model::question::ago;
use crate::model::{Priority, TaskStatus};
use crate::platform::id::TaskId;
use crate::platform::text;
use crate::store;
use crate::tools::output;

/// Create tasks of this project, change them, look at them
///
/// A task goes from `todo` to `in_progress`, `in_review` and `done`; from review it may be sent back to `todo` with a reason.
/// Where an ID is asked for, its last letters do as well, as the board shows them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh task create 'add a health check' --assign backend --priority high --file src/health.rs
  claude-mesh task update 7K2Q9X --status in_progress
  claude-mesh task update 7K2Q9X --status todo --reason 'the test is missing'
  claude-mesh task bulk-update 7K2Q9X 4M1P0C --priority high
  claude-mesh task list --status todo login
  claude-mesh task cancel-stale --older-than 7d
  claude-mesh task board --watch")]
pub(super) struct Task {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put a task on the board; an open one with the same title is shown instead.
    Create {
        /// What is to be done, in one line.
        title: String,
        #[command(flatten)]
        given: Given,
    },
    /// Change a task.
    Update {
        /// The task.
        id: String,
        /// Another title.
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        given: Given,
        /// Where it stands from now on.
        #[arg(long, value_parser = statuses())]
        status: Option<TaskStatus>,
        /// Why; it is put at the end of the description.
        #[arg(long, requires = "status")]
        reason: Option<String>,
        /// Only if the task has this version.
        #[arg(long, value_name = "VERSION")]
        expected_version: Option<u32>,
    },
    BulkUpdate(task_bulk::BulkUpdate),
    /// Show a task in full.
    Show {
        /// The task.
        id: String,
    },
    /// List tasks of this project and yours, what is to be done first.
    List {
        /// Only those in which all these words stand.
        words: Vec<String>,
        /// Only in this status.
        #[arg(long, value_parser = statuses())]
        status: Option<TaskStatus>,
        /// Only of this peer.
        #[arg(long, value_name = "PEER")]
        assigned_to: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
    /// Remove a task.
    Delete {
        /// The task.
        id: String,
    },
    /// Cancel the todo tasks of this project that nobody has changed for so long.
    CancelStale {
        /// For how long, for example 12h, 7d; 0s is all of them.
        #[arg(long, value_name = "SPAN", value_parser = duration::span)]
        older_than: Duration,
        /// Why; it is put at the end of each description.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Show the tasks as columns.
    Board {
        /// Draw it anew whenever a task changes, until Ctrl-C.
        #[arg(long)]
        watch: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Given {
    /// What it is in full; `-` reads stdin.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whose work it is; it is told of it. An empty name is nobody.
    #[arg(long, value_name = "PEER")]
    assign: Option<String>,
    /// A file its work touches; may be given several times.
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<String>,
    /// How much it matters.
    #[arg(long, value_parser = priorities())]
    priority: Option<Priority>,
    /// A task that must end first; may be given several times.
    #[arg(long, value_name = "ID")]
    depends_on: Vec<String>,
}

pub(super) fn statuses() -> impl TypedValueParser<Value = TaskStatus> {
    let words = PossibleValuesParser::new(TaskStatus::ALL.map(TaskStatus::as_str));
    words.map(|word| TaskStatus::of(&word).expect("it is one of those"))
}

fn priorities() -> impl TypedValueParser<Value = Priority> {
    let words = PossibleValuesParser::new(Priority::ALL.map(Priority::as_str));
    words.map(|word| Priority::of(&word).expect("it is one of those"))
}

impl Given {
    pub(super) fn fields(
        &self,
        desk: &Desk,
        mesh: &mut Mesh,
        title: Option<&String>,
    ) -> Result<TaskFields, Failure> {
        let description = self.description.as_ref().map(|text| match text.as_str() {
            "-" => text_input::read("description", "-"),
            _ => Ok(text.clone()),
        });
        let ids: Vec<TaskId> = self
            .depends_on
            .iter()
            .map(|id| find(desk, mesh, id))
            .collect::<Result<_, _>>()?;
        let files = task_files(&desk.settings.working_directory, &self.files)?;
        Ok(TaskFields {
            title: title.cloned(),
            description: description.transpose()?,
            assigned_to: self.assign.clone(),
            files_owned: Some(files).filter(|files| !files.is_empty()),
            priority: self.priority,
            depends_on: Some(ids).filter(|ids| !ids.is_empty()),
        })
    }
}

/// So many tasks are looked through for the end of an id.
const LOOKED_THROUGH: u32 = 10_000;

/// Creates, changes, shows.
pub(super) fn task(desk: &Desk, args: &Task) -> Outcome {
    match &args.action {
        Action::Create { title, given } => create(desk, title, given),
        Action::Update {
            id,
            title,
            given,
            status,
            reason,
            expected_version,
        } => {
            let mut mesh = existing(desk, id)?;
            let change = TaskChange {
                fields: given.fields(desk, &mut mesh, title.as_ref())?,
                status: *status,
                reason: reason.clone(),
                expected_version: expected_version.map(i64::from),
                ..TaskChange::of(find(desk, &mut mesh, id)?)
            };
            update(desk, mesh, &change)
        }
        Action::BulkUpdate(args) => task_bulk::bulk_update(desk, args),
        Action::Show { id } => show(desk, id),
        Action::List {
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
            list(desk, &wanted)
        }
        Action::Delete { id } => {
            let mut mesh = existing(desk, id)?;
            let id = find(desk, &mut mesh, id)?;
            let mut seat = desk.sit(mesh)?;
            seat.mesh.delete_task(&seat.me, id)?;
            if desk.json {
                print::json(&json!({ "deleted": true }))?;
            } else {
                print::line(&format!("deleted: {id}"))?;
            }
            Ok(Ending::Done)
        }
        Action::CancelStale { older_than, reason } => {
            cancel_stale(desk, *older_than, reason.as_deref())
        }
        Action::Board { watch } => board::board(desk, *watch),
    }
}

fn create(desk: &Desk, title: &String, given: &Given) -> Outcome {
    let mut mesh = desk.open()?;
    let fields = given.fields(desk, &mut mesh, Some(title))?;
    let mut seat = desk.sit(mesh)?;
    let created = seat
        .mesh
        .create_task(&seat.me, &desk.project.path, &fields)?;
    if desk.json {
        print::json(&output::task_created(&created))?;
        return Ok(Ending::Done);
    }
    let task = &created.task;
    let word = if created.created {
        "created"
    } else {
        "there is such a task already"
    };
    print::line(&format!("{word}: {}", told(desk, task)))?;
    Ok(Ending::Done)
}

fn update(desk: &Desk, mesh: Mesh, change: &TaskChange) -> Outcome {
    let mut seat = desk.sit(mesh)?;
    let updated = seat.mesh.update_task(&seat.me, change)?;
    if desk.json {
        print::json(&output::task_updated(&updated, &seat.mesh.now()))?;
        return Ok(Ending::Done);
    }
    tell_updated(desk, &updated)?;
    Ok(Ending::Done)
}

/// Prints what came of changing a task.
pub(super) fn tell_updated(desk: &Desk, updated: &TaskUpdated) -> Result<(), Failure> {
    print::line(&told(desk, &updated.task))?;
    for FileClaim { claim, own } in &updated.claims {
        let who = if *own {
            "claimed for you"
        } else {
            &format!("held by {}", claim.peer_name)
        };
        print::line(&format!("{}: {who}", file(desk, &claim.resource)))?;
    }
    Ok(())
}

fn show(desk: &Desk, id: &str) -> Outcome {
    let mut mesh = existing(desk, id)?;
    let id = find(desk, &mut mesh, id)?;
    let task = mesh.task(id)?;
    if desk.json {
        print::json(&json!({ "task": output::task(&task) }))?;
        return Ok(Ending::Done);
    }
    let now_ms = mesh.now().wall_ms;
    let line = |text: &str| desk.foreign(&text::one_line(text));
    print::line(&strong(&line(&task.title)))?;
    let files: Vec<String> = task.files_owned.iter().map(|one| file(desk, one)).collect();
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
                ago(now_ms - task.created_at_ms)
            ),
        ),
        (
            "changed",
            format!(
                "{}, version {}",
                ago(now_ms - task.updated_at_ms),
                task.version
            ),
        ),
    ];
    for (key, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        print::line(&format!("{:<9} {value}", key.dimmed()))?;
    }
    if !task.description.is_empty() {
        print::line(&format!("\n{}", desk.foreign(&task.description)))?;
    }
    Ok(Ending::Done)
}

fn list(desk: &Desk, wanted: &TaskSelection) -> Outcome {
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "tasks": [], "counts": output::task_counts([0; 5]) }));
    };
    let own = desk.own_name(&mut mesh)?;
    let found = mesh.tasks(own.as_ref(), &desk.project.path, wanted)?;
    if desk.json {
        let tasks: Vec<_> = found.tasks.iter().map(output::task).collect();
        print::json(&json!({ "tasks": tasks, "counts": output::task_counts(found.counts) }))?;
    } else if found.tasks.is_empty() {
        print::line("no such tasks")?;
    } else {
        print::raw(format!("{}\n", table::text(&table(desk, &found.tasks))).as_bytes())?;
    }
    Ok(Ending::Done)
}

fn table(desk: &Desk, tasks: &[store::Task]) -> Table {
    let mut table = table::headed(["ID", "STATUS", "PRIORITY", "FOR", "TITLE"]);
    for task in tasks {
        table.add_row([
            task.id.to_string(),
            task.status.as_str().to_owned(),
            task.priority.as_str().to_owned(),
            desk.foreign(task.assigned_name.as_deref().unwrap_or("-")),
            desk.foreign(&text::one_line(&task.title)),
        ]);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

fn cancel_stale(desk: &Desk, older_than: Duration, reason: Option<&str>) -> Outcome {
    let Some(mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "cancelled": [] }));
    };
    let mut seat = desk.sit(mesh)?;
    let seconds = u32::try_from(older_than.as_secs()).unwrap_or(u32::MAX);
    let folder = &desk.project.path;
    let cancelled = seat
        .mesh
        .cancel_stale_tasks(&seat.me, folder, seconds, reason)?;
    if desk.json {
        print::json(&json!({ "cancelled": cancelled }))?;
        return Ok(Ending::Done);
    }
    for id in &cancelled {
        print::line(&format!("cancelled: {id}"))?;
    }
    if cancelled.is_empty() {
        print::line("no todo task of this project is that old")?;
    }
    Ok(Ending::Done)
}

/// One task on one line.
fn told(desk: &Desk, task: &store::Task) -> String {
    let who = task.assigned_name.as_ref();
    let who = who.map_or_else(String::new, |name| format!(", for {}", desk.foreign(name)));
    format!(
        "{} ({}{who})  {}",
        desk.foreign(&text::one_line(&task.title)),
        task.status.as_str(),
        task.id.to_string().dimmed()
    )
}

fn file(desk: &Desk, resource: &str) -> String {
    let path = resource.strip_prefix("file:").unwrap_or(resource);
    desk.shown(path.as_ref())
}

/// Opens the mesh in which a task is to be.
pub(super) fn existing(desk: &Desk, id: &str) -> Result<Mesh, Failure> {
    match desk.open_existing()? {
        Some(mesh) => Ok(mesh),
        None => Err(crate::model::Refusal::NoTask { id: id.into() }.into()),
    }
}

/// Returns the task of an id, or of the end of one among those of this project.
pub(super) fn find(desk: &Desk, mesh: &mut Mesh, given: &str) -> Result<TaskId, Failure> {
    let given = given.trim();
    if let Ok(id) = given.parse() {
        return Ok(id);
    }
    let own = desk.own_name(mesh)?;
    let all = TaskSelection {
        limit: LOOKED_THROUGH,
        ..TaskSelection::default()
    };
    let found = mesh.tasks(own.as_ref(), &desk.project.path, &all)?;
    let ends = given.to_uppercase();
    let fits: Vec<TaskId> = found
        .tasks
        .iter()
        .map(|task| task.id)
        .filter(|id| !ends.is_empty() && id.to_string().ends_with(&ends))
        .collect();
    match fits.as_slice() {
        [only] => Ok(*only),
        [] => Err(crate::model::Refusal::NoTask { id: given.into() }.into()),
        [first, ..] => Err(Wrong::new(
            "invalid_argument",
            format!("{} tasks end with {given:?}", fits.len()),
            format!("type more of it, for example {first}"),
        )
        .into()),
    }
}
