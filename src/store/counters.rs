//! Counts what is stored without reading its rows: the numbers of the event log have no gap, and triggers keep counters of the
//! rest.
use super::engine;
use super::schema::COUNTER_SCHEMA;
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

    /// Returns the number of peers that are not runs and not the person.
    pub(crate) fn count_session_peers(&self) -> engine::Result<usize> {
        let count = if self.schema_at_least(COUNTER_SCHEMA) {
            self.counter("peer")?
        } else {
            let sql = "SELECT count(*) FROM peer WHERE kind = 'session'";
            self.sql.query_row(sql, [], |row| row.get(0))?
        };
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Returns the number of current memories in all scopes.
    pub(crate) fn count_all_memories(&self) -> engine::Result<i64> {
        if !self.schema_at_least(3) {
            return Ok(0);
        }
        let not_replaced = if self.schema_at_least(COUNTER_SCHEMA) {
            self.counter("memory")?
        } else {
            let sql = "SELECT count(*) FROM memory WHERE superseded_at_ms IS NULL";
            self.sql.query_row(sql, [], |row| row.get(0))?
        };
        let expired: i64 = self
            .sql
            .prepare_cached(
                "SELECT count(*) FROM memory INDEXED BY memory_expiry
                 WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= ?1 AND superseded_at_ms IS NULL",
            )?
            .query_row([self.now.wall_ms], |row| row.get(0))?;
        Ok(not_replaced - expired)
    }

    fn counter(&self, name: &str) -> engine::Result<i64> {
        self.sql
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'tally.' || ?1")?
            .query_row([name], |row| row.get(0))
    }
}
