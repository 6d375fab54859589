//! MCP over streamable HTTP, at `/mcp`: the tools for clients that cannot start a program.
//!
//! *Purpose:* one POST is one message. A call that waits answers with a stream of events: its progress, then its result.
//! *Why not otherwise:* revision 2026-07-28 has no sessions, and the older ones permit a server without them; so the hub
//! issues no session id, and a client may call any tool after the hub was started again. What a
//! broken stream has lost, `await_reply` and `poll_inbox` give again.

mod backend;
mod http_call;
mod late_answer;

use std::sync::Arc;

use axum::body::{self, Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorData, JsonRpcError,
    JsonRpcNotification, JsonRpcRequest, RequestId,
};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::mcp_endpoint::backend::HttpBackend;
use crate::hub::request_log::LogDetail;
use crate::hub::state::Hub;
use crate::mcp::{self, ErrorReply, ToolServer};
use crate::tools::{self, Effect};

/// The longest refusal of the library, in bytes.
const REFUSAL_MAX_BYTES: usize = 64 * 1024;

/// Returns the routes. They need the [`Caller`] as an extension.
pub(super) fn router() -> Router<Arc<Hub>> {
    Router::new().route("/mcp", routing::any(answer))
}

async fn answer(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    parts: request::Parts,
    body: Bytes,
) -> Response {
    let mut detail = None;
    let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(is_json);
    if is_json {
        match mcp::read_message(&body) {
            Err(reply) => return invalid(*reply),
            Ok(Some(message)) => {
                if let Some(id) = cancelled_request(&message) {
                    hub.running_calls().cancel(&caller.key().id, &id);
                }
                detail = Some(log_detail(&message));
            }
            Ok(None) if body.is_empty() => return invalid(no_message()),
            Ok(None) => return StatusCode::ACCEPTED.into_response(),
        }
    }
    let body = mcp::repaired_message(&body).map_or(body, Bytes::from);
    let request = Request::from_parts(parts, Body::from(body));
    let mut response = late_answer::within_time(serve(hub, caller, request)).await;
    if let Some(detail) = detail {
        response.extensions_mut().insert(detail);
    }
    response
}

/// Passes a request to the library, with a handler of its own.
async fn serve(hub: Arc<Hub>, caller: Caller, request: Request) -> Response {
    let tool_sets = backend::tool_sets(&hub, request.uri());
    let handler = move || {
        Ok(ToolServer(HttpBackend::new(
            Arc::clone(&hub),
            caller.clone(),
            tool_sets.clone(),
        )))
    };
    // The hub checks `Host`, `Origin` and the size of all requests itself.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_max_request_body_bytes(usize::MAX);
    let service =
        StreamableHttpService::new(handler, Arc::<NeverSessionManager>::default(), config);
    with_error_object(service.handle(request).await.map(Body::new)).await
}

/// Returns the id of the request that a message cancels.
fn cancelled_request(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    match message {
        ClientJsonRpcMessage::Notification(JsonRpcNotification {
            notification: ClientNotification::CancelledNotification(cancelled),
            ..
        }) => cancelled.params.request_id.clone(),
        _ => None,
    }
}

/// Returns what the log says of a message: the tool that it calls, unless that only reads.
fn log_detail(message: &ClientJsonRpcMessage) -> LogDetail {
    let called = match message {
        ClientJsonRpcMessage::Request(JsonRpcRequest {
            request: ClientRequest::CallToolRequest(call),
            ..
        }) => tools::find(&call.params.name),
        _ => None,
    };
    match called {
        Some(tool) if !matches!(tool.effect, Effect::Reads) => LogDetail::Tool(tool.name),
        _ => LogDetail::Reads,
    }
}

fn is_json(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

fn no_message() -> ErrorReply {
    ErrorReply {
        id: None,
        error: ErrorData::parse_error("the body is empty; nothing was done", None),
    }
}

/// Returns the reply to a body that is no message.
fn invalid(reply: ErrorReply) -> Response {
    let error = JsonRpcError::new(reply.id, reply.error);
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// Returns a response with the error object of the hub in place of a refusal in plain text.
async fn with_error_object(response: Response) -> Response {
    let status = response.status();
    let has_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(is_json);
    if has_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = body::to_bytes(body, REFUSAL_MAX_BYTES)
        .await
        .unwrap_or_default();
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::NOT_ACCEPTABLE => "not_acceptable",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        status if status.is_server_error() => "storage",
        _ => "invalid_argument",
    };
    let hint = "MCP over HTTP is POST /mcp with `Content-Type: application/json` and `Accept: application/json, text/event-stream`.";
    let refusal = ApiError::new(status, code, &String::from_utf8_lossy(&text), hint);
    let mut response = refusal.into_response();
    if let Some(allowed) = parts.headers.get(header::ALLOW) {
        response
            .headers_mut()
            .insert(header::ALLOW, allowed.clone());
    }
    response
}
