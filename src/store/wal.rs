//! Switches a new database to WAL mode and bounds the size of the WAL: a transaction that makes it longer than 1,000 pages
//! checkpoints it and restarts it.
//!
//! SQLite's automatic checkpoint succeeds only while no program writes, so under many writers the WAL grows without
//! limit. This one takes the write lock. It waits only briefly for a reader that stays, because all writers wait with
//! it.
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::busy_handler::LockTimeout;

/// Pages in the WAL before it is checkpointed; four megabytes.
const WAL_PAGES_MAX: c_int = 1_000;
/// How long to wait for the lock and for readers; the next commit tries again.
const CHECKPOINT_WAIT_MAX: Duration = Duration::from_millis(20);

/// Switches a database to WAL mode, which stays with the file. Returns the journal mode that it has now; another one than
/// `wal` if the file system cannot have it.
pub(super) fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
}

/// How many pages the WAL had after the last commit of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct WalPageCount(Arc<AtomicI32>);

impl WalPageCount {
    /// Returns whether the WAL is due for a checkpoint, and counts from zero again.
    pub(super) fn take_is_long(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) >= WAL_PAGES_MAX
    }
}

/// Counts the pages of each commit; replaces the automatic checkpoint of SQLite, which uses the same hook.
pub(super) fn install_wal_hook(connection: &mut Connection) -> rusqlite::Result<WalPageCount> {
    let page_count = WalPageCount::default();
    let counter = page_count.clone();
    connection.wal_hook(Some(move |_: &mut Wal, pages: c_int| {
        counter.0.store(pages, Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(page_count)
}

/// How far a checkpoint goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum CheckpointMode {
    /// The next writer starts again at the beginning of the WAL.
    Restart,
    /// The same, and the WAL is cut to no bytes.
    Truncate,
}

/// Copies the WAL into the database file. Returns false when a reader or a writer prevented it, which SQLite reports in a row
/// and not as an error.
pub(super) fn checkpoint(
    connection: &Connection,
    mode: CheckpointMode,
    lock_timeout: &LockTimeout,
) -> rusqlite::Result<bool> {
    let sql = match mode {
        CheckpointMode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        CheckpointMode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let usual_timeout = lock_timeout.get();
    lock_timeout.set(usual_timeout.min(CHECKPOINT_WAIT_MAX));
    // The WAL grows as long as others come first.
    lock_timeout.set_retry_fast(true);
    let is_busy = connection.query_row(sql, [], |row| row.get::<_, bool>(0));
    lock_timeout.set_retry_fast(false);
    lock_timeout.set(usual_timeout);
    Ok(!is_busy?)
}
