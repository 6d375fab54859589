//! The other sessions of a mesh, as the text at the start of a session names them.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::mesh::connection::Mesh;
use crate::mesh::session::SessionHandle;
use crate::model::{Activity, Liveness, PeerKind, Result};
use crate::platform::id::PeerId;
use crate::store::Session;

/// The longest list of names; more are counted.
const NAMED_MAX: usize = 12;

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
    /// Returns the other sessions that live. It reads two tables once, however many there are.
    pub fn others_here(&mut self, me: &SessionHandle) -> Result<OthersHere> {
        let (others, any_dead) = self.read(|read| {
            let (mut others, mut any_dead) = (OthersHere::default(), false);
            let mut sessions_of: HashMap<PeerId, Vec<Session>> = HashMap::new();
            for session in read.tx.live_sessions()? {
                sessions_of.entry(session.peer).or_default().push(session);
            }
            for peer in read.tx.peers_with_live_session()? {
                let sessions = sessions_of.get(&peer.id).map_or(&[][..], Vec::as_slice);
                let lives =
                    |session: &&Session| read.liveness(session, peer.ttl_ms) != Liveness::Dead;
                let Some(session) = sessions.iter().rev().find(lives) else {
                    any_dead = true;
                    continue;
                };
                if peer.kind != PeerKind::Session || peer.id == me.peer {
                    continue;
                }
                if others.named.len() < NAMED_MAX {
                    let activity = read.activity(session);
                    others.named.push((peer.name.to_string(), activity));
                } else {
                    others.more += 1;
                }
            }
            Ok((others, any_dead))
        })?;
        if any_dead {
            // If it fails now, the next read records the deaths.
            let _ = self.record_dead_sessions();
        }
        Ok(others)
    }
}
