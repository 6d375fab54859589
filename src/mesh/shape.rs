//! Peers, questions and their way as JSON, under the keys that other programs build on: the same for the tools of the server
//! and for the command line.
use serde_json::{Value, json};

use super::{Known, LateAnswer, PeerView, Remembered, Waiting};
use crate::ground::clock::rfc3339;
use crate::ground::text::cut_bytes;
use crate::model::brake::{FOREVER_MS, Held};
use crate::model::known::BYTES_MAX;
use crate::model::memory::{Query, snippet};
use crate::model::{Delivery, Liveness, PeerName, QuestionState};
use crate::store::{Found, Memory};

/// Returns a peer.
pub fn peer(view: &PeerView, now_ms: i64) -> Value {
    let PeerView { peer, session, .. } = view;
    let place = session.as_ref().map(|session| &session.place);
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
        "last_seen_at": rfc3339(last_seen_ms(view, now_ms)),
        "idle_seconds": null,
        "quiet_until": peer.quiet_until_ms.filter(|until_ms| *until_ms > now_ms).map(until),
        "questions_waiting": view.questions_waiting,
        "claims": [],
    })
}

/// Returns the truth about the way of a question so far. What has not happened has no key.
pub fn delivery(delivery: &Delivery) -> Value {
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
    value["peer_activity"] = json!(delivery.peer_activity);
    value
}

/// Returns a question that waits for somebody.
pub fn waiting(waiting: &Waiting) -> Value {
    let question = &waiting.pending.question;
    let mut value = json!({ "question_id": question.id, "from": waiting.from });
    if let Some(seat) = &waiting.instead_of {
        value["addressed_to"] = json!(seat);
    }
    value["asked_at"] = rfc3339(question.asked_at_ms).into();
    value["asker_waiting"] = waiting.asker_waiting.into();
    value["question"] = question.question.as_str().into();
    value["context"] = json!(question.context);
    value["shown_times"] = question.shown_times.into();
    value
}

/// Returns how a question of one's own ended while nobody waited.
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

/// Returns what came of remembering.
pub fn remembered(remembered: &Remembered) -> Value {
    json!({ "memory_id": remembered.id, "key": remembered.key, "version": remembered.version })
}

/// Returns a memory that was found. Its text is as it was stored.
pub fn memory(found: &Found, query: Option<&Query>) -> Value {
    let memory = &found.memory;
    json!({
        "memory_id": memory.id,
        "key": memory.key,
        "text": memory.text,
        "tags": memory.tags,
        "scope": memory.kept_for().as_str(),
        "by": memory.by,
        "at": rfc3339(memory.at_ms),
        "score": (found.score * 1000.0).round() / 1000.0,
        "snippet": snippet(&memory.text, query),
    })
}

/// Returns one version of a memory, with who replaced it and when.
pub fn version(memory: &Memory) -> Value {
    let (by, at) = memory.superseded.clone().unzip();
    json!({
        "memory_id": memory.id,
        "version": memory.version,
        "text": memory.text,
        "tags": memory.tags,
        "by": memory.by,
        "at": rfc3339(memory.at_ms),
        "superseded_by": by,
        "superseded_at": at.map(rfc3339),
    })
}

/// Returns earlier answers, within the room a result has for them. The first gets the most of it; what is cut says so.
pub fn known(known: &[Known]) -> Vec<Value> {
    let mut left = BYTES_MAX;
    let mut values = Vec::new();
    for (at, one) in known.iter().enumerate() {
        // The first may have all but what the others need at least.
        let others = known.len() - at - 1;
        let room = left.saturating_sub(KNOWN_BYTES_MIN * others);
        let Some(value) = known_within(one, room) else {
            break;
        };
        left = left.saturating_sub(value.to_string().len() + 1);
        values.push(value);
    }
    values
}

/// Returns the result of a question that woke nobody and is stored nowhere.
pub fn known_only(peer: &PeerName, known: &[Known]) -> Value {
    json!({ "status": "known", "question_id": null, "from": peer, "known": self::known(known) })
}

/// An earlier answer is not worth less room than this.
const KNOWN_BYTES_MIN: usize = 700;

fn known_within(known: &Known, bytes: usize) -> Option<Value> {
    let answered = &known.answered;
    let matched: Vec<&String> = known.matched.iter().take(12).collect();
    let value = |question: &str, answer: &str| {
        let mut value = json!({
            "question_id": answered.id,
            "question": question,
            "answer": answer,
            "answered_at": rfc3339(answered.answered_at_ms),
            "git_head_then": answered.head,
            "git_head_now": known.head_now,
            "matched": matched,
        });
        if answer.len() < answered.answer.len() || question.len() < answered.question.len() {
            value["cut"] = true.into();
        }
        value
    };
    // Signs that JSON writes longer take their room too: halve until it fits.
    let (mut question, mut answer) = (answered.question.as_str(), answered.answer.as_str());
    loop {
        let whole = value(question, answer);
        if whole.to_string().len() <= bytes {
            return Some(whole);
        }
        if question.len() > 300 {
            question = cut_bytes(question, 300);
        } else if answer.len() > 100 {
            let over = whole.to_string().len() - bytes;
            let keep = answer.len().saturating_sub(over + 1).max(answer.len() / 2);
            answer = cut_bytes(answer, keep);
        } else if question.len() > 60 {
            question = cut_bytes(question, question.len() / 2);
        } else {
            return None;
        }
    }
}

/// Adds why a question is held, and until when.
pub fn add_held(value: &mut serde_json::Map<String, Value>, held: Held) {
    value.insert("reason".into(), json!(held.reason));
    value.insert("until".into(), json!(held.until_ms.map(rfc3339)));
}

/// Returns the end of a brake; `forever` when only its person ends it.
pub fn until(until_ms: i64) -> String {
    if until_ms == FOREVER_MS {
        "forever".into()
    } else {
        rfc3339(until_ms)
    }
}

/// A live process is seen now; otherwise the last trace counts.
fn last_seen_ms(view: &PeerView, now_ms: i64) -> i64 {
    let session_ms = view.session.as_ref().map(|session| session.last_seen_at_ms);
    match view.liveness {
        Liveness::Alive => now_ms,
        _ => view.peer.last_seen_at_ms.max(session_ms.unwrap_or(0)),
    }
}
