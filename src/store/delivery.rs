//! Rows of showings: what was put before which session, in which turn, and how often it kept one going. What is answered
//! stays for the turn and the next, because what is asked then follows from it.
use rusqlite::params;

use super::transaction::Tx;
use crate::model::question::TURN_MS_MAX;
use crate::platform::id::{QuestionId, SessionId};

/// How deep lies what a session was shown; of very many showings the newest count.
const MAX_DELIVERED_DEPTH_SQL: &str =
    "SELECT coalesce(max(q.depth), -1)
     FROM (SELECT question_id FROM showing WHERE session_id = ?1 ORDER BY question_id DESC LIMIT 200) s
     JOIN question q ON q.id = s.question_id WHERE q.state = 'open' OR q.closed_at_ms >= ?2";

impl Tx<'_> {
    /// Returns the greatest depth of what a session was shown and has not forgotten: what is open, or had its end within
    /// the longest turn. -1 when there is none.
    pub(crate) fn max_delivered_depth(&self, session: SessionId) -> rusqlite::Result<i64> {
        let since_ms = self.now.wall_ms - TURN_MS_MAX;
        self.sql
            .prepare_cached(MAX_DELIVERED_DEPTH_SQL)?
            .query_row(params![session, since_ms], |row| row.get(0))
    }

    /// Returns whether a session was shown something that has its end, and has not forgotten it.
    pub(crate) fn has_closed_deliveries(&self, session: SessionId) -> rusqlite::Result<bool> {
        self.sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM showing s JOIN question q ON q.id = s.question_id
                 WHERE s.session_id = ?1 AND q.state <> 'open')",
            )?
            .query_row([session], |row| row.get(0))
    }

    /// Forgets that a session was shown what has its end, but for what it was shown in these turns.
    pub(crate) fn delete_closed_deliveries(
        &self,
        session: SessionId,
        except_turns: Option<[&str; 2]>,
    ) -> rusqlite::Result<()> {
        let [now, previous] = except_turns.unwrap_or_default();
        self.sql
            .prepare_cached(
                "DELETE FROM showing WHERE session_id = ?1 AND (?2 OR turn NOT IN (?3, ?4))
                 AND (SELECT state FROM question WHERE id = question_id) <> 'open'",
            )?
            .execute(params![session, except_turns.is_none(), now, previous])
            .map(drop)
    }

    /// Names the turn of what was put before a session when it was not known.
    pub(crate) fn set_turn_of_deliveries(
        &self,
        session: SessionId,
        turn: &str,
    ) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE showing SET turn = ?2 WHERE session_id = ?1 AND turn IS NULL AND times > 0",
            )?
            .execute(params![session, turn])
            .map(drop)
    }

    /// Counts that the Stop hook kept a session for a question; `first_of_turn` begins the count of the turn anew.
    pub(crate) fn increment_stop_blocks(
        &self,
        id: QuestionId,
        session: SessionId,
        first_of_turn: bool,
    ) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE showing SET stops = stops + 1, stops_in_turn = CASE WHEN ?3 THEN 1 ELSE stops_in_turn + 1 END
                 WHERE question_id = ?1 AND session_id = ?2",
            )?
            .execute(params![id, session, first_of_turn])
            .map(drop)
    }

    /// Returns how often a question kept a turn going.
    pub(crate) fn count_stop_blocks(&self, id: QuestionId) -> rusqlite::Result<u32> {
        self.sql
            .prepare_cached("SELECT coalesce(sum(stops), 0) FROM showing WHERE question_id = ?1")?
            .query_row([id], |row| row.get(0))
    }

    /// Counts that a question interrupted a wait of a session. When is a reading of the monotonic clock: what is compared with
    /// it is of the same session, and so of the same boot.
    pub(crate) fn increment_interrupts(
        &self,
        id: QuestionId,
        session: SessionId,
    ) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE showing SET interrupts = interrupts + 1, interrupted_at_ms = ?3 WHERE question_id = ?1 AND session_id = ?2")?
            .execute(params![id, session, self.now.monotonic_ms])
            .map(drop)
    }
}
