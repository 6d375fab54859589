//! Counts questions, messages and events without reading their rows: the numbers of the event log have no gap, and triggers
//! keep counters of the rest.
use super::engine;
use super::transaction::Tx;
use crate::model::QuestionState;

impl Tx<'_> {
    /// Returns the number of questions that are open, that were answered or declined, and that expired.
    pub(crate) fn count_questions(&self) -> engine::Result<[i64; 3]> {
        let open = self
            .sql
            .prepare_cached("SELECT count(*) FROM question WHERE state = 'open'")?
            .query_row([], |row| row.get(0))?;
        let closed = |state: QuestionState| self.counter(&format!("question.{}", state.as_str()));
        Ok([
            open,
            closed(QuestionState::Answered)? + closed(QuestionState::Declined)?,
            closed(QuestionState::Expired)?,
        ])
    }

    /// Returns the number of held questions whose peer has a live session.
    pub(crate) fn count_held_questions(&self) -> engine::Result<i64> {
        self.sql
            .prepare_cached(
                "SELECT count(*) FROM question INDEXED BY question_expiry WHERE state = 'open' AND held IS NOT NULL
                 AND target_peer IN (SELECT peer_id FROM session WHERE ended_at_ms IS NULL)",
            )?
            .query_row([], |row| row.get(0))
    }

    /// Returns the number of stored messages.
    pub(crate) fn count_messages(&self) -> engine::Result<i64> {
        self.counter("message")
    }

    /// Returns the number of entries in the event log. Only its beginning is ever deleted, so its numbers have no gap.
    pub(crate) fn count_events(&self) -> engine::Result<i64> {
        let first: Option<i64> = self
            .sql
            .prepare_cached("SELECT min(seq) FROM event")?
            .query_row([], |row| row.get(0))?;
        Ok(match first {
            Some(first) => self.last_event_seq()? - first + 1,
            None => 0,
        })
    }

    fn counter(&self, name: &str) -> engine::Result<i64> {
        self.sql
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'tally.' || ?1")?
            .query_row([name], |row| row.get(0))
    }
}
