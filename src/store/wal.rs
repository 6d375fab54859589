//! Switches a new database to WAL mode and bounds the size of the WAL. Once a transaction has made it longer than 1,000 pages,
//! one program copies them into the file while others write. Then, with the write lock, it copies the few that came meanwhile and
//! lets the WAL begin again.
//!
//! SQLite's automatic checkpoint is the first step alone, after which the WAL begins again only if no program writes, so under
//! many writers it grows without limit. The second step alone keeps all writers waiting for two flushes of the disk. It waits
//! only briefly for a reader that stays.
//!
//! A server does both in a thread, so that no caller waits for them. Another program does the first at the end of a write and
//! the second at the end of its next one, which is when it has its turn among the writers.
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::busy_handler::LockTimeout;
use super::write_queue::CheckpointTurn;
use crate::platform::fail_point;

/// Pages in the WAL before they are copied; four megabytes.
const WAL_PAGES_MAX: c_int = 1_000;
/// With this number of pages a program that has not copied them lets the WAL begin again all the same.
const WAL_PAGES_LIMIT: c_int = 2_000;
/// After this number of further pages a program looks again, if another one was copying.
const LOOK_AGAIN_PAGES: c_int = 250;
/// How long to wait for the lock and for readers; the next commit tries again.
const CHECKPOINT_WAIT_MAX: Duration = Duration::from_millis(20);

/// Switches a database to WAL mode, which stays with the file. Returns the journal mode that it has now; another one than
/// `wal` if the file system cannot have it.
pub(super) fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
}

/// What a connection knows of the length of the WAL.
#[derive(Debug, Default)]
pub(super) struct WalLength {
    /// The pages after its last commit, until they are looked at.
    pages: Arc<AtomicI32>,
    /// With this number of pages it looks again whether another program copies them.
    look_again_at: c_int,
    /// Held while it is the one that checkpoints, after it has copied the WAL.
    copied: Option<CheckpointTurn>,
}

/// What is due for the WAL after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DueCheckpoint {
    Nothing,
    /// It is copied while others write.
    Copy,
    /// The pages that are left are copied, and it begins again.
    Restart,
}

impl WalLength {
    /// Returns whether the WAL begins again now, before anyone else writes.
    pub(super) fn is_restart_due(&self) -> bool {
        let pages = self.pages.load(Ordering::Relaxed);
        pages >= WAL_PAGES_LIMIT || pages >= WAL_PAGES_MAX && self.copied.is_some()
    }

    /// Returns what is due after the last commit, once.
    pub(super) fn take_due(&mut self) -> DueCheckpoint {
        let is_restart_due = self.is_restart_due();
        let pages = self.pages.swap(0, Ordering::Relaxed);
        if pages < WAL_PAGES_MAX || is_restart_due {
            if pages > 0 {
                (self.look_again_at, self.copied) = (0, None);
            }
            return if is_restart_due {
                DueCheckpoint::Restart
            } else {
                DueCheckpoint::Nothing
            };
        }
        if pages < self.look_again_at {
            return DueCheckpoint::Nothing;
        }
        self.look_again_at = pages + LOOK_AGAIN_PAGES;
        DueCheckpoint::Copy
    }

    /// Copies the WAL. A failure is ignored.
    pub(super) fn copy(&mut self, connection: &Connection, turn: CheckpointTurn) {
        if matches!(copy_wal(connection), Ok(true)) {
            self.copied = Some(turn);
        }
    }
}

/// Counts the pages of each commit; replaces the automatic checkpoint of SQLite, which uses the same hook.
pub(super) fn install_wal_hook(connection: &mut Connection) -> rusqlite::Result<WalLength> {
    let length = WalLength::default();
    let pages = Arc::clone(&length.pages);
    connection.wal_hook(Some(move |_: &mut Wal, count: c_int| {
        pages.store(count, Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(length)
}

/// How far a checkpoint goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum CheckpointMode {
    /// It waits for nobody, and nobody for it.
    Passive,
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
    let usual_timeout = lock_timeout.get();
    lock_timeout.set(usual_timeout.min(CHECKPOINT_WAIT_MAX));
    // The WAL grows as long as others come first.
    lock_timeout.set_retry_fast(true);
    let is_complete = run(connection, mode);
    lock_timeout.set_retry_fast(false);
    lock_timeout.set(usual_timeout);
    is_complete
}

/// Copies what the WAL has now while others write. Returns false while another program does.
pub(super) fn copy_wal(connection: &Connection) -> rusqlite::Result<bool> {
    fail_point::reach("before-checkpoint");
    run(connection, CheckpointMode::Passive)
}

fn run(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<bool> {
    let sql = match mode {
        CheckpointMode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        CheckpointMode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        CheckpointMode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let is_busy: bool = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(!is_busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock::Stopwatch;
    use crate::platform::{Clock, SystemClock};
    use crate::store::write_queue::WriteQueue;
    use crate::store::{Options, Store};

    const FRAME_BYTES: u64 = 4096 + 24;

    /// Writes 12,000 pages, ten at a time. Returns the size of the WAL.
    fn wal_after_many_writes(options: Options) -> u64 {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mesh.db");
        let mut store = Store::open(&path, options).unwrap();
        let clock = SystemClock::new();
        for number in 0..1_200 {
            let text = number.to_string().repeat(12_000);
            store
                .write(clock.now(), |tx| Ok(tx.set_meta("text", &text)?))
                .unwrap();
            store.checkpoint_if_wal_is_long();
        }
        path.with_file_name("mesh.db-wal").metadata().unwrap().len()
    }

    #[test]
    fn wal_begins_again_after_it_was_copied() {
        let size = wal_after_many_writes(Options::default());
        assert!(size < FRAME_BYTES * 1_100, "{size}");
    }

    #[test]
    fn wal_stays_bounded_while_a_thread_copies_it() {
        let options = Options {
            checkpoint_in_background: true,
            ..Options::default()
        };
        let size = wal_after_many_writes(options);
        assert!(size < FRAME_BYTES * 6_000, "{size}");
    }

    #[test]
    fn thread_copies_a_long_wal_into_the_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mesh.db");
        let options = Options {
            checkpoint_in_background: true,
            ..Options::default()
        };
        let mut store = Store::open(&path, options).unwrap();
        let size = || path.metadata().unwrap().len();
        let before = size();
        let text = "text ".repeat(1_200_000);
        store
            .write(SystemClock::new().now(), |tx| {
                Ok(tx.set_meta("text", &text)?)
            })
            .unwrap();
        assert_eq!(size(), before);
        store.checkpoint_if_wal_is_long();
        let began = Stopwatch::start();
        while size() < before + 5_000_000 {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
    }

    #[test]
    fn program_that_sees_a_short_wal_ends_its_turn() {
        let place = tempfile::tempdir().unwrap();
        let queue = WriteQueue::of(&place.path().join("mesh.db"));
        let pages = |length: &WalLength, pages| length.pages.store(pages, Ordering::Relaxed);
        let mut length = WalLength::default();
        pages(&length, WAL_PAGES_MAX);
        assert_eq!(length.take_due(), DueCheckpoint::Copy);
        let connection = Connection::open_in_memory().unwrap();
        length.copy(&connection, queue.take_checkpoint_turn().unwrap());
        assert!(queue.take_checkpoint_turn().is_none());
        pages(&length, 10);
        assert_eq!(length.take_due(), DueCheckpoint::Nothing);
        assert!(queue.take_checkpoint_turn().is_some());
    }

    #[test]
    fn program_that_is_not_copying_looks_again_later() {
        let mut length = WalLength::default();
        let mut due = |pages| {
            length.pages.store(pages, Ordering::Relaxed);
            length.take_due()
        };
        assert_eq!(due(WAL_PAGES_MAX), DueCheckpoint::Copy);
        assert_eq!(due(WAL_PAGES_MAX + 1), DueCheckpoint::Nothing);
        assert_eq!(due(WAL_PAGES_MAX + LOOK_AGAIN_PAGES), DueCheckpoint::Copy);
        assert_eq!(due(WAL_PAGES_LIMIT), DueCheckpoint::Restart);
        assert_eq!(due(WAL_PAGES_MAX), DueCheckpoint::Copy);
    }
}
