//! The open database of a mesh: [`Store`] runs each operation as one short transaction and keeps the file small.
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::busy_handler::{LockTimeout, install_busy_handler};
use super::connect::{FAST_SECURE_DELETE, Options, configure, connect};
use super::database_path::{check_folder, folder_of, with_suffix};
use super::engine;
use super::fault::{add_path, fault};
use super::file_header::FileId;
use super::migrate::migrate;
use super::schema::{self, Schema};
use super::transaction::Tx;
use super::{create, file_header};
use crate::model::{Error, Result};
use crate::platform::{Fault, Moment, permissions};
use crate::store::wal::{CheckpointMode, WalPageCount, checkpoint};

/// A mark of a state of a database, as one open connection sees it.
#[cfg(feature = "hub")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeMark {
    replacements: u32,
    /// Changes with each commit of another connection.
    by_others: i64,
    own_changes: u64,
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    path: PathBuf,
    file: FileId,
    /// How often another file has taken the place of the first.
    replacements: u32,
    options: Options,
    lock_timeout: LockTimeout,
    wal_pages: WalPageCount,
    pub(super) version: u32,
}

impl Store {
    /// Opens the database at `path`; creates it, with its folder, if there is none. An older schema is migrated, except by a
    /// hook.
    pub fn open(path: &Path, options: Options) -> std::result::Result<Self, Fault> {
        Self::open_with(path, options, &schema::CURRENT)
    }

    /// Opens a database with another schema than the current one; for tests of migrations.
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
        let file = file_header::check(path)?;
        let mut connection = connect(path)?;
        let with_path = |error| fault(path, error);
        let lock_timeout =
            install_busy_handler(&mut connection, options.lock_timeout).map_err(with_path)?;
        let wal_pages = configure(&mut connection, &options).map_err(with_path)?;
        let version = migrate(&mut connection, path, schema, !options.hook)?;
        Ok(Self {
            connection,
            path: path.to_path_buf(),
            file,
            replacements: 0,
            options,
            lock_timeout,
            wal_pages,
            version,
        })
    }

    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the sizes of the database file and of its WAL in bytes.
    pub fn sizes(&self) -> (u64, u64) {
        let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        (size(&self.path), size(&with_suffix(&self.path, "-wal")))
    }

    /// Changes how long a write waits for the lock. Returns the previous value.
    pub fn set_lock_timeout(&mut self, lock_timeout: Duration) -> Duration {
        self.lock_timeout.set(lock_timeout);
        std::mem::replace(&mut self.options.lock_timeout, lock_timeout)
    }

    /// Opens the database again if its path names another file now, or none. Returns whether it did.
    pub fn reopen_if_replaced(&mut self) -> std::result::Result<bool, Fault> {
        let is_unchanged = self
            .path
            .metadata()
            .is_ok_and(|metadata| FileId::of(&metadata) == self.file);
        if is_unchanged {
            return Ok(false);
        }
        let replacements = self.replacements + 1;
        *self = Self::open(&self.path, self.options.clone())?;
        self.replacements = replacements;
        Ok(true)
    }

    /// Returns how often the file at the path was replaced by another since this was opened.
    #[cfg(feature = "hub")]
    pub(crate) fn replacements(&self) -> u32 {
        self.replacements
    }

    /// Returns a mark of the state of the database: another one after any commit by any program.
    #[cfg(feature = "hub")]
    pub(crate) fn change_mark(&self) -> std::result::Result<ChangeMark, Fault> {
        let with_path = |error| fault(&self.path, error);
        let mut statement = self
            .connection
            .prepare_cached("PRAGMA data_version")
            .map_err(with_path)?;
        Ok(ChangeMark {
            replacements: self.replacements,
            by_others: statement
                .query_row([], |row| row.get(0))
                .map_err(with_path)?,
            own_changes: self.connection.total_changes(),
        })
    }

    /// Runs an operation as one writing transaction, which is rolled back if the operation fails.
    pub fn write<T>(&mut self, now: Moment, operation: impl FnOnce(&Tx) -> Result<T>) -> Result<T> {
        let path = &self.path;
        let sql = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| fault(path, error))?;
        let tx = Tx::new(engine::Transaction::File(sql), now, self.version);
        let outcome = operation(&tx).map_err(|error| add_path(path, error));
        let secure_delete = tx.is_secure_delete_enabled();
        let result = match outcome {
            Ok(outcome) => tx
                .commit()
                .map(|()| outcome)
                .map_err(|error| add_path(path, error.into())),
            Err(error) => {
                drop(tx);
                Err(error)
            }
        };
        if secure_delete {
            self.connection
                .execute_batch(FAST_SECURE_DELETE)
                .map_err(|error| fault(path, error))?;
        }
        result
    }

    /// Runs a query on one state of the database.
    pub fn read<T>(&mut self, now: Moment, query: impl FnOnce(&Tx) -> Result<T>) -> Result<T> {
        let path = &self.path;
        let sql = self
            .connection
            .transaction()
            .map_err(|error| fault(path, error))?;
        query(&Tx::new(engine::Transaction::File(sql), now, self.version))
            .map_err(|error| add_path(path, error))
    }

    /// Copies the WAL into the file and refreshes the statistics of the query planner; for a server without work.
    pub fn checkpoint_and_optimize(&mut self) -> Result<()> {
        self.connection
            .execute_batch("PRAGMA wal_checkpoint(PASSIVE); PRAGMA optimize;")
            .map_err(|error| self.error(error))
    }

    /// Checkpoints a WAL that has become long. The commit before is durable without it, so a failure is ignored.
    pub(crate) fn checkpoint_if_wal_is_long(&mut self) {
        if self.wal_pages.take_is_long() {
            let _ = self.checkpoint(CheckpointMode::Restart);
        }
    }

    pub(super) fn checkpoint(&self, mode: CheckpointMode) -> Result<bool> {
        checkpoint(&self.connection, mode, &self.lock_timeout).map_err(|error| self.error(error))
    }

    /// Checks the whole file for damage, which is slow. Returns the first finding.
    pub fn find_damage(&mut self) -> Result<Option<String>> {
        let found: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| self.error(error))?;
        Ok((found != "ok").then_some(found))
    }

    pub(super) fn error(&self, error: rusqlite::Error) -> Error {
        fault(&self.path, error).into()
    }
}
