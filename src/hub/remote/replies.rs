//! Takes a reply of a session on another host that could not be delivered when it was written. The session may have ended since.
use axum::Json;
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::host_caller::HostCaller;
use crate::hub::remote::body::Body;
use crate::hub::remote::call::{call_hash, key_of};
use crate::mesh::{EarlierCall, KeyedCaller, Mesh};
use crate::model::access_key::KeyScope;
use crate::model::{Refusal, Result};
use crate::platform::id::SessionId;
use crate::tools::{JsonObject, ReplyDraft};

#[derive(Deserialize)]
pub(super) struct LateReply {
    /// The session that wrote it.
    session: SessionId,
    /// The arguments of `reply_to_peer`.
    arguments: JsonObject,
}

/// Stores the reply once. `accepted` says whether; one that is refused is refused again.
pub(super) async fn reply(
    Extension(host): Extension<HostCaller>,
    headers: HeaderMap,
    Body(reply): Body<LateReply>,
) -> std::result::Result<Json<Value>, ApiError> {
    host.require(KeyScope::Write)?;
    let key = key_of(&headers).ok_or_else(|| {
        Refusal::argument("the header Idempotency-Key is missing, 1 to 255 ASCII characters")
    })?;
    let host_name = host.host();
    let stored = host
        .mesh()
        .with_mesh(|mesh| store(mesh, host_name, key, &reply));
    let (status, result) = match stored.await {
        Ok(result) => (StatusCode::OK, result),
        Err(error) => ApiError::from(error).into_parts(),
    };
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(ApiError::of_parts(status, result));
    }
    Ok(Json(
        json!({ "accepted": status.is_success(), "result": result }),
    ))
}

fn store(mesh: &mut Mesh, host: &str, key: &str, reply: &LateReply) -> Result<Value> {
    let me = mesh.session_of_host(reply.session, host)?;
    let me = me.ok_or_else(|| Refusal::conflict("this host had no session with that id"))?;
    let hash = call_hash("reply_to_peer", &reply.arguments);
    let draft = ReplyDraft::read(reply.arguments.clone())?;
    let caller = KeyedCaller::host(host);
    match mesh.find_earlier_call(caller, (key, hash))? {
        EarlierCall::None => {}
        EarlierCall::Completed { response, .. } => {
            return Ok(serde_json::from_str(&response).unwrap_or_default());
        }
        EarlierCall::Stored { .. } => return Ok(json!({ "status": "stored" })),
        EarlierCall::Ended => {
            return Err(Refusal::conflict("this call was ended; nothing was stored").into());
        }
        EarlierCall::OtherCall => {
            return Err(Refusal::conflict("another call had this Idempotency-Key").into());
        }
    }
    mesh.begin_call(caller, (key, hash));
    let stored = draft.store(mesh, &me, false);
    mesh.end_call();
    let result = stored?;
    mesh.complete_call(caller, key, (200, &result.to_string()))?;
    Ok(result)
}
