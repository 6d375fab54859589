//! Answers and declines questions.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::Verb;
use crate::mesh::peer::address::name_or_gone;
use crate::mesh::peer::liveness::reap_dead_sessions;
use crate::mesh::question::inbox::covers_empty_seat;
use crate::mesh::session::SessionHandle;
use crate::mesh::text::check_text;
use crate::model::{AnsweredBy, EventKind, PeerKind, PeerName, QuestionState, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::platform::project::head_commit;
use crate::store::{Peer, Question};

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
        self.write(|verb| {
            let question = verb.tx.question(reply.question)?;
            let question = question.ok_or_else(|| Refusal::UnknownQuestion {
                id: reply.question.to_string(),
            })?;
            check_may_answer(verb, me, &question)?;
            let asker = verb.tx.peer(question.asker)?;
            let waiting = verb.served_sessions_waiting_on(question.id, None)?;
            let mut replied = ReplyOutcome {
                state: reply.state(),
                to: name_or_gone(asker.clone()),
                asker_waiting: !waiting.is_empty(),
                late: question.answer_late,
            };
            if has_same_reply(&question, &reply)? {
                return Ok(replied);
            }
            replied.late = waiting.is_empty() || question.state == QuestionState::Expired;
            store_reply(verb, me, &question, &reply, &replied, head.as_deref())?;
            verb.wake(waiting);
            if let Some(asker) = asker {
                wake_peer(verb, &asker)?;
            }
            Ok(replied)
        })
    }
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
    verb: &mut Verb,
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
    verb.tx
        .store_answer(question.id, *state, reply.text, who, *late, head)?;
    let kind = if reply.decline {
        EventKind::QuestionDeclined
    } else {
        EventKind::QuestionAnswered
    };
    let corrects = question.state.is_replied();
    let data = json!({
        "to": to, "by": by, "late": late, "corrects": corrects, "bytes": reply.text.len(),
    });
    verb.tx
        .append_event(kind, Some(me.peer), &question.id.to_string(), &data)?;
    Ok(())
}

/// Rings whoever sits at a mailbox.
fn wake_peer(verb: &mut Verb, peer: &Peer) -> Result<()> {
    let session = reap_dead_sessions(verb, peer)?;
    verb.wake(session.map(|session| session.id));
    Ok(())
}

/// The addressee answers, or whoever sits at seat 1 for an empty seat of the project, or the person at this machine.
fn check_may_answer(verb: &mut Verb, me: &SessionHandle, question: &Question) -> Result<()> {
    if question.target == me.peer || (me.kind == PeerKind::Person && question.asker != me.peer) {
        return Ok(());
    }
    let target = verb.tx.peer(question.target)?;
    if let Some(target) = &target
        && covers_empty_seat(verb.read(), me, target)?
    {
        reap_dead_sessions(verb, target)?;
        return Ok(());
    }
    let whose = target.map_or_else(String::new, |peer| format!("; it is for \"{}\"", peer.name));
    Err(Refusal::NotYours {
        problem: format!("question {} is not addressed to you{whose}", question.id),
    }
    .into())
}
