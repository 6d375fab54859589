//! Reads the inbox of a session: questions to answer, late answers, granted claims, and whether there is mail.
//!
//! Reading it marks nothing.
use crate::mesh::claim::unnotified::{Granted, unnotified_grants};
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::address::peer_name;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::pending::late_replies;
use crate::model::{PeerName, Result};
use crate::store::{Message, Peer, Question, QuestionDelivery, Session};
use serde::{Deserialize, Serialize};

/// A question that is pending for a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingQuestion {
    /// The question, and its delivery to this session.
    pub delivery: QuestionDelivery,
    /// Who asks.
    pub from: PeerName,
    /// Whether a call of the asker waits for the answer.
    pub asker_waiting: bool,
    /// The empty seat of the same project that was asked; `None` if the session itself was.
    pub on_behalf_of: Option<PeerName>,
}

/// An answer that came while no call waited for it.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LateAnswer {
    pub question: Question,
    /// Who answered.
    pub from: PeerName,
}

/// An answer that a fork of the session has given, of which the session does not know.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForkNote {
    pub question: Question,
    /// Who asked.
    pub from: PeerName,
}

/// What is pending for a session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Inbox {
    /// Questions, oldest first.
    pub questions: Vec<PendingQuestion>,
    /// Late answers, oldest first.
    pub answers: Vec<LateAnswer>,
    /// Claims that were granted without notifying it.
    pub granted: Vec<Granted>,
    /// Whether there is mail that was neither read nor mentioned; [`Mesh::unmentioned_mail`] returns it.
    pub has_new_mail: bool,
    /// Mail to mention, oldest first.
    pub mail: Vec<Message>,
    /// What forks of the session have answered, oldest first.
    #[serde(default)]
    pub fork_notes: Vec<ForkNote>,
}

impl Inbox {
    /// Returns whether there is nothing to deliver.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
            && self.answers.is_empty()
            && self.granted.is_empty()
            && self.mail.is_empty()
            && self.fork_notes.is_empty()
    }
}

impl Mesh {
    /// Returns what is pending for a session. Marks nothing.
    pub fn inbox(&mut self, me: &SessionHandle) -> Result<Inbox> {
        self.read_and_wake_unnotified(|read| inbox(read, me))
    }

    /// Returns what is stored of a session.
    pub fn session(&mut self, me: &SessionHandle) -> Result<Option<Session>> {
        self.read(|read| Ok(read.tx.session(me.session)?))
    }

    /// Returns whether a call of this session waits now.
    pub fn is_waiting(&mut self, me: &SessionHandle) -> Result<bool> {
        self.read(|read| {
            Ok(read.is_server_running(me.session) && read.tx.newest_wait(me.session)?.is_some())
        })
    }

    /// Stores what a hook saw the session do, for clients whose registry cannot be read.
    pub fn set_activity(&mut self, me: &SessionHandle, activity: &str) -> Result<()> {
        self.write(|write| Ok(write.tx.set_activity(me.session, activity)?))
    }

    /// Records that the person was asked to restart the session.
    pub fn mark_restart_notified(&mut self, me: &SessionHandle) -> Result<()> {
        self.write(|write| Ok(write.tx.mark_restart_notified(me.session)?))
    }
}

pub(in crate::mesh) fn inbox(read: ReadContext, me: &SessionHandle) -> Result<Inbox> {
    let pending_flags = read.tx.pending_flags(me.peer, me.session)?;
    let answers = if pending_flags.answers {
        late_answers(read, me)?
    } else {
        Vec::new()
    };
    let granted = unnotified_grants(read, me, pending_flags)?;
    if !me.is_addressable() {
        return Ok(Inbox {
            answers,
            granted,
            ..Inbox::default()
        });
    }
    let mut questions = if pending_flags.questions {
        pending_at(read, me, me.peer, None)?
    } else {
        Vec::new()
    };
    if me.seat == Some(1)
        && let Some(project) = read.tx.peer(me.peer)?.and_then(|own| own.project)
    {
        for seat in read
            .tx
            .peers_of_project(&project)?
            .iter()
            .filter(|seat| seat.id != me.peer)
        {
            if read.tx.has_pending_questions(seat.id)? && covers_empty_seat(read, me, seat)? {
                questions.extend(questions_at(read, me, seat.id, Some(&seat.name))?);
            }
        }
    }
    Ok(Inbox {
        questions,
        answers,
        granted,
        has_new_mail: pending_flags.mail,
        mail: Vec::new(),
        fork_notes: if pending_flags.fork_answers {
            fork_notes(read, me)?
        } else {
            Vec::new()
        },
    })
}

/// Returns whether the session `me` answers for `peer`, because it is at seat 1 of a project in which nobody is at the seat
/// of `peer`.
pub(in crate::mesh) fn covers_empty_seat(
    read: ReadContext,
    me: &SessionHandle,
    peer: &Peer,
) -> Result<bool> {
    if me.seat != Some(1) || peer.id == me.peer {
        return Ok(false);
    }
    let own = read.tx.peer(me.peer)?;
    let same_project = own.is_some_and(|own| own.project.is_some() && own.project == peer.project);
    Ok(same_project && !read.has_live_session(peer)?)
}

pub(in crate::mesh) fn questions_at(
    read: ReadContext,
    me: &SessionHandle,
    at: crate::platform::id::PeerId,
    on_behalf_of: Option<&PeerName>,
) -> Result<Vec<PendingQuestion>> {
    if read.tx.has_pending_questions(at)? {
        pending_at(read, me, at, on_behalf_of)
    } else {
        Ok(Vec::new())
    }
}

fn pending_at(
    read: ReadContext,
    me: &SessionHandle,
    at: crate::platform::id::PeerId,
    on_behalf_of: Option<&PeerName>,
) -> Result<Vec<PendingQuestion>> {
    let mut questions = Vec::new();
    for delivery in read.tx.pending_questions(at, me.session)? {
        let from = peer_name(read, delivery.question.asker)?;
        let asker_waiting = !read
            .served_sessions_waiting_on(delivery.question.id, None)?
            .is_empty();
        questions.push(PendingQuestion {
            delivery,
            from,
            asker_waiting,
            on_behalf_of: on_behalf_of.cloned(),
        });
    }
    Ok(questions)
}

fn fork_notes(read: ReadContext, me: &SessionHandle) -> Result<Vec<ForkNote>> {
    let mut notes = Vec::new();
    for question in read.tx.unreported_fork_answers(me.session)? {
        let from = peer_name(read, question.asker)?;
        notes.push(ForkNote { question, from });
    }
    Ok(notes)
}

fn late_answers(read: ReadContext, me: &SessionHandle) -> Result<Vec<LateAnswer>> {
    let mut answers = Vec::new();
    for question in late_replies(read, me)? {
        let from = peer_name(read, question.target)?;
        answers.push(LateAnswer { question, from });
    }
    Ok(answers)
}
