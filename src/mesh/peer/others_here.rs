//! The other sessions of a mesh, as the text at the start of a session names them.
use serde::{Deserialize, Serialize};

use crate::mesh::connection::Mesh;
use crate::mesh::session::SessionHandle;
use crate::model::{Activity, Liveness, PeerKind, Result};

/// The longest list of names; more are counted.
const NAMED_MAX: usize = 12;
/// How many peers are looked at. Of more, a session that has died without a word may be counted.
const LOOKED_AT_MAX: usize = 32;

/// The other live sessions of a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OthersHere {
    /// The names of the first ones, in alphabetical order, and what they do.
    #[serde(rename = "others")]
    pub named: Vec<(String, Activity)>,
    /// How many there are besides.
    #[serde(default, rename = "more_others")]
    pub more: u32,
}

impl OthersHere {
    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.named.len() + usize::try_from(self.more).unwrap_or(usize::MAX)
    }
}

impl Mesh {
    /// Returns the other sessions that live. It costs the same in a mesh of a thousand as in one of fifty.
    pub fn others_here(&mut self, me: &SessionHandle) -> Result<OthersHere> {
        let (others, any_dead) = self.read(|read| {
            let (mut others, mut any_dead) = (OthersHere::default(), false);
            let mut peers = read.tx.session_peers_here(LOOKED_AT_MAX)?;
            let mut more = 0;
            if peers.len() == LOOKED_AT_MAX {
                more = read
                    .tx
                    .count_session_peers_here()?
                    .saturating_sub(LOOKED_AT_MAX);
            }
            let is_among_them = peers.iter().any(|peer| peer.id == me.peer);
            if !is_among_them && me.kind == PeerKind::Session {
                more = more.saturating_sub(1);
            }
            peers.retain(|peer| peer.id != me.peer);
            read.tx.expect(|tx| {
                for peer in &peers {
                    drop(tx.live_sessions_at(peer.id));
                }
            })?;
            for peer in peers {
                let sessions = read.tx.live_sessions_at(peer.id)?;
                let mut living = sessions
                    .iter()
                    .filter(|session| read.liveness(session, peer.ttl_ms) != Liveness::Dead);
                match living.next() {
                    None => any_dead = true,
                    Some(_) if others.named.len() == NAMED_MAX => more += 1,
                    Some(session) => {
                        let activity = read.activity(session);
                        others.named.push((peer.name.to_string(), activity));
                    }
                }
            }
            others.more = u32::try_from(more).unwrap_or(u32::MAX);
            Ok((others, any_dead))
        })?;
        if any_dead {
            // If it fails now, the next read records the deaths.
            let _ = self.record_dead_sessions();
        }
        Ok(others)
    }
}
