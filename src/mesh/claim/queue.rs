//! The line for a resource: who is gone or over his time, whose turn has come. Every verb that touches a resource, or ends a
//! session, leaves its line in order before the commit; the promoted are rung after it.
use std::time::Duration;

use serde_json::json;

use crate::mesh::peer::liveness::{Around, record_death};
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::claim::{Holder, InLine, waits_for, whose_turn};
use crate::model::{Activity, ClaimState, EventKind, Liveness, PeerKind, Result};
use crate::platform::Moment;
use crate::platform::id::{PeerId, SessionId};
use crate::store::{Claim, Tx};

/// Whose a claim is. Each session is a holder of its own; a person is one holder, whichever command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Owner {
    Session(SessionId),
    Person(PeerId),
}

impl Owner {
    pub(in crate::mesh) fn of(claim: &Claim) -> Self {
        match claim.kind {
            PeerKind::Person => Self::Person(claim.peer),
            PeerKind::Session | PeerKind::Run => Self::Session(claim.session),
        }
    }

    pub(in crate::mesh) fn me(me: &Sitting) -> Self {
        match me.kind {
            PeerKind::Person => Self::Person(me.peer),
            PeerKind::Session | PeerKind::Run => Self::Session(me.session),
        }
    }
}

/// The holders of a resource and the line for it.
#[derive(Debug, Clone)]
pub(in crate::mesh) struct Line {
    pub(in crate::mesh) holders: Vec<Claim>,
    pub(in crate::mesh) queue: Vec<Claim>,
}

impl Line {
    pub(in crate::mesh) fn of(claims: Vec<Claim>) -> Self {
        let (holders, queue) = claims
            .into_iter()
            .partition(|claim| claim.state == ClaimState::Held);
        Self { holders, queue }
    }

    /// Returns the places in the queue of those whose turn has come, were `newcomer` the last in it.
    pub(in crate::mesh) fn turns(&self, newcomer: Option<InLine<Owner>>) -> Vec<usize> {
        let mut queue = places(&self.queue);
        queue.extend(newcomer);
        whose_turn(&places(&self.holders), &queue)
    }

    /// Returns the peers for whom the ticket at a place waits.
    pub(in crate::mesh) fn blockers(&self, place: usize) -> Vec<PeerId> {
        let queue = places(&self.queue);
        let owners = waits_for(&places(&self.holders), &queue[..place], queue[place]);
        let all = self.holders.iter().chain(&self.queue);
        let mut peers: Vec<PeerId> = all
            .filter(|claim| owners.contains(&Owner::of(claim)))
            .map(|claim| claim.peer)
            .collect();
        peers.dedup();
        peers
    }
}

fn places(claims: &[Claim]) -> Vec<InLine<Owner>> {
    let place = |claim: &Claim| InLine {
        owner: Owner::of(claim),
        mode: claim.mode,
    };
    claims.iter().map(place).collect()
}

/// Why a claim is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Over {
    /// The session is dead.
    Died,
    /// The time is over, or was counted on another boot.
    Lease,
}

/// Returns whether a claim is over, by the one rule for all.
pub(in crate::mesh) fn is_over(tx: &Tx, around: &Around, claim: &Claim) -> Result<Option<Over>> {
    let now = &tx.now;
    if claim.boot != *now.boot {
        return Ok(Some(Over::Lease));
    }
    let lapsed = now.monotonic_ms >= claim.lease.until_ms;
    if claim.kind == PeerKind::Person {
        return persons_is_over(tx, around, claim, lapsed);
    }
    let session = tx.session(claim.session)?;
    let alive = session
        .as_ref()
        .is_some_and(|session| around.liveness(session, claim.ttl_ms, now) != Liveness::Dead);
    if !alive {
        return Ok(Some(Over::Died));
    }
    if claim.state == ClaimState::Queued {
        return Ok(None);
    }
    let busy =
        lapsed && session.is_some_and(|session| around.activity(&session, now) == Activity::Busy);
    let over = claim
        .lease
        .is_over(Holder { alive, busy }, now.monotonic_ms);
    Ok(over.then_some(Over::Lease))
}

/// What a person holds lives by its time alone, and so does a place in line that a command left there. A place where commands
/// wait lives as long as one of them.
fn persons_is_over(tx: &Tx, around: &Around, claim: &Claim, lapsed: bool) -> Result<Option<Over>> {
    let commands = match claim.state {
        ClaimState::Held => Vec::new(),
        ClaimState::Queued => tx.sessions_in_line(claim)?,
    };
    if commands.is_empty() {
        return Ok(lapsed.then_some(Over::Lease));
    }
    for command in commands {
        let waits = around.bells.is_served(command)
            || tx.session(command)?.is_some_and(|session| {
                around.liveness(&session, claim.ttl_ms, &tx.now) != Liveness::Dead
            });
        if waits {
            return Ok(None);
        }
    }
    Ok(Some(Over::Died))
}

/// Returns whether a line is not in order: somebody in it is over, or somebody's turn has come.
fn is_due(tx: &Tx, around: &Around, line: &Line) -> Result<bool> {
    if !line.turns(None).is_empty() {
        return Ok(true);
    }
    for claim in line.holders.iter().chain(&line.queue) {
        if is_over(tx, around, claim)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts every line in order that this transaction has touched.
pub(in crate::mesh) fn advance(tx: &Tx, around: &Around, rings: &mut Rings) -> Result<()> {
    while let Some(resource) = rings.lines.pop() {
        settle(tx, around, rings, &resource)?;
    }
    Ok(())
}

/// Takes out whoever is over, and promotes whose turn has come.
pub(in crate::mesh) fn settle(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    resource: &str,
) -> Result<Line> {
    let mut changed = false;
    for claim in tx.claims_on(resource)? {
        if let Some(over) = is_over(tx, around, &claim)? {
            changed = true;
            take_out(tx, rings, &claim, over)?;
        }
    }
    let line = Line::of(tx.claims_on(resource)?);
    let turns = line.turns(None);
    for place in &turns {
        changed = true;
        promote(tx, around, rings, &line, &line.queue[*place])?;
    }
    if !changed {
        return Ok(line);
    }
    let line = Line::of(tx.claims_on(resource)?);
    // The first in line looks when the new holders' time is over.
    rings.add(line.queue.first().map(|ticket| ticket.session));
    Ok(line)
}

fn take_out(tx: &Tx, rings: &mut Rings, claim: &Claim, over: Over) -> Result<()> {
    if over == Over::Died
        && let (Some(session), Some(peer)) = (tx.session(claim.session)?, tx.peer(claim.peer)?)
        && session.ended_at_ms.is_none()
    {
        record_death(tx, rings, &session, &peer)?;
    }
    // The record of a death takes a session's claims with it, but not a person's.
    if tx.claim(claim.id)?.is_some() {
        let why = if over == Over::Died { "died" } else { "lease" };
        reap(tx, claim, why)?;
    }
    Ok(())
}

fn reap(tx: &Tx, claim: &Claim, why: &str) -> Result<()> {
    end(tx, claim, EventKind::ClaimReaped, why)
}

/// Takes a claim or a ticket away, and says so in the log.
fn end(tx: &Tx, claim: &Claim, kind: EventKind, why: &str) -> Result<()> {
    tx.delete_claim(claim.id)?;
    let data = json!({ "claim_id": claim.id, "mode": claim.mode, "fence": claim.fence, "was": claim.state, "why": why });
    Ok(tx.append(kind, Some(claim.peer), &claim.resource, &data)?)
}

/// Grants a ticket its claim. A call that waits for it tells its session; else somebody else must.
fn promote(tx: &Tx, around: &Around, rings: &mut Rings, line: &Line, ticket: &Claim) -> Result<()> {
    let waiting = tx.sessions_in_line(ticket)?;
    let told = waiting
        .iter()
        .any(|session| around.bells.is_served(*session));
    // Who shared it and now has it alone does not share it any more.
    for held in &line.holders {
        if Owner::of(held) == Owner::of(ticket) {
            give_back(tx, held, "changed")?;
        }
    }
    granted(tx, ticket, ticket.mode, told)?;
    rings.add(waiting);
    rings.add([ticket.session]);
    Ok(())
}

/// Grants a claim, and says so. Returns its fence.
pub(in crate::mesh) fn granted(
    tx: &Tx,
    claim: &Claim,
    mode: crate::model::Mode,
    told: bool,
) -> Result<i64> {
    let fence = tx.grant(claim, told)?;
    let data = json!({ "claim_id": claim.id, "mode": mode, "fence": fence, "lease_seconds": claim.lease.lease_ms / 1000 });
    tx.append(
        EventKind::ClaimGranted,
        Some(claim.peer),
        &claim.resource,
        &data,
    )?;
    Ok(fence)
}

/// Takes a claim or a ticket off the line, because its owner gave it back.
pub(in crate::mesh) fn give_back(tx: &Tx, claim: &Claim, why: &str) -> Result<()> {
    end(tx, claim, EventKind::ClaimReleased, why)
}

/// Drops a ticket, unless another call waits there: then it is that one's from now on.
pub(in crate::mesh) fn drop_ticket(
    tx: &Tx,
    rings: &mut Rings,
    ticket: &Claim,
    kind: EventKind,
    why: &str,
) -> Result<()> {
    match tx.sessions_in_line(ticket)?.first() {
        Some(other) if *other == ticket.session => {}
        Some(other) => tx.hand_ticket_to(ticket.id, *other)?,
        None => end(tx, ticket, kind, why)?,
    }
    rings.lines.push(ticket.resource.clone());
    Ok(())
}

/// Takes away what a session that ends holds and stands in line for. What a person claimed outlives the command, but not
/// the places in line where the command was still waiting.
pub(in crate::mesh) fn end_claims(
    tx: &Tx,
    rings: &mut Rings,
    session: SessionId,
    kind: PeerKind,
    waited: Vec<Claim>,
    why: &str,
) -> Result<()> {
    if kind == PeerKind::Person {
        for ticket in waited {
            drop_ticket(tx, rings, &ticket, EventKind::ClaimReaped, why)?;
        }
        return Ok(());
    }
    for claim in tx.claims_of_session(session)? {
        reap(tx, &claim, why)?;
        rings.lines.push(claim.resource);
    }
    Ok(())
}

/// Returns the resources of a name whose lines are not in order.
fn due(tx: &Tx, around: &Around, resources: Vec<String>) -> Result<Vec<String>> {
    let mut due = Vec::new();
    for resource in resources {
        if is_due(tx, around, &Line::of(tx.claims_on(&resource)?))? {
            due.push(resource);
        }
    }
    Ok(due)
}

/// Returns when to look at a line again: when the earliest of its holds may be over, in milliseconds from now.
pub(in crate::mesh) fn look_again_ms(line: &Line, now: &Moment) -> Option<i64> {
    let ends = line
        .holders
        .iter()
        .map(|claim| claim.lease.look_at_ms(now.monotonic_ms));
    Some((ends.min()? - now.monotonic_ms).max(1))
}

/// How many lines one look goes through.
pub(in crate::mesh) const LINES_MAX: usize = 1_000;

impl Mesh {
    /// Takes what is over out of the lines whose name begins with `prefix`, and lets the next in. Writes only if need be.
    /// Returns how many claims and tickets were over.
    pub(in crate::mesh) fn settle_lines(&mut self, prefix: &str) -> Result<usize> {
        let due =
            self.read(|tx, around| due(tx, around, tx.resources_claimed(prefix, LINES_MAX)?))?;
        self.settle_these(&due)
    }

    /// Looks after the lines in which a session stands. Returns when to look again, in milliseconds; never while it stands
    /// in none.
    pub fn watch_lines(&mut self, me: &Sitting) -> Result<Option<i64>> {
        let lines = self.read(|tx, around| {
            let mut resources = Vec::new();
            let mut again_ms = None;
            for ticket in tx.claims_of_session(me.session)? {
                if ticket.state == ClaimState::Queued {
                    let line = Line::of(tx.claims_on(&ticket.resource)?);
                    again_ms = again_ms
                        .into_iter()
                        .chain(look_again_ms(&line, &tx.now))
                        .min();
                    resources.push(ticket.resource);
                }
            }
            Ok((due(tx, around, resources)?, again_ms))
        })?;
        let (due, again_ms) = lines;
        if due.is_empty() {
            return Ok(again_ms);
        }
        self.settle_these(&due)?;
        // Whoever came to be the first in line is rung by that, and looks then.
        Ok(again_ms)
    }

    /// The same for all lines on the way of a look, which it neither holds up nor fails.
    pub(in crate::mesh) fn settle_lines_if_free(&mut self) {
        let patience = self.store.set_patience(Duration::ZERO);
        let _ = self.settle_lines("");
        self.store.set_patience(patience);
    }

    /// The same for one line.
    pub(in crate::mesh) fn settle_one(&mut self, resource: &str) -> Result<usize> {
        let due = self.read(|tx, around| due(tx, around, vec![resource.into()]))?;
        self.settle_these(&due)
    }

    fn settle_these(&mut self, resources: &[String]) -> Result<usize> {
        if resources.is_empty() {
            return Ok(0);
        }
        self.write(|tx, around, rings| {
            // Before any: the record of a death takes all that its session claimed, also in the lines further on.
            let mut before = 0;
            for resource in resources {
                before += tx.claims_on(resource)?.len();
            }
            let mut after = 0;
            for resource in resources {
                let line = settle(tx, around, rings, resource)?;
                after += line.holders.len() + line.queue.len();
            }
            Ok(before.saturating_sub(after))
        })
    }
}
