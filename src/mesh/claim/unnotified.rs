//! Claims that were granted while no call of their session waited: its inbox reports them.
use crate::mesh::claim::lease::lease_expires_at_ms;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::store::{Claim, PendingFlags};

/// A claim that a session holds without having been told.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The claim.
    pub claim: Claim,
    /// When its lease is over, in wall milliseconds.
    pub until_ms: i64,
}

/// Returns the claims that a session holds without having been told.
pub(in crate::mesh) fn unnotified_grants(
    read: ReadContext,
    me: &SessionHandle,
    pending_flags: PendingFlags,
) -> Result<Vec<Granted>> {
    if !pending_flags.grants {
        return Ok(Vec::new());
    }
    let claims = read.tx.unnotified_grants(me.session)?;
    let to_granted = |claim| Granted {
        until_ms: lease_expires_at_ms(&claim, &read.tx.now),
        claim,
    };
    Ok(claims.into_iter().map(to_granted).collect())
}
