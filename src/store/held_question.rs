//! Statements on held questions, and on how often a peer was asked.
use rusqlite::params;

use super::engine;
use super::transaction::Tx;
use crate::platform::id::{PeerId, QuestionId, SessionId};

impl Tx<'_> {
    /// Returns which sessions asked a peer since a time, and when, newest first, at most 10,000. Questions that are held for
    /// this reason are left out.
    pub(crate) fn askers_since(
        &self,
        target: PeerId,
        since_ms: i64,
        except_held: &str,
    ) -> engine::Result<Vec<(SessionId, i64)>> {
        self.sql
            .prepare_cached(
                "SELECT asker_session, asked_at_ms FROM question WHERE target_peer = ?1 AND asked_at_ms > ?2 AND held IS DISTINCT FROM ?3
                 ORDER BY asked_at_ms DESC LIMIT 10000",
            )?
            .query_map(params![target, since_ms, except_held], |row| {
                Ok((row.get("asker_session")?, row.get("asked_at_ms")?))
            })?
            .collect()
    }

    /// Returns whether a peer has an open question that is held for this reason.
    pub(crate) fn has_question_held_for(
        &self,
        target: PeerId,
        reason: &str,
    ) -> engine::Result<bool> {
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM question INDEXED BY question_pending WHERE target_peer = ?1 AND state = 'open' AND held = ?2)")?
            .query_row(params![target, reason], |row| row.get(0))
    }

    /// Stores why the peer of a question is not woken for it.
    pub(crate) fn set_held_reason(&self, id: QuestionId, reason: &str) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE question SET held = ?2 WHERE id = ?1")?
            .run(params![id, reason])
    }

    /// Notes that a question is not held any more.
    pub(crate) fn clear_held_reason(&self, id: QuestionId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE question SET held = NULL WHERE id = ?1")?
            .run([id])
    }
}
