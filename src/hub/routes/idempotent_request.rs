//! A write that names an idempotency key is carried out once: the first transaction of its operation records the key, so it is
//! known whatever becomes of the hub or the client. The same request again gets the stored response.
use axum::http::{HeaderMap, HeaderName, StatusCode};
use sha2::{Digest, Sha256};

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::log::log;
use crate::mesh::{EarlierCall, KeyedCaller, Mesh};
use crate::model::{Refusal, Result};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a response that was stored.
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// A request that names an idempotency key.
#[derive(Clone)]
pub(super) struct IdempotentRequest {
    caller: KeyedCaller,
    key: String,
    hash: [u8; 32],
}

impl IdempotentRequest {
    /// Returns the request if it names an idempotency key. `content` is all that decides what it does.
    pub(super) fn of(caller: &Caller, headers: &HeaderMap, content: &[u8]) -> Result<Option<Self>> {
        let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
            return Ok(None);
        };
        let key = value.to_str().ok();
        let key = key.filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
        let key = key.ok_or_else(|| {
            let problem = format!("Idempotency-Key must be 1 to {KEY_BYTES_MAX} ASCII characters");
            Refusal::argument(problem)
        })?;
        Ok(Some(Self {
            caller: caller.keyed_caller(),
            key: key.to_owned(),
            hash: Sha256::digest(content).into(),
        }))
    }

    /// Returns what is known of the same request, if it came before.
    pub(super) async fn find_earlier(&self, caller: &Caller) -> Result<EarlierCall> {
        let find = |mesh: &mut Mesh| mesh.find_earlier_call(self.caller, (&self.key, self.hash));
        caller.mesh().with_mesh(find).await
    }

    /// Returns the caller whose next operation records the request.
    pub(super) fn mark(&self, caller: &Caller) -> Caller {
        caller.marked(&self.key, self.hash)
    }

    /// Stores the response. The request has been carried out, so its client gets the response also if this fails.
    pub(super) async fn complete(&self, caller: &Caller, status: StatusCode, body: &str) {
        let request = (self.key.as_str(), self.hash);
        let complete = |mesh: &mut Mesh| {
            mesh.complete_successful_call(self.caller, request, (status.as_u16(), body))
        };
        if let Err(error) = caller.mesh().with_mesh(complete).await {
            log(&format!(
                "a result was not stored for its Idempotency-Key: {error}"
            ));
        }
    }
}

/// Refuses a request whose idempotency key another one had.
pub(super) fn key_of_other_request() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "conflict",
        "another request had this Idempotency-Key; nothing was changed",
        "Use another Idempotency-Key for another request; repeat a request with the same body.",
    )
}

/// Refuses the repetition of a request that was carried out, and whose result nobody has: it runs still, or the hub ended
/// before it stored the result.
pub(super) fn outcome_unknown() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "outcome_unknown",
        "this request was carried out, but its result is not stored; it is not carried out again",
        "Repeat it once, in case it still runs; then read what there is, and use another Idempotency-Key.",
    )
}
