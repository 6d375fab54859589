//! Lists who holds a resource and who waits for it.
use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::claim::owner::Owner;
use crate::mesh::claim::queue::{QUEUES_MAX, QueueState, unsettled_queues};
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::{ClaimMode, ClaimState, Result};
use crate::store::Claim;

/// The holders of a resource and the queue for it.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct ClaimQueue {
    pub resource: String,
    pub holders: Vec<Claim>,
    /// The tickets; the first is next.
    pub queue: Vec<Claim>,
    /// The last fencing token that was granted.
    pub fencing_token: i64,
}

impl ClaimQueue {
    /// Returns whether a claim belongs to the session `me`.
    pub fn is_own(claim: &Claim, me: Option<&SessionHandle>) -> bool {
        me.is_some_and(|me| Owner::of(claim) == Owner::me(me))
    }
}

/// Which resources to list.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, Copy)]
pub enum ClaimFilter<'a> {
    Resource(&'a str),
    /// The resources whose names begin with this text.
    Prefix(&'a str),
}

impl ClaimFilter<'_> {
    fn resources(self, read: ReadContext) -> Result<Vec<String>> {
        Ok(match self {
            Self::Resource(resource) => vec![resource.to_owned()],
            Self::Prefix(prefix) => read.tx.claimed_resources(prefix, QUEUES_MAX)?,
        })
    }
}

impl Mesh {
    /// Returns the holders and the queue of each resource. Settles these queues first, which may write.
    pub fn claims(&mut self, filter: ClaimFilter<'_>) -> Result<Vec<ClaimQueue>> {
        let (queues, unsettled_queues) = self.read(|read| {
            let resources = filter.resources(read)?;
            let queues = queues_of(read, &resources)?;
            Ok((queues, unsettled_queues(read, resources)?))
        })?;
        if unsettled_queues.is_empty() {
            return Ok(queues);
        }
        self.settle_queues_of(&unsettled_queues)?;
        self.read(|read| queues_of(read, &filter.resources(read)?))
    }

    /// Returns the exclusive claim of another owner on a resource. Only reads: an expired claim does not count and is
    /// not removed.
    pub fn find_other_exclusive_holder(
        &mut self,
        me: Option<&SessionHandle>,
        resource: &str,
    ) -> Result<Option<Claim>> {
        self.read(|read| {
            for claim in read.tx.claims_on(resource)? {
                let own = me.is_some_and(|me| Owner::of(&claim) == Owner::me(me));
                if claim.state == ClaimState::Held
                    && claim.mode == ClaimMode::Exclusive
                    && !own
                    && expiry_reason(read, &claim)?.is_none()
                {
                    return Ok(Some(claim));
                }
            }
            Ok(None)
        })
    }
}

fn queues_of(read: ReadContext, resources: &[String]) -> Result<Vec<ClaimQueue>> {
    let mut all = Vec::new();
    for resource in resources {
        let QueueState { holders, queue } = QueueState::of(read.tx.claims_on(resource)?);
        if !(holders.is_empty() && queue.is_empty()) {
            all.push(ClaimQueue {
                resource: resource.clone(),
                holders,
                queue,
                fencing_token: read.tx.last_fencing_token(resource)?,
            });
        }
    }
    Ok(all)
}
