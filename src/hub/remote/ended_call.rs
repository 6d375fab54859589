//! Ends a call of a session on another host, because its client cancels it or no longer waits for its answer: from then on it is
//! not carried out. The answer says what has become of it.
use axum::Json;
use axum::extract::{Extension, Path};
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::host_caller::HostCaller;
use crate::mesh::{EarlierCall, KeyedCaller};
use crate::model::access_key::KeyScope;
use crate::platform::id::SessionId;

pub(super) async fn end(
    Extension(host): Extension<HostCaller>,
    Path((_, key)): Path<(SessionId, String)>,
) -> Result<Json<Value>, ApiError> {
    host.require(KeyScope::Write)?;
    // The session may have ended since; its calls are still those of the host.
    host.calls().cancel(host.host(), &key).await;
    let ended = host
        .mesh()
        .with_mesh(|mesh| mesh.end_call_for_good(KeyedCaller::host(host.host()), &key))
        .await?;
    Ok(Json(match ended {
        EarlierCall::Completed { status, response } => {
            let result: Value = serde_json::from_str(&response).unwrap_or_default();
            json!({ "state": "completed", "status": status, "result": result })
        }
        EarlierCall::Stored { .. } | EarlierCall::OtherCall => json!({ "state": "stored" }),
        EarlierCall::None | EarlierCall::Ended => json!({ "state": "not_stored" }),
    }))
}
