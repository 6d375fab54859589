//! Finds or creates the peer that a client process registers at.
//!
//! A peer of a project belongs to its folder and a seat number, and outlives sessions. A project that was moved keeps its
//! peer with all that belongs to it.
use std::path::Path;

use crate::mesh::claim::session_end::record_dead_session;
use crate::mesh::context::Verb;
use crate::mesh::peer::join_request::JoinRequest;
use crate::mesh::peer::liveness::reap_dead_sessions;
use crate::mesh::peer::naming::{first_free_name, folders_above, preferred_name, qualified_name};
use crate::model::{Liveness, PeerKind, PeerName, Result};
use crate::platform::project::Project;
use crate::store::{NewPeer, Peer};

pub(in crate::mesh) fn find_or_create_peer(
    verb: &mut Verb,
    request: &JoinRequest,
    missing_folders: &[String],
) -> Result<Peer> {
    match (request.kind, &request.project) {
        (PeerKind::Session, Some(project)) => {
            find_or_create_seat(verb, request, project, missing_folders)
        }
        (PeerKind::Person, _) | (_, None) => {
            let name = PeerName::for_person(&verb.host.own.host);
            match verb.tx.find_peer_by_name(name.as_str())? {
                Some(peer) => Ok(peer),
                None => create_peer(verb, PeerKind::Person, &name, &name, None),
            }
        }
        (PeerKind::Run, Some(project)) => {
            let base = PeerName::for_run(&PeerName::fold(&project.name), request.process.pid);
            let name = first_free_name(verb.read(), PeerName::candidates(&base, 1, &[]), None)?;
            create_peer(verb, PeerKind::Run, &name, &base, None)
        }
    }
}

/// The old seat of a resumed session if it is free, else the lowest free one.
fn find_or_create_seat(
    verb: &mut Verb,
    request: &JoinRequest,
    project: &Project,
    missing_folders: &[String],
) -> Result<Peer> {
    let path = project.path.to_string_lossy();
    let seats_of_project = verb.tx.seats_of_project(&path)?;
    let mut free = Vec::new();
    for peer in &seats_of_project {
        if reap_dead_sessions(verb, peer)?.is_none() {
            free.push(peer);
        }
    }
    let earlier_peer = request
        .client_session
        .as_deref()
        .map(|id| verb.tx.last_peer_of_client_session(id))
        .transpose()?
        .flatten();
    if let Some(peer) = free.iter().find(|peer| Some(peer.id) == earlier_peer) {
        return Ok((*peer).clone());
    }
    let taken = |seat: &u32| seats_of_project.iter().any(|peer| peer.seat == Some(*seat));
    let free_seat = (1..=u32::try_from(seats_of_project.len()).unwrap_or(u32::MAX - 1) + 1)
        .find(|seat| !taken(seat))
        .expect("one more number than seats");
    if let Some(peer) = free.first().filter(|peer| peer.seat < Some(free_seat)) {
        return Ok((*peer).clone());
    }
    let requested_name = preferred_name(project, &seats_of_project);
    if free_seat == 1 {
        let moved = match adopt_moved_project(verb, &requested_name, project, missing_folders)? {
            None => adopt_moved_legacy_name(verb, project, missing_folders)?,
            found => found,
        };
        if let Some(peer) = moved {
            return Ok(peer);
        }
    }
    let name = first_free_name(
        verb.read(),
        PeerName::candidates(&requested_name, free_seat, &folders_above(project)),
        None,
    )?;
    create_peer(
        verb,
        PeerKind::Session,
        &name,
        &requested_name,
        Some((&path, free_seat)),
    )
}

/// Returns the folders whose names the memories of a mailbox may go by: its project may have become a repository since.
pub(in crate::mesh) fn memory_homes(owner: &Peer) -> Vec<String> {
    let repository = owner
        .project
        .as_ref()
        .map(|folder| format!("{folder}/.git"));
    let memory_homes = [owner.project.clone(), owner.git_common.clone(), repository];
    memory_homes.into_iter().flatten().collect()
}

/// A project that was moved keeps its mailbox and what belongs to it: the old folder is gone, nobody sits there, and the name
/// is the same.
fn adopt_moved_project(
    verb: &mut Verb,
    requested_name: &PeerName,
    project: &Project,
    missing_folders: &[String],
) -> Result<Option<Peer>> {
    let path = project.path.to_string_lossy();
    let Some(owner) = verb.tx.find_peer_by_name(requested_name.as_str())? else {
        return Ok(None);
    };
    let has_moved = owner
        .project
        .as_ref()
        .is_some_and(|folder| missing_folders.contains(folder));
    let is_unoccupied = verb
        .tx
        .live_sessions_at(owner.id)?
        .iter()
        .all(|session| verb.liveness(session, owner.ttl_ms) == Liveness::Dead);
    if owner.kind != PeerKind::Session || owner.seat != Some(1) || !has_moved || !is_unoccupied {
        return Ok(None);
    }
    for session in verb.tx.live_sessions_at(owner.id)? {
        record_dead_session(verb, &session, &owner)?;
    }
    verb.tx.move_peer_to_project(owner.id, &path, 1)?;
    if let Some(old) = &owner.project {
        if verb.tx.schema_at_least(2) {
            verb.tx.move_entries(old, &path)?;
        }
        if verb.tx.schema_at_least(3) {
            verb.tx.move_tasks(old, &path)?;
            // A worktree that was moved leaves its repository, and with it the memories, where it is.
            for home in memory_homes(&owner)
                .iter()
                .filter(|home| missing_folders.contains(home))
            {
                verb.tx.move_memories(home, &project.memory_scope_key())?;
            }
        }
    }
    Ok(verb.tx.peer(owner.id)?)
}

/// The same for a mailbox that was named before letters other than ASCII ones counted: many names fell together then, so the
/// folder's must be the same.
fn adopt_moved_legacy_name(
    verb: &mut Verb,
    project: &Project,
    missing_folders: &[String],
) -> Result<Option<Peer>> {
    let legacy_name = PeerName::fold_ascii_only(&qualified_name(project));
    let owner = verb.tx.find_peer_by_name(legacy_name.as_str())?;
    let folder = owner.and_then(|owner| Some(Path::new(&owner.project?).file_name()?.to_owned()));
    if folder.as_deref() == project.path.file_name() {
        adopt_moved_project(verb, &legacy_name, project, missing_folders)
    } else {
        Ok(None)
    }
}

fn create_peer(
    verb: &mut Verb,
    kind: PeerKind,
    name: &PeerName,
    requested_name: &PeerName,
    seat: Option<(&str, u32)>,
) -> Result<Peer> {
    let id = verb.tx.insert_peer(&NewPeer {
        kind,
        name,
        requested_name: requested_name.as_str(),
        project: seat.map(|(path, _)| path),
        seat: seat.map(|(_, seat)| seat),
    })?;
    Ok(verb.tx.peer(id)?.expect("it was just inserted"))
}

/// Returns whether a folder is gone for sure; one that cannot be looked at is not.
pub(in crate::mesh) fn is_missing_folder(folder: &str) -> bool {
    matches!(Path::new(folder).try_exists(), Ok(false))
}
