//! Lists who holds a resource, or anything in a git working tree, and who waits for it.
use std::path::Path;

use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::claim::owner::Owner;
use crate::mesh::claim::queue::{QUEUES_MAX, QueueState, unsettled_queues};
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::{ClaimMode, ClaimState, Result};
use crate::platform::git_checkout::working_tree_of;
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
                if is_held_by_other(read, &claim, me)? {
                    return Ok(Some(claim));
                }
            }
            Ok(None)
        })
    }

    /// Returns the exclusive claims of other owners on a git working tree and on files in it, by resource; `root` is its top
    /// folder. Only reads, as [`Mesh::find_other_exclusive_holder`] does.
    pub fn find_other_holders_in_working_tree(
        &mut self,
        me: Option<&SessionHandle>,
        root: &str,
    ) -> Result<Vec<Claim>> {
        self.read(|read| {
            let mut held = Vec::new();
            let on_tree = read.tx.claims_on(&format!("git:{root}"))?;
            let below = read
                .tx
                .claims_below(&format!("file:{}", root.trim_end_matches('/')))?;
            for claim in on_tree.into_iter().chain(below) {
                if is_held_by_other(read, &claim, me)? {
                    held.push(claim);
                }
            }
            held.retain(|claim| is_in_working_tree(&claim.resource, Path::new(root)));
            Ok(held)
        })
    }
}

/// Returns whether a claim is exclusive, granted, not expired, and of another owner.
pub(in crate::mesh) fn is_held_by_other(
    read: ReadContext,
    claim: &Claim,
    me: Option<&SessionHandle>,
) -> Result<bool> {
    Ok(claim.state == ClaimState::Held
        && claim.mode == ClaimMode::Exclusive
        && !ClaimQueue::is_own(claim, me)
        && expiry_reason(read, claim)?.is_none())
}

/// Returns whether a resource is the working tree with this top folder, or a file in it. A file in a working tree within it,
/// a linked one or a submodule, belongs to that.
pub fn is_in_working_tree(resource: &str, root: &Path) -> bool {
    if let Some(tree) = resource.strip_prefix("git:") {
        return Path::new(tree) == root;
    }
    let file = resource.strip_prefix("file:").map(Path::new);
    let folder = file
        .filter(|file| file.starts_with(root))
        .and_then(Path::parent);
    folder.is_some_and(|folder| working_tree_of(folder).as_deref() == Some(root))
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
