//! The event log: appended in the transaction of the verb it tells of.
use std::borrow::Cow;

use rusqlite::params;
use serde_json::Value;

use super::Tx;
use crate::ground::id::{PeerId, SessionId};
use crate::model::event::Patterns;
use crate::model::{Event, EventKind};

impl Tx<'_> {
    /// Appends an event.
    pub(crate) fn append(
        &self,
        kind: EventKind,
        by: Option<PeerId>,
        subject: &str,
        data: &Value,
    ) -> rusqlite::Result<()> {
        self.append_typed(kind.as_str().into(), by, subject, data)
    }

    /// Appends an event of a type that a project made up, `project.*`.
    pub(crate) fn append_typed(
        &self,
        kind: Cow<'static, str>,
        by: Option<PeerId>,
        subject: &str,
        data: &Value,
    ) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO event (type, at_ms, by_peer, subject, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![kind, self.now.wall_ms, by, subject, data.to_string()])?;
        self.appended.borrow_mut().push(kind);
        Ok(())
    }

    /// Returns the sessions in which a call waits for an event of this transaction.
    pub(crate) fn sessions_listening(&self) -> rusqlite::Result<Vec<SessionId>> {
        let appended = self.appended.borrow();
        if appended.is_empty() || !self.has_rooms() {
            return Ok(Vec::new());
        }
        let mut sessions = Vec::new();
        let mut statement = self.sql.prepare_cached(
            "SELECT session_id, event_types FROM wait WHERE event_types IS NOT NULL",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let patterns = Patterns::of_json(&row.get::<_, String>(1)?);
            if appended.iter().any(|kind| patterns.match_any(kind)) {
                sessions.push(row.get(0)?);
            }
        }
        Ok(sessions)
    }

    /// Returns up to `limit` events after `after` and not before `since_ms`, oldest first.
    pub(crate) fn events(
        &self,
        after: i64,
        since_ms: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Event>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.events_where(
            "e.seq > ?1 AND e.at_ms >= ?2 ORDER BY e.seq LIMIT ?3",
            params![after, since_ms, limit],
        )
    }

    /// Returns the events of one kind not before `since_ms`, oldest first.
    pub(crate) fn events_of(&self, kind: EventKind, since_ms: i64) -> rusqlite::Result<Vec<Event>> {
        self.events_where(
            "e.at_ms >= ?1 AND e.type = ?2 ORDER BY e.seq",
            params![since_ms, kind.as_str()],
        )
    }

    fn events_where(
        &self,
        condition: &str,
        values: impl rusqlite::Params,
    ) -> rusqlite::Result<Vec<Event>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT e.seq, e.type, e.at_ms, coalesce(p.name, ''), e.subject, e.data
                 FROM event e LEFT JOIN peer p ON p.id = e.by_peer WHERE {condition}"
            ))?
            .query_map(values, |row| {
                Ok(Event {
                    seq: row.get(0)?,
                    kind: row.get(1)?,
                    at_ms: row.get(2)?,
                    by: row.get(3)?,
                    subject: row.get(4)?,
                    data: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or(Value::Null),
                })
            })?
            .collect()
    }

    /// Takes every trace of a question's text out of the log; the entries stay.
    pub(crate) fn blank_events_of(&self, subject: &str) -> rusqlite::Result<usize> {
        self.sql.execute(
            "UPDATE event SET data = '{\"forgotten\":true}' WHERE subject = ?1",
            [subject],
        )
    }
}

impl Tx<'_> {
    /// Returns how many entries the log has.
    pub(crate) fn count_events(&self) -> rusqlite::Result<i64> {
        self.sql
            .prepare_cached("SELECT count(*) FROM event")?
            .query_row([], |row| row.get(0))
    }
}
