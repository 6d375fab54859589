//! Reads REST requests through a router that calls no operation, for the fuzz targets in `fuzz/`. Only a build with
//! `--cfg fuzzing` has this module.
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::rest_route::{RestRoute, find_entry};
use super::route_request::RouteRequest;
use super::{ROUTES, filter_of};
use crate::hub::api_error::ApiError;
use crate::model::Refusal;

thread_local! {
    static ROUTER: Router = router();
}

/// What the hub makes of a request.
#[derive(Debug, PartialEq)]
pub struct ReadRequest {
    /// The status: 200 if its operation would run.
    pub status: u16,
    /// The refusal, or the operation with its arguments.
    pub body: Value,
}

/// Reads a request; `None` if it is not HTTP.
pub fn read_request(method: &str, target: &str, body: &[u8]) -> Option<ReadRequest> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(Body::from(body.to_owned()))
        .ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .expect("a runtime needs no resources")
        .block_on(async {
            let response = ROUTER.with(Router::clone).oneshot(request).await;
            let response = response.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.expect("the body is in memory");
            Some(ReadRequest {
                status,
                body: serde_json::from_slice(&body).unwrap_or_default(),
            })
        })
}

fn router() -> Router {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let handler = move |path: Result<RawPathParams, RawPathParamsRejection>,
                            request: Request| async move {
            let problem =
                |rejection: RawPathParamsRejection| Refusal::argument(rejection.body_text());
            read(route, &path.map_err(problem)?, request).await
        };
        router.route(route.path, on(filter_of(route), handler))
    })
}

async fn read(
    route: &'static RestRoute,
    path: &RawPathParams,
    request: Request,
) -> Result<Response, ApiError> {
    let read = RouteRequest::read(route, path, request).await?;
    let arguments = Value::Object(read.arguments.clone());
    // Its operation is made, and not run.
    (find_entry(read.operation).handler)(read.arguments)?;
    let body = Json(json!({ "operation": read.operation, "arguments": arguments }));
    Ok((StatusCode::OK, body).into_response())
}
