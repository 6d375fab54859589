//! What is told of waking a session: to those who asked, and in the log. Each step is noted where it is decided, never later.
use serde_json::{Value, json};

use crate::mesh::peer::liveness::Around;
use crate::mesh::wake::policy::News;
use crate::mesh::wake::throttle::tell_askers;
use crate::mesh::{Rings, Sitting};
use crate::model::{Activity, EventKind, Result, WakeState};
use crate::platform::id::QuestionId;
use crate::store::Tx;

/// One session that is to be woken, and what for.
pub(in crate::mesh) struct Waking<'a> {
    pub(in crate::mesh) tx: &'a Tx<'a>,
    pub(in crate::mesh) around: &'a Around,
    pub(in crate::mesh) me: &'a Sitting,
    pub(in crate::mesh) news: News,
    rings: &'a mut Rings,
}

impl<'a> Waking<'a> {
    pub(in crate::mesh) fn of(
        tx: &'a Tx<'a>,
        around: &'a Around,
        rings: &'a mut Rings,
        me: &'a Sitting,
        news: News,
    ) -> Self {
        Self {
            tx,
            around,
            me,
            news,
            rings,
        }
    }

    /// Notes that the session is rung for all that waits: the ring of this number.
    pub(in crate::mesh) fn is_rung(&mut self, ring: u32, activity: Activity) -> Result<()> {
        for id in self.news.unseen.clone() {
            self.is_rung_for(id, activity, json!({ "ring": ring, "rides": false }))?;
        }
        self.append_others(EventKind::PeerRung, json!({ "ring": ring }))
    }

    /// Notes that what came later rides on the ring that is out.
    pub(in crate::mesh) fn rides_on(&mut self, ring: u32, activity: Activity) -> Result<()> {
        for id in self.news.unseen.clone() {
            let question = self.tx.question(id)?;
            if question.is_some_and(|question| question.wake == WakeState::None) {
                self.is_rung_for(id, activity, json!({ "ring": ring, "rides": true }))?;
            }
        }
        Ok(())
    }

    /// Notes that the session could not be woken, or did not wake; why, as far as its files tell more.
    pub(in crate::mesh) fn fails(&mut self, problem: &str) -> Result<()> {
        let session = self.tx.session(self.me.session)?;
        let project = self.me.project.as_deref();
        let why = session.and_then(|session| self.around.why_deaf(&session, project));
        let problem = match why {
            Some(why) => &format!("{problem}; likely because {why}"),
            None => problem,
        };
        let reason = json!({ "reason": problem });
        for id in self.news.unseen.clone() {
            self.tx.set_wake(id, WakeState::Failed, Some(problem))?;
            self.append(EventKind::QuestionNotWoken, id, reason.clone())?;
        }
        self.append_others(EventKind::PeerNotWoken, reason)?;
        Ok(self.tx.set_ring(self.me.session, None)?)
    }

    /// An idle session starts a turn by the line; any other reads it when it comes to it.
    fn is_rung_for(&mut self, id: QuestionId, activity: Activity, data: Value) -> Result<()> {
        let (wake, kind) = if activity == Activity::Idle {
            (WakeState::Inbox, EventKind::QuestionRung)
        } else {
            (WakeState::Queued, EventKind::QuestionQueued)
        };
        self.tx.set_wake(id, wake, None)?;
        self.append(kind, id, data)
    }

    /// Appends what happened to a question, and tells those who wait for it.
    fn append(&mut self, kind: EventKind, id: QuestionId, mut data: Value) -> Result<()> {
        data["session"] = json!(self.me.session);
        let by = Some(self.me.peer);
        self.tx.append(kind, by, &id.to_string(), &data)?;
        tell_askers(self.tx, self.rings, id)
    }

    /// Appends what happened to the session itself where no question tells it.
    fn append_others(&mut self, kind: EventKind, mut data: Value) -> Result<()> {
        if self.news.unseen.is_empty() && !self.news.is_empty() {
            data["session"] = json!(self.me.session);
            data["answers"] = self.news.answers.into();
            data["mail"] = json!(self.news.mail);
            data["claims"] = self.news.granted.into();
            let by = Some(self.me.peer);
            self.tx.append(kind, by, self.me.name.as_str(), &data)?;
        }
        Ok(())
    }
}
