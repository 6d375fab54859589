//! Finds claims that were granted while no call of their session waited, for the inbox of the session.
use crate::mesh::claim::lease::lease_expires_at_ms;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::store::{Claim, PendingFlags};
use serde::{Deserialize, Serialize};

/// A claim that was granted without notifying its session.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Granted {
    pub claim: Claim,
    /// When its lease ends, in wall milliseconds.
    pub until_ms: i64,
}

/// Returns the claims that were granted to a session without notifying it.
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
