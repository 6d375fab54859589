//! Reads earlier answers, which are searched when a peer cannot answer now.
//!
//! They have no full-text index: it would make storing every answer slower, and then a call waits. Scanning the last answers
//! of a peer takes a few milliseconds, at a time when there is no answer anyway.
use rusqlite::params;

use super::engine::{self, OptionalExtension};
use super::transaction::Tx;
use crate::platform::id::{PeerId, QuestionId};

/// A question that was answered.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct StoredAnswer {
    pub id: QuestionId,
    pub question: String,
    /// The answer, with all corrections.
    pub answer: String,
    pub answered_at_ms: i64,
    /// The commit that was checked out in the peer's project then.
    pub head: Option<String>,
}

/// Which answers of a peer are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerRange {
    pub(crate) peer: PeerId,
    /// The earliest time of the answer, in wall milliseconds.
    pub(crate) since_ms: i64,
    /// How many questions at most, the newest first.
    pub(crate) limit: u32,
    /// No more are read after their texts reach this many bytes in all.
    pub(crate) bytes_max: i64,
}

#[cfg(test)]
impl AnswerRange {
    /// Returns all answers of a peer up to some small limits.
    pub(super) fn of(peer: PeerId, limit: u32) -> Self {
        Self {
            peer,
            since_ms: 1,
            limit,
            bytes_max: 9,
        }
    }
}

/// The beginnings of a question and of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerExcerpt<'a> {
    pub(crate) id: QuestionId,
    pub(crate) question: &'a str,
    pub(crate) answer: &'a str,
    pub(crate) answered_at_ms: i64,
}

/// Question and answer are cut to the characters by which similarity is computed.
const EXCERPT_COLUMNS: &str = "id, substr(question, 1, 2000) AS question, substr(answer, 1, 2048) AS answer, answered_at_ms, octet_length(question) + octet_length(answer) AS bytes";
/// In the order of the index, newest first, so that nothing is sorted.
const NEWEST_ANSWERED_OF_PEER: &str = "target_peer = ?1 AND state = 'answered' AND answered_at_ms >= ?2 AND answer IS NOT NULL ORDER BY rowid DESC LIMIT ?3";

impl Tx<'_> {
    /// Calls `each` with the beginnings of what a peer was asked and answered, the newest question first.
    pub(crate) fn read_answer_excerpts(
        &self,
        range: AnswerRange,
        mut each: impl FnMut(AnswerExcerpt),
    ) -> engine::Result<()> {
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {EXCERPT_COLUMNS} FROM question WHERE {NEWEST_ANSWERED_OF_PEER}"
        ))?;
        // Looked up once for thousands of rows.
        let [id, question, answer, answered_at_ms, bytes] =
            ["id", "question", "answer", "answered_at_ms", "bytes"]
                .map(|name| statement.column_index(name));
        let (id, question, answer) = (id?, question?, answer?);
        let (answered_at_ms, bytes) = (answered_at_ms?, bytes?);
        let mut rows =
            statement.query_in_chunks(params![range.peer, range.since_ms, range.limit])?;
        let mut bytes_read = 0;
        while bytes_read < range.bytes_max
            && let Some(row) = rows.next()?
        {
            bytes_read += row.get::<_, i64>(bytes)?;
            each(AnswerExcerpt {
                id: row.get(id)?,
                question: row.get_ref(question)?.as_str()?,
                answer: row.get_ref(answer)?.as_str()?,
                answered_at_ms: row.get(answered_at_ms)?,
            });
        }
        Ok(())
    }

    /// Returns an answered question in full.
    pub(crate) fn stored_answer(&self, id: QuestionId) -> engine::Result<Option<StoredAnswer>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT id, question, answer, answered_at_ms, answered_head FROM question
             WHERE id = ?1 AND state = 'answered' AND answer IS NOT NULL",
        )?;
        statement
            .query_row([id], |row| {
                Ok(StoredAnswer {
                    id: row.get("id")?,
                    question: row.get("question")?,
                    answer: row.get("answer")?,
                    answered_at_ms: row.get("answered_at_ms")?,
                    head: row.get("answered_head")?,
                })
            })
            .optional()
    }
}
