//! Checks the fields of a task that a caller gives, and puts them into the task.
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::peer::address::{find_peer, resolve_address};
use crate::mesh::session::SessionHandle;
use crate::mesh::task::dependencies::check_dependencies;
use crate::model::peer::Address;
use crate::model::task::{
    DEPENDENCIES_MAX, FILES_MAX, check_count, check_description, check_reason, check_title,
    fingerprint,
};
use crate::model::{Priority, Refusal, Result, TaskStatus};
use crate::platform::id::{PeerId, TaskId};
use crate::store::Task;

/// The fields of a task that a caller gives; `None` leaves a field as it is.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFields {
    pub title: Option<String>,
    pub description: Option<String>,
    /// The name of the assignee; empty for none.
    pub assigned_to: Option<String>,
    /// The files that its work changes, named as [`task_files`](super::files::task_files()) returns them.
    pub files_owned: Option<Vec<String>>,
    pub priority: Option<Priority>,
    /// The tasks that must have ended before it starts.
    pub depends_on: Option<Vec<TaskId>>,
}

/// A change of a task.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct TaskChange {
    pub id: TaskId,
    pub fields: TaskFields,
    pub status: Option<TaskStatus>,
    /// The reason of the new status.
    pub reason: Option<String>,
    /// The version it must have.
    pub expected_version: Option<i64>,
}

impl TaskChange {
    /// Returns an empty change.
    pub fn of(id: TaskId) -> Self {
        Self {
            id,
            fields: TaskFields::default(),
            status: None,
            reason: None,
            expected_version: None,
        }
    }

    fn has_no_changes(&self) -> bool {
        let TaskFields {
            title,
            description,
            assigned_to,
            files_owned,
            priority,
            depends_on,
        } = &self.fields;
        let texts = [title, description, assigned_to, &self.reason];
        texts.iter().all(|text| text.is_none())
            && files_owned.is_none()
            && priority.is_none()
            && depends_on.is_none()
            && self.status.is_none()
    }
}

/// Checks sizes, forms and secrets before anything is stored.
pub(in crate::mesh) fn validated_fields(fields: &TaskFields) -> Result<TaskFields> {
    let mut fields = fields.clone();
    fields.title = fields.title.as_deref().map(check_title).transpose()?;
    if let Some(description) = &fields.description {
        check_description(description)?;
    }
    if let Some(files) = &fields.files_owned {
        check_count("files_owned", files.len(), FILES_MAX)?;
    }
    if let Some(ids) = &mut fields.depends_on {
        check_count("depends_on", ids.len(), DEPENDENCIES_MAX)?;
        ids.sort_unstable();
        ids.dedup();
    }
    Ok(fields)
}

pub(in crate::mesh) fn validated_change(change: &TaskChange) -> Result<TaskChange> {
    if change.has_no_changes() {
        return Err(Refusal::argument("nothing to change is given beside the task").into());
    }
    if let Some(reason) = &change.reason {
        check_reason(reason)?;
        if change.status.is_none() {
            return Err(Refusal::argument("\"reason\" belongs to a change of \"status\"").into());
        }
    }
    Ok(TaskChange {
        fields: validated_fields(&change.fields)?,
        ..change.clone()
    })
}

/// Puts the given fields into a task.
pub(in crate::mesh) fn apply_fields(
    write: &mut WriteContext,
    me: &SessionHandle,
    task: &mut Task,
    fields: &TaskFields,
) -> Result<()> {
    if let Some(title) = &fields.title {
        task.title.clone_from(title);
        task.fingerprint = fingerprint(title);
        let same = write
            .tx
            .find_open_task_by_fingerprint(&task.project, &task.fingerprint)?;
        if let Some(other) = same.filter(|other| other.id != task.id) {
            let problem = format!("task {} is open and has that title already", other.id);
            return Err(Refusal::TaskConflict { problem }.into());
        }
    }
    if let Some(description) = &fields.description {
        task.description.clone_from(description);
    }
    if let Some(priority) = fields.priority {
        task.priority = priority;
    }
    if let Some(files) = &fields.files_owned {
        task.files_owned.clone_from(files);
    }
    if let Some(ids) = &fields.depends_on {
        check_dependencies(write.read(), task.id, ids)?;
        task.depends_on.clone_from(ids);
    }
    if let Some(name) = &fields.assigned_to {
        task.assigned_to = resolve_assignee(write, me, name)?;
    }
    Ok(())
}

/// Returns the assignee of a name. Unlike a question, a task may be for the caller itself.
fn resolve_assignee(
    write: &mut WriteContext,
    me: &SessionHandle,
    name: &str,
) -> Result<Option<PeerId>> {
    if name.trim().is_empty() {
        return Ok(None);
    }
    let address = Address::parse_as("assigned_to", name)?;
    if let Address::Peer(name) = &address
        && find_peer(write.read(), name)?.is_some_and(|peer| peer.id == me.peer)
    {
        return Ok(Some(me.peer));
    }
    resolve_address(write, me, &address).map(|peer| Some(peer.id))
}

pub(in crate::mesh) fn get_task(read: ReadContext, id: TaskId) -> Result<Task> {
    read.tx
        .task(id)?
        .ok_or_else(|| Refusal::UnknownTask { id: id.to_string() }.into())
}

/// Stores a task. Returns it as it is read back, with the current names of its peers.
pub(in crate::mesh) fn save(write: &mut WriteContext, task: &Task) -> Result<Task> {
    write.tx.save_task(task)?;
    Ok(write.tx.task(task.id)?.expect("it was just stored"))
}
