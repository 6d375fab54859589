//! `SessionVerb`: what the hooks and the waker of a session on another host have done, for its mesh to record.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::message::list::unmentioned_mail;
use crate::mesh::peer::address::peer_name;
use crate::mesh::question::inbox::{Inbox, PendingQuestion, inbox};
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
    /// The client ends a conversation and goes on with another one.
    DetachClientSession,
    /// The client has begun or resumed a conversation.
    AttachClientSession {
        /// The session id of Claude Code.
        client_session: String,
        /// The name that its person gave it.
        #[serde(default)]
        given_name: Option<String>,
    },
}

impl SessionVerb {
    /// Returns whether it says what was delivered.
    pub fn records_delivery(&self) -> bool {
        matches!(
            self,
            Self::MarkDelivered { .. } | Self::RecordStopBlock { .. }
        )
    }

    /// Returns whether it concerns only the session that has recorded it, and not the next one of the same client.
    pub fn is_of_one_session(&self) -> bool {
        matches!(
            self,
            Self::RecordWakeFailure { .. } | Self::ClearWakeAttempt
        )
    }
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
        let ids = |pending: &PendingQuestion| pending.delivery.question.id;
        Self {
            questions: shown.questions.iter().map(ids).collect(),
            answers: shown.answers.iter().map(|late| late.question.id).collect(),
            granted: shown.granted.iter().map(|it| it.claim.id).collect(),
            mail_up_to: shown.mail.last().map(|message| message.id),
        }
    }

    /// Returns whether nothing was delivered.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
            && self.answers.is_empty()
            && self.granted.is_empty()
            && self.mail_up_to.is_none()
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
                self.record_delivery(me, &shown, turn.as_deref(), *channel)
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
            SessionVerb::DetachClientSession => {
                self.clear_activity_summary(me);
                self.detach_client_session(me.session)
            }
            SessionVerb::AttachClientSession {
                client_session,
                given_name,
            } => self.attach_client_session(me.session, client_session, given_name.as_deref()),
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

    /// Returns what was delivered. Of answers, claims and mail that is what is still pending. A question counts also if it was
    /// closed meanwhile: the session has got it, and what it asks follows from it.
    fn delivered(&mut self, me: &SessionHandle, items: &DeliveredItems) -> Result<Inbox> {
        self.read(|read| {
            let Inbox {
                mut answers,
                mut granted,
                has_new_mail,
                ..
            } = inbox(read, me)?;
            answers.retain(|late| items.answers.contains(&late.question.id));
            granted.retain(|granted| items.granted.contains(&granted.claim.id));
            let mut mail = if has_new_mail && items.mail_up_to.is_some() {
                unmentioned_mail(read, me)?.messages
            } else {
                Vec::new()
            };
            mail.retain(|message| Some(message.id) <= items.mail_up_to);
            let mut questions = Vec::new();
            for id in &items.questions {
                questions.extend(delivered_question(read, me, *id)?);
            }
            Ok(Inbox {
                questions,
                answers,
                granted,
                has_new_mail: false,
                mail,
                fork_notes: Vec::new(),
            })
        })
    }
}

/// Returns a question that was delivered to a session; `None` if it was erased, or is for another project.
fn delivered_question(
    read: ReadContext,
    me: &SessionHandle,
    id: QuestionId,
) -> Result<Option<PendingQuestion>> {
    let Some(delivery) = read.tx.delivery(id, me.session)? else {
        return Ok(None);
    };
    let target = read.tx.peer(delivery.question.target)?;
    let is_own = target.is_some_and(|target| {
        target.id == me.peer || (target.project.is_some() && target.project == me.project)
    });
    if !is_own {
        return Ok(None);
    }
    Ok(Some(PendingQuestion {
        from: peer_name(read, delivery.question.asker)?,
        delivery,
        asker_waiting: false,
        on_behalf_of: None,
    }))
}
