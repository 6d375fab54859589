//! Counts the requests that run, so that a hub without any can end by itself.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;

/// How many requests run. A stream that is listened to is one.
#[derive(Clone)]
pub(super) struct RequestsInUse(Arc<watch::Sender<usize>>);

impl RequestsInUse {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Returns when no request has run for this long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        let mut count = self.0.subscribe();
        loop {
            if count.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
            // A request that comes and ends meanwhile is a change too.
            if tokio::time::timeout(limit, count.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// Counts a request until its response is sent.
pub(super) async fn count_request(
    State(requests): State<RequestsInUse>,
    request: Request,
    next: Next,
) -> Response {
    let guard = RequestGuard::begin(requests);
    let response = next.run(request).await;
    response.map(|inner| {
        Body::new(CountedBody {
            inner,
            _guard: guard,
        })
    })
}

struct RequestGuard(RequestsInUse);

impl RequestGuard {
    fn begin(requests: RequestsInUse) -> Self {
        requests.0.send_modify(|count| *count += 1);
        Self(requests)
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// The body of a response, whose request is counted until it is sent or dropped.
struct CountedBody {
    inner: Body,
    _guard: RequestGuard,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
