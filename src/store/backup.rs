//! Copies a mesh into a new file that is a normal mesh file. Others write to the mesh meanwhile; the copy is of one state.
//!
//! The copy is written under another name, checked, flushed to disk and linked to its place, so an interrupted backup leaves at
//! most a temporary file, and a file that exists is never replaced.
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::connect::connect;
use super::database::{Place, Store};
use super::database_path::{folder_of, with_suffix};
use super::fault::fault;
use crate::model::Result;
use crate::platform::{Fault, FaultKind, Moment, permissions};

/// A backup that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupCopy {
    /// Its size in bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema: u32,
    /// How many sessions are registered on the server, which are not in the copy; none of a file.
    pub sessions_left: u64,
}

impl Store {
    /// Copies the mesh into a new file that only this user can read.
    pub fn back_up(&mut self, file: &Path, now: &Moment) -> Result<BackupCopy> {
        let temporary = TemporaryCopy::beside(file, "backup")?;
        let sessions_left = match &self.place {
            Place::File(database) => {
                permissions::create_file(&temporary.path)
                    .map_err(|error| Fault::io("create", file, error))?;
                copy_pages(&database.connection, &temporary.path)?;
                0
            }
            #[cfg(feature = "postgres")]
            Place::Served(_) => self.back_up_served(&temporary.path, now)?,
            #[cfg(not(feature = "postgres"))]
            Place::Served(_) => {
                let _ = now;
                unreachable!("this build has no client of a database server")
            }
        };
        let schema = complete(&temporary.path)?;
        temporary.link_to(file)?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(BackupCopy {
            bytes,
            schema,
            sessions_left,
        })
    }

    #[cfg(feature = "postgres")]
    fn back_up_served(&mut self, temporary: &Path, now: &Moment) -> Result<u64> {
        let mut file = Self::open(temporary, super::connect::Options::default())?;
        Ok(self.copy_to_file(&mut file, now.clone())?.sessions_left)
    }
}

/// Copies all pages in one step, which is one state; several steps would begin again whenever another program writes.
fn copy_pages(source: &Connection, target: &Path) -> std::result::Result<(), Fault> {
    const ALL_PAGES: std::ffi::c_int = std::ffi::c_int::MAX;
    const RETRY_PAUSE: Duration = Duration::from_millis(10);
    let with_path = |error| fault(target, error);
    let mut copy = connect(target)?;
    rusqlite::backup::Backup::new(source, &mut copy)
        .and_then(|backup| backup.run_to_completion(ALL_PAGES, RETRY_PAUSE, None))
        .map_err(with_path)
}

/// Checks a copy, empties its WAL and flushes it to disk. Returns the version of its schema.
pub(super) fn complete(copy: &Path) -> std::result::Result<u32, Fault> {
    let with_path = |error| fault(copy, error);
    let connection = connect(copy)?;
    let damage: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(with_path)?;
    if damage != "ok" {
        let problem = format!("the copy is damaged, so its source is: {damage}");
        let hint = "`claude-mesh doctor` says how to recover; nothing was changed";
        return Err(Fault::new(FaultKind::DatabaseCorrupted, problem, hint));
    }
    let schema = super::schema::read_user_version(&connection).map_err(with_path)?;
    // A failed write is reported by this, and not by closing the connection.
    let is_busy: bool = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(with_path)?;
    debug_assert!(!is_busy, "nobody else knows the file");
    connection.close().map_err(|(_, error)| with_path(error))?;
    File::open(copy)
        .and_then(|file| file.sync_all())
        .map_err(|error| Fault::io("write", copy, error))?;
    Ok(schema)
}

/// A copy that is not complete; what is left of it is removed at the end.
#[derive(Debug)]
pub(super) struct TemporaryCopy {
    pub(super) path: PathBuf,
}

impl TemporaryCopy {
    /// Returns the name of a copy that becomes `file`, which must not exist.
    pub(super) fn beside(file: &Path, purpose: &str) -> std::result::Result<Self, Fault> {
        if std::fs::symlink_metadata(file).is_ok() {
            return Err(exists(file));
        }
        Ok(Self::named(file, purpose))
    }

    /// Returns the name of a copy in the folder of `file`.
    pub(super) fn named(file: &Path, purpose: &str) -> Self {
        let unique = format!(".{purpose}-{}-{:x}", std::process::id(), fastrand::u64(..));
        Self {
            path: with_suffix(file, &unique),
        }
    }

    pub(super) fn link_to(&self, file: &Path) -> std::result::Result<(), Fault> {
        match std::fs::hard_link(&self.path, file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(file)),
            // Some file systems have no hard links.
            Err(_) => std::fs::rename(&self.path, file)
                .map_err(|error| Fault::io("create", file, error))?,
        }
        sync_folder(file)
    }
}

impl Drop for TemporaryCopy {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// Makes a new name in the folder of a file durable.
pub(super) fn sync_folder(file: &Path) -> std::result::Result<(), Fault> {
    let folder = folder_of(file);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Fault::io("write", folder, error))
}

fn exists(file: &Path) -> Fault {
    Fault::new(
        FaultKind::Other,
        format!("{} exists already", file.display()),
        "name another file; nothing was changed",
    )
}
