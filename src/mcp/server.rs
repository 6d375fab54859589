//! The protocol side: what rmcp asks of a server, handed on to the tools.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, DiscoverResult, Implementation,
    InitializeRequestParams, InitializeResult, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::station::Shared;
use super::{attend, refusals, station, tools};
use crate::model::Refusal;

/// The handler of one connection.
#[derive(Clone)]
pub(super) struct MeshServer {
    shared: Arc<Shared>,
    settling: Arc<AtomicBool>,
}

impl MeshServer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            settling: Arc::default(),
        }
    }

    /// Returns the client's name; the first request that brings it starts the search for its session.
    fn client(&self, context: &RequestContext<RoleServer>) -> String {
        let client = context.client_info().map_or_else(
            || "unknown".into(),
            |info| format!("{} {}", info.name, info.version),
        );
        if !self.settling.swap(true, Ordering::SeqCst) {
            tokio::spawn(Arc::clone(&self.shared).settle(client.clone()));
            if station::is_claude(&client) {
                tokio::spawn(attend::attend(Arc::clone(&self.shared), client.clone()));
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
        let tools = match self.shared.switched_off(&client) {
            Some(_) => Vec::new(),
            None => tools::tool_list(self.shared.settings().tools.as_deref()),
        };
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = tools::Call {
            shared: &self.shared,
            client: self.client(&context),
            context: &context,
        };
        if let Some(problem) = self.shared.switched_off(&call.client) {
            return Ok(refusals::result(&Refusal::Unsupported { problem }.into()).into());
        }
        let outcome = tools::call(&call, &request.name, request.arguments).await;
        match outcome {
            Some(result) => Ok(result
                .unwrap_or_else(|error| refusals::result(&error))
                .into()),
            None => Err(ErrorData::invalid_params(
                format!("no tool called {:?}", request.name),
                None,
            )),
        }
    }
}
