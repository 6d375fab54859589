//! The caller of a tool call over stdio, for the asynchronous driver: the session of the server and the request of the client.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use crate::mcp::session_state::{Shared, is_claude};
use crate::mcp::tool_server;
use crate::mesh::StopReason;
use crate::model::Result;
use crate::platform::Moment;
use crate::platform::id::WaitId;
use crate::tools::{AsyncCaller, CallContext, Operation, Step};

/// One call of a client.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: &'a str,
    pub(super) context: &'a RequestContext<RoleServer>,
}

/// Begins the id of a call that a plugin inside Claude Code makes; the ids of the calls of a model begin otherwise.
const PLUGIN_CALL_PREFIX: &str = "toolu_plugin_";

/// The key under which the Codex CLI names its conversation; hooks get the same name as `session_id`.
const THREAD_KEY: &str = "threadId";

/// Returns whether a plugin inside the client makes a call, and no model.
pub(crate) fn is_from_plugin(client: &str, context: &RequestContext<RoleServer>) -> bool {
    let id = context.meta.0.get("claudecode/toolUseId");
    let id = id.and_then(serde_json::Value::as_str);
    is_claude(client) && id.is_some_and(|id| id.starts_with(PLUGIN_CALL_PREFIX))
}

impl Call<'_> {
    /// Returns the conversation that a client other than Claude Code names in this call, as the Codex CLI does.
    fn conversation(&self) -> Option<&str> {
        let thread = self.context.meta.0.get(THREAD_KEY)?.as_str()?;
        (!is_claude(self.client)).then_some(thread)
    }

    fn step(&self, mut call: CallContext<'_>, operation: &mut Operation) -> Result<Step> {
        call.from_plugin = is_from_plugin(self.client, self.context);
        operation.step(&mut call)
    }
}

impl AsyncCaller for Call<'_> {
    fn now(&self) -> Moment {
        self.shared.now()
    }

    async fn first_step(&self, operation: &mut Operation) -> Result<Step> {
        if let Some(conversation) = self.conversation() {
            self.shared.set_conversation(conversation);
        }
        self.shared
            .in_session(self.client, |call| self.step(call, operation))
            .await
    }

    async fn next_step(&self, operation: &mut Operation) -> Result<Step> {
        self.shared
            .in_same_session(self.client, |call| self.step(call, operation))
            .await
    }

    fn doorbell_signals(&self) -> watch::Receiver<u64> {
        self.shared.doorbell_signals()
    }

    fn poll_interval(&self) -> Duration {
        self.shared.poll_interval()
    }

    async fn stopped(&self) -> StopReason {
        let mut stdin_closed = self.shared.stdin_closed().subscribe();
        tokio::select! {
            _ = stdin_closed.wait_for(|closed| *closed) => StopReason::CallerGone,
            () = self.context.ct.cancelled() => StopReason::Cancelled,
        }
    }

    fn wants_progress(&self) -> bool {
        self.context.meta.get_progress_token().is_some()
    }

    async fn send_progress(&self, number: u32, message: String) {
        tool_server::send_progress(self.context, number, message).await;
    }

    fn wait_began(&self) {
        self.shared.count_waiting_call(true);
    }

    fn wait_ended(&self, row: Option<WaitId>) {
        self.shared.count_waiting_call(false);
        if let Some(row) = row {
            self.shared.queue_wait_to_end(row);
        }
    }

    async fn delete_ended_waits(&self) {
        self.shared.end_waits(self.client).await;
    }
}
