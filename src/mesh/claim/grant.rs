//! Grants and removes single claims and tickets, each with its event. `queue.rs` decides which ticket is next.
use serde_json::json;

use crate::mesh::context::WriteContext;
use crate::model::{ClaimMode, EventKind, Result};
use crate::store::Claim;

/// Grants a ticket its claim. Returns the fencing token.
pub(in crate::mesh) fn grant_claim(
    write: &mut WriteContext,
    claim: &Claim,
    mode: ClaimMode,
    is_notified: bool,
) -> Result<i64> {
    let fencing_token = write.tx.grant_ticket(claim, is_notified)?;
    let data = json!({ "claim_id": claim.id, "mode": mode, "fence": fencing_token, "lease_seconds": claim.lease.lease_ms / 1000 });
    write.tx.append_event(
        EventKind::ClaimGranted,
        Some(claim.peer),
        &claim.resource,
        &data,
    )?;
    Ok(fencing_token)
}

/// Removes a claim or a ticket that its owner has given back.
pub(in crate::mesh) fn release_claim(
    write: &mut WriteContext,
    claim: &Claim,
    why: &str,
) -> Result<()> {
    remove_claim(write, claim, EventKind::ClaimReleased, why)
}

/// Removes a ticket, unless another call waits for it: then the ticket is transferred to the session of that call.
pub(in crate::mesh) fn withdraw_ticket(
    write: &mut WriteContext,
    ticket: &Claim,
    kind: EventKind,
    why: &str,
) -> Result<()> {
    match write.tx.sessions_waiting_with_ticket(ticket)?.first() {
        Some(other) if *other == ticket.session => {}
        Some(other) => write.tx.transfer_ticket(ticket.id, *other)?,
        None => remove_claim(write, ticket, kind, why)?,
    }
    write.changed_queues.push(ticket.resource.clone());
    Ok(())
}

pub(in crate::mesh) fn reap_claim(
    write: &mut WriteContext,
    claim: &Claim,
    why: &str,
) -> Result<()> {
    remove_claim(write, claim, EventKind::ClaimReaped, why)
}

/// Removes a claim or a ticket, and appends the event.
fn remove_claim(write: &mut WriteContext, claim: &Claim, kind: EventKind, why: &str) -> Result<()> {
    write.tx.delete_claim(claim.id)?;
    let data = json!({ "claim_id": claim.id, "mode": claim.mode, "fence": claim.fencing_token, "was": claim.state, "why": why });
    Ok(write
        .tx
        .append_event(kind, Some(claim.peer), &claim.resource, &data)?)
}
