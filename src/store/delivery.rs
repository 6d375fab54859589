//! Statements on deliveries (table `showing`): which question was delivered to which session, in which turn, and how often the
//! Stop hook continued a turn for it.
//!
//! A delivery outlives the answer by a turn, because a question that the session asks in that time follows from it.
use rusqlite::params;

use super::engine;
use super::transaction::Tx;
use crate::model::question::TURN_MS_MAX;
use crate::platform::id::{QuestionId, SessionId};

/// Of very many deliveries the newest count.
const MAX_DELIVERED_DEPTH_SQL: &str =
    "SELECT coalesce(max(q.depth), -1)
     FROM (SELECT question_id FROM showing WHERE session_id = ?1 ORDER BY question_id DESC LIMIT 200) s
     JOIN question q ON q.id = s.question_id WHERE q.state = 'open' OR q.closed_at_ms >= ?2";

impl Tx<'_> {
    /// Returns the greatest depth of the questions delivered to a session that are open, or were closed within the longest
    /// turn; -1 if there is none.
    pub(crate) fn max_delivered_depth(&self, session: SessionId) -> engine::Result<i64> {
        let since_ms = self.now.wall_ms - TURN_MS_MAX;
        self.sql
            .prepare_cached(MAX_DELIVERED_DEPTH_SQL)?
            .query_row(params![session, since_ms], |row| row.get(0))
    }

    /// Returns whether a session has a delivery of a closed question.
    pub(crate) fn has_closed_deliveries(&self, session: SessionId) -> engine::Result<bool> {
        self.sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM showing s JOIN question q ON q.id = s.question_id
                 WHERE s.session_id = ?1 AND q.state <> 'open')",
            )?
            .query_row([session], |row| row.get(0))
    }

    /// Deletes a session's deliveries of closed questions, except those of these turns.
    pub(crate) fn delete_closed_deliveries(
        &self,
        session: SessionId,
        except_turns: Option<[&str; 2]>,
    ) -> engine::Result<()> {
        let [now, previous] = except_turns.unwrap_or_default();
        self.sql
            .prepare_cached(
                "DELETE FROM showing WHERE session_id = ?1 AND (?2 OR turn NOT IN (?3, ?4))
                 AND (SELECT state FROM question WHERE id = question_id) <> 'open'",
            )?
            .run(params![session, except_turns.is_none(), now, previous])
    }

    /// Sets the turn of the deliveries that have none.
    pub(crate) fn set_turn_of_deliveries(
        &self,
        session: SessionId,
        turn: &str,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE showing SET turn = ?2 WHERE session_id = ?1 AND turn IS NULL AND times > 0",
            )?
            .run(params![session, turn])
    }

    /// Counts that the Stop hook continued a turn for a question. `first_of_turn` resets the count of the turn.
    pub(crate) fn increment_stop_blocks(
        &self,
        id: QuestionId,
        session: SessionId,
        first_of_turn: bool,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE showing SET stops = stops + 1, stops_in_turn = CASE WHEN ?3 THEN 1 ELSE stops_in_turn + 1 END
                 WHERE question_id = ?1 AND session_id = ?2",
            )?
            .run(params![id, session, first_of_turn])
    }

    /// Returns how often a question continued a turn, in all sessions.
    pub(crate) fn count_stop_blocks(&self, id: QuestionId) -> engine::Result<u32> {
        self.sql
            .prepare_cached("SELECT CAST(coalesce(sum(stops), 0) AS INTEGER) FROM showing WHERE question_id = ?1")?
            .query_row([id], |row| row.get(0))
    }

    /// Counts that a question interrupted a wait of a session, and stores when as a reading of the monotonic clock: it is only
    /// compared with readings of the same session, and so of the same boot.
    pub(crate) fn increment_interrupts(
        &self,
        id: QuestionId,
        session: SessionId,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE showing SET interrupts = interrupts + 1, interrupted_at_ms = ?3 WHERE question_id = ?1 AND session_id = ?2")?
            .run(params![id, session, self.now.monotonic_ms])
    }
}
