//! Peers, questions and their way as JSON, under the keys that other programs build on: the same for the tools of the server
//! and for the command line. The other nouns have a file each.
mod claim;
mod memory;
mod message;
mod question;
mod state;
mod task;

use serde_json::{Map, Value, json};

use crate::mesh::{LateAnswer, PeerView, PendingQuestion, RankedPeer, Status};
use crate::model::activity::ActivitySummary;
use crate::model::throttle::{Throttled, end_text};
use crate::model::{DeliveryStatus, Liveness, QuestionState};
use crate::platform::clock::rfc3339;

pub use crate::mesh::lease_expires_at_ms;
pub use crate::tools::output::claim::{claim, granted, line, released};
pub use crate::tools::output::memory::{
    memory, prior_answers, prior_answers_only, remembered, version,
};
pub use crate::tools::output::message::{message, posted, topic_subscribers};
pub use crate::tools::output::question::{QuestionEnd, QuestionResult};
pub use crate::tools::output::state::{deletion, entries, entry};
pub use crate::tools::output::task::{
    task, task_counts, task_created, task_updated, tasks_updated, unstarted_task,
};

/// Returns a peer.
pub fn peer(view: &PeerView, now_ms: i64) -> Value {
    let PeerView { peer, session, .. } = view;
    let location = session.as_ref().map(|session| &session.location);
    json!({
        "peer": peer.name,
        "peer_id": peer.id,
        "aliases": view.aliases,
        "liveness": view.liveness,
        "activity": view.activity,
        "askable": view.askable,
        "role": peer.role,
        "summary": peer.summary,
        "doing": view.activity_summary.as_ref().and_then(ActivitySummary::line),
        "current_task": view.current_task.as_ref().map(task::current_task),
        "agent": session.as_ref().and_then(|session| session.agent.as_deref()),
        "host": location.map(|location| location.host.as_str()),
        "project": peer.project,
        "git_root": peer.git_root,
        "git_branch": peer.branch.as_ref().or(peer.git_branch.as_ref()),
        "epoch": peer.epoch,
        "started_at": session.as_ref().map(|session| rfc3339(session.started_at_ms)),
        "last_seen_at": rfc3339(last_seen_ms(view, now_ms)),
        "idle_seconds": view.idle_ms.map(|ms| ms / 1000),
        "quiet_until": peer.quiet_until_ms.filter(|until_ms| *until_ms > now_ms).map(end_text),
        "questions_waiting": view.questions_waiting,
        "held": view.held.map(|held| held.reason),
        "posted_turns": session.as_ref().map(|session| session.posted_turns),
        "stops": session.as_ref().map(|session| session.stop_streak),
        "claims": view.claims.iter().map(claim::claimed).collect::<Vec<_>>(),
    })
}

/// Returns a peer in the order of who most likely knows, and why it stands there.
pub fn ranked(ranked: &RankedPeer, now_ms: i64) -> Value {
    let mut value = peer(&ranked.view, now_ms);
    value["why"] = json!(ranked.why);
    value
}

/// Returns the truth about the way of a question so far. What has not happened has no key.
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

/// Returns a question that waits for somebody.
pub fn waiting(waiting: &PendingQuestion) -> Value {
    let question = &waiting.pending.question;
    let mut value = json!({ "question_id": question.id, "from": waiting.from });
    if let Some(seat) = &waiting.on_behalf_of {
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

/// Returns the figures of the mesh, as far as they are the same for whoever looks.
pub fn status(status: &Status) -> Map<String, Value> {
    let [alive, stale, dead] = status.peers;
    let [open, answered, expired] = status.questions;
    let counts = json!({
        "peers": { "alive": alive, "stale": stale, "dead": dead },
        "questions": { "open": open, "answered": answered, "expired": expired },
        "messages": status.messages,
        "claims": status.claims,
        "tasks": status.tasks,
        "memories": status.memories,
        "events": status.events,
        "engine": "sqlite",
        "brakes": {
            "wake_budget": status.wake_budget,
            "posted_turns": status.posted_turns,
            "spent": status.over_budget,
            "held": status.held,
            "stops": status.stops,
        },
    });
    match counts {
        Value::Object(counts) => counts,
        _ => Map::new(),
    }
}

/// Adds why a question is held, and until when.
pub fn insert_throttle(value: &mut serde_json::Map<String, Value>, held: Throttled) {
    value.insert("reason".into(), json!(held.reason));
    value.insert("until".into(), json!(held.ends_at_ms.map(rfc3339)));
    if let Some(turns) = held.posted_turns {
        value.insert("posted_turns".into(), turns.into());
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
