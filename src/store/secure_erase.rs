//! Traces: what is left of a forgotten text in free pages and in the log, until those are taken out too.
//!
//! What is removed is overwritten where it stood. But a page that was given up earlier, and the log, have older copies. Both
//! are emptied after the commit; while another program looks at an older state of the file that cannot be done, so a mark
//! stays until it is.
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Store, Tx};
use crate::model::{Error, Result};
use crate::platform::clock::monotonic_ms;

/// The row that says that traces are left, and of what.
const RESIDUE_KEY: &str = "traces";
/// How long to let others go on between two tries.
const CHECKPOINT_RETRY_PAUSE: Duration = Duration::from_millis(10);

impl Tx<'_> {
    /// Overwrites what this transaction removes instead of only letting go of it.
    pub(crate) fn enable_secure_delete(&self) -> rusqlite::Result<()> {
        self.secure_delete.set(true);
        self.sql.execute_batch("PRAGMA secure_delete = ON")
    }

    /// The same, and notes that traces of it are left.
    pub(crate) fn begin_secure_erase(&self, of: &str) -> rusqlite::Result<()> {
        self.enable_secure_delete()?;
        self.set_meta(RESIDUE_KEY, of)
    }

    /// Returns of what traces are left.
    pub(crate) fn pending_residue(&self) -> rusqlite::Result<Option<String>> {
        self.meta(RESIDUE_KEY)
    }

    /// Notes that no traces are left, unless something else was forgotten meanwhile.
    pub(crate) fn clear_residue(&self, of: &str) -> rusqlite::Result<()> {
        self.sql
            .execute(
                "DELETE FROM meta WHERE key = ?1 AND value = ?2",
                [RESIDUE_KEY, of],
            )
            .map(drop)
    }
}

impl Store {
    /// Gives every free page back and empties the log: no copy of what was removed is left. Returns false when somebody else
    /// looked at an older state of the file for all of this time.
    pub(crate) fn compact(&mut self, timeout: Duration) -> Result<bool> {
        let mut free = self.free_pages()?;
        while free > 0 {
            self.vacuum()?;
            // Others may have taken pages up or given some; a file that gives none back has none to give.
            let free_before = std::mem::replace(&mut free, self.free_pages()?);
            if free >= free_before {
                break;
            }
        }
        let deadline_monotonic_ms =
            monotonic_ms() + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        while !self.checkpoint_wal("TRUNCATE")? {
            if monotonic_ms() >= deadline_monotonic_ms {
                return Ok(false);
            }
            std::thread::sleep(CHECKPOINT_RETRY_PAUSE);
        }
        Ok(true)
    }

    /// Gives free pages back to the file system, a thousand at most.
    fn vacuum(&self) -> Result<()> {
        let vacuum = || -> rusqlite::Result<()> {
            // Each step frees one page, and `execute_batch` takes one step only.
            let mut statement = self.connection.prepare("PRAGMA incremental_vacuum(1000)")?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        vacuum().map_err(Error::from)
    }

    fn free_pages(&self) -> Result<i64> {
        self.connection
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))
            .map_err(Error::from)
    }

    /// Returns the copies of this file that were made before its schema was changed and that have what came with `version`.
    pub(crate) fn schema_backups(&self, version: u32) -> Vec<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut schema_backups: Vec<PathBuf> = entries
            .filter(|entry| {
                let file = entry.file_name();
                let file = file.to_string_lossy();
                let of = file
                    .strip_prefix(name.as_ref())
                    .and_then(|rest| rest.strip_prefix(".schema-")?.split('-').next());
                of.is_some_and(|of| of.parse().is_ok_and(|of: u32| of >= version))
            })
            .map(|entry| entry.path())
            .collect();
        schema_backups.sort();
        schema_backups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Refusal;
    use crate::platform::Clock;
    use crate::platform::clock::SystemClock;
    use crate::store::Options;

    fn secure_delete(store: &Store) -> i64 {
        let sql = "PRAGMA secure_delete";
        store
            .connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn secure_delete_is_on_only_in_the_erasing_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        let usual = secure_delete(&store);
        for refused in [false, true] {
            let outcome = store.write(now.clone(), |tx| {
                tx.begin_secure_erase("something")?;
                let sql = "PRAGMA secure_delete";
                assert_eq!(tx.sql.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(1));
                if refused {
                    return Err(Refusal::conflict("no").into());
                }
                Ok(())
            });
            assert_eq!(outcome.is_err(), refused);
            assert_eq!(secure_delete(&store), usual);
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
