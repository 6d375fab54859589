//! The caller of a tool call by MCP over HTTP, for the asynchronous driver: the caller's session, the request and its
//! stream.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use crate::hub::caller::Caller;
use crate::mcp;
use crate::mesh::StopReason;
use crate::model::Result;
use crate::platform::Moment;
use crate::platform::id::WaitId;
use crate::tools::{AsyncCaller, Operation, Step};

/// One call of a client.
pub(super) struct HttpCall<'a> {
    pub(super) caller: &'a Caller,
    pub(super) context: &'a RequestContext<RoleServer>,
    /// Becomes true when the client cancels the call by a message.
    pub(super) cancelled: watch::Receiver<bool>,
}

impl AsyncCaller for HttpCall<'_> {
    fn now(&self) -> Moment {
        self.caller.now()
    }

    async fn first_step(&self, operation: &mut Operation) -> Result<Step> {
        self.caller.first_step(operation).await
    }

    async fn next_step(&self, operation: &mut Operation) -> Result<Step> {
        self.caller.next_step(operation).await
    }

    fn doorbell_signals(&self) -> watch::Receiver<u64> {
        self.caller.doorbell_signals()
    }

    fn poll_interval(&self) -> Duration {
        self.caller.poll_interval()
    }

    /// A closed stream may be a cancellation or a broken connection, after which the client asks again by `await_reply`:
    /// so its questions stay.
    async fn stopped(&self) -> StopReason {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            reason = self.caller.stopped() => reason,
            Ok(_) = cancelled.wait_for(|cancelled| *cancelled) => StopReason::Cancelled,
            () = self.context.ct.cancelled() => StopReason::CallerGone,
        }
    }

    fn wants_progress(&self) -> bool {
        self.context.meta.get_progress_token().is_some()
    }

    async fn send_progress(&self, number: u32, message: String) {
        mcp::send_progress(self.context, number, message).await;
    }

    fn wait_began(&self) {
        self.caller.wait_began();
    }

    fn wait_ended(&self, row: Option<WaitId>) {
        self.caller.wait_ended(row);
    }

    async fn delete_ended_waits(&self) {
        self.caller.delete_ended_waits().await;
    }
}
