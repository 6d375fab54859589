//! `SessionVerb`: what the hooks and the waker of a session on another host have done, for its mesh to record.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mesh::connection::Mesh;
use crate::mesh::question::inbox::Inbox;
use crate::mesh::question::stop_decision::StopStreak;
use crate::mesh::session::SessionHandle;
use crate::model::activity_summary::ActivitySummary;
use crate::model::{Result, WakeState};
use crate::platform::id::{ClaimId, MessageId, QuestionId};

/// One thing that a session on another host has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SessionVerb {
    /// A prompt has begun or joined a turn.
    BeginTurn {
        /// The turn, if its client names it.
        turn: Option<String>,
        /// Whether the person has typed it.
        typed: bool,
    },
    /// What was delivered while the turn was unknown belongs to this one.
    RecordTurn {
        /// The turn.
        turn: String,
    },
    /// These were handed to its client for the model.
    MarkDelivered {
        /// What was delivered.
        items: DeliveredItems,
        /// The turn, if it is known.
        turn: Option<String>,
        /// The way of the delivery.
        channel: WakeState,
    },
    /// The Stop hook continues a turn for these questions.
    RecordStopBlock {
        /// What was delivered.
        items: DeliveredItems,
        /// The turn.
        turn: String,
        /// How often the session was continued in a row, this time included.
        count: u32,
    },
    /// A wake line was read after its items were settled.
    ClearWakeAttempt,
    /// A wake line could not be posted.
    RecordWakeFailure {
        /// Why.
        problem: String,
    },
    /// What the session works on, in words; nothing if its person wants none kept.
    SetActivitySummary {
        /// The excerpts.
        summary: Option<ActivitySummary>,
    },
    /// The client goes on with another conversation.
    DetachClientSession,
}

/// What was delivered, by ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredItems {
    /// The questions to answer.
    #[serde(default)]
    pub questions: Vec<QuestionId>,
    /// The questions whose late answers were delivered.
    #[serde(default)]
    pub answers: Vec<QuestionId>,
    /// The claims that were granted.
    #[serde(default)]
    pub granted: Vec<ClaimId>,
    /// The last message that was mentioned.
    #[serde(default)]
    pub mail_up_to: Option<MessageId>,
}

impl DeliveredItems {
    /// Returns the ids of what was shown.
    pub fn of(shown: &Inbox) -> Self {
        let ids = |pending: &crate::mesh::PendingQuestion| pending.delivery.question.id;
        Self {
            questions: shown.questions.iter().map(ids).collect(),
            answers: shown.answers.iter().map(|late| late.question.id).collect(),
            granted: shown.granted.iter().map(|it| it.claim.id).collect(),
            mail_up_to: shown.mail.last().map(|message| message.id),
        }
    }

    /// Returns the part of an inbox that was delivered.
    pub fn select(&self, inbox: Inbox) -> Inbox {
        let Inbox {
            mut questions,
            mut answers,
            mut granted,
            mut mail,
            ..
        } = inbox;
        questions.retain(|it| self.questions.contains(&it.delivery.question.id));
        answers.retain(|it| self.answers.contains(&it.question.id));
        granted.retain(|it| self.granted.contains(&it.claim.id));
        mail.retain(|it| Some(it.id) <= self.mail_up_to);
        Inbox {
            questions,
            answers,
            granted,
            mail,
            has_new_mail: false,
        }
    }
}

impl Mesh {
    /// Carries out a verb of a session. Returns its result, `null` for most.
    pub fn apply_session_verb(&mut self, me: &SessionHandle, verb: &SessionVerb) -> Result<Value> {
        match verb {
            SessionVerb::BeginTurn { turn, typed } => self.begin_turn(me, turn.as_deref(), *typed),
            SessionVerb::RecordTurn { turn } => self.record_turn(me, turn),
            SessionVerb::MarkDelivered {
                items,
                turn,
                channel,
            } => {
                let shown = self.delivered(me, items)?;
                self.mark_delivered(me, &shown, turn.as_deref(), *channel)
            }
            SessionVerb::RecordStopBlock { items, turn, count } => {
                let shown = self.delivered(me, items)?;
                let count = *count;
                self.record_stop_block(me, &shown, StopStreak { turn, count })
            }
            SessionVerb::ClearWakeAttempt => self.clear_wake_attempt(me),
            SessionVerb::RecordWakeFailure { problem } => self.record_wake_failure(me, problem),
            SessionVerb::SetActivitySummary { summary } => {
                let text = summary.as_ref().map(|summary| {
                    serde_json::to_string(summary).expect("plain text and a number can be written")
                });
                self.write(|write| {
                    Ok(write.tx.set_activity_summary(me.session, text.as_deref())?)
                })
            }
            SessionVerb::DetachClientSession => self.detach_client_session(me.session),
        }?;
        Ok(Value::Null)
    }

    /// Stores what the client of a session reports that it does, if that has changed.
    pub fn report_activity(&mut self, me: &SessionHandle, activity: &str) -> Result<()> {
        let stored = self.session(me)?.and_then(|session| session.activity);
        if stored.as_deref() == Some(activity) {
            return Ok(());
        }
        self.set_activity(me, activity)
    }

    /// Returns what of these items is still pending.
    fn delivered(&mut self, me: &SessionHandle, items: &DeliveredItems) -> Result<Inbox> {
        let mut pending = self.inbox(me)?;
        if items.mail_up_to.is_some() {
            pending.mail = self.unmentioned_mail(me)?.messages;
        }
        Ok(items.select(pending))
    }
}
