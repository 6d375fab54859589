//! Circles of waits: each waits for the next, over questions and claims alike, and the last for the first. Whoever closes one is
//! told at once; the others go on to wait.
use std::collections::HashMap;

use crate::mesh::claim::queue::QueueState;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::{PeerName, Result};
use crate::platform::id::PeerId;

/// Returns the shortest circle that waits of `me` for `awaited` close, by name, from `me` to `me`.
pub(in crate::mesh) fn find_deadlock(
    read: ReadContext,
    me: &SessionHandle,
    awaited: impl IntoIterator<Item = PeerId>,
) -> Result<Option<Vec<PeerName>>> {
    // Each peer is looked at once, however many ways lead there; behind a long line there are very many.
    let mut reached: Vec<(PeerId, Option<usize>)> =
        awaited.into_iter().map(|peer| (peer, None)).collect();
    let mut queues = HashMap::new();
    let mut at = 0;
    while let Some((peer, _)) = reached.get(at).copied() {
        for next in peers_awaited_by(read, &mut queues, peer)? {
            if next == me.peer {
                return peer_names(read, me, &reached, at).map(Some);
            }
            if reached.iter().all(|(known, _)| *known != next) {
                reached.push((next, Some(at)));
            }
        }
        at += 1;
    }
    Ok(None)
}

/// The names along the way to the last of a circle.
fn peer_names(
    read: ReadContext,
    me: &SessionHandle,
    reached: &[(PeerId, Option<usize>)],
    last: usize,
) -> Result<Vec<PeerName>> {
    let mut peer_names = vec![me.name.clone()];
    let mut at = Some(last);
    while let Some(index) = at {
        let (peer, from) = reached[index];
        peer_names.extend(read.tx.peer(peer)?.map(|peer| peer.name));
        at = from;
    }
    peer_names.push(me.name.clone());
    peer_names.reverse();
    Ok(peer_names)
}

/// Returns for whom the calls of a mailbox wait: those they asked, over questions that were shown, and those who come before
/// them in a line. A killed server's calls wait no more.
fn peers_awaited_by(
    read: ReadContext,
    queues: &mut HashMap<String, QueueState>,
    peer: PeerId,
) -> Result<Vec<PeerId>> {
    let mut awaited = Vec::new();
    for (_, target, session) in read.tx.wait_graph_edges_of(peer)? {
        if read.is_server_running(session) {
            awaited.push(target);
        }
    }
    for (ticket, resource, session) in read.tx.tickets_awaited_at(peer)? {
        if !queues.contains_key(&resource) {
            queues.insert(
                resource.clone(),
                QueueState::of(read.tx.claims_on(&resource)?),
            );
        }
        let queue_state = &queues[&resource];
        let position = queue_state.queue.iter().position(|one| one.id == ticket);
        if let Some(position) = position.filter(|_| read.is_server_running(session)) {
            awaited.extend(queue_state.blockers(position));
        }
    }
    Ok(awaited)
}
