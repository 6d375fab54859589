//! Peers, questions and their way as JSON, under the keys the tools of the server use.
use serde_json::{Value, json};

use crate::mesh::{AskedQuestion, QuestionStatus};
use crate::model::{DeliveryStatus, QuestionState};
use crate::platform::clock::rfc3339;
use crate::store::Question;
use crate::tools::output;

/// The result of an ask that was waited for.
pub(super) fn question_status(question_status: &QuestionStatus, waited_ms: i64) -> Value {
    let question = &question_status.question;
    let mut value = json!({
        "status": status(question.state),
        "question_id": question.id,
        "from": question_status.peer,
    });
    let extra = match question.state {
        QuestionState::Answered | QuestionState::Declined => json!({
            "by": question.answered_by,
            "answer": question.answer,
            "answered_at": question.answered_at_ms.map(rfc3339),
            "waited_ms": waited_ms,
        }),
        _ => json!({
            "delivery": output::delivery(&question_status.delivery),
            "waited_ms": waited_ms,
            "hint": ANSWER_LATER_HINT,
        }),
    };
    merge(&mut value, extra);
    value
}

/// What a question is that a call leaves open because one for its own session came.
pub(super) fn interrupted(question_status: &QuestionStatus) -> Value {
    json!({
        "status": "interrupted",
        "question_id": question_status.question.id,
        "from": question_status.peer,
        "delivery": output::delivery(&question_status.delivery),
    })
}

/// The result of an ask that is not waited for: it is held, or nobody sits there.
pub(super) fn stored(asked: &AskedQuestion, delivery: &DeliveryStatus) -> Value {
    if let Some(held) = asked.held {
        let mut value = serde_json::Map::new();
        value.insert("status".into(), "held".into());
        value.insert("question_id".into(), json!(asked.question));
        value.insert("from".into(), json!(asked.to));
        value.insert("delivery".into(), output::delivery(delivery));
        output::insert_throttle(&mut value, held);
        value.insert("hint".into(), ANSWER_LATER_HINT.into());
        return value.into();
    }
    json!({
        "status": "offline",
        "question_id": asked.question,
        "from": asked.to,
        "delivery": output::delivery(delivery),
        "last_seen_at": rfc3339(asked.last_seen_at_ms),
        "same_project": asked.same_project,
        "hint": ANSWER_LATER_HINT,
    })
}

/// A question between two others.
pub(super) fn between(question: &Question, from: &str, to: &str) -> Value {
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

/// Where an answer is found that comes later.
pub(super) const ANSWER_LATER_HINT: &str =
    "the question stays open for 7 days; `claude-mesh inbox` shows the answer when it comes";

fn status(state: QuestionState) -> &'static str {
    match state {
        QuestionState::Open => "timed_out",
        state => state.as_str(),
    }
}

fn merge(value: &mut Value, extra: Value) {
    if let (Value::Object(value), Value::Object(extra)) = (value, extra) {
        value.extend(extra);
    }
}
