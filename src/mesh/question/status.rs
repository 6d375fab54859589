//! Reads the status of a question for its asker: its answer, how far it was delivered, and whether the peer can be asked.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::person::{askable_sessions, reachable_by, throttled_for_stored_question};
use crate::mesh::wake::throttle::throttled_for_asker;
use crate::model::throttle::Throttled;
use crate::model::{Activity, AnsweredBy, DeliveryStatus, PeerKind, PeerName, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::store::{Peer, Question};

/// The status of a question that is awaited.
#[derive(Debug, Clone)]
pub struct QuestionStatus {
    /// The question, with its answer if there is one.
    pub question: Question,
    /// The peer that was asked.
    pub peer: PeerName,
    /// How far it was delivered.
    pub delivery: DeliveryStatus,
    /// Whether the peer can be asked now.
    pub askable: bool,
    /// Why the question is held; `None` if it is not.
    pub held: Option<Throttled>,
    /// Whether the session of the peer is dead, and its death is not recorded yet.
    pub died: bool,
    /// When the peer was last seen, in wall milliseconds.
    pub last_seen_at_ms: i64,
    /// What is known of the answer, if a fork of the session of the peer has given it.
    pub fork: Option<ForkResult>,
}

/// What is known of the answer of a fork.
#[derive(Debug, Clone)]
pub struct ForkResult {
    /// The time of the last message that the fork knew, in wall milliseconds.
    pub as_of_ms: i64,
    /// The commit that was checked out in the project of the peer.
    pub git_head: Option<String>,
}

impl Mesh {
    /// Returns the status of questions without waiting for them.
    pub fn question_statuses(&mut self, questions: &[QuestionId]) -> Result<Vec<QuestionStatus>> {
        self.read(|read| {
            questions
                .iter()
                .map(|id| question_status(read, *id))
                .collect()
        })
    }
}

pub(in crate::mesh) fn question_status(
    read: ReadContext,
    id: QuestionId,
) -> Result<QuestionStatus> {
    let question = read
        .tx
        .question(id)?
        .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
    let peer = read
        .tx
        .peer(question.target)?
        .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
    let reach = Reach::of(read, &peer, &question)?;
    let delivery = DeliveryStatus {
        stored_at_ms: question.asked_at_ms,
        woken_at_ms: question.woken_at_ms,
        wake: question.wake,
        wake_problem: question.wake_problem.clone(),
        shown_at_ms: question.shown_at_ms,
        shown_times: question.shown_times,
        stops: if question.state.is_replied() || question.shown_times == 0 {
            0
        } else {
            read.tx.count_stop_blocks(id)?
        },
        peer_activity: reach.activity,
    };
    let fork = match question.answered_by {
        Some(AnsweredBy::Fork) => read.tx.fork_answer(id)?,
        _ => None,
    };
    Ok(QuestionStatus {
        fork: fork.map(|(as_of_ms, git_head)| ForkResult { as_of_ms, git_head }),
        died: reach.died,
        held: reach.held,
        question,
        last_seen_at_ms: peer.last_seen_at_ms,
        peer: peer.name,
        delivery,
        askable: reach.askable,
    })
}

/// Whether a question can reach its peer now.
struct Reach {
    activity: Activity,
    askable: bool,
    held: Option<Throttled>,
    died: bool,
}

impl Reach {
    /// No session is there. Once there is a reply, the sessions of the peer do not matter either.
    const NOWHERE: Self = Self {
        activity: Activity::Offline,
        askable: false,
        held: None,
        died: false,
    };

    fn of(read: ReadContext, peer: &Peer, question: &Question) -> Result<Self> {
        match peer.kind {
            _ if question.state.is_replied() => Ok(Self::NOWHERE),
            PeerKind::Person => Self::of_person(read, peer, question),
            PeerKind::Session | PeerKind::Run => Self::of_session(read, peer, question),
        }
    }

    fn of_session(read: ReadContext, peer: &Peer, question: &Question) -> Result<Self> {
        let Some(session) = read.tx.live_sessions_at(peer.id)?.into_iter().next() else {
            return Ok(Self::NOWHERE);
        };
        let activity = read.activity(&session);
        let held_reason = question.held.as_deref();
        Ok(Self {
            activity,
            askable: read.is_askable(&session),
            held: match held_reason {
                Some(_) => throttled_for_asker(read, peer, &session, held_reason)?,
                None => None,
            },
            died: activity == Activity::Offline,
        })
    }

    fn of_person(read: ReadContext, person: &Peer, question: &Question) -> Result<Self> {
        let mut sessions = read.tx.live_sessions_at(person.id)?.into_iter();
        let shown_by = askable_sessions(read, person)?.into_iter().next();
        Ok(Self {
            activity: shown_by.map_or(Activity::Offline, |session| read.activity(&session)),
            askable: !reachable_by(read, person)?.is_empty(),
            held: match question.held {
                Some(_) => throttled_for_stored_question(read, person, question)?,
                None => None,
            },
            died: sessions.any(|session| read.activity(&session) == Activity::Offline),
        })
    }
}
