//! Results as JSON: one object per call, the keys other programs build on.
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::ground::clock::rfc3339;
use crate::ground::id::QuestionId;
use crate::mesh::{Inbox, Interruption, LateAnswer, PeerView, Standing, WaitReason, Waiting};
use crate::model::brake::{FOREVER_MS, Held, HoldReason};
use crate::model::{AnsweredBy, Delivery, QuestionState};
use crate::store::Question;

/// A result stops at so many characters; the rest comes with another call.
pub(super) const CHARS_MAX: usize = 200_000;

/// Returns a successful result of one text block.
pub(super) fn ok(body: &Value) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(body.to_string())])
}

/// Returns the result for a question that was answered or declined.
pub(super) fn replied(standing: &Standing, waited_ms: Option<i64>) -> Map<String, Value> {
    let question = &standing.question;
    let mut result = head(
        if question.state == QuestionState::Declined {
            "declined"
        } else {
            "answered"
        },
        question.id,
        standing,
    );
    result.insert(
        "by".into(),
        json!(question.answered_by.unwrap_or(AnsweredBy::Session)),
    );
    result.insert("answer".into(), json!(question.answer));
    result.insert(
        "answered_at".into(),
        json!(question.answered_at_ms.map(rfc3339)),
    );
    if let Some(waited_ms) = waited_ms {
        result.insert("waited_ms".into(), waited_ms.into());
    }
    result
}

/// Returns the result for a question that is still open when its call returns.
pub(super) fn unanswered(status: &str, standing: &Standing, hint: &str) -> Map<String, Value> {
    let mut result = head(status, standing.question.id, standing);
    result.insert("delivery".into(), delivery(&standing.delivery));
    result.insert("hint".into(), hint.into());
    result
}

fn head(status: &str, id: QuestionId, standing: &Standing) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("status".into(), status.into());
    result.insert("question_id".into(), json!(id));
    result.insert("from".into(), json!(standing.peer));
    result
}

/// Returns the result for a question that is stored without ringing.
pub(super) fn held(standing: &Standing, held: Held) -> Map<String, Value> {
    let hint = match held.reason {
        HoldReason::WakeBudget => {
            "Peers have started as many turns there as they may until its person types again. The question is stored and shown then; do not ask again."
        }
        HoldReason::Quiet | HoldReason::Paused => {
            "Its person wants it left alone for now. The question is stored and rung for when that ends; do not ask again."
        }
    };
    let mut result = unanswered("held", standing, hint);
    result.insert("reason".into(), json!(held.reason));
    result.insert("until".into(), json!(held.until_ms.map(rfc3339)));
    result
}

/// Returns the truth about the way of a question so far.
pub(super) fn delivery(delivery: &Delivery) -> Value {
    let mut map = Map::new();
    map.insert("stored_at".into(), rfc3339(delivery.stored_at_ms).into());
    if let Some(at) = delivery.woken_at_ms {
        map.insert("woken_at".into(), rfc3339(at).into());
    }
    map.insert("wake".into(), delivery.wake.as_str().into());
    if let Some(problem) = &delivery.wake_problem {
        map.insert("wake_problem".into(), problem.as_str().into());
    }
    if let Some(at) = delivery.shown_at_ms {
        map.insert("shown_at".into(), rfc3339(at).into());
    }
    map.insert("shown_times".into(), delivery.shown_times.into());
    map.insert("peer_activity".into(), json!(delivery.peer_activity));
    Value::Object(map)
}

/// Returns what interrupted a wait, as keys of the waiting call's result.
pub(super) fn interruption(interruption: &Interruption) -> Map<String, Value> {
    let mut map = Map::new();
    match &interruption.reason {
        WaitReason::IncomingQuestion => {
            map.insert("reason".into(), "incoming_question".into());
        }
        WaitReason::Cycle(chain) => {
            map.insert("reason".into(), "wait_cycle".into());
            map.insert("chain".into(), json!(chain));
        }
    }
    map.insert(
        "questions".into(),
        interruption.questions.iter().map(waiting).collect(),
    );
    map.insert("hint".into(), "Answer these with reply_to_peer first, then call await_reply with the question_id of your own question.".into());
    map
}

/// Returns a question that waits for this session.
pub(super) fn waiting(waiting: &Waiting) -> Value {
    let question = &waiting.pending.question;
    let mut map = Map::new();
    map.insert("question_id".into(), json!(question.id));
    map.insert("from".into(), json!(waiting.from));
    if let Some(seat) = &waiting.instead_of {
        map.insert("addressed_to".into(), json!(seat));
    }
    map.insert("asked_at".into(), rfc3339(question.asked_at_ms).into());
    map.insert("asker_waiting".into(), waiting.asker_waiting.into());
    map.insert("question".into(), question.question.as_str().into());
    map.insert("context".into(), json!(question.context));
    map.insert("shown_times".into(), (question.shown_times + 1).into());
    Value::Object(map)
}

/// Returns an answer that came when nobody waited.
pub(super) fn late_answer(late: &LateAnswer) -> Value {
    let LateAnswer { question, from } = late;
    json!({
        "question_id": question.id,
        "from": from,
        "question": crate::ground::text::cut_chars(&question.question, 200),
        "declined": question.state == QuestionState::Declined,
        "expired": question.state == QuestionState::Expired,
        "answer": question.answer,
        "answered_at": question.answered_at_ms.map(rfc3339),
        "late": question.answer_late,
    })
}

/// Returns the inbox, as much as a result carries; what is left out was not shown. Gives back what it contains.
pub(super) fn inbox(you: &str, inbox: Inbox) -> (Value, Inbox) {
    let mut taken = Inbox::default();
    let mut chars = 0;
    let mut fits = |value: &Value| {
        chars += value.to_string().len();
        chars <= CHARS_MAX
    };
    let mut truncated = false;
    let (mut questions, mut answers) = (Vec::new(), Vec::new());
    for one in inbox.questions {
        let value = waiting(&one);
        if fits(&value) {
            questions.push(value);
            taken.questions.push(one);
        } else {
            truncated = true;
        }
    }
    for one in inbox.answers {
        let value = late_answer(&one);
        if fits(&value) {
            answers.push(value);
            taken.answers.push(one);
        } else {
            truncated = true;
        }
    }
    let mut body = json!({
        "you": you, "questions": questions, "answers": answers,
        "messages_unread": 0, "claims_granted": [], "tasks": [], "events": [],
        "held": taken.questions.iter().filter(|one| one.pending.question.held.is_some()).count(),
    });
    if truncated {
        body["truncated"] = true.into();
        body["hint"] = "Answer these, then call poll_inbox again for the rest.".into();
    }
    (body, taken)
}

/// Returns one question in full, whichever side of it the reader is on.
pub(super) fn full_question(you: &str, question: &Question, asker: &str, addressee: &str) -> Value {
    json!({
        "you": you,
        "questions": [{
            "question_id": question.id,
            "from": asker,
            "addressed_to": addressee,
            "asked_at": rfc3339(question.asked_at_ms),
            "state": question.state,
            "question": question.question,
            "context": question.context,
            "answer": question.answer,
            "shown_times": question.shown_times,
        }],
        "answers": [], "messages_unread": 0, "claims_granted": [], "tasks": [], "events": [], "held": 0,
    })
}

/// Returns one entry of the list of peers.
pub(super) fn peer(view: &PeerView, now_ms: i64) -> Value {
    let PeerView { peer, session, .. } = view;
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
        "agent": session.as_ref().and_then(|session| session.agent.clone()),
        "host": session.as_ref().map(|session| session.place.host.clone()),
        "project": peer.project,
        "git_root": peer.git_root,
        "git_branch": peer.branch.as_ref().or(peer.git_branch.as_ref()),
        "epoch": peer.epoch,
        "started_at": session.as_ref().map(|session| rfc3339(session.started_at_ms)),
        "last_seen_at": rfc3339(last_seen(view, now_ms)),
        "idle_seconds": null,
        "quiet_until": quiet_until(peer.quiet_until_ms, now_ms),
        "questions_waiting": view.questions_waiting,
        "claims": [],
    })
}

/// Until when a peer is quiet; `forever` until its person ends it.
fn quiet_until(until_ms: Option<i64>, now_ms: i64) -> Option<String> {
    let until_ms = until_ms.filter(|until_ms| *until_ms > now_ms)?;
    Some(if until_ms == FOREVER_MS {
        "forever".into()
    } else {
        rfc3339(until_ms)
    })
}

/// A live process is seen now; otherwise the last trace counts.
fn last_seen(view: &PeerView, now_ms: i64) -> i64 {
    let traced = view
        .session
        .as_ref()
        .map_or(view.peer.last_seen_at_ms, |session| {
            session.last_seen_at_ms.max(view.peer.last_seen_at_ms)
        });
    if view.liveness == crate::model::Liveness::Alive {
        now_ms
    } else {
        traced
    }
}
