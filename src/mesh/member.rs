//! A member: a registered session with its doorbell that can wait on a thread, for programs that use the library alone and
//! for the command line.
use std::sync::Arc;
use std::time::Duration;

use crate::mesh::blocking_wait::{
    BlockingWait, InboxWait, QueryWait, ReplyWait, ReplyWaitEnd, ThreadDriver, WaitCondition,
    WaitOutcome,
};
use crate::mesh::inbox_follow::{InboxFollower, NewItemsWait};
use crate::mesh::{
    AskOutcome, AskedQuestion, Inbox, JoinRequest, Mesh, QuestionDraft, QuestionStatus, Reply,
    ReplyOutcome, SessionHandle, Wait,
};
use crate::model::peer::Address;
use crate::model::{Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::platform::lock;
use crate::platform::lock::LockGuard;
use crate::wake::{WakeListener, WakeSignal};

/// A registered session with its doorbell. Unregisters when dropped, if it holds the lock of the session.
pub struct Member {
    mesh: Mesh,
    handle: SessionHandle,
    signal: Arc<WakeSignal>,
    listener: Box<dyn WakeListener>,
    lock: Option<LockGuard>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// Registers a session and listens to its doorbell. From now on others can ask this member.
    pub fn join(self, request: &JoinRequest) -> Result<Member> {
        self.join_with(request, false)
    }

    /// Does the same; with `polling` a wait polls every 50 ms instead of watching a folder.
    pub fn join_with(mut self, request: &JoinRequest, polling: bool) -> Result<Member> {
        let handle = self.register(request)?;
        self.member(handle, polling, true)
    }

    /// Acts as a session that is registered already and whose own server holds its lock.
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
    /// Returns the registered session.
    pub fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// Returns the mesh, for its other operations.
    pub fn mesh(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    /// Returns the signal of the doorbell; a thread that wants to stop a wait raises it.
    pub fn signal(&self) -> Arc<WakeSignal> {
        Arc::clone(&self.signal)
    }

    /// Asks one peer. The wait that is returned goes to [`Member::wait`].
    pub fn ask(
        &mut self,
        to: &Address,
        question: &str,
        context: Option<&str>,
    ) -> Result<(AskedQuestion, Option<Wait>)> {
        let AskOutcome { mut asked, wait } = self.mesh.ask(
            &self.handle,
            std::slice::from_ref(to),
            &QuestionDraft {
                context,
                ..QuestionDraft::of(question)
            },
        )?;
        let asked = asked
            .pop()
            .ok_or_else(|| Refusal::argument("no peer was asked"))?;
        let wait = wait.map(|id| Wait {
            id,
            questions: vec![asked.question],
            any: false,
        });
        Ok((asked, wait))
    }

    /// Waits until the questions of `wait` are answered or closed, `timeout` has passed, a question for this member
    /// comes, or `keep_waiting`, called after every poll that does not end the wait, returns false. Returns also the
    /// questions as the last poll found them.
    pub fn wait(
        &mut self,
        wait: &Wait,
        timeout: Duration,
        mut keep_waiting: impl FnMut(&[QuestionStatus]) -> bool,
    ) -> Result<(WaitOutcome<ReplyWaitEnd>, Vec<QuestionStatus>)> {
        let mut wait = self.begin_wait(ReplyWait::new(wait.clone()), timeout);
        let outcome = self.driver().run(&mut wait, |replies| {
            keep_waiting(replies.question_statuses())
        })?;
        Ok((outcome, wait.into_condition().into_question_statuses()))
    }

    /// Waits in the row `wait` until `poll` finds something, `timeout` has passed, a question for this member comes, or
    /// `keep_waiting`, called after every poll that does not end the wait, returns false.
    pub fn wait_for<T>(
        &mut self,
        wait: WaitId,
        timeout: Duration,
        mut poll: impl FnMut(&mut Mesh, &SessionHandle) -> Result<Option<T>>,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<WaitOutcome<T>> {
        let query = |mesh: &mut Mesh, me: &SessionHandle| Ok(poll(mesh, me)?.into());
        let mut wait = self.begin_wait(QueryWait::new(wait, query), timeout);
        self.driver().run(&mut wait, |_| keep_waiting())
    }

    fn begin_wait<C: WaitCondition>(&self, condition: C, timeout: Duration) -> BlockingWait<C> {
        BlockingWait::new(condition, self.mesh.now().monotonic_ms, timeout)
    }

    fn driver(&mut self) -> ThreadDriver<'_> {
        ThreadDriver {
            mesh: &mut self.mesh,
            me: &self.handle,
            signal: &self.signal,
            poll_interval: self.listener.poll_interval(true),
        }
    }

    /// Begins to wait for questions asked earlier.
    pub fn await_replies(&mut self, questions: &[QuestionId]) -> Result<Wait> {
        self.mesh.await_replies(&self.handle, questions, false)
    }

    /// Waits until something is pending for this member, or `timeout` has passed. Returns what is pending, marked as
    /// delivered.
    pub fn next_questions(&mut self, timeout: Duration) -> Result<Inbox> {
        let mut wait = self.begin_wait(InboxWait, timeout);
        Ok(match self.driver().run(&mut wait, |_| true)? {
            WaitOutcome::Done(inbox) => inbox,
            WaitOutcome::Expired | WaitOutcome::Interrupted(_) | WaitOutcome::Cancelled => {
                Inbox::default()
            }
        })
    }

    /// Waits until something is pending that `follower` has not found before. Returns it, or `None` when `keep_waiting`,
    /// called after every poll, returns false. Nothing is marked as delivered.
    ///
    /// Where a watcher works, it polls only after a doorbell.
    pub fn follow_inbox(
        &mut self,
        follower: &mut InboxFollower,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<Option<Inbox>> {
        let mut wait = self.begin_wait(NewItemsWait(follower), Duration::MAX);
        let poll_interval = self.listener.poll_interval(false);
        let mut driver = self.driver();
        driver.poll_interval = poll_interval;
        Ok(match driver.run(&mut wait, |_| keep_waiting())? {
            WaitOutcome::Done(found) => Some(found),
            WaitOutcome::Expired | WaitOutcome::Interrupted(_) | WaitOutcome::Cancelled => None,
        })
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
                fork: None,
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
