//! Signposts of the full text: beginnings of words that lead to its pages, kept beside the pages themselves.
//!
//! A word that is taken out is overwritten on its page, but its beginning may stand on as a signpost: enough to betray a
//! forgotten name. Then the words are written anew, a piece at a time. Signposts of the other index are three letters at most and tell nothing.
use rusqlite::params;

use super::Tx;

impl Tx<'_> {
    /// Begins to write the words of all memories anew, so many pages of them. Returns whether more is to be done.
    pub(crate) fn begin_new_signposts(&self, pages: i64) -> rusqlite::Result<bool> {
        self.overwrite_what_goes()?;
        // One segment alone would not be rewritten; a row that is put in again makes a second one.
        let Some(number) = self.any_number()? else {
            return self.renew_signposts_at_once().map(|()| false);
        };
        for row in [
            "memory_words, rowid, text, key, tags) SELECT 'delete', number",
            "rowid, text, key, tags) SELECT number",
        ] {
            self.sql.execute(
                &format!(
                    "INSERT INTO memory_words ({row}, text, key, tags FROM memory WHERE number = ?1"
                ),
                [number],
            )?;
        }
        self.write_words(-pages)
    }

    /// Goes on with it. Returns whether more is to be done.
    pub(crate) fn go_on_with_signposts(&self, pages: i64) -> rusqlite::Result<bool> {
        self.overwrite_what_goes()?;
        self.write_words(pages)
    }

    /// Does all of it in one transaction.
    pub(crate) fn renew_signposts_at_once(&self) -> rusqlite::Result<()> {
        self.overwrite_what_goes()?;
        let how = match self.any_number()? {
            None => "delete-all",
            Some(_) => "optimize",
        };
        self.sql
            .execute("INSERT INTO memory_words (memory_words) VALUES (?1)", [how])
            .map(drop)
    }

    fn any_number(&self) -> rusqlite::Result<Option<i64>> {
        self.sql
            .query_row("SELECT max(rowid) FROM memory_words_docsize", [], |row| {
                row.get(0)
            })
    }

    /// A negative number begins anew with everything there is. What changed nothing else was not needed.
    fn write_words(&self, pages: i64) -> rusqlite::Result<bool> {
        let changes = || {
            self.sql
                .query_row("SELECT total_changes()", [], |row| row.get::<_, i64>(0))
        };
        let before = changes()?;
        self.sql.execute(
            "INSERT INTO memory_words (memory_words, rank) VALUES ('merge', ?1)",
            [pages],
        )?;
        Ok(changes()? - before >= 2)
    }

    /// Returns whether a signpost begins with no word that is there.
    pub(crate) fn has_stale_signpost(&self) -> rusqlite::Result<bool> {
        if !self.has_tasks() {
            return Ok(false);
        }
        self.sql.execute_batch(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_terms USING fts5vocab ('main', 'memory_words', 'row')",
        )?;
        let mut look = self
            .sql
            .prepare("SELECT 1 FROM temp.memory_terms WHERE term >= ?1 AND term < ?2 LIMIT 1")?;
        let signposts: Vec<Vec<u8>> = self
            .sql
            .prepare("SELECT term FROM memory_words_idx")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for signpost in signposts {
            let begins = beginning(&signpost);
            let after = format!("{begins}\u{10ffff}");
            if !begins.is_empty() && !look.exists(params![begins, after])? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The first byte names the index; the last character may be cut in its middle.
fn beginning(signpost: &[u8]) -> &str {
    let word = signpost.get(1..).unwrap_or_default();
    match std::str::from_utf8(word) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&word[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::platform::Clock;
    use crate::platform::clock::SystemClock;
    use crate::store::{NewMemory, Options, Store};

    #[test]
    fn many_words_are_written_anew_piece_by_piece_and_no_signpost_is_stale_then() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(&place.path().join("mesh.db"), Options::default()).unwrap();
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
        let forgotten = ids.unwrap();
        let stale = store
            .write(now.clone(), |tx| {
                for id in forgotten.iter().step_by(3) {
                    let memory = tx.memory(*id)?.unwrap();
                    tx.forget_memory(&memory)?;
                }
                Ok(())
            })
            .and_then(|()| store.read(now.clone(), |tx| Ok(tx.has_stale_signpost()?)));
        assert!(stale.unwrap(), "or this shows nothing");
        let mut pieces = 1;
        let mut more = store
            .write(now.clone(), |tx| Ok(tx.begin_new_signposts(10)?))
            .unwrap();
        while more {
            pieces += 1;
            more = store
                .write(now.clone(), |tx| Ok(tx.go_on_with_signposts(10)?))
                .unwrap();
        }
        assert!(pieces > 2, "{pieces}");
        let stale = store.read(now, |tx| Ok(tx.has_stale_signpost()?));
        assert!(!stale.unwrap());
    }
}
