//! Answers given earlier, as they are looked through when nobody can answer now.
//!
//! There is no index of them: an answer is given while somebody waits for it, and filling one then would cost every answer,
//! while looking through a peer's last answers costs a few milliseconds at a time when nobody answers anyway.
use rusqlite::{OptionalExtension, Row, params};

use super::transaction::Tx;
use crate::platform::id::{PeerId, QuestionId};

/// A question that was answered.
#[derive(Debug, Clone)]
pub struct StoredAnswer {
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

/// What is read of a question and of its answer to see whether they fit, in characters.
pub(super) const EXCERPT_COLUMNS: &str =
    "id, substr(question, 1, 2000), substr(answer, 1, 2048), answered_at_ms, answered_head";
/// In the order of the index, so that nothing is sorted: of what was asked at one time the newest.
pub(super) const NEWEST_ANSWERED_OF_PEER: &str = "target_peer = ?1 AND state = 'answered' AND answered_at_ms >= ?2 AND answer IS NOT NULL ORDER BY rowid DESC LIMIT ?3";

fn answered(row: &Row) -> rusqlite::Result<StoredAnswer> {
    Ok(StoredAnswer {
        id: row.get(0)?,
        question: row.get(1)?,
        answer: row.get(2)?,
        answered_at_ms: row.get(3)?,
        head: row.get(4)?,
    })
}

impl Tx<'_> {
    /// Returns what a peer answered since `since_ms`, as far as the beginnings of questions and answers, the newest answer
    /// first: of the newest `limit` questions those whose texts have so many bytes in all.
    pub(crate) fn recent_answer_excerpts(
        &self,
        peer: PeerId,
        since_ms: i64,
        limit: u32,
        bytes_max: i64,
    ) -> rusqlite::Result<Vec<StoredAnswer>> {
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {EXCERPT_COLUMNS}, octet_length(question) + octet_length(answer) FROM question WHERE {NEWEST_ANSWERED_OF_PEER}"
        ))?;
        let mut rows = statement.query(params![peer, since_ms, limit])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some(row) = rows.next()?
        {
            bytes += row.get::<_, i64>(5)?;
            found.push(answered(row)?);
        }
        found.sort_by_key(|one| std::cmp::Reverse((one.answered_at_ms, one.id)));
        Ok(found)
    }

    /// Returns an answered question in full.
    pub(crate) fn answered(&self, id: QuestionId) -> rusqlite::Result<Option<StoredAnswer>> {
        self.sql
            .prepare_cached(
                "SELECT id, question, answer, answered_at_ms, answered_head FROM question
                 WHERE id = ?1 AND state = 'answered' AND answer IS NOT NULL",
            )?
            .query_row([id], answered)
            .optional()
    }
}
