//! Handles the requests of the protocol for every server of tools, over stdio and over HTTP; a backend runs the calls.
use std::future::Future;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, DiscoverResult, ErrorCode, Implementation, InitializeRequestParams,
    InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use crate::model::Error;
use crate::platform::text::cut_chars;
use crate::tools::{self, JsonObject, ToolEntry};

/// Characters of an unknown name that an error repeats.
const NAME_CHARS_MAX: usize = 60;

/// What differs between the servers: which tools they list, and as whom they run a call.
pub(crate) trait ToolBackend: Send + Sync + 'static {
    /// Takes note of a request.
    fn on_request(&self, context: &RequestContext<RoleServer>);

    /// Returns the tools for this client.
    fn tools(&self, context: &RequestContext<RoleServer>) -> Vec<Tool>;

    /// Calls a tool. A refusal is a result; an error means that the call itself is invalid.
    fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<CallToolResult, ErrorData>> + Send;
}

/// The handler of one connection, or of one request over HTTP.
pub(crate) struct ToolServer<B>(pub(crate) B);

impl<B: ToolBackend> ServerHandler for ToolServer<B> {
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
        self.0.on_request(&context);
        result
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        self.0.on_request(&context);
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.0.on_request(&context);
        Ok(ListToolsResult::with_all_items(self.0.tools(&context)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.on_request(&context);
        let arguments = request.arguments.unwrap_or_default();
        let result = self.0.call(&request.name, arguments, &context).await?;
        Ok(result.into())
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

/// Returns the tool of this name, or the error of a call of a tool that does not exist.
pub(crate) fn find_tool(name: &str) -> Result<&'static ToolEntry, ErrorData> {
    tools::find(name).ok_or_else(|| {
        let name = cut_chars(name, NAME_CHARS_MAX);
        ErrorData::invalid_params(format!("no tool called {name:?}"), None)
    })
}

/// Returns the result of a call: one text block with one JSON object.
pub(crate) fn result_of(outcome: Result<Value, Error>) -> CallToolResult {
    match outcome {
        Ok(body) => CallToolResult::success(vec![ContentBlock::text(body.to_string())]),
        Err(error) => failure(&tools::error_body(&error)),
    }
}

/// Returns the result of a call that was refused or failed, with the error object.
pub(crate) fn failure(body: &Value) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(body.to_string())])
}

/// Sends a progress notification if the client has asked for progress.
pub(crate) async fn send_progress(
    context: &RequestContext<RoleServer>,
    number: u32,
    message: String,
) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    let notification =
        ProgressNotificationParam::new(token, f64::from(number)).with_message(message);
    let _ = context.peer.notify_progress(notification).await;
}

/// A server of tools has tools only.
fn method_not_found(name: &str) -> ErrorData {
    let message = format!("no method called {:?}", cut_chars(name, NAME_CHARS_MAX));
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}
