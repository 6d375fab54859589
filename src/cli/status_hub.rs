//! `claude-mesh status` in a folder whose mesh is at a hub: which hub, as whom, how far away, and what does not work here.
use serde_json::json;

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::CliError;
use crate::cli::hub_wall::code_of;
use crate::cli::print;
use crate::platform::hub_location::HubLocation;
use crate::platform::text;
use crate::remote;

/// What needs the file of the mesh, and what a person does instead.
const NOT_HERE: &str = "log, quiet, pause, gc, top, backup; use the board of the hub";

/// Prints what the hub says of itself and of this machine.
pub(super) fn status(hub: &HubLocation, json: bool) -> CommandResult {
    let (described, round_trip) = remote::probe(hub)
        .map_err(|error| CliError::new(code_of(&error), error.to_string(), error.hint()))?;
    let round_trip_ms = (round_trip.as_secs_f64() * 1e6).round() / 1000.0;
    if json {
        print::json(&json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "url": hub.url,
            "decided_by": hub.decided_by,
            "mesh": described.mesh,
            "host": described.host,
            "hub_version": described.version,
            "round_trip_ms": round_trip_ms,
        }))?;
        return Ok(CommandStatus::Done);
    }
    let printable = text::strip_terminal_controls;
    for (name, value) in [
        (
            "mesh",
            format!("{} at {}", printable(&described.mesh), hub.url),
        ),
        ("decided by", hub.decided_by.clone()),
        ("host", printable(&described.host)),
        (
            "hub",
            format!("claude-mesh {}", printable(&described.version)),
        ),
        ("distance", format!("{round_trip_ms:.1} ms, there and back")),
        ("not here", NOT_HERE.to_owned()),
    ] {
        print::line(&format!("{name:<10} {value}"))?;
    }
    Ok(CommandStatus::Done)
}
