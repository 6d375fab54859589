//! Stores the answer or the decline of a question, if this session may answer it, and wakes the asker. A call that waits
//! gets it as its result; otherwise it is late and goes to the inbox.
use serde_json::json;

use crate::mesh::check_text::check_text;
use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::peer::address::removed_name;
use crate::mesh::peer::dead_sessions::find_live_session_recording_deaths;
use crate::mesh::peer::git_state::commit_of_folder;
use crate::mesh::peer::person::wake_living;
use crate::mesh::question::inbox::covers_empty_seat;
use crate::mesh::session::SessionHandle;
use crate::model::fork::ForkAnswer;
use crate::model::{AnsweredBy, EventKind, PeerKind, PeerName, QuestionState, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::store::{NewAnswer, Question, Tx};

/// A reply to a question.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    pub question: QuestionId,
    /// The answer, or the reason of a decline.
    pub text: &'a str,
    /// Whether it declines the question.
    pub decline: bool,
    /// Whether it may replace an earlier answer.
    pub corrects: bool,
    /// Accepts a text that looks like a secret; works for a person only.
    pub force: bool,
    /// What a fork of the session says about its answer; `None` if the session itself, or a person, answers.
    pub fork: Option<ForkAnswer>,
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

/// The result of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyOutcome {
    /// Answered or declined.
    pub state: QuestionState,
    /// Who asked.
    pub to: PeerName,
    /// Whether a call of the asker waits for it.
    pub asker_waiting: bool,
    /// Whether no call waited for it any more.
    pub late: bool,
}

impl Mesh {
    /// Stores a reply and wakes the asker. The same reply again changes nothing.
    pub fn reply(&mut self, me: &SessionHandle, reply: Reply) -> Result<ReplyOutcome> {
        check_text(
            "answer",
            reply.text,
            1,
            reply.force && me.kind == PeerKind::Person,
        )?;
        // Before the transaction, so that nobody waits for the lock while files are read.
        let head = me.project.as_deref().and_then(commit_of_folder);
        self.expect(|tx| expect_reply(tx, me, reply.question));
        self.write(|write| {
            let question = write.tx.question(reply.question)?;
            let question = question.ok_or_else(|| Refusal::UnknownQuestion {
                id: reply.question.to_string(),
            })?;
            check_may_answer(write, me, &question)?;
            if reply.fork.is_some() && !write.tx.is_fork_running(question.id, me.session)? {
                let problem = format!(
                    "no fork of this session was to answer question {}",
                    question.id
                );
                return Err(Refusal::NotYours { problem }.into());
            }
            let asker = write.tx.asker_of(question.id)?;
            let asker_sessions = write.tx.live_sessions_of_asker(question.id)?;
            let waiting = write.served_sessions_waiting_on(question.id, None)?;
            let head = match head {
                Some(head) => Some(head),
                None => write.tx.peer(me.peer)?.and_then(|own| own.git_head),
            };
            let mut replied = ReplyOutcome {
                state: reply.state(),
                to: asker
                    .as_ref()
                    .map_or_else(removed_name, |peer| peer.name.clone()),
                asker_waiting: !waiting.is_empty(),
                late: question.answer_late,
            };
            if has_same_reply(&question, &reply)? {
                return Ok(replied);
            }
            replied.late = waiting.is_empty() || question.state == QuestionState::Expired;
            let accepted = AcceptedReply {
                question: &question,
                reply: &reply,
                outcome: &replied,
                head: head.as_deref(),
            };
            store_reply(write, me, accepted)?;
            write.wake(waiting);
            if let Some(asker) = asker {
                wake_living(write, &asker, asker_sessions)?;
            }
            Ok(replied)
        })
    }
}

/// Reads what a reply reads; see [`Tx::expect`].
fn expect_reply(tx: &Tx, me: &SessionHandle, question: QuestionId) {
    drop(tx.question(question));
    drop(tx.asker_of(question));
    drop(tx.live_sessions_of_asker(question));
    drop(tx.leases_waiting_for_question(question, None));
    drop(tx.peer(me.peer));
}

/// Returns whether a question has this reply already. Refuses to replace another one, unless the reply says so.
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

/// A reply that is to be stored.
#[derive(Clone, Copy)]
struct AcceptedReply<'a> {
    question: &'a Question,
    reply: &'a Reply<'a>,
    outcome: &'a ReplyOutcome,
    /// The commit that is checked out in the project of the peer that answers.
    head: Option<&'a str>,
}

fn store_reply(
    write: &mut WriteContext,
    me: &SessionHandle,
    accepted: AcceptedReply,
) -> Result<()> {
    let AcceptedReply {
        question,
        reply,
        outcome,
        head,
    } = accepted;
    let ReplyOutcome {
        state, to, late, ..
    } = outcome;
    let by = match reply.fork {
        Some(_) => AnsweredBy::Fork,
        None if me.kind == PeerKind::Person => AnsweredBy::Person,
        None => AnsweredBy::Session,
    };
    let answer = NewAnswer {
        state: *state,
        text: reply.text,
        by,
        session: me.session,
        late: *late,
        head,
    };
    write.tx.store_answer(question.id, &answer)?;
    let kind = if reply.decline {
        EventKind::QuestionDeclined
    } else {
        EventKind::QuestionAnswered
    };
    let corrects = question.state.is_replied();
    let mut data = json!({
        "to": to, "by": by, "late": late, "corrects": corrects, "bytes": reply.text.len(),
    });
    match &reply.fork {
        Some(fork) => {
            write.tx.store_fork_answer(question.id, fork)?;
            data["usage"] = json!(fork.usage);
        }
        // Its session knows what it has corrected.
        None if question.answered_by == Some(AnsweredBy::Fork) => {
            write.tx.mark_fork_reported(question.id)?;
        }
        None => {}
    }
    write
        .tx
        .append_event(kind, Some(me.peer), &question.id.to_string(), &data)?;
    Ok(())
}

/// Allows the peer that was asked, the session at seat 1 for an empty seat of its project, and the person at this
/// machine.
fn check_may_answer(
    write: &mut WriteContext,
    me: &SessionHandle,
    question: &Question,
) -> Result<()> {
    if question.target == me.peer
        || (me.is_person_of_mesh(write.read()) && question.asker != me.peer)
    {
        return Ok(());
    }
    let target = write.tx.peer(question.target)?;
    if let Some(target) = &target
        && covers_empty_seat(write.read(), me, target)?
    {
        find_live_session_recording_deaths(write, target)?;
        return Ok(());
    }
    let whose = target.map_or_else(String::new, |peer| format!("; it is for \"{}\"", peer.name));
    Err(Refusal::NotYours {
        problem: format!("question {} is not addressed to you{whose}", question.id),
    }
    .into())
}
