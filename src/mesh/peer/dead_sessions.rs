//! Records the deaths of sessions. An operation that needs a peer records the deaths that it finds there, for all others.
use std::collections::HashMap;

use crate::mesh::claim::session_end::record_dead_session;
use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::model::{Liveness, Result};
use crate::platform::id::PeerId;
use crate::store::{Peer, Session};

impl Mesh {
    /// Records the deaths of all sessions whose process does not exist any more.
    pub fn record_dead_sessions(&mut self) -> Result<()> {
        self.write(|write| {
            let peers = write.tx.peers_with_live_session()?.into_iter();
            let peers: HashMap<PeerId, Peer> = peers.map(|peer| (peer.id, peer)).collect();
            for session in write.tx.live_sessions()? {
                if let Some(peer) = peers.get(&session.peer)
                    && write.liveness(&session, peer.ttl_ms) == Liveness::Dead
                {
                    record_dead_session(write, &session, peer)?;
                }
            }
            Ok(())
        })
    }
}

/// Returns the live session at a peer. Records the deaths of dead ones there, and wakes those that wait for them.
pub(in crate::mesh) fn find_live_session_recording_deaths(
    write: &mut WriteContext,
    peer: &Peer,
) -> Result<Option<Session>> {
    let sessions = write.tx.live_sessions_at(peer.id)?;
    living_session(write, peer, sessions)
}

/// Returns the first of these sessions of a peer that lives, and records the deaths of those that do not.
pub(in crate::mesh) fn living_session(
    write: &mut WriteContext,
    peer: &Peer,
    sessions: Vec<Session>,
) -> Result<Option<Session>> {
    let mut found = None;
    for session in sessions {
        if write.liveness(&session, peer.ttl_ms) == Liveness::Dead {
            record_dead_session(write, &session, peer)?;
        } else if found.is_none() {
            found = Some(session);
        }
    }
    Ok(found)
}
