//! Someone who sits in the mesh and can wait: for programs that use the library alone, and for the person at the command line.
use std::sync::Arc;
use std::time::Duration;

use super::{
    AskOutcome, AskedQuestion, IfOffline, Inbox, Interruption, JoinRequest, Mesh, QuestionStatus,
    Reply, ReplyOutcome, SessionHandle, Wait, WaitPoll,
};
use crate::model::peer::Address;
use crate::model::{Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::platform::lock;
use crate::platform::lock::LockGuard;
use crate::wake::{WakeListener, WakeSignal};

/// A seat with its doorbell. Leaves when dropped.
pub struct Member {
    mesh: Mesh,
    handle: SessionHandle,
    signal: Arc<WakeSignal>,
    listener: Box<dyn WakeListener>,
    lock: Option<LockGuard>,
}

/// How a wait of a member ended.
#[derive(Debug)]
pub enum ReplyWaitOutcome {
    /// Everything awaited has its end.
    Done(Vec<QuestionStatus>),
    /// The time is over, or the caller stopped it; the questions stay open.
    Stopped(Vec<QuestionStatus>),
    /// A question for this member came; answer first.
    Interrupted(Interruption),
}

/// How a member's wait for something else than answers ended.
#[derive(Debug)]
pub enum PollOutcome<T> {
    /// It came.
    Found(T),
    /// The time is over, or the caller stopped it.
    Stopped,
    /// A question for this member came; answer first.
    Interrupted(Interruption),
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("sitting", &self.handle)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// Sits down and hangs up a doorbell. From now on others can ask this member.
    pub fn join(self, request: &JoinRequest) -> Result<Member> {
        self.join_with(request, false)
    }

    /// Sits down; with `polling` it looks every 50 ms while it waits instead of watching a folder.
    pub fn join_with(mut self, request: &JoinRequest, polling: bool) -> Result<Member> {
        let handle = self.register(request)?;
        self.member(handle, polling, true)
    }

    /// Speaks as a session that sits already and whose own server holds its lock.
    pub fn act_as(self, handle: SessionHandle, polling: bool) -> Result<Member> {
        self.member(handle, polling, false)
    }

    fn member(self, handle: SessionHandle, polling: bool, acquire: bool) -> Result<Member> {
        let signal = Arc::new(WakeSignal::default());
        let waker = Arc::clone(&signal);
        let listener = self
            .doorbells()
            .listen(handle.session, polling, move || waker.raise())?;
        let lock = if acquire {
            lock::acquire(&self.doorbells().lock_path(handle.session))?
        } else {
            None
        };
        Ok(Member {
            mesh: self,
            handle,
            signal,
            listener,
            lock,
        })
    }
}

impl Member {
    /// Returns the seat.
    pub fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// Returns the mesh, for its other verbs.
    pub fn mesh(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    /// Returns the bell, for a thread that wants to stop a wait.
    pub fn signal(&self) -> Arc<WakeSignal> {
        Arc::clone(&self.signal)
    }

    /// Asks one peer. Use [`Member::wait`] with what comes back.
    pub fn ask(
        &mut self,
        to: &Address,
        question: &str,
        context: Option<&str>,
    ) -> Result<(AskedQuestion, Option<Wait>)> {
        let AskOutcome { mut asked, wait } = self.mesh.ask(
            &self.handle,
            std::slice::from_ref(to),
            question,
            context,
            IfOffline::Queue,
        )?;
        let asked = asked
            .pop()
            .ok_or_else(|| Refusal::argument("nobody was asked"))?;
        let wait = wait.map(|id| Wait {
            id,
            questions: vec![asked.question],
            any: false,
        });
        Ok((asked, wait))
    }

    /// Waits until the questions of `wait` have their end, `timeout` is over, a question for this member comes, or
    /// `keep_waiting`, called after every look, returns false.
    pub fn wait(
        &mut self,
        wait: &Wait,
        timeout: Duration,
        mut keep_waiting: impl FnMut(&[QuestionStatus]) -> bool,
    ) -> Result<ReplyWaitOutcome> {
        let outcome = self.wait_for_answers(wait, timeout, &mut keep_waiting);
        if outcome.is_err() {
            let _ = self.mesh.cancel_wait(wait.id);
        }
        outcome
    }

    fn wait_for_answers(
        &mut self,
        wait: &Wait,
        timeout: Duration,
        keep_waiting: &mut dyn FnMut(&[QuestionStatus]) -> bool,
    ) -> Result<ReplyWaitOutcome> {
        let deadline_monotonic_ms = self.mesh.now().monotonic_ms
            + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        let mut first = true;
        loop {
            let signal_count = self.signal.count();
            let poll = self.mesh.poll(&self.handle, wait, first)?;
            first = false;
            if let Some(reason) = &poll.interrupts
                && let Some(interruption) = self.mesh.interrupt(&self.handle, wait.id, reason)?
            {
                return Ok(ReplyWaitOutcome::Interrupted(interruption));
            }
            let remaining_ms = deadline_monotonic_ms - self.mesh.now().monotonic_ms;
            if poll.done || remaining_ms <= 0 || !keep_waiting(&poll.question_statuses) {
                let WaitPoll {
                    question_statuses,
                    done,
                    ..
                } = self.mesh.finish_wait(&self.handle, wait, &poll, &[])?;
                return Ok(if done {
                    ReplyWaitOutcome::Done(question_statuses)
                } else {
                    ReplyWaitOutcome::Stopped(question_statuses)
                });
            }
            self.wait_for_signal(signal_count, remaining_ms);
        }
    }

    /// Waits until `look` finds what it looks for, `timeout` is over, a question for this member comes, or `keep_waiting`, called
    /// after every look, returns false.
    pub fn wait_for<T>(
        &mut self,
        wait: WaitId,
        timeout: Duration,
        poll: impl FnMut(&mut Mesh, &SessionHandle) -> Result<Option<T>>,
        keep_waiting: impl FnMut() -> bool,
    ) -> Result<PollOutcome<T>> {
        let outcome = self.wait_until_found(wait, timeout, poll, keep_waiting);
        if !matches!(outcome, Ok(PollOutcome::Interrupted(_))) {
            let _ = self.mesh.cancel_wait(wait);
        }
        outcome
    }

    fn wait_until_found<T>(
        &mut self,
        wait: WaitId,
        timeout: Duration,
        mut poll: impl FnMut(&mut Mesh, &SessionHandle) -> Result<Option<T>>,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<PollOutcome<T>> {
        let deadline_monotonic_ms = self.mesh.now().monotonic_ms
            + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        loop {
            let signal_count = self.signal.count();
            if let Some(found) = poll(&mut self.mesh, &self.handle)? {
                return Ok(PollOutcome::Found(found));
            }
            if let Some(interruption) = self.mesh.interrupt_if_asked(&self.handle, wait)? {
                return Ok(PollOutcome::Interrupted(interruption));
            }
            let remaining_ms = deadline_monotonic_ms - self.mesh.now().monotonic_ms;
            if remaining_ms <= 0 || !keep_waiting() {
                return Ok(PollOutcome::Stopped);
            }
            self.wait_for_signal(signal_count, remaining_ms);
        }
    }

    /// Rests until the bell has rung more often than `seen`, or it is time to look.
    fn wait_for_signal(&self, signal_count: u64, remaining_ms: i64) {
        let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0));
        let poll_interval = self
            .listener
            .poll_interval(true)
            .map_or(remaining, |poll_interval| poll_interval.min(remaining));
        self.signal.wait_until_raised(signal_count, poll_interval);
    }

    /// Begins to wait for questions asked earlier.
    pub fn await_replies(&mut self, questions: &[QuestionId]) -> Result<Wait> {
        self.mesh.await_replies(&self.handle, questions, false)
    }

    /// Waits until a question for this member waits, or the time is over. Returns what waits, marked as shown.
    pub fn next_questions(&mut self, timeout: Duration) -> Result<Inbox> {
        let deadline_monotonic_ms = self.mesh.now().monotonic_ms
            + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        loop {
            let signal_count = self.signal.count();
            let inbox = self.mesh.inbox(&self.handle)?;
            let remaining_ms = deadline_monotonic_ms - self.mesh.now().monotonic_ms;
            if !inbox.is_empty() || remaining_ms <= 0 {
                self.mesh.mark_delivered(
                    &self.handle,
                    &inbox,
                    None,
                    crate::model::WakeState::Call,
                )?;
                return Ok(inbox);
            }
            self.wait_for_signal(signal_count, remaining_ms);
        }
    }

    /// Answers a question.
    pub fn answer(&mut self, question: QuestionId, text: &str) -> Result<ReplyOutcome> {
        self.mesh.reply(
            &self.handle,
            Reply {
                question,
                text,
                decline: false,
                corrects: false,
                force: false,
            },
        )
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = self.mesh.unregister(self.handle.session, "left");
        }
    }
}
