//! Waiting for answers: looks, waits for the bell, tells how far the questions came, and ends in one of few ways.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;

use crate::mcp::blocking_wait::{BlockingWait, PauseEnd, Progress};
use crate::mcp::session_state::Shared;
use crate::mesh::{Interruption, QuestionStatus, Wait};
use crate::model::{Activity, DeliveryStatus, PeerName, QuestionState, Result, WakeState};
use crate::platform::id::QuestionId;

/// How a blocking call ended.
pub(super) enum AwaitOutcome {
    /// Everything awaited has its end.
    Done,
    /// The time is over.
    TimedOut,
    /// Nobody who can be asked is left among those awaited.
    NoneReachable,
    /// A question for this session came.
    Interrupted(Interruption),
    /// The client cancelled the call.
    Cancelled,
}

/// What a blocking call waits for.
pub(super) struct WaitRequest<'a> {
    pub(super) wait: Wait,
    pub(super) max_wait: Duration,
    /// Questions this very call has created: it may take them back.
    pub(super) created: &'a [QuestionId],
    /// Return when nobody who can be asked is left.
    pub(super) return_if_none_reachable: bool,
}

/// Waits. Whatever happens, the wait has its end.
pub(super) async fn wait(
    shared: &Shared,
    client: &str,
    context: &RequestContext<RoleServer>,
    waiting: WaitRequest<'_>,
) -> Result<(AwaitOutcome, Vec<QuestionStatus>)> {
    let wait = waiting.wait.id;
    let outcome = poll_until_answered(shared, client, context, waiting).await;
    if outcome.is_err() {
        shared.cancel_wait(client, wait).await;
    }
    outcome
}

/// Subscribe, look, wait, look again.
async fn poll_until_answered(
    shared: &Shared,
    client: &str,
    context: &RequestContext<RoleServer>,
    waiting: WaitRequest<'_>,
) -> Result<(AwaitOutcome, Vec<QuestionStatus>)> {
    let WaitRequest {
        wait,
        max_wait,
        created,
        return_if_none_reachable,
    } = waiting;
    let mut blocking_wait = BlockingWait::begin(shared, context, max_wait);
    let mut progress = Progress::new(context);
    let mut first = true;
    loop {
        blocking_wait.mark_signals_seen();
        let poll = shared
            .in_same_session(client, |at| at.mesh.poll(&at.me, &wait, first))
            .await?;
        first = false;
        if let Some(reason) = &poll.interrupts
            && let Some(interruption) = shared
                .in_same_session(client, |at| at.mesh.interrupt(&at.me, wait.id, reason))
                .await?
        {
            return Ok((
                AwaitOutcome::Interrupted(interruption),
                poll.question_statuses,
            ));
        }
        let timed_out = blocking_wait.has_timed_out();
        let open = |question_status: &&QuestionStatus| {
            question_status.question.state == QuestionState::Open
        };
        let none_reachable = return_if_none_reachable
            && poll
                .question_statuses
                .iter()
                .filter(open)
                .all(|question_status| !question_status.askable || question_status.held.is_some());
        if poll.done || timed_out || none_reachable {
            let finished = shared
                .in_same_session(client, |at| {
                    at.mesh.finish_wait(&at.me, &wait, &poll, created)
                })
                .await;
            let poll = match finished {
                Ok(poll) => poll,
                // An answer that is here is not kept back because it could not be marked as taken.
                Err(_) if poll.done => {
                    shared.cancel_wait(client, wait.id).await;
                    poll
                }
                Err(error) => return Err(error),
            };
            let ended = match (poll.done, none_reachable) {
                (true, _) => AwaitOutcome::Done,
                (false, true) => AwaitOutcome::NoneReachable,
                (false, false) => AwaitOutcome::TimedOut,
            };
            return Ok((ended, poll.question_statuses));
        }
        let now = shared.now();
        let open = poll.question_statuses.iter().filter(open);
        // Spans grow all the time; only the facts behind them are a change.
        let facts: Vec<ProgressFacts> = open.clone().map(ProgressFacts::of).collect();
        let message = || {
            let lines: Vec<String> = open
                .map(|question_status| {
                    question_status
                        .delivery
                        .line(question_status.peer.as_str(), now.wall_ms)
                })
                .collect();
            lines.join("; ")
        };
        let (ended, to_withdraw) = match blocking_wait
            .pause(progress.report(facts, message, now.monotonic_ms))
            .await
        {
            PauseEnd::PollAgain => continue,
            PauseEnd::ClientGone => (AwaitOutcome::TimedOut, [].as_slice()),
            PauseEnd::Cancelled => (AwaitOutcome::Cancelled, created),
        };
        shared
            .in_same_session(client, |at| {
                at.mesh.abandon_wait(&at.me, &wait, to_withdraw)
            })
            .await?;
        return Ok((ended, poll.question_statuses));
    }
}

/// What makes a notice new.
#[derive(Debug, PartialEq, Eq)]
struct ProgressFacts(PeerName, WakeState, u32, Activity);

impl ProgressFacts {
    fn of(question_status: &QuestionStatus) -> Self {
        let DeliveryStatus {
            wake,
            shown_times,
            peer_activity,
            ..
        } = &question_status.delivery;
        Self(
            question_status.peer.clone(),
            *wake,
            *shown_times,
            *peer_activity,
        )
    }
}
