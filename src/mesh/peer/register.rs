//! Registers client processes as sessions, and unregisters them.
//!
//! Hooks and server of one client both register, in either order; the second one finds the session of the first.
use serde_json::json;

use crate::mesh::claim::session_end::EndingSession;
use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::peer::dead_sessions::find_live_session_recording_deaths;
use crate::mesh::peer::find_or_create_peer::{
    find_or_create_peer, is_missing_folder, memory_scopes,
};
use crate::mesh::peer::join_request::JoinRequest;
use crate::mesh::peer::naming::{
    distinguishing_names, first_free_name, preferred_name, qualified_name, rename_peer,
};
use crate::mesh::peer::person::ensure_person_to_notify;
use crate::mesh::session::{SessionHandle, live_handle};
use crate::model::{EventKind, PeerKind, PeerName, Result, Topic};
use crate::platform::id::{PeerId, SessionId};
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::store::{NewSession, Peer, ProjectDetails};

impl Mesh {
    /// Registers a client process, or finds its session.
    pub fn register(&mut self, request: &JoinRequest) -> Result<SessionHandle> {
        let missing_folders = self.find_missing_folders(request)?;
        self.write(|write| {
            if request.has_server {
                ensure_person_to_notify(write)?;
            }
            register(write, request, &missing_folders)
        })
    }

    /// Returns which folders do not exist any more of the peer that has the wanted name. Folders are read before the
    /// transaction, because one may be on a disk that does not answer.
    fn find_missing_folders(&mut self, request: &JoinRequest) -> Result<Vec<String>> {
        let Some(project) = request
            .project
            .as_ref()
            .filter(|_| request.kind == PeerKind::Session && request.named_peer.is_none())
        else {
            return Ok(Vec::new());
        };
        let folders = self.read(|read| {
            if read
                .tx
                .find_live_session_of_process(&request.location(read.host))?
                .is_some()
            {
                return Ok(Vec::new());
            }
            let (name, path) = (qualified_name(project), project.path.to_string_lossy());
            let mut folders = Vec::new();
            for name in [PeerName::fold(&name), PeerName::fold_ascii_only(&name)] {
                let owner = read.tx.find_peer_by_name(name.as_str())?;
                let owner = owner.filter(|owner| owner.project.as_deref() != Some(&path));
                folders.extend(owner.iter().flat_map(memory_scopes));
            }
            folders.sort_unstable();
            folders.dedup();
            Ok(folders)
        })?;
        Ok(folders
            .into_iter()
            .filter(|folder| is_missing_folder(folder))
            .collect())
    }

    /// Returns the session of a client process. Writes nothing.
    pub fn find_session_of_process(
        &mut self,
        process: ProcessKey,
    ) -> Result<Option<SessionHandle>> {
        self.read(|read| {
            let Some(session) = read
                .tx
                .find_live_session_of_process(&read.host.location(process, 0))?
            else {
                return Ok(None);
            };
            let peer = read.tx.peer(session.peer)?;
            Ok(peer.map(|peer| SessionHandle::new(session.id, &peer, false)))
        })
    }

    /// Returns the handle as it is now, for example under a new name; `None` if the session has ended.
    pub fn refresh(&mut self, me: &SessionHandle) -> Result<Option<SessionHandle>> {
        self.read(|read| live_handle(read, me.session))
    }

    /// Returns whether a hook has reported this process as a session.
    pub fn has_session_of_process(&mut self, process: ProcessKey) -> Result<bool> {
        self.read(|read| Ok(read.tx.has_session_of_process(process)?))
    }

    /// Ends a session. The peer stays. Wakes those that wait for it.
    pub fn unregister(&mut self, session: SessionId, reason: &str) -> Result<()> {
        self.write(|write| {
            let Some(found) = write.tx.session(session)? else {
                return Ok(());
            };
            write.wake(write.tx.sessions_waiting_for_peer(found.peer)?);
            // Its waiting hook ends with it.
            write.wake([session]);
            let ending = EndingSession::of(write.read(), session)?;
            if write.tx.end_session(session)? {
                let peer = write.tx.peer(found.peer)?;
                if let Some(peer) = &peer {
                    ending.end_claims(write, peer.kind, "left")?;
                }
                let name = peer.map(|peer| peer.name.to_string()).unwrap_or_default();
                write.tx.append_event(
                    EventKind::PeerLeft,
                    Some(found.peer),
                    &name,
                    &json!({ "session": session, "reason": reason }),
                )?;
            }
            write.remove_doorbell(session);
            Ok(())
        })
    }

    /// Removes the client's session id from a session whose client goes on, as at `/clear`.
    pub fn detach_client_session(&mut self, session: SessionId) -> Result<()> {
        self.write(|write| Ok(write.tx.clear_client_session(session)?))
    }

    /// Gives a session the session id of Claude Code, after its client has begun or resumed a conversation.
    pub fn attach_client_session(
        &mut self,
        session: SessionId,
        client_session: &str,
        given_name: Option<&str>,
    ) -> Result<()> {
        self.write(|write| {
            Ok(write
                .tx
                .set_client_session(session, client_session, given_name)?)
        })
    }

    /// Removes a peer without a live session, with its questions, which frees its name. Only a person may. Returns
    /// whether there was one.
    pub fn forget_peer(&mut self, me: &SessionHandle, name: &str) -> Result<bool> {
        self.write(|write| {
            let Some(peer) = write.tx.find_peer_by_name(name)? else {
                return Ok(false);
            };
            if !me.is_person_of_mesh(write.read()) {
                let problem = format!("only a person may remove the peer \"{}\"", peer.name);
                return Err(crate::model::Refusal::NotYours { problem }.into());
            }
            if find_live_session_recording_deaths(write, &peer)?.is_some() {
                return Err(crate::model::Refusal::conflict(format!(
                    "a session is registered at {:?} now",
                    peer.name.as_str()
                ))
                .into());
            }
            write.tx.delete_peer(peer.id)?;
            let kind = EventKind::PeerForgotten;
            write
                .tx
                .append_event(kind, Some(me.peer), peer.name.as_str(), &json!({}))?;
            Ok(true)
        })
    }
}

pub(in crate::mesh) fn register(
    write: &mut WriteContext,
    request: &JoinRequest,
    missing_folders: &[String],
) -> Result<SessionHandle> {
    let location = request.location(write.host);
    let existing_session = write.tx.find_live_session_of_process(&location)?;
    let peer = match &existing_session {
        Some(session) => write.tx.peer(session.peer)?.ok_or_else(|| {
            crate::model::Refusal::conflict("the peer of this session was removed")
        })?,
        None => find_or_create_peer(write, request, missing_folders)?,
    };
    let new_session = NewSession {
        peer: peer.id,
        location: &location,
        agent: request.agent.as_deref(),
        client_session: request.client_session.as_deref(),
        given_name: request.given_name.as_deref(),
        headless: request.headless,
        has_server: request.has_server,
    };
    let project = request
        .project
        .as_ref()
        .filter(|_| peer.kind == PeerKind::Session && request.named_peer.is_none());
    if let Some(project) = project {
        sync_project_details(write, &peer, project, existing_session.is_none())?;
    }
    if existing_session.is_none() && peer.kind == PeerKind::Session && write.tx.schema_at_least(2) {
        let topics = project.map(|project| project.file.topics.as_slice());
        subscribe_project_topics(write, peer.id, topics.unwrap_or_default())?;
    }
    let session = if let Some(session) = &existing_session {
        write.tx.merge_session_details(session.id, &new_session)?;
        session.id
    } else {
        let session = write.tx.insert_session(&new_session)?;
        // A wake that failed for the earlier session may work for this one.
        write.tx.reset_failed_wakes(peer.id)?;
        write.tx.append_event(
            EventKind::PeerJoined,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session, "agent": request.agent }),
        )?;
        session
    };
    if request.has_server {
        write.tx.note_removes_markers(session)?;
    }
    let peer = write.tx.peer(peer.id)?.unwrap_or(peer);
    Ok(SessionHandle::new(
        session,
        &peer,
        existing_session.is_none(),
    ))
}

/// Stores the details of the project: its name, its role and its git checkout. A new name in its file renames the peer;
/// the old name stays an alias.
fn sync_project_details(
    write: &mut WriteContext,
    peer: &Peer,
    project: &Project,
    is_new_session: bool,
) -> Result<()> {
    let requested_name = preferred_name(project, std::slice::from_ref(peer));
    let text = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| path.to_string_lossy().into_owned())
    };
    let (root, common) = (text(&project.git_root), text(&project.git_common));
    let details = ProjectDetails {
        requested_name: requested_name.as_str(),
        role: project.file.role.as_deref(),
        git_root: root.as_deref(),
        git_common: common.as_deref(),
        git_branch: project.git_branch.as_deref(),
    };
    write
        .tx
        .set_project_details(peer.id, &details, is_new_session)?;
    if peer.requested_name == requested_name.as_str() {
        return Ok(());
    }
    let candidates = PeerName::candidates(
        &requested_name,
        peer.seat.unwrap_or(1),
        &distinguishing_names(project),
    );
    let name = first_free_name(write.read(), candidates, Some(peer.id))?;
    if name != peer.name {
        rename_peer(write, peer, &name)?;
    }
    Ok(())
}

/// Subscribes a peer to the topics that the file of its project names. Invalid names are skipped.
pub(in crate::mesh) fn subscribe_project_topics(
    write: &mut WriteContext,
    peer: PeerId,
    topics: &[String],
) -> Result<()> {
    const TOPICS_MAX: usize = 64;
    for topic in topics.iter().take(TOPICS_MAX) {
        if let Ok(topic) = Topic::parse(topic) {
            write.tx.subscribe(peer, &topic)?;
        }
    }
    Ok(())
}
