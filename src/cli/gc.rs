//! `claude-mesh gc`: takes away at once what goes gradually by itself.
use clap::Args;
use serde_json::json;

use super::desk::Desk;
use super::{Ending, Outcome, print};

/// Remove what is over its time, and give the space back
#[derive(Debug, Args)]
#[command(
    after_help = "Answered questions and events are kept for 30 days (CLAUDE_MESH_KEEP_DAYS), memories until their time to live is over;
open questions are never removed. The same happens gradually by itself: nobody has to call this.

Examples:
  claude-mesh gc
  claude-mesh gc --json"
)]
pub(super) struct Gc {}

/// Sweeps until nothing is left to take.
pub(super) fn gc(desk: &Desk) -> Outcome {
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "reclaimed": {} }));
    };
    let (mut questions, mut memories, mut events, mut sessions) = (0, 0, 0, 0);
    loop {
        let taken = mesh.sweep()?;
        if taken.is_empty() {
            break;
        }
        questions += taken.questions;
        memories += taken.memories;
        events += taken.events;
        sessions += taken.sessions;
    }
    let mut bytes = 0;
    loop {
        match mesh.shrink()? {
            0 => break,
            given_back => bytes += given_back,
        }
    }
    if desk.json {
        print::json(&json!({ "reclaimed": {
            "questions": questions, "memories": memories, "events": events, "sessions": sessions, "bytes": bytes,
        } }))?;
    } else {
        print::line(&format!(
            "removed: {questions} questions, {memories} memories, {events} events, {sessions} sessions; {bytes} bytes given back"
        ))?;
    }
    Ok(Ending::Done)
}
