//! What can go wrong on this machine: a file, a right, a setting, the database. Refusals of a verb are not here but in `model`.
use std::fmt;
use std::path::Path;

/// A fault: one lowercase line that says what is so, and a hint that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What callers branch on.
    pub kind: FaultKind,
    /// What is so, and whether anything was changed.
    pub message: String,
    /// What can be done now; may be empty.
    pub hint: String,
}

/// The kinds of fault that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A setting has a value that cannot be used.
    Setting,
    /// A file of ours or of the user is broken.
    BrokenFile,
    /// The file at the database's place is not ours.
    ForeignFile,
    /// The database is damaged.
    DatabaseCorrupted,
    /// The database was written by a newer program than this one can follow.
    NewerSchema,
    /// Another program held the write lock for longer than this one waits.
    Busy,
    /// The disk is full.
    DiskFull,
    /// The file system cannot carry the database.
    UnsuitableFilesystem,
    /// Somebody else owns or may write what should be private, or a right is missing.
    Permission,
    /// Anything else.
    Other,
}

impl Fault {
    /// Returns a fault with its hint.
    pub fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Returns the fault of a failed operation on a path, with a kind that follows from the error.
    pub fn io(operation: &str, path: &Path, error: &std::io::Error) -> Self {
        let (kind, hint) = match error.kind() {
            std::io::ErrorKind::PermissionDenied if operation == "read" => (
                FaultKind::Permission,
                "make it readable for this user; nothing was changed",
            ),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => (
                FaultKind::Permission,
                "make the folder writable for this user, or set MESH_DB_PATH to a place that is",
            ),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                (FaultKind::DiskFull, "free some space; nothing was changed")
            }
            _ => (FaultKind::Other, ""),
        };
        Self::new(
            kind,
            format!("cannot {operation} {}: {error}", path.display()),
            hint,
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_permission_fault_hints_to_make_the_file_readable() {
        let denied = std::io::ErrorKind::PermissionDenied.into();
        let hint = |operation| Fault::io(operation, Path::new("/a/.env"), &denied).hint;
        assert!(hint("read").starts_with("make it readable"));
        assert!(hint("create").contains("MESH_DB_PATH"));
    }
}
