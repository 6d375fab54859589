//! Marks a transaction as that of an operation which is carried out once, although its caller repeats it.
use crate::mesh::context::WriteContext;
use crate::model::{Refusal, Result};
use crate::platform::id::{KeyId, SessionId};

/// What is recorded with the first transaction of an operation.
#[derive(Debug, Clone)]
pub(in crate::mesh) enum OnceMark {
    /// The verb of a session with that number.
    Verb { session: SessionId, number: i64 },
    /// The call of a tool by a session that named a key.
    Call {
        session: SessionId,
        idempotency_key: String,
        request_hash: [u8; 32],
    },
}

impl OnceMark {
    /// Refuses an operation that was carried out before. Returns the number of the last event, for [`OnceMark::record`].
    pub(in crate::mesh) fn check(&self, write: &WriteContext) -> Result<i64> {
        let is_repeated = match self {
            Self::Verb { session, number } => write.tx.applied_verb(*session)? >= *number,
            Self::Call {
                session,
                idempotency_key,
                ..
            } => write
                .tx
                .find_request(owner(*session), idempotency_key)?
                .is_some(),
        };
        if is_repeated {
            return Err(Refusal::conflict("this was carried out before").into());
        }
        Ok(write.tx.last_event_seq()?)
    }

    /// Records that the operation is carried out by this transaction.
    pub(in crate::mesh) fn record(&self, write: &WriteContext, events_after: i64) -> Result<()> {
        match self {
            Self::Verb { session, number } => write.tx.set_applied_verb(*session, *number)?,
            Self::Call {
                session,
                idempotency_key,
                request_hash,
            } => {
                let key = owner(*session);
                write
                    .tx
                    .insert_request(key, idempotency_key, request_hash)?;
                let events = format!("{events_after} {}", write.tx.last_event_seq()?);
                write.tx.set_request_events(key, idempotency_key, &events)?;
            }
        }
        Ok(())
    }
}

/// The idempotency keys of a session are stored under its id, which no access key has.
pub(in crate::mesh) fn owner(session: SessionId) -> KeyId {
    KeyId::from(session.ulid())
}
