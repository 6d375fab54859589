//! The event log: appended in the transaction of the verb it tells of.
use std::borrow::Cow;

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use super::transaction::Tx;
use crate::model::event::{EventFilter, EventPage, EventPatterns};
use crate::model::{Event, EventKind};
use crate::platform::id::{PeerId, SessionId};

/// Entries looked at in one read, wanted or not. Whoever wants more goes on after them.
const SCAN_MAX: i64 = 100_000;

impl Tx<'_> {
    /// Appends an event.
    pub(crate) fn append_event(
        &self,
        kind: EventKind,
        by: Option<PeerId>,
        subject: &str,
        data: &Value,
    ) -> rusqlite::Result<()> {
        self.append_event_of_type(kind.as_str().into(), by, subject, data)
            .map(drop)
    }

    /// Appends an event of a type that a project made up, `project.*`. Returns its number.
    pub(crate) fn append_event_of_type(
        &self,
        kind: Cow<'static, str>,
        by: Option<PeerId>,
        subject: &str,
        data: &Value,
    ) -> rusqlite::Result<i64> {
        self.sql
            .prepare_cached("INSERT INTO event (type, at_ms, by_peer, subject, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![kind, self.now.wall_ms, by, subject, data.to_string()])?;
        self.appended_event_types.borrow_mut().push(kind);
        Ok(self.sql.last_insert_rowid())
    }

    /// Returns the sessions in which a call waits for an event of this transaction.
    pub(crate) fn sessions_waiting_for_events(&self) -> rusqlite::Result<Vec<SessionId>> {
        let appended_event_types = self.appended_event_types.borrow();
        if appended_event_types.is_empty() || !self.schema_at_least(2) {
            return Ok(Vec::new());
        }
        let mut sessions = Vec::new();
        let mut statement = self.sql.prepare_cached(
            "SELECT session_id, event_types FROM wait WHERE event_types IS NOT NULL",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let patterns = EventPatterns::of_json(row.get_ref("event_types")?.as_str()?);
            if appended_event_types
                .iter()
                .any(|kind| patterns.match_any(kind))
            {
                sessions.push(row.get("session_id")?);
            }
        }
        Ok(sessions)
    }

    /// Returns the entries of the log that somebody wants, oldest first.
    pub(crate) fn events(&self, filter: &EventFilter) -> rusqlite::Result<EventPage> {
        let since_ms = filter.since_ms.unwrap_or(i64::MIN);
        let mut page = EventPage {
            next: self.start_seq(filter)?,
            ..EventPage::default()
        };
        let mut statement = self.sql.prepare_cached(
            "SELECT e.seq, e.type, e.at_ms, coalesce(p.name, '') AS by_name, e.subject, e.data
             FROM event e LEFT JOIN peer p ON p.id = e.by_peer WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2",
        )?;
        // A scan may read a hundred thousand rows, so the columns of its filter are looked up once.
        let (seq, kind, at_ms) = (
            statement.column_index("seq")?,
            statement.column_index("type")?,
            statement.column_index("at_ms")?,
        );
        let mut rows = statement.query(params![page.next, SCAN_MAX])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(at_ms)? >= since_ms
                && filter.types.match_any(row.get_ref(kind)?.as_str()?)
            {
                if page.events.len() == filter.limit {
                    page.more = true;
                    return Ok(page);
                }
                page.events.push(event_from_row(row)?);
            }
            page.next = row.get(seq)?;
        }
        // Beyond what one read looks at nobody knows.
        page.more = page.next < self.last_event_seq()?;
        Ok(page)
    }

    /// Returns the entries of one kind not before `since_ms`, oldest first.
    pub(crate) fn events_of_kind(
        &self,
        kind: EventKind,
        since_ms: i64,
    ) -> rusqlite::Result<Vec<Event>> {
        self.sql
            .prepare_cached(
                "SELECT e.seq, e.type, e.at_ms, coalesce(p.name, '') AS by_name, e.subject, e.data
                 FROM event e LEFT JOIN peer p ON p.id = e.by_peer WHERE e.at_ms >= ?1 AND e.type = ?2 ORDER BY e.seq",
            )?
            .query_map(params![since_ms, kind.as_str()], event_from_row)?
            .collect()
    }

    /// Returns whether somebody caused such an event about `subject` since `since_ms`.
    pub(crate) fn has_event(
        &self,
        kind: EventKind,
        by: PeerId,
        subject: &str,
        since_ms: i64,
    ) -> rusqlite::Result<bool> {
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE at_ms >= ?1 AND type = ?2 AND by_peer = ?3 AND subject = ?4)")?
            .query_row(params![since_ms, kind.as_str(), by, subject], |row| row.get(0))
    }

    /// Returns the number after which the wanted entries lie.
    pub(crate) fn start_seq(&self, filter: &EventFilter) -> rusqlite::Result<i64> {
        match (filter.after, filter.since_ms) {
            (Some(after), None) => Ok(after),
            (after, Some(since_ms)) => self.start_seq_since(after.unwrap_or(0), since_ms),
            (None, None) => self.start_seq_of_newest(&filter.types, filter.limit),
        }
    }

    /// The clock may have jumped, so the first entry after a time is not always the one with the next time. Either the log
    /// has it at hand, or the index of times is asked for the least number.
    fn start_seq_since(&self, after: i64, since_ms: i64) -> rusqlite::Result<i64> {
        let next: Option<(i64, i64)> = self
            .sql
            .prepare_cached("SELECT seq, at_ms FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1")?
            .query_row([after], |row| Ok((row.get("seq")?, row.get("at_ms")?)))
            .optional()?;
        if next.is_none_or(|(_, at_ms)| at_ms >= since_ms) {
            return Ok(after);
        }
        let min_seq: Option<i64> = self
            .sql
            .prepare_cached(
                "SELECT min(+seq) FROM event INDEXED BY event_time WHERE at_ms >= ?1 AND +seq > ?2",
            )?
            .query_row([since_ms, after], |row| row.get(0))?;
        match min_seq {
            Some(min_seq) => Ok(min_seq - 1),
            None => self.last_event_seq(),
        }
    }

    fn start_seq_of_newest(&self, types: &EventPatterns, limit: usize) -> rusqlite::Result<i64> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT seq, type FROM event ORDER BY seq DESC LIMIT ?1")?;
        let (seq, kind) = (
            statement.column_index("seq")?,
            statement.column_index("type")?,
        );
        let mut rows = statement.query([SCAN_MAX])?;
        let (mut start, mut found) = (self.last_event_seq()?, 0);
        while found < limit
            && let Some(row) = rows.next()?
        {
            if types.match_any(row.get_ref(kind)?.as_str()?) {
                start = row.get::<_, i64>(seq)? - 1;
                found += 1;
            }
        }
        Ok(start)
    }

    /// Returns the number of the last entry; 0 when there is none.
    pub(crate) fn last_event_seq(&self) -> rusqlite::Result<i64> {
        self.sql
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?
            .query_row([], |row| row.get(0))
    }

    /// Returns which types of events a session hears of by its inbox, and after which number.
    pub(crate) fn event_subscription(
        &self,
        session: SessionId,
    ) -> rusqlite::Result<Option<(EventPatterns, i64)>> {
        self.sql
            .prepare_cached("SELECT event_types, event_after FROM session WHERE id = ?1 AND event_types IS NOT NULL")?
            .query_row([session], |row| {
                let types = EventPatterns::of_json(row.get_ref("event_types")?.as_str()?);
                Ok((types, row.get("event_after")?))
            })
            .optional()
    }

    /// Notes which types of events a session hears of; `None` when of none.
    pub(crate) fn set_event_subscription(
        &self,
        session: SessionId,
        subscription: Option<(&EventPatterns, i64)>,
    ) -> rusqlite::Result<()> {
        let (types, after) = subscription
            .map(|(types, after)| (types.to_json(), after))
            .unzip();
        self.sql
            .prepare_cached("UPDATE session SET event_types = ?2, event_after = ?3 WHERE id = ?1")?
            .execute(params![session, types, after])
            .map(drop)
    }

    /// Takes every trace of a question's text out of the log; the entries stay.
    ///
    /// The log has no index of what its entries are about; none of a question is older than the question, and a day is more
    /// than a clock is corrected by.
    pub(crate) fn redact_events_of(
        &self,
        subject: &str,
        asked_at_ms: i64,
    ) -> rusqlite::Result<usize> {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        self.sql.execute(
            "UPDATE event SET data = '{\"forgotten\":true}' WHERE at_ms >= ?2 AND subject = ?1",
            params![subject, asked_at_ms - DAY_MS],
        )
    }
}

fn event_from_row(row: &Row) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: row.get("seq")?,
        kind: row.get("type")?,
        at_ms: row.get("at_ms")?,
        by: row.get("by_name")?,
        subject: row.get("subject")?,
        data: serde_json::from_str(row.get_ref("data")?.as_str()?).unwrap_or(Value::Null),
    })
}
