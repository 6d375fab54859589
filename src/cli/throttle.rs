//! `claude-mesh quiet` and `claude-mesh pause`: a person says when sessions are to be left alone.
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::message::no_one;
use crate::cli::context::Desk;
use crate::cli::error::Failure;
use crate::cli::{Ending, Outcome, duration, print};
use crate::mesh::Mesh;
use crate::model::throttle::FOREVER_MS;
use crate::platform::clock::rfc3339;

/// Leave a session alone: store what it is asked, and do not ring
///
/// Its askers get `held` at once. What was held is rung for when quiet ends; a prompt you type brings it earlier.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh quiet backend --for 1h
  claude-mesh quiet backend --off
  claude-mesh quiet                     in a session's shell: that session")]
pub(super) struct Quiet {
    /// Which peer; in a session's shell that session.
    peer: Option<String>,
    #[command(flatten)]
    span: Span,
}

/// Leave all sessions of the mesh alone
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh pause --for 30m
  claude-mesh pause --off")]
pub(super) struct Pause {
    #[command(flatten)]
    span: Span,
}

#[derive(Debug, Args)]
struct Span {
    /// For how long, for example 30m, 2h; without it until --off.
    #[arg(long = "for", value_name = "SPAN", value_parser = duration::span)]
    this_long: Option<Duration>,
    /// End it.
    #[arg(long, conflicts_with = "this_long")]
    off: bool,
}

impl Span {
    /// Returns until when, in wall milliseconds; `None` ends it.
    fn until_ms(&self, mesh: &Mesh) -> Option<i64> {
        let now_ms = mesh.now().wall_ms;
        let span_ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(FOREVER_MS);
        match (self.off, self.this_long) {
            (true, _) => None,
            (false, Some(span)) => Some(now_ms.saturating_add(span_ms(span))),
            (false, None) => Some(FOREVER_MS),
        }
    }
}

/// Makes one peer quiet, or ends it.
pub(super) fn quiet(desk: &Desk, args: &Quiet) -> Outcome {
    if args.span.off {
        desk.persons_only("ending quiet")?;
    }
    let Some(mut mesh) = desk.open_existing()? else {
        let name = args.peer.as_deref().ok_or_else(which_peer)?;
        return Err(no_one(name).into());
    };
    let own = desk
        .own_name(&mut mesh)?
        .filter(|_| !desk.is_person())
        .map(|name| name.to_string());
    let other = |name: &String| !desk.is_person() && own.as_ref() != Some(&name.to_lowercase());
    if args.peer.as_ref().is_some_and(other) {
        desk.persons_only("making another session quiet")?;
    }
    let name = args.peer.clone().or(own).ok_or_else(which_peer)?;
    let until_ms = args.span.until_ms(&mesh);
    let mut seat = desk.sit(mesh)?;
    let name = seat
        .mesh
        .set_quiet(&seat.me, &name.to_lowercase(), until_ms)?;
    tell(desk, &name, "quiet", until_ms)
}

/// Pauses the whole mesh, or ends it.
pub(super) fn pause(desk: &Desk, args: &Pause) -> Outcome {
    desk.persons_only("pausing the mesh")?;
    // Where no mesh is yet, it is made: what is paused is whoever comes.
    let existing = if args.span.off {
        desk.open_existing()?
    } else {
        Some(desk.open()?)
    };
    let Some(mesh) = existing else {
        return tell(desk, "this mesh", "paused", None);
    };
    let until_ms = args.span.until_ms(&mesh);
    let mut seat = desk.sit(mesh)?;
    seat.mesh.set_paused(&seat.me, until_ms)?;
    tell(desk, "this mesh", "paused", until_ms)
}

fn which_peer() -> Failure {
    Failure::argument(
        "which peer? A person has no seat to make quiet",
        "`claude-mesh quiet NAME`; `claude-mesh pause` holds the whole mesh",
    )
}

fn tell(desk: &Desk, who: &str, what: &str, until_ms: Option<i64>) -> Outcome {
    let until = until_ms
        .filter(|until_ms| *until_ms < FOREVER_MS)
        .map(rfc3339);
    if desk.json {
        let body = json!({ "peer": who, what: until_ms.is_some(), "until": until });
        print::json(&body)?;
        return Ok(Ending::Done);
    }
    print::line(&match (until_ms, until) {
        (None, _) => format!("{who} is not {what} any more; what was held is rung for now"),
        (Some(_), Some(until)) => format!("{who} is {what} until {until}"),
        (Some(_), None) => format!("{who} is {what} until you end it with --off"),
    })?;
    Ok(Ending::Done)
}
