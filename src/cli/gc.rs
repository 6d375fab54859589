//! `claude-mesh gc`: removes expired data at once, which otherwise happens gradually.
use clap::Args;
use serde_json::{Value, json};

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::store::Reclaimed;

/// Remove expired data and free its disk space
#[derive(Debug, Args)]
#[command(
    after_help = "Answered questions, messages, events and the versions of deleted state are kept for 30 days
(CLAUDE_MESH_KEEP_DAYS), memories until their time to live ends; open questions are never removed. A mailbox is removed
when its folder no longer exists, no session was registered at it for 30 days and nothing waits for it. The same happens
gradually by itself, so this command is optional.

Examples:
  claude-mesh gc
  claude-mesh gc --json"
)]
pub(super) struct GcArgs {}

/// Sweeps until nothing is left to remove.
pub(super) fn gc(context: &CliContext) -> CommandResult {
    let mut total = Reclaimed::default();
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&to_json(&total, 0));
    };
    loop {
        let removed = mesh.sweep()?;
        if removed.is_empty() {
            break;
        }
        total += removed;
    }
    let bytes = mesh.shrink()?;
    if context.json {
        print::json(&to_json(&total, bytes))?;
        return Ok(CommandStatus::Done);
    }
    let kinds: Vec<String> = json!(total)
        .as_object()
        .into_iter()
        .flatten()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    print::line(&format!(
        "removed: {}; {bytes} bytes freed",
        kinds.join(", ")
    ))?;
    Ok(CommandStatus::Done)
}

fn to_json(total: &Reclaimed, bytes: u64) -> Value {
    let mut reclaimed = json!(total);
    reclaimed["bytes"] = bytes.into();
    json!({ "reclaimed": reclaimed })
}
