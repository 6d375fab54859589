//! Begins, polls and ends the waits for answers. The loop around the polls is a driver of `blocking_wait.rs`: server and
//! thread have different drivers and the same rules.
use crate::mesh::claim::deadlock::find_deadlock;
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::question::interrupt::{InterruptReason, is_interrupt_due};
use crate::mesh::question::status::{QuestionStatus, question_status};
use crate::mesh::question::withdraw::withdraw;
use crate::mesh::session::SessionHandle;
use crate::model::{PeerKind, QuestionState, Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};

/// The wait of one blocking call.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The row in the store.
    pub id: WaitId,
    /// What it waits for, in the order asked.
    pub questions: Vec<QuestionId>,
    /// Whether the first answer ends it.
    pub any: bool,
}

/// The result of one poll.
#[derive(Debug, Clone)]
pub struct WaitPoll {
    /// Each awaited question, in the order asked.
    pub question_statuses: Vec<QuestionStatus>,
    /// Whether the wait is complete.
    pub done: bool,
    /// Why the wait has to be interrupted, by [`Mesh::interrupt`].
    pub interrupts: Option<InterruptReason>,
}

impl WaitPoll {
    fn at(read: ReadContext, wait: &Wait) -> Result<Self> {
        let question_statuses: Vec<QuestionStatus> = wait
            .questions
            .iter()
            .map(|id| question_status(read, *id))
            .collect::<Result<_>>()?;
        let ended = |question_status: &QuestionStatus| {
            question_status.question.state != QuestionState::Open
        };
        let replied =
            |question_status: &QuestionStatus| question_status.question.state.is_replied();
        let done = question_statuses.iter().all(ended)
            || (wait.any && question_statuses.iter().any(replied));
        Ok(Self {
            question_statuses,
            done,
            interrupts: None,
        })
    }
}

impl Mesh {
    /// Begins to wait for questions that were asked earlier. Only the asker may.
    pub fn await_replies(
        &mut self,
        me: &SessionHandle,
        questions: &[QuestionId],
        any: bool,
    ) -> Result<Wait> {
        self.write(|write| {
            let own = write.tx.peer(me.peer)?;
            for id in questions {
                let question = write
                    .tx
                    .question(*id)?
                    .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
                let asker = write.tx.peer(question.asker)?;
                // A headless run has ended when its answer comes; another run of the same person may fetch it by its
                // id.
                let run = asker.is_some_and(|asker| asker.kind == PeerKind::Run)
                    && own.as_ref().is_some_and(|own| own.kind != PeerKind::Person);
                if question.asker != me.peer && !run && !me.is_person_of_mesh(write.read()) {
                    return Err(Refusal::NotYours {
                        problem: format!("question {id} was asked by another session"),
                    }
                    .into());
                }
            }
            Ok(Wait {
                id: write
                    .tx
                    .insert_wait(me.session, &write.host.own, questions)?,
                questions: questions.to_vec(),
                any,
            })
        })
    }

    /// Polls a wait. Only the `first` poll searches for a deadlock.
    pub fn poll(&mut self, me: &SessionHandle, wait: &Wait, first: bool) -> Result<WaitPoll> {
        let (poll, unnotified) = self.read(|read| {
            let poll = poll(read, me, wait, first)?;
            let unnotified = !poll.done && read.tx.has_questions_due_for_wake()?;
            Ok((poll, unnotified))
        })?;
        if unnotified {
            self.wake_unnotified();
        }
        if !poll.done
            && poll
                .question_statuses
                .iter()
                .any(|question_status| question_status.died)
        {
            // If it fails now, the next read records the deaths.
            let _ = self.record_dead_sessions();
        }
        Ok(poll)
    }

    /// Deletes a wait, if it exists. Its replies are not taken: they come to the inbox.
    pub fn cancel_wait(&mut self, wait: WaitId) -> Result<()> {
        self.write(|write| Ok(write.tx.delete_wait(wait)?))
    }

    /// Ends a wait whose result the caller reads, and takes the replies. The poll that is returned includes what came
    /// after `seen`; only replies in it are taken. With `any`, questions of `created` that nobody saw are withdrawn
    /// once there is a reply.
    pub fn finish_wait(
        &mut self,
        me: &SessionHandle,
        wait: &Wait,
        seen: &WaitPoll,
        created: &[QuestionId],
    ) -> Result<WaitPoll> {
        self.write(|write| {
            let poll = if seen.done {
                seen.clone()
            } else {
                WaitPoll::at(write.read(), wait)?
            };
            for question_status in &poll.question_statuses {
                let id = question_status.question.id;
                if question_status.question.state != QuestionState::Open {
                    write.tx.mark_answer_collected(id)?;
                } else if poll.done && wait.any && created.contains(&id) {
                    withdraw(write, me, id, Some(wait.id))?;
                }
            }
            write.tx.delete_wait(wait.id)?;
            Ok(poll)
        })
    }

    /// Ends a wait whose result nobody reads. Replies stay for the inbox; questions of `created` that nobody saw are
    /// withdrawn.
    pub fn abandon_wait(
        &mut self,
        me: &SessionHandle,
        wait: &Wait,
        created: &[QuestionId],
    ) -> Result<()> {
        self.write(|write| {
            for id in wait.questions.iter().filter(|id| created.contains(id)) {
                withdraw(write, me, *id, Some(wait.id))?;
            }
            Ok(write.tx.delete_wait(wait.id)?)
        })
    }

    /// Deletes the waits of a session whose processes have ended without doing so. Otherwise the session would count as
    /// waiting, and would not be woken, as long as its client lives.
    pub fn end_dead_waits(&mut self, me: &SessionHandle) -> Result<()> {
        let dead = self.read(|read| read.dead_waits(Some(me.session)))?;
        if dead.is_empty() {
            return Ok(());
        }
        self.write(|write| write.delete_waits(&dead))
    }
}

fn poll(read: ReadContext, me: &SessionHandle, wait: &Wait, first: bool) -> Result<WaitPoll> {
    let mut poll = WaitPoll::at(read, wait)?;
    if poll.done || !me.is_addressable() {
        return Ok(poll);
    }
    if is_interrupt_due(read, me, wait.id)? {
        poll.interrupts = Some(InterruptReason::IncomingQuestion);
    } else if first {
        // A deadlock consists of questions that were all shown; other peers may still answer.
        let shown = poll.question_statuses.iter().filter(|question_status| {
            question_status.question.state == QuestionState::Open
                && question_status.question.shown_times > 0
        });
        let awaited = shown.map(|question_status| question_status.question.target);
        poll.interrupts = find_deadlock(read, me, awaited)?.map(InterruptReason::Cycle);
    }
    Ok(poll)
}
