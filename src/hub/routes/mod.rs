//! All routes of the hub.
mod rest;

use std::sync::Arc;

use axum::extract::Request;
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::authenticate::authenticate;
use crate::hub::page;
use crate::hub::state::Hub;

/// Returns the routes with everything that is done for each request.
pub(super) fn router(hub: Arc<Hub>) -> Router {
    let with_key =
        Router::new()
            .nest("/v1", rest::router())
            .route_layer(middleware::from_fn_with_state(
                Arc::clone(&hub),
                authenticate,
            ));
    Router::new()
        .route("/health", get(health))
        .merge(page::router())
        .merge(with_key)
        .fallback(no_route)
        .with_state(hub)
}

/// Says that the hub runs, and nothing else: it needs no key.
async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn no_route(request: Request) -> ApiError {
    ApiError::not_found(&format!(
        "no route {} {}",
        request.method(),
        request.uri().path()
    ))
}
