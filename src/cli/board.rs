//! `claude-mesh task board`: draws the tasks of a project as columns, once or after each change.
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::json;

use super::format::ellipsize;
use super::{events, print, table};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::mesh::{Mesh, TaskList};
use crate::model::event::EventPatterns;
use crate::model::{Priority, TaskStatus};
use crate::platform::text;
use crate::store::Task;
use crate::tools::output;

const COLUMNS: [(TaskStatus, &str); 4] = [
    (TaskStatus::Todo, "TODO"),
    (TaskStatus::InProgress, "IN PROGRESS"),
    (TaskStatus::InReview, "IN REVIEW"),
    (TaskStatus::Done, "DONE"),
];
/// How many tasks a column shows; the others are counted.
const CARDS_MAX: usize = 12;
/// How many last letters of an id are shown, which are enough to name a task of a project.
const ID_CHARS: usize = 6;
/// The width of the board without a terminal.
const FALLBACK_WIDTH: usize = 120;

pub(super) fn board(context: &CliContext, watch: bool) -> CommandResult {
    if watch {
        let mut last = String::new();
        let types = EventPatterns::new(vec!["task.*".into()]);
        return events::follow(context, &types, |mesh| {
            let rendered_board = rendered_board(context, &load_tasks(context, mesh)?);
            if rendered_board != last {
                print::redraw(&rendered_board)?;
                last = rendered_board;
            }
            Ok(())
        });
    }
    let Some(mut mesh) = context.open_existing()? else {
        return context
            .report_no_mesh(&json!({ "tasks": [], "counts": output::task_counts([0; 5]) }));
    };
    let found = load_tasks(context, &mut mesh)?;
    print::raw(rendered_board(context, &found).as_bytes())?;
    Ok(CommandStatus::Done)
}

fn load_tasks(context: &CliContext, mesh: &mut Mesh) -> Result<TaskList, Failure> {
    let statuses = COLUMNS.map(|(status, _)| status);
    let limit = u32::try_from(CARDS_MAX).unwrap_or(u32::MAX);
    Ok(mesh.tasks_by_status(&context.project.path, &statuses, limit)?)
}

fn rendered_board(context: &CliContext, found: &TaskList) -> String {
    if context.json {
        let tasks: Vec<_> = found.tasks.iter().map(output::task).collect();
        let counts = output::task_counts(found.counts);
        return format!("{}\n", json!({ "tasks": tasks, "counts": counts }));
    }
    let total_width = print::columns(std::io::stdout())
        .unwrap_or(FALLBACK_WIDTH)
        .max(40);
    // Two columns are separated by two spaces.
    let width = total_width / COLUMNS.len() - 2;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).enforce_styling();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(total_width).unwrap_or(u16::MAX));
    let heads = COLUMNS.map(|(status, word)| {
        let head = format!("{word} {}", count(found, status));
        Cell::new(text::cut_chars(&head, width)).add_attribute(Attribute::Bold)
    });
    table.set_header(heads);
    table.add_row(COLUMNS.map(|(status, _)| column(context, found, status, width)));
    let fixed = u16::try_from(width + 2).unwrap_or(u16::MAX);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(fixed)));
    }
    let cancelled = match count(found, TaskStatus::Cancelled) {
        0 => String::new(),
        count => format!("{count} cancelled\n"),
    };
    format!("{}\n{cancelled}", table::text(&table))
}

fn count(found: &TaskList, status: TaskStatus) -> u32 {
    let index = TaskStatus::ALL.iter().position(|one| *one == status);
    index.map_or(0, |index| found.counts[index])
}

/// Returns the tasks of a column, each on two lines.
fn column(context: &CliContext, found: &TaskList, status: TaskStatus, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut shown = 0;
    for task in found.tasks.iter().filter(|task| task.status == status) {
        shown += 1;
        lines.push(ellipsize(
            &context.sanitize_foreign(&text::one_line(&task.title)),
            width,
        ));
        lines.push(ellipsize(
            &context.sanitize_foreign(&card_subtitle(task)),
            width,
        ));
        lines.push(String::new());
    }
    let more = count(found, status).saturating_sub(shown);
    if more > 0 {
        lines.push(ellipsize(&format!("and {more} more"), width));
    }
    lines.join("\n")
}

/// Returns the line below the title: the end of the id, the assignee, and the priority unless it is normal.
fn card_subtitle(task: &Task) -> String {
    let id = task.id.to_string();
    let mut words = vec![id[id.len() - ID_CHARS..].to_owned()];
    words.extend(task.assigned_name.clone());
    if task.priority != Priority::Normal {
        words.push(task.priority.as_str().into());
    }
    words.join(" ")
}
