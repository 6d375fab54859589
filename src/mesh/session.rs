//! `SessionHandle`: names the session for which an operation runs.
use crate::mesh::context::ReadContext;
use crate::model::{PeerKind, PeerName, Refusal, Result};
use crate::platform::id::{PeerId, SessionId};
use crate::store::Peer;
use serde::{Deserialize, Serialize};

/// A session registered at its peer.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHandle {
    pub session: SessionId,
    /// The peer that it is registered at.
    pub peer: PeerId,
    /// The name of the peer.
    pub name: PeerName,
    /// What the peer is: a session, a headless run or a person.
    pub kind: PeerKind,
    /// The number of the peer within its project.
    pub seat: Option<u32>,
    /// The folder of the project.
    pub project: Option<String>,
    /// Grows each time a session registers at the peer after an earlier one has died.
    pub epoch: i64,
    /// Whether this call registered the session; false if it was registered before.
    pub joined: bool,
}

impl SessionHandle {
    pub(in crate::mesh) fn new(session: SessionId, peer: &Peer, joined: bool) -> Self {
        Self {
            session,
            peer: peer.id,
            name: peer.name.clone(),
            kind: peer.kind,
            seat: peer.seat,
            project: peer.project.clone(),
            epoch: peer.epoch,
            joined,
        }
    }

    /// Returns whether others can send it questions and messages. A headless run has no mailbox.
    pub fn is_addressable(&self) -> bool {
        self.kind != PeerKind::Run
    }

    /// Returns whether it is the person at the machine of the mesh, who may also act on what belongs to others. A person at
    /// another machine may not: the key of a host speaks for that host.
    pub(in crate::mesh) fn is_person_of_mesh(&self, read: ReadContext) -> bool {
        self.kind == PeerKind::Person && self.name == PeerName::for_person(&read.host.own.host)
    }

    /// Refuses a headless run, which has no mailbox.
    pub(in crate::mesh) fn check_addressable(&self) -> Result<()> {
        if self.is_addressable() {
            return Ok(());
        }
        let problem = "this run has no mailbox: it can post messages, but receives none".into();
        Err(Refusal::Unsupported { problem }.into())
    }
}

/// Returns the handle of a session as it is now; `None` if the session has ended.
pub(in crate::mesh) fn live_handle(
    read: ReadContext,
    session: SessionId,
) -> Result<Option<SessionHandle>> {
    let found = read.tx.session(session)?;
    let Some(live) = found.filter(|found| found.ended_at_ms.is_none()) else {
        return Ok(None);
    };
    let peer = read.tx.peer(live.peer)?;
    Ok(peer.map(|peer| SessionHandle::new(session, &peer, false)))
}
