//! Claims: to claim, to wait for one's turn, to give back, to look who holds what.
use std::path::Path;

use crate::mesh::claim::queue::{
    Owner, QUEUES_MAX, QueueState, grant_claim, is_expired, recheck_after_ms, release_claim,
    settle_queue, withdraw_ticket,
};
use crate::mesh::peer::liveness::HostView;
use crate::mesh::question::deadlock::find_deadlock;
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::claim::{QueueEntry, ResourceName, check_note, parse_resource_name};
use crate::model::{ClaimMode, ClaimState, EventKind, PeerName, Refusal, Result};
use crate::platform::id::{ClaimId, WaitId};
use crate::platform::path;
use crate::store::{Claim, NewClaim, Tx};

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

/// What is given back.
#[derive(Debug, Clone, Copy)]
pub enum ClaimSelector<'a> {
    /// A claim or a ticket.
    Id(ClaimId),
    /// Whatever one has of a resource.
    Resource(&'a str),
}

/// What came of giving back.
#[derive(Debug, Clone)]
pub struct ReleaseOutcome {
    /// What it was; `None` when it was gone already.
    pub was: Option<ClaimState>,
    /// Whose turn has come by that.
    pub promoted: Vec<PeerName>,
}

/// Who holds a resource and who stands in line for it.
#[derive(Debug, Clone)]
pub struct ClaimQueue {
    /// The resource.
    pub resource: String,
    /// Who holds it.
    pub holders: Vec<Claim>,
    /// Who stands in line; the first is next.
    pub queue: Vec<Claim>,
    /// The last fence given.
    pub fencing_token: i64,
}

/// Which resources to look at.
#[derive(Debug, Clone, Copy)]
pub enum ClaimFilter<'a> {
    /// One.
    Resource(&'a str),
    /// Those whose name begins so.
    Prefix(&'a str),
}

/// Returns the one name of what a caller names; a path is seen from `folder`.
pub fn resource(folder: &Path, text: &str) -> Result<String> {
    resource_as("resource", folder, text)
}

/// Returns the one name of what a caller names by a parameter.
pub(in crate::mesh) fn resource_as(parameter: &str, folder: &Path, text: &str) -> Result<String> {
    match parse_resource_name(parameter, text)? {
        ResourceName::Other(name) => Ok(name.to_owned()),
        ResourceName::File(name) => file_resource(folder, Path::new(name)),
    }
}

/// Returns the beginning of names that a caller means; a path is seen from `folder`.
pub fn prefix(folder: &Path, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text == "file:" {
        return Ok(text.to_owned());
    }
    let mut prefix = resource_as("prefix", folder, text)?;
    if prefix.starts_with("file:") && text.ends_with('/') && !prefix.ends_with('/') {
        prefix.push('/');
    }
    Ok(prefix)
}

/// Returns the name of a file as a resource.
pub fn file_resource(folder: &Path, file: &Path) -> Result<String> {
    let refuse =
        |problem: &str| Refusal::argument(format!("\"{}\" {problem}", file.to_string_lossy()));
    let resolved_path =
        path::resolve(folder, file).ok_or_else(|| refuse("leads in a circle of links"))?;
    let resolved_path = resolved_path
        .to_str()
        .ok_or_else(|| refuse("leads to a path that is not UTF-8, which a claim cannot name"))?;
    if resolved_path.chars().any(char::is_control) {
        return Err(refuse("leads to a path with control characters").into());
    }
    Ok(format!("file:{resolved_path}"))
}

impl Mesh {
    /// Claims a resource: renews what one holds, takes what is free, else stands in line or is denied.
    pub fn claim(&mut self, me: &SessionHandle, request: &ClaimRequest) -> Result<ClaimOutcome> {
        request.note.map(check_note).transpose()?;
        let mut claimed = self.write(|tx, host, wakeups| take(tx, host, wakeups, me, request))?;
        // Whoever begins to wait later finds this wait; so the search need not hold up others.
        if let ClaimOutcome::Queued(ticket) = &mut claimed
            && ticket.wait.is_some()
        {
            ticket.cycle = self.read(|tx, host| {
                let queue_state = QueueState::of(tx.claims_on(request.resource)?);
                let position = queue_state.queue.iter().position(|one| one.id == ticket.id);
                let awaited = position.map(|position| queue_state.blockers(position));
                find_deadlock(tx, host, me, awaited.unwrap_or_default())
            })?;
        }
        Ok(claimed)
    }

    /// Looks how it stands with a ticket. `None`: it is gone.
    pub fn queue_turn(&mut self, me: &SessionHandle, id: ClaimId) -> Result<Option<ClaimOutcome>> {
        let found = self.read(|tx, _| Ok(tx.claim(id)?.map(|claim| claim.resource)))?;
        let Some(resource) = found else {
            return Ok(None);
        };
        self.settle_queue_of(&resource)?;
        self.read(|tx, _| {
            let Some(claim) = tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me))
            else {
                return Ok(None);
            };
            let queue_state = QueueState::of(tx.claims_on(&claim.resource)?);
            Ok(Some(match position(tx, &queue_state, id) {
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
            self.write(|tx, _, _| Ok(tx.mark_grant_notified(id)?))?;
        }
        Ok(queue_turn)
    }

    /// Drops what a cancelled call stood in line for, unless another call waits for it.
    pub fn cancel_ticket(&mut self, me: &SessionHandle, id: ClaimId) -> Result<()> {
        self.write(|tx, _, wakeups| {
            let mine = tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me));
            mine.map_or(Ok(()), |claim| {
                withdraw_ticket(tx, wakeups, &claim, EventKind::ClaimReleased, "cancelled")
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
        let is_withdrawn = self.write(|tx, _, wakeups| {
            let still = |claim: &Claim| claim.state == ClaimState::Queued;
            if let Some(claim) = tx.claim(id)?.filter(still) {
                withdraw_ticket(tx, wakeups, &claim, EventKind::ClaimReleased, "cancelled")?;
            }
            Ok(tx.claim(id)?.is_none())
        })?;
        if is_withdrawn {
            let holders = ticket.holders;
            return Ok(Some(ClaimOutcome::Denied { holders }));
        }
        self.final_queue_turn(me, id)
    }

    /// Gives back a claim or a ticket, or whatever one has of a resource.
    pub fn release(
        &mut self,
        me: &SessionHandle,
        which: ClaimSelector<'_>,
    ) -> Result<ReleaseOutcome> {
        self.write(|tx, host, wakeups| {
            let found = match which {
                ClaimSelector::Id(id) => tx.claim(id)?.into_iter().collect(),
                ClaimSelector::Resource(resource) => tx.claims_on(resource)?,
            };
            let (mine, others): (Vec<Claim>, Vec<Claim>) = found
                .into_iter()
                .partition(|claim| Owner::of(claim) == Owner::me(me));
            if let (ClaimSelector::Id(id), Some(other)) = (which, others.first()) {
                return Err(Refusal::NotYours {
                    problem: format!("claim {id} is {}'s", other.peer_name),
                }
                .into());
            }
            let mut was = None;
            let mut changed_queues = Vec::new();
            for claim in mine {
                if is_expired(tx, host, &claim)?.is_none() {
                    release_claim(tx, &claim, "released")?;
                    was = was
                        .filter(|was| *was == ClaimState::Held)
                        .or(Some(claim.state));
                }
                changed_queues.push(claim.resource);
            }
            changed_queues.dedup();
            let mut promoted = Vec::new();
            for resource in changed_queues {
                promoted.extend(settle_and_list_promoted(tx, host, wakeups, &resource)?);
            }
            Ok(ReleaseOutcome { was, promoted })
        })
    }

    /// Returns who holds what and who stands in line, by resource. Takes out whoever is over on the way.
    pub fn claims(&mut self, filter: ClaimFilter<'_>) -> Result<Vec<ClaimQueue>> {
        match filter {
            ClaimFilter::Resource(resource) => self.settle_queue_of(resource)?,
            ClaimFilter::Prefix(prefix) => self.settle_queues(prefix)?,
        };
        self.read(|tx, _| {
            let resources = match filter {
                ClaimFilter::Resource(resource) => vec![resource.to_owned()],
                ClaimFilter::Prefix(prefix) => tx.claimed_resources(prefix, QUEUES_MAX)?,
            };
            let mut all = Vec::new();
            for resource in resources {
                let QueueState { holders, queue } = QueueState::of(tx.claims_on(&resource)?);
                if !(holders.is_empty() && queue.is_empty()) {
                    let fencing_token = tx.last_fencing_token(&resource)?;
                    all.push(ClaimQueue {
                        resource,
                        holders,
                        queue,
                        fencing_token,
                    });
                }
            }
            Ok(all)
        })
    }

    /// Returns who else holds a resource alone. Only looks: what is over is passed over and stays.
    pub fn find_other_exclusive_holder(
        &mut self,
        me: Option<&SessionHandle>,
        resource: &str,
    ) -> Result<Option<Claim>> {
        self.read(|tx, host| {
            for claim in tx.claims_on(resource)? {
                let own = me.is_some_and(|me| Owner::of(&claim) == Owner::me(me));
                if claim.state == ClaimState::Held
                    && claim.mode == ClaimMode::Exclusive
                    && !own
                    && is_expired(tx, host, &claim)?.is_none()
                {
                    return Ok(Some(claim));
                }
            }
            Ok(None)
        })
    }
}

impl ClaimQueue {
    /// Returns whether a claim in it is one's own.
    pub fn is_own(claim: &Claim, me: Option<&SessionHandle>) -> bool {
        me.is_some_and(|me| Owner::of(claim) == Owner::me(me))
    }
}

/// Renews what one holds, takes what is free, else stands in line or is denied.
pub(in crate::mesh) fn take(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    request: &ClaimRequest,
) -> Result<ClaimOutcome> {
    let queue_state = settle_queue(tx, host, wakeups, request.resource)?;
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
        tx.renew_claim(held.id, &new)?;
        tx.mark_grant_notified(held.id)?;
        if !renewed {
            // Who has it alone now stands in no line for that; who shares it now lets the next sharers in.
            ticket.map_or(Ok(()), |ticket| release_claim(tx, ticket, "changed"))?;
            grant_claim(tx, held, request.mode, true)?;
            wakeups.changed_queues.push(request.resource.into());
        }
        return build_grant(tx, held.id, renewed).map(ClaimOutcome::Granted);
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
        let id = tx.insert_ticket(&new)?;
        let claim = tx.claim(id)?.expect("it was just inserted");
        grant_claim(tx, &claim, request.mode, true)?;
        return build_grant(tx, id, false).map(ClaimOutcome::Granted);
    }
    let id = match ticket {
        Some(ticket) => {
            tx.renew_claim(ticket.id, &new)?;
            ticket.id
        }
        None if request.queue => {
            let id = tx.insert_ticket(&new)?;
            let data = serde_json::json!({ "claim_id": id, "mode": request.mode, "place": queue_state.queue.len() + 1 });
            tx.append_event(
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
    let queue_state = settle_queue(tx, host, wakeups, request.resource)?;
    let Some(mut ticket) = position(tx, &queue_state, id) else {
        tx.mark_grant_notified(id)?;
        return build_grant(tx, id, false).map(ClaimOutcome::Granted);
    };
    if request.wait {
        ticket.wait = Some(tx.insert_claim_wait(me.session, &host.own, id)?);
    } else {
        // Its server looks after the line from now on.
        wakeups.add([me.session]);
    }
    Ok(ClaimOutcome::Queued(ticket))
}

fn build_grant(tx: &Tx, id: ClaimId, renewed: bool) -> Result<Grant> {
    // The server of a client that was just killed may still be asked; what it gets goes with its session.
    let claim = tx
        .claim(id)?
        .ok_or_else(|| Refusal::conflict("this session has ended"))?;
    Ok(Grant { claim, renewed })
}

/// Returns the place of a ticket; `None` when it stands in line no more.
fn position(tx: &Tx, queue_state: &QueueState, id: ClaimId) -> Option<Ticket> {
    let at = queue_state
        .queue
        .iter()
        .position(|ticket| ticket.id == id)?;
    Some(Ticket {
        id,
        position: at + 1,
        holders: queue_state.holders.clone(),
        recheck_after_ms: recheck_after_ms(queue_state, &tx.now),
        wait: None,
        cycle: None,
    })
}

/// Puts a line in order. Returns whose turn has come.
fn settle_and_list_promoted(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    resource: &str,
) -> Result<Vec<PeerName>> {
    let waited: Vec<ClaimId> = QueueState::of(tx.claims_on(resource)?)
        .queue
        .iter()
        .map(|ticket| ticket.id)
        .collect();
    let queue_state = settle_queue(tx, host, wakeups, resource)?;
    let promoted = queue_state.holders.into_iter();
    Ok(promoted
        .filter(|claim| waited.contains(&claim.id))
        .map(|claim| claim.peer_name)
        .collect())
}
