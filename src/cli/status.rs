//! `claude-mesh status`: prints the figures of the mesh.
use clap::Args;
use serde_json::{Value, json};

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder};
#[cfg(feature = "remote")]
use crate::cli::status_hub;
use crate::mesh::Status as Figures;
use crate::model::throttle::FOREVER_MS;
use crate::platform::clock::rfc3339;
#[cfg(feature = "remote")]
use crate::platform::isolation::MeshAddress;
use crate::platform::text;
use crate::tools::output;
use crate::wake::ListenerKind;

/// Print the figures of the mesh, or which hub it is at
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh status
  claude-mesh status --json")]
pub(super) struct StatusArgs {}

/// Runs `claude-mesh status`.
pub(super) fn status(json: bool) -> CommandResult {
    let folder = CommandFolder::resolve()?;
    #[cfg(feature = "remote")]
    if let MeshAddress::Hub(hub) = &folder.address {
        return status_hub::status(hub, json);
    }
    status_of_file(&folder.into_context(json)?)
}

fn status_of_file(context: &CliContext) -> CommandResult {
    let location = &context.location;
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({
            "status": "none",
            "path": location.database,
            "mesh": location.name,
            "version": env!("CARGO_PKG_VERSION"),
        }));
    };
    let found = mesh.status()?;
    let paused = mesh.paused_until()?.map(|until_ms| {
        if until_ms == FOREVER_MS {
            "forever".to_owned()
        } else {
            rfc3339(until_ms)
        }
    });
    let moved = mesh.moved_mark()?;
    if context.json {
        let mut body = to_json(context, &found, paused.as_deref());
        if let Some(moved) = &moved {
            body["moved_to"] = moved.to.clone().into();
            body["moved_at"] = rfc3339(moved.at_ms).into();
        }
        print::json(&body)?;
        return Ok(CommandStatus::Done);
    }
    if let Some(moved) = &moved {
        print::line(&format!(
            "moved to {} at {}; `claude-mesh doctor` says how to use it there",
            text::one_line(&moved.to),
            rfc3339(moved.at_ms)
        ))?;
    }
    if let Some(until) = &paused {
        print::line(&format!(
            "paused until {until}; `claude-mesh pause --off` ends it"
        ))?;
    }
    for (name, value) in rows(context, &found) {
        print::line(&format!("{name:<10} {value}"))?;
    }
    Ok(CommandStatus::Done)
}

fn to_json(context: &CliContext, found: &Figures, paused: Option<&str>) -> Value {
    let mut body = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "schema": found.schema,
        "path": context.location.database,
        "mesh": context.location.name,
        "bytes": found.bytes,
        "wal_bytes": found.wal_bytes,
        "wake": wake_method(context),
        "paused_until": paused,
    });
    if let Some(body) = body.as_object_mut() {
        body.extend(output::status(found));
    }
    body
}

fn rows(context: &CliContext, found: &Figures) -> [(&'static str, String); 15] {
    let location = &context.location;
    let [alive, stale, dead] = found.peers;
    let [open, answered, expired] = found.questions;
    let engine = output::status(found)["engine"].clone();
    [
        ("mesh", location.name.clone()),
        (
            "file",
            format!(
                "{} ({} bytes, WAL {} bytes, schema {})",
                context.shown(&location.database),
                found.bytes,
                found.wal_bytes,
                found.schema
            ),
        ),
        ("because", location.decided_by.clone()),
        (
            "peers",
            format!("{alive} alive, {stale} stale, {dead} mailboxes without a session"),
        ),
        (
            "questions",
            format!("{open} open, {answered} answered, {expired} expired"),
        ),
        ("brakes", throttle_summary(found)),
        (
            "forks",
            found.forks.line().unwrap_or_else(|| "no answers".into()),
        ),
        ("messages", found.messages.to_string()),
        ("claims", found.claims.to_string()),
        ("tasks", format!("{} open", found.tasks)),
        ("memories", found.memories.to_string()),
        ("events", found.events.to_string()),
        ("engine", engine.as_str().unwrap_or_default().to_owned()),
        ("wake", wake_method(context).to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

fn wake_method(context: &CliContext) -> &'static str {
    let kind = if context.settings.polling {
        ListenerKind::Polling
    } else {
        ListenerKind::Watcher
    };
    kind.as_str()
}

/// Returns how many turns peers have started, and what is throttled.
fn throttle_summary(found: &Figures) -> String {
    let pluralize = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = vec![format!(
        "peers started {} (at most {} each until you type)",
        pluralize(count(found.posted_turns), "turn", "turns"),
        found.wake_budget
    )];
    if found.over_budget > 0 {
        let who = pluralize(found.over_budget, "session has", "sessions have");
        parts.push(format!("{who} spent them"));
    }
    let held = usize::try_from(found.held).unwrap_or(0);
    parts.push(format!("{} held", pluralize(held, "question", "questions")));
    if found.stops > 0 {
        let times = pluralize(count(found.stops), "time", "times");
        parts.push(format!("turns kept going {times}"));
    }
    parts.join(", ")
}
