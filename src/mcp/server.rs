//! Runs the tool calls of the client of a server over stdio, in its session.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{CallToolResult, Tool};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use crate::mcp::session_state::Shared;
use crate::mcp::tool_call::Call;
use crate::mcp::tool_list::tool_list;
use crate::mcp::tool_server::{ToolBackend, failure, find_tool, result_of};
use crate::mcp::{
    claim_queue_watcher, codex_queue, delivery_socket, guard_socket, inbox_waker, session_state,
};
use crate::model::Refusal;
use crate::platform::Fault;
use crate::tools::{self, JsonObject};

/// The backend of one connection. If it could not be set up it lists the tools, and every call returns the reason.
pub(super) struct MeshServer {
    shared: Result<Arc<Shared>, Fault>,
    background_started: AtomicBool,
}

impl MeshServer {
    pub(super) fn new(shared: Result<Arc<Shared>, Fault>) -> Self {
        Self {
            shared,
            background_started: AtomicBool::new(false),
        }
    }
}

/// Returns the name and version by which a client introduces itself.
fn client_name(context: &RequestContext<RoleServer>) -> String {
    context.client_info().map_or_else(
        || "unknown".into(),
        |info| format!("{} {}", info.name, info.version),
    )
}

/// Starts the search for the session of the client, and what the server does for that session while no request runs.
fn start_background_tasks(shared: &Arc<Shared>, client: &str) {
    let start = || (Arc::clone(shared), client.to_owned());
    let (shared, client) = start();
    tokio::spawn(shared.register_when_session_found(client));
    let (shared, client) = start();
    tokio::spawn(claim_queue_watcher::watch_claim_queues(shared, client));
    let (shared, client) = start();
    if session_state::is_claude(&client) || codex_queue::is_codex(&client) {
        tokio::spawn(inbox_waker::run_inbox_waker(shared, client));
    }
    let (shared, client) = start();
    if session_state::is_claude(&client) {
        tokio::spawn(guard_socket::answer_guard(shared, client));
        let (shared, client) = start();
        tokio::spawn(delivery_socket::answer_hooks(shared, client));
    }
}

impl ToolBackend for MeshServer {
    fn on_request(&self, context: &RequestContext<RoleServer>) {
        if let Ok(shared) = &self.shared
            && !self.background_started.swap(true, Ordering::SeqCst)
        {
            start_background_tasks(shared, &client_name(context));
        }
    }

    fn tools(&self, context: &RequestContext<RoleServer>) -> Vec<Tool> {
        match &self.shared {
            Ok(shared) if shared.disabled_reason(&client_name(context)).is_some() => Vec::new(),
            Ok(shared) => tool_list(shared.settings().tools.as_deref()),
            Err(_) => tool_list(None),
        }
    }

    async fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let client = client_name(context);
        let shared = match &self.shared {
            Ok(shared) => shared,
            Err(fault) => return Ok(failure(&tools::unreadable_settings_body(fault))),
        };
        // A registered session was allowed to; the files are not read again at every call.
        if !shared.has_registered()
            && let Some(problem) = shared.disabled_reason(&client)
        {
            return Ok(result_of(Err(Refusal::Unsupported { problem }.into())));
        }
        let tool = find_tool(name)?;
        let call = Call {
            shared,
            client: &client,
            context,
        };
        let outcome = match (tool.handler)(arguments) {
            Ok(operation) => tools::run_operation(&call, operation).await,
            Err(error) => Err(error),
        };
        Ok(result_of(outcome))
    }
}
