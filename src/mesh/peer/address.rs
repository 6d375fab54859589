//! Resolves addresses and names to peers, earlier names included, and suggests similar names in the refusal of an
//! unknown one.
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::peer::dead_sessions::find_live_session_recording_deaths;
use crate::mesh::peer::person::person_of_host;
use crate::mesh::session::SessionHandle;
use crate::model::peer::{Address, nearest};
use crate::model::{Activity, Liveness, PeerKind, PeerName, Refusal, Result};
use crate::platform::id::PeerId;
use crate::store::{Peer, Session};

/// Returns the peer that an address means. For `name/any` it records the deaths of sessions that it finds. Never the
/// caller, and never a guess: an unknown or ambiguous name is refused.
pub(in crate::mesh) fn resolve_address(
    write: &mut WriteContext,
    me: &SessionHandle,
    address: &Address,
) -> Result<Peer> {
    let named = match find_peer(write.read(), address.name())? {
        None => person_of_host(write, me, address.name())?,
        found => found,
    };
    let Some(named) = named else {
        return Err(unknown_peer_refusal(write.read(), Some(me), address.name())?.into());
    };
    match address {
        Address::Peer(_) if named.id == me.peer => Err(Refusal::argument(format!(
            "\"{}\" is yourself; name another peer",
            named.name
        ))
        .into()),
        Address::Peer(_) => Ok(named),
        Address::AnyOf(_) => pick_peer_of_project(write, me, named),
    }
}

pub(in crate::mesh) fn find_peer(read: ReadContext, name: &str) -> Result<Option<Peer>> {
    if let Some(peer) = read
        .tx
        .find_peer_by_name(name)?
        .filter(|peer| peer.kind != PeerKind::Run)
    {
        return Ok(Some(peer));
    }
    let mut matching = read.tx.peers_with_given_name(name)?;
    if matching.is_empty() && name.len() >= 6 && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        matching = read.tx.peers_with_id_prefix(name)?;
    }
    match matching.len() {
        0 | 1 => Ok(matching.pop()),
        _ => {
            let matching = matching.iter().map(|peer| peer.name.to_string()).collect();
            Err(Refusal::AmbiguousPeer {
                name: name.into(),
                matching,
            }
            .into())
        }
    }
}

/// Returns a peer of the project that can be asked, an idle one first; else the peer that was named.
fn pick_peer_of_project(write: &mut WriteContext, me: &SessionHandle, named: Peer) -> Result<Peer> {
    let peers_of_project = match &named.project {
        Some(project) => write.tx.peers_of_project(project)?,
        None => vec![named.clone()],
    };
    let mut best: Option<(bool, Peer)> = None;
    for peer in peers_of_project.iter().filter(|peer| peer.id != me.peer) {
        let Some(session) = find_live_session_recording_deaths(write, peer)?
            .filter(|session| write.is_askable(session))
        else {
            continue;
        };
        let idle = write.activity(&session) == Activity::Idle;
        if best
            .as_ref()
            .is_none_or(|(best_idle, _)| idle && !best_idle)
        {
            best = Some((idle, peer.clone()));
        }
    }
    let fallback = || {
        (named.id != me.peer)
            .then_some(named)
            .or_else(|| peers_of_project.into_iter().find(|peer| peer.id != me.peer))
    };
    best.map(|(_, peer)| peer)
        .or_else(fallback)
        .ok_or_else(|| Refusal::argument("that project has no session other than yourself").into())
}

/// Returns the refusal of a name that no peer has. It suggests similar names and lists live peers.
pub(in crate::mesh) fn unknown_peer_refusal(
    read: ReadContext,
    me: Option<&SessionHandle>,
    name: &str,
) -> Result<Refusal> {
    let mut names = Vec::new();
    let mut present = Vec::new();
    for peer in read
        .tx
        .addressable_peers()?
        .into_iter()
        .filter(|peer| me.is_none_or(|me| me.peer != peer.id) && peer.kind == PeerKind::Session)
    {
        names.push(peer.name.to_string());
        let alive = |session: &Session| read.liveness(session, peer.ttl_ms) == Liveness::Alive;
        if read.tx.live_sessions_at(peer.id)?.iter().any(alive) {
            present.push(peer.name.to_string());
        }
    }
    present.truncate(12);
    Ok(Refusal::UnknownPeer {
        name: name.into(),
        nearest: nearest(name, &names),
        present,
    })
}

/// Returns the name of a peer, or of a removed one.
pub(in crate::mesh) fn peer_name(read: ReadContext, id: PeerId) -> Result<PeerName> {
    Ok(name_or_removed(read.tx.peer(id)?))
}

/// Returns the name of a peer that was looked up.
pub(in crate::mesh) fn name_or_removed(peer: Option<Peer>) -> PeerName {
    peer.map_or_else(removed_name, |peer| peer.name)
}

/// Returns what a removed peer is called.
pub(in crate::mesh) fn removed_name() -> PeerName {
    PeerName::fold("gone")
}
