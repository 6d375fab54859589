//! Marks a transaction as that of an operation which is carried out once, although its caller repeats it.
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::mesh::context::WriteContext;
use crate::model::{Refusal, Result};
use crate::platform::id::{KeyId, SessionId};

/// What is recorded with the first transaction of an operation.
#[derive(Debug, Clone)]
pub(in crate::mesh) enum OnceMark {
    /// The verb of a session with that number.
    Verb { session: SessionId, number: i64 },
    /// The call of a tool by a session on that host that named a key.
    Call {
        owner: KeyId,
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
                owner,
                idempotency_key,
                ..
            } => write.tx.find_request(*owner, idempotency_key)?.is_some(),
        };
        if is_repeated {
            return Err(Refusal::CarriedOutBefore.into());
        }
        Ok(write.tx.last_event_seq()?)
    }

    /// Records that the operation is carried out by this transaction.
    pub(in crate::mesh) fn record(&self, write: &WriteContext, events_after: i64) -> Result<()> {
        match self {
            Self::Verb { session, number } => write.tx.set_applied_verb(*session, *number)?,
            Self::Call {
                owner,
                idempotency_key,
                request_hash,
            } => {
                let key = *owner;
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

/// Returns under what the idempotency keys of a host are stored: a session may end between a call and its repetition, and
/// no access key has such an id.
pub(in crate::mesh) fn owner_of(host: &str) -> KeyId {
    let hash = Sha256::digest(format!("host {host}"));
    let bytes = hash.first_chunk().expect("a hash has 32 bytes");
    KeyId::from(Ulid(u128::from_be_bytes(*bytes)))
}
