//! Deletes tasks, and cancels those that nobody has begun.
use std::path::Path;

use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::mesh::task::fields::{TaskChange, get_task};
use crate::mesh::task::files::release_files;
use crate::mesh::task::notifications::TaskNotifications;
use crate::mesh::task::update::change_task;
use crate::model::task::check_reason;
use crate::model::{EventKind, Refusal, Result, TaskStatus};
use crate::platform::id::TaskId;

/// How many tasks one transaction cancels.
const CANCEL_BATCH_MAX: u32 = 200;

/// Which tasks of a project to cancel: those that nobody has begun and nobody has changed lately.
#[derive(Debug, Clone, Copy)]
pub struct StaleTaskFilter<'a> {
    /// The folder of the project.
    pub project: &'a Path,
    /// For how long nobody has changed them.
    pub older_than_seconds: u32,
    /// Why they are cancelled.
    pub reason: Option<&'a str>,
}

/// Tasks of a project that nobody has begun and nobody has changed since a time.
#[derive(Debug, Clone, Copy)]
pub(in crate::mesh) struct StaleTasks<'a> {
    pub(in crate::mesh) project: &'a str,
    pub(in crate::mesh) before_ms: i64,
    /// Why they are cancelled.
    pub(in crate::mesh) reason: Option<&'a str>,
}

impl Mesh {
    /// Deletes a task. Its creator may, and a person.
    pub fn delete_task(&mut self, me: &SessionHandle, id: TaskId) -> Result<()> {
        self.write(|write| {
            let mut task = get_task(write.read(), id)?;
            if task.created_by != me.peer && !me.is_person_of_mesh(write.read()) {
                let creator = &task.created_by_name;
                let problem = format!(
                    "task {id} was created by {creator}: only its creator or a person may delete it; \
                     any session may cancel it"
                );
                return Err(Refusal::NotYours { problem }.into());
            }
            release_files(write, &mut task, &[])?;
            write.tx.delete_task(id)?;
            let data = json!({
                "title": task.title, "project": task.project, "status": task.status,
            });
            write.tx.append_event(
                EventKind::TaskDeleted,
                Some(me.peer),
                &id.to_string(),
                &data,
            )?;
            if !task.status.is_ended() {
                let mut notifications = TaskNotifications::default();
                notifications.deleted(&task);
                notifications.send(write, me)?;
            }
            Ok(())
        })
    }

    /// Cancels the tasks of a project that nobody has begun and nobody has changed lately. Returns which.
    pub fn cancel_stale_tasks(
        &mut self,
        me: &SessionHandle,
        filter: &StaleTaskFilter,
    ) -> Result<Vec<TaskId>> {
        filter.reason.map(check_reason).transpose()?;
        let stale = StaleTasks {
            project: &filter.project.to_string_lossy(),
            before_ms: self.now().wall_ms - i64::from(filter.older_than_seconds) * 1000,
            reason: filter.reason,
        };
        self.cancel_all_stale(me, &stale)
    }

    /// Cancels stale tasks in several transactions, so that nobody waits long for the lock.
    pub(in crate::mesh) fn cancel_all_stale(
        &mut self,
        me: &SessionHandle,
        stale: &StaleTasks,
    ) -> Result<Vec<TaskId>> {
        let mut all = Vec::new();
        loop {
            let some = self.write(|write| cancel_stale_batch(write, me, stale))?;
            let is_last_batch = some.len() < CANCEL_BATCH_MAX as usize;
            all.extend(some);
            if is_last_batch {
                return Ok(all);
            }
        }
    }
}

/// Cancels stale tasks, as many as one transaction may.
pub(in crate::mesh) fn cancel_stale_batch(
    write: &mut WriteContext,
    me: &SessionHandle,
    stale: &StaleTasks,
) -> Result<Vec<TaskId>> {
    let mut notifications = TaskNotifications::default();
    let mut cancelled = Vec::new();
    for task in write
        .tx
        .stale_todo_tasks(stale.project, stale.before_ms, CANCEL_BATCH_MAX)?
    {
        let change = TaskChange {
            status: Some(TaskStatus::Cancelled),
            reason: stale.reason.map(str::to_owned),
            ..TaskChange::of(task.id)
        };
        change_task(write, &mut notifications, me, &change)?;
        cancelled.push(task.id);
    }
    notifications.send(write, me)?;
    Ok(cancelled)
}
