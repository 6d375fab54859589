//! `claude-mesh status` in a folder whose mesh is at a hub: which hub, as whom, how far away, and what does not work here.
use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
#[cfg(feature = "remote")]
use crate::cli::error::CliError;
use crate::cli::error::Failure;
#[cfg(feature = "remote")]
use crate::cli::hub_wall::code_of;
use crate::cli::print;
use crate::platform::hub_location::HubLocation;
#[cfg(not(feature = "remote"))]
use crate::platform::isolation;
use crate::platform::text;
#[cfg(feature = "remote")]
use crate::remote;

/// What a person does instead of the commands that work on a file.
const NOT_HERE: &str =
    "other commands that work on a mesh; use the tools in a session, or the board of the hub";

/// Prints what the hub says of itself and of this machine.
pub(super) fn status(hub: &HubLocation, json: bool) -> CommandResult {
    let facts = ask(hub)?;
    if json {
        let mut body = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "url": hub.url,
            "decided_by": hub.decided_by,
        });
        if let (Some(body), Value::Object(facts)) = (body.as_object_mut(), facts) {
            body.extend(facts);
        }
        print::json(&body)?;
        return Ok(CommandStatus::Done);
    }
    let text_of = |name: &str| text::strip_terminal_controls(facts[name].as_str().unwrap_or("?"));
    let distance_ms = facts["round_trip_ms"].as_f64().unwrap_or(0.0);
    for (name, value) in [
        ("mesh", format!("{} at {}", text_of("mesh"), hub.url)),
        ("decided by", hub.decided_by.clone()),
        ("host", text_of("host")),
        ("hub", format!("claude-mesh {}", text_of("hub_version"))),
        ("distance", format!("{distance_ms:.1} ms, there and back")),
        ("not here", NOT_HERE.to_owned()),
    ] {
        print::line(&format!("{name:<10} {value}"))?;
    }
    Ok(CommandStatus::Done)
}

#[cfg(feature = "remote")]
fn ask(hub: &HubLocation) -> Result<Value, Failure> {
    let (described, round_trip) = remote::probe(hub)
        .map_err(|error| CliError::new(code_of(&error), error.to_string(), error.hint()))?;
    Ok(json!({
        "mesh": described.mesh,
        "host": described.host,
        "hub_version": described.version,
        "round_trip_ms": (round_trip.as_secs_f64() * 1e6).round() / 1000.0,
    }))
}

#[cfg(not(feature = "remote"))]
fn ask(hub: &HubLocation) -> Result<Value, Failure> {
    Err(isolation::hub_fault(hub).into())
}
