//! Ends the claims and tickets of a session that ends, and records the death of a session.
use serde_json::json;

use crate::mesh::claim::grant::{reap_claim, withdraw_ticket};
use crate::mesh::context::{ReadContext, WriteContext};
use crate::model::{EventKind, PeerKind, Result};
use crate::platform::id::SessionId;
use crate::store::{Claim, Peer, Session};

/// Records the death of a session whose process does not exist any more.
pub(in crate::mesh) fn record_dead_session(
    write: &mut WriteContext,
    session: &Session,
    peer: &Peer,
) -> Result<()> {
    write.wake(write.tx.sessions_waiting_for_peer(peer.id)?);
    let ending = EndingSession::of(write.read(), session.id)?;
    if write.tx.end_session(session.id)? {
        write.tx.append_event(
            EventKind::PeerDied,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session.id }),
        )?;
        ending.end_claims(write, peer.kind, "died")?;
        write.remove_doorbell(session.id);
    }
    Ok(())
}

/// A session that is about to end.
pub(in crate::mesh) struct EndingSession {
    session: SessionId,
    /// The tickets for which its calls wait. Ending the session deletes these waits.
    awaited_tickets: Vec<Claim>,
}

impl EndingSession {
    pub(in crate::mesh) fn of(read: ReadContext, session: SessionId) -> Result<Self> {
        Ok(Self {
            session,
            awaited_tickets: read.tx.tickets_awaited_by(session)?,
        })
    }

    /// Removes the claims and tickets of the session, which has ended. Claims of a person outlive the command that made
    /// them, but not the tickets for which the command was still waiting.
    pub(in crate::mesh) fn end_claims(
        self,
        write: &mut WriteContext,
        kind: PeerKind,
        why: &str,
    ) -> Result<()> {
        if kind == PeerKind::Person {
            for ticket in self.awaited_tickets {
                withdraw_ticket(write, &ticket, EventKind::ClaimReaped, why)?;
            }
            return Ok(());
        }
        for claim in write.tx.claims_of_session(self.session)? {
            reap_claim(write, &claim, why)?;
            write.changed_queues.push(claim.resource);
        }
        Ok(())
    }
}
