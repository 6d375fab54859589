//! Reads one task, or lists the tasks of a project together with those assigned to the caller, for `list_tasks` and the
//! inbox.
use std::path::Path;

use crate::mesh::connection::Mesh;
use crate::mesh::peer::address::{find_peer, unknown_peer_refusal};
use crate::mesh::session::SessionHandle;
use crate::mesh::task::fields::get_task;
use crate::model::peer::Address;
use crate::model::{PeerName, Result, TaskStatus};
use crate::platform::id::TaskId;
use crate::store::{Task, TaskListing};

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct TaskSelection {
    /// Only tasks in this status.
    pub status: Option<TaskStatus>,
    /// Only tasks of this assignee; empty for tasks without one.
    pub assigned_to: Option<String>,
    /// Only tasks that contain each of these words.
    pub query: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// The tasks of a project and of the caller.
#[derive(Debug, Clone)]
pub struct TaskList {
    /// The tasks, most urgent first.
    pub tasks: Vec<Task>,
    /// How many tasks of the project are in each status, in the order of the statuses.
    pub counts: [u32; 5],
}

impl Mesh {
    /// Returns a task of any project; refuses an id that does not exist.
    pub fn task(&mut self, id: TaskId) -> Result<Task> {
        self.read(|read| get_task(read, id))
    }

    /// Returns the tasks of a project, and those of the peer `own`.
    pub fn tasks(
        &mut self,
        own: Option<&PeerName>,
        project: &Path,
        selection: &TaskSelection,
    ) -> Result<TaskList> {
        let project = project.to_string_lossy();
        let words: Vec<String> = selection
            .query
            .iter()
            .flat_map(|query| query.split_whitespace().map(str::to_owned))
            .collect();
        self.read(|read| {
            let own = own
                .map(|name| read.tx.find_peer_by_name(name.as_str()))
                .transpose()?
                .flatten();
            let assigned_to = match selection.assigned_to.as_deref().map(str::trim) {
                None => None,
                Some("") => Some(None),
                Some(name) => {
                    match find_peer(read, Address::parse_as("assigned_to", name)?.name())? {
                        Some(peer) => Some(Some(peer.id)),
                        None => return Err(unknown_peer_refusal(read, None, name)?.into()),
                    }
                }
            };
            let listing = TaskListing {
                project: &project,
                own: own.map(|peer| peer.id),
                status: selection.status,
                assigned_to,
                words: &words,
                limit: selection.limit,
            };
            Ok(TaskList {
                tasks: read.tx.tasks(&listing)?,
                counts: read.tx.count_tasks(&project)?,
            })
        })
    }

    /// Returns the tasks of a project in each of these statuses, at most `limit` of each, as they are at one moment.
    pub fn tasks_by_status(
        &mut self,
        project: &Path,
        statuses: &[TaskStatus],
        limit: u32,
    ) -> Result<TaskList> {
        let project = project.to_string_lossy();
        self.read(|read| {
            let mut tasks = Vec::new();
            for status in statuses {
                tasks.extend(read.tx.tasks(&TaskListing {
                    project: &project,
                    own: None,
                    status: Some(*status),
                    assigned_to: None,
                    words: &[],
                    limit,
                })?);
            }
            Ok(TaskList {
                tasks,
                counts: read.tx.count_tasks(&project)?,
            })
        })
    }

    /// Returns the tasks that are assigned to a peer and not begun.
    pub fn unstarted_tasks(&mut self, me: &SessionHandle) -> Result<Vec<Task>> {
        self.read(|read| Ok(read.tx.todo_tasks_of(me.peer)?))
    }
}
