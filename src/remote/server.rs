//! Runs the tool calls of the client of the program over stdio.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::model::{CallToolResult, Tool};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;
use tokio::sync::watch;

use crate::mcp::{self, ToolBackend};
use crate::model::Refusal;
use crate::platform::{Fault, clock::rfc3339};
use crate::remote::call::ToolCall;
use crate::remote::link::Link;
use crate::remote::{
    arguments, mod_calls, registration, spool_sender, stream, tool_result, verb_sender,
};
use crate::tools::{self, JsonObject};

/// A waiting call sends progress this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// The backend of the connection. Without a hub it lists the tools, and every call returns the reason.
pub(super) struct RemoteServer {
    link: Result<Arc<Link>, Fault>,
    stdin_closed: watch::Receiver<bool>,
    tasks_started: AtomicBool,
}

impl RemoteServer {
    pub(super) fn new(link: Result<Arc<Link>, Fault>, stdin_closed: watch::Receiver<bool>) -> Self {
        Self {
            link,
            stdin_closed,
            tasks_started: AtomicBool::new(false),
        }
    }
}

/// Returns the name and version by which a client introduces itself.
fn agent(context: &RequestContext<RoleServer>) -> String {
    context.client_info().map_or_else(
        || "unknown".into(),
        |info| format!("{} {}", info.name, info.version),
    )
}

/// Returns why the mesh is switched off for this session.
fn disabled_reason(link: &Link) -> Option<&'static str> {
    if link.settings.disabled {
        Some("claude-mesh is switched off here (CLAUDE_MESH=off)")
    } else if !link.project().is_enabled() {
        Some("claude-mesh is switched off for this project (.claude-mesh.json)")
    } else {
        None
    }
}

impl ToolBackend for RemoteServer {
    fn on_request(&self, context: &RequestContext<RoleServer>) {
        let Ok(link) = &self.link else {
            return;
        };
        if disabled_reason(link).is_some() || self.tasks_started.swap(true, Ordering::SeqCst) {
            return;
        }
        let agent = agent(context);
        let start = || (Arc::clone(link), agent.clone());
        let (link, name) = start();
        tokio::spawn(registration::register_when_session_found(link, name));
        let (link, name) = start();
        tokio::spawn(stream::follow(link, name));
        let (link, _) = start();
        tokio::spawn(verb_sender::send_verbs(link));
        let (link, _) = start();
        tokio::spawn(spool_sender::send_spooled(link));
    }

    fn tools(&self, _: &RequestContext<RoleServer>) -> Vec<Tool> {
        match &self.link {
            Ok(link) if disabled_reason(link).is_some() => Vec::new(),
            Ok(link) => mcp::tool_list(link.settings.tools.as_deref()),
            Err(_) => mcp::tool_list(None),
        }
    }

    async fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let link = match &self.link {
            Ok(link) => link,
            Err(fault) => return Ok(mcp::failure(&tools::unreadable_settings_body(fault))),
        };
        if let Some(problem) = disabled_reason(link) {
            let problem = problem.into();
            return Ok(mcp::result_of(Err(Refusal::Unsupported { problem }.into())));
        }
        let agent = agent(context);
        let is_for_mod = name == "poll_inbox" && arguments.contains_key("fork");
        if is_for_mod && mcp::is_from_plugin(&agent, context) {
            return Ok(mcp::result_of(Ok(mod_calls::report(link))));
        }
        let tool = mcp::find_tool(name)?;
        let folder = link.project().path;
        let arguments = match arguments::localized(name, arguments, Path::new(&folder)) {
            Ok(arguments) => arguments,
            Err(error) => return Ok(mcp::result_of(Err(error))),
        };
        let _waiting = WaitingCall::begin(link);
        let repeated = link.unsettled.take_key(name, &arguments);
        let call = ToolCall {
            link,
            agent: &agent,
            tool,
            arguments: &arguments,
            is_repeated: repeated.is_some(),
            key: &repeated.unwrap_or_else(|| ulid::Ulid::generate().to_string()),
        };
        let mut stdin_closed = self.stdin_closed.clone();
        let gone = async {
            let _ = stdin_closed.wait_for(|closed| *closed).await;
        };
        // It lives until a cancelled call has ended at the hub, which gives up a call whose request has ended.
        let mut running = std::pin::pin!(run(&call));
        let result = tokio::select! {
            result = &mut running => result,
            never = report_progress(link, context) => match never {},
            () = context.ct.cancelled() => {
                call.cancel().await;
                mcp::failure(&Value::Null)
            }
            () = gone => mcp::failure(&Value::Null),
        };
        Ok(result)
    }
}

async fn run(call: &ToolCall<'_>) -> CallToolResult {
    match tool_result::run(call).await {
        Ok(body) => mcp::result_of(Ok(body)),
        Err(body) => mcp::failure(&body),
    }
}

/// Sends progress while a call waits: the client must see that it is alive, and whether the hub is in reach.
async fn report_progress(
    link: &Link,
    context: &RequestContext<RoleServer>,
) -> std::convert::Infallible {
    let mut number = 0;
    let mut reachability = link.reachability();
    loop {
        // At once when the hub gets out of reach or comes back.
        let _ = tokio::time::timeout(PROGRESS_INTERVAL, reachability.changed()).await;
        number += 1;
        let message = match link.unreachable() {
            None => format!("waiting, through {}", link.hub.url),
            Some((since_ms, _)) => {
                format!("the mesh is out of reach since {}", rfc3339(since_ms))
            }
        };
        mcp::send_progress(context, number, message).await;
    }
}

/// Counts a call that runs: its result brings what is pending, so a prompt does not.
struct WaitingCall<'a>(&'a Link);

impl<'a> WaitingCall<'a> {
    fn begin(link: &'a Link) -> Self {
        link.mirror().count_waiting_call(true);
        Self(link)
    }
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.0.mirror().count_waiting_call(false);
    }
}
