//! What a person sees of a whole mesh, over all its projects: for the board of the hub. Sessions see what is theirs.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::memory::recall::Recall;
use crate::mesh::session::SessionHandle;
use crate::mesh::task::list::TaskList;
use crate::model::{Refusal, Result};
use crate::store::{MemoryMatch, Message};

/// Open tasks in one overview at most.
const OPEN_TASKS_MAX: u32 = 1_000;
/// Ended tasks in one overview at most.
const ENDED_TASKS_MAX: u32 = 100;

impl Mesh {
    /// Returns the tasks of all projects, with the number of all in each status.
    pub fn tasks_of_mesh(&mut self, me: &SessionHandle) -> Result<TaskList> {
        self.read(|read| {
            check_is_person(read, me)?;
            Ok(TaskList {
                tasks: read.tx.tasks_of_mesh(OPEN_TASKS_MAX, ENDED_TASKS_MAX)?,
                counts: read.tx.count_tasks_of_mesh()?,
            })
        })
    }

    /// Returns the newest messages between any peers, newest first.
    pub fn messages_of_mesh(&mut self, me: &SessionHandle, limit: u32) -> Result<Vec<Message>> {
        self.read(|read| {
            check_is_person(read, me)?;
            Ok(read.tx.newest_messages(limit)?)
        })
    }

    /// Returns the memories of all repositories and of the mesh that match.
    pub fn recall_in_mesh(
        &mut self,
        me: &SessionHandle,
        recall: Recall,
    ) -> Result<Vec<MemoryMatch>> {
        let scopes = self.read(|read| {
            check_is_person(read, me)?;
            Ok(read.tx.memory_scopes()?)
        })?;
        self.recall_in(&scopes, recall)
    }
}

fn check_is_person(read: ReadContext, me: &SessionHandle) -> Result<()> {
    if me.is_person_of_mesh(read) {
        return Ok(());
    }
    let problem = "only a person sees the whole mesh".into();
    Err(Refusal::NotYours { problem }.into())
}
