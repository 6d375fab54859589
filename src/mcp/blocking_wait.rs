//! One blocking call: its bell, its clock, its notices; and the wait for anything that one look can find.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use super::tools::Call;
use crate::mcp::session_state::{Shared, VerbContext, WaitingCallGuard};
use crate::mesh::Interruption;
use crate::model::Result;
use crate::platform::id::WaitId;

/// A call that waits says so at least this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// What a look found of something that is waited for.
pub(super) enum PollOutcome<T> {
    /// It is there.
    Ready(T),
    /// It is not; this is said about it meanwhile.
    Pending(String),
    /// It is not, and may be after so long, though nobody rings then.
    PendingUntil(String, Duration),
}

/// How a wait for something else than answers ended.
pub(super) enum WaitOutcome<T> {
    /// It came.
    Ready(T),
    /// The time is over.
    TimedOut,
    /// A question for this session came.
    Interrupted(Interruption),
    /// The client cancelled the call.
    Cancelled,
}

/// Waits until `look` finds what it looks for. A question for the session interrupts it, as any wait. Whatever happens, the
/// wait has its end.
pub(super) async fn wait_for<T>(
    call: &Call<'_>,
    wait: WaitId,
    max_wait: Duration,
    poll: impl FnMut(VerbContext<'_>) -> Result<PollOutcome<T>>,
) -> Result<WaitOutcome<T>> {
    let outcome = poll_until_ready(call, wait, max_wait, poll).await;
    if !matches!(outcome, Ok(WaitOutcome::Interrupted(_))) {
        call.shared.cancel_wait(&call.client, wait).await;
    }
    outcome
}

async fn poll_until_ready<T>(
    call: &Call<'_>,
    wait: WaitId,
    max_wait: Duration,
    mut poll: impl FnMut(VerbContext<'_>) -> Result<PollOutcome<T>>,
) -> Result<WaitOutcome<T>> {
    let Call {
        shared,
        client,
        context,
    } = call;
    let mut blocking_wait = BlockingWait::begin(shared, context, max_wait);
    let mut progress = Progress::new(context);
    loop {
        blocking_wait.mark_signals_seen();
        let (message, poll_after) = match shared.in_same_session(client, &mut poll).await? {
            PollOutcome::Ready(found) => return Ok(WaitOutcome::Ready(found)),
            PollOutcome::Pending(message) => (message, None),
            PollOutcome::PendingUntil(message, poll_after) => (message, Some(poll_after)),
        };
        if let Some(interruption) = shared
            .in_same_session(client, |at| at.mesh.interrupt_if_asked(&at.me, wait))
            .await?
        {
            return Ok(WaitOutcome::Interrupted(interruption));
        }
        if blocking_wait.has_timed_out() {
            return Ok(WaitOutcome::TimedOut);
        }
        let notice = progress.report(message.clone(), || message, shared.now().monotonic_ms);
        let notice = async { notice.await.min(poll_after.unwrap_or(Duration::MAX)) };
        match blocking_wait.pause(notice).await {
            PauseEnd::PollAgain => {}
            PauseEnd::ClientGone => return Ok(WaitOutcome::TimedOut),
            PauseEnd::Cancelled => return Ok(WaitOutcome::Cancelled),
        }
    }
}

/// The bell and the clock of one blocking call.
pub(super) struct BlockingWait<'a> {
    shared: &'a Shared,
    context: &'a RequestContext<RoleServer>,
    doorbell_signals: watch::Receiver<u64>,
    stdin_closed: watch::Receiver<bool>,
    deadline_monotonic_ms: i64,
    _waiting_call: WaitingCallGuard<'a>,
}

/// What ended a pause between two looks.
pub(super) enum PauseEnd {
    /// The bell, or the time to look without one.
    PollAgain,
    /// Nobody reads the result any more; waiting on would only delay the end.
    ClientGone,
    /// The client cancelled the call.
    Cancelled,
}

impl<'a> BlockingWait<'a> {
    pub(super) fn begin(
        shared: &'a Shared,
        context: &'a RequestContext<RoleServer>,
        max_wait: Duration,
    ) -> Self {
        let max_wait_ms = i64::try_from(max_wait.as_millis()).unwrap_or(i64::MAX / 2);
        Self {
            shared,
            context,
            doorbell_signals: shared.doorbell_signals(),
            stdin_closed: shared.stdin_closed().subscribe(),
            deadline_monotonic_ms: shared.now().monotonic_ms + max_wait_ms,
            _waiting_call: shared.count_waiting_call(),
        }
    }

    /// From now on a ring ends the next pause.
    pub(super) fn mark_signals_seen(&mut self) {
        self.doorbell_signals.borrow_and_update();
    }

    fn remaining(&self) -> Duration {
        let remaining_ms = self.deadline_monotonic_ms - self.shared.now().monotonic_ms;
        Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0))
    }

    pub(super) fn has_timed_out(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Sends a notice, which says when the next is due, and waits.
    pub(super) async fn pause(&mut self, notice: impl Future<Output = Duration>) -> PauseEnd {
        // After the end of stdin a notice is never taken from us.
        let pause = tokio::select! {
            pause = notice => pause,
            () = closed(&mut self.stdin_closed) => Duration::ZERO,
        };
        let pause = pause.min(self.shared.poll_interval()).min(self.remaining());
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

/// The notices of one call: at once, at every change, and every ten seconds.
pub(super) struct Progress<'a, F> {
    context: &'a RequestContext<RoleServer>,
    token: Option<rmcp::model::ProgressToken>,
    last_facts: Option<F>,
    last_report_monotonic_ms: i64,
    reports_sent: f64,
}

impl<'a, F: PartialEq> Progress<'a, F> {
    pub(super) fn new(context: &'a RequestContext<RoleServer>) -> Self {
        Self {
            token: context.meta.get_progress_token(),
            context,
            last_facts: None,
            last_report_monotonic_ms: 0,
            reports_sent: 0.0,
        }
    }

    /// Says how it stands, if the facts are new or it is due by the monotonic clock. Returns how long until it is due again.
    pub(super) async fn report(
        &mut self,
        facts: F,
        message: impl FnOnce() -> String,
        now_monotonic_ms: i64,
    ) -> Duration {
        let Some(token) = &self.token else {
            return PROGRESS_INTERVAL;
        };
        let interval_ms = i64::try_from(PROGRESS_INTERVAL.as_millis()).unwrap_or(i64::MAX);
        let facts = Some(facts);
        if facts != self.last_facts
            || now_monotonic_ms - self.last_report_monotonic_ms >= interval_ms
        {
            self.reports_sent += 1.0;
            let notice = ProgressNotificationParam::new(token.clone(), self.reports_sent)
                .with_message(message());
            let _ = self.context.peer.notify_progress(notice).await;
            (self.last_facts, self.last_report_monotonic_ms) = (facts, now_monotonic_ms);
        }
        Duration::from_millis(
            u64::try_from((self.last_report_monotonic_ms + interval_ms - now_monotonic_ms).max(1))
                .unwrap_or(1),
        )
    }
}
