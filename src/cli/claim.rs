//! `claude-mesh claim`, `release` and `claims`: who uses what meanwhile, for people, scripts and a git hook.
use std::path::Path;
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use serde_json::json;

use crate::cli::context::Desk;
use crate::cli::error::{Failure, Wrong};
use crate::cli::progress::{LiveLine, Stop};
use crate::cli::{Ending, Outcome, duration, print, staged_files, table};
use crate::mesh;
use crate::mesh::{
    Came, ClaimFilter, ClaimLine, Claimed, Claiming, Member, Mesh, Ticket, WaitReason, WhichClaim,
};
use crate::model::question::{ago, lasts};
use crate::model::{ClaimState, Mode};
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
    let most = u64::from(crate::model::claim::LEASE_SECONDS_MAX);
    if (1..=most).contains(&span.as_secs()) {
        Ok(span)
    } else {
        Err("expected from 1s to 24h".into())
    }
}

/// Claims, and waits in line if told so.
pub(super) fn claim(desk: &Desk, args: &Claim) -> Outcome {
    let resource = mesh::resource(&desk.settings.working_directory, &args.resource)?;
    let wanted = Claiming {
        resource: &resource,
        mode: if args.shared {
            Mode::Shared
        } else {
            Mode::Exclusive
        },
        lease_ms: i64::try_from(args.lease.as_millis()).unwrap_or(i64::MAX),
        note: args.note.as_deref(),
        queue: args.queue || args.wait.is_some(),
        wait: args.wait.is_some(),
    };
    let mut member = desk.join()?;
    let me = member.sitting().clone();
    // Whoever stops it as soon as it stands in line is heard already.
    let stop = Stop::on_signals(member.signal())?;
    let mut claimed = member.mesh().claim(&me, &wanted)?;
    if let (Claimed::Queued(ticket), Some(at_most)) = (&claimed, args.wait) {
        let ticket = ticket.clone();
        match wait(
            desk,
            &mut member,
            &wanted,
            ticket,
            at_most,
            &stop,
            args.queue,
        )? {
            Waited::Came(came) => claimed = came,
            Waited::Stopped => return stopped(desk, &resource, args.queue),
            Waited::Interrupted(words) => {
                let kept = args.queue || !desk.is_person();
                return interrupted(desk, &resource, &words, kept);
            }
        }
    }
    let now = member.mesh().now();
    tell(desk, args, &resource, &claimed, &now)
}

#[expect(clippy::large_enum_variant, reason = "one command has one")]
enum Waited {
    Came(Claimed),
    Stopped,
    Interrupted(String),
}

/// Waits for the turn. A person is told of questions that come meanwhile and waits on; a session ends its wait to answer.
fn wait(
    desk: &Desk,
    member: &mut Member,
    wanted: &Claiming,
    mut ticket: Ticket,
    at_most: Duration,
    stop: &Stop,
    keeps: bool,
) -> Result<Waited, Failure> {
    let me = member.sitting().clone();
    let until_ms =
        member.mesh().now().monotonic_ms + i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX);
    let mut line = LiveLine::new(print::watches_stderr() && !desk.json);
    loop {
        let (id, Some(call)) = (ticket.id, ticket.wait) else {
            return Ok(Waited::Came(Claimed::Queued(ticket)));
        };
        if let Some(chain) = ticket.cycle.take() {
            let names: Vec<String> = chain.iter().map(ToString::to_string).collect();
            member
                .mesh()
                .interrupt(&me, call, &WaitReason::Cycle(chain))?;
            if desk.is_person() && !keeps {
                member.mesh().give_up(&me, id)?;
            }
            let words = format!("each waits for the next: {}", names.join(" → "));
            return Ok(Waited::Interrupted(words));
        }
        let left_ms = until_ms - member.mesh().now().monotonic_ms;
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let came = stand(member, id, call, left, stop, &mut line);
        line.clear();
        match came? {
            Came::There(Some(claimed)) => return Ok(Waited::Came(claimed)),
            _ if stop.is_set() => {
                if !keeps {
                    member.mesh().give_up(&me, id)?;
                }
                return Ok(Waited::Stopped);
            }
            Came::There(None) => return Ok(Waited::Stopped),
            Came::Over => {
                // A session claims again and has its place; a person's command that ended is forgotten.
                let at_last = if keeps || !desk.is_person() {
                    member.mesh().turn_at_last(&me, id)?
                } else {
                    member.mesh().leave_line(&me, id)?
                };
                return Ok(at_last.map_or(Waited::Stopped, Waited::Came));
            }
            Came::Interrupted(interruption) => {
                for waiting in &interruption.questions {
                    print::err(&format!(
                        "{} asks you: {}\n",
                        waiting.from,
                        desk.foreign(&waiting.pending.question.question)
                    ))?;
                }
                if !desk.is_person() {
                    let words = "a question came; answer it, then claim again".to_owned();
                    return Ok(Waited::Interrupted(words));
                }
                match member.mesh().claim(&me, wanted)? {
                    Claimed::Queued(again) => ticket = again,
                    claimed => return Ok(Waited::Came(claimed)),
                }
            }
        }
    }
}

fn stand(
    member: &mut Member,
    id: ClaimId,
    wait: WaitId,
    at_most: Duration,
    stop: &Stop,
    line: &mut LiveLine,
) -> Result<Came<Option<Claimed>>, Failure> {
    let look = |mesh: &mut Mesh, me: &mesh::Sitting| {
        Ok(match mesh.turn(me, id)? {
            Some(Claimed::Queued(ticket)) => {
                line.show(&format!(
                    "place {} in line, held by {}",
                    ticket.place,
                    names(&ticket.holders)
                ));
                None
            }
            turn => Some(turn),
        })
    };
    Ok(member.wait_for(wait, at_most, look, || !stop.is_set())?)
}

fn tell(desk: &Desk, args: &Claim, resource: &str, claimed: &Claimed, now: &Moment) -> Outcome {
    let ending = match claimed {
        Claimed::Granted(_) => Ending::Done,
        Claimed::Queued(_) | Claimed::Denied { .. } if args.wait.is_some() => Ending::NoAnswer,
        Claimed::Queued(_) if args.queue => Ending::Done,
        Claimed::Queued(_) | Claimed::Denied { .. } => Ending::Refused,
    };
    if desk.json {
        print::json(&output::claim(claimed, now))?;
        return Ok(ending);
    }
    let shown = shown(desk, resource);
    match claimed {
        Claimed::Granted(grant) => {
            let word = if grant.renewed { "renewed" } else { "granted" };
            let claim = &grant.claim;
            print::line(&format!(
                "{word}: {shown}, {} until {}, fence {}",
                claim.mode.as_str(),
                until(claim, now),
                claim.fence.unwrap_or_default()
            ))?;
        }
        Claimed::Queued(ticket) if ending != Ending::Refused => print::line(&format!(
            "in line: {shown}, place {}, {}",
            ticket.place,
            held_by(&ticket.holders, now)
        ))?,
        Claimed::Queued(ticket) => {
            let held = held_by(&ticket.holders, now);
            let message = format!(
                "{shown} is {held}; you have place {} in line for it",
                ticket.place
            );
            let hint = format!(
                "`claude-mesh claim {0} --wait 10m` waits for the turn, `claude-mesh release {0}` leaves the line",
                args.resource
            );
            Wrong::new("conflict", message, hint).tell(false);
        }
        Claimed::Denied { holders } => {
            let message = format!("{shown} is {}", held_by(holders, now));
            let hint = format!(
                "`claude-mesh claim {} --wait 10m` joins the line",
                args.resource
            );
            Wrong::new("conflict", message, hint).tell(false);
        }
    }
    Ok(ending)
}

fn stopped(desk: &Desk, resource: &str, kept: bool) -> Outcome {
    if desk.json {
        print::json(&json!({ "status": "cancelled" }))?;
    } else {
        print::line(&format!("stopped; {}", place_is(desk, resource, kept)))?;
    }
    Ok(Ending::NoAnswer)
}

fn interrupted(desk: &Desk, resource: &str, words: &str, kept: bool) -> Outcome {
    if desk.json {
        print::json(&json!({ "status": "interrupted", "hint": words }))?;
    } else {
        print::line(&format!("{words}; {}", place_is(desk, resource, kept)))?;
    }
    Ok(Ending::NoAnswer)
}

fn place_is(desk: &Desk, resource: &str, kept: bool) -> String {
    let word = if kept { "kept" } else { "given up" };
    format!("the place in line for {} is {word}", shown(desk, resource))
}

/// Gives back.
pub(super) fn release(desk: &Desk, args: &Release) -> Outcome {
    let id: Option<ClaimId> = args.what.trim().parse().ok();
    let resource = match id {
        Some(_) => args.what.clone(),
        None => mesh::resource(&desk.settings.working_directory, &args.what)?,
    };
    let Some(mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "released": false, "was": "gone", "promoted": [] }));
    };
    let mut seat = desk.sit(mesh)?;
    let which = id.map_or(WhichClaim::Resource(&resource), WhichClaim::Id);
    let released = seat.mesh.release(&seat.me, which)?;
    if desk.json {
        print::json(&output::released(&released))?;
        return Ok(Ending::Done);
    }
    let shown = shown(desk, &resource);
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
    Ok(Ending::Done)
}

/// Lists claims, or checks what is staged.
pub(super) fn claims(desk: &Desk, args: &Claims) -> Outcome {
    if args.check_staged {
        return staged_files::check_staged(desk);
    }
    let folder = &desk.settings.working_directory;
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "claims": [] }));
    };
    let me = desk.seat_of_session(&mut mesh)?;
    let lines = if let Some(name) = &args.resource {
        mesh.claims(ClaimFilter::Resource(&mesh::resource(folder, name)?))?
    } else {
        let prefix = args.prefix.as_deref().unwrap_or_default();
        mesh.claims(ClaimFilter::Prefix(&mesh::prefix(folder, prefix)?))?
    };
    let now = mesh.now();
    if desk.json {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| output::line(line, me.as_ref(), &now))
            .collect();
        print::json(&json!({ "claims": lines }))?;
    } else if lines.is_empty() {
        print::line("nobody holds anything")?;
    } else {
        print::raw(format!("{}\n", table::text(&table(desk, &lines, &now))).as_bytes())?;
    }
    Ok(Ending::Done)
}

fn table(desk: &Desk, lines: &[ClaimLine], now: &Moment) -> Table {
    let mut table = table::headed(["RESOURCE", "PEER", "MODE", "UNTIL", "FENCE", "NOTE"]);
    for line in lines {
        let row = |claim: &store::Claim, until: String| {
            let note = claim.note.as_deref().unwrap_or_default();
            [
                shown(desk, &line.resource),
                claim.peer_name.to_string(),
                claim.mode.as_str().to_owned(),
                until,
                claim
                    .fence
                    .map_or_else(|| "-".into(), |fence| fence.to_string()),
                text::one_line(&desk.foreign(note)),
            ]
        };
        for claim in &line.holders {
            table.add_row(row(claim, until(claim, now)));
        }
        for (place, claim) in line.queue.iter().enumerate() {
            table.add_row(row(claim, format!("place {} in line", place + 1)));
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

pub(super) fn held_by(claims: &[store::Claim], now: &Moment) -> String {
    match claims.first() {
        // Somebody stands in line before.
        None => "free, but others stand in line before".into(),
        Some(first) => format!("held by {} until {}", names(claims), until(first, now)),
    }
}

fn until(claim: &store::Claim, now: &Moment) -> String {
    let at = rfc3339(output::expires_ms(claim, now));
    let left_ms = claim.lease.until_ms - now.monotonic_ms;
    if left_ms > 0 {
        format!("{at}, {} from now", lasts(left_ms))
    } else {
        format!("{at}, {}, but its session still works", ago(-left_ms))
    }
}

/// Returns a resource as people write it.
pub(super) fn shown(desk: &Desk, resource: &str) -> String {
    match resource.strip_prefix("file:") {
        Some(path) => format!("file:{}", desk.shown(Path::new(path))),
        None => text::one_line(&desk.foreign(resource)),
    }
}
