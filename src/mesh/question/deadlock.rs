//! Circles of waits: each waits for the next, over questions and claims alike, and the last for the first. Whoever closes one is
//! told at once; the others go on to wait.
use std::collections::HashMap;

use crate::mesh::Sitting;
use crate::mesh::claim::queue::Line;
use crate::mesh::peer::liveness::Around;
use crate::model::{PeerName, Result};
use crate::platform::id::PeerId;
use crate::store::Tx;

/// Returns the shortest circle that waits of `me` for `awaited` close, by name, from `me` to `me`.
pub(in crate::mesh) fn circle(
    tx: &Tx,
    around: &Around,
    me: &Sitting,
    awaited: impl IntoIterator<Item = PeerId>,
) -> Result<Option<Vec<PeerName>>> {
    // Each peer is looked at once, however many ways lead there; behind a long line there are very many.
    let mut reached: Vec<(PeerId, Option<usize>)> =
        awaited.into_iter().map(|peer| (peer, None)).collect();
    let mut lines = HashMap::new();
    let mut at = 0;
    while let Some((peer, _)) = reached.get(at).copied() {
        for next in awaited_by(tx, around, &mut lines, peer)? {
            if next == me.peer {
                return names(tx, me, &reached, at).map(Some);
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
fn names(
    tx: &Tx,
    me: &Sitting,
    reached: &[(PeerId, Option<usize>)],
    last: usize,
) -> Result<Vec<PeerName>> {
    let mut names = vec![me.name.clone()];
    let mut at = Some(last);
    while let Some(here) = at {
        let (peer, from) = reached[here];
        names.extend(tx.peer(peer)?.map(|peer| peer.name));
        at = from;
    }
    names.push(me.name.clone());
    names.reverse();
    Ok(names)
}

/// Returns for whom the calls of a mailbox wait: those they asked, over questions that were shown, and those who come before
/// them in a line. A killed server's calls wait no more.
fn awaited_by(
    tx: &Tx,
    around: &Around,
    lines: &mut HashMap<String, Line>,
    peer: PeerId,
) -> Result<Vec<PeerId>> {
    let mut awaited = Vec::new();
    for (_, target, session) in tx.waits_shown_of(peer)? {
        if around.bells.is_served(session) {
            awaited.push(target);
        }
    }
    for (ticket, resource, session) in tx.turns_awaited_at(peer)? {
        if !lines.contains_key(&resource) {
            lines.insert(resource.clone(), Line::of(tx.claims_on(&resource)?));
        }
        let line = &lines[&resource];
        let place = line.queue.iter().position(|one| one.id == ticket);
        if let Some(place) = place.filter(|_| around.bells.is_served(session)) {
            awaited.extend(line.blockers(place));
        }
    }
    Ok(awaited)
}
