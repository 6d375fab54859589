//! What a session loses when it ends: its claims and its places in claim queues.
use serde_json::json;

use crate::mesh::claim::grant::{reap_claim, withdraw_ticket};
use crate::mesh::context::Verb;
use crate::model::{EventKind, PeerKind, Result};
use crate::platform::id::SessionId;
use crate::store::{Claim, Peer, Session};

/// Records that a session's process is gone.
pub(in crate::mesh) fn record_dead_session(
    verb: &mut Verb,
    session: &Session,
    peer: &Peer,
) -> Result<()> {
    verb.wake(verb.tx.sessions_waiting_for_peer(peer.id)?);
    let waited = verb.tx.tickets_awaited_by(session.id)?;
    if verb.tx.end_session(session.id)? {
        verb.tx.append_event(
            EventKind::PeerDied,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session.id }),
        )?;
        end_session_claims(verb, session.id, peer.kind, waited, "died")?;
        verb.remove_doorbell(session.id);
    }
    Ok(())
}

/// Takes away what a session that ends holds and stands in line for. What a person claimed outlives the command, but not
/// the places in line where the command was still waiting.
pub(in crate::mesh) fn end_session_claims(
    verb: &mut Verb,
    session: SessionId,
    kind: PeerKind,
    waited: Vec<Claim>,
    why: &str,
) -> Result<()> {
    if kind == PeerKind::Person {
        for ticket in waited {
            withdraw_ticket(verb, &ticket, EventKind::ClaimReaped, why)?;
        }
        return Ok(());
    }
    for claim in verb.tx.claims_of_session(session)? {
        reap_claim(verb, &claim, why)?;
        verb.changed_queues.push(claim.resource);
    }
    Ok(())
}
