//! Records the wake attempts of one session: in the event log, and at the questions, where their askers see them.
//!
//! Each step is recorded where it is decided.
use serde_json::{Value, json};

use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::pending::PendingItems;
use crate::model::{Activity, EventKind, Result, WakeState};
use crate::platform::id::QuestionId;

/// One session that is to be woken, and what for.
pub(in crate::mesh) struct WakeAttempts<'a, 'tx> {
    pub(in crate::mesh) write: &'a mut WriteContext<'tx>,
    pub(in crate::mesh) me: &'a SessionHandle,
    pub(in crate::mesh) pending_items: PendingItems,
}

impl<'a, 'tx> WakeAttempts<'a, 'tx> {
    pub(in crate::mesh) fn of(
        write: &'a mut WriteContext<'tx>,
        me: &'a SessionHandle,
        pending_items: PendingItems,
    ) -> Self {
        Self {
            write,
            me,
            pending_items,
        }
    }

    /// Records the attempt of this number for all pending items.
    pub(in crate::mesh) fn record_attempt(
        &mut self,
        attempt: u32,
        activity: Activity,
    ) -> Result<()> {
        for id in self.pending_items.undelivered_questions.clone() {
            self.record_attempt_for(id, activity, json!({ "ring": attempt, "rides": false }))?;
        }
        self.append_session_event(EventKind::PeerRung, json!({ "ring": attempt }))
    }

    /// Records that later questions are coalesced with the attempt that is under way.
    pub(in crate::mesh) fn record_coalesced(
        &mut self,
        attempt: u32,
        activity: Activity,
    ) -> Result<()> {
        for id in self.pending_items.undelivered_questions.clone() {
            let question = self.write.tx.question(id)?;
            if question.is_some_and(|question| question.wake == WakeState::None) {
                self.record_attempt_for(id, activity, json!({ "ring": attempt, "rides": true }))?;
            }
        }
        Ok(())
    }

    /// Records that the session could not be woken, or did not wake, and why, as far as its files show more.
    pub(in crate::mesh) fn record_failure(&mut self, problem: &str) -> Result<()> {
        let tx = self.write.tx;
        let session = tx.session(self.me.session)?;
        let project = self.me.project.as_deref();
        let host = self.write.host;
        let why = session.and_then(|session| host.inbox_refusal_reason(&session, project));
        let problem = match why {
            Some(why) => &format!("{problem}; likely because {why}"),
            None => problem,
        };
        let reason = json!({ "reason": problem });
        for id in self.pending_items.undelivered_questions.clone() {
            tx.set_wake(id, WakeState::Failed, Some(problem))?;
            self.append_event(EventKind::QuestionNotWoken, id, reason.clone())?;
        }
        self.append_session_event(EventKind::PeerNotWoken, reason)?;
        Ok(tx.set_wake_attempt(self.me.session, None)?)
    }

    /// The line starts a turn of an idle session; any other session reads it later.
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
        self.write.tx.set_wake(id, wake, None)?;
        self.append_event(kind, id, data)
    }

    /// Appends the event of a question, and wakes the calls that wait for it.
    fn append_event(&mut self, kind: EventKind, id: QuestionId, mut data: Value) -> Result<()> {
        data["session"] = json!(self.me.session);
        let by = Some(self.me.peer);
        self.write
            .tx
            .append_event(kind, by, &id.to_string(), &data)?;
        self.write.wake_askers(id)
    }

    /// Appends the event of the session itself, if no event of a question shows the attempt.
    fn append_session_event(&mut self, kind: EventKind, mut data: Value) -> Result<()> {
        let items = &self.pending_items;
        if items.undelivered_questions.is_empty() && !items.is_empty() {
            data["session"] = json!(self.me.session);
            data["answers"] = items.answers.into();
            data["mail"] = json!(items.mail);
            data["claims"] = items.granted.into();
            let by = Some(self.me.peer);
            self.write
                .tx
                .append_event(kind, by, self.me.name.as_str(), &data)?;
        }
        Ok(())
    }
}
