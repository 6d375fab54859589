//! Erases the residue of a text: copies in free pages and in the WAL.
//!
//! The deleting transaction overwrites the text where it was stored. Older copies can be in pages that were freed earlier and
//! in the WAL, and both are emptied after the commit. While another program reads an older state of the database this is not
//! possible, so a row notes the residue until it is done.
use std::path::PathBuf;
use std::time::Duration;

use super::backup_files;
use super::database::{Place, Store};
use super::engine;
use super::file_database::FileDatabase;
use super::transaction::Tx;
use crate::model::Result;
use crate::platform::clock::monotonic_ms;
use crate::store::wal::CheckpointMode;

/// The key of the row in `meta` that notes the residue; its value names the erased subject. The key was released under
/// this name and stays.
const RESIDUE_KEY: &str = "traces";
/// How long others may proceed between two tries.
const CHECKPOINT_RETRY_PAUSE: Duration = Duration::from_millis(10);

impl Tx<'_> {
    /// Enables secure delete for this transaction and notes that it leaves residue of `subject`.
    pub(crate) fn begin_secure_erase(&self, subject: &str) -> engine::Result<()> {
        self.enable_secure_delete()?;
        self.set_meta(RESIDUE_KEY, subject)
    }

    /// Returns the subject that was erased last, if its residue is still there.
    pub(crate) fn pending_residue(&self) -> engine::Result<Option<String>> {
        self.meta(RESIDUE_KEY)
    }

    /// Notes that no residue is left, unless another subject was erased meanwhile.
    pub(crate) fn clear_residue(&self, subject: &str) -> engine::Result<()> {
        self.sql.run(
            "DELETE FROM meta WHERE key = ?1 AND value = ?2",
            [RESIDUE_KEY, subject],
        )
    }
}

impl Store {
    /// Releases all free pages and empties the WAL: no copy of deleted content is left. Returns false when another program
    /// read an older state of the database for all of `timeout`.
    ///
    /// A database server keeps what it deletes for a while, in its own log and in copies; nothing here can empty those.
    pub(crate) fn compact(&mut self, timeout: Duration) -> Result<bool> {
        match &self.place {
            Place::File(file) => file.compact(timeout),
            Place::Served(_) => Ok(true),
        }
    }

    /// Returns the copies made before a migration that have at least schema `version`, and so what came with it.
    pub(crate) fn schema_backups(&self, version: u32) -> Vec<PathBuf> {
        match &self.place {
            Place::File(_) => backup_files::since_version(self.path(), version),
            Place::Served(_) => Vec::new(),
        }
    }
}

impl FileDatabase {
    fn compact(&self, timeout: Duration) -> Result<bool> {
        self.release_free_pages()
            .map_err(|error| self.error(error))?;
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let deadline_monotonic_ms = monotonic_ms().saturating_add(timeout_ms);
        while !self.checkpoint(CheckpointMode::Truncate)? {
            if monotonic_ms() >= deadline_monotonic_ms {
                return Ok(false);
            }
            std::thread::sleep(CHECKPOINT_RETRY_PAUSE);
        }
        Ok(true)
    }

    fn release_free_pages(&self) -> rusqlite::Result<()> {
        let mut free = self.count_free_pages()?;
        while free > 0 {
            self.vacuum_step()?;
            // Other programs take and free pages meanwhile; without progress there is nothing more to release.
            let free_before = std::mem::replace(&mut free, self.count_free_pages()?);
            if free >= free_before {
                break;
            }
        }
        Ok(())
    }

    /// Releases at most a thousand free pages, so that no one waits long for the lock.
    fn vacuum_step(&self) -> rusqlite::Result<()> {
        // Each row frees one page, and `execute_batch` reads one row only.
        let mut statement = self.connection.prepare("PRAGMA incremental_vacuum(1000)")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    fn count_free_pages(&self) -> rusqlite::Result<i64> {
        self.connection
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Refusal;
    use crate::platform::Clock;
    use crate::platform::clock::SystemClock;
    use crate::store::Options;

    fn secure_delete(store: &mut Store) -> i64 {
        let sql = "PRAGMA secure_delete";
        store
            .connection()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn secure_delete_is_on_only_in_the_erasing_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        let usual = secure_delete(&mut store);
        for refused in [false, true] {
            let outcome = store.write(now.clone(), |tx| {
                tx.begin_secure_erase("something")?;
                let sql = "PRAGMA secure_delete";
                assert_eq!(tx.sql.query_row(sql, [], |row| row.get::<_, i64>(0))?, 1);
                if refused {
                    return Err(Refusal::conflict("no").into());
                }
                Ok(())
            });
            assert_eq!(outcome.is_err(), refused);
            assert_eq!(secure_delete(&mut store), usual);
        }
        assert_ne!(usual, 1);
    }

    #[test]
    fn erase_mark_is_cleared_only_for_its_own_subject() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        let residue = store.write(now, |tx| {
            tx.begin_secure_erase("first")?;
            tx.begin_secure_erase("second")?;
            tx.clear_residue("first")?;
            let residue = tx.pending_residue()?;
            tx.clear_residue("second")?;
            Ok((residue, tx.pending_residue()?))
        });
        assert_eq!(residue.unwrap(), (Some("second".into()), None));
    }
}
