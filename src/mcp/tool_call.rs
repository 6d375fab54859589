//! The asynchronous driver of tool calls: steps a call, pauses while it waits, and sends its progress.
//!
//! It subscribes to the doorbell before each step, so that nothing committed after the step is missed.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::Value;
use tokio::sync::watch;

use crate::mcp::progress::Progress;
use crate::mcp::session_state::{Shared, WaitingCallGuard};
use crate::mesh::StopReason;
use crate::model::Result;
use crate::platform::id::WaitId;
use crate::tools::{Operation, Step};

/// One call of a client.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: &'a str,
    pub(super) context: &'a RequestContext<RoleServer>,
}

impl Call<'_> {
    /// Runs an operation to its end. The row of its wait is deleted in any case.
    pub(super) async fn run(&self, mut operation: Operation) -> Result<Value> {
        // The first step registers the session if it is not registered; the others stay in that session.
        let mut step = self
            .shared
            .in_session(self.client, |mut call| operation.step(&mut call))
            .await?;
        let mut wait = None;
        loop {
            match step {
                Step::Done(result) => {
                    self.end_wait(operation.wait_row(), wait).await;
                    return Ok(result);
                }
                Step::WaitEnded => self.end_wait(operation.wait_row(), wait.take()).await,
                Step::Again => {
                    if wait.is_none()
                        && let Some(row) = operation.wait_row()
                    {
                        wait = Some(WaitingCall::begin(self, row));
                    }
                }
                Step::PendingUntil { monotonic_ms } => {
                    if let Some(wait) = &mut wait {
                        self.pause(wait, &mut operation, monotonic_ms).await;
                    }
                }
            }
            if let Some(wait) = &mut wait {
                wait.doorbell_signals.borrow_and_update();
            }
            let stepped = self
                .shared
                .in_same_session(self.client, |mut call| operation.step(&mut call))
                .await;
            step = match stepped {
                Ok(step) => step,
                Err(error) => match operation.recover(error) {
                    Ok(()) => Step::WaitEnded,
                    Err(error) => {
                        self.end_wait(operation.wait_row(), wait).await;
                        return Err(error);
                    }
                },
            };
        }
    }

    /// Ends the wait of a call; deletes its row if the call has not.
    async fn end_wait(&self, row: Option<WaitId>, wait: Option<WaitingCall<'_>>) {
        let Some(mut wait) = wait else {
            return;
        };
        wait.row.row = row;
        drop(wait);
        if row.is_some() {
            self.shared.end_waits(self.client).await;
        }
    }

    /// Sends progress and pauses until the next step.
    async fn pause(
        &self,
        wait: &mut WaitingCall<'_>,
        operation: &mut Operation,
        until_monotonic_ms: i64,
    ) {
        let now = self.shared.now();
        let report = if wait.progress.is_wanted() {
            operation.progress(&now)
        } else {
            None
        };
        let progress = wait.progress.send_if_due(now, report);
        // After the end of stdin the client reads no notification.
        let pause = tokio::select! {
            pause = progress => pause,
            () = closed(&mut wait.stdin_closed) => Duration::ZERO,
        };
        let remaining_ms = until_monotonic_ms - self.shared.now().monotonic_ms;
        let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0));
        let pause = pause.min(self.shared.poll_interval()).min(remaining);
        tokio::select! {
            changed = wait.doorbell_signals.changed() => if changed.is_err() {
                tokio::time::sleep(pause).await;
            },
            () = tokio::time::sleep(pause) => {}
            () = closed(&mut wait.stdin_closed) => operation.stop(StopReason::CallerGone),
            () = self.context.ct.cancelled() => operation.stop(StopReason::Cancelled),
        }
    }
}

/// A call that waits: its row, its signals and its progress. Dropping it ends the wait.
struct WaitingCall<'a> {
    row: RowGuard<'a>,
    doorbell_signals: watch::Receiver<u64>,
    stdin_closed: watch::Receiver<bool>,
    progress: Progress<'a>,
    _counted: WaitingCallGuard<'a>,
}

impl<'a> WaitingCall<'a> {
    fn begin(call: &Call<'a>, row: WaitId) -> Self {
        Self {
            row: RowGuard {
                shared: call.shared,
                row: Some(row),
            },
            doorbell_signals: call.shared.doorbell_signals(),
            stdin_closed: call.shared.stdin_closed().subscribe(),
            progress: Progress::new(call.context),
            _counted: call.shared.count_waiting_call(),
        }
    }
}

/// The row of a wait, which is deleted also if the call is dropped.
struct RowGuard<'a> {
    shared: &'a Shared,
    row: Option<WaitId>,
}

impl Drop for RowGuard<'_> {
    fn drop(&mut self) {
        if let Some(row) = self.row {
            self.shared.queue_wait_to_end(row);
        }
    }
}

async fn closed(stdin: &mut watch::Receiver<bool>) {
    let _ = stdin.wait_for(|closed| *closed).await;
}
