//! Reading the event log.
use super::{Mesh, Sitting};
use crate::ground::id::QuestionId;
use crate::model::{Event, Refusal, Result};
use crate::store::{Peer, Question};

impl Mesh {
    /// Returns up to `limit` events after event `after` and not before `since_ms`, oldest first.
    pub fn events(&mut self, after: i64, since_ms: i64, limit: usize) -> Result<Vec<Event>> {
        self.read(|tx, _| Ok(tx.events(after, since_ms, limit)?))
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
