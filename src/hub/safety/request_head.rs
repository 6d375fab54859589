//! Checks the head of a request before anything else: its host, its origin, the length of its URI, the type and length of its
//! body. None of it needs a key.
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::hub::api_error::ApiError;
use crate::hub::connection::RequestSource;
use crate::hub::safety::Safety;
use crate::hub::safety::request_body::{
    BODY_BYTES_MAX, announces_body, announces_too_much, discard, require_json,
};

/// The longest path with query, in bytes.
const URI_BYTES_MAX: usize = 8 * 1024;

/// Refuses a request by its head.
pub(in crate::hub) async fn check_head(
    State(safety): State<Arc<Safety>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    check_host(&safety, &request)?;
    check_origin(&safety, request.method(), request.headers())?;
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > URI_BYTES_MAX) {
        return Err(ApiError::new(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            &format!("the path and query of a request have {URI_BYTES_MAX} bytes at most"),
            "Send long texts in the body.",
        ));
    }
    if announces_body(request.headers()) {
        require_json(request.headers())?;
    }
    if announces_too_much(request.headers()) {
        discard(request.into_body()).await;
        return Err(ApiError::body_too_large(BODY_BYTES_MAX));
    }
    Ok(next.run(request).await)
}

/// The socket is reached by programs of the user only, which no web page can be.
fn check_host(safety: &Safety, request: &Request) -> Result<(), ApiError> {
    if request.extensions().get() == Some(&RequestSource::Socket) {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let is_own = host.is_some_and(|host| safety.own_hosts.is_own_host(host));
    let is_own_target = request
        .uri()
        .authority()
        .is_none_or(|authority| safety.own_hosts.is_own_host(authority.as_str()));
    if is_own && is_own_target && hosts.next().is_none() {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::MISDIRECTED_REQUEST,
        "wrong_host",
        "the header Host names another server",
        "Use the address that `claude-mesh serve` prints; `--public-url` adds one for a reverse proxy.",
    ))
}

/// A web page of another server can send a request, but not without this header.
fn check_origin(safety: &Safety, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if method.is_safe() {
        return Ok(());
    }
    let is_ours = |origin: &header::HeaderValue| {
        let is_own = |origin: &str| safety.own_hosts.is_own_origin(origin);
        safety.cors_origins.contains(origin) || origin.to_str().is_ok_and(is_own)
    };
    if headers.get_all(header::ORIGIN).iter().all(is_ours) {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "a web page of another server may not write here",
        "`claude-mesh serve --cors ORIGIN` permits one.",
    ))
}
