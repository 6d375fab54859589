//! Puts a backup in the place of the file of a mesh, and keeps the file that it replaces.
//!
//! The backup is copied and checked before anything is touched. No other program may have the file open: a lock on all of its
//! bytes, which SQLite's own locks exclude, is held while the files change their names. If a step fails, the old file is at
//! its place or beside it.
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::backup::{TemporaryCopy, complete, sync_folder};
use super::connect::connect;
use super::database_path::{check_folder, folder_of, with_suffix};
use super::fault::fault;
use super::file_lock::{ExclusiveUseError, lock_all};
use super::schema::{read_versions, version};
use super::{create, file_header};
use crate::platform::clock::rfc3339;
use crate::platform::{Fault, FaultKind, permissions};

/// What is between the name of the database and the time in the name of a file that was replaced.
const REPLACED_INFIX: &str = ".replaced-";

/// A backup that is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The version of its schema.
    pub schema: u32,
    /// Where the file that was replaced is; `None` if there was none.
    pub replaced: Option<PathBuf>,
    /// The number of resources whose fencing token was newer in the replaced file; they continue from there.
    pub continued_fences: u64,
    /// Whether the replaced file could be read, so that its fencing tokens are known.
    pub replaced_was_readable: bool,
}

/// Puts a copy of `backup` in the place of `database`. The file that was there stays beside it, with `wall_ms` in its name.
pub fn restore(
    backup: &Path,
    database: &Path,
    wall_ms: i64,
) -> Result<Restored, ExclusiveUseError> {
    let folder = folder_of(database);
    if !folder.exists() {
        permissions::create_folder(folder)?;
    }
    check_folder(folder)?;
    let temporary = checked_copy(backup, database)?;
    let has_old = create::exists(database)?;
    let fences = if has_old {
        read_fences(database)
    } else {
        Some(Vec::new())
    };
    let continued_fences = continue_fences(&temporary.path, fences.as_deref().unwrap_or_default())?;
    let schema = complete(&temporary.path)?;
    let create_fault = |error| Fault::io("write", database, error);
    // The same lock as that of a program that creates a database here.
    let folder_lock = File::open(folder).map_err(create_fault)?;
    folder_lock.lock().map_err(create_fault)?;
    let old = has_old.then(|| lock_all(database)).transpose()?;
    let replaced = old.is_some().then(|| {
        let time = rfc3339(wall_ms).replace([':', '.', '-'], "");
        with_suffix(database, &format!("{REPLACED_INFIX}{time}"))
    });
    swap(&temporary.path, database, replaced.as_deref())?;
    sync_folder(database)?;
    Ok(Restored {
        schema,
        replaced,
        continued_fences,
        replaced_was_readable: fences.is_some(),
    })
}

/// Copies a backup beside the database; refuses what this program cannot use.
fn checked_copy(backup: &Path, database: &Path) -> Result<TemporaryCopy, Fault> {
    file_header::check(backup)?;
    let temporary = TemporaryCopy::named(database, "restore");
    let copy = |suffix: &str| {
        let target = with_suffix(&temporary.path, suffix);
        let mut from = File::open(with_suffix(backup, suffix))?;
        let mut to = permissions::create_file(&target)?;
        std::io::copy(&mut from, &mut to).map(drop)
    };
    copy("").map_err(|error| Fault::io("copy", backup, error))?;
    match copy("-wal") {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Fault::io("copy", &with_suffix(backup, "-wal"), error));
        }
        _ => {}
    }
    let versions = connect(&temporary.path)
        .and_then(|copy| read_versions(&copy).map_err(|error| fault(backup, error)))?;
    if versions.min_reader > version() {
        return Err(Fault::new(
            FaultKind::NewerSchema,
            format!(
                "{} has schema {}, this program knows up to {}",
                backup.display(),
                versions.version,
                version()
            ),
            "update claude-mesh; nothing was changed",
        ));
    }
    Ok(temporary)
}

/// Returns the fencing tokens of the file that is replaced; `None` if it cannot be read.
fn read_fences(database: &Path) -> Option<Vec<(String, i64)>> {
    file_header::check(database).ok()?;
    let connection = connect(database).ok()?;
    let mut statement = connection
        .prepare("SELECT resource, last FROM fence")
        .ok()?;
    let rows = statement.query_map([], |row| Ok((row.get("resource")?, row.get("last")?)));
    rows.ok()?.collect::<Result<_, _>>().ok()
}

/// Raises the fencing tokens of a backup to those that were given since, so that none is given twice.
fn continue_fences(copy: &Path, fences: &[(String, i64)]) -> Result<u64, Fault> {
    if fences.is_empty() {
        return Ok(0);
    }
    let write = |connection: &mut Connection| -> rusqlite::Result<u64> {
        let transaction = connection.transaction()?;
        let mut raised = 0;
        for (resource, last) in fences {
            raised += transaction.execute(
                "INSERT INTO fence (resource, last) VALUES (?1, ?2)
                 ON CONFLICT (resource) DO UPDATE SET last = excluded.last WHERE excluded.last > fence.last",
                rusqlite::params![resource, last],
            )?;
        }
        transaction.commit()?;
        Ok(raised as u64)
    };
    write(&mut connect(copy)?).map_err(|error| fault(copy, error))
}

/// Gives the old file and its WAL their new names and the copy its place. The WAL goes first: SQLite would apply it to the copy.
fn swap(copy: &Path, database: &Path, replaced: Option<&Path>) -> Result<(), Fault> {
    let moved = |from: &Path, to: &Path| match std::fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::io("move", from, error)),
        _ => Ok(()),
    };
    if let Some(replaced) = replaced {
        std::fs::hard_link(database, replaced)
            .map_err(|error| Fault::io("create", replaced, error))?;
        moved(
            &with_suffix(database, "-wal"),
            &with_suffix(replaced, "-wal"),
        )?;
    }
    for suffix in ["-wal", "-shm"] {
        let left = with_suffix(database, suffix);
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Fault::io("remove", &left, error));
            }
            _ => {}
        }
    }
    std::fs::rename(copy, database).map_err(|error| Fault::io("write", database, error))
}
