//! Logs every request that writes: when, which route, its status, and the key and peer that sent it. Never a body, and
//! never a query.
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::hub::caller::Caller;
use crate::hub::host_caller::HostCaller;
use crate::hub::log::log;

/// Logs a request that writes, also if its client is gone before the response.
pub(super) async fn log_request(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let extensions = request.extensions();
    let route = extensions.get::<MatchedPath>();
    let key = extensions.get::<Caller>().map(Caller::key);
    let key = key.or_else(|| extensions.get::<HostCaller>().map(HostCaller::key));
    let mut entry = LogEntry {
        route: route.map_or_else(String::new, |route| route.as_str().to_owned()),
        method: request.method().clone(),
        caller: key.map_or_else(String::new, |key| {
            format!("key={} {}={}", key.id, key.holder.kind(), key.holder.name())
        }),
        status: None,
        detail: None,
    };
    let response = next.run(request).await;
    entry.status = Some(response.status());
    entry.detail = response.extensions().get::<LogDetail>().cloned();
    response
}

/// What a response adds to the line of its request, because the route does not tell it.
#[derive(Clone)]
pub(super) enum LogDetail {
    /// The request writes nothing: it is not logged.
    Reads,
    /// The tool that was called.
    Tool(&'static str),
}

/// One line of the log, which is written when this is dropped.
struct LogEntry {
    method: Method,
    route: String,
    caller: String,
    /// `None` if the client is gone.
    status: Option<StatusCode>,
    detail: Option<LogDetail>,
}

impl Drop for LogEntry {
    fn drop(&mut self) {
        let tool = match self.detail {
            Some(LogDetail::Reads) => return,
            Some(LogDetail::Tool(name)) => format!(" {name}"),
            None => String::new(),
        };
        let status = self.status.as_ref().map_or("gone", StatusCode::as_str);
        log(&format!(
            "{} {}{tool} {status} {}",
            self.method, self.route, self.caller
        ));
    }
}
