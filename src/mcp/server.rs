//! Handles the requests of the protocol, and passes calls to the tools.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, DiscoverResult, ErrorCode, Implementation, InitializeRequestParams,
    InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use crate::mcp::session_state::Shared;
use crate::mcp::tool_call::Call;
use crate::mcp::tool_list::tool_list;
use crate::mcp::{claim_queue_watcher, inbox_waker, session_state};
use crate::model::{Error, Refusal};
use crate::platform::Fault;
use crate::platform::text::cut_chars;
use crate::tools;

/// Characters of an unknown name that an error repeats.
const NAME_CHARS_MAX: usize = 60;

/// The handler of one connection. If the settings cannot be read it lists the tools, and every call returns the reason.
#[derive(Clone)]
pub(super) struct MeshServer {
    shared: Result<Arc<Shared>, Fault>,
    background_started: Arc<AtomicBool>,
}

impl MeshServer {
    pub(super) fn new(shared: Result<Arc<Shared>, Fault>) -> Self {
        Self {
            shared,
            background_started: Arc::default(),
        }
    }

    /// Returns the name of the client that sends a request; the first request starts the background tasks.
    fn on_request(&self, context: &RequestContext<RoleServer>) -> String {
        let client = client_name(context);
        if let Ok(shared) = &self.shared
            && !self.background_started.swap(true, Ordering::SeqCst)
        {
            start_background_tasks(shared, &client);
        }
        client
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
    if session_state::is_claude(&client) {
        tokio::spawn(inbox_waker::run_inbox_waker(shared, client));
    }
}

impl ServerHandler for MeshServer {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("claude-mesh", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(tools::INSTRUCTIONS.into());
        info
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request);
        context.peer.set_peer_info(request);
        self.on_request(&context);
        result
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        self.on_request(&context);
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let client = self.on_request(&context);
        let tools = match &self.shared {
            Ok(shared) if shared.disabled_reason(&client).is_some() => Vec::new(),
            Ok(shared) => tool_list(shared.settings().tools.as_deref()),
            Err(_) => tool_list(None),
        };
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let client = self.on_request(&context);
        let shared = match &self.shared {
            Ok(shared) => shared,
            Err(fault) => return Ok(failure(&tools::unreadable_settings_body(fault)).into()),
        };
        // A registered session was allowed to; the files are not read again at every call.
        if !shared.has_registered()
            && let Some(problem) = shared.disabled_reason(&client)
        {
            let refusal = Refusal::Unsupported { problem };
            return Ok(failure(&tools::error_body(&refusal.into())).into());
        }
        let Some(tool) = tools::find(&request.name) else {
            return Err(ErrorData::invalid_params(
                format!(
                    "no tool called {:?}",
                    cut_chars(&request.name, NAME_CHARS_MAX)
                ),
                None,
            ));
        };
        let call = Call {
            shared,
            client: &client,
            context: &context,
        };
        let outcome = match (tool.handler)(request.arguments.unwrap_or_default()) {
            Ok(operation) => tools::run_operation(&call, operation).await,
            Err(error) => Err(error),
        };
        Ok(result_of(outcome).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(method_not_found("prompts/list"))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(method_not_found("resources/list"))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(method_not_found("resources/templates/list"))
    }

    /// Called for unknown methods, and for known ones with parameters of another shape.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(match request.method.as_str() {
            "tools/call" => ErrorData::invalid_params(
                "tools/call takes \"name\", a text, and \"arguments\", an object",
                None,
            ),
            method => method_not_found(method),
        })
    }
}

/// Returns the result of a call: one text block with one JSON object.
fn result_of(outcome: Result<Value, Error>) -> CallToolResult {
    match outcome {
        Ok(body) => CallToolResult::success(vec![ContentBlock::text(body.to_string())]),
        Err(error) => failure(&tools::error_body(&error)),
    }
}

fn failure(body: &Value) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(body.to_string())])
}

/// This server has tools only.
fn method_not_found(name: &str) -> ErrorData {
    let message = format!("no method called {:?}", cut_chars(name, NAME_CHARS_MAX));
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}
