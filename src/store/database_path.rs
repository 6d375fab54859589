//! The place of the database: its folder, the names of the files beside it, and whether the folder can be used.
use std::path::{Path, PathBuf};

use super::filesystem_check;
use crate::platform::{Fault, permissions};

/// Returns why no database could be created or used at `path`, as far as this can be found out without creating anything.
pub fn check_database_path(path: &Path) -> Result<(), Fault> {
    use rustix::fs::Access;
    let folder = folder_of(path);
    if folder.exists() {
        check_folder(folder)?;
    }
    let existing_ancestor = folder.ancestors().find(|folder| folder.exists());
    let existing_ancestor = existing_ancestor.unwrap_or(Path::new("/"));
    rustix::fs::access(existing_ancestor, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| Fault::io("write into", existing_ancestor, error.into()))
}

/// Refuses a folder that others may write, or whose file system cannot carry the database.
pub(super) fn check_folder(folder: &Path) -> Result<(), Fault> {
    let metadata = folder
        .metadata()
        .map_err(|error| Fault::io("open", folder, error))?;
    permissions::check_owner_and_mode(folder, &metadata)?;
    filesystem_check::check(folder)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Returns `path` with `suffix` appended to the file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
