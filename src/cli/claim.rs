//! `claude-mesh claim`, `release` and `claims`: acquires, releases and lists claims, for people, scripts and a git hook.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use serde_json::json;

use crate::cli::claim_format::{format_holders, lease_end_text, shown};
use crate::cli::claim_wait::{ClaimWait, ClaimWaitOutcome};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::{CliError, Failure};
use crate::cli::progress::StopFlag;
use crate::cli::{duration, print, staged_files, table};
use crate::mesh;
use crate::mesh::{ClaimFilter, ClaimOutcome, ClaimQueue, ClaimRequest, ClaimSelector};
use crate::model::{ClaimMode, ClaimState};
use crate::platform::id::ClaimId;
use crate::platform::{Moment, text};
use crate::store;
use crate::tools::output;

/// Claim a resource, so that no other session uses it meanwhile
///
/// RESOURCE is a name of your own (`deploy`) or `file:PATH`, relative to this folder. The claim of a session ends with the
/// session; yours, as a person, with its lease. Claim again to renew it.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 granted, or queued with --queue; 1 another peer holds it; 3 it was not granted in time.
All your shells outside of a session are one holder: a second one renews the claim of the first.

Examples:
  claude-mesh claim deploy --lease 30m --note 'release 2.1'
  claude-mesh claim file:src/api.rs --wait 10m
  claude-mesh claim docs --shared")]
pub(super) struct ClaimArgs {
    /// What to claim.
    resource: String,
    /// Share it with others that claim it with --shared; otherwise you hold it alone.
    #[arg(long)]
    shared: bool,
    /// How long it lasts, for example 90s, 10m, 1h.
    #[arg(long, default_value = "2m", value_name = "SPAN", value_parser = lease)]
    lease: Duration,
    /// Join the queue and wait for the claim, at most this long; the command leaves the queue when it ends.
    #[arg(long, value_name = "SPAN", value_parser = duration::timeout)]
    wait: Option<Duration>,
    /// Join the queue and return at once; with --wait stay in the queue afterwards.
    #[arg(long)]
    queue: bool,
    /// What it is for; others see it.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Release a claim, or leave its queue
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh release deploy
  claude-mesh release file:src/api.rs
  claude-mesh release 01KXYZ…")]
pub(super) struct ReleaseArgs {
    /// What was claimed, or the id of the claim.
    #[arg(value_name = "RESOURCE|CLAIM_ID")]
    what: String,
}

/// List who holds what, until when, and who is queued
///
/// With --check-staged it lists nothing: it fails if another peer holds a file that is staged in git.
#[derive(Debug, Args)]
#[command(after_help = "\
As .git/hooks/pre-commit: printf '#!/bin/sh\\nexec claude-mesh claims --check-staged\\n'
Exit status of --check-staged: 0 no other peer holds a staged file; 1 one does; 2 there is no repository here.

Examples:
  claude-mesh claims
  claude-mesh claims deploy
  claude-mesh claims --prefix file:src/")]
pub(super) struct ClaimsArgs {
    /// Only this resource.
    resource: Option<String>,
    /// Only resources whose name begins with this.
    #[arg(long, conflicts_with = "resource")]
    prefix: Option<String>,
    /// Fail if another peer holds a staged file exclusively.
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

/// Claims a resource, and waits in its queue with `--wait`.
pub(super) fn claim(context: &CliContext, args: &ClaimArgs) -> CommandResult {
    let resource = mesh::canonical_resource(&context.settings.working_directory, &args.resource)?;
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
    // Installed before the claim, so that a signal right after it takes the ticket out of the queue.
    let stop = StopFlag::on_signals(member.signal())?;
    let mut claimed = member.mesh().claim(&me, &wanted)?;
    if let (ClaimOutcome::Queued(ticket), Some(timeout)) = (&claimed, args.wait) {
        let wait = ClaimWait {
            context,
            wanted: &wanted,
            stop: &stop,
            keep_place: args.queue,
            deadline_monotonic_ms: member.mesh().now().monotonic_ms
                + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX),
        };
        match wait.run(&mut member, ticket.clone())? {
            ClaimWaitOutcome::Claimed(outcome) => claimed = outcome,
            ClaimWaitOutcome::Stopped => return stopped(context, &resource, args.queue),
            ClaimWaitOutcome::Interrupted(explanation) => {
                let kept = args.queue || !context.is_person();
                return interrupted(context, &resource, &explanation, kept);
            }
        }
    }
    let now = member.mesh().now();
    if context.json {
        print::json(&output::claim(&claimed, &now))?;
    } else {
        print_outcome(&shown(context, &resource), args, &claimed, &now)?;
    }
    Ok(claim_status(args, &claimed))
}

fn claim_status(args: &ClaimArgs, claimed: &ClaimOutcome) -> CommandStatus {
    match claimed {
        ClaimOutcome::Granted(_) => CommandStatus::Done,
        ClaimOutcome::Queued(_) | ClaimOutcome::Denied { .. } if args.wait.is_some() => {
            CommandStatus::NoAnswer
        }
        ClaimOutcome::Queued(_) if args.queue => CommandStatus::Done,
        ClaimOutcome::Queued(_) | ClaimOutcome::Denied { .. } => CommandStatus::Refused,
    }
}

fn print_outcome(
    shown: &str,
    args: &ClaimArgs,
    claimed: &ClaimOutcome,
    now: &Moment,
) -> Result<(), Failure> {
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
        ClaimOutcome::Queued(ticket) if claim_status(args, claimed) != CommandStatus::Refused => {
            print::line(&format!(
                "queued: {shown}, position {}, {}",
                ticket.position,
                format_holders(&ticket.holders, now)
            ))?;
        }
        ClaimOutcome::Queued(_) | ClaimOutcome::Denied { .. } => {
            not_granted(shown, &args.resource, claimed, now).report(false);
        }
    }
    Ok(())
}

fn not_granted(shown: &str, resource: &str, claimed: &ClaimOutcome, now: &Moment) -> CliError {
    let wait = format!("`claude-mesh claim {resource} --wait 10m`");
    let (message, hint) = match claimed {
        ClaimOutcome::Queued(ticket) => (
            format!(
                "{shown} is {}; you are at position {} in the queue",
                format_holders(&ticket.holders, now),
                ticket.position
            ),
            format!(
                "{wait} waits for the claim, `claude-mesh release {resource}` leaves the queue"
            ),
        ),
        ClaimOutcome::Denied { holders } => (
            format!("{shown} is {}", format_holders(holders, now)),
            format!("{wait} joins the queue"),
        ),
        ClaimOutcome::Granted(_) => (format!("{shown} is granted"), String::new()),
    };
    CliError::new("conflict", message, hint)
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
        "the place in the queue for {} is {word}",
        shown(context, resource)
    )
}

pub(super) fn release(context: &CliContext, args: &ReleaseArgs) -> CommandResult {
    let id: Option<ClaimId> = args.what.trim().parse().ok();
    let resource = match id {
        Some(_) => args.what.clone(),
        None => mesh::canonical_resource(&context.settings.working_directory, &args.what)?,
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
        Some(ClaimState::Queued) => format!("left the queue: {shown}{next}"),
        None => format!("nothing to release: you neither hold {shown} nor are queued for it"),
    })?;
    Ok(CommandStatus::Done)
}

/// Lists claims, or checks the staged files.
pub(super) fn claims(context: &CliContext, args: &ClaimsArgs) -> CommandResult {
    if args.check_staged {
        return staged_files::check_staged(context);
    }
    let folder = &context.settings.working_directory;
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "claims": [] }));
    };
    let me = context.find_own_session(&mut mesh)?;
    let resource_claims = if let Some(name) = &args.resource {
        mesh.claims(ClaimFilter::Resource(&mesh::canonical_resource(
            folder, name,
        )?))?
    } else {
        let prefix = args.prefix.as_deref().unwrap_or_default();
        mesh.claims(ClaimFilter::Prefix(&mesh::canonical_prefix(
            folder, prefix,
        )?))?
    };
    let now = mesh.now();
    if context.json {
        let resource_claims: Vec<_> = resource_claims
            .iter()
            .map(|line| output::claim_queue(line, me.as_ref(), &now))
            .collect();
        print::json(&json!({ "claims": resource_claims }))?;
    } else if resource_claims.is_empty() {
        print::line("nothing is claimed")?;
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
            table.add_row(row(
                claim,
                format!("position {} in the queue", position + 1),
            ));
        }
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}
