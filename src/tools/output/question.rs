//! Questions as JSON: a pending question, its delivery status, and its result when its call returns.
use serde_json::{Map, Value, json};

use crate::mesh::{LateAnswer, PendingQuestion, QuestionStatus};
use crate::model::throttle::Throttled;
use crate::model::{AnsweredBy, DeliveryStatus, QuestionState};
use crate::platform::clock::rfc3339;
use crate::store::Question;

/// The result of one question: for the tools and for the command line under the same keys.
pub struct QuestionResult<'a> {
    pub question: &'a QuestionStatus,
    pub end: QuestionEnd<'a>,
    /// How long the call waited, if the result is to say so.
    pub waited_ms: Option<i64>,
    /// What to do next.
    pub hint: Option<&'a str>,
}

/// The outcome of a question when its call returns.
pub enum QuestionEnd<'a> {
    /// It was answered or declined.
    Replied,
    /// It has no reply; the status says why.
    Unanswered(&'a str),
    /// Its call was cancelled; whether the question was withdrawn.
    Cancelled { withdrawn: bool },
    /// No session that can answer is registered at the peer.
    Offline {
        last_seen_at_ms: i64,
        /// Other peers of that project that can be asked, if they were looked for.
        same_project: Option<&'a [String]>,
    },
    /// It is stored without a wake attempt.
    Held(Throttled),
}

impl QuestionResult<'_> {
    /// Returns the keys of the result.
    pub fn to_json(&self) -> Map<String, Value> {
        let question = &self.question.question;
        let status = match self.end {
            QuestionEnd::Replied if question.state == QuestionState::Declined => "declined",
            QuestionEnd::Replied => "answered",
            QuestionEnd::Unanswered(status) => status,
            QuestionEnd::Cancelled { .. } => "cancelled",
            QuestionEnd::Offline { .. } => "offline",
            QuestionEnd::Held(_) => "held",
        };
        let mut result = Map::new();
        let mut insert = |key: &str, value: Value| result.insert(key.into(), value);
        insert("status", status.into());
        insert("question_id", json!(question.id));
        insert("from", json!(self.question.peer));
        if let QuestionEnd::Replied = self.end {
            let by = question.answered_by.unwrap_or(AnsweredBy::Session);
            insert("by", json!(by));
            insert("answer", json!(question.answer));
            insert("answered_at", json!(question.answered_at_ms.map(rfc3339)));
            if let Some(fork) = &self.question.fork {
                insert("as_of", rfc3339(fork.as_of_ms).into());
                insert("git_head", json!(fork.git_head));
            }
        } else {
            insert("delivery", delivery(&self.question.delivery));
        }
        if let Some(waited_ms) = self.waited_ms {
            insert("waited_ms", waited_ms.into());
        }
        if let Some(hint) = self.hint {
            insert("hint", hint.into());
        }
        match self.end {
            QuestionEnd::Replied | QuestionEnd::Unanswered(_) => {}
            QuestionEnd::Cancelled { withdrawn } => {
                insert("withdrawn", withdrawn.into());
            }
            QuestionEnd::Offline {
                last_seen_at_ms,
                same_project,
            } => {
                insert("last_seen_at", rfc3339(last_seen_at_ms).into());
                insert("same_project", json!(same_project));
            }
            QuestionEnd::Held(throttled) => insert_throttle(&mut result, throttled),
        }
        result
    }
}

/// Returns a question as it is stored, with the names of asker and peer asked.
pub fn question_between(question: &Question, from: &str, to: &str) -> Value {
    json!({
        "question_id": question.id,
        "from": from,
        "to": to,
        "state": question.state,
        "asked_at": rfc3339(question.asked_at_ms),
        "question": question.question,
        "context": question.context,
        "wake": question.wake,
        "shown_at": question.shown_at_ms.map(rfc3339),
        "shown_times": question.shown_times,
        "answer": question.answer,
        "by": question.answered_by,
        "answered_at": question.answered_at_ms.map(rfc3339),
        "late": question.answered_at_ms.map(|_| question.answer_late),
    })
}

/// Returns the delivery status of a question. A step that has not happened has no key.
pub fn delivery(delivery: &DeliveryStatus) -> Value {
    let mut value = json!({ "stored_at": rfc3339(delivery.stored_at_ms) });
    if let Some(at_ms) = delivery.woken_at_ms {
        value["woken_at"] = rfc3339(at_ms).into();
    }
    value["wake"] = json!(delivery.wake);
    if let Some(problem) = &delivery.wake_problem {
        value["wake_problem"] = problem.as_str().into();
    }
    if let Some(at_ms) = delivery.shown_at_ms {
        value["shown_at"] = rfc3339(at_ms).into();
    }
    value["shown_times"] = delivery.shown_times.into();
    if delivery.stops > 0 {
        value["stops"] = delivery.stops.into();
    }
    value["peer_activity"] = json!(delivery.peer_activity);
    value
}

/// Returns a question that is pending for a session.
pub fn waiting(waiting: &PendingQuestion) -> Value {
    let question = &waiting.delivery.question;
    let mut value = json!({ "question_id": question.id, "from": waiting.from });
    if let Some(peer) = &waiting.on_behalf_of {
        value["addressed_to"] = json!(peer);
    }
    value["asked_at"] = rfc3339(question.asked_at_ms).into();
    value["asker_waiting"] = waiting.asker_waiting.into();
    value["question"] = question.question.as_str().into();
    value["context"] = json!(question.context);
    value["shown_times"] = question.shown_times.into();
    value
}

/// Returns how a question of the session ended while no call waited for it.
pub fn late_answer(late: &LateAnswer) -> Value {
    let question = &late.question;
    json!({
        "question_id": question.id,
        "from": late.from,
        "question": question.question,
        "declined": question.state == QuestionState::Declined,
        "expired": question.state == QuestionState::Expired,
        "answer": question.answer,
        "answered_at": question.answered_at_ms.map(rfc3339),
        "late": question.answer_late,
    })
}

/// Adds why a question is held, and until when.
fn insert_throttle(value: &mut Map<String, Value>, held: Throttled) {
    value.insert("reason".into(), json!(held.reason));
    value.insert("until".into(), json!(held.ends_at_ms.map(rfc3339)));
    if let Some(turns) = held.posted_turns {
        value.insert("posted_turns".into(), turns.into());
    }
}
