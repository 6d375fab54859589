//! Finds deadlocks: cycles in the wait-for graph over questions and claims. The session that closes a cycle is interrupted at
//! once; the others go on to wait.
use std::collections::HashMap;

use crate::mesh::claim::queue::QueueState;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::{PeerName, Result};
use crate::platform::id::PeerId;

/// Returns the shortest cycle that is closed if `me` waits for `awaited`: the names of its peers, from `me` to `me`.
pub(in crate::mesh) fn find_deadlock(
    read: ReadContext,
    me: &SessionHandle,
    awaited: impl IntoIterator<Item = PeerId>,
) -> Result<Option<Vec<PeerName>>> {
    // Each peer is visited once, although many paths may lead to it: a long claim queue has very many.
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

/// Returns the names on the path to the last peer of a cycle.
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

/// Returns the peers for which the calls of a peer wait: those it asked, if they were shown the question, and those
/// before it in a claim queue. Calls of killed servers do not count.
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
