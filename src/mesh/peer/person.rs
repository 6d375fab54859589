//! Persons as peers: who `person` means, by what a person is reachable, and whether questions to one are held.
//!
//! A person may have several sessions at once: the board, a terminal, and commands that end at once. One that holds its
//! lock shows questions.
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::peer::dead_sessions::living_session;
use crate::mesh::peer::find_or_create_peer::find_or_create_person;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::throttle::throttled_for_person;
use crate::model::person::{PersonBudget, ReachableBy, WINDOW_MS};
use crate::model::throttle::{ThrottleReason, Throttled};
use crate::model::{PeerKind, PeerName, Result};
use crate::platform::id::SessionId;
use crate::store::{Peer, Question, Session};

/// The address of the person at the machine of the asker.
const PERSON: &str = "person";

/// Returns the person at the machine of the asker, if the name means that one. Creates the peer, so that a question can be
/// stored for a person who has never run a command.
pub(in crate::mesh) fn person_of_host(
    write: &mut WriteContext,
    me: &SessionHandle,
    name: &str,
) -> Result<Option<Peer>> {
    let Some(session) = write.tx.session(me.session)? else {
        return Ok(None);
    };
    // The person of a session on another host is the one at the machine of the mesh: the board there shows the question.
    let host = match session.lease_until_ms {
        Some(_) => &write.host.own.host,
        None => &session.location.host,
    };
    let person = PeerName::for_person(host);
    if name != PERSON && name != person.as_str() {
        return Ok(None);
    }
    find_or_create_person(write, &person).map(Some)
}

/// Creates the peer of the person at this machine if a program can notify them, so that sessions see whom they can ask.
pub(in crate::mesh) fn ensure_person_to_notify(write: &mut WriteContext) -> Result<()> {
    if write.host.person_notifier.is_some() {
        let name = PeerName::for_person(&write.host.own.host);
        find_or_create_person(write, &name)?;
    }
    Ok(())
}

/// Returns the sessions of a person that show questions, newest first.
pub(in crate::mesh) fn askable_sessions(read: ReadContext, person: &Peer) -> Result<Vec<Session>> {
    let mut sessions = read.tx.live_sessions_at(person.id)?;
    sessions.retain(|session| read.is_askable(session));
    Ok(sessions)
}

/// Returns by what a person is reachable, each once; empty if by nothing.
pub(in crate::mesh) fn reachable_by(read: ReadContext, person: &Peer) -> Result<Vec<ReachableBy>> {
    let mut ways: Vec<ReachableBy> = askable_sessions(read, person)?
        .iter()
        .map(|session| ReachableBy::of_agent(session.agent.as_deref()))
        .collect();
    if can_notify(read, person) {
        ways.push(ReachableBy::Notify);
    }
    ways.sort_unstable();
    ways.dedup();
    Ok(ways)
}

/// Returns whether a program of this process notifies a person: only the one at this machine.
pub(in crate::mesh) fn can_notify(read: ReadContext, person: &Peer) -> bool {
    read.host.person_notifier.is_some() && person.name == PeerName::for_person(&read.host.own.host)
}

/// Returns why the next question of a session to a person is held.
pub(in crate::mesh) fn throttled_for_next_question(
    read: ReadContext,
    person: &Peer,
    asker: SessionId,
) -> Result<Option<Throttled>> {
    match throttled_for_person(read, person)? {
        None => budget_throttle(read, person, asker),
        held => Ok(held),
    }
}

/// Returns why a stored question to a person is held now. One that was held for the budget stays so until the person has
/// seen it.
pub(in crate::mesh) fn throttled_for_stored_question(
    read: ReadContext,
    person: &Peer,
    question: &Question,
) -> Result<Option<Throttled>> {
    if !is_held_for_budget(question) {
        return throttled_for_person(read, person);
    }
    let unlimited = Throttled {
        reason: ThrottleReason::PersonBudget,
        ends_at_ms: None,
        posted_turns: None,
    };
    let held = budget_throttle(read, person, question.asker_session)?;
    Ok(Some(held.unwrap_or(unlimited)))
}

/// Returns whether a question is held because sessions have asked its person too often.
pub(in crate::mesh) fn is_held_for_budget(question: &Question) -> bool {
    question.held.as_deref() == Some(ThrottleReason::PersonBudget.as_str())
}

fn budget_throttle(
    read: ReadContext,
    person: &Peer,
    asker: SessionId,
) -> Result<Option<Throttled>> {
    let reason = ThrottleReason::PersonBudget.as_str();
    let since_ms = read.tx.now.wall_ms - WINDOW_MS;
    let recent = read.tx.askers_since(person.id, since_ms, reason)?;
    let own = recent.iter().filter(|(session, _)| *session == asker);
    let budget = PersonBudget {
        questions_max: read.host.person_budget,
        own_asked_at_ms: own.map(|(_, at_ms)| *at_ms).collect(),
        asked_at_ms: recent.iter().map(|(_, at_ms)| *at_ms).collect(),
    };
    Ok(budget.throttled())
}

/// Wakes the live sessions at a peer: all of a person, the one of any other.
pub(in crate::mesh) fn wake_sessions(write: &mut WriteContext, peer: &Peer) -> Result<()> {
    let sessions = write.tx.live_sessions_at(peer.id)?;
    wake_living(write, peer, sessions)
}

/// Does the same with the sessions of the peer that have not ended.
pub(in crate::mesh) fn wake_living(
    write: &mut WriteContext,
    peer: &Peer,
    sessions: Vec<Session>,
) -> Result<()> {
    if peer.kind == PeerKind::Person {
        let askable = sessions.iter().filter(|session| write.is_askable(session));
        let askable: Vec<_> = askable.map(|session| session.id).collect();
        write.wake(askable);
    }
    let session = living_session(write, peer, sessions)?;
    write.wake(session.map(|session| session.id));
    Ok(())
}
