//! Keeping: the one file all sessions share. All SQL of the project lives in this room; every verb is one short transaction.
//!
//! *Purpose:* a file that several programs open directly, with no daemon between: written in WAL mode, every write begun
//! `IMMEDIATE` so that the lock is taken where the code says so, ids minted inside the transaction so that their order is
//! the commit order.
//! *Why not otherwise:* `SQLite`'s own busy handler starves writers under load, so waiting for the lock is ours, short
//! steps with jitter; a hook that is the last to close would pay for a checkpoint, so hooks close without one; a file
//! made in place could be seen half-made, so it is made aside and linked into place.

mod busy_handler;
mod claim;
mod counters;
mod create;
mod delivery;
mod event;
mod expertise;
mod filesystem_check;
mod fts_erase;
mod memory;
mod memory_search;
mod message;
mod peer;
mod prior_answers;
#[cfg(test)]
mod query_plan_tests;
mod question;
mod recovery_hints;
mod retention;
mod secure_erase;
mod state;
mod task;
mod wait;
mod wal;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use ulid::Ulid;

use crate::model::{Error, Refusal, Result};
use crate::platform::{Fault, FaultKind, Moment, permissions};

pub use crate::store::create::{Migration, Schema, version};
pub use crate::store::memory_search::MemoryMatch;
pub(crate) use crate::store::memory_search::MemorySearch;
pub use crate::store::prior_answers::StoredAnswer;
pub use crate::store::question::{NewQuestion, Question, QuestionDelivery};
pub use crate::store::recovery_hints::recovery_hint;
pub use crate::store::retention::Reclaimed;
pub use claim::{Claim, NewClaim};
pub use memory::Memory;
pub(crate) use memory::{MESH as MESH_SCOPE, NewMemory, RowidRange as MemoryRange};
pub use message::{
    IdempotencyMatch, Message, MessageListing, MessageTarget, NewMessage, PendingFlags,
};
pub use peer::{NewPeer, NewSession, Peer, ProcessLocation, Session, WakeAttempt};
pub use task::{Task, TaskListing};

/// How a file is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Flush every commit to disk.
    pub sync_full: bool,
    /// How long a write waits for the lock before it is a fault.
    pub lock_timeout: Duration,
    /// A hook: it migrates nothing and leaves the checkpoint to others.
    pub hook: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync_full: false,
            lock_timeout: Duration::from_secs(15),
            hook: false,
        }
    }
}

/// An open mesh file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    file: FileId,
    options: Options,
    lock_timeout: busy_handler::LockTimeout,
    log_size: wal::WalPageCount,
    version: u32,
}

/// One transaction: the rows as they are, and the time that holds for all of it.
#[derive(Debug)]
pub struct Tx<'a> {
    sql: rusqlite::Transaction<'a>,
    /// The time of this transaction.
    pub now: Moment,
    version: u32,
    appended_event_types: RefCell<Vec<Cow<'static, str>>>,
    secure_delete: Cell<bool>,
}

/// What leaves a page is overwritten there; what stood on a page of its own is not.
const FAST_SECURE_DELETE: &str = "PRAGMA secure_delete = FAST;";

/// Which file a path meant when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl Store {
    /// Opens the file at `path`; makes it, with its folder, when there is none. An older schema is migrated, except by a hook.
    pub fn open(path: &Path, options: Options) -> std::result::Result<Self, Fault> {
        Self::open_with(path, options, &create::CURRENT)
    }

    /// Opens a file under a given schema; the door of the migration tests.
    pub fn open_with(
        path: &Path,
        options: Options,
        schema: &Schema,
    ) -> std::result::Result<Self, Fault> {
        let folder = folder_of(path);
        if !folder.exists() {
            permissions::create_folder(folder)?;
        }
        check_folder(folder)?;
        if !create::exists(path)? {
            create::create(path, schema)?;
        }
        let file = create::check(path)?;
        let mut connection = connect(path)?;
        let lock_timeout =
            busy_handler::install_busy_handler(&mut connection, options.lock_timeout)
                .map_err(|error| fault(path, &error))?;
        let mut store = Self {
            connection,
            path: path.to_path_buf(),
            file,
            options,
            lock_timeout,
            log_size: wal::WalPageCount::default(),
            version: 0,
        };
        store
            .configure_connection()
            .map_err(|error| fault(path, &error))?;
        create::migrate_to(&mut store, schema)?;
        Ok(store)
    }

    fn configure_connection(&mut self) -> rusqlite::Result<()> {
        if self.options.hook {
            self.connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        // Plans do not depend on the values bound; otherwise kept statements are compiled anew at every use.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let synchronous_level = if self.options.sync_full {
            "FULL"
        } else {
            "NORMAL"
        };
        let wal_pragma = if self.options.hook {
            "wal_autocheckpoint = 0"
        } else {
            self.log_size = wal::install_wal_hook(&mut self.connection)?;
            "journal_size_limit = 16777216"
        };
        // What leaves a page is overwritten there, so that nothing forgotten later is left from a time before. Hooks write no
        // memory.
        let tidy = if self.options.hook {
            ""
        } else {
            FAST_SECURE_DELETE
        };
        self.connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous_level}; PRAGMA {wal_pragma}; {tidy}"
        ))?;
        self.connection.set_prepared_statement_cache_capacity(64);
        Ok(())
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the sizes of the file and of its log in bytes.
    pub fn sizes(&self) -> (u64, u64) {
        let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        (size(&self.path), size(&with_suffix(&self.path, "-wal")))
    }

    /// Changes how long a write waits for the lock. Returns how long it waited so far.
    pub fn set_lock_timeout(&mut self, lock_timeout: Duration) -> Duration {
        self.lock_timeout.set(lock_timeout);
        std::mem::replace(&mut self.options.lock_timeout, lock_timeout)
    }

    /// Opens the file anew when its path means another one now, or none. Returns whether it did.
    pub fn reopen_if_replaced(&mut self) -> std::result::Result<bool, Fault> {
        let is_unchanged = self
            .path
            .metadata()
            .is_ok_and(|metadata| FileId(metadata.dev(), metadata.ino()) == self.file);
        if is_unchanged {
            return Ok(false);
        }
        *self = Self::open(&self.path, self.options.clone())?;
        Ok(true)
    }

    /// Runs a verb as one writing transaction: all of it is kept, or nothing.
    pub fn write<T>(&mut self, now: Moment, verb: impl FnOnce(&Tx) -> Result<T>) -> Result<T> {
        let path = &self.path;
        let with_path = |error: Error| add_path(path, error);
        let sql = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| fault(path, &error))?;
        let tx = Tx::new(sql, now, self.version);
        let outcome = verb(&tx).map_err(with_path);
        let secure_delete = tx.secure_delete.get();
        let result = match outcome {
            Ok(outcome) => tx
                .commit()
                .map(|()| outcome)
                .map_err(|error| fault(path, &error).into()),
            Err(error) => {
                drop(tx);
                Err(error)
            }
        };
        if secure_delete {
            self.connection
                .execute_batch(FAST_SECURE_DELETE)
                .map_err(|error| fault(path, &error))?;
        }
        result
    }

    /// Runs a look at one state of the file.
    pub fn read<T>(&mut self, now: Moment, query: impl FnOnce(&Tx) -> Result<T>) -> Result<T> {
        let path = &self.path;
        let sql = self
            .connection
            .transaction()
            .map_err(|error| fault(path, &error))?;
        query(&Tx::new(sql, now, self.version)).map_err(|error| add_path(path, error))
    }

    /// Brings the log into the file and refreshes the query planner's figures; the work of a server at rest.
    pub fn tidy(&mut self) -> Result<()> {
        self.connection
            .execute_batch("PRAGMA wal_checkpoint(PASSIVE); PRAGMA optimize;")
            .map_err(|error| Error::Fault(fault(&self.path, &error)))
    }

    /// Looks for damage in the whole file; slow. Returns the first finding.
    pub fn find_damage(&mut self) -> Result<Option<String>> {
        let found: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| Error::Fault(fault(&self.path, &error)))?;
        Ok((found != "ok").then_some(found))
    }
}

impl<'a> Tx<'a> {
    fn new(sql: rusqlite::Transaction<'a>, now: Moment, version: u32) -> Self {
        Self {
            sql,
            now,
            version,
            appended_event_types: RefCell::default(),
            secure_delete: Cell::default(),
        }
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.sql.commit()
    }
}

impl Tx<'_> {
    /// Returns whether the file has mail, claims and shared state. A hook reads an older one as it is.
    pub(crate) fn has_schema_v2(&self) -> bool {
        self.version >= 2
    }

    /// Returns whether the file has tasks, and memories too.
    pub(crate) fn has_schema_v3(&self) -> bool {
        self.version >= 3
    }

    /// Runs a part of a verb that may be refused alone: then nothing of this part is kept. A fault ends all of it.
    pub(crate) fn try_in_savepoint<T>(
        &self,
        part: impl FnOnce() -> Result<T>,
    ) -> Result<std::result::Result<T, Refusal>> {
        self.sql.execute_batch("SAVEPOINT part")?;
        match part() {
            Ok(outcome) => {
                self.sql.execute_batch("RELEASE part")?;
                Ok(Ok(outcome))
            }
            Err(Error::Refused(refusal)) => {
                self.sql.execute_batch("ROLLBACK TO part; RELEASE part")?;
                Ok(Err(refusal))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Returns a new id: the time, or one more than the last, so that ids grow in commit order whatever the clock does.
    fn next_id(&self) -> rusqlite::Result<Ulid> {
        let last: Option<String> = self.meta("last_id")?;
        let last = last
            .and_then(|text| Ulid::from_string(&text).ok())
            .unwrap_or(Ulid::nil());
        let fresh = Ulid::from_parts(
            u64::try_from(self.now.wall_ms).unwrap_or(0),
            busy_handler::random_u128(),
        );
        let next = if fresh > last {
            fresh
        } else {
            last.increment().unwrap_or(last)
        };
        self.set_meta("last_id", &next.to_string())?;
        Ok(next)
    }

    /// Returns a word that was never used before: the end of a fresh id.
    pub(crate) fn nonce(&self) -> rusqlite::Result<String> {
        Ok(self.next_id()?.to_string()[16..].to_ascii_lowercase())
    }

    pub(crate) fn meta(&self, key: &str) -> rusqlite::Result<Option<String>> {
        use rusqlite::OptionalExtension;
        self.sql
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()
    }

    pub(crate) fn set_meta(&self, key: &str, value: &str) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
            .execute([key, value])
            .map(drop)
    }
}

/// Says why no file could be made or used at `path`, as far as that can be told without making anything.
pub fn check_database_path(path: &Path) -> std::result::Result<(), Fault> {
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

fn check_folder(folder: &Path) -> std::result::Result<(), Fault> {
    let metadata = folder
        .metadata()
        .map_err(|error| Fault::io("open", folder, error))?;
    permissions::check_owner_and_mode(folder, &metadata)?;
    filesystem_check::check(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Returns `path` with something put behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that opens a database"
)]
fn connect(path: &Path) -> std::result::Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| fault(path, &error))
}

/// A fault of the database as the people at the doors read it.
fn fault(path: &Path, error: &rusqlite::Error) -> Fault {
    use rusqlite::ErrorCode as Code;
    let (kind, problem, hint) = match error.sqlite_error_code() {
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => (
            FaultKind::Busy,
            "another program holds the write lock".into(),
            "try again; `claude-mesh doctor` tells who has it open",
        ),
        // Where the path is known, the hint says what to do with the file.
        Some(Code::NotADatabase) => (FaultKind::ForeignFile, "file is not a database".into(), ""),
        Some(Code::DatabaseCorrupt) => (
            FaultKind::DatabaseCorrupted,
            "the file is damaged".into(),
            "",
        ),
        Some(Code::DiskFull) => disk_full(),
        // The shared memory is a file too.
        Some(Code::SystemIoFailure) if is_shared_memory_out_of_space(error) => disk_full(),
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => (
            FaultKind::Permission,
            error.to_string(),
            "make file and folder writable for this user; nothing was changed",
        ),
        _ => (FaultKind::Other, error.to_string(), ""),
    };
    let message = format!("cannot use {}: {problem}", path.display());
    with_recovery_hint(path, Fault::new(kind, message, hint))
}

fn with_recovery_hint(path: &Path, fault: Fault) -> Fault {
    if matches!(
        fault.kind,
        FaultKind::ForeignFile | FaultKind::DatabaseCorrupted
    ) {
        let hint = recovery_hints::recovery_hint(path);
        return Fault { hint, ..fault };
    }
    fault
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

/// SQL errors inside a verb carry no path; it is put in where the verb ends.
fn add_path(path: &Path, error: Error) -> Error {
    match error {
        Error::Fault(fault) if fault.message.starts_with(PATHLESS_PREFIX) => {
            let message = format!(
                "cannot use {}: {}",
                path.display(),
                &fault.message[PATHLESS_PREFIX.len()..]
            );
            Error::Fault(with_recovery_hint(path, Fault { message, ..fault }))
        }
        other => other,
    }
}

const PATHLESS_PREFIX: &str = "\u{0}database: ";

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let found = fault(Path::new(""), &error);
        let problem = found.message.trim_start_matches("cannot use : ").to_owned();
        Self::Fault(Fault {
            message: format!("{PATHLESS_PREFIX}{problem}"),
            ..found
        })
    }
}
