//! Erases word prefixes that the full-text index keeps beside its pages.
//!
//! FTS5 overwrites a deleted word on its page. But the table that leads to the pages (`memory_words_idx`) has a prefix of the
//! first word of each page, and that prefix can stay: enough to reveal an erased name. Then the index is rewritten in steps.
//! Prefixes in the trigram index have at most three letters, so they are left.
use super::engine;
use super::erased_words::ErasedWords;
use super::transaction::Tx;

impl Tx<'_> {
    /// Starts to rewrite the word index and writes `pages` of it. Returns whether more is left.
    pub(crate) fn begin_fts_rebuild(&self, pages: i64) -> engine::Result<bool> {
        if self.sql.file().is_none() {
            return Ok(false);
        }
        self.enable_secure_delete()?;
        // FTS5 does not rewrite a single segment; deleting and inserting one row makes a second one.
        let Some(number) = self.max_memory_number()? else {
            return self.rebuild_fts_at_once().map(|()| false);
        };
        for row in [
            "memory_words, rowid, text, key, tags) SELECT 'delete', number",
            "rowid, text, key, tags) SELECT number",
        ] {
            self.sql.run(
                &format!(
                    "INSERT INTO memory_words ({row}, text, key, tags FROM memory WHERE number = ?1"
                ),
                [number],
            )?;
        }
        self.merge_fts_segments(-pages)
    }

    /// Writes the next `pages`. Returns whether more is left.
    pub(crate) fn continue_fts_rebuild(&self, pages: i64) -> engine::Result<bool> {
        self.enable_secure_delete()?;
        self.merge_fts_segments(pages)
    }

    /// Rewrites the whole index in one transaction.
    pub(crate) fn rebuild_fts_at_once(&self) -> engine::Result<()> {
        self.enable_secure_delete()?;
        let command = match self.max_memory_number()? {
            None => "delete-all",
            Some(_) => "optimize",
        };
        self.sql.run(
            "INSERT INTO memory_words (memory_words) VALUES (?1)",
            [command],
        )
    }

    fn max_memory_number(&self) -> engine::Result<Option<i64>> {
        self.sql
            .query_row("SELECT max(rowid) FROM memory_words_docsize", [], |row| {
                row.get(0)
            })
    }

    /// A negative number of pages starts a merge of all segments. The command itself counts as one change, so less than two
    /// changes mean that nothing was left to merge.
    fn merge_fts_segments(&self, pages: i64) -> engine::Result<bool> {
        let changes = || {
            self.sql
                .query_row("SELECT total_changes()", [], |row| row.get::<_, i64>(0))
        };
        let changes_before = changes()?;
        self.sql.run(
            "INSERT INTO memory_words (memory_words, rank) VALUES ('merge', ?1)",
            [pages],
        )?;
        Ok(changes()? - changes_before >= 2)
    }

    /// Returns whether the index has a prefix of an erased word with which no stored word begins.
    pub(crate) fn has_stale_fts_prefix(&self, erased: &ErasedWords) -> engine::Result<bool> {
        if !self.schema_at_least(3) || self.sql.file().is_none() {
            return Ok(false);
        }
        self.sql.execute_batch(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_terms USING fts5vocab ('main', 'memory_words', 'row')",
        )?;
        let mut lookup = self.sql.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM temp.memory_terms WHERE term >= ?1 AND term < ?2)",
        )?;
        let index_terms: Vec<Vec<u8>> = self
            .sql
            .prepare_cached("SELECT term FROM memory_words_idx")?
            .query_map([], |row| row.get(0))?
            .collect::<engine::Result<_>>()?;
        for index_term in index_terms {
            let prefix = term_prefix(&index_term);
            let after = format!("{prefix}\u{10ffff}");
            if !prefix.is_empty()
                && erased.may_begin_with(prefix)
                && !lookup.query_row([prefix, &after], |row| row.get::<_, bool>(0))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the text of an index term: its first byte is the number of the index, and its last character may be cut.
fn term_prefix(index_term: &[u8]) -> &str {
    let word = index_term.get(1..).unwrap_or_default();
    match std::str::from_utf8(word) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&word[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::platform::Clock;
    use crate::platform::clock::SystemClock;
    use crate::store::erased_words::ErasedWords;
    use crate::store::{NewMemory, Options, Store, Tx};

    #[test]
    fn stale_fts_segments_are_all_rewritten_in_steps() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        let text = |number: u32| {
            let word = |part: u32| {
                format!(
                    "w{:07}",
                    (number * 200 + part).wrapping_mul(7_919) % 9_999_991
                )
            };
            (0..200).map(word).collect::<Vec<_>>().join(" ")
        };
        let ids = store.write(now.clone(), |tx| {
            let remember = |number| {
                Ok(tx.insert_memory(&NewMemory {
                    scope: "*",
                    key: None,
                    version: 1,
                    by: "ada",
                    expires_at_ms: None,
                    tags: &[],
                    text: &text(number),
                })?)
            };
            (0..100)
                .map(remember)
                .collect::<crate::model::Result<Vec<_>>>()
        });
        let memory_ids = ids.unwrap();
        let is_stale = |tx: &Tx| Ok(tx.has_stale_fts_prefix(&ErasedWords::Unknown)?);
        let stale = store
            .write(now.clone(), |tx| {
                for id in memory_ids.iter().step_by(3) {
                    let memory = tx.memory(*id)?.unwrap();
                    tx.erase_memory(&memory)?;
                }
                Ok(())
            })
            .and_then(|()| store.read(now.clone(), is_stale));
        assert!(stale.unwrap(), "the test needs stale prefixes");
        let mut batches = 1;
        let mut more = store
            .write(now.clone(), |tx| Ok(tx.begin_fts_rebuild(10)?))
            .unwrap();
        while more {
            batches += 1;
            more = store
                .write(now.clone(), |tx| Ok(tx.continue_fts_rebuild(10)?))
                .unwrap();
        }
        assert!(batches > 2, "{batches}");
        let stale = store.read(
            now,
            |tx| Ok(tx.has_stale_fts_prefix(&ErasedWords::Unknown)?),
        );
        assert!(!stale.unwrap());
    }
}
