//! Statements on the event log. An operation appends its events in its own transaction.
use std::borrow::Cow;

use rusqlite::params;
use serde_json::Value;

use super::engine::{self, OptionalExtension, Row};
use super::transaction::Tx;
use crate::model::event::{EventFilter, EventPage, EventPatterns};
use crate::model::{Event, EventKind};
use crate::platform::id::{PeerId, SessionId};

/// Entries that one read scans, whether they match or not. The next read continues after them.
const SCAN_MAX: i64 = 100_000;

const INSERT_EVENT: &str =
    "INSERT INTO event (type, at_ms, by_peer, subject, data) VALUES (?1, ?2, ?3, ?4, ?5)";

impl Tx<'_> {
    /// Appends an event.
    pub(crate) fn append_event(
        &self,
        kind: EventKind,
        by: Option<PeerId>,
        subject: &str,
        data: &Value,
    ) -> engine::Result<()> {
        let kind = kind.as_str();
        self.sql.prepare_cached(INSERT_EVENT)?.run(params![
            kind,
            self.now.wall_ms,
            by,
            subject,
            data.to_string()
        ])?;
        self.appended_event_types.borrow_mut().push(kind.into());
        Ok(())
    }

    /// Appends an event of any type, also of a project's own (`project.*`). Returns its number.
    pub(crate) fn append_event_of_type(
        &self,
        kind: Cow<'static, str>,
        by: Option<PeerId>,
        subject: &str,
        data: &Value,
    ) -> engine::Result<i64> {
        let seq = self.sql.insert_numbered(
            INSERT_EVENT,
            "seq",
            params![kind, self.now.wall_ms, by, subject, data.to_string()],
        )?;
        self.appended_event_types.borrow_mut().push(kind);
        Ok(seq)
    }

    /// Returns the subjects of the events of a type after the first number, up to the second.
    #[cfg(feature = "hub")]
    pub(crate) fn event_subjects(
        &self,
        kind: EventKind,
        (after, last): (i64, i64),
    ) -> engine::Result<Vec<String>> {
        self.sql
            .prepare_cached(
                "SELECT subject FROM event WHERE seq > ?1 AND seq <= ?2 AND type = ?3 ORDER BY seq",
            )?
            .query_map(params![after, last, kind.as_str()], |row| row.get(0))?
            .collect()
    }

    /// Returns the sessions in which a call waits for an event that this transaction has appended.
    pub(crate) fn sessions_waiting_for_events(&self) -> engine::Result<Vec<SessionId>> {
        let appended_event_types = self.appended_event_types.borrow();
        if appended_event_types.is_empty() || self.no_event_wait.get() || !self.schema_at_least(2) {
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

    /// Returns the entries that match `filter`, oldest first.
    pub(crate) fn events(&self, filter: &EventFilter) -> engine::Result<EventPage> {
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
        let mut rows = statement.query_in_chunks(params![page.next, SCAN_MAX])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(at_ms)? >= since_ms
                && filter.types.match_any(row.get_ref(kind)?.as_str()?)
            {
                if page.events.len() == filter.limit {
                    page.more = true;
                    return Ok(page);
                }
                page.events.push(event_from_row(&row)?);
            }
            page.next = row.get(seq)?;
        }
        // Entries beyond the scan may match.
        page.more = page.next < self.last_event_seq()?;
        Ok(page)
    }

    /// Returns the entries of one kind since `since_ms`, oldest first.
    pub(crate) fn events_of_kind(
        &self,
        kind: EventKind,
        since_ms: i64,
    ) -> engine::Result<Vec<Event>> {
        self.sql
            .prepare_cached(
                "SELECT e.seq, e.type, e.at_ms, coalesce(p.name, '') AS by_name, e.subject, e.data
                 FROM event e LEFT JOIN peer p ON p.id = e.by_peer WHERE e.at_ms >= ?1 AND e.type = ?2 ORDER BY e.seq",
            )?
            .query_map(params![since_ms, kind.as_str()], event_from_row)?
            .collect()
    }

    /// Returns whether peer `by` caused an event of this kind about `subject` since `since_ms`.
    pub(crate) fn has_event(
        &self,
        kind: EventKind,
        by: PeerId,
        subject: &str,
        since_ms: i64,
    ) -> engine::Result<bool> {
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE at_ms >= ?1 AND type = ?2 AND by_peer = ?3 AND subject = ?4)")?
            .query_row(params![since_ms, kind.as_str(), by, subject], |row| row.get(0))
    }

    /// Returns the number after which a read with `filter` starts.
    pub(crate) fn start_seq(&self, filter: &EventFilter) -> engine::Result<i64> {
        match (filter.after, filter.since_ms) {
            (Some(after), None) => Ok(after),
            (after, Some(since_ms)) => self.start_seq_since(after.unwrap_or(0), since_ms),
            (None, None) => self.start_seq_of_newest(&filter.types, filter.limit),
        }
    }

    /// The clock may have jumped, so times do not always grow with numbers. If the next entry is late enough, the read starts
    /// there; otherwise the index of times finds the least number.
    fn start_seq_since(&self, after: i64, since_ms: i64) -> engine::Result<i64> {
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

    fn start_seq_of_newest(&self, types: &EventPatterns, limit: usize) -> engine::Result<i64> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT seq, type FROM event ORDER BY seq DESC LIMIT ?1")?;
        let (seq, kind) = (
            statement.column_index("seq")?,
            statement.column_index("type")?,
        );
        let mut rows = statement.query_in_chunks([SCAN_MAX])?;
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

    /// Returns the number of the last entry ever, also if it is not kept any more; the next one has one more.
    #[cfg(feature = "hub")]
    pub(crate) fn last_event_number(&self) -> engine::Result<i64> {
        self.sql
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?
            .query_row([], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
    }

    /// Returns how many entries this transaction has made.
    #[cfg(feature = "hub")]
    pub(crate) fn count_own_events(&self) -> i64 {
        i64::try_from(self.appended_event_types.borrow().len()).unwrap_or(i64::MAX)
    }

    /// Returns the number of the last entry; 0 if there is none.
    pub(crate) fn last_event_seq(&self) -> engine::Result<i64> {
        self.sql
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?
            .query_row([], |row| row.get(0))
    }

    /// Returns the number of the oldest entry that is kept, and that of the last one ever. If none is kept, the first is
    /// greater by one.
    #[cfg(feature = "hub")]
    pub(crate) fn event_seq_range(&self) -> engine::Result<(i64, i64)> {
        self.sql
            .prepare_cached(
                "SELECT coalesce((SELECT min(seq) FROM event), last + 1) AS oldest, last
                 FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) AS last) s",
            )?
            .query_row([], |row| Ok((row.get("oldest")?, row.get("last")?)))
    }

    /// Returns the types of events that a session's inbox delivers, and the number after which they are new.
    pub(crate) fn event_subscription(
        &self,
        session: SessionId,
    ) -> engine::Result<Option<(EventPatterns, i64)>> {
        self.sql
            .prepare_cached("SELECT event_types, event_after FROM session WHERE id = ?1 AND event_types IS NOT NULL")?
            .query_row([session], |row| {
                let types = EventPatterns::of_json(row.get_ref("event_types")?.as_str()?);
                Ok((types, row.get("event_after")?))
            })
            .optional()
    }

    /// Sets which types of events a session's inbox delivers.
    pub(crate) fn set_event_subscription(
        &self,
        session: SessionId,
        subscription: Option<(&EventPatterns, i64)>,
    ) -> engine::Result<()> {
        let (types, after) = subscription
            .map(|(types, after)| (types.to_json(), after))
            .unzip();
        self.sql
            .prepare_cached("UPDATE session SET event_types = ?2, event_after = ?3 WHERE id = ?1")?
            .run(params![session, types, after])
    }

    /// Replaces the data of a question's events; the entries stay. Returns their number.
    ///
    /// The event log has no index of subjects. An event of a question is not older than the question, except by a correction of
    /// the clock; a day is more than that.
    pub(crate) fn redact_events_of(
        &self,
        subject: &str,
        asked_at_ms: i64,
    ) -> engine::Result<usize> {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        self.sql.execute(
            "UPDATE event SET data = '{\"forgotten\":true}' WHERE at_ms >= ?2 AND subject = ?1",
            params![subject, asked_at_ms - DAY_MS],
        )
    }
}

fn event_from_row(row: &Row) -> engine::Result<Event> {
    Ok(Event {
        seq: row.get("seq")?,
        kind: row.get("type")?,
        at_ms: row.get("at_ms")?,
        by: row.get("by_name")?,
        subject: row.get("subject")?,
        data: serde_json::from_str(row.get_ref("data")?.as_str()?).unwrap_or(Value::Null),
    })
}
