//! The event log: reading it, waiting for what comes, hearing of it by the inbox, and telling of one's own.
use std::path::Path;

use serde_json::Value;

use super::{Mesh, Sitting};
use crate::mesh::task::lifecycle::{LeftAlone, cancel_some};
use crate::model::event::{DATA_BYTES_MAX, Filter, Page, Patterns, check_project_type};
use crate::model::state::check_value;
use crate::model::{Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::store::{Peer, Question};

/// The type that ends a project's work.
const COMPLETE: &str = "project.complete";
/// Events that one look at the inbox brings.
const HEARD_MAX: usize = 50;
/// So many unwanted events are looked at again and again before they are passed over.
const PASS_OVER: i64 = 1_000;

/// A wait for events that has begun.
#[derive(Debug)]
pub struct Listening {
    /// Its row.
    pub wait: WaitId,
    /// What it waits for; `after` moves on with what was looked at.
    pub filter: Filter,
}

impl Listening {
    /// Looks once; `None` when nothing came yet.
    pub fn look(&mut self, mesh: &mut Mesh) -> Result<Option<Page>> {
        let page = mesh.events(&self.filter)?;
        self.filter.after = Some(page.next);
        Ok((!page.events.is_empty()).then_some(page))
    }
}

impl Mesh {
    /// Returns entries of the log.
    pub fn events(&mut self, filter: &Filter) -> Result<Page> {
        self.read(|tx, _| Ok(tx.events(filter)?))
    }

    /// Begins to wait for events: from now on, unless the filter names a beginning.
    pub fn listen(&mut self, me: &Sitting, filter: &Filter) -> Result<Listening> {
        self.write(|tx, around, _| {
            let after = match (filter.after, filter.since_ms) {
                (None, None) => tx.last_event()?,
                _ => tx.start_of(filter)?,
            };
            Ok(Listening {
                wait: tx.insert_event_wait(me.session, &around.own, &filter.types)?,
                filter: Filter {
                    after: Some(after),
                    ..filter.clone()
                },
            })
        })
    }

    /// Lets a session hear of these types too, by its inbox. Returns all it hears of, and after which event.
    pub fn hear(
        &mut self,
        me: &Sitting,
        types: &Patterns,
        after: Option<i64>,
    ) -> Result<(Patterns, i64)> {
        self.write(|tx, _, _| {
            let (heard, already) = tx.heard_by(me.session)?.unzip();
            let types = heard.unwrap_or_default().with(types);
            let after = after.or(already).map_or_else(|| tx.last_event(), Ok)?;
            tx.set_heard(me.session, Some((&types, after)))?;
            Ok((types, after))
        })
    }

    /// Lets a session hear of these types no more, or with none named of nothing. Returns what is left.
    pub fn stop_hearing(&mut self, me: &Sitting, types: &Patterns) -> Result<Patterns> {
        self.write(|tx, _, _| {
            let Some((heard, after)) = tx.heard_by(me.session)? else {
                return Ok(Patterns::default());
            };
            let left = heard.without(types);
            let some = !left.as_slice().is_empty();
            tx.set_heard(me.session, some.then_some((&left, after)))?;
            Ok(left)
        })
    }

    /// Returns what happened that a session wants to hear of and has not heard of yet, or `None` when there is nothing.
    /// Looking moves nothing.
    pub fn unheard(&mut self, me: &Sitting) -> Result<Option<Page>> {
        self.read(|tx, _| {
            let Some((types, after)) = tx.heard_by(me.session)? else {
                return Ok(None);
            };
            let filter = Filter {
                types,
                after: Some(after),
                limit: HEARD_MAX,
                since_ms: None,
            };
            let page = tx.events(&filter)?;
            // What nobody wants is passed over now and then only: to note each of it would be a write for every look.
            let worth = !page.events.is_empty() || page.next - after > PASS_OVER;
            Ok(worth.then_some(page))
        })
    }

    /// Notes that a session has heard of what happened up to an event.
    pub fn mark_heard(&mut self, me: &Sitting, up_to: i64) -> Result<()> {
        self.write(|tx, _, _| {
            if let Some((types, after)) = tx.heard_by(me.session)? {
                tx.set_heard(me.session, Some((&types, after.max(up_to))))?;
            }
            Ok(())
        })
    }

    /// Writes an event of a project's own into the log. Returns its number.
    ///
    /// `project.complete` also cancels what nobody has begun of the project's tasks.
    pub fn emit(&mut self, me: &Sitting, project: &Path, kind: &str, data: &Value) -> Result<i64> {
        check_project_type(kind)?;
        check_value("data", data, DATA_BYTES_MAX)?;
        let subject = project.to_string_lossy();
        let left = (kind == COMPLETE).then_some(LeftAlone {
            project: &subject,
            before_ms: self.now().wall_ms,
            reason: Some("the project is complete"),
        });
        let seq = self.write(|tx, around, rings| {
            let seq = tx.append_typed(kind.to_owned().into(), Some(me.peer), &subject, data)?;
            if let Some(left) = &left {
                cancel_some(tx, around, rings, me, left)?;
            }
            Ok(seq)
        })?;
        if let Some(left) = &left {
            self.cancel_rest(me, left)?;
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
                    let peer = tx.peer_named(name)?.ok_or_else(|| Refusal::UnknownPeer {
                        name: name.into(),
                        nearest: Vec::new(),
                        here: Vec::new(),
                    })?;
                    tx.questions_of(peer.id, limit)?
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
    pub fn question_told(&mut self, id: QuestionId) -> Result<Option<(Question, String, String)>> {
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
    pub fn own_open_questions(&mut self, me: &Sitting) -> Result<Vec<Question>> {
        self.read(|tx, _| {
            Ok(tx
                .questions_of(me.peer, 200)?
                .into_iter()
                .filter(|q| q.asker == me.peer && q.state == crate::model::QuestionState::Open)
                .collect())
        })
    }
}
