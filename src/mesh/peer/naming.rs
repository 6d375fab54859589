//! Names peers. A name is derived from the project, unique in the mesh, and never given to another peer again.
use std::path::Path;

use serde_json::json;

use crate::mesh::context::{ReadContext, WriteContext};
use crate::model::{EventKind, PeerName, Result};
use crate::platform::host_path::HostPath;
use crate::platform::id::PeerId;
use crate::platform::project::Project;
use crate::store::Peer;

/// Renames a peer, and appends the event. The old name stays an alias.
pub(in crate::mesh) fn rename_peer(
    write: &mut WriteContext,
    peer: &Peer,
    name: &PeerName,
) -> Result<()> {
    write.tx.rename_peer(peer, name)?;
    let renamed_from = json!({ "was": peer.name });
    Ok(write.tx.append_event(
        EventKind::PeerRenamed,
        Some(peer.id),
        name.as_str(),
        &renamed_from,
    )?)
}

pub(in crate::mesh) fn qualified_name(project: &Project) -> String {
    match &project.worktree {
        Some(worktree) => format!("{}.{worktree}", project.name),
        None => project.name.clone(),
    }
}

/// Returns the name for peers of a project. If an existing peer has a name from the time when only ASCII letters
/// counted, it is kept.
pub(in crate::mesh) fn preferred_name(project: &Project, existing: &[Peer]) -> PeerName {
    let name = qualified_name(project);
    let legacy_name = PeerName::fold_ascii_only(&name);
    if existing
        .iter()
        .any(|peer| peer.requested_name == legacy_name.as_str())
    {
        legacy_name
    } else {
        PeerName::fold(&name)
    }
}

/// Returns what tells a project from others of its name: its host, if that is another one; then the names of the folders
/// above it, nearest first, at most four.
pub(in crate::mesh) fn distinguishing_names(project: &Project) -> Vec<String> {
    let other = project.other_host.as_ref();
    let path = project.path.to_string_lossy();
    let path = HostPath::parse(&path).map_or(&*path, |found| found.path);
    let folders = Path::new(path).ancestors().skip(1);
    let folders = folders
        .filter_map(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .take(4);
    let host = other.map(|other| other.host.clone());
    host.into_iter().chain(folders).collect()
}

/// Returns the first candidate that no other peer has or had.
pub(in crate::mesh) fn first_free_name(
    read: ReadContext,
    candidates: impl Iterator<Item = PeerName>,
    own: Option<PeerId>,
) -> Result<PeerName> {
    for name in candidates {
        match read.tx.find_peer_by_name(name.as_str())? {
            Some(owner) if Some(owner.id) != own => {}
            _ => return Ok(name),
        }
    }
    unreachable!("the candidates are numbered without end")
}
