//! `claude-mesh gc`: takes away at once what goes gradually by itself.
use clap::Args;
use serde_json::{Value, json};

use super::{Ending, Outcome, print};
use crate::cli::context::Desk;
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
pub(super) struct Gc {}

/// Sweeps until nothing is left to take.
pub(super) fn gc(desk: &Desk) -> Outcome {
    let mut all = Reclaimed::default();
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&shape(&all, 0));
    };
    loop {
        let taken = mesh.sweep()?;
        if taken.is_empty() {
            break;
        }
        all += taken;
    }
    let bytes = mesh.shrink()?;
    if desk.json {
        print::json(&shape(&all, bytes))?;
        return Ok(Ending::Done);
    }
    let kinds: Vec<String> = json!(all)
        .as_object()
        .into_iter()
        .flatten()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    print::line(&format!(
        "removed: {}; {bytes} bytes given back",
        kinds.join(", ")
    ))?;
    Ok(Ending::Done)
}

fn shape(all: &Reclaimed, bytes: u64) -> Value {
    let mut reclaimed = json!(all);
    reclaimed["bytes"] = bytes.into();
    json!({ "reclaimed": reclaimed })
}
