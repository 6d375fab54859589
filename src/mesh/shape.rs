//! Peers, questions and their way as JSON, under the keys that other programs build on: the same for the tools of the server
//! and for the command line.
use serde_json::{Map, Value, json};

use super::{
    Audience, BulkUpdated, ClaimLine, Claimed, FileClaim, Grant, Granted, LateAnswer, PeerView,
    Posted, Released, Sitting, Status, TaskCreated, TaskUpdated, Ticket, Waiting,
};
use crate::ground::Moment;
use crate::ground::clock::rfc3339;
use crate::ground::text::cut_chars;
use crate::model::brake::{FOREVER_MS, Held};
use crate::model::state::{Entry, Namespace};
use crate::model::{Delivery, Liveness, QuestionState, Refusal, TaskStatus};
use crate::store::{Claim, Message, Task};

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
        "current_task": view.current_task.as_ref().map(current_task),
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
        "claims": view.claims.iter().map(claimed).collect::<Vec<_>>(),
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

/// Returns a claim whose turn came while nobody waited.
pub fn granted(granted: &Granted) -> Value {
    let mut value = claimed(&granted.claim);
    value["claim_id"] = json!(granted.claim.id);
    value["lease_expires_at"] = rfc3339(granted.until_ms).into();
    value
}

/// Returns a message.
pub fn message(message: &Message) -> Value {
    json!({
        "message_id": message.id,
        "from": message.from,
        "to": message.to,
        "type": message.kind,
        "subject": message.subject,
        "body": message.body,
        "posted_at": rfc3339(message.posted_at_ms),
        "expires_at": message.expires_at_ms.map(rfc3339),
        "in_reply_to": message.in_reply_to,
    })
}

/// Returns what came of posting a message.
pub fn posted(posted: &Posted) -> Value {
    json!({ "message_id": posted.id, "recipients": posted.recipients, "offline": posted.offline })
}

/// Returns topics with who hears of them.
pub fn audiences(audiences: &[Audience]) -> Value {
    let one = |audience: &Audience| json!({ "topic": audience.topic, "subscribers": audience.subscribers });
    json!({ "topics": audiences.iter().map(one).collect::<Vec<_>>() })
}

/// Returns an entry of the shared state.
pub fn entry(entry: &Entry) -> Value {
    let (by, at_ms) = entry
        .updated
        .as_ref()
        .map(|(by, at_ms)| (by, *at_ms))
        .unzip();
    json!({
        "namespace": entry.namespace,
        "key": entry.key,
        "value": entry.value,
        "version": entry.version,
        "updated_by": by,
        "updated_at": at_ms.map(rfc3339),
        "expires_at": entry.expires_at_ms.map(rfc3339),
    })
}

/// Returns a list of entries of one namespace.
pub fn entries(namespace: &Namespace, entries: &[Entry], more: bool) -> Value {
    let list: Vec<Value> = entries.iter().map(entry).collect();
    json!({ "namespace": namespace.name, "entries": list, "truncated": more })
}

/// Returns what became of a deletion: the version it has, or `None` when there was nothing.
pub fn deletion(namespace: &Namespace, key: &str, version: Option<i64>) -> Value {
    json!({
        "namespace": namespace.name,
        "key": key,
        "deleted": version.is_some(),
        "version": version.unwrap_or(0),
    })
}

/// Returns the figures of the mesh, as far as they are the same for whoever looks.
pub fn status(status: &Status) -> Map<String, Value> {
    let [alive, stale, dead] = status.peers;
    let [open, answered, expired] = status.questions;
    let figures = json!({
        "peers": { "alive": alive, "stale": stale, "dead": dead },
        "questions": { "open": open, "answered": answered, "expired": expired },
        "messages": status.messages,
        "claims": status.claims,
        "tasks": status.tasks,
        "memories": 0,
        "events": status.events,
        "engine": "sqlite",
    });
    match figures {
        Value::Object(figures) => figures,
        _ => Map::new(),
    }
}

/// Returns what came of asking for a claim.
pub fn claim(claimed: &Claimed, now: &Moment) -> Value {
    let holders = |claims: &[Claim]| -> Vec<Value> {
        claims.iter().map(|claim| holder(claim, now)).collect()
    };
    match claimed {
        Claimed::Granted(Grant { claim, renewed }) => json!({
            "status": "granted",
            "claim_id": claim.id,
            "fence": claim.fence,
            "mode": claim.mode,
            "lease_expires_at": rfc3339(expires_ms(claim, now)),
            "renewed": renewed,
        }),
        Claimed::Denied { holders: held } => {
            json!({ "status": "denied", "holders": holders(held) })
        }
        Claimed::Queued(Ticket {
            id,
            place,
            holders: held,
            ..
        }) => json!({
            "status": "queued",
            "claim_id": id,
            "queue_position": place,
            "holders": holders(held),
        }),
    }
}

/// Returns what came of giving a claim back.
pub fn released(released: &Released) -> Value {
    let was = released
        .was
        .map_or("gone", crate::model::ClaimState::as_str);
    json!({ "released": released.was.is_some(), "was": was, "promoted": released.promoted })
}

/// Returns who holds a resource and who stands in line for it. One's own claims carry their ids.
pub fn line(line: &ClaimLine, me: Option<&Sitting>, now: &Moment) -> Value {
    let own = |mut value: Value, claim: &Claim| {
        if ClaimLine::is_own(claim, me) {
            value["claim_id"] = json!(claim.id);
        }
        value
    };
    let holders = line.holders.iter().map(|claim| {
        let mut value = holder(claim, now);
        value["fence"] = json!(claim.fence);
        own(value, claim)
    });
    let queue = line.queue.iter().enumerate().map(|(place, claim)| {
        let value = json!({
            "queue_position": place + 1,
            "peer": claim.peer_name,
            "mode": claim.mode,
            "note": claim.note,
            "claimed_at": rfc3339(claim.claimed_at_ms),
        });
        own(value, claim)
    });
    json!({
        "resource": line.resource,
        "holders": holders.collect::<Vec<_>>(),
        "queue": queue.collect::<Vec<_>>(),
        "fence": line.fence,
    })
}

/// Returns when a lease ends, in wall milliseconds; a lapsed one that is still honoured has ended.
pub fn expires_ms(claim: &Claim, now: &Moment) -> i64 {
    now.wall_ms + claim.lease.until_ms - now.monotonic_ms
}

fn holder(claim: &Claim, now: &Moment) -> Value {
    json!({
        "peer": claim.peer_name,
        "mode": claim.mode,
        "note": claim.note,
        "lease_expires_at": rfc3339(expires_ms(claim, now)),
    })
}

fn claimed(claim: &Claim) -> Value {
    json!({ "resource": claim.resource, "mode": claim.mode, "fence": claim.fence })
}

/// Returns a task.
pub fn task(task: &Task) -> Value {
    json!({
        "task_id": task.id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "assigned_to": task.assigned_name,
        "files_owned": task.files_owned,
        "priority": task.priority,
        "depends_on": task.depends_on,
        "created_by": task.created_by_name,
        "created_at": rfc3339(task.created_at_ms),
        "updated_at": rfc3339(task.updated_at_ms),
        "version": task.version,
        "project": task.project,
    })
}

/// Returns what came of creating a task.
pub fn task_created(created: &TaskCreated) -> Value {
    json!({ "task": task(&created.task), "created": created.created })
}

/// Returns what came of changing a task; of one that was begun also who has its files.
pub fn task_updated(updated: &TaskUpdated, now: &Moment) -> Value {
    let mut value = json!({ "task": task(&updated.task) });
    add_files(&mut value, updated, now);
    value
}

/// Returns what came of changing several tasks.
pub fn tasks_updated(outcomes: &BulkUpdated, now: &Moment) -> Value {
    let (mut updated, mut refused) = (Vec::new(), Vec::new());
    for (id, outcome) in outcomes {
        match outcome {
            Ok(one) => {
                let task = &one.task;
                let mut value =
                    json!({ "task_id": id, "status": task.status, "version": task.version });
                add_files(&mut value, one, now);
                updated.push(value);
            }
            Err(refusal) => refused.push(task_refused(&id.to_string(), refusal)),
        }
    }
    json!({ "updated": updated, "refused": refused })
}

/// Returns a change of a task that was refused beside others.
pub fn task_refused(id: &str, refusal: &Refusal) -> Value {
    let error = json!({ "code": refusal.code(), "message": refusal.to_string() });
    json!({ "task_id": id, "error": error })
}

/// Returns how many tasks there are in each status.
pub fn task_counts(counts: [u32; 5]) -> Value {
    let pairs = TaskStatus::ALL.iter().zip(counts);
    pairs
        .map(|(status, count)| (status.as_str().to_owned(), count.into()))
        .collect::<Map<_, _>>()
        .into()
}

/// Returns a task that somebody has not begun, as its inbox shows it.
pub fn task_waiting(task: &Task) -> Value {
    json!({ "task_id": task.id, "title": task.title, "priority": task.priority, "from": task.created_by_name })
}

fn add_files(value: &mut Value, updated: &TaskUpdated, now: &Moment) {
    if updated.claims.is_empty() {
        return;
    }
    let one = |FileClaim { claim, own }: &FileClaim| {
        let mut value = json!({ "resource": claim.resource });
        if *own {
            value["status"] = "granted".into();
            value["claim_id"] = json!(claim.id);
            value["fence"] = json!(claim.fence);
        } else {
            value["status"] = "held_by".into();
            value["peer"] = json!(claim.peer_name);
        }
        value["lease_expires_at"] = rfc3339(expires_ms(claim, now)).into();
        value
    };
    value["claims"] = updated.claims.iter().map(one).collect();
}

/// The beginning of its title, then its id.
fn current_task(task: &Task) -> String {
    format!("{} ({})", cut_chars(&task.title, 120), task.id)
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
