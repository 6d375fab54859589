//! Marks a transaction as that of an operation which is carried out once, although its caller repeats it.
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::mesh::context::{ReadContext, WriteContext};
use crate::model::{Refusal, Result};
use crate::platform::id::{KeyId, SessionId};
use crate::store::{StoredRequest, Tx};

/// How long a call is known, in milliseconds.
pub const REQUEST_KEEP_MS: i64 = 24 * 3600 * 1000;

/// What is recorded with the first transaction of an operation.
#[derive(Debug, Clone)]
pub(in crate::mesh) enum OnceMark {
    /// The verb of a session with that number.
    Verb { session: SessionId, number: i64 },
    /// A call that named a key.
    Call {
        caller: KeyedCaller,
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
                caller,
                idempotency_key,
                ..
            } => find_kept(write.read(), *caller, idempotency_key)?.is_some(),
        };
        if is_repeated {
            return Err(Refusal::CarriedOutBefore.into());
        }
        Ok(write.tx.last_event_number()?)
    }

    /// Reads what [`OnceMark::check`] reads; see [`Tx::expect`].
    pub(in crate::mesh) fn expect_reads(&self, tx: &Tx) {
        let _ = match self {
            Self::Verb { session, .. } => tx.applied_verb(*session).map(drop),
            Self::Call {
                caller,
                idempotency_key,
                ..
            } => tx.find_request(caller.id(), idempotency_key).map(drop),
        };
        let _ = tx.last_event_number();
    }

    /// Records that the operation is carried out by this transaction.
    pub(in crate::mesh) fn record(&self, write: &WriteContext, events_after: i64) -> Result<()> {
        match self {
            Self::Verb { session, number } => write.tx.set_applied_verb(*session, *number)?,
            Self::Call {
                caller,
                idempotency_key,
                request_hash,
            } => {
                let key = caller.id();
                write
                    .tx
                    .insert_request(key, idempotency_key, request_hash)?;
                let events_until = events_after + write.tx.count_own_events();
                let events = format!("{events_after} {events_until}");
                write.tx.set_request_events(key, idempotency_key, &events)?;
            }
        }
        Ok(())
    }
}

/// Who named an idempotency key. Those of others are not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedCaller(KeyId);

impl KeyedCaller {
    /// All sessions of a host: one may end between a call and its repetition. No access key has such an id.
    pub fn host(name: &str) -> Self {
        let hash = Sha256::digest(format!("host {name}"));
        let bytes = hash.first_chunk().expect("a hash has 32 bytes");
        Self(KeyId::from(Ulid(u128::from_be_bytes(*bytes))))
    }

    /// The holder of an access key, by its requests.
    pub fn access_key(id: KeyId) -> Self {
        Self(id)
    }

    /// Returns under which id its calls are stored.
    pub(in crate::mesh) fn id(self) -> KeyId {
        self.0
    }
}

/// Returns the call with that idempotency key, of the last 24 hours.
pub(in crate::mesh) fn find_kept(
    read: ReadContext,
    caller: KeyedCaller,
    idempotency_key: &str,
) -> Result<Option<StoredRequest>> {
    let found = read.tx.find_request(caller.id(), idempotency_key)?;
    let kept_since_ms = read.tx.now.wall_ms - REQUEST_KEEP_MS;
    Ok(found.filter(|found| found.at_ms >= kept_since_ms))
}
