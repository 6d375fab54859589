//! Which member of a process a conversation is: a client other than Claude Code may hold several in one process, as the
//! background server of the Codex CLI does. Its hooks and servers register in any order, and each finds the session of the other.
use std::path::Path;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::join_request::JoinRequest;
use crate::mesh::session::{SessionHandle, live_handle};
use crate::model::Result;
use crate::store::Session;

impl Mesh {
    /// Returns the instance at which to register: that of the session of this conversation, else the first that is free or that
    /// the request may join.
    pub fn instance_of_conversation(&mut self, request: &JoinRequest) -> Result<u32> {
        self.read(|read| {
            let live = sessions_of_process(read, request)?;
            if let Some(session) = of_conversation(&live, request) {
                return Ok(session.location.instance);
            }
            for instance in 0.. {
                let taken = live.iter().find(|it| it.location.instance == instance);
                let may_join = match taken {
                    Some(session) => may_join(read, session, request)?,
                    None => true,
                };
                if may_join {
                    return Ok(instance);
                }
            }
            Ok(0)
        })
    }

    /// Returns the session of a conversation. Writes nothing.
    pub fn find_session_of_conversation(
        &mut self,
        request: &JoinRequest,
    ) -> Result<Option<SessionHandle>> {
        self.read(|read| {
            let live = sessions_of_process(read, request)?;
            match of_conversation(&live, request) {
                Some(session) => live_handle(read, session.id),
                None => Ok(None),
            }
        })
    }
}

fn sessions_of_process(read: ReadContext, request: &JoinRequest) -> Result<Vec<Session>> {
    let own = request.location(read.host);
    let mut live = read.tx.live_sessions()?;
    live.retain(|session| {
        let found = &session.location;
        found.process == own.process && found.boot == own.boot && found.host == own.host
    });
    Ok(live)
}

fn of_conversation<'a>(live: &'a [Session], request: &JoinRequest) -> Option<&'a Session> {
    let conversation = request.client_session.as_ref()?;
    live.iter()
        .find(|session| session.client_session.as_ref() == Some(conversation))
}

/// Returns whether the request is of a session that is registered: of the same project, not of another conversation, and with
/// one server at most.
fn may_join(read: ReadContext, session: &Session, request: &JoinRequest) -> Result<bool> {
    let project = read.tx.peer(session.peer)?.and_then(|peer| peer.project);
    let own = request.project.as_ref().map(|own| own.path.as_path());
    let is_other_conversation =
        session.client_session.is_some() && request.client_session.is_some();
    let has_other_server = request.has_server && read.is_server_running(session.id);
    Ok(project.as_deref().map(Path::new) == own && !is_other_conversation && !has_other_server)
}
