//! Formats tasks for a terminal.
use owo_colors::OwoColorize;

use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::print;
use crate::mesh::{FileClaim, TaskUpdated};
use crate::platform::text;
use crate::store;

/// Prints a changed task with the claims on its files.
pub(super) fn report_updated(context: &CliContext, updated: &TaskUpdated) -> Result<(), Failure> {
    print::line(&task_line(context, &updated.task))?;
    for FileClaim { claim, own } in &updated.claims {
        let who = if *own {
            "claimed for you"
        } else {
            &format!("held by {}", claim.peer_name)
        };
        print::line(&format!(
            "{}: {who}",
            display_file(context, &claim.resource)
        ))?;
    }
    Ok(())
}

/// Returns a task on one line.
pub(super) fn task_line(context: &CliContext, task: &store::Task) -> String {
    let who = task.assigned_name.as_ref();
    let who = who.map_or_else(String::new, |name| {
        format!(", for {}", context.sanitize_foreign(name))
    });
    format!(
        "{} ({}{who})  {}",
        context.sanitize_foreign(&text::one_line(&task.title)),
        task.status.as_str(),
        task.id.to_string().dimmed()
    )
}

pub(super) fn display_file(context: &CliContext, resource: &str) -> String {
    let path = resource.strip_prefix("file:").unwrap_or(resource);
    context.shown(path.as_ref())
}
