//! Lists who holds a resource and who waits for it.
use crate::mesh::claim::grant::Owner;
use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::claim::queue::{QUEUES_MAX, QueueState};
use crate::mesh::connection::Mesh;
use crate::mesh::session::SessionHandle;
use crate::model::{ClaimMode, ClaimState, Result};
use crate::store::Claim;

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

impl ClaimQueue {
    /// Returns whether a claim in it is one's own.
    pub fn is_own(claim: &Claim, me: Option<&SessionHandle>) -> bool {
        me.is_some_and(|me| Owner::of(claim) == Owner::me(me))
    }
}

/// Which resources to look at.
#[derive(Debug, Clone, Copy)]
pub enum ClaimFilter<'a> {
    /// One.
    Resource(&'a str),
    /// Those whose name begins so.
    Prefix(&'a str),
}

impl Mesh {
    /// Returns who holds what and who stands in line, by resource. Takes out whoever is over on the way.
    pub fn claims(&mut self, filter: ClaimFilter<'_>) -> Result<Vec<ClaimQueue>> {
        match filter {
            ClaimFilter::Resource(resource) => self.settle_queue_of(resource)?,
            ClaimFilter::Prefix(prefix) => self.settle_queues(prefix)?,
        };
        self.read(|read| {
            let resources = match filter {
                ClaimFilter::Resource(resource) => vec![resource.to_owned()],
                ClaimFilter::Prefix(prefix) => read.tx.claimed_resources(prefix, QUEUES_MAX)?,
            };
            let mut all = Vec::new();
            for resource in resources {
                let QueueState { holders, queue } = QueueState::of(read.tx.claims_on(&resource)?);
                if !(holders.is_empty() && queue.is_empty()) {
                    let fencing_token = read.tx.last_fencing_token(&resource)?;
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
