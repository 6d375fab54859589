//! Changes tasks. Any session may change any task; each change is one transaction with its event, the claims that it
//! acquires or releases, and the notifications of others.
use serde_json::{Map, Value, json};

use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::mesh::task::fields::{TaskChange, apply_fields, get_task, save, validated_change};
use crate::mesh::task::files::{FileClaim, claim_files, release_files};
use crate::mesh::task::notifications::TaskNotifications;
use crate::model::task::{BULK_MAX, TransitionReason, append_reason, check_count};
use crate::model::{EventKind, PeerKind, Refusal, Result, TaskStatus};
use crate::platform::id::TaskId;
use crate::store::Task;

/// The result of changing a task.
#[derive(Debug, Clone)]
pub struct TaskUpdated {
    /// The task as it is now.
    pub task: Task,
    /// Who holds its files, if the task was begun or its files were changed.
    pub claims: Vec<FileClaim>,
}

/// The result of each of several changes, in the order given.
pub type BulkUpdateOutcome = Vec<(TaskId, std::result::Result<TaskUpdated, Refusal>)>;

impl Mesh {
    /// Changes a task.
    pub fn update_task(&mut self, me: &SessionHandle, change: &TaskChange) -> Result<TaskUpdated> {
        let change = validated_change(change)?;
        self.write(|write| {
            let mut notifications = TaskNotifications::default();
            let updated = change_task(write, &mut notifications, me, &change)?;
            notifications.send(write, me)?;
            Ok(updated)
        })
    }

    /// Changes several tasks in one transaction, each in full or not at all.
    pub fn update_tasks(
        &mut self,
        me: &SessionHandle,
        changes: &[TaskChange],
    ) -> Result<BulkUpdateOutcome> {
        check_count("updates", changes.len(), BULK_MAX)?;
        self.write(|write| {
            let mut notifications = TaskNotifications::default();
            let mut outcomes = Vec::new();
            for change in changes {
                let mut more = notifications.clone();
                let outcome = write.tx.try_in_savepoint(|| {
                    let change = validated_change(change)?;
                    change_task(write, &mut more, me, &change)
                })?;
                if outcome.is_ok() {
                    notifications = more;
                }
                outcomes.push((change.id, outcome));
            }
            notifications.send(write, me)?;
            Ok(outcomes)
        })
    }
}

/// Changes one task, and adds the notifications.
pub(in crate::mesh) fn change_task(
    write: &mut WriteContext,
    notifications: &mut TaskNotifications,
    me: &SessionHandle,
    change: &TaskChange,
) -> Result<TaskUpdated> {
    let old = get_task(write.read(), change.id)?;
    check_changeable(&old, change)?;
    let mut task = old.clone();
    apply_fields(write, me, &mut task, &change.fields)?;
    if let Some(to) = change.status {
        apply_status(write.read(), me, &mut task, (to, change.reason.as_deref()))?;
    }
    let claims = update_claims(write, me, &old, (&mut task, change))?;
    if task == old {
        return Ok(TaskUpdated { task, claims });
    }
    task.version += 1;
    let task = save(write, &task)?;
    let changes = Value::Object(changes(&old, &task));
    let data = json!({ "title": task.title, "project": task.project, "version": task.version, "changes": changes });
    let kind = EventKind::TaskUpdated;
    write
        .tx
        .append_event(kind, Some(me.peer), &task.id.to_string(), &data)?;
    if task.assigned_to != old.assigned_to && !task.status.is_ended() {
        notifications.assigned(&task);
        notifications.unassigned(&old, &task);
    }
    if change.status.is_some() {
        notifications.status_changed(old.status, &task, change.reason.as_deref());
    }
    Ok(TaskUpdated { task, claims })
}

fn check_changeable(task: &Task, change: &TaskChange) -> Result<()> {
    let expected = change.expected_version.filter(|one| *one != task.version);
    let problem = if let Some(expected) = expected {
        format!(
            "task {} has version {}, not {expected}",
            task.id, task.version
        )
    } else if let Some(to) = change.status {
        return Ok(task.status.check_transition(to, change.reason.is_some())?);
    } else if task.status.is_ended() {
        let status = task.status.as_str();
        format!(
            "task {} is {status} and cannot be changed any more",
            task.id
        )
    } else {
        return Ok(());
    };
    Err(Refusal::TaskConflict { problem }.into())
}

fn apply_status(
    read: ReadContext,
    me: &SessionHandle,
    task: &mut Task,
    (to, reason): (TaskStatus, Option<&str>),
) -> Result<()> {
    let from = std::mem::replace(&mut task.status, to);
    if let Some(text) = reason {
        let reason = TransitionReason {
            from,
            to,
            by: me.name.as_str(),
            at_ms: read.tx.now.wall_ms,
            text,
        };
        task.description = append_reason(&task.description, &reason);
    }
    if to == TaskStatus::InProgress {
        check_startable(read, task)?;
        // A session that begins an unassigned task is assigned it. A headless run is not: it ends too soon.
        let own = (me.kind != PeerKind::Run).then_some(me.peer);
        task.assigned_to = task.assigned_to.or(own);
    }
    Ok(())
}

/// Releases the claims that the task does not need any more, and acquires those of its files if its assignee begins it or
/// names other files. Returns who holds which file then.
fn update_claims(
    write: &mut WriteContext,
    me: &SessionHandle,
    old: &Task,
    (task, change): (&mut Task, &TaskChange),
) -> Result<Vec<FileClaim>> {
    let is_inactive = task.status == TaskStatus::Todo || task.status.is_ended();
    let changes_files = change.fields.files_owned.is_some() && !is_inactive;
    if is_inactive || task.assigned_to != old.assigned_to {
        release_files(write, task, &[])?;
    } else if changes_files {
        let kept = task.files_owned.clone();
        release_files(write, task, &kept)?;
    }
    let is_starting = change.status == Some(TaskStatus::InProgress);
    if (is_starting || changes_files) && task.assigned_to == Some(me.peer) {
        claim_files(write, me, task)
    } else {
        Ok(Vec::new())
    }
}

/// Refuses to begin a task while a dependency has not ended. A deleted dependency does not count.
fn check_startable(read: ReadContext, task: &Task) -> Result<()> {
    let mut open = Vec::new();
    for id in &task.depends_on {
        let found = read.tx.task(*id)?;
        open.extend(found.filter(|one| !one.status.is_ended()));
    }
    let [first, ..] = open.as_slice() else {
        return Ok(());
    };
    let problem = format!(
        "the task cannot start: it waits for {} that {} not ended, first {} ({}, {})",
        open.len(),
        if open.len() == 1 { "has" } else { "have" },
        first.id,
        first.status.as_str(),
        first.title
    );
    Err(Refusal::TaskConflict { problem }.into())
}

/// Returns the changed fields with old and new value; of texts and lists only that they have changed.
fn changes(old: &Task, new: &Task) -> Map<String, Value> {
    let step = |from: Value, to: Value| json!({ "from": from, "to": to });
    let pairs = [
        ("status", json!(old.status), json!(new.status)),
        ("title", json!(old.title), json!(new.title)),
        ("priority", json!(old.priority), json!(new.priority)),
        (
            "assigned_to",
            json!(old.assigned_name),
            json!(new.assigned_name),
        ),
    ];
    let mut changes: Map<String, Value> = pairs
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(key, from, to)| (key.to_owned(), step(from, to)))
        .collect();
    let texts = [
        ("description", old.description != new.description),
        ("files_owned", old.files_owned != new.files_owned),
        ("depends_on", old.depends_on != new.depends_on),
    ];
    for (key, _) in texts.into_iter().filter(|(_, changed)| *changed) {
        changes.insert(key.into(), true.into());
    }
    changes
}
