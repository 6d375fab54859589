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
const MARK: &str = "traces";
/// How long to let others go on between two tries.
const PAUSE: Duration = Duration::from_millis(10);

impl Tx<'_> {
    /// Overwrites what this transaction removes instead of only letting go of it.
    pub(crate) fn overwrite_what_goes(&self) -> rusqlite::Result<()> {
        self.overwrites.set(true);
        self.sql.execute_batch("PRAGMA secure_delete = ON")
    }

    /// The same, and notes that traces of it are left.
    pub(crate) fn leave_no_traces(&self, of: &str) -> rusqlite::Result<()> {
        self.overwrite_what_goes()?;
        self.set_meta(MARK, of)
    }

    /// Returns of what traces are left.
    pub(crate) fn traces(&self) -> rusqlite::Result<Option<String>> {
        self.meta(MARK)
    }

    /// Notes that no traces are left, unless something else was forgotten meanwhile.
    pub(crate) fn end_traces(&self, of: &str) -> rusqlite::Result<()> {
        self.sql
            .execute("DELETE FROM meta WHERE key = ?1 AND value = ?2", [MARK, of])
            .map(drop)
    }
}

impl Store {
    /// Gives every free page back and empties the log: no copy of what was removed is left. Returns false when somebody else
    /// looked at an older state of the file for all of this time.
    pub(crate) fn compact(&mut self, at_most: Duration) -> Result<bool> {
        let mut free = self.free_pages()?;
        while free > 0 {
            self.vacuum()?;
            // Others may have taken pages up or given some; a file that gives none back has none to give.
            let before = std::mem::replace(&mut free, self.free_pages()?);
            if free >= before {
                break;
            }
        }
        let until_ms = monotonic_ms() + i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX);
        while !self.checkpoint("TRUNCATE")? {
            if monotonic_ms() >= until_ms {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
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
    pub(crate) fn copies(&self, version: u32) -> Vec<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut copies: Vec<PathBuf> = entries
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
        copies.sort();
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Refusal;
    use crate::platform::Clock;
    use crate::platform::clock::SystemClock;
    use crate::store::Options;

    fn overwrites(store: &Store) -> i64 {
        let sql = "PRAGMA secure_delete";
        store
            .connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn only_the_transaction_that_forgets_pays_for_overwriting() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(&place.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        let usual = overwrites(&store);
        for refused in [false, true] {
            let outcome = store.write(now.clone(), |tx| {
                tx.leave_no_traces("something")?;
                let sql = "PRAGMA secure_delete";
                assert_eq!(tx.sql.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(1));
                if refused {
                    return Err(Refusal::conflict("no").into());
                }
                Ok(())
            });
            assert_eq!(outcome.is_err(), refused);
            assert_eq!(overwrites(&store), usual);
        }
        assert_ne!(usual, 1);
    }

    #[test]
    fn a_mark_goes_only_with_what_it_was_made_for() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(&place.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        let left = store.write(now, |tx| {
            tx.leave_no_traces("first")?;
            tx.leave_no_traces("second")?;
            tx.end_traces("first")?;
            let left = tx.traces()?;
            tx.end_traces("second")?;
            Ok((left, tx.traces()?))
        });
        assert_eq!(left.unwrap(), (Some("second".into()), None));
    }
}
