//! The event log: reading it, waiting for what comes, hearing of it by the inbox, and telling of one's own.
use std::path::Path;

use serde_json::Value;

use super::{Mesh, SessionHandle};
use crate::mesh::task::lifecycle::{StaleTasks, cancel_stale_batch};
use crate::model::event::{
    DATA_BYTES_MAX, EventFilter, EventPage, EventPatterns, check_project_type,
};
use crate::model::state::check_value;
use crate::model::{Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::store::{Peer, Question};

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
        self.read(|tx, _| Ok(tx.events(filter)?))
    }

    /// Begins to wait for events: from now on, unless the filter names a beginning.
    pub fn listen(&mut self, me: &SessionHandle, filter: &EventFilter) -> Result<EventWait> {
        self.write(|tx, host, _| {
            let after = match (filter.after, filter.since_ms) {
                (None, None) => tx.last_event_seq()?,
                _ => tx.start_seq(filter)?,
            };
            Ok(EventWait {
                wait: tx.insert_event_wait(me.session, &host.own, &filter.types)?,
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
        self.write(|tx, _, _| {
            let (subscribed, current_after) = tx.event_subscription(me.session)?.unzip();
            let types = subscribed.unwrap_or_default().with(types);
            let after = after
                .or(current_after)
                .map_or_else(|| tx.last_event_seq(), Ok)?;
            tx.set_event_subscription(me.session, Some((&types, after)))?;
            Ok((types, after))
        })
    }

    /// Lets a session hear of these types no more, or with none named of nothing. Returns what is left.
    pub fn unsubscribe_from_events(
        &mut self,
        me: &SessionHandle,
        types: &EventPatterns,
    ) -> Result<EventPatterns> {
        self.write(|tx, _, _| {
            let Some((subscribed, after)) = tx.event_subscription(me.session)? else {
                return Ok(EventPatterns::default());
            };
            let remaining = subscribed.without(types);
            let some = !remaining.as_slice().is_empty();
            tx.set_event_subscription(me.session, some.then_some((&remaining, after)))?;
            Ok(remaining)
        })
    }

    /// Returns what happened that a session wants to hear of and has not heard of yet, or `None` when there is nothing.
    /// Looking moves nothing.
    pub fn undelivered_events(&mut self, me: &SessionHandle) -> Result<Option<EventPage>> {
        self.read(|tx, _| {
            let Some((types, after)) = tx.event_subscription(me.session)? else {
                return Ok(None);
            };
            let filter = EventFilter {
                types,
                after: Some(after),
                limit: INBOX_EVENTS_MAX,
                since_ms: None,
            };
            let page = tx.events(&filter)?;
            // What nobody wants is passed over now and then only: to note each of it would be a write for every look.
            let is_relevant = !page.events.is_empty() || page.next - after > SKIP_AFTER_EVENTS;
            Ok(is_relevant.then_some(page))
        })
    }

    /// Notes that a session has heard of what happened up to an event.
    pub fn mark_events_delivered(&mut self, me: &SessionHandle, up_to: i64) -> Result<()> {
        self.write(|tx, _, _| {
            if let Some((types, after)) = tx.event_subscription(me.session)? {
                tx.set_event_subscription(me.session, Some((&types, after.max(up_to))))?;
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
        let seq = self.write(|tx, host, wakeups| {
            let seq =
                tx.append_event_of_type(kind.to_owned().into(), Some(me.peer), &subject, data)?;
            if let Some(remaining) = &remaining {
                cancel_stale_batch(tx, host, wakeups, me, remaining)?;
            }
            Ok(seq)
        })?;
        if let Some(remaining) = &remaining {
            self.cancel_all_stale(me, remaining)?;
        }
        Ok(seq)
    }

    /// Returns the questions a person may read: the newest of one mailbox, or all open ones of the mesh; with names of
    /// asker and addressee.
    pub fn questions(
        &mut self,
        peer: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Question, String, String)>> {
        self.read(|tx, _| {
            let questions = match peer {
                None => tx.open_questions(limit)?,
                Some(name) => {
                    let peer = tx
                        .find_peer_by_name(name)?
                        .ok_or_else(|| Refusal::UnknownPeer {
                            name: name.into(),
                            nearest: Vec::new(),
                            present: Vec::new(),
                        })?;
                    tx.questions_of_peer(peer.id, limit)?
                }
            };
            let name = |id| -> Result<String> {
                Ok(tx
                    .peer(id)?
                    .map_or_else(|| "gone".to_owned(), |peer| peer.name.to_string()))
            };
            questions
                .into_iter()
                .map(|question| Ok((name(question.asker)?, name(question.target)?, question)))
                .map(|row: Result<_>| {
                    row.map(|(asker, target, question)| (question, asker, target))
                })
                .collect()
        })
    }

    /// Returns one question with the names of asker and addressee, as the log tells of it to a person.
    pub fn question_with_names(
        &mut self,
        id: QuestionId,
    ) -> Result<Option<(Question, String, String)>> {
        self.read(|tx, _| {
            let Some(question) = tx.question(id)? else {
                return Ok(None);
            };
            let name = |peer: Option<Peer>| {
                peer.map_or_else(|| "gone".to_owned(), |peer| peer.name.to_string())
            };
            let (asker, target) = (tx.peer(question.asker)?, tx.peer(question.target)?);
            Ok(Some((question, name(asker), name(target))))
        })
    }

    /// Returns the ids of the questions that this session asked and that are still open.
    pub fn own_open_questions(&mut self, me: &SessionHandle) -> Result<Vec<Question>> {
        self.read(|tx, _| {
            Ok(tx
                .questions_of_peer(me.peer, 200)?
                .into_iter()
                .filter(|q| q.asker == me.peer && q.state == crate::model::QuestionState::Open)
                .collect())
        })
    }
}
