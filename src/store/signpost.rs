//! Signposts of the full text: beginnings of words that lead to its pages, kept beside the pages themselves.
//!
//! A word that is taken out is overwritten on its page, but its beginning may stand on as a signpost: enough to betray a
//! forgotten name. Then the words are written anew. Signposts of the other index are three letters at most and tell nothing.
use rusqlite::params;

use super::Tx;

impl Tx<'_> {
    /// Writes the words of all memories anew if a signpost begins with none of them.
    pub(crate) fn renew_signposts(&self) -> rusqlite::Result<()> {
        // What this transaction took out is still in memory; a look at any word writes it.
        if !self.has_stale_signpost()? {
            return Ok(());
        }
        let any: Option<i64> =
            self.sql
                .query_row("SELECT max(rowid) FROM memory_words_docsize", [], |row| {
                    row.get(0)
                })?;
        let Some(number) = any else {
            return self
                .sql
                .execute_batch("INSERT INTO memory_words (memory_words) VALUES ('delete-all')");
        };
        // One segment alone would not be rewritten; a row that is put in again makes a second one.
        self.sql.execute(
            "INSERT INTO memory_words (memory_words, rowid, text, key, tags) SELECT 'delete', number, text, key, tags FROM memory WHERE number = ?1",
            [number],
        )?;
        self.sql.execute(
            "INSERT INTO memory_words (rowid, text, key, tags) SELECT number, text, key, tags FROM memory WHERE number = ?1",
            [number],
        )?;
        self.sql
            .execute_batch("INSERT INTO memory_words (memory_words) VALUES ('optimize')")
    }

    fn has_stale_signpost(&self) -> rusqlite::Result<bool> {
        self.sql.execute_batch(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_terms USING fts5vocab ('main', 'memory_words', 'row')",
        )?;
        let mut look = self
            .sql
            .prepare("SELECT 1 FROM temp.memory_terms WHERE term >= ?1 AND term < ?2 LIMIT 1")?;
        // A first look, so that what is still in memory is written before the signposts are read.
        look.exists(params!["", "\u{10ffff}"])?;
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
