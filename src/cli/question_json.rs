//! Questions as JSON for `--json`, under the keys that the tools of the server use.
use serde_json::Value;

use crate::mesh::{AskedQuestion, QuestionStatus};
use crate::model::QuestionState;
use crate::tools::output::{QuestionEnd, QuestionResult};

/// Returns the result of a question that was waited for; `stopped` says that the person ended the wait.
pub(super) fn awaited_question(question: &QuestionStatus, waited_ms: i64, stopped: bool) -> Value {
    let (end, hint) = match question.question.state {
        QuestionState::Answered | QuestionState::Declined => (QuestionEnd::Replied, None),
        QuestionState::Open if stopped => (
            QuestionEnd::Cancelled { withdrawn: false },
            Some(ANSWER_LATER_HINT),
        ),
        QuestionState::Open => (
            QuestionEnd::Unanswered("timed_out"),
            Some(ANSWER_LATER_HINT),
        ),
        state @ (QuestionState::Withdrawn | QuestionState::Expired) => (
            QuestionEnd::Unanswered(state.as_str()),
            Some(ANSWER_LATER_HINT),
        ),
    };
    let result = QuestionResult {
        question,
        end,
        waited_ms: Some(waited_ms),
        hint,
    };
    result.to_json().into()
}

/// Returns the result of a question that a call leaves open because a question for its own session came.
pub(super) fn interrupted_question(question: &QuestionStatus) -> Value {
    let result = QuestionResult {
        question,
        end: QuestionEnd::Unanswered("interrupted"),
        waited_ms: None,
        hint: None,
    };
    result.to_json().into()
}

/// Returns the result of a question that is not waited for: it is held, or no session of the peer can be asked.
pub(super) fn stored_question(asked: &AskedQuestion, question: &QuestionStatus) -> Value {
    let end = asked.held.map_or(
        QuestionEnd::Offline {
            last_seen_at_ms: asked.last_seen_at_ms,
            same_project: Some(&asked.same_project),
        },
        QuestionEnd::Held,
    );
    let result = QuestionResult {
        question,
        end,
        waited_ms: None,
        hint: Some(ANSWER_LATER_HINT),
    };
    result.to_json().into()
}

/// Where an answer is found that comes later.
pub(super) const ANSWER_LATER_HINT: &str =
    "the question stays open for 7 days; `claude-mesh inbox` shows the answer when it comes";
