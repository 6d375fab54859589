//! Locks the whole file of a mesh against every other program, and says which one has it open.
use std::fs::File;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockOffsetType, FlockType};

use crate::platform::{Fault, process};

/// A program that has the file open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names say it")]
pub struct FileUser {
    pub pid: Option<i32>,
    pub name: Option<String>,
}

/// Why a file cannot be had alone. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ExclusiveUseError {
    /// Another program has the file open.
    #[error("another program has the file open")]
    InUse(FileUser),
    /// The machine, or the content of a file.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Locks all bytes of a file, which SQLite's own locks exclude. This process must not open the file again until it is released:
/// closing it would release the lock.
pub(super) fn lock_all(database: &Path) -> Result<File, ExclusiveUseError> {
    let open_fault = |error| Fault::io("open", database, error);
    let file = File::options()
        .read(true)
        .write(true)
        .open(database)
        .map_err(open_fault)?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            Err(ExclusiveUseError::InUse(user_of(&file)))
        }
        Err(error) => Err(open_fault(error.into()).into()),
    }
}

fn user_of(file: &File) -> FileUser {
    let wanted = Flock {
        start: 0,
        length: 0,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    let found = rustix::process::fcntl_getlk(file, &wanted).ok().flatten();
    let pid = found
        .and_then(|lock| lock.pid)
        .map(|pid| pid.as_raw_nonzero().get());
    FileUser {
        pid,
        name: pid.and_then(process::name),
    }
}
