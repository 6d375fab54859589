//! The hook at the end of a session: unregisters it, unless its process goes on with another conversation.
use super::call::HookCall;
use crate::claude_code::{HookEvent, HookOutput};
use crate::model::Error;

/// Unregisters the session of this process, if the conversation that ended is the registered one.
pub fn session_end(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    let HookEvent::Ended {
        session,
        client_continues,
        reason,
    } = &call.event
    else {
        return Ok(None);
    };
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    if !project.mesh_location(&call.settings)?.database.exists() {
        return Ok(None);
    }
    let mut mesh = call.open(&project)?;
    let client = call.client()?;
    let found = if call.other_client {
        mesh.find_session_of_conversation(&call.join_request(client, project, session.clone()))?
    } else {
        mesh.find_session_of_process(client)?
    };
    let Some(me) = found else {
        return Ok(None);
    };
    let current_session = mesh.session(&me)?.and_then(|row| row.client_session);
    if current_session.is_some() && session.is_some() && current_session != *session {
        return Ok(None);
    }
    if *client_continues {
        mesh.clear_activity_summary(&me);
        mesh.detach_client_session(me.session)?;
    } else {
        mesh.unregister(me.session, reason)?;
    }
    Ok(None)
}
