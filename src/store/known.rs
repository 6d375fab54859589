//! Answers given earlier, as they are looked through when nobody can answer now.
//!
//! There is no index of them: an answer is given while somebody waits for it, and filling one then would cost every answer,
//! while looking through a peer's last answers costs a few milliseconds at a time when nobody answers anyway.
use rusqlite::params;

use super::Tx;
use crate::ground::id::{PeerId, QuestionId};

/// A question that was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its id.
    pub id: QuestionId,
    /// What was asked.
    pub question: String,
    /// What was answered, with all corrections.
    pub answer: String,
    /// When, in wall milliseconds.
    pub answered_at_ms: i64,
    /// The commit that was checked out in the peer's project then.
    pub head: Option<String>,
}

impl Tx<'_> {
    /// Returns what a peer answered since `since_ms`, the newest first.
    pub(crate) fn answers_of(
        &self,
        peer: PeerId,
        since_ms: i64,
        limit: u32,
    ) -> rusqlite::Result<Vec<Answered>> {
        self.sql
            .prepare_cached(
                "SELECT id, question, answer, answered_at_ms, answered_head FROM question
                 WHERE target_peer = ?1 AND state = 'answered' AND answered_at_ms >= ?2 AND answer IS NOT NULL
                 ORDER BY answered_at_ms DESC, id DESC LIMIT ?3",
            )?
            .query_map(params![peer, since_ms, limit], |row| {
                Ok(Answered {
                    id: row.get(0)?,
                    question: row.get(1)?,
                    answer: row.get(2)?,
                    answered_at_ms: row.get(3)?,
                    head: row.get(4)?,
                })
            })?
            .collect()
    }
}
