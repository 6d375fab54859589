//! Asking, answering, taking back.
use serde_json::json;

use crate::mesh::peer::directory::resolve_address;
use crate::mesh::peer::liveness::{HostView, find_live_session};
use crate::mesh::wake::policy::hold_question;
use crate::mesh::wake::throttle::throttled_for_asker;
use crate::mesh::{EraseOutcome, Mesh, PendingWakeups, SessionHandle, retention};
use crate::model::peer::Address;
use crate::model::question::{DEPTH_MAX, TEXT_BYTES_MAX};
use crate::model::throttle::{PersonAlert, Throttled};
use crate::model::validate::{check_secret, check_size};
use crate::model::{AnsweredBy, EventKind, PeerKind, PeerName, QuestionState, Refusal, Result};
use crate::platform::id::{PeerId, QuestionId, WaitId};
use crate::platform::project::head_commit;
use crate::store::{NewQuestion, Peer, Question, Tx};

/// What to do when nobody who can be asked sits at a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfOffline {
    /// Store the question and return; the next session there gets it.
    #[default]
    Queue,
    /// Wait all the same.
    Wait,
}

/// One stored question.
#[derive(Debug, Clone)]
pub struct AskedQuestion {
    /// Its id.
    pub question: QuestionId,
    /// Whom it is for.
    pub to: PeerName,
    /// The mailbox.
    pub peer: PeerId,
    /// It had been asked before and is still open; this call joined it.
    pub joined: bool,
    /// Somebody who can be asked sits there.
    pub askable: bool,
    /// When the mailbox was last heard of, in wall milliseconds.
    pub last_seen_at_ms: i64,
    /// It is stored without ringing, and why.
    pub held: Option<Throttled>,
    /// Who else can be asked in that project.
    pub same_project: Vec<String>,
}

impl AskedQuestion {
    /// Returns whether the call that asked waits for this question.
    pub fn is_awaited(&self, if_offline: IfOffline) -> bool {
        self.held.is_none() && (self.askable || if_offline == IfOffline::Wait)
    }
}

/// What asking has stored, and the wait that began with it.
#[derive(Debug, Clone)]
pub struct AskOutcome {
    /// The questions, in the order of the addresses.
    pub asked: Vec<AskedQuestion>,
    /// The wait for those that can be answered now; `None` when there is nothing to wait for.
    pub wait: Option<WaitId>,
}

/// A reply to give.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// To which question.
    pub question: QuestionId,
    /// The answer, or the reason of a decline.
    pub text: &'a str,
    /// It says why there is no answer.
    pub decline: bool,
    /// It replaces an answer given before.
    pub corrects: bool,
    /// A text that looks like a secret is passed all the same; a person's right only.
    pub force: bool,
}

impl Reply<'_> {
    fn state(&self) -> QuestionState {
        if self.decline {
            QuestionState::Declined
        } else {
            QuestionState::Answered
        }
    }
}

/// What came of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyOutcome {
    /// Answered or declined.
    pub state: QuestionState,
    /// Who asked.
    pub to: PeerName,
    /// A call of the asker waits for it.
    pub asker_waiting: bool,
    /// It came when nobody waited any more.
    pub late: bool,
}

impl Mesh {
    /// Stores a question for each address, all or none, and begins the wait for them.
    pub fn ask(
        &mut self,
        me: &SessionHandle,
        to: &[Address],
        question: &str,
        context: Option<&str>,
        if_offline: IfOffline,
    ) -> Result<AskOutcome> {
        check_text("question", question, 1, false)?;
        context.map_or(Ok(()), |context| check_text("context", context, 0, false))?;
        let (outcome, is_sweep_due) = self.write(|tx, host, wakeups| {
            let mut asked: Vec<AskedQuestion> = Vec::new();
            for address in to {
                let peer = resolve_address(tx, host, wakeups, me, address)?;
                if asked.iter().any(|other| other.peer == peer.id) {
                    return Err(
                        Refusal::argument(format!("\"{}\" is asked twice", peer.name)).into(),
                    );
                }
                asked.push(create_question(
                    tx, host, wakeups, me, &peer, question, context,
                )?);
            }
            let awaited: Vec<QuestionId> = asked
                .iter()
                .filter(|one| one.is_awaited(if_offline))
                .map(|one| one.question)
                .collect();
            let wait = (!awaited.is_empty())
                .then(|| tx.insert_wait(me.session, &host.own, &awaited))
                .transpose()?;
            Ok((AskOutcome { asked, wait }, retention::is_sweep_due(tx)?))
        })?;
        self.sweep_if_due(is_sweep_due);
        Ok(outcome)
    }

    /// Gives a reply; the asker is rung. The same text again changes nothing.
    pub fn reply(&mut self, me: &SessionHandle, reply: Reply) -> Result<ReplyOutcome> {
        check_text(
            "answer",
            reply.text,
            1,
            reply.force && me.kind == PeerKind::Person,
        )?;
        // Before the transaction: nobody waits for the lock while files are read.
        let head = me
            .project
            .as_deref()
            .and_then(|folder| head_commit(folder.as_ref()));
        self.write(|tx, host, wakeups| {
            let question = tx.question(reply.question)?;
            let question = question.ok_or_else(|| Refusal::UnknownQuestion {
                id: reply.question.to_string(),
            })?;
            check_may_answer(tx, host, wakeups, me, &question)?;
            let asker = tx.peer(question.asker)?;
            let to = asker.as_ref().map(|peer| peer.name.clone());
            let waiting = host.served_sessions_waiting_on(tx, question.id, None)?;
            let mut replied = ReplyOutcome {
                state: reply.state(),
                to: to.unwrap_or_else(|| PeerName::fold("gone")),
                asker_waiting: !waiting.is_empty(),
                late: question.answer_late,
            };
            if has_same_reply(&question, &reply)? {
                return Ok(replied);
            }
            replied.late = waiting.is_empty() || question.state == QuestionState::Expired;
            store_reply(tx, me, &question, &reply, &replied, head.as_deref())?;
            wakeups.add(waiting);
            if let Some(asker) = asker {
                wake_peer(tx, host, wakeups, &asker)?;
            }
            Ok(replied)
        })
    }

    /// Takes back a question nobody has seen and no other call waits for. Returns whether it did.
    pub fn withdraw(&mut self, me: &SessionHandle, question: QuestionId) -> Result<bool> {
        self.write(|tx, host, _| withdraw(tx, host, me, question, None))
    }

    /// Removes a question with everything said in it, from every table and from the free pages of the file. Who asked it
    /// may, and a person.
    pub fn erase_question(&mut self, me: &SessionHandle, id: QuestionId) -> Result<EraseOutcome> {
        self.erase_with(|tx, _, wakeups| {
            let Some(question) = tx.question(id)? else {
                return Ok(false);
            };
            if question.asker != me.peer && me.kind != PeerKind::Person {
                let problem =
                    format!("question {id} is another's: only who asked it or a person forgets it");
                return Err(Refusal::NotYours { problem }.into());
            }
            wakeups.add(tx.sessions_waiting_for_question(id, None)?);
            tx.erase_question(&question)?;
            let kind = EventKind::QuestionForgotten;
            tx.append_event(kind, Some(me.peer), &id.to_string(), &json!({}))?;
            Ok(true)
        })
    }
}

fn create_question(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    peer: &Peer,
    question: &str,
    context: Option<&str>,
) -> Result<AskedQuestion> {
    let depth = tx.max_delivered_depth(me.session)? + 1;
    if depth > DEPTH_MAX {
        let problem = format!(
            "this question would be the {depth}th in a chain in which each followed from another; go on without it until your user types"
        );
        return Err(Refusal::RateLimited { problem }.into());
    }
    let new = NewQuestion {
        asker: me.peer,
        asker_session: me.session,
        target: peer.id,
        question,
        context,
        depth,
    };
    let same = tx.find_identical_open_question(&new)?;
    let id = if let Some(id) = same {
        id
    } else {
        let id = tx.insert_question(&new)?;
        let data = json!({ "to": peer.name, "bytes": question.len() });
        tx.append_event(
            EventKind::QuestionAsked,
            Some(me.peer),
            &id.to_string(),
            &data,
        )?;
        id
    };
    let session = find_live_session(tx, host, wakeups, peer)?;
    let askable = session
        .as_ref()
        .is_some_and(|session| host.is_askable(session, &tx.now));
    let same_project = if askable {
        Vec::new()
    } else {
        askable_peers_in_project(tx, host, me, peer)?
    };
    let held_reason = tx.question(id)?.and_then(|question| question.held);
    let held = match session.as_ref().filter(|_| askable) {
        Some(session) => throttled_for_asker(tx, peer, session, held_reason.as_deref())?,
        None => None,
    };
    if let Some(held) = held {
        hold_question(tx, wakeups, me, id, held.reason.as_str())?;
    }
    // Its server rings nothing while it is held, but may have to tell its person.
    if held.is_none_or(|held| PersonAlert::from_throttle(held).is_some()) {
        wakeups.add(session.map(|session| session.id));
    }
    Ok(AskedQuestion {
        question: id,
        to: peer.name.clone(),
        peer: peer.id,
        joined: same.is_some(),
        askable,
        last_seen_at_ms: peer.last_seen_at_ms,
        held,
        same_project,
    })
}

fn askable_peers_in_project(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
    peer: &Peer,
) -> Result<Vec<String>> {
    let Some(project) = &peer.project else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for other in tx
        .seats_of_project(project)?
        .into_iter()
        .filter(|other| other.id != peer.id && other.id != me.peer)
    {
        if tx
            .live_sessions_at(other.id)?
            .iter()
            .any(|session| host.is_askable(session, &tx.now))
        {
            names.push(other.name.to_string());
        }
    }
    Ok(names)
}

/// Returns whether a question has this very reply already; refuses one that would replace another without saying so.
fn has_same_reply(question: &Question, reply: &Reply) -> Result<bool> {
    match question.state {
        QuestionState::Open | QuestionState::Expired => Ok(false),
        QuestionState::Withdrawn => {
            Err(Refusal::conflict("this question was withdrawn, no answer needed").into())
        }
        QuestionState::Answered | QuestionState::Declined => {
            let same = question.answer.as_deref() == Some(reply.text);
            if same && question.state == reply.state() {
                return Ok(true);
            }
            if reply.corrects {
                return Ok(false);
            }
            Err(Refusal::AlreadyAnswered.into())
        }
    }
}

fn store_reply(
    tx: &Tx,
    me: &SessionHandle,
    question: &Question,
    reply: &Reply,
    replied: &ReplyOutcome,
    head: Option<&str>,
) -> Result<()> {
    let ReplyOutcome {
        state, to, late, ..
    } = replied;
    let by = if me.kind == PeerKind::Person {
        AnsweredBy::Person
    } else {
        AnsweredBy::Session
    };
    let who = (by, me.session);
    tx.store_answer(question.id, *state, reply.text, who, *late, head)?;
    let kind = if reply.decline {
        EventKind::QuestionDeclined
    } else {
        EventKind::QuestionAnswered
    };
    let corrects = question.state.is_replied();
    let data = json!({
        "to": to, "by": by, "late": late, "corrects": corrects, "bytes": reply.text.len(),
    });
    tx.append_event(kind, Some(me.peer), &question.id.to_string(), &data)?;
    Ok(())
}

/// Rings whoever sits at a mailbox.
fn wake_peer(tx: &Tx, host: &HostView, wakeups: &mut PendingWakeups, peer: &Peer) -> Result<()> {
    let session = find_live_session(tx, host, wakeups, peer)?;
    wakeups.add(session.map(|session| session.id));
    Ok(())
}

/// The addressee answers, or whoever sits at seat 1 for an empty seat of the project, or the person at this machine.
fn check_may_answer(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    question: &Question,
) -> Result<()> {
    if question.target == me.peer || (me.kind == PeerKind::Person && question.asker != me.peer) {
        return Ok(());
    }
    let target = tx.peer(question.target)?;
    if let Some(target) = &target
        && covers_empty_seat(tx, host, wakeups, me, target)?
    {
        return Ok(());
    }
    let whose = target.map_or_else(String::new, |peer| format!("; it is for \"{}\"", peer.name));
    Err(Refusal::NotYours {
        problem: format!("question {} is not addressed to you{whose}", question.id),
    }
    .into())
}

/// Returns whether `me` sits at seat 1 of the project in which `peer` is an empty seat.
pub(in crate::mesh) fn covers_empty_seat(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    peer: &Peer,
) -> Result<bool> {
    if me.seat != Some(1) || peer.id == me.peer {
        return Ok(false);
    }
    let own = tx.peer(me.peer)?;
    let same_project = own.is_some_and(|own| own.project.is_some() && own.project == peer.project);
    Ok(same_project && find_live_session(tx, host, wakeups, peer)?.is_none())
}

/// Takes a question back if this session asked it, nobody saw it, and no call but `own_wait` waits for it.
pub(in crate::mesh) fn withdraw(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
    id: QuestionId,
    own_wait: Option<WaitId>,
) -> Result<bool> {
    let Some(question) = tx.question(id)? else {
        return Ok(false);
    };
    let possible = question.state == QuestionState::Open
        && question.shown_times == 0
        && question.asker_session == me.session
        && host
            .served_sessions_waiting_on(tx, id, own_wait)?
            .is_empty();
    if possible {
        tx.withdraw_question(id)?;
        tx.append_event(
            EventKind::QuestionWithdrawn,
            Some(me.peer),
            &id.to_string(),
            &json!({}),
        )?;
    }
    Ok(possible)
}

/// Sizes and secrets are checked before anything is stored.
pub(in crate::mesh) fn check_text(
    parameter: &str,
    text: &str,
    min_bytes: usize,
    force: bool,
) -> Result<()> {
    if text.trim().len() < min_bytes {
        return Err(Refusal::argument(format!("\"{parameter}\" is empty")).into());
    }
    check_size(parameter, text, TEXT_BYTES_MAX)?;
    if !force {
        check_secret(parameter, text)?;
    }
    Ok(())
}
