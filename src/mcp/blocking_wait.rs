//! The asynchronous driver of blocking waits: steps a wait, pauses until the doorbell or the next poll, and sends progress.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use super::tools::Call;
use crate::mcp::session_state::Shared;
use crate::mesh::{BlockingWait, StopReason, WaitCondition, WaitOutcome, WaitStep};
use crate::model::Result;
use crate::platform::Moment;
use crate::platform::id::WaitId;

/// A waiting call sends progress at least this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// What a waiting call reports while it waits.
pub(super) struct ProgressReport {
    /// A report with other facts is sent at once; one with the same facts when the next is due.
    pub(super) facts: String,
    pub(super) message: String,
}

/// Waits until the wait has ended. Its row in the store is deleted in any case.
pub(super) async fn drive<C: WaitCondition>(
    call: &Call<'_>,
    wait: &mut BlockingWait<C>,
    report: impl Fn(&C, &Moment) -> ProgressReport,
) -> Result<WaitOutcome<C::Output>> {
    let mut row = RowGuard {
        shared: call.shared,
        row: wait.row(),
    };
    let outcome = poll_until_ended(call, wait, report)
        .await
        .or_else(|error| wait.recover(error));
    row.row = wait.row();
    let must_be_deleted = row.row.is_some();
    drop(row);
    if must_be_deleted {
        call.shared.end_waits(&call.client).await;
    }
    outcome
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

async fn poll_until_ended<C: WaitCondition>(
    call: &Call<'_>,
    wait: &mut BlockingWait<C>,
    report: impl Fn(&C, &Moment) -> ProgressReport,
) -> Result<WaitOutcome<C::Output>> {
    let Call {
        shared,
        client,
        context,
    } = call;
    let _waiting_call = shared.count_waiting_call();
    let mut pauses = Pauses {
        shared,
        context,
        doorbell_signals: shared.doorbell_signals(),
        stdin_closed: shared.stdin_closed().subscribe(),
    };
    let mut progress = Progress::new(context);
    loop {
        pauses.doorbell_signals.borrow_and_update();
        let step = shared
            .in_same_session(client, |at| wait.step(at.mesh, &at.me))
            .await?;
        let poll_at_monotonic_ms = match step {
            WaitStep::Ended(outcome) => return Ok(outcome),
            WaitStep::PendingUntil { monotonic_ms } => monotonic_ms,
        };
        let notice = progress.send_if_due(shared.now(), |now| report(wait.condition(), now));
        let reason = match pauses.pause(notice, poll_at_monotonic_ms).await {
            PauseEnd::PollAgain => continue,
            PauseEnd::ClientGone => StopReason::CallerGone,
            PauseEnd::Cancelled => StopReason::Cancelled,
        };
        return shared
            .in_same_session(client, |at| wait.stop(at.mesh, &at.me, reason))
            .await;
    }
}

/// What can end a pause of one call between two polls.
struct Pauses<'a> {
    shared: &'a Shared,
    context: &'a RequestContext<RoleServer>,
    doorbell_signals: watch::Receiver<u64>,
    stdin_closed: watch::Receiver<bool>,
}

/// What ended a pause between two polls.
enum PauseEnd {
    /// The doorbell rang, or it is time to poll without it.
    PollAgain,
    /// The client has closed stdin: nobody reads the result.
    ClientGone,
    /// The client cancelled the call.
    Cancelled,
}

impl Pauses<'_> {
    /// Sends progress, which returns when the next is due, and pauses.
    async fn pause(
        &mut self,
        progress: impl Future<Output = Duration>,
        poll_at_monotonic_ms: i64,
    ) -> PauseEnd {
        // After the end of stdin nobody takes a notification.
        let pause = tokio::select! {
            pause = progress => pause,
            () = closed(&mut self.stdin_closed) => Duration::ZERO,
        };
        let poll_after_ms = poll_at_monotonic_ms - self.shared.now().monotonic_ms;
        let poll_after = Duration::from_millis(u64::try_from(poll_after_ms).unwrap_or(0));
        let pause = pause.min(self.shared.poll_interval()).min(poll_after);
        tokio::select! {
            changed = self.doorbell_signals.changed() => {
                if changed.is_err() {
                    tokio::time::sleep(pause).await;
                }
                PauseEnd::PollAgain
            }
            () = tokio::time::sleep(pause) => PauseEnd::PollAgain,
            () = closed(&mut self.stdin_closed) => PauseEnd::ClientGone,
            () = self.context.ct.cancelled() => PauseEnd::Cancelled,
        }
    }
}

async fn closed(stdin: &mut watch::Receiver<bool>) {
    let _ = stdin.wait_for(|closed| *closed).await;
}

/// The progress notifications of one call: at once, at every change, and every ten seconds.
struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<rmcp::model::ProgressToken>,
    last_facts: Option<String>,
    last_report_monotonic_ms: i64,
    reports_sent: f64,
}

impl<'a> Progress<'a> {
    fn new(context: &'a RequestContext<RoleServer>) -> Self {
        Self {
            token: context.meta.get_progress_token(),
            context,
            last_facts: None,
            last_report_monotonic_ms: 0,
            reports_sent: 0.0,
        }
    }

    /// Sends a notification if the facts are new or it is due. Returns how long until the next is due.
    async fn send_if_due(
        &mut self,
        now: Moment,
        report: impl FnOnce(&Moment) -> ProgressReport,
    ) -> Duration {
        let Some(token) = &self.token else {
            return PROGRESS_INTERVAL;
        };
        let interval_ms = i64::try_from(PROGRESS_INTERVAL.as_millis()).unwrap_or(i64::MAX);
        let ProgressReport { facts, message } = report(&now);
        let facts = Some(facts);
        if facts != self.last_facts
            || now.monotonic_ms - self.last_report_monotonic_ms >= interval_ms
        {
            self.reports_sent += 1.0;
            let notification = ProgressNotificationParam::new(token.clone(), self.reports_sent)
                .with_message(message);
            let _ = self.context.peer.notify_progress(notification).await;
            (self.last_facts, self.last_report_monotonic_ms) = (facts, now.monotonic_ms);
        }
        let due_in_ms = self.last_report_monotonic_ms + interval_ms - now.monotonic_ms;
        Duration::from_millis(u64::try_from(due_in_ms.max(1)).unwrap_or(1))
    }
}
