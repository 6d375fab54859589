//! The hook before an edit and before a shell command: denies the edit of a file on which another session, or a user, has an
//! exclusive claim, and the git commands that change a working tree in which another works.
//!
//! What is denied is decided in `mesh`. If the hook fails, the tool call goes on. It never rewrites a command.
use std::mem::ManuallyDrop;

use super::call::HookCall;
use crate::claude_code::{HookEvent, HookOutput};
use crate::mesh::GuardedChange;
use crate::model::Error;

/// Denies the edit of a file that someone else has claimed, and a git command in a working tree in which someone else works.
pub fn claim_guard(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    if !matches!(
        call.event,
        HookEvent::Editing { .. } | HookEvent::ChangingWorkingTrees { .. }
    ) {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    if !project.mesh_location(&call.settings)?.database.exists() {
        return Ok(None);
    }
    let Some(change) = GuardedChange::of_event(&call.event, &project.path)? else {
        return Ok(None);
    };
    // The process ends right after its use, which closes the database faster than `drop` does.
    let mut mesh = ManuallyDrop::new(call.open(&project)?);
    let me = mesh.find_session_of_process(call.client()?)?;
    let denial = mesh.guard_denial(me.as_ref(), &change, &project.path)?;
    Ok(denial.map(HookOutput::Deny))
}
