//! Acquires claims, and waits for them by a ticket in the claim queue.
use crate::mesh::claim::deadlock::find_deadlock;
use crate::mesh::claim::grant::{Owner, grant_claim, release_claim, withdraw_ticket};
use crate::mesh::claim::lease::recheck_after_ms;
use crate::mesh::claim::queue::{QueueState, settle_queue};
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, Verb};
use crate::mesh::session::SessionHandle;
use crate::model::claim::{QueueEntry, check_note};
use crate::model::{ClaimMode, ClaimState, EventKind, PeerName, Refusal, Result};
use crate::platform::id::{ClaimId, WaitId};
use crate::store::{Claim, NewClaim};

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// What, as [`resource`] gives it.
    pub resource: &'a str,
    /// How.
    pub mode: ClaimMode,
    /// For how long, in milliseconds.
    pub lease_ms: i64,
    /// What for.
    pub note: Option<&'a str>,
    /// Stand in line when somebody else holds it.
    pub queue: bool,
    /// A call waits for the turn.
    pub wait: bool,
}

/// What came of asking for a claim.
#[derive(Debug, Clone)]
pub enum ClaimOutcome {
    /// It is yours.
    Granted(Grant),
    /// Somebody holds it, and you do not stand in line.
    Denied {
        /// Who holds it.
        holders: Vec<Claim>,
    },
    /// You stand in line.
    Queued(Ticket),
}

/// A claim that is held. Show `fence` with every write it protects.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The claim.
    pub claim: Claim,
    /// It was held before, in the same mode.
    pub renewed: bool,
}

/// A place in line.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Its id; the claim keeps it.
    pub id: ClaimId,
    /// Its place; 1 is next.
    pub position: usize,
    /// Who holds it.
    pub holders: Vec<Claim>,
    /// When the earliest hold may be over, in milliseconds from now.
    pub recheck_after_ms: Option<i64>,
    /// The call that waits for the turn.
    pub wait: Option<WaitId>,
    /// Each of these peers waits for the next, and the last for the first.
    pub cycle: Option<Vec<PeerName>>,
}

impl Mesh {
    /// Claims a resource: renews what one holds, takes what is free, else stands in line or is denied.
    pub fn claim(&mut self, me: &SessionHandle, request: &ClaimRequest) -> Result<ClaimOutcome> {
        request.note.map(check_note).transpose()?;
        let mut claimed = self.write(|verb| acquire(verb, me, request))?;
        // Whoever begins to wait later finds this wait; so the search need not hold up others.
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

    /// Looks how it stands with a ticket. `None`: it is gone.
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
                    claim,
                    renewed: false,
                }),
            }))
        })
    }

    /// Looks how it stands with a ticket after its call has ended. A turn that came in that moment is told by this.
    pub fn final_queue_turn(
        &mut self,
        me: &SessionHandle,
        id: ClaimId,
    ) -> Result<Option<ClaimOutcome>> {
        let queue_turn = self.queue_turn(me, id)?;
        if let Some(ClaimOutcome::Granted(_)) = &queue_turn {
            self.write(|verb| Ok(verb.tx.mark_grant_notified(id)?))?;
        }
        Ok(queue_turn)
    }

    /// Drops what a cancelled call stood in line for, unless another call waits for it.
    pub fn cancel_ticket(&mut self, me: &SessionHandle, id: ClaimId) -> Result<()> {
        self.write(|verb| {
            let mine = verb
                .tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me));
            mine.map_or(Ok(()), |claim| {
                withdraw_ticket(verb, &claim, EventKind::ClaimReleased, "cancelled")
            })
        })
    }

    /// Leaves the line after a call that waited there has ended, unless another call waits there. A turn that came in that
    /// moment is taken.
    pub fn leave_queue(&mut self, me: &SessionHandle, id: ClaimId) -> Result<Option<ClaimOutcome>> {
        let queue_turn = self.final_queue_turn(me, id)?;
        let Some(ClaimOutcome::Queued(ticket)) = queue_turn else {
            return Ok(queue_turn);
        };
        let is_withdrawn = self.write(|verb| {
            let still = |claim: &Claim| claim.state == ClaimState::Queued;
            if let Some(claim) = verb.tx.claim(id)?.filter(still) {
                withdraw_ticket(verb, &claim, EventKind::ClaimReleased, "cancelled")?;
            }
            Ok(verb.tx.claim(id)?.is_none())
        })?;
        if is_withdrawn {
            let holders = ticket.holders;
            return Ok(Some(ClaimOutcome::Denied { holders }));
        }
        self.final_queue_turn(me, id)
    }
}

/// Renews what one holds, takes what is free, else stands in line or is denied.
pub(in crate::mesh) fn acquire(
    verb: &mut Verb,
    me: &SessionHandle,
    request: &ClaimRequest,
) -> Result<ClaimOutcome> {
    let queue_state = settle_queue(verb, request.resource)?;
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
        let renewed = held.mode == request.mode;
        verb.tx.renew_claim(held.id, &new)?;
        verb.tx.mark_grant_notified(held.id)?;
        if !renewed {
            // Who has it alone now stands in no line for that; who shares it now lets the next sharers in.
            ticket.map_or(Ok(()), |ticket| release_claim(verb, ticket, "changed"))?;
            grant_claim(verb, held, request.mode, true)?;
            verb.changed_queues.push(request.resource.into());
        }
        return build_grant(verb.read(), held.id, renewed).map(ClaimOutcome::Granted);
    }
    let newcomer = QueueEntry {
        owner,
        mode: request.mode,
    };
    let queue_turn = ticket.is_none()
        && queue_state
            .grantable_positions(Some(newcomer))
            .contains(&queue_state.queue.len());
    if queue_turn {
        let id = verb.tx.insert_ticket(&new)?;
        let claim = verb.tx.claim(id)?.expect("it was just inserted");
        grant_claim(verb, &claim, request.mode, true)?;
        return build_grant(verb.read(), id, false).map(ClaimOutcome::Granted);
    }
    let id = match ticket {
        Some(ticket) => {
            verb.tx.renew_claim(ticket.id, &new)?;
            ticket.id
        }
        None if request.queue => {
            let id = verb.tx.insert_ticket(&new)?;
            let data = serde_json::json!({ "claim_id": id, "mode": request.mode, "place": queue_state.queue.len() + 1 });
            verb.tx.append_event(
                EventKind::ClaimQueued,
                Some(me.peer),
                request.resource,
                &data,
            )?;
            id
        }
        None => {
            return Ok(ClaimOutcome::Denied {
                holders: queue_state.holders,
            });
        }
    };
    // A ticket that shares now may go with the holders.
    let queue_state = settle_queue(verb, request.resource)?;
    let Some(mut ticket) = find_ticket(verb.read(), &queue_state, id) else {
        verb.tx.mark_grant_notified(id)?;
        return build_grant(verb.read(), id, false).map(ClaimOutcome::Granted);
    };
    if request.wait {
        ticket.wait = Some(verb.tx.insert_claim_wait(me.session, &verb.host.own, id)?);
    } else {
        // Its server looks after the line from now on.
        verb.wake([me.session]);
    }
    Ok(ClaimOutcome::Queued(ticket))
}

fn build_grant(read: ReadContext, id: ClaimId, renewed: bool) -> Result<Grant> {
    // The server of a client that was just killed may still be asked; what it gets goes with its session.
    let claim = read
        .tx
        .claim(id)?
        .ok_or_else(|| Refusal::conflict("this session has ended"))?;
    Ok(Grant { claim, renewed })
}

/// Returns the place of a ticket; `None` when it stands in line no more.
fn find_ticket(read: ReadContext, queue_state: &QueueState, id: ClaimId) -> Option<Ticket> {
    let at = queue_state
        .queue
        .iter()
        .position(|ticket| ticket.id == id)?;
    Some(Ticket {
        id,
        position: at + 1,
        holders: queue_state.holders.clone(),
        recheck_after_ms: recheck_after_ms(&queue_state.holders, &read.tx.now),
        wait: None,
        cycle: None,
    })
}
