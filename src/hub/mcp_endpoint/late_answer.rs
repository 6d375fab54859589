//! Answers in time: when a response takes long, its stream begins before it is there, with comments, so that no client and
//! no proxy takes the connection for dead.
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{self, Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};

/// How long a response may take before its stream begins, and the pause between two comments.
const PAUSE: Duration = Duration::from_secs(10);
/// A line that a reader of the stream ignores.
const COMMENT: &[u8] = b":\n\n";

type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Returns a response, or after ten seconds a stream of events in which its content follows.
pub(super) async fn within_time(
    response: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let mut response: ResponseFuture = Box::pin(response);
    match tokio::time::timeout(PAUSE, &mut response).await {
        Ok(response) => response,
        Err(_) => streamed(response),
    }
}

fn streamed(response: ResponseFuture) -> Response {
    let comments_then_content = stream::unfold(Some(response), |response| async {
        let mut response = response?;
        Some(match tokio::time::timeout(PAUSE, &mut response).await {
            Ok(response) => (content(response).await, None),
            Err(_) => (one(Bytes::from_static(COMMENT)), Some(response)),
        })
    });
    let body = one(Bytes::from_static(COMMENT)).chain(comments_then_content.flatten());
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>;

fn one(chunk: Bytes) -> Chunks {
    Box::pin(stream::iter([Ok(chunk)]))
}

/// Returns the content of a response as events: as it is if it is a stream of events, else as one.
async fn content(response: Response) -> Chunks {
    let event_stream = HeaderValue::from_static("text/event-stream");
    if response.headers().get(header::CONTENT_TYPE) == Some(&event_stream) {
        return Box::pin(response.into_body().into_data_stream());
    }
    let json = body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap_or_default();
    one([b"data: ", &json[..], b"\n\n"].concat().into())
}
