//! Keeps the log short: whoever commits beyond a size brings it into the file and lets it begin anew.
//!
//! `SQLite` does so by itself, but only when nobody writes meanwhile: under many writers its log grows without end. So the
//! write lock is taken for it; a reader that stays is waited for only shortly, since all writers wait with us.
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::Store;
use crate::model::Result;

/// Pages in the log; four megabytes.
const WAL_PAGES_MAX: c_int = 1_000;
/// How long to wait for the lock, and for readers; whoever commits next tries again.
const CHECKPOINT_WAIT_MAX: Duration = Duration::from_millis(20);

/// How many pages the log had after the last commit of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct WalPageCount(Arc<AtomicI32>);

/// Counts instead of what `SQLite` does by itself.
pub(super) fn install_wal_hook(connection: &mut Connection) -> rusqlite::Result<WalPageCount> {
    let size = WalPageCount::default();
    let counter = size.clone();
    connection.wal_hook(Some(move |_: &mut Wal, pages: c_int| {
        counter.0.store(pages, Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(size)
}

impl Store {
    /// Brings a log that has become long into the file. What is committed is committed, so a failure can wait.
    pub(crate) fn checkpoint_if_wal_is_long(&mut self) {
        if self.log_size.0.swap(0, Ordering::Relaxed) < WAL_PAGES_MAX {
            return;
        }
        let _ = self.checkpoint_wal("RESTART");
    }

    /// Brings the log into the file, so that it begins anew. Returns false when a reader or a writer stood in the way,
    /// which `SQLite` tells in its answer and not as an error.
    pub(super) fn checkpoint_wal(&mut self, mode: &str) -> Result<bool> {
        self.lock_timeout
            .set(self.options.lock_timeout.min(CHECKPOINT_WAIT_MAX));
        // The log grows as long as others come first.
        self.lock_timeout.set_retry_fast(true);
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let busy = self
            .connection
            .query_row(&sql, [], |row| row.get::<_, bool>(0));
        self.lock_timeout.set_retry_fast(false);
        self.lock_timeout.set(self.options.lock_timeout);
        Ok(!busy?)
    }
}
