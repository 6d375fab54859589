//! Files that nobody can write any more, not even through a descriptor that is open already, as on a disk that has become
//! read-only.
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that is immutable until this is dropped.
pub(crate) struct Immutable(PathBuf);

impl Immutable {
    /// Makes a file immutable; `None` if this user or its file system cannot.
    pub(crate) fn begin(path: &Path) -> Option<Self> {
        chattr("+i", path).then(|| Self(path.to_path_buf()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    let changed = Command::new("chattr").arg(change).arg(path).output();
    changed.is_ok_and(|output| output.status.success())
}
