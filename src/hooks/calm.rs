//! Ends a hook at the marker of its session that says that nothing is pending for it; `mesh::calm` says why nothing is
//! overlooked by that.
use super::activity;
use super::call::HookCall;
use crate::claude_code::HookEvent;
use crate::model::Error;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::wake::Doorbells;

/// Returns whether the hook has nothing to print and nothing to store in the database. Records what the session works on then.
pub(super) fn settle(
    call: &HookCall,
    project: &Project,
    process: ProcessKey,
) -> Result<bool, Error> {
    // Without an activity summary the database says whether the session is busy.
    if call.other_client || !call.settings.keeps_activity || is_wake_line(&call.event) {
        return Ok(false);
    }
    let place = project.mesh_location(&call.settings)?;
    let doorbells = Doorbells::of(&place.database);
    let Some(session) = doorbells.find_calm_session(&place.database, process) else {
        return Ok(false);
    };
    activity::record_of_calm(call, &doorbells, session);
    Ok(true)
}

/// Returns whether the prompt is a line by which a session was woken: what is recorded of that is in the database.
fn is_wake_line(event: &HookEvent) -> bool {
    matches!(event, HookEvent::Prompted { prompt, .. } if prompt.wake_line_nonce.is_some())
}
