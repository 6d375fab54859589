//! Peers, questions and their way as JSON, under the keys the tools of the server use.
use serde_json::{Value, json};

use crate::ground::clock::rfc3339;
use crate::mesh::{Asked, LateAnswer, PeerView, Standing, Waiting};
use crate::model::{Delivery, Liveness, QuestionState};
use crate::store::Question;

/// A peer as `list_peers` gives it.
pub(super) fn peer(view: &PeerView, now_ms: i64) -> Value {
    let PeerView { peer, session, .. } = view;
    let place = session.as_ref().map(|session| &session.place);
    // A live process is seen now.
    let last_seen_ms = if view.liveness == Liveness::Alive {
        now_ms
    } else {
        peer.last_seen_at_ms
    };
    json!({
        "peer": peer.name,
        "peer_id": peer.id,
        "aliases": view.aliases,
        "liveness": view.liveness,
        "activity": view.activity,
        "askable": view.askable,
        "role": peer.role,
        "summary": peer.summary,
        "doing": null,
        "current_task": null,
        "agent": session.as_ref().and_then(|session| session.agent.as_deref()),
        "host": place.map(|place| place.host.as_str()),
        "project": peer.project,
        "git_root": peer.git_root,
        "git_branch": peer.branch.as_ref().or(peer.git_branch.as_ref()),
        "epoch": peer.epoch,
        "started_at": session.as_ref().map(|session| rfc3339(session.started_at_ms)),
        "last_seen_at": rfc3339(last_seen_ms),
        "idle_seconds": null,
        "quiet_until": null,
        "questions_waiting": view.questions_waiting,
        "claims": [],
    })
}

/// The way of a question so far.
pub(super) fn delivery(delivery: &Delivery) -> Value {
    let mut value = json!({
        "stored_at": rfc3339(delivery.stored_at_ms),
        "wake": delivery.wake,
        "shown_times": delivery.shown_times,
        "peer_activity": delivery.peer_activity,
    });
    if let Some(at_ms) = delivery.woken_at_ms {
        value["woken_at"] = rfc3339(at_ms).into();
    }
    if let Some(at_ms) = delivery.shown_at_ms {
        value["shown_at"] = rfc3339(at_ms).into();
    }
    value
}

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
            "delivery": delivery(&standing.delivery),
            "waited_ms": waited_ms,
            "hint": LATER,
        }),
    };
    merge(&mut value, more);
    value
}

/// The result of an ask when nobody sits there.
pub(super) fn offline(asked: &Asked) -> Value {
    json!({
        "status": "offline",
        "question_id": asked.question,
        "from": asked.to,
        "last_seen_at": rfc3339(asked.last_seen_at_ms),
        "same_project": asked.same_project,
        "hint": LATER,
    })
}

/// A question that waits for somebody.
pub(super) fn waiting(waiting: &Waiting) -> Value {
    let question = &waiting.pending.question;
    let mut value = json!({
        "question_id": question.id,
        "from": waiting.from,
        "asked_at": rfc3339(question.asked_at_ms),
        "asker_waiting": waiting.asker_waiting,
        "question": question.question,
        "context": question.context,
        "shown_times": question.shown_times,
    });
    if let Some(seat) = &waiting.instead_of {
        value["addressed_to"] = json!(seat);
    }
    value
}

/// An answer that came when nobody waited.
pub(super) fn late_answer(late: &LateAnswer) -> Value {
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
