//! Finds or creates the peer that a client process registers at, for `register.rs`.
//!
//! A peer of a project belongs to its folder and a seat number, and outlives sessions. A project that was moved keeps its
//! peer with all that belongs to it.
use std::path::Path;

use crate::mesh::claim::session_end::record_dead_session;
use crate::mesh::context::WriteContext;
use crate::mesh::peer::dead_sessions::find_live_session_recording_deaths;
use crate::mesh::peer::join_request::JoinRequest;
use crate::mesh::peer::naming::{
    distinguishing_names, first_free_name, preferred_name, qualified_name,
};
use crate::model::{Liveness, PeerKind, PeerName, Refusal, Result};
use crate::platform::host_path::host_of;
use crate::platform::project::Project;
use crate::store::{NewPeer, Peer};

pub(in crate::mesh) fn find_or_create_peer(
    write: &mut WriteContext,
    request: &JoinRequest,
    missing_folders: &[String],
) -> Result<Peer> {
    if let Some(name) = &request.named_peer {
        return find_or_create_named_peer(write, name);
    }
    match (request.kind, &request.project) {
        (PeerKind::Session, Some(project)) => {
            find_or_create_project_peer(write, request, project, missing_folders)
        }
        (PeerKind::Person, _) | (_, None) => {
            let location = request.other_host.as_ref();
            let host = location.map_or(&write.host.own.host, |location| &location.host);
            find_or_create_person(write, &PeerName::for_person(host))
        }
        (PeerKind::Run, Some(project)) => {
            let base = PeerName::for_run(&PeerName::fold(&project.name), request.process.pid);
            let name = first_free_name(write.read(), PeerName::candidates(&base, 1, &[]), None)?;
            create_peer(write, &peer_without_project(PeerKind::Run, &name, &base))
        }
    }
}

/// Returns the peer of a person, by its name.
pub(in crate::mesh) fn find_or_create_person(
    write: &mut WriteContext,
    name: &PeerName,
) -> Result<Peer> {
    match write.tx.find_peer_by_name(name.as_str())? {
        Some(peer) => Ok(peer),
        None => create_peer(write, &peer_without_project(PeerKind::Person, name, name)),
    }
}

/// Returns the peer of that name, whatever sessions are registered there, or a new one without a project. Refuses the peers
/// of persons and of headless runs.
fn find_or_create_named_peer(write: &mut WriteContext, name: &PeerName) -> Result<Peer> {
    let kind = match write.tx.find_peer_by_name(name.as_str())? {
        Some(peer) if peer.kind == PeerKind::Session => return Ok(peer),
        None if name.is_chosen() => {
            return create_peer(write, &peer_without_project(PeerKind::Session, name, name));
        }
        Some(peer) => peer.kind.as_str(),
        None => "person or a run",
    };
    Err(Refusal::conflict(format!(
        "\"{name}\" is the name of a {kind}; a session registers at a peer of a session"
    ))
    .into())
}

/// Returns the earlier peer of a resumed session if it is free, else the free peer with the lowest seat, else a new
/// one.
fn find_or_create_project_peer(
    write: &mut WriteContext,
    request: &JoinRequest,
    project: &Project,
    missing_folders: &[String],
) -> Result<Peer> {
    let path = project.path.to_string_lossy();
    let peers_of_project = write.tx.peers_of_project(&path)?;
    let mut free = Vec::new();
    for peer in &peers_of_project {
        if find_live_session_recording_deaths(write, peer)?.is_none() {
            free.push(peer);
        }
    }
    let earlier_peer = request
        .client_session
        .as_deref()
        .map(|id| write.tx.last_peer_of_client_session(id))
        .transpose()?
        .flatten();
    if let Some(peer) = free.iter().find(|peer| Some(peer.id) == earlier_peer) {
        return Ok((*peer).clone());
    }
    let taken = |seat: &u32| peers_of_project.iter().any(|peer| peer.seat == Some(*seat));
    let free_seat = (1..=u32::try_from(peers_of_project.len()).unwrap_or(u32::MAX - 1) + 1)
        .find(|seat| !taken(seat))
        .expect("one more number than seats");
    if let Some(peer) = free.first().filter(|peer| peer.seat < Some(free_seat)) {
        return Ok((*peer).clone());
    }
    let requested_name = preferred_name(project, &peers_of_project);
    if free_seat == 1 {
        let moved = match adopt_moved_project(write, &requested_name, project, missing_folders)? {
            None => adopt_moved_legacy_name(write, project, missing_folders)?,
            found => found,
        };
        if let Some(peer) = moved {
            return Ok(peer);
        }
    }
    // On another host the first seat may have got the name of its host, too; the others are named after it.
    let first = peers_of_project
        .first()
        .filter(|first| first.seat == Some(1) && project.other_host.is_some());
    let base = first.map_or(&requested_name, |first| &first.name);
    let name = first_free_name(
        write.read(),
        PeerName::candidates(base, free_seat, &distinguishing_names(project)),
        None,
    )?;
    let new = NewPeer {
        project: Some(&path),
        seat: Some(free_seat),
        ..peer_without_project(PeerKind::Session, &name, &requested_name)
    };
    create_peer(write, &new)
}

/// Returns the scope keys that the memories of a peer may have: its project may have become a repository since.
pub(in crate::mesh) fn memory_scopes(owner: &Peer) -> Vec<String> {
    let repository = owner
        .project
        .as_ref()
        .map(|folder| format!("{folder}/.git"));
    let memory_scopes = [owner.project.clone(), owner.git_common.clone(), repository];
    memory_scopes.into_iter().flatten().collect()
}

/// Returns the peer of a project that was moved, and moves what belongs to it: its old folder does not exist, it has no
/// live session, and its name is the same.
fn adopt_moved_project(
    write: &mut WriteContext,
    requested_name: &PeerName,
    project: &Project,
    missing_folders: &[String],
) -> Result<Option<Peer>> {
    let path = project.path.to_string_lossy();
    let Some(owner) = write.tx.find_peer_by_name(requested_name.as_str())? else {
        return Ok(None);
    };
    let has_moved = owner
        .project
        .as_ref()
        .is_some_and(|folder| missing_folders.contains(folder));
    let is_unoccupied = write
        .tx
        .live_sessions_at(owner.id)?
        .iter()
        .all(|session| write.liveness(session, owner.ttl_ms) == Liveness::Dead);
    if owner.kind != PeerKind::Session || owner.seat != Some(1) || !has_moved || !is_unoccupied {
        return Ok(None);
    }
    for session in write.tx.live_sessions_at(owner.id)? {
        record_dead_session(write, &session, &owner)?;
    }
    write.tx.move_peer_to_project(owner.id, &path, 1)?;
    if let Some(old) = &owner.project {
        if write.tx.schema_at_least(2) {
            write.tx.move_entries(old, &path)?;
        }
        if write.tx.schema_at_least(3) {
            write.tx.move_tasks(old, &path)?;
            // A worktree that was moved leaves its repository, with the memories, where it is.
            for scope in memory_scopes(&owner)
                .iter()
                .filter(|scope| missing_folders.contains(scope))
            {
                write.tx.move_memories(scope, &project.memory_scope_key())?;
            }
        }
    }
    Ok(write.tx.peer(owner.id)?)
}

/// The same for a peer whose name is from the time when only ASCII letters counted. Many names were equal then, so the
/// name of the folder must be the same, too.
fn adopt_moved_legacy_name(
    write: &mut WriteContext,
    project: &Project,
    missing_folders: &[String],
) -> Result<Option<Peer>> {
    let legacy_name = PeerName::fold_ascii_only(&qualified_name(project));
    let owner = write.tx.find_peer_by_name(legacy_name.as_str())?;
    let folder = owner.and_then(|owner| Some(Path::new(&owner.project?).file_name()?.to_owned()));
    if folder.as_deref() == project.path.file_name() {
        adopt_moved_project(write, &legacy_name, project, missing_folders)
    } else {
        Ok(None)
    }
}

/// Returns a new peer that belongs to no project.
fn peer_without_project<'a>(
    kind: PeerKind,
    name: &'a PeerName,
    requested_name: &'a PeerName,
) -> NewPeer<'a> {
    NewPeer {
        kind,
        name,
        requested_name: requested_name.as_str(),
        project: None,
        seat: None,
    }
}

fn create_peer(write: &mut WriteContext, new: &NewPeer) -> Result<Peer> {
    let id = write.tx.insert_peer(new)?;
    Ok(write.tx.peer(id)?.expect("it was just inserted"))
}

/// Returns whether a folder certainly does not exist; false if it cannot be read, and for one on another host.
pub(in crate::mesh) fn is_missing_folder(folder: &str) -> bool {
    host_of(folder).is_none() && matches!(Path::new(folder).try_exists(), Ok(false))
}
