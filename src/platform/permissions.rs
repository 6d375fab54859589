//! Creates folders and files that only their owner may read, private from the start, and refuses those that others could
//! have written.
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::platform::fault::{Fault, FaultKind};

/// Creates a folder, with missing parents, that only its owner may enter. An existing folder is not changed.
pub fn create_folder(path: &Path) -> Result<(), Fault> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Fault::io("create", path, error))
}

/// Creates a file that only its owner may read; fails if it exists.
pub fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Opens a file for appending; a missing one is created private.
pub fn append_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Replaces a file by one rename, private to its owner; creates its folder if needed. A concurrent reader gets the old
/// content or the new one. Nothing is flushed to disk.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<(), Fault> {
    replace(path, content, |_| Ok(()))
}

/// Does the same for content that must survive a power cut: it is on disk before it replaces the old one.
pub fn replace_file_durably(path: &Path, content: &[u8]) -> Result<(), Fault> {
    replace(path, content, File::sync_all)
}

fn replace(
    path: &Path,
    content: &[u8],
    flush: impl Fn(&File) -> io::Result<()>,
) -> Result<(), Fault> {
    let mut temporary_path = path.as_os_str().to_owned();
    temporary_path.push(format!(".{}", std::process::id()));
    let temporary_path = PathBuf::from(temporary_path);
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary_path)?;
        file.write_all(content)?;
        flush(&file)?;
        std::fs::rename(&temporary_path, path)
    };
    let mut written = write();
    if let (Err(error), Some(folder)) = (&written, path.parent())
        && error.kind() == io::ErrorKind::NotFound
    {
        create_folder(folder)?;
        written = write();
    }
    written.map_err(|error| {
        let _ = std::fs::remove_file(&temporary_path);
        Fault::io("write", path, error)
    })
}

/// Takes a file from all but its owner.
pub fn make_private(path: &Path) -> Result<(), Fault> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| Fault::io("change", path, error))
}

/// Refuses a folder that belongs to another user, that others may write, or that is a link.
pub fn check_own_folder(path: &Path) -> Result<(), Fault> {
    let metadata = path
        .symlink_metadata()
        .map_err(|error| Fault::io("read", path, error))?;
    if !metadata.is_dir() {
        return Err(Fault::new(
            FaultKind::Permission,
            format!("{} is not a folder: refused", path.display()),
            "remove it; it is made again when it is needed",
        ));
    }
    check_owner_and_mode(path, &metadata)
}

/// Refuses a folder or file that belongs to another user or that others may write.
pub fn check_owner_and_mode(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    let me = rustix::process::geteuid().as_raw();
    let shown = path.display();
    if metadata.uid() != me {
        return Err(Fault::new(
            FaultKind::Permission,
            format!(
                "{shown} belongs to user {} and this is user {me}: refused",
                metadata.uid()
            ),
            "use a folder of your own (MESH_DB_PATH or CLAUDE_MESH_HOME); nothing was changed",
        ));
    }
    check_not_writable_by_others(path, metadata)
}

/// Refuses a folder or file that others may write, whatever its owner.
pub fn check_not_writable_by_others(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    let shown = path.display();
    if metadata.mode() & 0o022 != 0 {
        return Err(Fault::new(
            FaultKind::Permission,
            format!(
                "{shown} can be written by others (mode {:o}): refused",
                metadata.mode() & 0o7777
            ),
            format!("`chmod go-w {shown}` makes it yours alone; nothing was changed"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_folders_and_files_are_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        create_folder(&folder).unwrap();
        create_file(&folder.join("f")).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(folder.join("f").metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn replaced_file_is_complete_owner_only_and_leaves_no_temp_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/f");
        for content in ["long content", "short"] {
            for replace in [replace_file, replace_file_durably] {
                replace(&path, content.as_bytes()).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            }
        }
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let folder = path.parent().unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        replace_file(&path, b"x").unwrap_err();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn folder_writable_by_others_is_refused() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o770)).unwrap();
        let fault =
            check_owner_and_mode(place.path(), &place.path().metadata().unwrap()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permission);
        assert!(fault.message.contains("mode 770"), "{}", fault.message);
    }
}
