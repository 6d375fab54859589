//! Records the deaths of sessions. An operation that needs a peer records the deaths that it finds there, for all others.
use crate::mesh::claim::session_end::record_dead_session;
use crate::mesh::connection::Mesh;
use crate::mesh::context::Verb;
use crate::model::{Liveness, Result};
use crate::store::{Peer, Session};

impl Mesh {
    /// Records the deaths of all sessions whose process does not exist any more.
    pub fn record_dead_sessions(&mut self) -> Result<()> {
        self.write(|verb| {
            for session in verb.tx.live_sessions()? {
                if let Some(peer) = verb.tx.peer(session.peer)? {
                    reap_dead_sessions(verb, &peer)?;
                }
            }
            Ok(())
        })
    }
}

/// Records the deaths of dead sessions at a peer, and wakes those that wait for them. Returns the live session.
pub(in crate::mesh) fn reap_dead_sessions(verb: &mut Verb, peer: &Peer) -> Result<Option<Session>> {
    let mut found = None;
    for session in verb.tx.live_sessions_at(peer.id)? {
        if verb.liveness(&session, peer.ttl_ms) == Liveness::Dead {
            record_dead_session(verb, &session, peer)?;
        } else if found.is_none() {
            found = Some(session);
        }
    }
    Ok(found)
}
