//! A mesh in a file of SQLite: opened, reopened when another file takes its place, and kept small.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::background_checkpoint::checkpoint_in_background;
use super::busy_handler::{LockTimeout, install_busy_handler, wait_in_queue};
use super::connect::{FAST_SECURE_DELETE, Options, configure, connect};
use super::database_path::{check_folder, folder_of, with_suffix};
use super::engine;
use super::fault::{add_path, fault};
use super::file_header::FileId;
use super::migrate::migrate;
use super::schema::Schema;
use super::transaction::Tx;
use super::write_queue::WriteQueue;
use super::{create, file_header};
use crate::model::{Error, Result};
use crate::platform::{Fault, Moment, clock, permissions};
use crate::store::wal::{CheckpointMode, DueCheckpoint, WalLength, checkpoint};

/// An open file.
#[derive(Debug)]
pub(super) struct FileDatabase {
    pub(super) connection: Connection,
    path: PathBuf,
    file: FileId,
    lock_timeout: LockTimeout,
    wal_length: WalLength,
    pub(super) version: u32,
    /// How many of its commits changed access keys, or who the peers and sessions are.
    identity_changes: u64,
    write_queue: Arc<WriteQueue>,
    checkpoint_in_background: bool,
}

impl FileDatabase {
    /// Opens the file at `path`; creates it, with its folder, if there is none. An older schema is migrated, except by a hook.
    pub(super) fn open(
        path: &Path,
        options: &Options,
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
        let write_queue = Arc::new(WriteQueue::of(path));
        let lock_timeout = install_busy_handler(
            &mut connection,
            options.lock_timeout,
            Arc::clone(&write_queue),
        )
        .map_err(with_path)?;
        let wal_length = configure(&mut connection, options).map_err(with_path)?;
        let version = migrate(&mut connection, path, schema, !options.hook)?;
        Ok(Self {
            connection,
            path: path.to_path_buf(),
            file,
            lock_timeout,
            wal_length,
            version,
            identity_changes: 0,
            write_queue,
            checkpoint_in_background: options.checkpoint_in_background,
        })
    }

    /// Returns the sizes of the file and of its WAL in bytes.
    pub(super) fn sizes(&self) -> (u64, u64) {
        let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        (size(&self.path), size(&with_suffix(&self.path, "-wal")))
    }

    pub(super) fn set_lock_timeout(&mut self, lock_timeout: Duration) {
        self.lock_timeout.set(lock_timeout);
    }

    /// Returns whether the path names another file now, or none.
    pub(super) fn is_replaced(&self) -> bool {
        !self
            .path
            .metadata()
            .is_ok_and(|metadata| FileId::of(&metadata) == self.file)
    }

    /// Returns two numbers: one changes with each commit of another connection, the other with those of this one that change
    /// access keys, or who the peers and sessions are.
    #[cfg(feature = "hub")]
    pub(super) fn change_counts(&self) -> std::result::Result<(i64, u64), Fault> {
        let with_path = |error| fault(&self.path, error);
        let mut statement = self
            .connection
            .prepare_cached("PRAGMA data_version")
            .map_err(with_path)?;
        let by_others = statement
            .query_row([], |row| row.get(0))
            .map_err(with_path)?;
        Ok((by_others, self.identity_changes))
    }

    /// Runs an operation as one writing transaction, which is rolled back if the operation fails.
    pub(super) fn write<T>(
        &mut self,
        now: Moment,
        operation: impl FnOnce(&Tx) -> Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        let limit = self.lock_timeout.get();
        // What takes the lock only if it is free does not wait in the queue.
        if !limit.is_zero() && self.write_queue.enter() {
            let since = clock::Stopwatch::start();
            wait_in_queue(&self.write_queue, || since.elapsed() >= limit);
            self.lock_timeout.set(limit.saturating_sub(since.elapsed()));
        }
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        match &begun {
            Ok(_) => self.write_queue.leave(),
            Err(_) => self.write_queue.give_up(),
        }
        self.lock_timeout.set(limit);
        let sql = begun.map_err(|error| fault(path, error))?;
        let tx = Tx::new(engine::Transaction::File(sql), now, self.version);
        let outcome = operation(&tx).map_err(|error| add_path(path, error));
        let secure_delete = tx.is_secure_delete_enabled();
        if tx.changes_identities() {
            self.identity_changes += 1;
        }
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
        // The restart of the WAL needs the lock next, and wakes the next writer after it.
        if !self.wal_length.is_restart_due() {
            self.write_queue.wake_next();
        }
        if secure_delete {
            self.connection
                .execute_batch(FAST_SECURE_DELETE)
                .map_err(|error| fault(path, error))?;
        }
        result
    }

    /// Runs a query on one state of the file.
    pub(super) fn read<T>(
        &mut self,
        now: Moment,
        query: impl FnOnce(&Tx) -> Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        let sql = self
            .connection
            .transaction()
            .map_err(|error| fault(path, error))?;
        let tx = Tx::new(engine::Transaction::File(sql), now, self.version);
        query(&tx).map_err(|error| add_path(path, error))
    }

    /// Copies the WAL into the file and refreshes the statistics of the query planner.
    pub(super) fn checkpoint_and_optimize(&self) -> Result<()> {
        self.connection
            .execute_batch("PRAGMA wal_checkpoint(PASSIVE); PRAGMA optimize;")
            .map_err(|error| self.error(error))
    }

    /// Checkpoints a WAL that has become long. The commit before is durable without it, so a failure is ignored.
    pub(super) fn checkpoint_if_wal_is_long(&mut self) {
        match self.wal_length.take_due() {
            DueCheckpoint::Nothing => {}
            DueCheckpoint::Copy => {
                if let Some(turn) = self.write_queue.take_checkpoint_turn() {
                    if self.checkpoint_in_background {
                        checkpoint_in_background(&self.path, turn);
                    } else {
                        self.wal_length.copy(&self.connection, turn);
                    }
                }
            }
            DueCheckpoint::Restart => {
                let _ = self.checkpoint(CheckpointMode::Restart);
                self.write_queue.wake_next();
            }
        }
    }

    pub(super) fn checkpoint(&self, mode: CheckpointMode) -> Result<bool> {
        checkpoint(&self.connection, mode, &self.lock_timeout).map_err(|error| self.error(error))
    }

    /// Checks the whole file for damage, which is slow. Returns the first finding.
    pub(super) fn find_damage(&self) -> Result<Option<String>> {
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
