//! Reads the body of a request whole, before anything is done with it: it has a limit, and a client has to send it in time.
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;

use crate::hub::api_error::ApiError;

/// The largest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a refused body is read, in bytes, and for how long.
const DISCARDED_BYTES_MAX: usize = 8 * BODY_BYTES_MAX;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the body; refuses one that is too large or too slow.
pub(in crate::hub) async fn read_body(request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_TIMEOUT, collect(body)).await;
    let body = read.map_err(|_| ApiError::body_too_slow(BODY_TIMEOUT))??;
    if !body.is_empty() {
        require_json(&parts.headers)?;
    }
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// Returns the whole body; refuses one that is too large, or whose client is gone.
async fn collect(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut content = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::body_incomplete())?;
        let data = frame.into_data().unwrap_or_default();
        if content.len() + data.len() > BODY_BYTES_MAX {
            discard(body).await;
            return Err(ApiError::body_too_large(BODY_BYTES_MAX));
        }
        content.extend_from_slice(&data);
    }
    Ok(content)
}

/// Reads the rest of a body that is refused, if it is not endless: a client that still sends does not read the refusal.
pub(super) async fn discard(mut body: Body) {
    let mut bytes = 0;
    let read = async {
        while bytes < DISCARDED_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // The refusal is sent also to a client that is slow.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, read).await;
}

/// Returns whether a request says that its body is too large.
pub(super) fn announces_too_much(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > BODY_BYTES_MAX as u64)
}

/// Returns whether a request says that it has a body. One without a length may be empty.
pub(super) fn announces_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    match length {
        Some(length) => length != "0",
        None => {
            headers.contains_key(header::CONTENT_TYPE)
                && headers.contains_key(header::TRANSFER_ENCODING)
        }
    }
}

/// Refuses a body of another type: a page of another server can send some of them without asking the hub first.
pub(in crate::hub) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the body of a request is JSON",
        "Send it with `Content-Type: application/json`.",
    ))
}
