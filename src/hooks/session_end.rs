//! A conversation ended: the session leaves, unless its client goes on or another conversation has begun there.
use super::{Call, Event, Output};
use crate::model::Error;

/// Ends the session of this client, if the conversation that ended is the one that sits there.
pub fn session_end(call: &Call) -> Result<Option<Output>, Error> {
    let Event::Ended {
        session,
        client_goes_on,
        reason,
    } = &call.event
    else {
        return Ok(None);
    };
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    if !project.place(&call.settings)?.database.exists() {
        return Ok(None);
    }
    let mut mesh = call.open(&project)?;
    let Some(me) = mesh.seat_of(call.client()?)? else {
        return Ok(None);
    };
    let sits_there = mesh.session(&me)?.and_then(|row| row.client_session);
    if sits_there.is_some() && session.is_some() && sits_there != *session {
        return Ok(None);
    }
    if *client_goes_on {
        mesh.forget_doing(&me);
        mesh.detach(me.session)?;
    } else {
        mesh.leave(me.session, reason)?;
    }
    Ok(None)
}
