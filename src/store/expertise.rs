//! Reads the texts by which peers are ranked as experts: the questions they have answered, and the memories they have stored.
use rusqlite::params;

use super::engine;
use super::search_syntax::SearchSyntax;
use super::transaction::Tx;
use crate::model::memory::Term;
use crate::platform::id::PeerId;

impl Tx<'_> {
    /// Returns the newest `limit` questions that a peer has answered, each with its answer, both cut to their beginnings.
    pub(crate) fn recent_answer_texts(
        &self,
        peer: PeerId,
        limit: u32,
    ) -> engine::Result<Vec<String>> {
        // The index has the rows of a peer in the order of insertion, so only the newest are read.
        self.sql
            .prepare_cached(
                "SELECT substr(question, 1, 1000) || '\n' || substr(answer, 1, 2000) FROM question
                 WHERE target_peer = ?1 AND state = 'answered' AND answer IS NOT NULL ORDER BY rowid DESC LIMIT ?2",
            )?
            .query_map(params![peer, limit], |row| row.get(0))?
            .collect()
    }

    /// Returns the newest `limit` memories of all scopes that have any of these words: the name of the author, and the text.
    pub(crate) fn recent_memory_texts<'a>(
        &self,
        words: impl Iterator<Item = &'a str>,
        limit: u32,
    ) -> engine::Result<Vec<(String, String)>> {
        let syntax = self.search_syntax();
        let words = words.map(|word| {
            syntax.term(&Term {
                text: word.to_owned(),
                prefix: false,
            })
        });
        let any = syntax.any(words);
        if any.is_empty() {
            return Ok(Vec::new());
        }
        let sql = match syntax {
            SearchSyntax::Fts5 => {
                "SELECT m.by_name, substr(m.text, 1, 2000) AS text FROM memory_words w JOIN memory m ON m.number = w.rowid
                 WHERE memory_words MATCH ?1 AND m.superseded_at_ms IS NULL AND (m.expires_at_ms IS NULL OR m.expires_at_ms > ?2)
                 ORDER BY w.rowid DESC LIMIT ?3"
            }
            SearchSyntax::TsQuery => {
                "SELECT by_name, substr(text, 1, 2000) AS text FROM memory WHERE words @@ CAST(CAST(?1 AS TEXT) AS tsquery)
                 AND superseded_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?2) ORDER BY number DESC LIMIT ?3"
            }
        };
        self.sql
            .prepare_cached(sql)?
            .query_map(params![any, self.now.wall_ms, limit], |row| {
                Ok((row.get("by_name")?, row.get("text")?))
            })?
            .collect()
    }
}
