//! Retention: what is over its time goes, gradually, so that no single write becomes long.
use rusqlite::params;
use serde::Serialize;

use super::peer::Peer;
use super::transaction::Tx;
use crate::platform::id::PeerId;

/// Rows one sweep takes at most of each kind.
const ROWS_MAX: i64 = 1_000;

/// What a sweep took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reclaimed {
    /// Closed questions with their answers.
    pub questions: usize,
    /// Memories whose time was over.
    pub memories: usize,
    /// Entries of the event log.
    pub events: usize,
    /// Ended sessions.
    pub sessions: usize,
    /// Messages over their time.
    pub messages: usize,
    /// Entries of the shared state that expired, and marks of deleted ones.
    pub state: usize,
    /// Claims of the dead, and lapsed ones.
    pub claims: usize,
    /// Tasks that ended long ago.
    pub tasks: usize,
    /// Mailboxes whose folder is gone.
    pub mailboxes: usize,
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
    }
}

impl Reclaimed {
    /// Returns whether nothing was left to take.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Nobody has sat there for so long, and nothing waits for it or comes from it.
const IS_ABANDONED: &str = "kind = 'session' AND project IS NOT NULL AND last_seen_at_ms < ?1
    AND NOT EXISTS (SELECT 1 FROM session WHERE peer_id = peer.id AND ended_at_ms IS NULL)
    AND NOT EXISTS (SELECT 1 FROM question WHERE target_peer = peer.id)
    AND NOT EXISTS (SELECT 1 FROM question WHERE asker_peer = peer.id)
    AND NOT EXISTS (SELECT 1 FROM message WHERE to_peer = peer.id)
    AND NOT EXISTS (SELECT 1 FROM task WHERE assigned_to = peer.id AND ended_at_ms IS NULL)";

impl Tx<'_> {
    /// Takes away what was over before `before_ms`, at most a thousand rows of each kind.
    pub(crate) fn sweep(&self, before_ms: i64) -> rusqlite::Result<Reclaimed> {
        let sweep = |sql: &str| {
            self.sql
                .prepare_cached(sql)?
                .execute(params![before_ms, ROWS_MAX])
        };
        Ok(Reclaimed {
            questions: sweep(
                "DELETE FROM question WHERE id IN (SELECT id FROM question WHERE closed_at_ms IS NOT NULL AND closed_at_ms < ?1 LIMIT ?2)",
            )?,
            events: self.sweep_events(before_ms)?,
            state: sweep(
                "DELETE FROM state WHERE (namespace, key) IN (SELECT namespace, key FROM state WHERE value IS NULL AND updated_at_ms < ?1 LIMIT ?2)",
            )?,
            memories: self.sweep_memories()?,
            sessions: sweep(
                "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE ended_at_ms IS NOT NULL AND ended_at_ms < ?1 LIMIT ?2)",
            )?,
            messages: self.sweep_messages(before_ms)?,
            claims: 0,
            mailboxes: 0,
            tasks: sweep(
                "DELETE FROM task WHERE rowid IN (SELECT rowid FROM task WHERE ended_at_ms < ?1 LIMIT ?2)",
            )?,
        })
    }

    /// Takes away messages over the time their sender gave them, and the oldest if they are over everybody's. These are the
    /// first of the order, so no index by time is needed.
    fn sweep_messages(&self, before_ms: i64) -> rusqlite::Result<usize> {
        let expired = self
            .sql
            .prepare_cached(
                "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= ?1 LIMIT ?2)",
            )?
            .execute(params![self.now.wall_ms, ROWS_MAX])?;
        let old = self
            .sql
            .prepare_cached(
                "DELETE FROM message WHERE id IN (SELECT id FROM (SELECT id, posted_at_ms FROM message ORDER BY id LIMIT ?2)
                     WHERE posted_at_ms < ?1)",
            )?
            .execute(params![before_ms, ROWS_MAX - i64::try_from(expired).unwrap_or(ROWS_MAX)])?;
        Ok(expired + old)
    }

    /// Takes away the beginning of the log, up to the first entry that is young: what is left has no gap.
    fn sweep_events(&self, before_ms: i64) -> rusqlite::Result<usize> {
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

    /// Removes memories whose time is over, with their older versions. Taking one out of the full text costs more than a row.
    fn sweep_memories(&self) -> rusqlite::Result<usize> {
        const MEMORIES_MAX: u32 = 5;
        let expired = self.expired_memories(MEMORIES_MAX)?;
        for memory in &expired {
            self.erase_memory(memory)?;
        }
        Ok(expired.len())
    }

    /// Removes runs that nobody can ask anything of any more, at most a thousand.
    pub(crate) fn sweep_runs(&self, before_ms: i64) -> rusqlite::Result<usize> {
        self.sql.execute(
            "DELETE FROM peer WHERE id IN (SELECT id FROM peer p WHERE kind = 'run' AND last_seen_at_ms < ?1
                AND NOT EXISTS (SELECT 1 FROM session WHERE peer_id = p.id)
                AND NOT EXISTS (SELECT 1 FROM question WHERE asker_peer = p.id) LIMIT ?2)",
            params![before_ms, ROWS_MAX],
        )
    }

    /// Returns mailboxes at which nobody has sat since `before_ms` and for which nothing is kept, behind `after` in the
    /// order of their ids.
    pub(crate) fn abandoned_peers(
        &self,
        before_ms: i64,
        after: &str,
        limit: u32,
    ) -> rusqlite::Result<Vec<Peer>> {
        self.peers_where(
            &format!("{IS_ABANDONED} AND id > ?2 ORDER BY id LIMIT ?3"),
            params![before_ms, after, limit],
        )
    }

    /// Removes such a mailbox. Returns false when it is none any more.
    pub(crate) fn delete_abandoned_peer(
        &self,
        id: PeerId,
        before_ms: i64,
    ) -> rusqlite::Result<bool> {
        let removed = self.sql.execute(
            &format!("DELETE FROM peer WHERE {IS_ABANDONED} AND id = ?2"),
            params![before_ms, id],
        )?;
        Ok(removed > 0)
    }
}
