//! The event log: appended in the transaction of the verb it tells of.
use rusqlite::params;
use serde_json::Value;

use super::Tx;
use crate::ground::id::PeerId;
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
        self.sql
            .prepare_cached("INSERT INTO event (type, at_ms, by_peer, subject, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![kind.as_str(), self.now.wall_ms, by, subject, data.to_string()])
            .map(drop)
    }

    /// Returns up to `limit` events after `after` and not before `since_ms`, oldest first.
    pub(crate) fn events(
        &self,
        after: i64,
        since_ms: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Event>> {
        self.sql
            .prepare_cached(
                "SELECT e.seq, e.type, e.at_ms, coalesce(p.name, ''), e.subject, e.data
                 FROM event e LEFT JOIN peer p ON p.id = e.by_peer
                 WHERE e.seq > ?1 AND e.at_ms >= ?2 ORDER BY e.seq LIMIT ?3",
            )?
            .query_map(
                params![after, since_ms, i64::try_from(limit).unwrap_or(i64::MAX)],
                |row| {
                    Ok(Event {
                        seq: row.get(0)?,
                        kind: row.get(1)?,
                        at_ms: row.get(2)?,
                        by: row.get(3)?,
                        subject: row.get(4)?,
                        data: serde_json::from_str(&row.get::<_, String>(5)?)
                            .unwrap_or(Value::Null),
                    })
                },
            )?
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
