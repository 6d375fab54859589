//! A write that names an idempotency key: the same one again gets the stored response.
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::hub_mesh::HubMesh;
use crate::mesh::{IdempotencyOutcome, IdempotentRequest};
use crate::model::{Refusal, Result};
use crate::platform::clock::rfc3339;
use crate::platform::id::KeyId;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a response that was stored.
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A response that was stored.
pub(super) struct StoredResponse {
    pub(super) status: u16,
    pub(super) body: String,
}

/// A request that has begun. If it is dropped without a response, because its client is gone, it is forgotten.
pub(super) struct RunningRequest {
    mesh: Arc<HubMesh>,
    key: KeyId,
    idempotency_key: String,
    ended: bool,
}

/// What is to be done with a request.
pub(super) enum Begun {
    /// It names no idempotency key.
    Plain,
    /// It is new.
    Running(RunningRequest),
    /// It was answered before.
    Stored(StoredResponse),
}

impl RunningRequest {
    /// Finds the stored response of a request, or begins it.
    pub(super) async fn begin(
        caller: &Caller,
        headers: &HeaderMap,
        content: &[u8],
    ) -> std::result::Result<Begun, ApiError> {
        let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
            return Ok(Begun::Plain);
        };
        let idempotency_key = value
            .to_str()
            .map_err(|_| Refusal::argument("Idempotency-Key must be ASCII text"))?;
        let request = IdempotentRequest {
            key: caller.key().id,
            idempotency_key,
            content,
        };
        let mesh = caller.mesh();
        let found = mesh.with_mesh(|mesh| mesh.begin_idempotent(&request));
        match found.await? {
            IdempotencyOutcome::New => Ok(Begun::Running(Self {
                mesh: Arc::clone(mesh),
                key: caller.key().id,
                idempotency_key: idempotency_key.to_owned(),
                ended: false,
            })),
            IdempotencyOutcome::Completed { status, response } => {
                Ok(Begun::Stored(StoredResponse {
                    status,
                    body: response,
                }))
            }
            IdempotencyOutcome::Running { since_ms } => Err(conflict(
                &format!(
                    "a request with this Idempotency-Key has run since {} without a result",
                    rfc3339(since_ms)
                ),
                "It may have been carried out: repeat it later; if the hub was killed meanwhile, read what there is before you send it with another key.",
            )),
            IdempotencyOutcome::OtherRequest => Err(conflict(
                "another request had this Idempotency-Key; nothing was changed",
                "Use another Idempotency-Key for another request; repeat a request with the same body.",
            )),
        }
    }

    /// Stores the response.
    pub(super) async fn complete(mut self, status: StatusCode, body: &str) -> Result<()> {
        self.ended = true;
        let result = (status.as_u16(), body);
        self.mesh
            .with_mesh(|mesh| mesh.complete_idempotent(self.key, &self.idempotency_key, result))
            .await
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (mesh, key) = (Arc::clone(&self.mesh), self.key);
        let idempotency_key = std::mem::take(&mut self.idempotency_key);
        // A request that changed nothing, or whose client is gone, may be tried again. If this fails, the key stays taken.
        tokio::spawn(async move {
            let abandoned = mesh.with_mesh(|mesh| mesh.abandon_idempotent(key, &idempotency_key));
            let _ = abandoned.await;
        });
    }
}

fn conflict(problem: &str, hint: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "conflict", problem, hint)
}
