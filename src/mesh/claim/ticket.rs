//! A ticket in a claim queue: its position, and when its owner checks the queue again.
use crate::mesh::claim::lease::recheck_after_ms;
use crate::mesh::claim::queue::QueueState;
use crate::mesh::context::ReadContext;
use crate::model::PeerName;
use crate::platform::id::{ClaimId, WaitId};
use crate::store::Claim;

/// A ticket in a claim queue.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Its id; the claim that it becomes keeps it.
    pub id: ClaimId,
    /// Its position in the queue; 1 is next.
    pub position: usize,
    /// The current holders.
    pub holders: Vec<Claim>,
    /// When the earliest lease of a holder may expire, in milliseconds from now.
    pub recheck_after_ms: Option<i64>,
    /// The wait of the call that waits for the promotion.
    pub wait: Option<WaitId>,
    /// The deadlock that this wait closes: each of these peers waits for the next, and the last for the first.
    pub cycle: Option<Vec<PeerName>>,
}

/// Returns a ticket with its position; `None` if it is not in the queue.
pub(in crate::mesh) fn find_ticket(
    read: ReadContext,
    queue_state: &QueueState,
    id: ClaimId,
) -> Option<Ticket> {
    let at = queue_state
        .queue
        .iter()
        .position(|ticket| ticket.id == id)?;
    Some(Ticket {
        id,
        position: at + 1,
        holders: queue_state.holders.clone(),
        recheck_after_ms: recheck_after_ms(&queue_state.holders, &read.tx.now),
        wait: None,
        cycle: None,
    })
}
