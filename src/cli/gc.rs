//! `claude-mesh gc`: takes away at once what goes gradually by itself.
use clap::Args;
use serde_json::{Value, json};

use super::print;
use crate::cli::context::CliContext;
use crate::cli::outcome::{CommandResult, CommandStatus};
use crate::store::Reclaimed;

/// Remove what is over its time, and give the space back
#[derive(Debug, Args)]
#[command(
    after_help = "Answered questions, messages, events and the versions of deleted state are kept for 30 days
(CLAUDE_MESH_KEEP_DAYS), memories until their time to live is over; open questions are never removed. A mailbox goes when its
folder is gone, nobody has sat there for 30 days and nothing waits for it. The same happens gradually by
itself: nobody has to call this.

Examples:
  claude-mesh gc
  claude-mesh gc --json"
)]
pub(super) struct GcArgs {}

/// Sweeps until nothing is left to take.
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
        "removed: {}; {bytes} bytes given back",
        kinds.join(", ")
    ))?;
    Ok(CommandStatus::Done)
}

fn to_json(total: &Reclaimed, bytes: u64) -> Value {
    let mut reclaimed = json!(total);
    reclaimed["bytes"] = bytes.into();
    json!({ "reclaimed": reclaimed })
}
