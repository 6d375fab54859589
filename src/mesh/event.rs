//! The event log: reads it, waits for events, delivers subscribed events to the inbox, and appends events of a project.
use std::path::Path;

use serde_json::Value;

use crate::mesh::connection::Mesh;
use crate::mesh::session::SessionHandle;
use crate::mesh::task::remove::{StaleTasks, cancel_stale_batch};
use crate::model::Result;
use crate::model::event::{
    DATA_BYTES_MAX, EventFilter, EventPage, EventPatterns, check_project_type,
};
use crate::model::state::check_value;
use crate::platform::id::WaitId;

/// The event type that ends the work of a project.
const PROJECT_COMPLETE: &str = "project.complete";
/// How many events one read of the inbox returns at most.
const INBOX_EVENTS_MAX: usize = 50;
/// How many unwanted events a subscription passes over before its position is stored again.
const SKIP_AFTER_EVENTS: i64 = 1_000;

/// An event that a session appends for its project.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct ProjectEvent<'a> {
    /// The folder of the project.
    pub project: &'a Path,
    /// Its type, which begins with `project.`.
    pub kind: &'a str,
    pub data: &'a Value,
}

impl<'a> ProjectEvent<'a> {
    /// Returns the event that [`Mesh::emit`] appends for a session of the project.
    pub fn of(project: &'a Path, kind: &'a str, data: &'a Value) -> Self {
        Self {
            project,
            kind,
            data,
        }
    }
}

/// A wait for events that has begun.
#[derive(Debug)]
pub struct EventWait {
    /// The row in the store.
    pub wait: WaitId,
    /// What it waits for; `after` moves with each poll.
    pub filter: EventFilter,
}

impl EventWait {
    /// Reads once; `None` if no event has come.
    pub fn poll(&mut self, mesh: &mut Mesh) -> Result<Option<EventPage>> {
        let page = mesh.events(&self.filter)?;
        self.filter.after = Some(page.next);
        Ok((!page.events.is_empty()).then_some(page))
    }
}

/// Entries of the event log, and what is kept of it.
#[cfg(feature = "hub")]
#[derive(Debug)]
pub struct EventLogPage {
    /// The entries, oldest first.
    pub page: EventPage,
    /// The number of the oldest entry that is kept; if none is, that of the next.
    pub oldest: i64,
    /// The number of the last entry.
    pub last: i64,
    /// How often the file was replaced by another, with another log, since the mesh was opened.
    pub replacements: u32,
}

#[cfg(feature = "hub")]
impl Mesh {
    /// Returns entries of the event log and what is kept of it, from the same moment.
    pub fn event_log(&mut self, filter: &EventFilter) -> Result<EventLogPage> {
        let (page, (oldest, last)) =
            self.read(|read| Ok((read.tx.events(filter)?, read.tx.event_seq_range()?)))?;
        Ok(EventLogPage {
            page,
            oldest,
            last,
            replacements: self.store.replacements(),
        })
    }
}

impl Mesh {
    /// Returns entries of the event log.
    pub fn events(&mut self, filter: &EventFilter) -> Result<EventPage> {
        self.read(|read| Ok(read.tx.events(filter)?))
    }

    /// Begins to wait for events: for new ones, unless the filter names a start.
    pub fn begin_event_wait(
        &mut self,
        me: &SessionHandle,
        filter: &EventFilter,
    ) -> Result<EventWait> {
        self.write(|write| {
            let after = match (filter.after, filter.since_ms) {
                (None, None) => write.tx.last_event_seq()?,
                _ => write.tx.start_seq(filter)?,
            };
            Ok(EventWait {
                wait: write
                    .tx
                    .insert_event_wait(me.session, &write.host.own, &filter.types)?,
                filter: EventFilter {
                    after: Some(after),
                    ..filter.clone()
                },
            })
        })
    }

    /// Adds event types to the subscription of a session, for its inbox. Returns all its types, and the event after
    /// which it receives them.
    pub fn subscribe_to_events(
        &mut self,
        me: &SessionHandle,
        types: &EventPatterns,
        after: Option<i64>,
    ) -> Result<(EventPatterns, i64)> {
        self.write(|write| {
            let (subscribed, current_after) = write.tx.event_subscription(me.session)?.unzip();
            let types = subscribed.unwrap_or_default().with(types);
            let after = after
                .or(current_after)
                .map_or_else(|| write.tx.last_event_seq(), Ok)?;
            write
                .tx
                .set_event_subscription(me.session, Some((&types, after)))?;
            Ok((types, after))
        })
    }

    /// Removes event types from the subscription of a session; all of them if none is named. Returns the remaining
    /// types.
    pub fn unsubscribe_from_events(
        &mut self,
        me: &SessionHandle,
        types: &EventPatterns,
    ) -> Result<EventPatterns> {
        self.write(|write| {
            let Some((subscribed, after)) = write.tx.event_subscription(me.session)? else {
                return Ok(EventPatterns::default());
            };
            let remaining = subscribed.without(types);
            let any_left = !remaining.as_slice().is_empty();
            write
                .tx
                .set_event_subscription(me.session, any_left.then_some((&remaining, after)))?;
            Ok(remaining)
        })
    }

    /// Returns the subscribed events that a session has not received, or `None`. Reading moves nothing.
    pub fn undelivered_events(&mut self, me: &SessionHandle) -> Result<Option<EventPage>> {
        self.read(|read| {
            let Some((types, after)) = read.tx.event_subscription(me.session)? else {
                return Ok(None);
            };
            let filter = EventFilter {
                types,
                after: Some(after),
                limit: INBOX_EVENTS_MAX,
                since_ms: None,
            };
            let page = read.tx.events(&filter)?;
            // Unwanted events are skipped only now and then: to record each of them would be a write for every read.
            let is_relevant = !page.events.is_empty() || page.next - after > SKIP_AFTER_EVENTS;
            Ok(is_relevant.then_some(page))
        })
    }

    /// Records that a session has received the events up to this one.
    pub fn mark_events_delivered(&mut self, me: &SessionHandle, up_to: i64) -> Result<()> {
        self.write(|write| {
            if let Some((types, after)) = write.tx.event_subscription(me.session)? {
                write
                    .tx
                    .set_event_subscription(me.session, Some((&types, after.max(up_to))))?;
            }
            Ok(())
        })
    }

    /// Appends an event of a project to the event log. Returns its sequence number. `project.complete` also cancels the
    /// tasks of the project that nobody has begun.
    pub fn emit(&mut self, me: &SessionHandle, event: &ProjectEvent) -> Result<i64> {
        let ProjectEvent {
            project,
            kind,
            data,
        } = *event;
        check_project_type(kind)?;
        check_value("data", data, DATA_BYTES_MAX)?;
        let subject = project.to_string_lossy();
        let remaining = (kind == PROJECT_COMPLETE).then_some(StaleTasks {
            project: &subject,
            before_ms: self.now().wall_ms,
            reason: Some("the project is complete"),
        });
        let seq = self.write(|write| {
            let seq = write.tx.append_event_of_type(
                kind.to_owned().into(),
                Some(me.peer),
                &subject,
                data,
            )?;
            if let Some(remaining) = &remaining {
                cancel_stale_batch(write, me, remaining)?;
            }
            Ok(seq)
        })?;
        if let Some(remaining) = &remaining {
            self.cancel_all_stale(me, remaining)?;
        }
        Ok(seq)
    }
}
