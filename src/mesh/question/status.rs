//! Reads the status of a question for its asker: its answer, how far it was delivered, and whether the peer can be asked.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::wake::throttle::throttled_for_asker;
use crate::model::throttle::Throttled;
use crate::model::{Activity, DeliveryStatus, PeerName, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::store::Question;

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
    // Once there is a reply, the session of the peer does not matter.
    let session = if question.state.is_replied() {
        None
    } else {
        read.tx.live_sessions_at(peer.id)?.into_iter().next()
    };
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
        peer_activity: session
            .as_ref()
            .map_or(Activity::Offline, |session| read.activity(session)),
    };
    let askable = session
        .as_ref()
        .is_some_and(|session| read.is_askable(session));
    let held = match session.as_ref().filter(|_| question.held.is_some()) {
        Some(session) => throttled_for_asker(read, &peer, session, question.held.as_deref())?,
        None => None,
    };
    Ok(QuestionStatus {
        died: session.is_some() && delivery.peer_activity == Activity::Offline,
        held,
        question,
        last_seen_at_ms: peer.last_seen_at_ms,
        peer: peer.name,
        delivery,
        askable,
    })
}
