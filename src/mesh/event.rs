//! The event log: reading it, waiting for events, receiving them in the inbox, and appending events of a project.
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

/// The type that ends a project's work.
const PROJECT_COMPLETE: &str = "project.complete";
/// Events that one look at the inbox brings.
const INBOX_EVENTS_MAX: usize = 50;
/// So many unwanted events are looked at again and again before they are passed over.
const SKIP_AFTER_EVENTS: i64 = 1_000;

/// A wait for events that has begun.
#[derive(Debug)]
pub struct EventWait {
    /// Its row.
    pub wait: WaitId,
    /// What it waits for; `after` moves on with what was looked at.
    pub filter: EventFilter,
}

impl EventWait {
    /// Looks once; `None` when nothing came yet.
    pub fn poll(&mut self, mesh: &mut Mesh) -> Result<Option<EventPage>> {
        let page = mesh.events(&self.filter)?;
        self.filter.after = Some(page.next);
        Ok((!page.events.is_empty()).then_some(page))
    }
}

impl Mesh {
    /// Returns entries of the log.
    pub fn events(&mut self, filter: &EventFilter) -> Result<EventPage> {
        self.read(|read| Ok(read.tx.events(filter)?))
    }

    /// Begins to wait for events: from now on, unless the filter names a beginning.
    pub fn listen(&mut self, me: &SessionHandle, filter: &EventFilter) -> Result<EventWait> {
        self.write(|verb| {
            let after = match (filter.after, filter.since_ms) {
                (None, None) => verb.tx.last_event_seq()?,
                _ => verb.tx.start_seq(filter)?,
            };
            Ok(EventWait {
                wait: verb
                    .tx
                    .insert_event_wait(me.session, &verb.host.own, &filter.types)?,
                filter: EventFilter {
                    after: Some(after),
                    ..filter.clone()
                },
            })
        })
    }

    /// Lets a session hear of these types too, by its inbox. Returns all it hears of, and after which event.
    pub fn subscribe_to_events(
        &mut self,
        me: &SessionHandle,
        types: &EventPatterns,
        after: Option<i64>,
    ) -> Result<(EventPatterns, i64)> {
        self.write(|verb| {
            let (subscribed, current_after) = verb.tx.event_subscription(me.session)?.unzip();
            let types = subscribed.unwrap_or_default().with(types);
            let after = after
                .or(current_after)
                .map_or_else(|| verb.tx.last_event_seq(), Ok)?;
            verb.tx
                .set_event_subscription(me.session, Some((&types, after)))?;
            Ok((types, after))
        })
    }

    /// Lets a session hear of these types no more, or with none named of nothing. Returns what is left.
    pub fn unsubscribe_from_events(
        &mut self,
        me: &SessionHandle,
        types: &EventPatterns,
    ) -> Result<EventPatterns> {
        self.write(|verb| {
            let Some((subscribed, after)) = verb.tx.event_subscription(me.session)? else {
                return Ok(EventPatterns::default());
            };
            let remaining = subscribed.without(types);
            let some = !remaining.as_slice().is_empty();
            verb.tx
                .set_event_subscription(me.session, some.then_some((&remaining, after)))?;
            Ok(remaining)
        })
    }

    /// Returns what happened that a session wants to hear of and has not heard of yet, or `None` when there is nothing.
    /// Looking moves nothing.
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
            // What nobody wants is passed over now and then only: to note each of it would be a write for every look.
            let is_relevant = !page.events.is_empty() || page.next - after > SKIP_AFTER_EVENTS;
            Ok(is_relevant.then_some(page))
        })
    }

    /// Notes that a session has heard of what happened up to an event.
    pub fn mark_events_delivered(&mut self, me: &SessionHandle, up_to: i64) -> Result<()> {
        self.write(|verb| {
            if let Some((types, after)) = verb.tx.event_subscription(me.session)? {
                verb.tx
                    .set_event_subscription(me.session, Some((&types, after.max(up_to))))?;
            }
            Ok(())
        })
    }

    /// Writes an event of a project's own into the log. Returns its number.
    ///
    /// `project.complete` also cancels what nobody has begun of the project's tasks.
    pub fn emit(
        &mut self,
        me: &SessionHandle,
        project: &Path,
        kind: &str,
        data: &Value,
    ) -> Result<i64> {
        check_project_type(kind)?;
        check_value("data", data, DATA_BYTES_MAX)?;
        let subject = project.to_string_lossy();
        let remaining = (kind == PROJECT_COMPLETE).then_some(StaleTasks {
            project: &subject,
            before_ms: self.now().wall_ms,
            reason: Some("the project is complete"),
        });
        let seq = self.write(|verb| {
            let seq = verb.tx.append_event_of_type(
                kind.to_owned().into(),
                Some(me.peer),
                &subject,
                data,
            )?;
            if let Some(remaining) = &remaining {
                cancel_stale_batch(verb, me, remaining)?;
            }
            Ok(seq)
        })?;
        if let Some(remaining) = &remaining {
            self.cancel_all_stale(me, remaining)?;
        }
        Ok(seq)
    }
}
