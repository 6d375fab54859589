//! Reads questions with the names of both peers: one of the session itself, and, for a person, any question of the mesh.
use crate::mesh::connection::Mesh;
use crate::mesh::peer::address::{name_or_removed, peer_name, unknown_peer_refusal};
use crate::mesh::question::inbox::covers_empty_seat;
use crate::mesh::session::SessionHandle;
use crate::model::{PeerName, QuestionState, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::store::Question;

/// A question with the names of both peers.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct QuestionWithPeers {
    pub question: Question,
    /// Who asked.
    pub from: PeerName,
    /// Who was asked.
    pub to: PeerName,
    /// Whether a call of the asker waits for the answer.
    pub asker_waiting: bool,
}

impl Mesh {
    /// Returns a question that this session asked or was asked.
    pub fn question(&mut self, me: &SessionHandle, id: QuestionId) -> Result<QuestionWithPeers> {
        self.read(|read| {
            let question = read
                .tx
                .question(id)?
                .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
            let (asker, target) = (
                read.tx.peer(question.asker)?,
                read.tx.peer(question.target)?,
            );
            let answers_for_target = target
                .as_ref()
                .map_or(Ok(false), |target| covers_empty_seat(read, me, target))?;
            let own = question.asker == me.peer
                || question.target == me.peer
                || me.is_person_of_mesh(read);
            if !own && !answers_for_target {
                return Err(Refusal::NotYours {
                    problem: format!("question {id} is between other sessions"),
                }
                .into());
            }
            Ok(QuestionWithPeers {
                asker_waiting: question.state == QuestionState::Open
                    && !read.served_sessions_waiting_on(id, None)?.is_empty(),
                question,
                from: name_or_removed(asker),
                to: name_or_removed(target),
            })
        })
    }

    /// Returns the newest questions of one peer, or all open questions of the mesh, with the names of asker and peer
    /// asked. For a person.
    pub fn questions(
        &mut self,
        peer: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Question, String, String)>> {
        self.read(|read| {
            let questions = match peer {
                None => read.tx.open_questions(limit)?,
                Some(name) => {
                    let Some(peer) = read.tx.find_peer_by_name(name)? else {
                        return Err(unknown_peer_refusal(read, None, name)?.into());
                    };
                    read.tx.questions_of_peer(peer.id, limit)?
                }
            };
            let name = |id| -> Result<String> { Ok(peer_name(read, id)?.to_string()) };
            questions
                .into_iter()
                .map(|question| Ok((name(question.asker)?, name(question.target)?, question)))
                .map(|row: Result<_>| {
                    row.map(|(asker, target, question)| (question, asker, target))
                })
                .collect()
        })
    }

    /// Returns the newest questions before one, or of all: those of this session, or all of the mesh. Only a person may
    /// have those of the mesh.
    pub fn questions_before(
        &mut self,
        me: &SessionHandle,
        whole_mesh: bool,
        page: (Option<QuestionId>, u32),
    ) -> Result<Vec<QuestionWithPeers>> {
        let (before, limit) = page;
        let before = before.unwrap_or(QuestionId::LAST);
        let peer = (!whole_mesh).then_some(me.peer);
        self.read(|read| {
            if whole_mesh && !me.is_person_of_mesh(read) {
                let problem = "only a person may list the questions between other sessions".into();
                return Err(Refusal::NotYours { problem }.into());
            }
            let questions = read.tx.questions_before(peer, before, limit)?;
            questions
                .into_iter()
                .map(|question| {
                    Ok(QuestionWithPeers {
                        asker_waiting: question.state == QuestionState::Open
                            && !read
                                .served_sessions_waiting_on(question.id, None)?
                                .is_empty(),
                        from: peer_name(read, question.asker)?,
                        to: peer_name(read, question.target)?,
                        question,
                    })
                })
                .collect()
        })
    }

    /// Returns a question with the names of asker and peer asked. For a person.
    pub fn question_with_names(
        &mut self,
        id: QuestionId,
    ) -> Result<Option<(Question, String, String)>> {
        self.read(|read| {
            let Some(question) = read.tx.question(id)? else {
                return Ok(None);
            };
            let name = |peer| name_or_removed(peer).to_string();
            let (asker, target) = (
                read.tx.peer(question.asker)?,
                read.tx.peer(question.target)?,
            );
            Ok(Some((question, name(asker), name(target))))
        })
    }

    /// Returns the open questions that this session has asked.
    pub fn own_open_questions(&mut self, me: &SessionHandle) -> Result<Vec<Question>> {
        self.read(|read| {
            Ok(read
                .tx
                .questions_of_peer(me.peer, 200)?
                .into_iter()
                .filter(|q| q.asker == me.peer && q.state == crate::model::QuestionState::Open)
                .collect())
        })
    }
}
