//! What a mailbox has shown to know: the questions it has answered, and what it has remembered.
use rusqlite::params;

use super::transaction::Tx;
use crate::platform::id::PeerId;

impl Tx<'_> {
    /// Returns the newest `limit` questions a mailbox has answered, each with its answer, as far as their beginnings.
    pub(crate) fn recent_answer_texts(
        &self,
        peer: PeerId,
        limit: u32,
    ) -> rusqlite::Result<Vec<String>> {
        // The index holds the rows of a mailbox in the order of their coming, so the newest are read and no others.
        self.sql
            .prepare_cached(
                "SELECT substr(question, 1, 1000) || char(10) || substr(answer, 1, 2000) FROM question
                 WHERE target_peer = ?1 AND state = 'answered' AND answer IS NOT NULL ORDER BY rowid DESC LIMIT ?2",
            )?
            .query_map(params![peer, limit], |row| row.get(0))?
            .collect()
    }

    /// Returns the newest `limit` memories, whatever their scope, that have any of these words, each with who remembered it.
    pub(crate) fn recent_memory_texts<'a>(
        &self,
        words: impl Iterator<Item = &'a str>,
        limit: u32,
    ) -> rusqlite::Result<Vec<(String, String)>> {
        // Words are letters and digits only, so nothing in quotation marks ends them.
        let match_expression: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
        self.sql
            .prepare_cached(
                "SELECT m.by_name, substr(m.text, 1, 2000) AS text FROM memory_words w JOIN memory m ON m.number = w.rowid
                 WHERE memory_words MATCH ?1 AND m.superseded_at_ms IS NULL AND (m.expires_at_ms IS NULL OR m.expires_at_ms > ?2)
                 ORDER BY w.rowid DESC LIMIT ?3",
            )?
            .query_map(params![match_expression.join(" OR "), self.now.wall_ms, limit], |row| {
                Ok((row.get("by_name")?, row.get("text")?))
            })?
            .collect()
    }
}
