//! Releases claims and tickets of the caller, and promotes the next tickets in the same transaction.
use crate::mesh::claim::grant::{release_claim, release_claim_for_person};
use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::claim::owner::Owner;
use crate::mesh::claim::queue::{QueueState, settle_queue};
use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::model::{ClaimState, PeerName, Refusal, Result};
use crate::platform::id::ClaimId;
use crate::store::Claim;

/// What to release.
#[derive(Debug, Clone, Copy)]
pub enum ClaimSelector<'a> {
    /// A claim or a ticket.
    Id(ClaimId),
    /// All claims and tickets of the session on a resource.
    Resource(&'a str),
}

/// The result of a release.
#[derive(Debug, Clone)]
pub struct ReleaseOutcome {
    /// What was released; `None` if there was nothing any more.
    pub was: Option<ClaimState>,
    /// The peers that were promoted by the release.
    pub promoted: Vec<PeerName>,
}

impl Mesh {
    /// Releases claims and tickets of a session. A person also releases those of others, by their id.
    pub fn release(
        &mut self,
        me: &SessionHandle,
        which: ClaimSelector<'_>,
    ) -> Result<ReleaseOutcome> {
        self.write(|write| {
            let found = match which {
                ClaimSelector::Id(id) => write.tx.claim(id)?.into_iter().collect(),
                ClaimSelector::Resource(resource) => write.tx.claims_on(resource)?,
            };
            let by_id = matches!(which, ClaimSelector::Id(_));
            let is_own = |claim: &Claim| Owner::of(claim) == Owner::me(me);
            let (mine, others): (Vec<Claim>, Vec<Claim>) = found
                .into_iter()
                .partition(|claim| is_own(claim) || (by_id && me.is_person_of_mesh(write.read())));
            if let (ClaimSelector::Id(id), Some(other)) = (which, others.first()) {
                return Err(Refusal::NotYours {
                    problem: format!("claim {id} is {}'s", other.peer_name),
                }
                .into());
            }
            let mut was = None;
            let mut changed_queues = Vec::new();
            for claim in mine {
                if expiry_reason(write.read(), &claim)?.is_none() {
                    if is_own(&claim) {
                        release_claim(write, &claim, "released")?;
                    } else {
                        release_claim_for_person(write, &claim, me.peer)?;
                    }
                    was = was
                        .filter(|was| *was == ClaimState::Held)
                        .or(Some(claim.state));
                }
                changed_queues.push(claim.resource);
            }
            changed_queues.dedup();
            let mut promoted = Vec::new();
            for resource in changed_queues {
                promoted.extend(settle_and_list_promoted(write, &resource)?);
            }
            Ok(ReleaseOutcome { was, promoted })
        })
    }
}

/// Settles a queue. Returns the peers that were promoted.
fn settle_and_list_promoted(write: &mut WriteContext, resource: &str) -> Result<Vec<PeerName>> {
    let waited: Vec<ClaimId> = QueueState::of(write.tx.claims_on(resource)?)
        .queue
        .iter()
        .map(|ticket| ticket.id)
        .collect();
    let queue_state = settle_queue(write, resource)?;
    let promoted = queue_state.holders.into_iter();
    Ok(promoted
        .filter(|claim| waited.contains(&claim.id))
        .map(|claim| claim.peer_name)
        .collect())
}
