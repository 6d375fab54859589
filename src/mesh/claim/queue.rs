//! The claim queue of a resource: evicts holders that are dead or expired, and promotes the next tickets.
//!
//! Each operation that touches a resource or ends a session settles the queues concerned before its commit. The promoted
//! sessions are woken after it.
use std::time::Duration;

use crate::mesh::claim::grant::{grant_claim, reap_claim, release_claim};
use crate::mesh::claim::lease::{ExpiryReason, expiry_reason, recheck_after_ms};
use crate::mesh::claim::owner::Owner;
use crate::mesh::claim::session_end::record_dead_session;
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::model::claim::{QueueEntry, blocking_owners, grantable_tickets};
use crate::model::{ClaimState, Result};
use crate::platform::id::PeerId;
use crate::store::Claim;

/// How many queues one operation settles or lists at most.
pub(in crate::mesh) const QUEUES_MAX: usize = 1_000;

/// The holders of a resource and the queue for it.
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

    /// Returns the positions in the queue that can be granted now, if `new_ticket` were the last ticket.
    pub(in crate::mesh) fn grantable_positions(
        &self,
        new_ticket: Option<QueueEntry<Owner>>,
    ) -> Vec<usize> {
        let mut queue = queue_entries(&self.queue);
        queue.extend(new_ticket);
        grantable_tickets(&queue_entries(&self.holders), &queue)
    }

    /// Returns the peers for which the ticket at a position waits.
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

impl Mesh {
    /// Settles the queues of the resources whose names begin with `prefix`. Writes only if one of them is unsettled.
    /// Returns how many claims and tickets were evicted.
    pub(in crate::mesh) fn settle_queues(&mut self, prefix: &str) -> Result<usize> {
        let unsettled_queues = self
            .read(|read| unsettled_queues(read, read.tx.claimed_resources(prefix, QUEUES_MAX)?))?;
        self.settle_queues_of(&unsettled_queues)
    }

    /// Settles the queues in which a session has a ticket. Returns after how many milliseconds to do it again; `None`
    /// if it has no ticket.
    pub fn settle_own_queues(&mut self, me: &SessionHandle) -> Result<Option<i64>> {
        let changed_queues = self.read(|read| {
            let mut resources = Vec::new();
            let mut recheck_ms = None;
            for ticket in read.tx.claims_of_session(me.session)? {
                if ticket.state == ClaimState::Queued {
                    let queue_state = QueueState::of(read.tx.claims_on(&ticket.resource)?);
                    recheck_ms = recheck_ms
                        .into_iter()
                        .chain(recheck_after_ms(&queue_state.holders, &read.tx.now))
                        .min();
                    resources.push(ticket.resource);
                }
            }
            Ok((unsettled_queues(read, resources)?, recheck_ms))
        })?;
        let (unsettled_queues, recheck_ms) = changed_queues;
        if unsettled_queues.is_empty() {
            return Ok(recheck_ms);
        }
        self.settle_queues_of(&unsettled_queues)?;
        // A session that has become the first in the queue was woken by this, and checks then.
        Ok(recheck_ms)
    }

    /// Settles all queues as part of another read, which it neither delays nor fails.
    pub(in crate::mesh) fn settle_queues_if_unlocked(&mut self) {
        let lock_timeout = self.store.set_lock_timeout(Duration::ZERO);
        let _ = self.settle_queues("");
        self.store.set_lock_timeout(lock_timeout);
    }

    /// Settles the queue of one resource.
    pub(in crate::mesh) fn settle_queue_of(&mut self, resource: &str) -> Result<usize> {
        let unsettled_queues = self.read(|read| unsettled_queues(read, vec![resource.into()]))?;
        self.settle_queues_of(&unsettled_queues)
    }

    pub(in crate::mesh) fn settle_queues_of(&mut self, resources: &[String]) -> Result<usize> {
        if resources.is_empty() {
            return Ok(0);
        }
        self.write(|write| {
            // Counted before any is settled: recording a death removes all claims of its session, also those of later
            // resources.
            let mut before = 0;
            for resource in resources {
                before += write.tx.claims_on(resource)?.len();
            }
            let mut after = 0;
            for resource in resources {
                let queue_state = settle_queue(write, resource)?;
                after += queue_state.holders.len() + queue_state.queue.len();
            }
            Ok(before.saturating_sub(after))
        })
    }
}

fn queue_entries(claims: &[Claim]) -> Vec<QueueEntry<Owner>> {
    let position = |claim: &Claim| QueueEntry {
        owner: Owner::of(claim),
        mode: claim.mode,
    };
    claims.iter().map(position).collect()
}

/// Settles the queues that this transaction has changed.
pub(in crate::mesh) fn settle_changed_queues(write: &mut WriteContext) -> Result<()> {
    while let Some(resource) = write.changed_queues.pop() {
        settle_queue(write, &resource)?;
    }
    Ok(())
}

/// Evicts dead and expired owners, and promotes the next tickets.
pub(in crate::mesh) fn settle_queue(
    write: &mut WriteContext,
    resource: &str,
) -> Result<QueueState> {
    let mut changed = false;
    for claim in write.tx.claims_on(resource)? {
        if let Some(expiry) = expiry_reason(write.read(), &claim)? {
            changed = true;
            evict(write, &claim, expiry)?;
        }
    }
    let queue_state = QueueState::of(write.tx.claims_on(resource)?);
    let grantable_positions = queue_state.grantable_positions(None);
    for position in &grantable_positions {
        changed = true;
        promote(write, &queue_state, &queue_state.queue[*position])?;
    }
    if !changed {
        return Ok(queue_state);
    }
    let queue_state = QueueState::of(write.tx.claims_on(resource)?);
    // The first in the queue checks when the leases of the new holders end.
    write.wake(queue_state.queue.first().map(|ticket| ticket.session));
    Ok(queue_state)
}

fn evict(write: &mut WriteContext, claim: &Claim, expiry: ExpiryReason) -> Result<()> {
    if expiry == ExpiryReason::Died
        && let (Some(session), Some(peer)) =
            (write.tx.session(claim.session)?, write.tx.peer(claim.peer)?)
        && session.ended_at_ms.is_none()
    {
        record_dead_session(write, &session, &peer)?;
    }
    // Recording a death removes the claims of a session, but not those of a person.
    if write.tx.claim(claim.id)?.is_some() {
        let why = if expiry == ExpiryReason::Died {
            "died"
        } else {
            "lease"
        };
        reap_claim(write, claim, why)?;
    }
    Ok(())
}

/// Grants a ticket its claim. A call that waits for it notifies its session; otherwise the inbox does.
fn promote(write: &mut WriteContext, queue_state: &QueueState, ticket: &Claim) -> Result<()> {
    let waiting = write.tx.sessions_waiting_with_ticket(ticket)?;
    let is_notified = waiting
        .iter()
        .any(|session| write.is_server_running(*session));
    // An owner that shared the resource and is promoted to exclusive does not keep the shared claim.
    for held in &queue_state.holders {
        if Owner::of(held) == Owner::of(ticket) {
            release_claim(write, held, "changed")?;
        }
    }
    grant_claim(write, ticket, ticket.mode, is_notified)?;
    write.wake(waiting);
    write.wake([ticket.session]);
    Ok(())
}

/// Returns whether a queue has an expired entry, or a ticket that can be granted.
fn is_unsettled(read: ReadContext, queue_state: &QueueState) -> Result<bool> {
    if !queue_state.grantable_positions(None).is_empty() {
        return Ok(true);
    }
    for claim in queue_state.holders.iter().chain(&queue_state.queue) {
        if expiry_reason(read, claim)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns those of the resources whose queues are unsettled.
pub(in crate::mesh) fn unsettled_queues(
    read: ReadContext,
    resources: Vec<String>,
) -> Result<Vec<String>> {
    let mut unsettled_queues = Vec::new();
    for resource in resources {
        if is_unsettled(read, &QueueState::of(read.tx.claims_on(&resource)?))? {
            unsettled_queues.push(resource);
        }
    }
    Ok(unsettled_queues)
}
