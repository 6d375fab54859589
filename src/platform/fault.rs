//! Reports failures of the machine: files, permissions, settings, the database. What an operation refuses is
//! `model::Refusal` instead.
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A failure of the machine, with a message of one lowercase line and a hint for the reader.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The kind, for callers that branch.
    pub kind: FaultKind,
    /// What failed, with the words of the source, and whether anything was changed.
    pub message: String,
    /// What can be done about it; may be empty.
    pub hint: String,
    /// The error that caused it, if there is one.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of fault that callers distinguish.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A setting has a value that cannot be used.
    Setting,
    /// A file of claude-mesh or of the user has invalid content.
    BrokenFile,
    /// The file at the database path is not a database of claude-mesh.
    ForeignFile,
    /// The database is damaged.
    DatabaseCorrupted,
    /// The database has a schema that is newer than this program can read.
    NewerSchema,
    /// Another program held the write lock for longer than this one waits.
    Busy,
    DiskFull,
    /// The database server is away, or its connection broke before a commit: nothing was stored.
    Unreachable,
    /// The connection to the database server broke during a commit: it may be stored or not.
    OutcomeUnknown,
    /// The file system does not support the database.
    UnsuitableFilesystem,
    /// Another user owns or may write a file that should be private, or this user lacks a permission.
    Permission,
    /// The mesh is at a hub, and the program works on a file.
    AtHub,
    /// Anything else.
    Other,
}

impl FaultKind {
    /// Returns whether the database could not store anything, through no fault of its callers: their time stands still meanwhile.
    pub fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::OutcomeUnknown | Self::DiskFull
        )
    }
}

impl Fault {
    /// Returns a fault without a source.
    pub fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: hint.into(),
            source: None,
        }
    }

    /// Returns the same fault with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns the fault of a failed operation on a path; the kind follows from the error, which becomes the source.
    pub fn io(operation: &str, path: &Path, error: io::Error) -> Self {
        let (kind, hint) = match error.kind() {
            io::ErrorKind::PermissionDenied if operation == "read" => (
                FaultKind::Permission,
                "make it readable for this user; nothing was changed",
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
                FaultKind::Permission,
                "make the folder writable for this user, or set MESH_DB_PATH to a path in a writable folder",
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (FaultKind::DiskFull, "free some space; nothing was changed")
            }
            _ => (FaultKind::Other, ""),
        };
        Self::new(
            kind,
            format!("cannot {operation} {}: {error}", path.display()),
            hint,
        )
        .with_source(error)
    }
}

/// Two faults are equal if they read the same; the source is not compared.
impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.message, &self.hint) == (other.kind, &other.message, &other.hint)
    }
}

impl Eq for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> io::Error {
        io::ErrorKind::PermissionDenied.into()
    }

    #[test]
    fn read_permission_fault_hints_to_make_the_file_readable() {
        let hint = |operation| Fault::io(operation, Path::new("/a/.env"), denied()).hint;
        assert!(hint("read").starts_with("make it readable"));
        assert!(hint("create").contains("MESH_DB_PATH"));
    }

    #[test]
    fn io_fault_keeps_the_error_as_its_source() {
        let fault = Fault::io("read", Path::new("/a/.env"), denied());
        let source = fault.source().and_then(|source| source.downcast_ref());
        assert_eq!(
            source.map(io::Error::kind),
            Some(io::ErrorKind::PermissionDenied)
        );
    }
}
