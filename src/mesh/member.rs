//! Someone who sits in the mesh and can wait: for programs that use the library alone, and for the person at the command line.
use std::sync::Arc;
use std::time::Duration;

use super::{
    Arrival, Asked, IfOffline, Inbox, Interruption, Look, Mesh, Posed, Replied, Reply, Sitting,
    Standing, Wait,
};
use crate::model::peer::Address;
use crate::model::{Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::platform::lock;
use crate::platform::lock::Held;
use crate::wake::{Listener, Signal};

/// A seat with its doorbell. Leaves when dropped.
pub struct Member {
    mesh: Mesh,
    sitting: Sitting,
    signal: Arc<Signal>,
    listener: Box<dyn Listener>,
    lock: Option<Held>,
}

/// How a wait of a member ended.
#[derive(Debug)]
pub enum Waited {
    /// Everything awaited has its end.
    Done(Vec<Standing>),
    /// The time is over, or the caller stopped it; the questions stay open.
    Over(Vec<Standing>),
    /// A question for this member came; answer first.
    Interrupted(Interruption),
}

/// How a member's wait for something else than answers ended.
#[derive(Debug)]
pub enum Came<T> {
    /// It came.
    There(T),
    /// The time is over, or the caller stopped it.
    Over,
    /// A question for this member came; answer first.
    Interrupted(Interruption),
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("sitting", &self.sitting)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// Sits down and hangs up a doorbell. From now on others can ask this member.
    pub fn join(self, arrival: &Arrival) -> Result<Member> {
        self.join_with(arrival, false)
    }

    /// Sits down; with `polling` it looks every 50 ms while it waits instead of watching a folder.
    pub fn join_with(mut self, arrival: &Arrival, polling: bool) -> Result<Member> {
        let sitting = self.sit(arrival)?;
        self.member(sitting, polling, true)
    }

    /// Speaks as a session that sits already and whose own server holds its lock.
    pub fn speak_as(self, sitting: Sitting, polling: bool) -> Result<Member> {
        self.member(sitting, polling, false)
    }

    fn member(self, sitting: Sitting, polling: bool, own: bool) -> Result<Member> {
        let signal = Arc::new(Signal::default());
        let ring = Arc::clone(&signal);
        let listener = self
            .bells()
            .listen(sitting.session, polling, move || ring.raise())?;
        let lock = if own {
            lock::own(&self.bells().lock_path(sitting.session))?
        } else {
            None
        };
        Ok(Member {
            mesh: self,
            sitting,
            signal,
            listener,
            lock,
        })
    }
}

impl Member {
    /// Returns the seat.
    pub fn sitting(&self) -> &Sitting {
        &self.sitting
    }

    /// Returns the mesh, for its other verbs.
    pub fn mesh(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    /// Returns the bell, for a thread that wants to stop a wait.
    pub fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }

    /// Asks one peer. Use [`Member::wait`] with what comes back.
    pub fn ask(
        &mut self,
        to: &Address,
        question: &str,
        context: Option<&str>,
    ) -> Result<(Asked, Option<Wait>)> {
        let Posed { mut asked, wait } = self.mesh.ask(
            &self.sitting,
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

    /// Waits until the questions of `wait` have their end, `at_most` is over, a question for this member comes, or
    /// `go_on`, called after every look, returns false.
    pub fn wait(
        &mut self,
        wait: &Wait,
        at_most: Duration,
        mut go_on: impl FnMut(&[Standing]) -> bool,
    ) -> Result<Waited> {
        let waited = self.until_it_ends(wait, at_most, &mut go_on);
        if waited.is_err() {
            let _ = self.mesh.end_wait(wait.id);
        }
        waited
    }

    fn until_it_ends(
        &mut self,
        wait: &Wait,
        at_most: Duration,
        go_on: &mut dyn FnMut(&[Standing]) -> bool,
    ) -> Result<Waited> {
        let until_ms = self.mesh.now().monotonic_ms
            + i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX / 2);
        let mut first = true;
        loop {
            let seen = self.signal.count();
            let look = self.mesh.look(&self.sitting, wait, first)?;
            first = false;
            if let Some(reason) = &look.interrupts
                && let Some(interruption) = self.mesh.interrupt(&self.sitting, wait.id, reason)?
            {
                return Ok(Waited::Interrupted(interruption));
            }
            let left_ms = until_ms - self.mesh.now().monotonic_ms;
            if look.done || left_ms <= 0 || !go_on(&look.standings) {
                let Look {
                    standings, done, ..
                } = self.mesh.finish(&self.sitting, wait, &look, &[])?;
                return Ok(if done {
                    Waited::Done(standings)
                } else {
                    Waited::Over(standings)
                });
            }
            self.rest(seen, left_ms);
        }
    }

    /// Waits until `look` finds what it looks for, `at_most` is over, a question for this member comes, or `go_on`, called
    /// after every look, returns false.
    pub fn wait_for<T>(
        &mut self,
        wait: WaitId,
        at_most: Duration,
        look: impl FnMut(&mut Mesh, &Sitting) -> Result<Option<T>>,
        go_on: impl FnMut() -> bool,
    ) -> Result<Came<T>> {
        let came = self.until_it_comes(wait, at_most, look, go_on);
        if !matches!(came, Ok(Came::Interrupted(_))) {
            let _ = self.mesh.end_wait(wait);
        }
        came
    }

    fn until_it_comes<T>(
        &mut self,
        wait: WaitId,
        at_most: Duration,
        mut look: impl FnMut(&mut Mesh, &Sitting) -> Result<Option<T>>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Came<T>> {
        let until_ms = self.mesh.now().monotonic_ms
            + i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX / 2);
        loop {
            let seen = self.signal.count();
            if let Some(found) = look(&mut self.mesh, &self.sitting)? {
                return Ok(Came::There(found));
            }
            if let Some(interruption) = self.mesh.interrupt_if_asked(&self.sitting, wait)? {
                return Ok(Came::Interrupted(interruption));
            }
            let left_ms = until_ms - self.mesh.now().monotonic_ms;
            if left_ms <= 0 || !go_on() {
                return Ok(Came::Over);
            }
            self.rest(seen, left_ms);
        }
    }

    /// Rests until the bell has rung more often than `seen`, or it is time to look.
    fn rest(&self, seen: u64, left_ms: i64) {
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let pace = self.listener.pace(true).map_or(left, |pace| pace.min(left));
        self.signal.wait_past(seen, pace);
    }

    /// Begins to wait for questions asked earlier.
    pub fn await_replies(&mut self, questions: &[QuestionId]) -> Result<Wait> {
        self.mesh.await_replies(&self.sitting, questions, false)
    }

    /// Waits until a question for this member waits, or the time is over. Returns what waits, marked as shown.
    pub fn next_questions(&mut self, at_most: Duration) -> Result<Inbox> {
        let until_ms = self.mesh.now().monotonic_ms
            + i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX / 2);
        loop {
            let seen = self.signal.count();
            let inbox = self.mesh.inbox(&self.sitting)?;
            let left_ms = until_ms - self.mesh.now().monotonic_ms;
            if !inbox.is_empty() || left_ms <= 0 {
                self.mesh
                    .mark_shown(&self.sitting, &inbox, None, crate::model::WakeState::Call)?;
                return Ok(inbox);
            }
            self.rest(seen, left_ms);
        }
    }

    /// Answers a question.
    pub fn answer(&mut self, question: QuestionId, text: &str) -> Result<Replied> {
        self.mesh.reply(
            &self.sitting,
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
            let _ = self.mesh.leave(self.sitting.session, "left");
        }
    }
}
