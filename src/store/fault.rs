//! Converts errors of the engines into [`Fault`]s: a kind that callers branch on, a message with the location, a hint.
//!
//! A statement inside an operation does not know which file it runs on. Its error of SQLite becomes a fault whose source is a
//! [`StatementError`]; [`add_path`] completes such a fault where the operation ends.
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode as Code;

use super::engine::EngineError;
use super::recovery_hints::recovery_hint;
use crate::model::Error;
use crate::platform::{Fault, FaultKind};

/// An error of SQLite whose path is not known yet.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct StatementError(Arc<rusqlite::Error>);

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        let error = match error {
            EngineError::File(error) => error,
            served @ EngineError::Served(_) => return served.into_fault().into(),
        };
        let (kind, problem, hint) = classify(&error);
        Self::Fault(Fault::new(kind, problem, hint).with_source(StatementError(Arc::new(error))))
    }
}

/// Adds the path to a fault of a statement; returns any other error unchanged.
pub(super) fn add_path(path: &Path, error: Error) -> Error {
    let Error::Fault(fault) = error else {
        return error;
    };
    let source = fault
        .source
        .as_ref()
        .and_then(|source| source.downcast_ref::<StatementError>())
        .map(|StatementError(source)| Arc::clone(source));
    match source {
        Some(source) => with_path(path, (fault.kind, fault.message, fault.hint), source).into(),
        None => fault.into(),
    }
}

/// Returns the fault of a failed operation on the database at `path`.
pub(super) fn fault(path: &Path, error: rusqlite::Error) -> Fault {
    let (kind, problem, hint) = classify(&error);
    with_path(path, (kind, problem, hint.into()), Arc::new(error))
}

fn with_path(
    path: &Path,
    (kind, problem, hint): (FaultKind, String, String),
    source: Arc<rusqlite::Error>,
) -> Fault {
    let hint = match kind {
        FaultKind::ForeignFile | FaultKind::DatabaseCorrupted => recovery_hint(path),
        _ => hint,
    };
    Fault {
        kind,
        message: format!("cannot use {}: {problem}", path.display()),
        hint,
        source: Some(source),
    }
}

/// Returns kind, problem and hint. A damaged or foreign file has no hint here: it needs the path, see [`recovery_hint`].
fn classify(error: &rusqlite::Error) -> (FaultKind, String, &'static str) {
    match error.sqlite_error_code() {
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => (
            FaultKind::Busy,
            "another program holds the write lock".into(),
            "try again; if this persists, close the program that keeps a transaction open",
        ),
        Some(Code::NotADatabase) => (FaultKind::ForeignFile, "file is not a database".into(), ""),
        Some(Code::DatabaseCorrupt) => (
            FaultKind::DatabaseCorrupted,
            "the file is damaged".into(),
            "",
        ),
        Some(Code::DiskFull) => disk_full(),
        // The shared memory of WAL is a file too.
        Some(Code::SystemIoFailure) if is_shared_memory_out_of_space(error) => disk_full(),
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => (
            FaultKind::Permission,
            error.to_string(),
            "make file and folder writable for this user; nothing was changed",
        ),
        _ => (FaultKind::Other, error.to_string(), ""),
    }
}

fn disk_full() -> (FaultKind, String, &'static str) {
    (
        FaultKind::DiskFull,
        "the disk is full".into(),
        "free some space; nothing was changed",
    )
}

fn is_shared_memory_out_of_space(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn statement_error_gets_its_path_once_and_stays_the_source() {
        let in_verb = Error::from(EngineError::from(rusqlite::Error::InvalidQuery));
        let text = rusqlite::Error::InvalidQuery.to_string();
        assert_eq!(in_verb.to_string(), text);
        let complete = add_path(Path::new("/a/mesh.db"), in_verb);
        let again = add_path(Path::new("/other"), complete);
        assert_eq!(again.to_string(), format!("cannot use /a/mesh.db: {text}"));
        let Error::Fault(fault) = again else {
            unreachable!("it was a fault")
        };
        assert!(fault.source().unwrap().is::<rusqlite::Error>());
    }

    #[test]
    fn damaged_database_gets_a_recovery_hint_for_its_path() {
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        let error = Error::from(EngineError::from(rusqlite::Error::SqliteFailure(
            corrupt, None,
        )));
        let Error::Fault(fault) = add_path(Path::new("/a/mesh.db"), error) else {
            unreachable!("it was a fault")
        };
        assert_eq!(fault.kind, FaultKind::DatabaseCorrupted);
        assert!(fault.hint.contains("/a/mesh.db.damaged"), "{}", fault.hint);
    }
}
