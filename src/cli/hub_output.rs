//! Prints parts of the results of tools at a hub as text.
use serde_json::Value;

use super::format::{bold_name, excerpt, indent};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::Failure;
use crate::cli::hub_context::HubContext;
use crate::cli::{print, table};

/// The heading of a column and the key of its values.
type Column = (&'static str, &'static str);

/// Returns a value as a person reads it; nothing for `null`.
pub(super) fn shown(hub: &HubContext, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => hub.sanitize_foreign(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| shown(hub, value)).collect();
            values.join(", ")
        }
        other => hub.sanitize_foreign(&other.to_string()),
    }
}

/// Prints rows as a table, or that there are none.
pub(super) fn print_table(
    hub: &HubContext,
    rows: &Value,
    columns: &[Column],
    if_empty: &str,
) -> CommandResult {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        print::line(if_empty)?;
        return Ok(CommandStatus::Done);
    }
    let mut lines = table::with_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        let cell = |(_, key): &Column| excerpt(&shown(hub, &row[*key]));
        lines.add_row(columns.iter().map(cell));
    }
    print::line(&table::text(&lines))?;
    Ok(CommandStatus::Done)
}

pub(super) fn print_line(line: &str) -> CommandResult {
    print::line(line)?;
    Ok(CommandStatus::Done)
}

pub(super) fn print_questions(hub: &HubContext, questions: &Value) -> Result<(), Failure> {
    for question in questions.as_array().into_iter().flatten() {
        print::line(&format!(
            "{}  {} asks you: {}",
            shown(hub, &question["question_id"]),
            bold_name(&shown(hub, &question["from"])),
            shown(hub, &question["question"]),
        ))?;
        if let Some(context) = question["context"].as_str() {
            print::line(&indent(&hub.sanitize_foreign(context)))?;
        }
    }
    Ok(())
}
