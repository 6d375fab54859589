//! Reads earlier answers, which are searched when a peer cannot answer now.
//!
//! They have no full-text index: it would make storing every answer slower, and then a call waits. Scanning the last answers
//! of a peer takes a few milliseconds, at a time when there is no answer anyway.
use rusqlite::params;

use super::engine::{self, OptionalExtension, Row, Statement};
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

/// Question and answer are cut to the characters by which similarity is computed.
const EXCERPT_COLUMNS: &str = "id, substr(question, 1, 2000) AS question, substr(answer, 1, 2048) AS answer, answered_at_ms, answered_head";
/// In the order of the index, newest first, so that nothing is sorted.
const NEWEST_ANSWERED_OF_PEER: &str = "target_peer = ?1 AND state = 'answered' AND answered_at_ms >= ?2 AND answer IS NOT NULL ORDER BY rowid DESC LIMIT ?3";

/// The positions of the columns of a [`StoredAnswer`], looked up once for thousands of rows.
#[derive(Debug, Clone, Copy)]
struct Columns {
    id: usize,
    question: usize,
    answer: usize,
    answered_at_ms: usize,
    answered_head: usize,
}

impl Columns {
    fn of(statement: &Statement) -> engine::Result<Self> {
        Ok(Self {
            id: statement.column_index("id")?,
            question: statement.column_index("question")?,
            answer: statement.column_index("answer")?,
            answered_at_ms: statement.column_index("answered_at_ms")?,
            answered_head: statement.column_index("answered_head")?,
        })
    }
}

impl StoredAnswer {
    fn from_row(row: &Row, columns: Columns) -> engine::Result<Self> {
        Ok(Self {
            id: row.get(columns.id)?,
            question: row.get(columns.question)?,
            answer: row.get(columns.answer)?,
            answered_at_ms: row.get(columns.answered_at_ms)?,
            head: row.get(columns.answered_head)?,
        })
    }
}

impl Tx<'_> {
    /// Returns what a peer answered since `since_ms`, newest answer first, with questions and answers cut to their beginnings.
    /// At most the newest `limit` questions, and no more after their texts reach `bytes_max` in all.
    pub(crate) fn recent_answer_excerpts(
        &self,
        peer: PeerId,
        since_ms: i64,
        limit: u32,
        bytes_max: i64,
    ) -> engine::Result<Vec<StoredAnswer>> {
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {EXCERPT_COLUMNS}, octet_length(question) + octet_length(answer) AS bytes FROM question WHERE {NEWEST_ANSWERED_OF_PEER}"
        ))?;
        let columns = Columns::of(&statement)?;
        let bytes_column = statement.column_index("bytes")?;
        let mut rows = statement.query_in_chunks(params![peer, since_ms, limit])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some(row) = rows.next()?
        {
            bytes += row.get::<_, i64>(bytes_column)?;
            found.push(StoredAnswer::from_row(&row, columns)?);
        }
        found.sort_by_key(|one| std::cmp::Reverse((one.answered_at_ms, one.id)));
        Ok(found)
    }

    /// Returns an answered question in full.
    pub(crate) fn stored_answer(&self, id: QuestionId) -> engine::Result<Option<StoredAnswer>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT id, question, answer, answered_at_ms, answered_head FROM question
             WHERE id = ?1 AND state = 'answered' AND answer IS NOT NULL",
        )?;
        let columns = Columns::of(&statement)?;
        statement
            .query_row([id], |row| StoredAnswer::from_row(row, columns))
            .optional()
    }
}
