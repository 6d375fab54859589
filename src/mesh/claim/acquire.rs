//! Claims: to claim, to wait for one's turn, to give back, to look who holds what.
use std::path::Path;

use crate::mesh::claim::queue::{
    LINES_MAX, Line, Owner, drop_ticket, give_back, granted, is_over, look_again_ms, settle,
};
use crate::mesh::peer::liveness::Around;
use crate::mesh::question::deadlock::circle;
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::claim::{InLine, Named, check_note, named};
use crate::model::{ClaimState, EventKind, Mode, PeerName, Refusal, Result};
use crate::platform::id::{ClaimId, WaitId};
use crate::platform::path;
use crate::store::{Claim, NewClaim, Tx};

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Claiming<'a> {
    /// What, as [`resource`] gives it.
    pub resource: &'a str,
    /// How.
    pub mode: Mode,
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
pub enum Claimed {
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
    pub place: usize,
    /// Who holds it.
    pub holders: Vec<Claim>,
    /// When the earliest hold may be over, in milliseconds from now.
    pub look_again_ms: Option<i64>,
    /// The call that waits for the turn.
    pub wait: Option<WaitId>,
    /// Each of these peers waits for the next, and the last for the first.
    pub cycle: Option<Vec<PeerName>>,
}

/// What is given back.
#[derive(Debug, Clone, Copy)]
pub enum WhichClaim<'a> {
    /// A claim or a ticket.
    Id(ClaimId),
    /// Whatever one has of a resource.
    Resource(&'a str),
}

/// What came of giving back.
#[derive(Debug, Clone)]
pub struct Released {
    /// What it was; `None` when it was gone already.
    pub was: Option<ClaimState>,
    /// Whose turn has come by that.
    pub promoted: Vec<PeerName>,
}

/// Who holds a resource and who stands in line for it.
#[derive(Debug, Clone)]
pub struct ClaimLine {
    /// The resource.
    pub resource: String,
    /// Who holds it.
    pub holders: Vec<Claim>,
    /// Who stands in line; the first is next.
    pub queue: Vec<Claim>,
    /// The last fence given.
    pub fence: i64,
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
    match named(parameter, text)? {
        Named::Other(name) => Ok(name.to_owned()),
        Named::File(name) => file_resource(folder, Path::new(name)),
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
    let there = path::resolve(folder, file).ok_or_else(|| refuse("leads in a circle of links"))?;
    let there = there
        .to_str()
        .ok_or_else(|| refuse("leads to a path that is not UTF-8, which a claim cannot name"))?;
    if there.chars().any(char::is_control) {
        return Err(refuse("leads to a path with control characters").into());
    }
    Ok(format!("file:{there}"))
}

impl Mesh {
    /// Claims a resource: renews what one holds, takes what is free, else stands in line or is denied.
    pub fn claim(&mut self, me: &Sitting, wanted: &Claiming) -> Result<Claimed> {
        wanted.note.map(check_note).transpose()?;
        let mut claimed = self.write(|tx, around, rings| take(tx, around, rings, me, wanted))?;
        // Whoever begins to wait later finds this wait; so the search need not hold up others.
        if let Claimed::Queued(ticket) = &mut claimed
            && ticket.wait.is_some()
        {
            ticket.cycle = self.read(|tx, around| {
                let line = Line::of(tx.claims_on(wanted.resource)?);
                let place = line.queue.iter().position(|one| one.id == ticket.id);
                let awaited = place.map(|place| line.blockers(place));
                circle(tx, around, me, awaited.unwrap_or_default())
            })?;
        }
        Ok(claimed)
    }

    /// Looks how it stands with a ticket. `None`: it is gone.
    pub fn turn(&mut self, me: &Sitting, id: ClaimId) -> Result<Option<Claimed>> {
        let found = self.read(|tx, _| Ok(tx.claim(id)?.map(|claim| claim.resource)))?;
        let Some(resource) = found else {
            return Ok(None);
        };
        self.settle_one(&resource)?;
        self.read(|tx, _| {
            let Some(claim) = tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me))
            else {
                return Ok(None);
            };
            let line = Line::of(tx.claims_on(&claim.resource)?);
            Ok(Some(match place(tx, &line, id) {
                Some(ticket) => Claimed::Queued(ticket),
                None => Claimed::Granted(Grant {
                    claim,
                    renewed: false,
                }),
            }))
        })
    }

    /// Looks how it stands with a ticket after its call has ended. A turn that came in that moment is told by this.
    pub fn turn_at_last(&mut self, me: &Sitting, id: ClaimId) -> Result<Option<Claimed>> {
        let turn = self.turn(me, id)?;
        if let Some(Claimed::Granted(_)) = &turn {
            self.write(|tx, _, _| Ok(tx.set_told(id)?))?;
        }
        Ok(turn)
    }

    /// Drops what a cancelled call stood in line for, unless another call waits for it.
    pub fn give_up(&mut self, me: &Sitting, id: ClaimId) -> Result<()> {
        self.write(|tx, _, rings| {
            let mine = tx
                .claim(id)?
                .filter(|claim| Owner::of(claim) == Owner::me(me));
            mine.map_or(Ok(()), |claim| {
                drop_ticket(tx, rings, &claim, EventKind::ClaimReleased, "cancelled")
            })
        })
    }

    /// Leaves the line after a call that waited there has ended, unless another call waits there. A turn that came in that
    /// moment is taken.
    pub fn leave_line(&mut self, me: &Sitting, id: ClaimId) -> Result<Option<Claimed>> {
        let turn = self.turn_at_last(me, id)?;
        let Some(Claimed::Queued(ticket)) = turn else {
            return Ok(turn);
        };
        let left = self.write(|tx, _, rings| {
            let still = |claim: &Claim| claim.state == ClaimState::Queued;
            if let Some(claim) = tx.claim(id)?.filter(still) {
                drop_ticket(tx, rings, &claim, EventKind::ClaimReleased, "cancelled")?;
            }
            Ok(tx.claim(id)?.is_none())
        })?;
        if left {
            let holders = ticket.holders;
            return Ok(Some(Claimed::Denied { holders }));
        }
        self.turn_at_last(me, id)
    }

    /// Gives back a claim or a ticket, or whatever one has of a resource.
    pub fn release(&mut self, me: &Sitting, which: WhichClaim<'_>) -> Result<Released> {
        self.write(|tx, around, rings| {
            let found = match which {
                WhichClaim::Id(id) => tx.claim(id)?.into_iter().collect(),
                WhichClaim::Resource(resource) => tx.claims_on(resource)?,
            };
            let (mine, others): (Vec<Claim>, Vec<Claim>) = found
                .into_iter()
                .partition(|claim| Owner::of(claim) == Owner::me(me));
            if let (WhichClaim::Id(id), Some(other)) = (which, others.first()) {
                return Err(Refusal::NotYours {
                    problem: format!("claim {id} is {}'s", other.peer_name),
                }
                .into());
            }
            let mut was = None;
            let mut lines = Vec::new();
            for claim in mine {
                if is_over(tx, around, &claim)?.is_none() {
                    give_back(tx, &claim, "released")?;
                    was = was
                        .filter(|was| *was == ClaimState::Held)
                        .or(Some(claim.state));
                }
                lines.push(claim.resource);
            }
            lines.dedup();
            let mut promoted = Vec::new();
            for resource in lines {
                promoted.extend(promoted_by(tx, around, rings, &resource)?);
            }
            Ok(Released { was, promoted })
        })
    }

    /// Returns who holds what and who stands in line, by resource. Takes out whoever is over on the way.
    pub fn claims(&mut self, filter: ClaimFilter<'_>) -> Result<Vec<ClaimLine>> {
        match filter {
            ClaimFilter::Resource(resource) => self.settle_one(resource)?,
            ClaimFilter::Prefix(prefix) => self.settle_lines(prefix)?,
        };
        self.read(|tx, _| {
            let resources = match filter {
                ClaimFilter::Resource(resource) => vec![resource.to_owned()],
                ClaimFilter::Prefix(prefix) => tx.resources_claimed(prefix, LINES_MAX)?,
            };
            let mut all = Vec::new();
            for resource in resources {
                let Line { holders, queue } = Line::of(tx.claims_on(&resource)?);
                if !(holders.is_empty() && queue.is_empty()) {
                    let fence = tx.last_fence(&resource)?;
                    all.push(ClaimLine {
                        resource,
                        holders,
                        queue,
                        fence,
                    });
                }
            }
            Ok(all)
        })
    }

    /// Returns who else holds a resource alone. Only looks: what is over is passed over and stays.
    pub fn held_by_other(&mut self, me: Option<&Sitting>, resource: &str) -> Result<Option<Claim>> {
        self.read(|tx, around| {
            for claim in tx.claims_on(resource)? {
                let own = me.is_some_and(|me| Owner::of(&claim) == Owner::me(me));
                if claim.state == ClaimState::Held
                    && claim.mode == Mode::Exclusive
                    && !own
                    && is_over(tx, around, &claim)?.is_none()
                {
                    return Ok(Some(claim));
                }
            }
            Ok(None)
        })
    }
}

impl ClaimLine {
    /// Returns whether a claim in it is one's own.
    pub fn is_own(claim: &Claim, me: Option<&Sitting>) -> bool {
        me.is_some_and(|me| Owner::of(claim) == Owner::me(me))
    }
}

/// Renews what one holds, takes what is free, else stands in line or is denied.
pub(in crate::mesh) fn take(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    me: &Sitting,
    wanted: &Claiming,
) -> Result<Claimed> {
    let line = settle(tx, around, rings, wanted.resource)?;
    let owner = Owner::me(me);
    let own = |claim: &&Claim| Owner::of(claim) == owner;
    let new = NewClaim {
        resource: wanted.resource,
        mode: wanted.mode,
        peer: me.peer,
        session: me.session,
        note: wanted.note,
        lease_ms: wanted.lease_ms,
    };
    let held = line.holders.iter().find(own);
    let ticket = line.queue.iter().find(own);
    if let Some(held) = held
        && (held.mode == wanted.mode || line.holders.len() == 1)
    {
        let renewed = held.mode == wanted.mode;
        tx.claim_again(held.id, &new)?;
        tx.set_told(held.id)?;
        if !renewed {
            // Who has it alone now stands in no line for that; who shares it now lets the next sharers in.
            ticket.map_or(Ok(()), |ticket| give_back(tx, ticket, "changed"))?;
            granted(tx, held, wanted.mode, true)?;
            rings.lines.push(wanted.resource.into());
        }
        return grant(tx, held.id, renewed).map(Claimed::Granted);
    }
    let newcomer = InLine {
        owner,
        mode: wanted.mode,
    };
    let turn = ticket.is_none() && line.turns(Some(newcomer)).contains(&line.queue.len());
    if turn {
        let id = tx.insert_ticket(&new)?;
        let claim = tx.claim(id)?.expect("it was just inserted");
        granted(tx, &claim, wanted.mode, true)?;
        return grant(tx, id, false).map(Claimed::Granted);
    }
    let id = match ticket {
        Some(ticket) => {
            tx.claim_again(ticket.id, &new)?;
            ticket.id
        }
        None if wanted.queue => {
            let id = tx.insert_ticket(&new)?;
            let data = serde_json::json!({ "claim_id": id, "mode": wanted.mode, "place": line.queue.len() + 1 });
            tx.append(
                EventKind::ClaimQueued,
                Some(me.peer),
                wanted.resource,
                &data,
            )?;
            id
        }
        None => {
            return Ok(Claimed::Denied {
                holders: line.holders,
            });
        }
    };
    // A ticket that shares now may go with the holders.
    let line = settle(tx, around, rings, wanted.resource)?;
    let Some(mut ticket) = place(tx, &line, id) else {
        tx.set_told(id)?;
        return grant(tx, id, false).map(Claimed::Granted);
    };
    if wanted.wait {
        ticket.wait = Some(tx.insert_claim_wait(me.session, &around.own, id)?);
    } else {
        // Its server looks after the line from now on.
        rings.add([me.session]);
    }
    Ok(Claimed::Queued(ticket))
}

fn grant(tx: &Tx, id: ClaimId, renewed: bool) -> Result<Grant> {
    // The server of a client that was just killed may still be asked; what it gets goes with its session.
    let claim = tx
        .claim(id)?
        .ok_or_else(|| Refusal::conflict("this session has ended"))?;
    Ok(Grant { claim, renewed })
}

/// Returns the place of a ticket; `None` when it stands in line no more.
fn place(tx: &Tx, line: &Line, id: ClaimId) -> Option<Ticket> {
    let at = line.queue.iter().position(|ticket| ticket.id == id)?;
    Some(Ticket {
        id,
        place: at + 1,
        holders: line.holders.clone(),
        look_again_ms: look_again_ms(line, &tx.now),
        wait: None,
        cycle: None,
    })
}

/// Puts a line in order. Returns whose turn has come.
fn promoted_by(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    resource: &str,
) -> Result<Vec<PeerName>> {
    let waited: Vec<ClaimId> = Line::of(tx.claims_on(resource)?)
        .queue
        .iter()
        .map(|ticket| ticket.id)
        .collect();
    let line = settle(tx, around, rings, resource)?;
    let promoted = line.holders.into_iter();
    Ok(promoted
        .filter(|claim| waited.contains(&claim.id))
        .map(|claim| claim.peer_name)
        .collect())
}
