//! Who is told of what became of a task: the one it is for, and the one who wants it done. Told by mail of the kind that
//! wakes, in the transaction of the change itself; nobody is told of what he did himself, and each is told once.
use std::collections::BTreeMap;

use crate::mesh::message::store;
use crate::mesh::{Rings, Sitting};
use crate::model::message::{MessageType, SentTo};
use crate::model::{PeerKind, Result, TaskStatus};
use crate::platform::id::PeerId;
use crate::platform::text::cut_chars;
use crate::store::{NewMessage, Target, Task, Tx};

/// What one message tells at most, in bytes; the rest is counted.
const BYTES_MAX: usize = 16_000;
/// So much of a reason is told; all of it stands in the description.
const REASON_CHARS: usize = 1_000;

/// What is to be told when a verb ends.
#[derive(Debug, Clone, Default)]
pub(in crate::mesh) struct Notices(BTreeMap<PeerId, Vec<String>>);

impl Notices {
    /// Notes that a task is somebody's from now on.
    pub(in crate::mesh) fn assigned(&mut self, task: &Task) {
        let Task {
            id,
            title,
            priority,
            ..
        } = task;
        let begins = match task.status {
            TaskStatus::Todo => "update_task {\"status\": \"in_progress\"} when you begin, then ",
            _ => "update_task ",
        };
        let words = format!(
            "Task {id} is yours now ({}): {title}\nCall list_tasks {{\"query\": \"{id}\"}} for all of it; {begins}{{\"status\": \"in_review\"}} when it is done.",
            priority.as_str()
        );
        self.tell(task.assigned_to, words);
    }

    /// Notes that a task is its earlier assignee's no more.
    pub(in crate::mesh) fn taken(&mut self, old: &Task, task: &Task) {
        let Task { id, title, .. } = task;
        let whose = task.assigned_name.as_deref().unwrap_or("nobody");
        self.tell(
            old.assigned_to,
            format!("Task {id} is {whose}'s now, leave it: {title}"),
        );
    }

    /// Notes a step that others than who took it should know.
    pub(in crate::mesh) fn stepped(&mut self, from: TaskStatus, task: &Task, reason: Option<&str>) {
        let Task { id, title, .. } = task;
        let why = reason.map_or_else(String::new, |reason| {
            format!("\nWhy: {}", cut_chars(reason.trim(), REASON_CHARS))
        });
        let creator = Some(task.created_by);
        match task.status {
            TaskStatus::Todo if from.is_rejected_by(TaskStatus::Todo) => self.tell(
                task.assigned_to,
                format!(
                    "Task {id} was sent back to todo: {title}{why}\n\
                     Do what is asked for, then move it to in_review again."
                ),
            ),
            TaskStatus::InReview => self.tell(
                creator,
                format!(
                    "Task {id} waits for your review: {title}{why}\n\
                     Call update_task with status done, or todo with a reason to send it back."
                ),
            ),
            TaskStatus::Done => self.tell(creator, format!("Task {id} is done: {title}{why}")),
            TaskStatus::Cancelled => {
                self.tell(creator, format!("Task {id} was cancelled: {title}{why}"));
                let other = task.assigned_to.filter(|peer| Some(*peer) != creator);
                self.tell(
                    other,
                    format!("Task {id} was cancelled, leave it: {title}{why}"),
                );
            }
            TaskStatus::Todo | TaskStatus::InProgress => {}
        }
    }

    /// Notes that a task is there no more.
    pub(in crate::mesh) fn deleted(&mut self, task: &Task) {
        let words = format!("Task {} was deleted, leave it: {}", task.id, task.title);
        self.tell(task.assigned_to, words);
    }

    fn tell(&mut self, peer: Option<PeerId>, words: String) {
        if let Some(peer) = peer {
            self.0.entry(peer).or_default().push(words);
        }
    }

    /// Posts what is to be told, one message for each.
    pub(in crate::mesh) fn send(self, tx: &Tx, rings: &mut Rings, me: &Sitting) -> Result<()> {
        for (id, news) in self.0 {
            let Some(peer) = tx.peer(id)? else { continue };
            if id == me.peer || peer.kind == PeerKind::Run {
                continue;
            }
            let body = body(&news);
            let new = NewMessage {
                from: me.peer,
                from_name: me.name.as_str(),
                to: Target::Peer(id),
                kind: MessageType::Command,
                subject: Some("tasks"),
                body: &body,
                in_reply_to: None,
                idempotency_key: None,
                ttl_ms: None,
            };
            store(tx, rings, me, &new, &SentTo::Peer(peer.name.to_string()))?;
        }
        Ok(())
    }
}

fn body(news: &[String]) -> String {
    let mut body = String::new();
    for (told, words) in news.iter().enumerate() {
        if told > 0 && body.len() + words.len() > BYTES_MAX {
            let more = news.len() - told;
            let rest = format!("\n\nand {more} more; list_tasks shows how they stand.");
            body.push_str(&rest);
            break;
        }
        if told > 0 {
            body.push_str("\n\n");
        }
        body.push_str(words);
    }
    body
}
