//! Decides by the first bytes of a file whether it is a mesh database, before SQLite sees it. A refused file is not changed.
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::recovery_hints::{recovery_hint, relocation_hint};
use crate::platform::{Fault, FaultKind, file, permissions};

/// SQLite's application id of a mesh database: the letters `CMsh`.
pub(super) const APPLICATION_ID: i32 = 0x434d_7368;

/// Device and inode: tells whether a path still names the file that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// Returns the id of the file at `path` if it is a mesh database.
pub(super) fn check(path: &Path) -> Result<FileId, Fault> {
    let mut file = file::open_nonblocking(path).map_err(|error| Fault::io("open", path, error))?;
    let metadata = file
        .metadata()
        .map_err(|error| Fault::io("open", path, error))?;
    let foreign_file_fault = |what: &str, hint: String| {
        let message = format!("cannot open {}: {what}", path.display());
        Fault::new(FaultKind::ForeignFile, message, hint)
    };
    if !metadata.is_file() {
        let hint = "nothing was changed. Set MESH_DB_PATH to the path of a file";
        return Err(foreign_file_fault("it is not a file", hint.into()));
    }
    permissions::check_owner_and_mode(path, &metadata)?;
    if metadata.len() == 0 {
        let hint = format!(
            "`rm {}`: the next command creates a new one",
            path.display()
        );
        return Err(foreign_file_fault("the file is empty", hint));
    }
    let mut header = [0_u8; 72];
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return Err(foreign_file_fault(
            "file is not a database",
            recovery_hint(path),
        ));
    }
    if header[68..72] != APPLICATION_ID.to_be_bytes() {
        return Err(foreign_file_fault(
            "the database belongs to another program",
            relocation_hint(path),
        ));
    }
    Ok(FileId::of(&metadata))
}
