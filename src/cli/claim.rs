//! `claude-mesh claim`, `release` and `claims`: who uses what meanwhile, for people, scripts and a git hook.
use std::path::Path;
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use serde_json::json;

use crate::cli::context::CliContext;
use crate::cli::error::{CliError, Failure};
use crate::cli::progress::{ProgressLine, StopFlag};
use crate::cli::{CommandResult, CommandStatus, duration, print, staged_files, table};
use crate::mesh;
use crate::mesh::{
    ClaimFilter, ClaimOutcome, ClaimQueue, ClaimRequest, ClaimSelector, InterruptReason, Member,
    Mesh, Ticket, WaitOutcome,
};
use crate::model::elapsed::{format_ago, format_duration};
use crate::model::{ClaimMode, ClaimState};
use crate::platform::clock::rfc3339;
use crate::platform::id::{ClaimId, WaitId};
use crate::platform::{Moment, text};
use crate::store;
use crate::tools::output;

/// Claim a resource, so that no other session uses it meanwhile
///
/// RESOURCE is a name of your own (`deploy`) or `file:PATH`, seen from here. A session's claim ends with it; yours, as a
/// person, lives for its lease. Claim again to renew it.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 granted, or in line with --queue; 1 somebody else holds it; 3 the turn did not come in time.
All your shells outside of a session are one holder: a second one renews what the first has claimed.

Examples:
  claude-mesh claim deploy --lease 30m --note 'release 2.1'
  claude-mesh claim file:src/api.rs --wait 10m
  claude-mesh claim docs --shared")]
pub(super) struct Claim {
    /// What to claim.
    resource: String,
    /// Beside others that share it; without it alone.
    #[arg(long)]
    shared: bool,
    /// How long it lasts, for example 90s, 10m, 1h.
    #[arg(long, default_value = "2m", value_name = "SPAN", value_parser = lease)]
    lease: Duration,
    /// Stand in line and wait for the turn, at most so long; your place ends with the command.
    #[arg(long, value_name = "SPAN", value_parser = duration::timeout)]
    wait: Option<Duration>,
    /// Stand in line and return at once, or with --wait keep the place afterwards.
    #[arg(long)]
    queue: bool,
    /// What for; others see it.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Give back a claim, or a place in line
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh release deploy
  claude-mesh release file:src/api.rs
  claude-mesh release 01KXYZ…")]
pub(super) struct Release {
    /// What was claimed, or the id of the claim.
    #[arg(value_name = "RESOURCE|CLAIM_ID")]
    what: String,
}

/// List who holds what, until when, and who stands in line
///
/// With --check-staged it lists nothing: it fails when somebody else holds a file that is staged in git.
#[derive(Debug, Args)]
#[command(after_help = "\
As .git/hooks/pre-commit: printf '#!/bin/sh\\nexec claude-mesh claims --check-staged\\n'
Exit status of --check-staged: 0 nobody else holds a staged file; 1 somebody does; 2 there is no repository here.

Examples:
  claude-mesh claims
  claude-mesh claims deploy
  claude-mesh claims --prefix file:src/")]
pub(super) struct Claims {
    /// Only this resource.
    resource: Option<String>,
    /// Only resources whose name begins so.
    #[arg(long, conflicts_with = "resource")]
    prefix: Option<String>,
    /// Fail when somebody else holds a staged file alone.
    #[arg(long, conflicts_with_all = ["resource", "prefix"])]
    check_staged: bool,
}

fn lease(text: &str) -> Result<Duration, String> {
    let span = duration::span(text)?;
    let max_seconds = u64::from(crate::model::claim::LEASE_SECONDS_MAX);
    if (1..=max_seconds).contains(&span.as_secs()) {
        Ok(span)
    } else {
        Err("expected from 1s to 24h".into())
    }
}

/// Claims, and waits in line if told so.
pub(super) fn claim(context: &CliContext, args: &Claim) -> CommandResult {
    let resource = mesh::resource(&context.settings.working_directory, &args.resource)?;
    let wanted = ClaimRequest {
        resource: &resource,
        mode: if args.shared {
            ClaimMode::Shared
        } else {
            ClaimMode::Exclusive
        },
        lease_ms: i64::try_from(args.lease.as_millis()).unwrap_or(i64::MAX),
        note: args.note.as_deref(),
        queue: args.queue || args.wait.is_some(),
        wait: args.wait.is_some(),
    };
    let mut member = context.join()?;
    let me = member.handle().clone();
    // Whoever stops it as soon as it stands in line is heard already.
    let stop = StopFlag::on_signals(member.signal())?;
    let mut claimed = member.mesh().claim(&me, &wanted)?;
    if let (ClaimOutcome::Queued(ticket), Some(max_wait)) = (&claimed, args.wait) {
        let ticket = ticket.clone();
        match wait(
            context,
            &mut member,
            &wanted,
            ticket,
            max_wait,
            &stop,
            args.queue,
        )? {
            ClaimWaitOutcome::Claimed(wait_outcome) => claimed = wait_outcome,
            ClaimWaitOutcome::Stopped => return stopped(context, &resource, args.queue),
            ClaimWaitOutcome::Interrupted(explanation) => {
                let kept = args.queue || !context.is_person();
                return interrupted(context, &resource, &explanation, kept);
            }
        }
    }
    let now = member.mesh().now();
    report(context, args, &resource, &claimed, &now)
}

#[expect(clippy::large_enum_variant, reason = "one command has one")]
enum ClaimWaitOutcome {
    Claimed(ClaimOutcome),
    Stopped,
    Interrupted(String),
}

/// Waits for the turn. A person is told of questions that come meanwhile and waits on; a session ends its wait to answer.
fn wait(
    context: &CliContext,
    member: &mut Member,
    wanted: &ClaimRequest,
    mut ticket: Ticket,
    max_wait: Duration,
    stop: &StopFlag,
    keep_place: bool,
) -> Result<ClaimWaitOutcome, Failure> {
    let me = member.handle().clone();
    let until_ms =
        member.mesh().now().monotonic_ms + i64::try_from(max_wait.as_millis()).unwrap_or(i64::MAX);
    let mut line = ProgressLine::new(print::stderr_is_terminal() && !context.json);
    loop {
        let (id, Some(wait_id)) = (ticket.id, ticket.wait) else {
            return Ok(ClaimWaitOutcome::Claimed(ClaimOutcome::Queued(ticket)));
        };
        if let Some(cycle_peers) = ticket.cycle.take() {
            let names: Vec<String> = cycle_peers.iter().map(ToString::to_string).collect();
            member
                .mesh()
                .interrupt(&me, wait_id, &InterruptReason::Cycle(cycle_peers))?;
            if context.is_person() && !keep_place {
                member.mesh().cancel_ticket(&me, id)?;
            }
            let explanation = format!("each waits for the next: {}", names.join(" → "));
            return Ok(ClaimWaitOutcome::Interrupted(explanation));
        }
        let remaining_ms = until_ms - member.mesh().now().monotonic_ms;
        let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0));
        let wait_outcome = wait_in_queue(member, id, wait_id, remaining, stop, &mut line);
        line.clear();
        match wait_outcome? {
            WaitOutcome::Done(Some(claimed)) => return Ok(ClaimWaitOutcome::Claimed(claimed)),
            _ if stop.is_set() => {
                if !keep_place {
                    member.mesh().cancel_ticket(&me, id)?;
                }
                return Ok(ClaimWaitOutcome::Stopped);
            }
            WaitOutcome::Done(None) | WaitOutcome::Cancelled => {
                return Ok(ClaimWaitOutcome::Stopped);
            }
            WaitOutcome::Expired => {
                // A session claims again and has its place; a person's command that ended is forgotten.
                let final_claim = if keep_place || !context.is_person() {
                    member.mesh().final_queue_turn(&me, id)?
                } else {
                    member.mesh().leave_queue(&me, id)?
                };
                return Ok(final_claim.map_or(ClaimWaitOutcome::Stopped, ClaimWaitOutcome::Claimed));
            }
            WaitOutcome::Interrupted(interruption) => {
                for waiting in &interruption.questions {
                    print::err(&format!(
                        "{} asks you: {}\n",
                        waiting.from,
                        context.sanitize_foreign(&waiting.pending.question.question)
                    ))?;
                }
                if !context.is_person() {
                    let explanation = "a question came; answer it, then claim again".to_owned();
                    return Ok(ClaimWaitOutcome::Interrupted(explanation));
                }
                match member.mesh().claim(&me, wanted)? {
                    ClaimOutcome::Queued(new_ticket) => ticket = new_ticket,
                    claimed => return Ok(ClaimWaitOutcome::Claimed(claimed)),
                }
            }
        }
    }
}

fn wait_in_queue(
    member: &mut Member,
    id: ClaimId,
    wait: WaitId,
    max_wait: Duration,
    stop: &StopFlag,
    line: &mut ProgressLine,
) -> Result<WaitOutcome<Option<ClaimOutcome>>, Failure> {
    let check_turn = |mesh: &mut Mesh, me: &mesh::SessionHandle| {
        Ok(match mesh.queue_turn(me, id)? {
            Some(ClaimOutcome::Queued(ticket)) => {
                line.show(&format!(
                    "place {} in line, held by {}",
                    ticket.position,
                    names(&ticket.holders)
                ));
                None
            }
            queue_turn => Some(queue_turn),
        })
    };
    Ok(member.wait_for(wait, max_wait, check_turn, || !stop.is_set())?)
}

fn report(
    context: &CliContext,
    args: &Claim,
    resource: &str,
    claimed: &ClaimOutcome,
    now: &Moment,
) -> CommandResult {
    let command_status = match claimed {
        ClaimOutcome::Granted(_) => CommandStatus::Done,
        ClaimOutcome::Queued(_) | ClaimOutcome::Denied { .. } if args.wait.is_some() => {
            CommandStatus::NoAnswer
        }
        ClaimOutcome::Queued(_) if args.queue => CommandStatus::Done,
        ClaimOutcome::Queued(_) | ClaimOutcome::Denied { .. } => CommandStatus::Refused,
    };
    if context.json {
        print::json(&output::claim(claimed, now))?;
        return Ok(command_status);
    }
    let shown = shown(context, resource);
    match claimed {
        ClaimOutcome::Granted(grant) => {
            let word = if grant.renewed { "renewed" } else { "granted" };
            let claim = &grant.claim;
            print::line(&format!(
                "{word}: {shown}, {} until {}, fence {}",
                claim.mode.as_str(),
                lease_end_text(claim, now),
                claim.fencing_token.unwrap_or_default()
            ))?;
        }
        ClaimOutcome::Queued(ticket) if command_status != CommandStatus::Refused => {
            print::line(&format!(
                "in line: {shown}, place {}, {}",
                ticket.position,
                format_holders(&ticket.holders, now)
            ))?
        }
        ClaimOutcome::Queued(ticket) => {
            let held = format_holders(&ticket.holders, now);
            let message = format!(
                "{shown} is {held}; you have place {} in line for it",
                ticket.position
            );
            let hint = format!(
                "`claude-mesh claim {0} --wait 10m` waits for the turn, `claude-mesh release {0}` leaves the line",
                args.resource
            );
            CliError::new("conflict", message, hint).report(false);
        }
        ClaimOutcome::Denied { holders } => {
            let message = format!("{shown} is {}", format_holders(holders, now));
            let hint = format!(
                "`claude-mesh claim {} --wait 10m` joins the line",
                args.resource
            );
            CliError::new("conflict", message, hint).report(false);
        }
    }
    Ok(command_status)
}

fn stopped(context: &CliContext, resource: &str, kept: bool) -> CommandResult {
    if context.json {
        print::json(&json!({ "status": "cancelled" }))?;
    } else {
        print::line(&format!(
            "stopped; {}",
            queue_place_note(context, resource, kept)
        ))?;
    }
    Ok(CommandStatus::NoAnswer)
}

fn interrupted(
    context: &CliContext,
    resource: &str,
    explanation: &str,
    kept: bool,
) -> CommandResult {
    if context.json {
        print::json(&json!({ "status": "interrupted", "hint": explanation }))?;
    } else {
        print::line(&format!(
            "{explanation}; {}",
            queue_place_note(context, resource, kept)
        ))?;
    }
    Ok(CommandStatus::NoAnswer)
}

fn queue_place_note(context: &CliContext, resource: &str, kept: bool) -> String {
    let word = if kept { "kept" } else { "given up" };
    format!(
        "the place in line for {} is {word}",
        shown(context, resource)
    )
}

/// Gives back.
pub(super) fn release(context: &CliContext, args: &Release) -> CommandResult {
    let id: Option<ClaimId> = args.what.trim().parse().ok();
    let resource = match id {
        Some(_) => args.what.clone(),
        None => mesh::resource(&context.settings.working_directory, &args.what)?,
    };
    let Some(mesh) = context.open_existing()? else {
        return context
            .report_no_mesh(&json!({ "released": false, "was": "gone", "promoted": [] }));
    };
    let mut session = context.register(mesh)?;
    let which = id.map_or(ClaimSelector::Resource(&resource), ClaimSelector::Id);
    let released = session.mesh.release(&session.me, which)?;
    if context.json {
        print::json(&output::released(&released))?;
        return Ok(CommandStatus::Done);
    }
    let shown = shown(context, &resource);
    let names: Vec<String> = released.promoted.iter().map(ToString::to_string).collect();
    let next = match names.len() {
        0 => String::new(),
        _ => format!("; now held by {}", names.join(", ")),
    };
    print::line(&match released.was {
        Some(ClaimState::Held) => format!("released: {shown}{next}"),
        Some(ClaimState::Queued) => format!("out of the line: {shown}{next}"),
        None => format!("nothing to release: you neither hold {shown} nor stand in line for it"),
    })?;
    Ok(CommandStatus::Done)
}

/// Lists claims, or checks what is staged.
pub(super) fn claims(context: &CliContext, args: &Claims) -> CommandResult {
    if args.check_staged {
        return staged_files::check_staged(context);
    }
    let folder = &context.settings.working_directory;
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "claims": [] }));
    };
    let me = context.find_own_session(&mut mesh)?;
    let resource_claims = if let Some(name) = &args.resource {
        mesh.claims(ClaimFilter::Resource(&mesh::resource(folder, name)?))?
    } else {
        let prefix = args.prefix.as_deref().unwrap_or_default();
        mesh.claims(ClaimFilter::Prefix(&mesh::prefix(folder, prefix)?))?
    };
    let now = mesh.now();
    if context.json {
        let resource_claims: Vec<_> = resource_claims
            .iter()
            .map(|line| output::line(line, me.as_ref(), &now))
            .collect();
        print::json(&json!({ "claims": resource_claims }))?;
    } else if resource_claims.is_empty() {
        print::line("nobody holds anything")?;
    } else {
        print::raw(
            format!("{}\n", table::text(&table(context, &resource_claims, &now))).as_bytes(),
        )?;
    }
    Ok(CommandStatus::Done)
}

fn table(context: &CliContext, resource_claims: &[ClaimQueue], now: &Moment) -> Table {
    let mut table = table::with_header(["RESOURCE", "PEER", "MODE", "UNTIL", "FENCE", "NOTE"]);
    for line in resource_claims {
        let row = |claim: &store::Claim, lease_end_text: String| {
            let note = claim.note.as_deref().unwrap_or_default();
            [
                shown(context, &line.resource),
                claim.peer_name.to_string(),
                claim.mode.as_str().to_owned(),
                lease_end_text,
                claim
                    .fencing_token
                    .map_or_else(|| "-".into(), |fencing_token| fencing_token.to_string()),
                text::one_line(&context.sanitize_foreign(note)),
            ]
        };
        for claim in &line.holders {
            table.add_row(row(claim, lease_end_text(claim, now)));
        }
        for (position, claim) in line.queue.iter().enumerate() {
            table.add_row(row(claim, format!("place {} in line", position + 1)));
        }
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

fn names(claims: &[store::Claim]) -> String {
    let mut names: Vec<&str> = claims
        .iter()
        .map(|claim| claim.peer_name.as_str())
        .collect();
    names.dedup();
    names.join(", ")
}

pub(super) fn format_holders(claims: &[store::Claim], now: &Moment) -> String {
    match claims.first() {
        // Somebody stands in line before.
        None => "free, but others stand in line before".into(),
        Some(first) => format!(
            "held by {} until {}",
            names(claims),
            lease_end_text(first, now)
        ),
    }
}

fn lease_end_text(claim: &store::Claim, now: &Moment) -> String {
    let at = rfc3339(output::lease_expires_at_ms(claim, now));
    let remaining_ms = claim.lease.expires_at_monotonic_ms - now.monotonic_ms;
    if remaining_ms > 0 {
        format!("{at}, {} from now", format_duration(remaining_ms))
    } else {
        format!(
            "{at}, {}, but its session still works",
            format_ago(-remaining_ms)
        )
    }
}

/// Returns a resource as people write it.
pub(super) fn shown(context: &CliContext, resource: &str) -> String {
    match resource.strip_prefix("file:") {
        Some(path) => format!("file:{}", context.shown(Path::new(path))),
        None => text::one_line(&context.sanitize_foreign(resource)),
    }
}
