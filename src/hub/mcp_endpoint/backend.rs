//! Runs the tool calls of one request over HTTP, as the caller whose key it has.
use std::sync::Arc;

use axum::extract::Query;
use axum::http::Uri;
use rmcp::model::{CallToolResult, Tool};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde::Deserialize;

use crate::hub::caller::{CallGuard, Caller};
use crate::hub::mcp_endpoint::http_call::HttpCall;
use crate::hub::state::Hub;
use crate::mcp::{self, ToolBackend};
use crate::tools::{self, JsonObject};

/// The backend of one request.
pub(super) struct HttpBackend {
    hub: Arc<Hub>,
    caller: Caller,
    tool_sets: Option<Vec<String>>,
}

impl HttpBackend {
    pub(super) fn new(hub: Arc<Hub>, caller: Caller, tool_sets: Option<Vec<String>>) -> Self {
        Self {
            hub,
            caller,
            tool_sets,
        }
    }
}

impl ToolBackend for HttpBackend {
    fn on_request(&self, _: &RequestContext<RoleServer>) {}

    fn tools(&self, _: &RequestContext<RoleServer>) -> Vec<Tool> {
        mcp::tool_list(self.tool_sets.as_deref())
    }

    async fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let operation = match self.caller.operation(mcp::find_tool(name)?, arguments) {
            Ok(operation) => operation,
            Err(refusal) => return Ok(mcp::failure(refusal.body())),
        };
        let running = self
            .hub
            .running_calls()
            .begin(&self.caller.key().id, &context.id);
        let _in_use = CallGuard::begin(&self.caller);
        let call = HttpCall {
            caller: &self.caller,
            context,
            cancelled: running.cancelled(),
        };
        Ok(mcp::result_of(tools::run_operation(&call, operation).await))
    }
}

/// The part of the query that `/mcp` knows.
#[derive(Deserialize)]
struct ToolSets {
    tools: Option<String>,
}

/// Returns the tool sets that a client has asked for: `/mcp?tools=ask,claims`; else those of the hub's settings.
pub(super) fn tool_sets(hub: &Hub, uri: &Uri) -> Option<Vec<String>> {
    let query = Query::<ToolSets>::try_from_uri(uri).ok();
    match query.and_then(|query| query.0.tools) {
        Some(sets) => Some(sets.split(',').map(|set| set.trim().to_owned()).collect()),
        None => hub.settings().tools.clone(),
    }
}
