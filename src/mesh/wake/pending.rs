//! Reads what a session is to be woken for: questions, late answers, messages that wake, and granted claims.
use crate::mesh::claim::unnotified::unnotified_grants;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::platform::id::QuestionId;
use crate::store::Question;

/// How long a late answer is listed after it was shown, unless a call has taken it.
const SHOWN_ANSWER_RETENTION_MS: i64 = 24 * 3600 * 1000;

/// What a session is to be woken for.
#[derive(Debug, Default)]
pub(in crate::mesh) struct PendingItems {
    /// Questions it has never seen.
    pub(in crate::mesh) undelivered_questions: Vec<QuestionId>,
    /// How many late answers it has not been shown.
    pub(in crate::mesh) answers: usize,
    /// Who has posted a command or an alert that was not mentioned.
    pub(in crate::mesh) mail: Vec<String>,
    /// How many claims were granted without notifying it.
    pub(in crate::mesh) granted: usize,
}

impl PendingItems {
    /// Returns what is pending. Questions whose wake has failed are included only with `include_failed`.
    pub(in crate::mesh) fn of(
        read: ReadContext,
        me: &SessionHandle,
        include_failed: bool,
    ) -> Result<Self> {
        let pending_flags = read.tx.pending_flags(me.peer, me.session)?;
        let mut pending_items = Self {
            granted: unnotified_grants(read, me, pending_flags)?.len(),
            ..Self::default()
        };
        if pending_flags.questions {
            pending_items.undelivered_questions =
                read.tx
                    .undelivered_questions(me.peer, me.session, include_failed)?;
        }
        if pending_flags.answers {
            pending_items.answers = late_replies(read, me)?
                .iter()
                .filter(|question| question.answer_shown_at_ms.is_none())
                .count();
        }
        if pending_flags.mail {
            pending_items.mail = read.tx.senders_of_waking_mail(me.peer)?;
        }
        Ok(pending_items)
    }

    /// Returns what is left of it while a call of the session waits: the call returns with questions and answers, except with
    /// these questions.
    pub(in crate::mesh) fn during_wait(self, questions: Vec<QuestionId>) -> Self {
        Self {
            undelivered_questions: questions,
            mail: self.mail,
            granted: self.granted,
            ..Self::default()
        }
    }

    /// Returns whether other peers want something. What the session has asked for itself can wait without its person.
    pub(in crate::mesh) fn has_peer_requests(&self) -> bool {
        !self.undelivered_questions.is_empty() || !self.mail.is_empty()
    }

    pub(in crate::mesh) fn is_empty(&self) -> bool {
        self.undelivered_questions.is_empty()
            && self.answers == 0
            && self.mail.is_empty()
            && self.granted == 0
    }
}

/// Returns the questions of a session that were answered while no call waited for them, and that no call has fetched.
pub(in crate::mesh) fn late_replies(
    read: ReadContext,
    me: &SessionHandle,
) -> Result<Vec<Question>> {
    let shown_since_ms = read.tx.now.wall_ms - SHOWN_ANSWER_RETENTION_MS;
    let mut late = Vec::new();
    for question in read.tx.uncollected_replies(me.peer, shown_since_ms)? {
        if read
            .served_sessions_waiting_on(question.id, None)?
            .is_empty()
        {
            late.push(question);
        }
    }
    Ok(late)
}
