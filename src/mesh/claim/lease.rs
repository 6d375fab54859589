//! Computes when a lease ends and whether a claim has expired, by the same rule for all.
use crate::mesh::context::ReadContext;
use crate::model::claim::HolderStatus;
use crate::model::{Activity, ClaimState, Liveness, PeerKind, Result};
use crate::platform::Moment;
use crate::store::Claim;

/// Why a claim has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum ExpiryReason {
    /// The session is dead.
    Died,
    /// Its lease has expired, or was counted on another boot.
    Lease,
}

/// Returns why a claim or a ticket has expired; `None` if it has not.
pub(in crate::mesh) fn expiry_reason(
    read: ReadContext,
    claim: &Claim,
) -> Result<Option<ExpiryReason>> {
    let now = &read.tx.now;
    if claim.boot != *now.boot {
        return Ok(Some(ExpiryReason::Lease));
    }
    let lease_lapsed = now.monotonic_ms >= claim.lease.expires_at_monotonic_ms;
    if claim.kind == PeerKind::Person {
        return person_claim_expiry(read, claim, lease_lapsed);
    }
    let session = read.tx.session(claim.session)?;
    let alive = session
        .as_ref()
        .is_some_and(|session| read.liveness(session, claim.ttl_ms) != Liveness::Dead);
    if !alive {
        return Ok(Some(ExpiryReason::Died));
    }
    if claim.state == ClaimState::Queued {
        return Ok(None);
    }
    let busy =
        lease_lapsed && session.is_some_and(|session| read.activity(&session) == Activity::Busy);
    let expiry = claim
        .lease
        .is_expired(HolderStatus { alive, busy }, now.monotonic_ms);
    Ok(expiry.then_some(ExpiryReason::Lease))
}

/// A claim of a person, and a ticket that a command has left in the queue, expire by their lease alone. A ticket for
/// which commands wait lives as long as one of them.
fn person_claim_expiry(
    read: ReadContext,
    claim: &Claim,
    lease_lapsed: bool,
) -> Result<Option<ExpiryReason>> {
    let commands = match claim.state {
        ClaimState::Held => Vec::new(),
        ClaimState::Queued => read.tx.sessions_waiting_with_ticket(claim)?,
    };
    if commands.is_empty() {
        return Ok(lease_lapsed.then_some(ExpiryReason::Lease));
    }
    for command in commands {
        let waits = read.is_server_running(command)
            || read
                .tx
                .session(command)?
                .is_some_and(|session| read.liveness(&session, claim.ttl_ms) != Liveness::Dead);
        if waits {
            return Ok(None);
        }
    }
    Ok(Some(ExpiryReason::Died))
}

/// Returns when the earliest lease of the holders may expire, in milliseconds from now.
pub(in crate::mesh) fn recheck_after_ms(holders: &[Claim], now: &Moment) -> Option<i64> {
    let ends = holders
        .iter()
        .map(|claim| claim.lease.next_check_monotonic_ms(now.monotonic_ms));
    Some((ends.min()? - now.monotonic_ms).max(1))
}

/// Returns when a lease ends, in wall milliseconds. A lapsed lease that is still honoured has ended.
///
/// Two clocks are never read at the same instant, so their offset varies by a millisecond from reading to reading. While
/// they have run together since the lease began, the offset of that time is used, so that all callers get the same end.
pub fn lease_expires_at_ms(claim: &Claim, now: &Moment) -> i64 {
    const CLOCK_DRIFT_MAX_MS: i64 = 1_000;
    let offset_now_ms = now.wall_ms - now.monotonic_ms;
    let offset_at_start_ms = claim.lease_began_at_ms - claim.lease.claimed_monotonic_ms;
    let same_boot = claim.boot == *now.boot;
    let is_same_offset =
        same_boot && (offset_now_ms - offset_at_start_ms).abs() < CLOCK_DRIFT_MAX_MS;
    let offset_ms = if is_same_offset {
        offset_at_start_ms
    } else {
        offset_now_ms
    };
    claim.lease.expires_at_monotonic_ms + offset_ms
}
