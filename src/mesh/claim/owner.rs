//! The owner of a claim: a session, or a person for all commands. It decides who may renew and release a claim.
use crate::mesh::session::SessionHandle;
use crate::model::PeerKind;
use crate::platform::id::{PeerId, SessionId};
use crate::store::Claim;

/// The owner of a claim. Each session is an owner of its own; a person is one owner for all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Owner {
    Session(SessionId),
    Person(PeerId),
}

impl Owner {
    pub(in crate::mesh) fn of(claim: &Claim) -> Self {
        match claim.kind {
            PeerKind::Person => Self::Person(claim.peer),
            PeerKind::Session | PeerKind::Run => Self::Session(claim.session),
        }
    }

    pub(in crate::mesh) fn me(me: &SessionHandle) -> Self {
        match me.kind {
            PeerKind::Person => Self::Person(me.peer),
            PeerKind::Session | PeerKind::Run => Self::Session(me.session),
        }
    }
}
