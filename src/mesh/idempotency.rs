//! Requests that name an idempotency key: a repeated one gets the result of the first, for a day.
use sha2::{Digest, Sha256};

use crate::mesh::connection::Mesh;
use crate::model::{Refusal, Result};
use crate::platform::id::KeyId;

/// The longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long a request with an idempotency key is kept, in milliseconds.
pub const REQUEST_KEEP_MS: i64 = 24 * 3600 * 1000;

/// A request that names an idempotency key.
#[derive(Debug, Clone, Copy)]
pub struct IdempotentRequest<'a> {
    /// The access key of the caller. The idempotency keys of others are not found.
    pub key: KeyId,
    /// What the caller named, 1 to 255 bytes.
    pub idempotency_key: &'a str,
    /// All that decides what the request does: method, path and body. Its hash is stored.
    pub content: &'a [u8],
}

/// What is to be done with a request that names an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyOutcome {
    /// It is new and was stored: run it, then complete or abandon it.
    New,
    /// The same request has no result yet: it runs, or its hub was killed.
    Running {
        /// When it began, in wall milliseconds.
        since_ms: i64,
    },
    /// The same request has this result.
    Completed {
        /// The HTTP status.
        status: u16,
        /// The body.
        response: String,
    },
    /// Another request had this idempotency key.
    OtherRequest,
}

impl Mesh {
    /// Finds the request with that idempotency key of the last 24 hours, or stores this one as running.
    pub fn begin_idempotent(&mut self, request: &IdempotentRequest) -> Result<IdempotencyOutcome> {
        let (key, idempotency_key) = (request.key, request.idempotency_key);
        if !(1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&idempotency_key.len()) {
            return Err(Refusal::argument(format!(
                "an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes, got {}",
                idempotency_key.len()
            ))
            .into());
        }
        let request_hash: [u8; 32] = Sha256::digest(request.content).into();
        self.write(|write| {
            let found = write.tx.find_request(key, idempotency_key)?;
            let kept_since_ms = write.tx.now.wall_ms - REQUEST_KEEP_MS;
            let Some(found) = found.filter(|found| found.at_ms >= kept_since_ms) else {
                write
                    .tx
                    .insert_request(key, idempotency_key, &request_hash)?;
                return Ok(IdempotencyOutcome::New);
            };
            if found.request_hash != request_hash {
                return Ok(IdempotencyOutcome::OtherRequest);
            }
            Ok(match found.response {
                Some((status, response)) => IdempotencyOutcome::Completed { status, response },
                None => IdempotencyOutcome::Running {
                    since_ms: found.at_ms,
                },
            })
        })
    }

    /// Stores status and body of a request that has begun.
    pub fn complete_idempotent(
        &mut self,
        key: KeyId,
        idempotency_key: &str,
        result: (u16, &str),
    ) -> Result<()> {
        self.write(|write| Ok(write.tx.complete_request(key, idempotency_key, result)?))
    }

    /// Forgets a request that has begun and changed nothing, so that the caller may try it again.
    pub fn abandon_idempotent(&mut self, key: KeyId, idempotency_key: &str) -> Result<()> {
        self.write(|write| Ok(write.tx.delete_open_request(key, idempotency_key)?))
    }
}
