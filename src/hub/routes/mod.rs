//! All routes of the hub.
mod board_key;
#[cfg(fuzzing)]
pub(super) mod fuzz_entry;
mod idempotent_request;
mod openapi;
mod rest_route;
mod result_schemas;
mod route_request;
mod route_table;
mod run_route;

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::authenticate::authenticate;
use crate::hub::caller::Caller;
use crate::hub::event_stream;
use crate::hub::mcp_endpoint;
use crate::hub::page;
use crate::hub::remote;
use crate::hub::request_log::log_request;
use crate::hub::routes::rest_route::{Method, RestRoute};
use crate::hub::routes::route_table::ROUTES;
use crate::hub::routes::run_route::RouteCall;
use crate::hub::safety;
use crate::hub::state::Hub;
use crate::model::Refusal;

/// Returns the routes with everything that is done for each request.
pub(super) fn router(hub: Arc<Hub>) -> Router {
    let with_key = rest_router()
        .route("/v1/openapi.json", get(openapi_document))
        .merge(board_key::router())
        .merge(mcp_endpoint::router())
        .merge(remote::router())
        .route("/events", get(event_stream::events))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&hub),
            event_stream::events_if_accepted,
        ))
        .route_layer(middleware::from_fn(safety::read_body))
        .route_layer(middleware::from_fn(log_request))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&hub),
            authenticate,
        ));
    let routes = Router::new()
        .route("/health", get(health))
        .merge(page::router())
        .merge(board_key::sign_in_router())
        .merge(with_key)
        .method_not_allowed_fallback(no_method)
        .fallback(no_route)
        .layer(middleware::from_fn_with_state(
            Arc::clone(hub.safety()),
            safety::check_head,
        ));
    safety::with_cors(routes, hub.safety())
        .layer(middleware::from_fn(safety::add_headers))
        .with_state(hub)
}

/// Returns the REST routes.
fn rest_router() -> Router<Arc<Hub>> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        router.route(route.path, method_router(route))
    })
}

fn filter_of(route: &RestRoute) -> MethodFilter {
    match route.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

fn method_router(route: &'static RestRoute) -> MethodRouter<Arc<Hub>> {
    let handler = move |State(hub): State<Arc<Hub>>,
                        Extension(caller): Extension<Caller>,
                        path: Result<RawPathParams, RawPathParamsRejection>,
                        request: Request| async move {
        let problem = |rejection: RawPathParamsRejection| Refusal::argument(rejection.body_text());
        let call = RouteCall { route, hub, caller };
        call.respond(&path.map_err(problem)?, request).await
    };
    on(filter_of(route), handler)
}

/// Says that the hub runs, and nothing else: it needs no key.
async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn openapi_document() -> Response {
    let document = format!("{:#}\n", openapi::document(ROUTES));
    let content_type = (header::CONTENT_TYPE, "application/json");
    ([content_type], document).into_response()
}

async fn no_route(request: Request) -> ApiError {
    ApiError::not_found(&format!(
        "no route {} {}",
        request.method(),
        request.uri().path()
    ))
}

async fn no_method(request: Request) -> ApiError {
    ApiError::method_not_allowed(request.method(), request.uri().path())
}
