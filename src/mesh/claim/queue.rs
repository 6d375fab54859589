//! The line for a resource: who is gone or over his time, whose turn has come. Every verb that touches a resource, or ends a
//! session, leaves its line in order before the commit; the promoted are rung after it.
use std::time::Duration;

use serde_json::json;

use crate::mesh::peer::liveness::{HostView, record_dead_session};
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::claim::{HolderStatus, QueueEntry, blocking_owners, grantable_tickets};
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

    pub(in crate::mesh) fn me(me: &SessionHandle) -> Self {
        match me.kind {
            PeerKind::Person => Self::Person(me.peer),
            PeerKind::Session | PeerKind::Run => Self::Session(me.session),
        }
    }
}

/// The holders of a resource and the line for it.
#[derive(Debug, Clone)]
pub(in crate::mesh) struct QueueState {
    pub(in crate::mesh) holders: Vec<Claim>,
    pub(in crate::mesh) queue: Vec<Claim>,
}

impl QueueState {
    pub(in crate::mesh) fn of(claims: Vec<Claim>) -> Self {
        let (holders, queue) = claims
            .into_iter()
            .partition(|claim| claim.state == ClaimState::Held);
        Self { holders, queue }
    }

    /// Returns the places in the queue of those whose turn has come, were `newcomer` the last in it.
    pub(in crate::mesh) fn grantable_positions(
        &self,
        newcomer: Option<QueueEntry<Owner>>,
    ) -> Vec<usize> {
        let mut queue = queue_entries(&self.queue);
        queue.extend(newcomer);
        grantable_tickets(&queue_entries(&self.holders), &queue)
    }

    /// Returns the peers for whom the ticket at a place waits.
    pub(in crate::mesh) fn blockers(&self, position: usize) -> Vec<PeerId> {
        let queue = queue_entries(&self.queue);
        let owners = blocking_owners(
            &queue_entries(&self.holders),
            &queue[..position],
            queue[position],
        );
        let all = self.holders.iter().chain(&self.queue);
        let mut peers: Vec<PeerId> = all
            .filter(|claim| owners.contains(&Owner::of(claim)))
            .map(|claim| claim.peer)
            .collect();
        peers.dedup();
        peers
    }
}

fn queue_entries(claims: &[Claim]) -> Vec<QueueEntry<Owner>> {
    let position = |claim: &Claim| QueueEntry {
        owner: Owner::of(claim),
        mode: claim.mode,
    };
    claims.iter().map(position).collect()
}

/// Why a claim is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum ExpiryReason {
    /// The session is dead.
    Died,
    /// The time is over, or was counted on another boot.
    Lease,
}

/// Returns whether a claim is over, by the one rule for all.
pub(in crate::mesh) fn is_expired(
    tx: &Tx,
    host: &HostView,
    claim: &Claim,
) -> Result<Option<ExpiryReason>> {
    let now = &tx.now;
    if claim.boot != *now.boot {
        return Ok(Some(ExpiryReason::Lease));
    }
    let lease_lapsed = now.monotonic_ms >= claim.lease.expires_at_monotonic_ms;
    if claim.kind == PeerKind::Person {
        return person_claim_expiry(tx, host, claim, lease_lapsed);
    }
    let session = tx.session(claim.session)?;
    let alive = session
        .as_ref()
        .is_some_and(|session| host.liveness(session, claim.ttl_ms, now) != Liveness::Dead);
    if !alive {
        return Ok(Some(ExpiryReason::Died));
    }
    if claim.state == ClaimState::Queued {
        return Ok(None);
    }
    let busy = lease_lapsed
        && session.is_some_and(|session| host.activity(&session, now) == Activity::Busy);
    let expiry = claim
        .lease
        .is_expired(HolderStatus { alive, busy }, now.monotonic_ms);
    Ok(expiry.then_some(ExpiryReason::Lease))
}

/// What a person holds lives by its time alone, and so does a place in line that a command left there. A place where commands
/// wait lives as long as one of them.
fn person_claim_expiry(
    tx: &Tx,
    host: &HostView,
    claim: &Claim,
    lease_lapsed: bool,
) -> Result<Option<ExpiryReason>> {
    let commands = match claim.state {
        ClaimState::Held => Vec::new(),
        ClaimState::Queued => tx.sessions_waiting_with_ticket(claim)?,
    };
    if commands.is_empty() {
        return Ok(lease_lapsed.then_some(ExpiryReason::Lease));
    }
    for command in commands {
        let waits = host.doorbells.is_server_running(command)
            || tx.session(command)?.is_some_and(|session| {
                host.liveness(&session, claim.ttl_ms, &tx.now) != Liveness::Dead
            });
        if waits {
            return Ok(None);
        }
    }
    Ok(Some(ExpiryReason::Died))
}

/// Returns whether a line is not in order: somebody in it is over, or somebody's turn has come.
fn is_unsettled(tx: &Tx, host: &HostView, queue_state: &QueueState) -> Result<bool> {
    if !queue_state.grantable_positions(None).is_empty() {
        return Ok(true);
    }
    for claim in queue_state.holders.iter().chain(&queue_state.queue) {
        if is_expired(tx, host, claim)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts every line in order that this transaction has touched.
pub(in crate::mesh) fn settle_changed_queues(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
) -> Result<()> {
    while let Some(resource) = wakeups.changed_queues.pop() {
        settle_queue(tx, host, wakeups, &resource)?;
    }
    Ok(())
}

/// Takes out whoever is over, and promotes whose turn has come.
pub(in crate::mesh) fn settle_queue(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    resource: &str,
) -> Result<QueueState> {
    let mut changed = false;
    for claim in tx.claims_on(resource)? {
        if let Some(expiry) = is_expired(tx, host, &claim)? {
            changed = true;
            evict(tx, wakeups, &claim, expiry)?;
        }
    }
    let queue_state = QueueState::of(tx.claims_on(resource)?);
    let grantable_positions = queue_state.grantable_positions(None);
    for position in &grantable_positions {
        changed = true;
        promote(
            tx,
            host,
            wakeups,
            &queue_state,
            &queue_state.queue[*position],
        )?;
    }
    if !changed {
        return Ok(queue_state);
    }
    let queue_state = QueueState::of(tx.claims_on(resource)?);
    // The first in line looks when the new holders' time is over.
    wakeups.add(queue_state.queue.first().map(|ticket| ticket.session));
    Ok(queue_state)
}

fn evict(tx: &Tx, wakeups: &mut PendingWakeups, claim: &Claim, expiry: ExpiryReason) -> Result<()> {
    if expiry == ExpiryReason::Died
        && let (Some(session), Some(peer)) = (tx.session(claim.session)?, tx.peer(claim.peer)?)
        && session.ended_at_ms.is_none()
    {
        record_dead_session(tx, wakeups, &session, &peer)?;
    }
    // The record of a death takes a session's claims with it, but not a person's.
    if tx.claim(claim.id)?.is_some() {
        let why = if expiry == ExpiryReason::Died {
            "died"
        } else {
            "lease"
        };
        reap_claim(tx, claim, why)?;
    }
    Ok(())
}

fn reap_claim(tx: &Tx, claim: &Claim, why: &str) -> Result<()> {
    remove_claim(tx, claim, EventKind::ClaimReaped, why)
}

/// Takes a claim or a ticket away, and says so in the log.
fn remove_claim(tx: &Tx, claim: &Claim, kind: EventKind, why: &str) -> Result<()> {
    tx.delete_claim(claim.id)?;
    let data = json!({ "claim_id": claim.id, "mode": claim.mode, "fence": claim.fencing_token, "was": claim.state, "why": why });
    Ok(tx.append_event(kind, Some(claim.peer), &claim.resource, &data)?)
}

/// Grants a ticket its claim. A call that waits for it tells its session; else somebody else must.
fn promote(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    queue_state: &QueueState,
    ticket: &Claim,
) -> Result<()> {
    let waiting = tx.sessions_waiting_with_ticket(ticket)?;
    let is_notified = waiting
        .iter()
        .any(|session| host.doorbells.is_server_running(*session));
    // Who shared it and now has it alone does not share it any more.
    for held in &queue_state.holders {
        if Owner::of(held) == Owner::of(ticket) {
            release_claim(tx, held, "changed")?;
        }
    }
    grant_claim(tx, ticket, ticket.mode, is_notified)?;
    wakeups.add(waiting);
    wakeups.add([ticket.session]);
    Ok(())
}

/// Grants a claim, and says so. Returns its fence.
pub(in crate::mesh) fn grant_claim(
    tx: &Tx,
    claim: &Claim,
    mode: crate::model::ClaimMode,
    is_notified: bool,
) -> Result<i64> {
    let fencing_token = tx.grant_ticket(claim, is_notified)?;
    let data = json!({ "claim_id": claim.id, "mode": mode, "fence": fencing_token, "lease_seconds": claim.lease.lease_ms / 1000 });
    tx.append_event(
        EventKind::ClaimGranted,
        Some(claim.peer),
        &claim.resource,
        &data,
    )?;
    Ok(fencing_token)
}

/// Takes a claim or a ticket off the line, because its owner gave it back.
pub(in crate::mesh) fn release_claim(tx: &Tx, claim: &Claim, why: &str) -> Result<()> {
    remove_claim(tx, claim, EventKind::ClaimReleased, why)
}

/// Drops a ticket, unless another call waits there: then it is that one's from now on.
pub(in crate::mesh) fn withdraw_ticket(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    ticket: &Claim,
    kind: EventKind,
    why: &str,
) -> Result<()> {
    match tx.sessions_waiting_with_ticket(ticket)?.first() {
        Some(other) if *other == ticket.session => {}
        Some(other) => tx.transfer_ticket(ticket.id, *other)?,
        None => remove_claim(tx, ticket, kind, why)?,
    }
    wakeups.changed_queues.push(ticket.resource.clone());
    Ok(())
}

/// Takes away what a session that ends holds and stands in line for. What a person claimed outlives the command, but not
/// the places in line where the command was still waiting.
pub(in crate::mesh) fn end_session_claims(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    session: SessionId,
    kind: PeerKind,
    waited: Vec<Claim>,
    why: &str,
) -> Result<()> {
    if kind == PeerKind::Person {
        for ticket in waited {
            withdraw_ticket(tx, wakeups, &ticket, EventKind::ClaimReaped, why)?;
        }
        return Ok(());
    }
    for claim in tx.claims_of_session(session)? {
        reap_claim(tx, &claim, why)?;
        wakeups.changed_queues.push(claim.resource);
    }
    Ok(())
}

/// Returns the resources of a name whose lines are not in order.
fn unsettled_queues(tx: &Tx, host: &HostView, resources: Vec<String>) -> Result<Vec<String>> {
    let mut unsettled_queues = Vec::new();
    for resource in resources {
        if is_unsettled(tx, host, &QueueState::of(tx.claims_on(&resource)?))? {
            unsettled_queues.push(resource);
        }
    }
    Ok(unsettled_queues)
}

/// Returns when to look at a line again: when the earliest of its holds may be over, in milliseconds from now.
pub(in crate::mesh) fn recheck_after_ms(queue_state: &QueueState, now: &Moment) -> Option<i64> {
    let ends = queue_state
        .holders
        .iter()
        .map(|claim| claim.lease.next_check_monotonic_ms(now.monotonic_ms));
    Some((ends.min()? - now.monotonic_ms).max(1))
}

/// How many lines one look goes through.
pub(in crate::mesh) const QUEUES_MAX: usize = 1_000;

impl Mesh {
    /// Takes what is over out of the lines whose name begins with `prefix`, and lets the next in. Writes only if need be.
    /// Returns how many claims and tickets were over.
    pub(in crate::mesh) fn settle_queues(&mut self, prefix: &str) -> Result<usize> {
        let unsettled_queues = self.read(|tx, host| {
            unsettled_queues(tx, host, tx.claimed_resources(prefix, QUEUES_MAX)?)
        })?;
        self.settle_queues_of(&unsettled_queues)
    }

    /// Looks after the lines in which a session stands. Returns when to look again, in milliseconds; never while it stands
    /// in none.
    pub fn settle_own_queues(&mut self, me: &SessionHandle) -> Result<Option<i64>> {
        let changed_queues = self.read(|tx, host| {
            let mut resources = Vec::new();
            let mut recheck_ms = None;
            for ticket in tx.claims_of_session(me.session)? {
                if ticket.state == ClaimState::Queued {
                    let queue_state = QueueState::of(tx.claims_on(&ticket.resource)?);
                    recheck_ms = recheck_ms
                        .into_iter()
                        .chain(recheck_after_ms(&queue_state, &tx.now))
                        .min();
                    resources.push(ticket.resource);
                }
            }
            Ok((unsettled_queues(tx, host, resources)?, recheck_ms))
        })?;
        let (unsettled_queues, recheck_ms) = changed_queues;
        if unsettled_queues.is_empty() {
            return Ok(recheck_ms);
        }
        self.settle_queues_of(&unsettled_queues)?;
        // Whoever came to be the first in line is rung by that, and looks then.
        Ok(recheck_ms)
    }

    /// The same for all lines on the way of a look, which it neither holds up nor fails.
    pub(in crate::mesh) fn settle_queues_if_unlocked(&mut self) {
        let lock_timeout = self.store.set_lock_timeout(Duration::ZERO);
        let _ = self.settle_queues("");
        self.store.set_lock_timeout(lock_timeout);
    }

    /// The same for one line.
    pub(in crate::mesh) fn settle_queue_of(&mut self, resource: &str) -> Result<usize> {
        let unsettled_queues =
            self.read(|tx, host| unsettled_queues(tx, host, vec![resource.into()]))?;
        self.settle_queues_of(&unsettled_queues)
    }

    fn settle_queues_of(&mut self, resources: &[String]) -> Result<usize> {
        if resources.is_empty() {
            return Ok(0);
        }
        self.write(|tx, host, wakeups| {
            // Before any: the record of a death takes all that its session claimed, also in the lines further on.
            let mut before = 0;
            for resource in resources {
                before += tx.claims_on(resource)?.len();
            }
            let mut after = 0;
            for resource in resources {
                let queue_state = settle_queue(tx, host, wakeups, resource)?;
                after += queue_state.holders.len() + queue_state.queue.len();
            }
            Ok(before.saturating_sub(after))
        })
    }
}
