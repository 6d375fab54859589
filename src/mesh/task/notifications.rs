//! Notifies the assignee and the creator of a task of changes by others, once each.
//!
//! The notification is a message of a kind that wakes, posted in the transaction of the change.
use std::collections::BTreeMap;

use crate::mesh::context::WriteContext;
use crate::mesh::message::post::{Destination, store_message};
use crate::mesh::session::SessionHandle;
use crate::model::message::MessageType;
use crate::model::{PeerKind, Result, TaskStatus};
use crate::platform::id::PeerId;
use crate::platform::text::cut_chars;
use crate::store::{NewMessage, Task};

/// The longest message in bytes; further items are counted.
const BYTES_MAX: usize = 16_000;
/// How many characters of a reason a message has; the description has all of it.
const REASON_CHARS_MAX: usize = 1_000;

/// The notifications of one operation, by peer.
#[derive(Debug, Clone, Default)]
pub(in crate::mesh) struct TaskNotifications(BTreeMap<PeerId, Vec<String>>);

impl TaskNotifications {
    /// Notifies the new assignee.
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
        let text = format!(
            "Task {id} is yours now ({}): {title}\nCall list_tasks {{\"query\": \"{id}\"}} for all of it; {begins}{{\"status\": \"in_review\"}} when it is done.",
            priority.as_str()
        );
        self.add_for(task.assigned_to, text);
    }

    /// Notifies the earlier assignee.
    pub(in crate::mesh) fn unassigned(&mut self, old: &Task, task: &Task) {
        let Task { id, title, .. } = task;
        let whose = task.assigned_name.as_deref().unwrap_or("nobody");
        self.add_for(
            old.assigned_to,
            format!("Task {id} is {whose}'s now, leave it: {title}"),
        );
    }

    /// Notifies those concerned by a new status.
    pub(in crate::mesh) fn status_changed(
        &mut self,
        from: TaskStatus,
        task: &Task,
        reason: Option<&str>,
    ) {
        let Task { id, title, .. } = task;
        let why = reason.map_or_else(String::new, |reason| {
            format!("\nWhy: {}", cut_chars(reason.trim(), REASON_CHARS_MAX))
        });
        let creator = Some(task.created_by);
        match task.status {
            TaskStatus::Todo if from.is_rejection(TaskStatus::Todo) => self.add_for(
                task.assigned_to,
                format!(
                    "Task {id} was sent back to todo: {title}{why}\n\
                     Do what is asked for, then move it to in_review again."
                ),
            ),
            TaskStatus::InReview => self.add_for(
                creator,
                format!(
                    "Task {id} waits for your review: {title}{why}\n\
                     Call update_task with status done, or todo with a reason to send it back."
                ),
            ),
            TaskStatus::Done => self.add_for(creator, format!("Task {id} is done: {title}{why}")),
            TaskStatus::Cancelled => {
                self.add_for(creator, format!("Task {id} was cancelled: {title}{why}"));
                let other = task.assigned_to.filter(|peer| Some(*peer) != creator);
                self.add_for(
                    other,
                    format!("Task {id} was cancelled, leave it: {title}{why}"),
                );
            }
            TaskStatus::Todo | TaskStatus::InProgress => {}
        }
    }

    /// Notifies the assignee of a deleted task.
    pub(in crate::mesh) fn deleted(&mut self, task: &Task) {
        let text = format!("Task {} was deleted, leave it: {}", task.id, task.title);
        self.add_for(task.assigned_to, text);
    }

    fn add_for(&mut self, peer: Option<PeerId>, text: String) {
        if let Some(peer) = peer {
            self.0.entry(peer).or_default().push(text);
        }
    }

    /// Posts the notifications, one message for each peer.
    pub(in crate::mesh) fn send(self, write: &mut WriteContext, me: &SessionHandle) -> Result<()> {
        for (id, items) in self.0 {
            let Some(peer) = write.tx.peer(id)? else {
                continue;
            };
            if id == me.peer || peer.kind == PeerKind::Run {
                continue;
            }
            let body = body(&items);
            let destination = Destination::Peer(&peer);
            let new = NewMessage {
                from: me.peer,
                from_name: me.name.as_str(),
                to: destination.target(),
                kind: MessageType::Command,
                subject: Some("tasks"),
                body: &body,
                in_reply_to: None,
                idempotency_key: None,
                ttl_ms: None,
            };
            store_message(write, me, &new, destination)?;
        }
        Ok(())
    }
}

fn body(items: &[String]) -> String {
    let mut body = String::new();
    for (index, text) in items.iter().enumerate() {
        if index > 0 && body.len() + text.len() > BYTES_MAX {
            let more = items.len() - index;
            let rest = format!("\n\nand {more} more; list_tasks shows their state.");
            body.push_str(&rest);
            break;
        }
        if index > 0 {
            body.push_str("\n\n");
        }
        body.push_str(text);
    }
    body
}
