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
    within(PAUSE, Box::pin(response)).await
}

async fn within(pause: Duration, mut response: ResponseFuture) -> Response {
    match tokio::time::timeout(pause, &mut response).await {
        Ok(response) => response,
        Err(_) => streamed(pause, response),
    }
}

fn streamed(pause: Duration, response: ResponseFuture) -> Response {
    let comments_then_content = stream::unfold(Some(response), move |response| async move {
        let mut response = response?;
        Some(match tokio::time::timeout(pause, &mut response).await {
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

#[cfg(test)]
mod tests {
    use axum::Json;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(test);
    }

    /// A response that is there when the sender is used.
    fn response_on(sent: oneshot::Receiver<Response>) -> ResponseFuture {
        Box::pin(async { sent.await.unwrap() })
    }

    /// Begins a late response, makes it, and returns all that is sent.
    async fn sent_late(response: Response) -> String {
        let (responder, sent) = oneshot::channel();
        let late = within(SHORT, response_on(sent)).await;
        assert_eq!(late.headers()[header::CONTENT_TYPE], "text/event-stream");
        let mut stream = late.into_body().into_data_stream();
        let mut text = String::new();
        let mut push = |chunk: Result<Bytes, axum::Error>| {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        };
        push(stream.next().await.unwrap());
        push(stream.next().await.unwrap());
        responder.send(response).unwrap();
        while let Some(chunk) = stream.next().await {
            push(chunk);
        }
        text
    }

    #[test]
    fn response_in_time_stays_as_it_is() {
        run(async {
            let response = within_time(async { Json(json!({ "id": 1 })).into_response() }).await;
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        });
    }

    #[test]
    fn late_response_follows_comments_as_an_event() {
        run(async {
            let text = sent_late(Json(json!({ "id": 1 })).into_response()).await;
            assert!(text.starts_with(":\n\n:\n\n"), "{text}");
            let event = text.trim_start_matches(":\n\n");
            assert_eq!(event, "data: {\"id\":1}\n\n");
        });
    }

    #[test]
    fn late_stream_of_events_is_passed_on() {
        run(async {
            let content_type = [(header::CONTENT_TYPE, "text/event-stream")];
            let events = "data: 1\n\ndata: 2\n\n";
            let text = sent_late((content_type, events).into_response()).await;
            assert_eq!(text.trim_start_matches(":\n\n"), events);
        });
    }

    #[test]
    fn closed_stream_drops_the_response_that_is_made() {
        run(async {
            let (responder, sent) = oneshot::channel();
            let late = within(SHORT, response_on(sent)).await;
            assert!(!responder.is_closed());
            drop(late);
            assert!(responder.is_closed(), "nobody makes the response any more");
        });
    }
}
