//! What a mailbox has shown to know: the questions it has answered.
use rusqlite::params;

use super::Tx;
use crate::ground::id::PeerId;

impl Tx<'_> {
    /// Returns the newest `limit` questions a mailbox has answered, each with its answer, as far as their beginnings.
    pub(crate) fn answered_texts(&self, peer: PeerId, limit: u32) -> rusqlite::Result<Vec<String>> {
        // The index holds the rows of a mailbox in the order of their coming, so the newest are read and no others.
        self.sql
            .prepare_cached(
                "SELECT substr(question, 1, 1000) || char(10) || substr(answer, 1, 2000) FROM question
                 WHERE target_peer = ?1 AND state = 'answered' AND answer IS NOT NULL ORDER BY rowid DESC LIMIT ?2",
            )?
            .query_map(params![peer, limit], |row| row.get(0))?
            .collect()
    }
}
