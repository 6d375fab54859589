//! Checks the dependencies of a task: each exists, and none makes a cycle.
use std::collections::BTreeSet;

use crate::mesh::context::ReadContext;
use crate::model::{Refusal, Result};
use crate::platform::id::TaskId;

/// Refuses dependencies that do not exist, and a dependency cycle: the task would wait for itself, directly or through
/// others.
pub(in crate::mesh) fn check_dependencies(
    read: ReadContext,
    task: TaskId,
    ids: &[TaskId],
) -> Result<()> {
    for id in ids {
        if read.tx.task(*id)?.is_none() {
            return Err(Refusal::UnknownTask { id: id.to_string() }.into());
        }
    }
    let mut to_visit = ids.to_vec();
    let mut visited = BTreeSet::new();
    while let Some(id) = to_visit.pop() {
        if id == task {
            let problem = "with these \"depends_on\" the task would wait for itself".to_owned();
            return Err(Refusal::TaskConflict { problem }.into());
        }
        if visited.insert(id) {
            to_visit.extend(read.tx.task_dependencies(id)?);
        }
    }
    Ok(())
}
