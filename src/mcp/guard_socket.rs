//! Tells the mod inside Claude Code, over a socket of the session, which tool calls are denied because of the claims of others.
//! It takes a few milliseconds; a call of a tool by the mod takes about thirty, as long as a hook does.
//!
//! The mod sends the event that a hook before a tool gets. Its only way to a socket is HTTP, so this speaks as much of it as is
//! needed: one request for each connection, with a length. Only programs of the same user are answered.
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::claude_code::{HookEvent, HookPayload};
use crate::mcp::own_connection::{accept_own, listen_for_client};
use crate::mcp::server_faults;
use crate::mcp::session_state::Shared;
use crate::mesh::GuardedChange;
use crate::model::Result;
use crate::platform::session_socket::guard_socket_path;

/// The mod sends names of files and shell commands, no contents.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const HEAD_BYTES_MAX: u64 = 16 * 1024;
/// How long the mod may take to send a request.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers the mod for as long as the server runs, from the time on that the client process is known.
pub(super) async fn answer_guard(shared: Arc<Shared>, client: String) {
    let home = &shared.settings().mesh_home;
    let path = |process| guard_socket_path(home, process);
    let (listener, _file) = match listen_for_client(shared.client_process(), path).await {
        Some(Ok(listening)) => listening,
        Some(Err(problem)) => return server_faults::log(home, &problem),
        None => return,
    };
    serve_guard(&listener, move |event| {
        denial(Arc::clone(&shared), client.clone(), event)
    })
    .await;
}

/// Returns what the model gets if the session may not do this; `None` after a fault, which must not stop the session.
async fn denial(shared: Arc<Shared>, client: String, event: HookEvent) -> Option<String> {
    let decided: Result<_> = shared
        .in_session(&client, |call| {
            let project = &call.project.path;
            match GuardedChange::of_event(&event, project)? {
                Some(change) => call.mesh.guard_denial(Some(&call.me), &change, project),
                None => Ok(None),
            }
        })
        .await;
    decided.unwrap_or_else(|error| {
        server_faults::log(&shared.settings().mesh_home, &error.to_string());
        None
    })
}

/// Answers each request with what `denial` says of its event.
pub(crate) async fn serve_guard<F, A>(listener: &UnixListener, denial: F)
where
    F: Fn(HookEvent) -> A + Clone + Send + 'static,
    A: Future<Output = Option<String>> + Send + 'static,
{
    loop {
        tokio::spawn(answer(accept_own(listener).await, denial.clone()));
    }
}

async fn answer<F, A>(stream: UnixStream, denial: F)
where
    F: Fn(HookEvent) -> A,
    A: Future<Output = Option<String>>,
{
    let mut stream = BufReader::new(stream);
    let Ok(Some(body)) = tokio::time::timeout(READ_TIMEOUT, read_body(&mut stream)).await else {
        return;
    };
    let payload = serde_json::from_slice::<HookPayload>(&body).ok();
    let text = match payload.and_then(HookEvent::from_payload) {
        Some(event) => denial(event).await,
        None => None,
    };
    let body = json!({ "deny": text }).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let length = body.len();
    let response = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
    // A mod that has given up gets nothing.
    let _ = stream.write_all(response.as_bytes()).await;
}

/// Returns the body of a request; `None` if it is not one of the mod.
async fn read_body(stream: &mut BufReader<UnixStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut head = (&mut *stream).take(HEAD_BYTES_MAX);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    if length > BODY_BYTES_MAX {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}
