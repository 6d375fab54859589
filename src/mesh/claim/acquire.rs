//! Acquires a claim: renews it, grants it, or queues a ticket; and reads or ends the ticket of a call that waits.
use serde_json::json;

use crate::mesh::claim::deadlock::find_deadlock;
use crate::mesh::claim::grant::{grant_claim, release_claim, withdraw_ticket};
use crate::mesh::claim::other_clones::claims_in_other_clones;
use crate::mesh::claim::owner::Owner;
use crate::mesh::claim::queue::{QueueState, settle_queue};
use crate::mesh::claim::ticket::{Ticket, find_ticket};
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::model::claim::{QueueEntry, check_note};
use crate::model::{ClaimMode, ClaimState, EventKind, Refusal, Result};
use crate::platform::id::ClaimId;
use crate::store::{Claim, NewClaim};

/// A claim to acquire.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// The resource, named as [`canonical_resource`](crate::mesh::canonical_resource) returns it.
    pub resource: &'a str,
    /// Exclusive or shared.
    pub mode: ClaimMode,
    /// The length of the lease.
    pub lease_ms: i64,
    /// What the holder needs it for, for others to read.
    pub note: Option<&'a str>,
    /// Whether to queue a ticket if the resource is not free.
    pub queue: bool,
    /// Whether a call waits until the ticket is promoted.
    pub wait: bool,
}

/// The result of acquiring a claim.
#[derive(Debug, Clone)]
pub enum ClaimOutcome {
    /// The session holds the claim.
    Granted(Grant),
    /// Others hold the resource, and no ticket was queued.
    Denied {
        /// The current holders.
        holders: Vec<Claim>,
    },
    /// A ticket is in the claim queue.
    Queued(Ticket),
}

/// A granted claim. Its fencing token goes with every write that it protects.
#[expect(missing_docs, reason = "the other field name says it")]
#[derive(Debug, Clone)]
pub struct Grant {
    pub claim: Claim,
    /// Whether the session held it before, in the same mode.
    pub renewed: bool,
    /// The claims of others on the same file in other clones of the repository.
    pub other_clones: Vec<Claim>,
}

impl Mesh {
    /// Renews a claim that the session holds, grants a free resource, else queues a ticket or denies.
    pub fn claim(&mut self, me: &SessionHandle, request: &ClaimRequest) -> Result<ClaimOutcome> {
        request.note.map(check_note).transpose()?;
        let mut claimed = self.write(|write| acquire(write, me, request))?;
        // The search runs after the commit, so that it does not hold the write lock. A session that begins to wait
        // later finds this wait.
        if let ClaimOutcome::Queued(ticket) = &mut claimed
            && ticket.wait.is_some()
        {
            ticket.cycle = self.read(|read| {
                let queue_state = QueueState::of(read.tx.claims_on(request.resource)?);
                let position = queue_state.queue.iter().position(|one| one.id == ticket.id);
                let awaited = position.map(|position| queue_state.blockers(position));
                find_deadlock(read, me, awaited.unwrap_or_default())
            })?;
        }
        Ok(claimed)
    }

    /// Returns the state of a ticket; `None` if it does not exist any more. Settles its queue first.
    pub fn queue_turn(&mut self, me: &SessionHandle, id: ClaimId) -> Result<Option<ClaimOutcome>> {
        let found = self.read(|read| Ok(read.tx.claim(id)?.map(|claim| claim.resource)))?;
        let Some(resource) = found else {
            return Ok(None);
        };
        self.settle_queue_of(&resource)?;
        self.read(|read| {
            let Some(claim) = read
                .tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me))
            else {
                return Ok(None);
            };
            let queue_state = QueueState::of(read.tx.claims_on(&claim.resource)?);
            Ok(Some(match find_ticket(read, &queue_state, id) {
                Some(ticket) => ClaimOutcome::Queued(ticket),
                None => ClaimOutcome::Granted(Grant {
                    other_clones: claims_in_other_clones(read, &claim)?,
                    claim,
                    renewed: false,
                }),
            }))
        })
    }

    /// Returns the state of a ticket after its call has ended. A promotion at that moment counts as notified by this
    /// call.
    pub fn final_queue_turn(
        &mut self,
        me: &SessionHandle,
        id: ClaimId,
    ) -> Result<Option<ClaimOutcome>> {
        let queue_turn = self.queue_turn(me, id)?;
        if let Some(ClaimOutcome::Granted(_)) = &queue_turn {
            self.write(|write| Ok(write.tx.mark_grant_notified(id)?))?;
        }
        Ok(queue_turn)
    }

    /// Withdraws the ticket of a cancelled call, unless another call waits for it.
    pub fn cancel_ticket(&mut self, me: &SessionHandle, id: ClaimId) -> Result<()> {
        self.write(|write| {
            let mine = write
                .tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me));
            mine.map_or(Ok(()), |claim| {
                withdraw_ticket(write, &claim, EventKind::ClaimReleased, "cancelled")
            })
        })
    }

    /// Withdraws the ticket of a call that has ended, unless another call waits for it. A promotion at that moment is
    /// kept.
    pub fn leave_queue(&mut self, me: &SessionHandle, id: ClaimId) -> Result<Option<ClaimOutcome>> {
        let queue_turn = self.final_queue_turn(me, id)?;
        let Some(ClaimOutcome::Queued(ticket)) = queue_turn else {
            return Ok(queue_turn);
        };
        let is_withdrawn = self.write(|write| {
            let still = |claim: &Claim| claim.state == ClaimState::Queued;
            if let Some(claim) = write.tx.claim(id)?.filter(still) {
                withdraw_ticket(write, &claim, EventKind::ClaimReleased, "cancelled")?;
            }
            Ok(write.tx.claim(id)?.is_none())
        })?;
        if is_withdrawn {
            let holders = ticket.holders;
            return Ok(Some(ClaimOutcome::Denied { holders }));
        }
        self.final_queue_turn(me, id)
    }
}

/// Renews a claim that the session holds, grants a free resource, else queues a ticket or denies.
pub(in crate::mesh) fn acquire(
    write: &mut WriteContext,
    me: &SessionHandle,
    request: &ClaimRequest,
) -> Result<ClaimOutcome> {
    let queue_state = settle_queue(write, request.resource)?;
    let owner = Owner::me(me);
    let own = |claim: &&Claim| Owner::of(claim) == owner;
    let new = NewClaim {
        resource: request.resource,
        mode: request.mode,
        peer: me.peer,
        session: me.session,
        note: request.note,
        lease_ms: request.lease_ms,
    };
    let held = queue_state.holders.iter().find(own);
    let ticket = queue_state.queue.iter().find(own);
    if let Some(held) = held
        && (held.mode == request.mode || queue_state.holders.len() == 1)
    {
        return renew(write, held, ticket, &new).map(ClaimOutcome::Granted);
    }
    let new_ticket = QueueEntry {
        owner,
        mode: request.mode,
    };
    let is_grantable = ticket.is_none()
        && queue_state
            .grantable_positions(Some(new_ticket))
            .contains(&queue_state.queue.len());
    if is_grantable {
        let id = write.tx.insert_ticket(&new)?;
        let claim = write.tx.claim(id)?.expect("it was just inserted");
        grant_claim(write, &claim, request.mode, true)?;
        return build_grant(write.read(), id, false).map(ClaimOutcome::Granted);
    }
    let id = match ticket {
        Some(ticket) => {
            write.tx.renew_claim(ticket.id, &new)?;
            ticket.id
        }
        None if request.queue => {
            let position = queue_state.queue.len() + 1;
            insert_queued_ticket(write, &new, position)?
        }
        None => {
            return Ok(ClaimOutcome::Denied {
                holders: queue_state.holders,
            });
        }
    };
    queued_outcome(write, me, request, id)
}

/// Renews a held claim. `held` has the wanted mode, or is the only one and changes its mode.
fn renew(
    write: &mut WriteContext,
    held: &Claim,
    ticket: Option<&Claim>,
    new: &NewClaim,
) -> Result<Grant> {
    let renewed = held.mode == new.mode;
    write.tx.renew_claim(held.id, new)?;
    write.tx.mark_grant_notified(held.id)?;
    if !renewed {
        // An exclusive holder needs no ticket for that any more; a holder that shares now lets the next sharers in.
        ticket.map_or(Ok(()), |ticket| release_claim(write, ticket, "changed"))?;
        grant_claim(write, held, new.mode, true)?;
        write.changed_queues.push(new.resource.into());
    }
    build_grant(write.read(), held.id, renewed)
}

fn insert_queued_ticket(
    write: &mut WriteContext,
    new: &NewClaim,
    position: usize,
) -> Result<ClaimId> {
    let id = write.tx.insert_ticket(new)?;
    let data = json!({ "claim_id": id, "mode": new.mode, "place": position });
    let kind = EventKind::ClaimQueued;
    write
        .tx
        .append_event(kind, Some(new.peer), new.resource, &data)?;
    Ok(id)
}

/// Returns the position of a new or changed ticket, or its grant.
fn queued_outcome(
    write: &mut WriteContext,
    me: &SessionHandle,
    request: &ClaimRequest,
    id: ClaimId,
) -> Result<ClaimOutcome> {
    // A ticket that has changed to shared may be granted beside the holders.
    let queue_state = settle_queue(write, request.resource)?;
    let Some(mut ticket) = find_ticket(write.read(), &queue_state, id) else {
        write.tx.mark_grant_notified(id)?;
        return build_grant(write.read(), id, false).map(ClaimOutcome::Granted);
    };
    if request.wait {
        ticket.wait = Some(
            write
                .tx
                .insert_claim_wait(me.session, &write.host.own, id)?,
        );
    } else {
        // The server of the session checks the queue from now on.
        write.wake([me.session]);
    }
    Ok(ClaimOutcome::Queued(ticket))
}

fn build_grant(read: ReadContext, id: ClaimId, renewed: bool) -> Result<Grant> {
    // The server of a client that was just killed may still be asked; its grant ends with the session.
    let claim = read
        .tx
        .claim(id)?
        .ok_or_else(|| Refusal::conflict("this session has ended"))?;
    Ok(Grant {
        other_clones: claims_in_other_clones(read, &claim)?,
        claim,
        renewed,
    })
}
