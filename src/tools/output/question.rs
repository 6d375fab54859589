//! The result of a question when its call returns.
use serde_json::{Map, Value, json};

use crate::mesh::QuestionStatus;
use crate::model::throttle::Throttled;
use crate::model::{AnsweredBy, QuestionState};
use crate::platform::clock::rfc3339;
use crate::tools::output::{delivery, insert_throttle};

/// The result of one question: for the tools and for the command line under the same keys.
pub struct QuestionResult<'a> {
    pub question: &'a QuestionStatus,
    pub end: QuestionEnd<'a>,
    /// How long the call waited, where the result says so.
    pub waited_ms: Option<i64>,
    /// What to do next.
    pub hint: Option<&'a str>,
}

/// How a question stands when its call returns.
pub enum QuestionEnd<'a> {
    /// It was answered or declined.
    Replied,
    /// It has no reply; the status says why.
    Unanswered(&'a str),
    /// Its call was cancelled; whether the question was withdrawn.
    Cancelled { withdrawn: bool },
    /// Nobody who can answer is registered there.
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
