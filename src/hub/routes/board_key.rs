//! Signs a browser in by a one-time link and out again. The key of a board is used as any other key.
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::{Json, Router, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::hub_files::remove_board_pages;
use crate::hub::log::log;
use crate::hub::safety;
use crate::hub::state::Hub;
use crate::model::Refusal;
use crate::model::access_key::KeyHolder;
use crate::platform::clock::rfc3339;

/// The largest body of a sign-in, in bytes: who sends it has no key yet.
const BODY_BYTES_MAX: usize = 4096;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The route that needs no key.
pub(super) fn sign_in_router() -> Router<Arc<Hub>> {
    Router::new().route("/v1/board/sign-in", post(sign_in))
}

/// The route that needs the key of a board.
pub(super) fn router() -> Router<Arc<Hub>> {
    Router::new().route("/v1/board/sign-out", post(sign_out))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

/// Exchanges the token of a link for a key.
async fn sign_in(State(hub): State<Arc<Hub>>, request: Request) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let client = hub
        .safety()
        .client_address(&parts.extensions, &parts.headers);
    safety::require_json(&parts.headers)?;
    let SignIn { token } = read_sign_in(body).await?;
    let mesh = hub.default_mesh()?;
    let redeemed = mesh
        .with_mesh(|mesh| mesh.redeem_board_link(&token))
        .await?;
    let (text, key) = match redeemed {
        Ok(signed_in) => signed_in,
        Err(problem) => {
            hub.safety().slow_down(client, &hub.now()).await?;
            let hint = "`claude-mesh board` opens the board with another link.";
            return Err(ApiError::refused_sign_in(&problem.to_string(), hint));
        }
    };
    remove_board_pages(&hub.settings().mesh_home);
    log(&format!("a board signed in with the key {}", key.id));
    let expires_at = key.expires_at_ms.map(rfc3339);
    Ok(Json(json!({ "key": text, "expires_at": expires_at })))
}

async fn read_sign_in(body: Body) -> Result<SignIn, ApiError> {
    let invalid = |problem: String| {
        ApiError::from(Refusal::argument(format!(
            "the body must be {{\"token\"}}: {problem}"
        )))
    };
    let read = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await;
    let body = read
        .map_err(|_| ApiError::body_too_slow(BODY_TIMEOUT))?
        .map_err(|error| invalid(error.to_string()))?;
    serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))
}

/// Revokes the key of the board that calls.
async fn sign_out(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    if caller.key().holder != KeyHolder::Board {
        let hint = "`claude-mesh key revoke` revokes other keys.";
        return Err(ApiError::forbidden("only a board signs out", hint));
    }
    let id = caller.key().id.to_string();
    // The keys of boards are in the default mesh, whatever mesh the board shows.
    let mesh = hub.default_mesh()?;
    mesh.with_mesh(|mesh| mesh.revoke_keys(&id)).await?;
    log(&format!("the board with the key {id} signed out"));
    Ok(Json(json!({ "signed_out": true })))
}
