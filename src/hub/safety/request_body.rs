//! Reads the body of a request whole, before anything is done with it: it has a limit, and a client has to send it in time.
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use hyper::header;

use crate::hub::api_error::ApiError;

/// The largest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the body; refuses one that is too large or too slow.
pub(in crate::hub) async fn read_body(request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await;
    let body = read
        .map_err(|_| ApiError::body_too_slow(BODY_TIMEOUT))?
        .map_err(|_| ApiError::body_too_large(BODY_BYTES_MAX))?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// Returns whether a request says that its body is too large.
pub(super) fn announces_too_much(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > BODY_BYTES_MAX as u64)
}

/// Returns whether a request has a body.
pub(super) fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}
