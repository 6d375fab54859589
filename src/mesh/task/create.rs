//! Creates a task, unless an open one of the project has the same title, and notifies its assignee.
use std::path::Path;

use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::mesh::task::fields::{TaskFields, apply_fields, save, validated_fields};
use crate::mesh::task::notifications::TaskNotifications;
use crate::model::task::fingerprint;
use crate::model::{EventKind, Priority, Refusal, Result, TaskStatus};
use crate::store::Task;

/// The result of creating a task.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct TaskCreated {
    /// The task, or the open one with the same title.
    pub task: Task,
    pub created: bool,
}

impl Mesh {
    /// Creates a task of a project, unless an open one has the same title, compared without case, spaces and
    /// punctuation.
    pub fn create_task(
        &mut self,
        me: &SessionHandle,
        project: &Path,
        fields: &TaskFields,
    ) -> Result<TaskCreated> {
        let fields = validated_fields(fields)?;
        let Some(title) = &fields.title else {
            return Err(Refusal::argument("missing parameter `title`").into());
        };
        let project = project.to_string_lossy();
        let fingerprint = fingerprint(title);
        self.write(|write| {
            if let Some(task) = write
                .tx
                .find_open_task_by_fingerprint(&project, &fingerprint)?
            {
                return Ok(TaskCreated {
                    task,
                    created: false,
                });
            }
            let mut task = new_task(write, me, &project)?;
            apply_fields(write, me, &mut task, &fields)?;
            let task = save(write, &task)?;
            let data = json!({
                "title": task.title,
                "project": task.project,
                "priority": task.priority,
                "assigned_to": task.assigned_name,
            });
            let id = task.id.to_string();
            write
                .tx
                .append_event(EventKind::TaskCreated, Some(me.peer), &id, &data)?;
            let mut notifications = TaskNotifications::default();
            notifications.assigned(&task);
            notifications.send(write, me)?;
            Ok(TaskCreated {
                task,
                created: true,
            })
        })
    }
}

/// Returns a task without the fields that its creator gives.
fn new_task(write: &mut WriteContext, me: &SessionHandle, project: &str) -> Result<Task> {
    Ok(Task {
        id: write.tx.new_task_id()?,
        project: project.to_owned(),
        title: String::new(),
        fingerprint: String::new(),
        description: String::new(),
        status: TaskStatus::Todo,
        priority: Priority::default(),
        assigned_to: None,
        assigned_name: None,
        created_by: me.peer,
        created_by_name: me.name.to_string(),
        files_owned: Vec::new(),
        depends_on: Vec::new(),
        claims: Vec::new(),
        created_at_ms: write.tx.now.wall_ms,
        updated_at_ms: write.tx.now.wall_ms,
        version: 1,
    })
}
