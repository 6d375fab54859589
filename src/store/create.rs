//! Creates a new database and sets its journal mode to WAL.
//!
//! The file is written under another name and hard-linked to its place when it is complete. Of fifty programs that start at
//! once one wins and the others use its file; a crash leaves at most a temporary file.
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::connect::connect;
use super::database_path::{folder_of, with_suffix};
use super::fault::fault;
use super::file_header::APPLICATION_ID;
use super::schema::{Schema, write_versions};
use super::wal;
use crate::platform::{Fault, FaultKind, permissions};

/// Returns whether there is a file. A dangling link or an unreadable folder is a fault.
pub(super) fn exists(path: &Path) -> Result<bool, Fault> {
    path.try_exists()
        .map_err(|error| Fault::io("open", path, error))
}

/// Creates the database, unless another program does so first.
pub(super) fn create(path: &Path, schema: &Schema) -> Result<(), Fault> {
    let unique = format!(".new-{}-{:x}", std::process::id(), fastrand::u64(..));
    let temporary = with_suffix(path, &unique);
    let outcome = create_temporary_database(&temporary, schema)
        .and_then(|()| link_into_place(&temporary, path));
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(with_suffix(&temporary, suffix));
    }
    outcome
}

/// Links the temporary file to its place. A `-wal` file that a deleted database left there is removed first: SQLite would
/// apply it to the new database and damage it. The lock on the folder keeps one program from removing the `-wal` file of a
/// database that another program has just linked.
fn link_into_place(temporary: &Path, path: &Path) -> Result<(), Fault> {
    let create_fault = |error| Fault::io("create", path, error);
    let folder_lock = File::open(folder_of(path)).map_err(create_fault)?;
    folder_lock.lock().map_err(create_fault)?;
    if exists(path)? {
        return Ok(());
    }
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(with_suffix(path, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(create_fault(error)),
            _ => {}
        }
    }
    match std::fs::hard_link(temporary, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(create_fault(error)),
        _ => Ok(()),
    }
}

/// Writes the schema without a WAL and switches to WAL at the end: closing a connection copies the WAL into the file and
/// does not report that the disk was full, while in this one transaction every failed write is reported. The exclusive lock
/// makes shared memory unnecessary until then.
pub(super) fn create_temporary_database(temporary: &Path, schema: &Schema) -> Result<(), Fault> {
    let file = permissions::create_file(temporary)
        .map_err(|error| Fault::io("create", temporary, error))?;
    let connection = connect(temporary)?;
    let write = || {
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; BEGIN")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        for migration in schema.migrations {
            connection.execute_batch(migration.sql)?;
        }
        write_versions(&connection, schema)?;
        connection.execute_batch("COMMIT")?;
        wal::switch_to_wal(&connection)
    };
    let mode: String = write().map_err(|error| fault(temporary, error))?;
    connection
        .close()
        .map_err(|(_, error)| fault(temporary, error))?;
    if mode != "wal" {
        let problem = format!(
            "cannot use {}: the database cannot be switched to WAL, its journal mode stays {mode}",
            temporary.display()
        );
        return Err(Fault::new(FaultKind::Other, problem, ""));
    }
    // The content must survive a power cut before the link names it.
    file.sync_all()
        .map_err(|error| Fault::io("create", temporary, error))
}
