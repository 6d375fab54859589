//! A peer with its session, and whether that lives: what lists and figures of many peers begin with. Each process and file is
//! looked at once, and the sessions of all peers are read by one statement.
use std::collections::HashMap;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::person::askable_sessions;
use crate::mesh::wake::throttle::{paused_until, throttled_for_observer, throttled_for_person};
use crate::model::throttle::Throttled;
use crate::model::{Liveness, PeerKind, Result};
use crate::platform::id::PeerId;
use crate::store::{Peer, Session};

/// A peer with its session.
#[derive(Debug)]
pub(in crate::mesh) struct PeerGlance {
    pub(in crate::mesh) peer: Peer,
    pub(in crate::mesh) session: Option<Session>,
    /// Whether the session lives.
    pub(in crate::mesh) liveness: Liveness,
    /// Why questions to it are held.
    pub(in crate::mesh) held: Option<Throttled>,
}

impl PeerGlance {
    /// Returns whether its session has died and this is not recorded.
    pub(in crate::mesh) fn is_unrecorded_death(&self) -> bool {
        self.session.is_some() && self.liveness == Liveness::Dead
    }
}

impl Mesh {
    /// Runs a query that looks at the sessions of many peers, after it has settled the claim queues. Records the deaths that
    /// `is_unrecorded_death` finds in the result.
    pub(in crate::mesh) fn read_many_peers<T>(
        &mut self,
        query: impl FnOnce(ReadContext) -> Result<Vec<T>>,
        is_unrecorded_death: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>> {
        self.settle_queues_if_unlocked();
        let found = self.read_and_wake_unnotified(|read| {
            let host = read.host.for_one_read();
            query(ReadContext {
                tx: read.tx,
                host: &host,
            })
        })?;
        if found.iter().any(is_unrecorded_death) {
            // If it fails now, the next read records the deaths.
            let _ = self.record_dead_sessions();
        }
        Ok(found)
    }

    /// Returns the peers whose session lives or may live.
    pub(in crate::mesh) fn living_peers(&mut self) -> Result<Vec<PeerGlance>> {
        let mut found = self.read_many_peers(
            |read| glance_at(read, read.tx.peers_with_live_session()?),
            PeerGlance::is_unrecorded_death,
        )?;
        found.retain(|glance| glance.liveness != Liveness::Dead);
        Ok(found)
    }
}

/// Returns peers, each with its session.
pub(in crate::mesh) fn glance_at(read: ReadContext, peers: Vec<Peer>) -> Result<Vec<PeerGlance>> {
    let ids: Vec<PeerId> = peers.iter().map(|peer| peer.id).collect();
    let mut sessions: HashMap<PeerId, Vec<Session>> = HashMap::new();
    for session in read.tx.live_sessions_of(&ids)? {
        sessions.entry(session.peer).or_default().push(session);
    }
    let paused_until_ms = paused_until(read)?;
    let glance = |peer: Peer| {
        let sessions = sessions.remove(&peer.id).unwrap_or_default();
        let session = session_to_show(read, &peer, sessions)?;
        let liveness = session.as_ref().map_or(Liveness::Dead, |session| {
            read.liveness(session, peer.ttl_ms)
        });
        let held = match &session {
            _ if peer.kind == PeerKind::Person => throttled_for_person(read, &peer)?,
            Some(session) => throttled_for_observer(read, &peer, session, paused_until_ms)?,
            None => None,
        };
        Ok(PeerGlance {
            peer,
            session,
            liveness,
            held,
        })
    };
    peers.into_iter().map(glance).collect()
}

/// Returns the session that a peer is described by: of a person one that shows questions, else one that lives, else one
/// whose death is not recorded.
fn session_to_show(
    read: ReadContext,
    peer: &Peer,
    sessions: Vec<Session>,
) -> Result<Option<Session>> {
    if peer.kind == PeerKind::Person
        && let Some(session) = askable_sessions(read, peer)?.into_iter().next()
    {
        return Ok(Some(session));
    }
    let lives = |session: &Session| read.liveness(session, peer.ttl_ms) != Liveness::Dead;
    let at = sessions.iter().position(lives).unwrap_or(0);
    Ok(sessions.into_iter().nth(at))
}
