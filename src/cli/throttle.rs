//! `claude-mesh quiet` and `claude-mesh pause`: stops peers from waking one session, or all.
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::message::unknown_peer_refusal;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::{duration, print};
use crate::mesh::Mesh;
use crate::model::throttle::FOREVER_MS;
use crate::platform::clock::rfc3339;

/// Do not wake a session: store the questions for it
///
/// Its askers get `held` at once. The session is woken for held questions when quiet ends; a prompt you type there shows
/// them earlier.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh quiet backend --for 1h
  claude-mesh quiet backend --off
  claude-mesh quiet                     in a session's shell: that session")]
pub(super) struct QuietArgs {
    /// The peer; in the shell of a session that session is the default.
    peer: Option<String>,
    #[command(flatten)]
    span: ThrottleSpanArgs,
}

/// Wake no session of the mesh
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh pause --for 30m
  claude-mesh pause --off")]
pub(super) struct PauseArgs {
    #[command(flatten)]
    span: ThrottleSpanArgs,
}

#[derive(Debug, Args)]
struct ThrottleSpanArgs {
    /// For how long, for example 30m, 2h; otherwise until --off.
    #[arg(long = "for", value_name = "SPAN", value_parser = duration::span)]
    duration: Option<Duration>,
    /// End it.
    #[arg(long, conflicts_with = "duration")]
    off: bool,
}

impl ThrottleSpanArgs {
    /// Returns the end as wall time in milliseconds; `None` to end it now.
    fn until_ms(&self, mesh: &Mesh) -> Option<i64> {
        let now_ms = mesh.now().wall_ms;
        let span_ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(FOREVER_MS);
        match (self.off, self.duration) {
            (true, _) => None,
            (false, Some(span)) => Some(now_ms.saturating_add(span_ms(span))),
            (false, None) => Some(FOREVER_MS),
        }
    }
}

/// Makes a peer quiet, or ends that.
pub(super) fn quiet(context: &CliContext, args: &QuietArgs) -> CommandResult {
    if args.span.off {
        context.require_person("ending quiet")?;
    }
    let Some(mut mesh) = context.open_existing()? else {
        let name = args.peer.as_deref().ok_or_else(missing_peer_error)?;
        return Err(unknown_peer_refusal(name).into());
    };
    let own = context
        .speaker_name(&mut mesh)?
        .filter(|_| !context.is_person())
        .map(|name| name.to_string());
    let other = |name: &String| !context.is_person() && own.as_ref() != Some(&name.to_lowercase());
    if args.peer.as_ref().is_some_and(other) {
        context.require_person("making another session quiet")?;
    }
    let name = args.peer.clone().or(own).ok_or_else(missing_peer_error)?;
    let until_ms = args.span.until_ms(&mesh);
    let mut session = context.register(mesh)?;
    let name = session
        .mesh
        .set_quiet(&session.me, &name.to_lowercase(), until_ms)?;
    report_throttle(context, &name, "quiet", until_ms)
}

/// Pauses the mesh, or ends the pause.
pub(super) fn pause(context: &CliContext, args: &PauseArgs) -> CommandResult {
    context.require_person("pausing the mesh")?;
    // The pause also applies to sessions that join later, so the mesh is created if there is none.
    let existing = if args.span.off {
        context.open_existing()?
    } else {
        Some(context.open()?)
    };
    let Some(mesh) = existing else {
        return report_throttle(context, "this mesh", "paused", None);
    };
    let until_ms = args.span.until_ms(&mesh);
    let mut session = context.register(mesh)?;
    session.mesh.set_mesh_paused(&session.me, until_ms)?;
    report_throttle(context, "this mesh", "paused", until_ms)
}

fn missing_peer_error() -> Failure {
    Failure::argument(
        "the name of a peer is missing; a person cannot be quiet",
        "`claude-mesh quiet NAME`; `claude-mesh pause` holds the whole mesh",
    )
}

fn report_throttle(
    context: &CliContext,
    who: &str,
    what: &str,
    until_ms: Option<i64>,
) -> CommandResult {
    let until = until_ms
        .filter(|until_ms| *until_ms < FOREVER_MS)
        .map(rfc3339);
    if context.json {
        let body = json!({ "peer": who, what: until_ms.is_some(), "until": until });
        print::json(&body)?;
        return Ok(CommandStatus::Done);
    }
    print::line(&throttle_text(who, what, until_ms))?;
    Ok(CommandStatus::Done)
}

/// Returns what is throttled now and until when, for a person.
pub(super) fn throttle_text(who: &str, what: &str, until_ms: Option<i64>) -> String {
    match until_ms {
        None => format!("{who} is no longer {what}; sessions are woken for what was held"),
        Some(FOREVER_MS) => format!("{who} is {what} until you end it with --off"),
        Some(until_ms) => format!("{who} is {what} until {}", rfc3339(until_ms)),
    }
}
