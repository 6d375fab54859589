//! What is told of waking a session: to those who asked, and in the log. Each step is noted where it is decided, never later.
use serde_json::{Value, json};

use crate::mesh::peer::liveness::HostView;
use crate::mesh::wake::policy::PendingItems;
use crate::mesh::wake::throttle::wake_askers;
use crate::mesh::{PendingWakeups, SessionHandle};
use crate::model::{Activity, EventKind, Result, WakeState};
use crate::platform::id::QuestionId;
use crate::store::Tx;

/// One session that is to be woken, and what for.
pub(in crate::mesh) struct WakeEvents<'a> {
    pub(in crate::mesh) tx: &'a Tx<'a>,
    pub(in crate::mesh) host: &'a HostView,
    pub(in crate::mesh) me: &'a SessionHandle,
    pub(in crate::mesh) pending_items: PendingItems,
    wakeups: &'a mut PendingWakeups,
}

impl<'a> WakeEvents<'a> {
    pub(in crate::mesh) fn of(
        tx: &'a Tx<'a>,
        host: &'a HostView,
        wakeups: &'a mut PendingWakeups,
        me: &'a SessionHandle,
        pending_items: PendingItems,
    ) -> Self {
        Self {
            tx,
            host,
            me,
            pending_items,
            wakeups,
        }
    }

    /// Notes that the session is rung for all that waits: the ring of this number.
    pub(in crate::mesh) fn record_attempt(&mut self, ring: u32, activity: Activity) -> Result<()> {
        for id in self.pending_items.undelivered_questions.clone() {
            self.record_attempt_for(id, activity, json!({ "ring": ring, "rides": false }))?;
        }
        self.append_session_event(EventKind::PeerRung, json!({ "ring": ring }))
    }

    /// Notes that what came later rides on the ring that is out.
    pub(in crate::mesh) fn record_coalesced(
        &mut self,
        ring: u32,
        activity: Activity,
    ) -> Result<()> {
        for id in self.pending_items.undelivered_questions.clone() {
            let question = self.tx.question(id)?;
            if question.is_some_and(|question| question.wake == WakeState::None) {
                self.record_attempt_for(id, activity, json!({ "ring": ring, "rides": true }))?;
            }
        }
        Ok(())
    }

    /// Notes that the session could not be woken, or did not wake; why, as far as its files tell more.
    pub(in crate::mesh) fn record_failure(&mut self, problem: &str) -> Result<()> {
        let session = self.tx.session(self.me.session)?;
        let project = self.me.project.as_deref();
        let why = session.and_then(|session| self.host.inbox_refusal_reason(&session, project));
        let problem = match why {
            Some(why) => &format!("{problem}; likely because {why}"),
            None => problem,
        };
        let reason = json!({ "reason": problem });
        for id in self.pending_items.undelivered_questions.clone() {
            self.tx.set_wake(id, WakeState::Failed, Some(problem))?;
            self.append_event(EventKind::QuestionNotWoken, id, reason.clone())?;
        }
        self.append_session_event(EventKind::PeerNotWoken, reason)?;
        Ok(self.tx.set_wake_attempt(self.me.session, None)?)
    }

    /// An idle session starts a turn by the line; any other reads it when it comes to it.
    fn record_attempt_for(
        &mut self,
        id: QuestionId,
        activity: Activity,
        data: Value,
    ) -> Result<()> {
        let (wake, kind) = if activity == Activity::Idle {
            (WakeState::Inbox, EventKind::QuestionRung)
        } else {
            (WakeState::Queued, EventKind::QuestionQueued)
        };
        self.tx.set_wake(id, wake, None)?;
        self.append_event(kind, id, data)
    }

    /// Appends what happened to a question, and tells those who wait for it.
    fn append_event(&mut self, kind: EventKind, id: QuestionId, mut data: Value) -> Result<()> {
        data["session"] = json!(self.me.session);
        let by = Some(self.me.peer);
        self.tx.append_event(kind, by, &id.to_string(), &data)?;
        wake_askers(self.tx, self.wakeups, id)
    }

    /// Appends what happened to the session itself where no question tells it.
    fn append_session_event(&mut self, kind: EventKind, mut data: Value) -> Result<()> {
        if self.pending_items.undelivered_questions.is_empty() && !self.pending_items.is_empty() {
            data["session"] = json!(self.me.session);
            data["answers"] = self.pending_items.answers.into();
            data["mail"] = json!(self.pending_items.mail);
            data["claims"] = self.pending_items.granted.into();
            let by = Some(self.me.peer);
            self.tx
                .append_event(kind, by, self.me.name.as_str(), &data)?;
        }
        Ok(())
    }
}
