//! Peers, questions and their way as JSON, under the keys the tools of the server use.
use serde_json::{Value, json};

use crate::mesh::{Asked, Standing};
use crate::model::{Delivery, QuestionState};
use crate::platform::clock::rfc3339;
use crate::store::Question;
use crate::tools::output;

/// The result of an ask that was waited for.
pub(super) fn standing(standing: &Standing, waited_ms: i64) -> Value {
    let question = &standing.question;
    let mut value = json!({
        "status": status(question.state),
        "question_id": question.id,
        "from": standing.peer,
    });
    let more = match question.state {
        QuestionState::Answered | QuestionState::Declined => json!({
            "by": question.answered_by,
            "answer": question.answer,
            "answered_at": question.answered_at_ms.map(rfc3339),
            "waited_ms": waited_ms,
        }),
        _ => json!({
            "delivery": output::delivery(&standing.delivery),
            "waited_ms": waited_ms,
            "hint": LATER,
        }),
    };
    merge(&mut value, more);
    value
}

/// What a question is that a call leaves open because one for its own session came.
pub(super) fn interrupted(standing: &Standing) -> Value {
    json!({
        "status": "interrupted",
        "question_id": standing.question.id,
        "from": standing.peer,
        "delivery": output::delivery(&standing.delivery),
    })
}

/// The result of an ask that is not waited for: it is held, or nobody sits there.
pub(super) fn stored(asked: &Asked, delivery: &Delivery) -> Value {
    if let Some(held) = asked.held {
        let mut value = serde_json::Map::new();
        value.insert("status".into(), "held".into());
        value.insert("question_id".into(), json!(asked.question));
        value.insert("from".into(), json!(asked.to));
        value.insert("delivery".into(), output::delivery(delivery));
        output::add_held(&mut value, held);
        value.insert("hint".into(), LATER.into());
        return value.into();
    }
    json!({
        "status": "offline",
        "question_id": asked.question,
        "from": asked.to,
        "delivery": output::delivery(delivery),
        "last_seen_at": rfc3339(asked.last_seen_at_ms),
        "same_project": asked.same_project,
        "hint": LATER,
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
pub(super) const LATER: &str =
    "the question stays open for 7 days; `claude-mesh inbox` shows the answer when it comes";

fn status(state: QuestionState) -> &'static str {
    match state {
        QuestionState::Open => "timed_out",
        state => state.as_str(),
    }
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
