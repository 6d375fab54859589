//! Grants and removes single claims and tickets, each with its event. `queue.rs` decides which ticket is next.
use serde_json::{Value, json};

use crate::mesh::context::WriteContext;
use crate::model::{ClaimMode, EventKind, Result};
use crate::platform::host_path::host_of;
use crate::platform::id::PeerId;
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
    wake_host_of(write, claim)?;
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

/// Removes a claim or a ticket of another session for a person, whose event this is; it names the owner.
pub(in crate::mesh) fn release_claim_for_person(
    write: &mut WriteContext,
    claim: &Claim,
    person: PeerId,
) -> Result<()> {
    write.tx.delete_claim(claim.id)?;
    let mut data = removal_data(claim, "released by a person");
    data["owner"] = json!(claim.peer_name);
    let kind = EventKind::ClaimReleased;
    write
        .tx
        .append_event(kind, Some(person), &claim.resource, &data)?;
    wake_host_of(write, claim)
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
    let data = removal_data(claim, why);
    write
        .tx
        .append_event(kind, Some(claim.peer), &claim.resource, &data)?;
    wake_host_of(write, claim)
}

/// Wakes the sessions on the host of a file or working tree whose claim has changed: the guard there knows the claims from
/// what the hub sends to these sessions.
fn wake_host_of(write: &mut WriteContext, claim: &Claim) -> Result<()> {
    let path = claim.resource.split_once(':').map(|(_, path)| path);
    if let Some(host) = path.and_then(host_of) {
        write.wake(write.tx.leased_sessions_of_host(host)?);
    }
    Ok(())
}

fn removal_data(claim: &Claim, why: &str) -> Value {
    json!({ "claim_id": claim.id, "mode": claim.mode, "fence": claim.fencing_token, "was": claim.state, "why": why })
}
