//! The asynchronous driver of tool calls, for the servers: steps a call, pauses while it waits, and sends its progress.
//!
//! It takes the doorbell signals that have come before each step, so that nothing committed after the step is missed.
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

use crate::mesh::StopReason;
use crate::model::{Error, Result};
use crate::platform::id::WaitId;
use crate::platform::{Clock, FaultKind, Moment};
use crate::tools::call::{Operation, ProgressReport, Step};

/// A waiting call sends progress at least this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// The caller of one tool call: runs the steps in its session and says when the call must stop.
pub trait AsyncCaller: Sync {
    /// Returns the time of the clock of the mesh.
    fn now(&self) -> Moment;

    /// Runs the first step. It registers the session if it is not registered.
    fn first_step(&self, operation: &mut Operation) -> impl Future<Output = Result<Step>> + Send;

    /// Runs a later step, in the session in which the call began.
    fn next_step(&self, operation: &mut Operation) -> impl Future<Output = Result<Step>> + Send;

    /// Returns the doorbell signals of the session.
    fn doorbell_signals(&self) -> watch::Receiver<u64>;

    /// Returns the longest time between two steps of a call that waits.
    fn poll_interval(&self) -> Duration;

    /// Returns when the call must stop, with the reason.
    fn stopped(&self) -> impl Future<Output = StopReason> + Send;

    /// Returns whether the caller reads progress.
    fn wants_progress(&self) -> bool;

    /// Sends a progress report; `number` grows by one with each.
    fn send_progress(&self, number: u32, message: String) -> impl Future<Output = ()> + Send;

    /// Called when the call begins to wait.
    fn wait_began(&self);

    /// Called when the wait ends, also if the call is dropped; the row, if there is one, must be deleted.
    fn wait_ended(&self, row: Option<WaitId>);

    /// Deletes the rows of waits that have ended.
    fn delete_ended_waits(&self) -> impl Future<Output = ()> + Send;
}

/// How long a write of a server may block its thread for the write lock; after that it is retried asynchronously.
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(20);
/// How long it is retried; a lock that is held longer is a fault.
const BUSY_TIMEOUT_TOTAL_MS: i64 = 15_000;
/// The pause between two tries, in which the other calls of the server go on. It may be the turn of this write meanwhile.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// How long it is tried again while the database server is away, which answers a call that does not wait within a few seconds.
const UNREACHABLE_TIMEOUT_MS: i64 = 2_000;
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);

/// Repeats an attempt while another program holds the write lock, for at most 15 s. The other calls of the server go on
/// meanwhile.
pub async fn retry_while_busy<T>(
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let began_monotonic_ms = clock.now().monotonic_ms;
    loop {
        let outcome = attempt();
        let failed = outcome.as_ref().err();
        match failed.and_then(|error| pause_before_retry(error, began_monotonic_ms, &clock.now())) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return outcome,
        }
    }
}

/// Returns the pause before an attempt is repeated that began at a reading of the monotonic clock: another program holds the
/// write lock, for less than 15 s, or the database server is away, for less than 2 s. `None` if it is not repeated.
pub(crate) fn pause_before_retry(
    error: &Error,
    began_monotonic_ms: i64,
    now: &Moment,
) -> Option<Duration> {
    let Error::Fault(fault) = error else {
        return None;
    };
    let (limit_ms, pause) = match fault.kind {
        FaultKind::Busy => (BUSY_TIMEOUT_TOTAL_MS, BUSY_PAUSE),
        FaultKind::Unreachable => (UNREACHABLE_TIMEOUT_MS, UNREACHABLE_PAUSE),
        _ => return None,
    };
    (now.monotonic_ms - began_monotonic_ms < limit_ms).then_some(pause)
}

/// Returns whether a call that waits goes on after a failed step: the database server is away, and may be back before the time
/// of the call is over.
fn waits_for_server(error: &Error, operation: &Operation, now: &Moment) -> Option<Step> {
    let is_away = matches!(error, Error::Fault(fault) if fault.kind == FaultKind::Unreachable);
    let monotonic_ms = operation.wait_deadline().filter(|_| is_away)?;
    (now.monotonic_ms < monotonic_ms).then_some(Step::PendingUntil { monotonic_ms })
}

/// Runs an operation to its end. The row of its wait is deleted in any case.
pub async fn run_operation<C: AsyncCaller>(
    caller: &C,
    mut operation: Operation,
) -> Result<serde_json::Value> {
    let mut step = caller.first_step(&mut operation).await?;
    let mut wait = None;
    loop {
        match step {
            Step::Done(result) => {
                end_wait(caller, operation.wait_row(), wait).await;
                return Ok(result);
            }
            Step::WaitEnded => end_wait(caller, operation.wait_row(), wait.take()).await,
            Step::Again => {
                if wait.is_none()
                    && let Some(row) = operation.wait_row()
                {
                    wait = Some(WaitingCall::begin(caller, row));
                }
            }
            Step::PendingUntil { monotonic_ms } => {
                if let Some(wait) = &mut wait {
                    wait.pause(&mut operation, monotonic_ms).await;
                }
            }
        }
        if let Some(wait) = &mut wait {
            wait.doorbell_signals.borrow_and_update();
        }
        step = match caller.next_step(&mut operation).await {
            Ok(step) => step,
            Err(error) => match waits_for_server(&error, &operation, &caller.now()) {
                Some(pending) => pending,
                None => match operation.recover(error) {
                    Ok(()) => Step::WaitEnded,
                    Err(error) => {
                        end_wait(caller, operation.wait_row(), wait).await;
                        return Err(error);
                    }
                },
            },
        };
    }
}

/// Ends the wait of a call; deletes its row if the call has not.
async fn end_wait<C: AsyncCaller>(
    caller: &C,
    row: Option<WaitId>,
    wait: Option<WaitingCall<'_, C>>,
) {
    let Some(mut wait) = wait else {
        return;
    };
    wait.row = row;
    drop(wait);
    if row.is_some() {
        caller.delete_ended_waits().await;
    }
}

/// A call that waits: its row, its signals and its progress. Dropping it ends the wait.
struct WaitingCall<'a, C: AsyncCaller> {
    caller: &'a C,
    row: Option<WaitId>,
    doorbell_signals: watch::Receiver<u64>,
    progress: ProgressSchedule,
}

impl<'a, C: AsyncCaller> WaitingCall<'a, C> {
    fn begin(caller: &'a C, row: WaitId) -> Self {
        caller.wait_began();
        Self {
            row: Some(row),
            doorbell_signals: caller.doorbell_signals(),
            progress: ProgressSchedule::default(),
            caller,
        }
    }

    /// Sends progress and pauses until the next step.
    async fn pause(&mut self, operation: &mut Operation, until_monotonic_ms: i64) {
        let caller = self.caller;
        let pause = if caller.wants_progress() {
            let report = operation.progress(&caller.now());
            // A caller that is gone reads no notification.
            tokio::select! {
                pause = self.progress.send_if_due(caller, report) => pause,
                _ = caller.stopped() => Duration::ZERO,
            }
        } else {
            PROGRESS_INTERVAL
        };
        let remaining_ms = until_monotonic_ms - caller.now().monotonic_ms;
        let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0));
        let pause = pause.min(caller.poll_interval()).min(remaining);
        tokio::select! {
            changed = self.doorbell_signals.changed() => if changed.is_err() {
                tokio::time::sleep(pause).await;
            },
            () = tokio::time::sleep(pause) => {}
            reason = caller.stopped() => operation.stop(reason),
        }
    }
}

impl<C: AsyncCaller> Drop for WaitingCall<'_, C> {
    fn drop(&mut self) {
        self.caller.wait_ended(self.row);
    }
}

/// When the progress of one call is sent: at once, at every change, and every ten seconds.
#[derive(Default)]
struct ProgressSchedule {
    last_facts: Option<String>,
    last_report_monotonic_ms: i64,
    reports_sent: u32,
}

impl ProgressSchedule {
    /// Sends a report if its facts are new or it is due. Returns how long until the next is due.
    async fn send_if_due<C: AsyncCaller>(
        &mut self,
        caller: &C,
        report: Option<ProgressReport>,
    ) -> Duration {
        let Some(ProgressReport { facts, message }) = report else {
            return PROGRESS_INTERVAL;
        };
        let now_ms = caller.now().monotonic_ms;
        let interval_ms = i64::try_from(PROGRESS_INTERVAL.as_millis()).unwrap_or(i64::MAX);
        let facts = Some(facts);
        if facts != self.last_facts || now_ms - self.last_report_monotonic_ms >= interval_ms {
            self.reports_sent += 1;
            caller.send_progress(self.reports_sent, message).await;
            (self.last_facts, self.last_report_monotonic_ms) = (facts, now_ms);
        }
        let due_in_ms = self.last_report_monotonic_ms + interval_ms - now_ms;
        Duration::from_millis(u64::try_from(due_in_ms.max(1)).unwrap_or(1))
    }
}
