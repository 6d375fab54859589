//! The commit that is checked out in the project of a peer: read from its folder, or as its host reported it.
use std::path::Path;

use crate::platform::git_checkout::head_commit;
use crate::platform::host_path::host_of;
use crate::store::Peer;

/// Returns the commit that is checked out in the project of a peer; `None` if that is not known.
pub(in crate::mesh) fn current_commit(peer: &Peer) -> Option<String> {
    let of_folder = peer.project.as_deref().and_then(commit_of_folder);
    of_folder.or_else(|| peer.git_head.clone())
}

/// Returns the commit that is checked out in a folder of this machine; `None` for a folder on another host.
pub(in crate::mesh) fn commit_of_folder(folder: &str) -> Option<String> {
    match host_of(folder) {
        Some(_) => None,
        None => head_commit(Path::new(folder)),
    }
}
