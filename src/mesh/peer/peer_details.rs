//! What belongs to peers and their sessions, read for many of them by a few statements.
use std::collections::HashMap;

use crate::mesh::context::ReadContext;
use crate::mesh::peer::glance::PeerGlance;
use crate::model::Result;
use crate::model::fork::ForkTotals;
use crate::platform::id::{PeerId, SessionId};
use crate::store::{Claim, Task};

/// What belongs to some peers. What is missing does not exist.
#[derive(Debug, Default)]
pub(in crate::mesh) struct PeerDetails {
    /// Earlier names, in alphabetical order.
    pub(in crate::mesh) aliases: HashMap<PeerId, Vec<String>>,
    /// How many questions are pending for a peer.
    pub(in crate::mesh) questions: HashMap<PeerId, u32>,
    /// The claims that a peer holds, by resource, also those that have expired.
    pub(in crate::mesh) claims: HashMap<PeerId, Vec<Claim>>,
    /// The task that a peer works on; of several the one that was changed last.
    pub(in crate::mesh) current_tasks: HashMap<PeerId, Task>,
    /// What forks of a session have answered.
    pub(in crate::mesh) forks: HashMap<SessionId, ForkTotals>,
}

impl PeerDetails {
    /// Reads what belongs to these peers.
    pub(in crate::mesh) fn read(read: ReadContext, glances: &[PeerGlance]) -> Result<Self> {
        let peers: Vec<PeerId> = glances.iter().map(|glance| glance.peer.id).collect();
        let sessions = glances.iter().filter_map(|glance| glance.session.as_ref());
        let leased = sessions
            .clone()
            .filter(|session| session.lease_until_ms.is_some());
        let sessions: Vec<SessionId> = sessions.map(|session| session.id).collect();
        read.tx.expect(|tx| {
            drop(tx.aliases_of(&peers));
            drop(tx.count_pending_questions(&peers));
            drop(tx.claims_held_by(&peers));
            drop(tx.current_tasks(&peers));
            drop(tx.fork_totals_of(&sessions));
            for session in leased {
                drop(tx.activity_summary(session.id));
            }
        })?;
        let mut details = Self {
            questions: read
                .tx
                .count_pending_questions(&peers)?
                .into_iter()
                .collect(),
            forks: read.tx.fork_totals_of(&sessions)?.into_iter().collect(),
            ..Self::default()
        };
        for (peer, alias) in read.tx.aliases_of(&peers)? {
            details.aliases.entry(peer).or_default().push(alias);
        }
        for claim in read.tx.claims_held_by(&peers)? {
            details.claims.entry(claim.peer).or_default().push(claim);
        }
        for task in read.tx.current_tasks(&peers)? {
            if let Some(peer) = task.assigned_to {
                details.current_tasks.entry(peer).or_insert(task);
            }
        }
        Ok(details)
    }
}
