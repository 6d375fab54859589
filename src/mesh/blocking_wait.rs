//! The blocking wait: polls the mesh until something has come, for every call that waits.
//!
//! A driver subscribes to the doorbell of its session, then calls [`BlockingWait::step`], then pauses until the doorbell
//! is written or the time of the next poll has come. Because it subscribes before it reads, nothing that is committed in
//! between is missed. [`ThreadDriver`] drives a wait on a thread; the MCP server has a driver for its async runtime.
//! What is waited for is a [`WaitCondition`]; the row of a wait in the store is a [`Wait`].
use std::time::Duration;

use crate::mesh::{Inbox, Interruption, Mesh, QuestionStatus, SessionHandle, Wait, WaitPoll};
use crate::model::{Error, QuestionState, Result, WakeState};
use crate::platform::id::{QuestionId, WaitId};
use crate::wake::WakeSignal;

/// How a blocking wait ended.
#[derive(Debug)]
pub enum WaitOutcome<T> {
    /// It has come.
    Done(T),
    /// The timeout has passed, or the caller stopped waiting.
    Expired,
    /// A question for the waiting session came; answer it first.
    Interrupted(Interruption),
    /// The client cancelled the call.
    Cancelled,
}

/// What one poll of a condition found.
#[derive(Debug)]
pub enum PollResult<T> {
    /// It has come.
    Done(T),
    /// A question for the waiting session came, and its delivery is recorded.
    Interrupted(Interruption),
    /// It has not come.
    Pending {
        /// It may come after this time although no doorbell is written then.
        poll_after_ms: Option<i64>,
    },
}

impl<T> From<Option<T>> for PollResult<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(
            Self::Pending {
                poll_after_ms: None,
            },
            Self::Done,
        )
    }
}

/// Why a wait ends without what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The timeout has passed, or the caller stopped waiting; the caller reads the result.
    Expired,
    /// The client cancelled the call; nobody reads the result.
    Cancelled,
    /// The client has closed the connection; nobody reads the result.
    CallerGone,
}

/// Something that a session can wait for.
pub trait WaitCondition {
    /// What the wait returns when it has come.
    type Output;

    /// Reads once.
    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<Self::Output>>;

    /// Ends the wait early. Returns what has come since the last poll, if the caller is to have it.
    fn stop(
        &mut self,
        _mesh: &mut Mesh,
        _me: &SessionHandle,
        _reason: StopReason,
    ) -> Result<Option<Self::Output>> {
        Ok(None)
    }

    /// Returns what has come although a poll or the end of the wait failed; otherwise the error.
    fn recover(&mut self, error: Error) -> Result<Self::Output> {
        Err(error)
    }

    /// Returns the wait's row in the store while it exists. The driver deletes it when the wait has ended.
    fn row(&self) -> Option<WaitId>;
}

/// A blocking wait for one condition, with its deadline.
#[derive(Debug)]
pub struct BlockingWait<C> {
    condition: C,
    deadline_monotonic_ms: i64,
}

/// What a step of a blocking wait came to.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug)]
pub enum WaitStep<T> {
    Ended(WaitOutcome<T>),
    /// Step again when the doorbell is written, or at this time at the latest.
    PendingUntil {
        /// By the monotonic clock of the mesh.
        monotonic_ms: i64,
    },
}

impl<C: WaitCondition> BlockingWait<C> {
    /// Begins to wait at `now_monotonic_ms`, for at most `timeout`.
    pub fn new(condition: C, now_monotonic_ms: i64, timeout: Duration) -> Self {
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        Self {
            condition,
            deadline_monotonic_ms: now_monotonic_ms.saturating_add(timeout_ms),
        }
    }

    /// Returns until when it waits, by the monotonic clock of the mesh.
    pub fn deadline(&self) -> i64 {
        self.deadline_monotonic_ms
    }

    /// Returns what is waited for.
    pub fn condition(&self) -> &C {
        &self.condition
    }

    /// Returns what was waited for, with what its last poll has left in it.
    pub fn into_condition(self) -> C {
        self.condition
    }

    /// Polls the condition and ends the wait if its time is up.
    pub fn step(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<WaitStep<C::Output>> {
        let poll_after_ms = match self.condition.poll(mesh, me)? {
            PollResult::Done(found) => return Ok(WaitStep::Ended(WaitOutcome::Done(found))),
            PollResult::Interrupted(interruption) => {
                return Ok(WaitStep::Ended(WaitOutcome::Interrupted(interruption)));
            }
            PollResult::Pending { poll_after_ms } => poll_after_ms,
        };
        let now_monotonic_ms = mesh.now().monotonic_ms;
        if now_monotonic_ms >= self.deadline_monotonic_ms {
            return Ok(WaitStep::Ended(self.stop(mesh, me, StopReason::Expired)?));
        }
        let poll_at_monotonic_ms =
            poll_after_ms.map_or(i64::MAX, |ms| now_monotonic_ms.saturating_add(ms));
        Ok(WaitStep::PendingUntil {
            monotonic_ms: poll_at_monotonic_ms.min(self.deadline_monotonic_ms),
        })
    }

    /// Ends the wait before its time is up.
    pub fn stop(
        &mut self,
        mesh: &mut Mesh,
        me: &SessionHandle,
        reason: StopReason,
    ) -> Result<WaitOutcome<C::Output>> {
        let found = self.condition.stop(mesh, me, reason)?;
        Ok(match (found, reason) {
            (Some(found), _) => WaitOutcome::Done(found),
            (None, StopReason::Cancelled) => WaitOutcome::Cancelled,
            (None, StopReason::Expired | StopReason::CallerGone) => WaitOutcome::Expired,
        })
    }

    /// Ends the wait after a step or the stop failed.
    pub fn recover(&mut self, error: Error) -> Result<WaitOutcome<C::Output>> {
        Ok(WaitOutcome::Done(self.condition.recover(error)?))
    }

    /// Returns the wait's row in the store while it exists.
    pub fn row(&self) -> Option<WaitId> {
        self.condition.row()
    }
}

/// Drives blocking waits of one session on the thread that calls it.
#[expect(missing_docs, reason = "the other field names say it")]
pub struct ThreadDriver<'a> {
    /// Where the session is registered.
    pub mesh: &'a mut Mesh,
    pub me: &'a SessionHandle,
    /// Raised by the doorbell of the session.
    pub signal: &'a WakeSignal,
    /// How often to poll while no doorbell is written; `None` polls only when the wait asks for it.
    pub poll_interval: Option<Duration>,
}

impl ThreadDriver<'_> {
    /// Waits until the wait has ended. `keep_waiting` is called after every poll that found nothing; `false` stops the
    /// wait. The wait's row is deleted in any case.
    pub fn run<C: WaitCondition>(
        &mut self,
        wait: &mut BlockingWait<C>,
        keep_waiting: impl FnMut(&C) -> bool,
    ) -> Result<WaitOutcome<C::Output>> {
        let outcome = self
            .poll_until_ended(wait, keep_waiting)
            .or_else(|error| wait.recover(error));
        if let Some(row) = wait.row() {
            let _ = self.mesh.cancel_wait(row);
        }
        outcome
    }

    fn poll_until_ended<C: WaitCondition>(
        &mut self,
        wait: &mut BlockingWait<C>,
        mut keep_waiting: impl FnMut(&C) -> bool,
    ) -> Result<WaitOutcome<C::Output>> {
        loop {
            let signals_seen = self.signal.count();
            let poll_at_monotonic_ms = match wait.step(self.mesh, self.me)? {
                WaitStep::Ended(outcome) => return Ok(outcome),
                WaitStep::PendingUntil { monotonic_ms } => monotonic_ms,
            };
            if !keep_waiting(wait.condition()) {
                return wait.stop(self.mesh, self.me, StopReason::Expired);
            }
            let pause_ms = poll_at_monotonic_ms - self.mesh.now().monotonic_ms;
            let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0));
            let pause = self
                .poll_interval
                .map_or(pause, |interval| interval.min(pause));
            self.signal.wait_until_raised(signals_seen, pause);
        }
    }
}

/// How a wait for replies ended before its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyWaitEnd {
    /// Everything awaited has its end.
    Complete,
    /// Nobody who can be asked is left among those awaited.
    NoneReachable,
}

/// The wait for replies to questions.
#[derive(Debug)]
pub struct ReplyWait {
    wait: Wait,
    created: Vec<QuestionId>,
    return_if_none_reachable: bool,
    last_poll: Option<WaitPoll>,
    row_exists: bool,
}

impl ReplyWait {
    /// Waits until each question of `wait` has its end, or with `any` until the first reply.
    pub fn new(wait: Wait) -> Self {
        Self {
            wait,
            created: Vec::new(),
            return_if_none_reachable: false,
            last_poll: None,
            row_exists: true,
        }
    }

    /// Withdraws those of these questions that nobody saw, if the client cancels the call or `any` has its reply.
    #[must_use]
    pub fn withdrawing(mut self, created: Vec<QuestionId>) -> Self {
        self.created = created;
        self
    }

    /// Ends the wait when nobody who can be asked is left.
    #[must_use]
    pub fn while_reachable(mut self, return_if_none_reachable: bool) -> Self {
        self.return_if_none_reachable = return_if_none_reachable;
        self
    }

    /// Returns the awaited questions as the last poll found them.
    pub fn question_statuses(&self) -> &[QuestionStatus] {
        self.last_poll
            .as_ref()
            .map_or(&[], |poll| &poll.question_statuses)
    }

    /// Returns the awaited questions as the last poll found them.
    pub fn into_question_statuses(self) -> Vec<QuestionStatus> {
        self.last_poll
            .map_or_else(Vec::new, |poll| poll.question_statuses)
    }

    /// Deletes the row and takes the replies. Returns whether the wait is complete after all.
    fn finish(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<bool> {
        let Some(seen) = &self.last_poll else {
            return Ok(false);
        };
        let finished = mesh.finish_wait(me, &self.wait, seen, &self.created)?;
        let complete = finished.done;
        (self.last_poll, self.row_exists) = (Some(finished), false);
        Ok(complete)
    }
}

impl WaitCondition for ReplyWait {
    type Output = ReplyWaitEnd;

    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<ReplyWaitEnd>> {
        let first = self.last_poll.is_none();
        let poll = mesh.poll(me, &self.wait, first)?;
        if let Some(reason) = &poll.interrupts
            && let Some(interruption) = mesh.interrupt(me, self.wait.id, reason)?
        {
            (self.last_poll, self.row_exists) = (Some(poll), false);
            return Ok(PollResult::Interrupted(interruption));
        }
        let none_reachable = self.return_if_none_reachable
            && poll
                .question_statuses
                .iter()
                .filter(|status| status.question.state == QuestionState::Open)
                .all(|status| !status.askable || status.held.is_some());
        let ended = poll.done || none_reachable;
        self.last_poll = Some(poll);
        if !ended {
            return Ok(None.into());
        }
        Ok(PollResult::Done(if self.finish(mesh, me)? {
            ReplyWaitEnd::Complete
        } else {
            ReplyWaitEnd::NoneReachable
        }))
    }

    fn stop(
        &mut self,
        mesh: &mut Mesh,
        me: &SessionHandle,
        reason: StopReason,
    ) -> Result<Option<ReplyWaitEnd>> {
        let withdrawn = match reason {
            StopReason::Expired => {
                return Ok(self.finish(mesh, me)?.then_some(ReplyWaitEnd::Complete));
            }
            StopReason::Cancelled => self.created.as_slice(),
            StopReason::CallerGone => &[],
        };
        mesh.abandon_wait(me, &self.wait, withdrawn)?;
        self.row_exists = false;
        Ok(None)
    }

    /// An answer that has come is returned although it could not be marked as taken.
    fn recover(&mut self, error: Error) -> Result<ReplyWaitEnd> {
        match &self.last_poll {
            Some(poll) if poll.done && self.row_exists => Ok(ReplyWaitEnd::Complete),
            _ => Err(error),
        }
    }

    fn row(&self) -> Option<WaitId> {
        self.row_exists.then_some(self.wait.id)
    }
}

/// A query that is repeated until it finds something. A closure is one too.
pub trait WaitQuery {
    /// What it finds.
    type Output;

    /// Reads once.
    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<Self::Output>>;
}

impl<T, F> WaitQuery for F
where
    F: FnMut(&mut Mesh, &SessionHandle) -> Result<PollResult<T>>,
{
    type Output = T;

    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<T>> {
        self(mesh, me)
    }
}

/// The wait for anything else than replies, by a query; a question for the session interrupts it.
#[derive(Debug)]
pub struct QueryWait<Q> {
    id: WaitId,
    query: Q,
    row_exists: bool,
}

impl<Q> QueryWait<Q> {
    /// Waits in the row `id` until `query` finds something.
    pub fn new(id: WaitId, query: Q) -> Self {
        Self {
            id,
            query,
            row_exists: true,
        }
    }

    /// Returns the query, with what its last poll has left in it.
    pub fn query(&self) -> &Q {
        &self.query
    }
}

impl<Q: WaitQuery> WaitCondition for QueryWait<Q> {
    type Output = Q::Output;

    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<Q::Output>> {
        let pending = match self.query.poll(mesh, me)? {
            pending @ PollResult::Pending { .. } => pending,
            found => return Ok(found),
        };
        let Some(interruption) = mesh.interrupt_if_asked(me, self.id)? else {
            return Ok(pending);
        };
        self.row_exists = false;
        Ok(PollResult::Interrupted(interruption))
    }

    fn row(&self) -> Option<WaitId> {
        self.row_exists.then_some(self.id)
    }
}

/// The wait for questions: ends with what is pending for the session, marked as delivered; empty if the time is up.
#[derive(Debug)]
pub(in crate::mesh) struct InboxWait;

impl WaitCondition for InboxWait {
    type Output = Inbox;

    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<Inbox>> {
        let inbox = mesh.inbox(me)?;
        if inbox.is_empty() {
            return Ok(None.into());
        }
        mesh.mark_delivered(me, &inbox, None, WakeState::Call)?;
        Ok(PollResult::Done(inbox))
    }

    fn stop(&mut self, _: &mut Mesh, _: &SessionHandle, _: StopReason) -> Result<Option<Inbox>> {
        Ok(Some(Inbox::default()))
    }

    fn row(&self) -> Option<WaitId> {
        None
    }
}
