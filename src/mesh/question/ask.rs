//! Stores questions and the wait of their call in one transaction, after the checks of address, size, secrets, depth and
//! throttle; for `ask_peer` and `claude-mesh ask`.
use serde_json::json;

use crate::mesh::check_text::check_text;
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::peer::address::resolve_address;
use crate::mesh::peer::dead_sessions::find_live_session_recording_deaths;
use crate::mesh::peer::person::{
    can_notify, is_held_for_budget, reachable_by, throttled_for_next_question,
    throttled_for_stored_question, wake_sessions,
};
use crate::mesh::question::withdraw::withdraw;
use crate::mesh::retention;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::policy::hold_question;
use crate::mesh::wake::throttle::{PAUSED_UNTIL_KEY, held_for_asker, person_throttle};
use crate::model::peer::Address;
use crate::model::question::DEPTH_MAX;
use crate::model::throttle::{PersonAlert, Throttled};
use crate::model::{EventKind, PeerKind, PeerName, Refusal, Result};
use crate::platform::id::{PeerId, QuestionId, WaitId};
use crate::store::{NewQuestion, Peer, Tx};
use crate::wake::PersonQuestion;

/// What to do if a peer cannot be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfOffline {
    /// Store the question and return; the next session of the peer gets it.
    #[default]
    Queue,
    /// Wait until a session of the peer answers.
    Wait,
}

/// A question to ask.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct QuestionDraft<'a> {
    pub question: &'a str,
    /// What the peer needs to know to answer it.
    pub context: Option<&'a str>,
    /// What to do if the peer cannot be asked now.
    pub if_offline: IfOffline,
    /// Whether the session itself must answer, and no fork of it.
    pub session_only: bool,
}

impl<'a> QuestionDraft<'a> {
    /// Returns a question without context, which is queued if the peer cannot be asked.
    pub fn of(question: &'a str) -> Self {
        Self {
            question,
            context: None,
            if_offline: IfOffline::Queue,
            session_only: false,
        }
    }
}

/// A question that was stored.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct AskedQuestion {
    pub question: QuestionId,
    /// The name of the peer.
    pub to: PeerName,
    pub peer: PeerId,
    /// Whether the same question was open already, so that this call joined it.
    pub joined: bool,
    /// Whether the peer can be asked now.
    pub askable: bool,
    /// When the peer was last seen, in wall milliseconds.
    pub last_seen_at_ms: i64,
    /// Why the question is held; `None` if it is not.
    pub held: Option<Throttled>,
    /// Other peers of the project that can be asked.
    pub same_project: Vec<String>,
    /// Whether a program notifies the person of the question.
    pub notifies_person: bool,
}

impl AskedQuestion {
    /// Returns whether a call waits for this question: it can be answered now, or the call waits for offline peers,
    /// too.
    pub fn is_awaited(&self, if_offline: IfOffline) -> bool {
        self.held.is_none() && (self.askable || if_offline == IfOffline::Wait)
    }
}

/// The questions that a call has stored, and its wait.
#[derive(Debug, Clone)]
pub struct AskOutcome {
    /// The questions, in the order of the addresses.
    pub asked: Vec<AskedQuestion>,
    /// The wait for those that are awaited; `None` if none is.
    pub wait: Option<WaitId>,
}

impl Mesh {
    /// Stores a question for each address, all or none, and begins to wait for them.
    pub fn ask(
        &mut self,
        me: &SessionHandle,
        to: &[Address],
        draft: &QuestionDraft,
    ) -> Result<AskOutcome> {
        check_text("question", draft.question, 1, false)?;
        if let Some(context) = draft.context {
            check_text("context", context, 0, false)?;
        }
        for address in to {
            self.expect_target(address.name(), |tx, peer| {
                expect_question(tx, me, peer, draft);
            });
        }
        let (outcome, is_sweep_due) = self.write(|write| {
            let mut asked: Vec<AskedQuestion> = Vec::new();
            for address in to {
                let peer = resolve_address(write, me, address)?;
                if asked.iter().any(|other| other.peer == peer.id) {
                    return Err(
                        Refusal::argument(format!("\"{}\" is asked twice", peer.name)).into(),
                    );
                }
                asked.push(if peer.kind == PeerKind::Person {
                    create_question_to_person(write, me, &peer, draft)?
                } else {
                    create_question(write, me, &peer, draft)?
                });
            }
            let awaited: Vec<QuestionId> = asked
                .iter()
                .filter(|one| one.is_awaited(draft.if_offline))
                .map(|one| one.question)
                .collect();
            let wait = (!awaited.is_empty())
                .then(|| write.tx.insert_wait(me.session, &write.host.own, &awaited))
                .transpose()?;
            Ok((
                AskOutcome { asked, wait },
                retention::is_sweep_due(write.read())?,
            ))
        })?;
        #[cfg(feature = "postgres")]
        for (address, one) in to.iter().zip(&outcome.asked) {
            self.note_target(address.name(), one.peer);
        }
        self.notify_person(me, draft, &outcome.asked);
        self.sweep_if_due(is_sweep_due);
        Ok(outcome)
    }

    /// Starts the program that notifies the person, after the commit.
    fn notify_person(&self, me: &SessionHandle, draft: &QuestionDraft, asked: &[AskedQuestion]) {
        let Some(notifier) = &self.host.person_notifier else {
            return;
        };
        for one in asked.iter().filter(|one| one.notifies_person) {
            notifier.notify(PersonQuestion {
                from: me.name.to_string(),
                id: one.question.to_string(),
                text: draft.question.to_owned(),
            });
        }
    }
}

/// Reads what a question to a session reads; see [`Tx::expect`].
fn expect_question(tx: &Tx, me: &SessionHandle, peer: PeerId, draft: &QuestionDraft) {
    drop(tx.live_sessions_at(peer));
    drop(tx.meta(PAUSED_UNTIL_KEY));
    drop(tx.max_delivered_depth(me.session));
    drop(tx.find_identical_open_question(&new_question(me, peer, draft, 0)));
}

fn create_question(
    write: &mut WriteContext,
    me: &SessionHandle,
    peer: &Peer,
    draft: &QuestionDraft,
) -> Result<AskedQuestion> {
    write
        .tx
        .expect(|tx| expect_question(tx, me, peer.id, draft))?;
    let session = find_live_session_recording_deaths(write, peer)?;
    let throttle = person_throttle(write.read(), peer.quiet_until_ms)?;
    let (id, joined) = insert_or_join(write, me, peer, draft)?;
    if draft.session_only {
        write.tx.refuse_fork(id, me.session)?;
    }
    let askable = session
        .as_ref()
        .is_some_and(|session| write.is_askable(session));
    let same_project = if askable {
        Vec::new()
    } else {
        askable_peers_in_project(write.read(), me, peer)?
    };
    let held_reason = if joined {
        write.tx.question(id)?.and_then(|question| question.held)
    } else {
        None
    };
    let held = match session.as_ref().filter(|_| askable) {
        Some(session) => held_for_asker(write.read(), session, (throttle, held_reason.as_deref()))?,
        None => None,
    };
    if let Some(held) = held {
        hold_question(write, me, id, held.reason.as_str())?;
    }
    // While the question is held, its server posts no line, but it may have to notify its person.
    if held.is_none_or(|held| PersonAlert::from_throttle(held).is_some()) {
        write.wake(session.map(|session| session.id));
    }
    Ok(AskedQuestion {
        question: id,
        to: peer.name.clone(),
        peer: peer.id,
        joined,
        askable,
        last_seen_at_ms: peer.last_seen_at_ms,
        held,
        same_project,
        notifies_person: false,
    })
}

/// Does the same for a person, who is reachable by several sessions and by a program, and has a budget of questions.
fn create_question_to_person(
    write: &mut WriteContext,
    me: &SessionHandle,
    person: &Peer,
    draft: &QuestionDraft,
) -> Result<AskedQuestion> {
    let next_held = throttled_for_next_question(write.read(), person, me.session)?;
    if next_held.is_none() {
        withdraw_held_question(write, me, person, draft)?;
    }
    let (id, joined) = insert_or_join(write, me, person, draft)?;
    let stored = write.tx.question(id)?.filter(|_| joined);
    let was_held = stored.as_ref().is_some_and(|one| one.held.is_some());
    let held = match &stored {
        Some(stored) => throttled_for_stored_question(write.read(), person, stored)?,
        None => next_held,
    };
    if let Some(held) = held {
        hold_question(write, me, id, held.reason.as_str())?;
    } else {
        if was_held {
            write.tx.clear_held_reason(id)?;
        }
        wake_sessions(write, person)?;
    }
    Ok(AskedQuestion {
        question: id,
        to: person.name.clone(),
        peer: person.id,
        joined,
        askable: !reachable_by(write.read(), person)?.is_empty(),
        last_seen_at_ms: person.last_seen_at_ms,
        held,
        same_project: Vec::new(),
        notifies_person: held.is_none()
            && (!joined || was_held)
            && can_notify(write.read(), person),
    })
}

/// Withdraws the same question that was held for the budget, once the budget allows it: it is asked again, so that it
/// counts from now on and the person is notified.
fn withdraw_held_question(
    write: &mut WriteContext,
    me: &SessionHandle,
    person: &Peer,
    draft: &QuestionDraft,
) -> Result<()> {
    let same = write
        .tx
        .find_identical_open_question(&new_question(me, person.id, draft, 0))?;
    if let Some(id) = same
        && write
            .tx
            .question(id)?
            .as_ref()
            .is_some_and(is_held_for_budget)
    {
        withdraw(write, me, id, None)?;
    }
    Ok(())
}

fn new_question<'a>(
    me: &SessionHandle,
    target: PeerId,
    draft: &QuestionDraft<'a>,
    depth: i64,
) -> NewQuestion<'a> {
    NewQuestion {
        asker: me.peer,
        asker_session: me.session,
        target,
        question: draft.question,
        context: draft.context,
        depth,
    }
}

/// Stores a question, unless the same one is open. Returns its id, and whether it was open already.
fn insert_or_join(
    write: &mut WriteContext,
    me: &SessionHandle,
    peer: &Peer,
    draft: &QuestionDraft,
) -> Result<(QuestionId, bool)> {
    let depth = write.tx.max_delivered_depth(me.session)? + 1;
    if depth > DEPTH_MAX {
        let problem = format!(
            "this question would be number {depth} in a chain of questions that follow from each other; go on without it until your user types"
        );
        return Err(Refusal::RateLimited { problem }.into());
    }
    let new = new_question(me, peer.id, draft, depth);
    if let Some(id) = write.tx.find_identical_open_question(&new)? {
        return Ok((id, true));
    }
    let id = write.tx.insert_question(&new)?;
    let data = json!({ "to": peer.name, "bytes": draft.question.len() });
    let kind = EventKind::QuestionAsked;
    write
        .tx
        .append_event(kind, Some(me.peer), &id.to_string(), &data)?;
    Ok((id, false))
}

fn askable_peers_in_project(
    read: ReadContext,
    me: &SessionHandle,
    peer: &Peer,
) -> Result<Vec<String>> {
    let Some(project) = &peer.project else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for other in read
        .tx
        .peers_of_project(project)?
        .into_iter()
        .filter(|other| other.id != peer.id && other.id != me.peer)
    {
        if read
            .tx
            .live_sessions_at(other.id)?
            .iter()
            .any(|session| read.is_askable(session))
        {
            names.push(other.name.to_string());
        }
    }
    Ok(names)
}
