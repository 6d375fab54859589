//! Deletes expired rows, a bounded number at a time, so that no single transaction becomes long.
use rusqlite::params;
use serde::Serialize;

use super::engine;
use super::peer::Peer;
use super::transaction::Tx;
use crate::platform::id::PeerId;

/// Rows of each kind that one call deletes at most.
const ROWS_MAX: i64 = 1_000;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// How many rows of each kind a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reclaimed {
    /// Closed questions with their answers.
    pub questions: usize,
    /// Expired memories.
    pub memories: usize,
    /// Entries of the event log.
    pub events: usize,
    /// Ended sessions.
    pub sessions: usize,
    /// Expired messages.
    pub messages: usize,
    /// Entries of the shared state that have expired, and rows of deleted ones.
    pub state: usize,
    /// Expired claims, and those of dead sessions.
    pub claims: usize,
    /// Ended tasks.
    pub tasks: usize,
    /// Peers whose project folder no longer exists.
    pub mailboxes: usize,
    /// Access keys that expired or were revoked, and used or expired sign-in links of the board.
    pub keys: usize,
    /// Results kept for requests that repeat their idempotency key.
    pub requests: usize,
}

impl std::ops::AddAssign for Reclaimed {
    fn add_assign(&mut self, other: Self) {
        let Self {
            questions,
            events,
            sessions,
            state,
            messages,
            claims,
            memories,
            tasks,
            mailboxes,
            keys,
            requests,
        } = other;
        self.questions += questions;
        self.events += events;
        self.sessions += sessions;
        self.state += state;
        self.messages += messages;
        self.claims += claims;
        self.memories += memories;
        self.tasks += tasks;
        self.mailboxes += mailboxes;
        self.keys += keys;
        self.requests += requests;
    }
}

impl Reclaimed {
    /// Returns whether nothing was removed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// No session was registered there since ?1, and no question, message or open task refers to it.
const IS_ABANDONED: &str = "kind = 'session' AND project IS NOT NULL AND last_seen_at_ms < ?1
    AND NOT EXISTS (SELECT 1 FROM session WHERE peer_id = peer.id AND ended_at_ms IS NULL)
    AND NOT EXISTS (SELECT 1 FROM question WHERE target_peer = peer.id)
    AND NOT EXISTS (SELECT 1 FROM question WHERE asker_peer = peer.id)
    AND NOT EXISTS (SELECT 1 FROM message WHERE to_peer = peer.id)
    AND NOT EXISTS (SELECT 1 FROM task WHERE assigned_to = peer.id AND ended_at_ms IS NULL)";

impl Tx<'_> {
    /// Deletes rows that were closed, ended or posted before `before_ms`, at most a thousand of each kind.
    pub(crate) fn delete_expired_rows(&self, before_ms: i64) -> engine::Result<Reclaimed> {
        let delete = |sql: &str| {
            self.sql
                .prepare_cached(sql)?
                .execute(params![before_ms, ROWS_MAX])
        };
        Ok(Reclaimed {
            questions: delete(
                "DELETE FROM question WHERE id IN (SELECT id FROM question WHERE closed_at_ms IS NOT NULL AND closed_at_ms < ?1 LIMIT ?2)",
            )?,
            events: self.delete_old_events(before_ms)?,
            state: delete(
                "DELETE FROM state WHERE (namespace, key) IN (SELECT namespace, key FROM state WHERE value IS NULL AND updated_at_ms < ?1 LIMIT ?2)",
            )?,
            memories: self.delete_expired_memories()?,
            sessions: delete(
                "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE ended_at_ms IS NOT NULL AND ended_at_ms < ?1 LIMIT ?2)",
            )?,
            messages: self.delete_expired_messages(before_ms)?,
            claims: 0,
            mailboxes: 0,
            keys: self.delete_ended_keys(before_ms)?,
            requests: self.delete_old_requests()?,
            tasks: delete(
                "DELETE FROM task WHERE rowid IN (SELECT rowid FROM task WHERE ended_at_ms < ?1 LIMIT ?2)",
            )?,
        })
    }

    /// Deletes keys that ended before `before_ms`, and links that expired a day ago.
    fn delete_ended_keys(&self, before_ms: i64) -> engine::Result<usize> {
        if !self.schema_at_least(4) {
            return Ok(0);
        }
        let keys = self
            .sql
            .prepare_cached(
                "DELETE FROM access_key WHERE id IN (SELECT id FROM access_key WHERE coalesce(revoked_at_ms, expires_at_ms) < ?1 LIMIT ?2)",
            )?
            .execute(params![before_ms, ROWS_MAX])?;
        let links = self
            .sql
            .prepare_cached(
                "DELETE FROM board_link WHERE hash IN (SELECT hash FROM board_link WHERE expires_at_ms < ?1 LIMIT ?2)",
            )?
            .execute(params![self.now.wall_ms - DAY_MS, ROWS_MAX])?;
        Ok(keys + links)
    }

    /// Deletes the results of requests that were made a day ago. There may be many of them, so more are deleted at once.
    fn delete_old_requests(&self) -> engine::Result<usize> {
        if !self.schema_at_least(4) {
            return Ok(0);
        }
        self.sql
            .prepare_cached(
                "DELETE FROM idempotency WHERE (key_id, idempotency_key) IN (SELECT key_id, idempotency_key FROM idempotency WHERE at_ms < ?1 LIMIT ?2)",
            )?
            .execute(params![self.now.wall_ms - DAY_MS, 10 * ROWS_MAX])
    }

    /// Deletes messages that have expired by the time their sender set, and those older than `before_ms`. Ids grow with time,
    /// so the oldest are found without an index of times.
    fn delete_expired_messages(&self, before_ms: i64) -> engine::Result<usize> {
        let expired = self
            .sql
            .prepare_cached(
                "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= ?1 LIMIT ?2)",
            )?
            .execute(params![self.now.wall_ms, ROWS_MAX])?;
        let old = self
            .sql
            .prepare_cached(
                "DELETE FROM message WHERE id IN (SELECT id FROM (SELECT id, posted_at_ms FROM message ORDER BY id LIMIT ?2) v
                     WHERE posted_at_ms < ?1)",
            )?
            .execute(params![before_ms, ROWS_MAX - i64::try_from(expired).unwrap_or(ROWS_MAX)])?;
        Ok(expired + old)
    }

    /// Deletes the beginning of the event log up to the first entry since `before_ms`, so that its numbers keep no gap.
    fn delete_old_events(&self, before_ms: i64) -> engine::Result<usize> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT seq, at_ms FROM event ORDER BY seq LIMIT ?1")?;
        let (seq, at_ms) = (
            statement.column_index("seq")?,
            statement.column_index("at_ms")?,
        );
        let mut rows = statement.query([ROWS_MAX])?;
        let mut last = None;
        while let Some(row) = rows.next()?
            && row.get::<_, i64>(at_ms)? < before_ms
        {
            last = Some(row.get::<_, i64>(seq)?);
        }
        match last {
            None => Ok(0),
            Some(last) => self
                .sql
                .prepare_cached("DELETE FROM event WHERE seq <= ?1")?
                .execute([last]),
        }
    }

    /// Deletes expired memories with their older versions. Few at a time: removing one from the full-text indexes costs more
    /// than deleting a row.
    fn delete_expired_memories(&self) -> engine::Result<usize> {
        const MEMORIES_MAX: u32 = 5;
        let expired = self.expired_memories(MEMORIES_MAX)?;
        for memory in &expired {
            self.erase_memory(memory)?;
        }
        Ok(expired.len())
    }

    /// Deletes runs that have no session and no question left, at most a thousand.
    pub(crate) fn delete_unused_runs(&self, before_ms: i64) -> engine::Result<usize> {
        let deleted = self.sql.execute(
            "DELETE FROM peer WHERE id IN (SELECT id FROM peer p WHERE kind = 'run' AND last_seen_at_ms < ?1
                AND NOT EXISTS (SELECT 1 FROM session WHERE peer_id = p.id)
                AND NOT EXISTS (SELECT 1 FROM question WHERE asker_peer = p.id) LIMIT ?2)",
            params![before_ms, ROWS_MAX],
        )?;
        self.note_identity_change(deleted > 0);
        Ok(deleted)
    }

    /// Returns peers that have had no session since `before_ms` and that nothing refers to: up to `limit` whose ids follow
    /// `after`.
    pub(crate) fn abandoned_peers(
        &self,
        before_ms: i64,
        after: &str,
        limit: u32,
    ) -> engine::Result<Vec<Peer>> {
        self.peers_where(
            &format!("{IS_ABANDONED} AND id > ?2 ORDER BY id LIMIT ?3"),
            params![before_ms, after, limit],
        )
    }

    /// Deletes such a peer. Returns false if it is no longer abandoned.
    pub(crate) fn delete_abandoned_peer(&self, id: PeerId, before_ms: i64) -> engine::Result<bool> {
        let removed = self.sql.execute(
            &format!("DELETE FROM peer WHERE {IS_ABANDONED} AND id = ?2"),
            params![before_ms, id],
        )?;
        self.note_identity_change(removed > 0);
        Ok(removed > 0)
    }
}
