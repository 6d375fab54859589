//! The protocol side: what rmcp asks of a server, handed on to the tools.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, DiscoverResult,
    ErrorCode, Implementation, InitializeRequestParams, InitializeResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use crate::mcp::session_state::Shared;
use crate::mcp::{arguments, claim_queue_watcher, errors, inbox_waker, session_state, tools};
use crate::model::Refusal;
use crate::platform::Fault;

/// The handler of one connection. Where the settings cannot be read it lists the tools, and every call says why.
#[derive(Clone)]
pub(super) struct MeshServer {
    shared: Result<Arc<Shared>, Fault>,
    session_search_started: Arc<AtomicBool>,
}

impl MeshServer {
    pub(super) fn new(shared: Result<Arc<Shared>, Fault>) -> Self {
        Self {
            shared,
            session_search_started: Arc::default(),
        }
    }

    /// Returns the client's name; the first request that brings it starts the search for its session.
    fn client(&self, context: &RequestContext<RoleServer>) -> String {
        let client = context.client_info().map_or_else(
            || "unknown".into(),
            |info| format!("{} {}", info.name, info.version),
        );
        if let Ok(shared) = &self.shared
            && !self.session_search_started.swap(true, Ordering::SeqCst)
        {
            tokio::spawn(Arc::clone(shared).register_when_session_found(client.clone()));
            tokio::spawn(claim_queue_watcher::watch_claim_queues(
                Arc::clone(shared),
                client.clone(),
            ));
            if session_state::is_claude(&client) {
                tokio::spawn(inbox_waker::attend(Arc::clone(shared), client.clone()));
            }
        }
        client
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
        self.client(&context);
        result
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        self.client(&context);
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let client = self.client(&context);
        let tools = match &self.shared {
            Ok(shared) if shared.disabled_reason(&client).is_some() => Vec::new(),
            Ok(shared) => tools::tool_list(shared.settings().tools.as_deref()),
            Err(_) => tools::tool_list(None),
        };
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let client = self.client(&context);
        let shared = match &self.shared {
            Ok(shared) => shared,
            Err(fault) => return Ok(errors::settings_unreadable(fault).into()),
        };
        let call = tools::Call {
            shared,
            client,
            context: &context,
        };
        // Whoever sits was let in; the files are not read again at every call.
        if !shared.is_registered()
            && let Some(problem) = shared.disabled_reason(&call.client)
        {
            return Ok(errors::result(&Refusal::Unsupported { problem }.into()).into());
        }
        let outcome = tools::call(&call, &request.name, request.arguments).await;
        match outcome {
            Some(result) => Ok(result.unwrap_or_else(|error| errors::result(&error)).into()),
            None => Err(ErrorData::invalid_params(
                format!("no tool called {:?}", arguments::cut(&request.name)),
                None,
            )),
        }
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

    /// Comes for methods nobody knows, and for known ones whose parameters are of another shape.
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

/// Tools are all this server has.
fn method_not_found(name: &str) -> ErrorData {
    let message = format!("no method called {:?}", arguments::cut(name));
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}
