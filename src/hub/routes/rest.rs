//! The REST routes: each calls one tool.
use std::sync::Arc;

use axum::extract::Extension;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::state::Hub;
use crate::tools::JsonObject;

pub(super) fn router() -> Router<Arc<Hub>> {
    Router::new().route("/status", get(status))
}

async fn status(Extension(caller): Extension<Caller>) -> Result<Json<Value>, ApiError> {
    let status = caller.call_tool("mesh_status", JsonObject::new()).await?;
    Ok(Json(status))
}
