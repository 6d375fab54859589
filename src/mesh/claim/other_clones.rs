//! Finds who has claimed the same file in another clone of the repository, on another machine: that is another file, so it is
//! granted, and both will meet when they merge.
use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::claim::owner::Owner;
use crate::mesh::context::ReadContext;
use crate::model::{ClaimState, Result};
use crate::store::{Claim, Peer};

/// What the names of files on other hosts begin with, without the last slash.
const HOST_FILES: &str = "file:/";
/// What the scope of a repository with a known remote begins with.
const REPOSITORY: &str = "git:";

/// Returns the held claims of others on the file of a claim in other clones.
pub(in crate::mesh) fn claims_in_other_clones(
    read: ReadContext,
    claim: &Claim,
) -> Result<Vec<Claim>> {
    if !claim.resource.starts_with("file://") {
        return Ok(Vec::new());
    }
    let Some(own) = read.tx.peer(claim.peer)? else {
        return Ok(Vec::new());
    };
    let Some((repository, file)) = place_in_repository(&own, &claim.resource) else {
        return Ok(Vec::new());
    };
    let mut found = read.tx.claims_below(HOST_FILES)?;
    found.retain(|other| {
        other.state == ClaimState::Held
            && other.resource != claim.resource
            && other.resource.ends_with(file)
            && Owner::of(other) != Owner::of(claim)
    });
    let mut same = Vec::new();
    for other in found {
        let peer = read.tx.peer(other.peer)?;
        let place = peer
            .as_ref()
            .and_then(|peer| place_in_repository(peer, &other.resource));
        if place == Some((repository, file)) && expiry_reason(read, &other)?.is_none() {
            same.push(other);
        }
    }
    Ok(same)
}

/// Returns the repository of a peer on another host, and the path of a file within its clone, with the slash before it.
fn place_in_repository<'a>(peer: &'a Peer, resource: &'a str) -> Option<(&'a str, &'a str)> {
    let repository = peer.git_common.as_deref()?;
    let below = resource.strip_prefix("file:")?;
    let file = below.strip_prefix(peer.git_root.as_deref()?)?;
    (repository.starts_with(REPOSITORY) && file.starts_with('/')).then_some((repository, file))
}
