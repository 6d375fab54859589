//! Waiting for answers: one look at a time. The loop around it belongs to the door, because a server waits otherwise than
//! a thread; what a look decides is the same for both.
use serde_json::json;

use super::alive::Around;
use super::ask::withdraw;
use super::brake::hold_seen;
use super::circle::circle;
use super::inbox::{Showing, mark_shown, questions_at};
use super::{Inbox, Mesh, Sitting, Waiting};
use crate::ground::id::{QuestionId, WaitId};
use crate::model::brake::Held;
use crate::model::{
    Activity, Delivery, EventKind, PeerKind, PeerName, QuestionState, Refusal, Result, WakeState,
};
use crate::store::{Pending, Question, Tx};

/// A question that interrupted one wait and is still unanswered interrupts the next-newest after this time.
const NEXT_WAIT_AFTER_MS: i64 = 10_000;

/// One blocking call.
#[derive(Debug, Clone)]
pub struct Wait {
    /// Its row.
    pub id: WaitId,
    /// What it waits for, in the order asked.
    pub questions: Vec<QuestionId>,
    /// The first answer ends it.
    pub any: bool,
}

/// Where one awaited question stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The question, with its answer when there is one.
    pub question: Question,
    /// The peer that was asked.
    pub peer: PeerName,
    /// How far it came.
    pub delivery: Delivery,
    /// Somebody who can be asked sits there.
    pub askable: bool,
    /// It is stored without ringing, and why.
    pub held: Option<Held>,
    /// When the mailbox was last heard of, in wall milliseconds.
    pub last_seen_at_ms: i64,
}

/// Why a wait was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// A question for the waiting session came.
    IncomingQuestion,
    /// Each of these peers waits for the next, and the last for the first.
    Cycle(Vec<PeerName>),
}

/// An interrupted wait: answer first, then wait again.
#[derive(Debug, Clone)]
pub struct Interruption {
    /// Why.
    pub reason: WaitReason,
    /// What waits for the session.
    pub questions: Vec<Waiting>,
}

/// What a look at a wait found.
#[derive(Debug, Clone)]
pub struct Look {
    /// Each awaited question, in the order asked.
    pub standings: Vec<Standing>,
    /// The wait is over: everything awaited has its end.
    pub done: bool,
    /// The wait must be interrupted; call [`Mesh::interrupt`].
    pub interrupts: Option<WaitReason>,
}

impl Mesh {
    /// Begins to wait for questions asked earlier. Only the asker may.
    pub fn await_replies(
        &mut self,
        me: &Sitting,
        questions: &[QuestionId],
        any: bool,
    ) -> Result<Wait> {
        self.write(|tx, _, _| {
            let own = tx.peer(me.peer)?;
            for id in questions {
                let question = tx
                    .question(*id)?
                    .ok_or_else(|| Refusal::NotFound { id: id.to_string() })?;
                let asker = tx.peer(question.asker)?;
                // A headless run is gone when its answer comes; another run of the same person may fetch it by its id.
                let run = asker.is_some_and(|asker| asker.kind == PeerKind::Run)
                    && own.as_ref().is_some_and(|own| own.kind != PeerKind::Person);
                if question.asker != me.peer && !run && me.kind != PeerKind::Person {
                    return Err(Refusal::NotYours {
                        problem: format!("question {id} was asked by another session"),
                    }
                    .into());
                }
            }
            Ok(Wait {
                id: tx.insert_wait(me.session, questions)?,
                questions: questions.to_vec(),
                any,
            })
        })
    }

    /// Looks at a wait. `first` is its first look: only then a circle of waits is looked for.
    pub fn look(&mut self, me: &Sitting, wait: &Wait, first: bool) -> Result<Look> {
        let (look, unheard) = self.read(|tx, around| {
            let look = look(tx, around, me, wait, first)?;
            let unheard = !look.done && tx.is_any_unheard()?;
            Ok((look, unheard))
        })?;
        if unheard {
            self.ring_for_unheard();
        }
        let gone = |standing: &Standing| {
            standing.question.state == QuestionState::Open
                && standing.delivery.peer_activity == Activity::Offline
        };
        if !look.done && look.standings.iter().any(gone) {
            self.record_deaths()?;
        }
        Ok(look)
    }

    /// Interrupts a wait: returns what waits for the session, marked as shown. `None` when another call was faster.
    pub fn interrupt(
        &mut self,
        me: &Sitting,
        wait: WaitId,
        reason: &WaitReason,
    ) -> Result<Option<Interruption>> {
        self.write(|tx, around, rings| {
            let all = questions_at(tx, around, me, me.peer, None)?;
            let pending = tx.pending(me.peer, me.session)?;
            let urgent: Vec<QuestionId> = interrupting(tx, me, wait, &pending)?;
            if *reason == WaitReason::IncomingQuestion && urgent.is_empty() {
                return Ok(None);
            }
            let inbox = Inbox {
                questions: all,
                ..Inbox::default()
            };
            let how = Showing {
                turn: None,
                way: WakeState::Call,
                counted: None,
            };
            mark_shown(tx, rings, me, &inbox, how)?;
            for id in urgent {
                tx.count_interrupt(id, me.session)?;
            }
            tx.delete_wait(wait)?;
            Ok(Some(Interruption {
                reason: reason.clone(),
                questions: inbox.questions,
            }))
        })
    }

    /// Interrupts a wait for something else than answers when a question for its session came.
    pub fn interrupt_if_asked(
        &mut self,
        me: &Sitting,
        wait: WaitId,
    ) -> Result<Option<Interruption>> {
        let due = me.has_mailbox() && self.read(|tx, _| is_interrupted(tx, me, wait))?;
        if due {
            self.interrupt(me, wait, &WaitReason::IncomingQuestion)
        } else {
            Ok(None)
        }
    }

    /// Ends a wait for something else than answers.
    pub fn end_wait(&mut self, wait: WaitId) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.delete_wait(wait)?))
    }

    /// Ends a wait. Replies it has are taken. With `withdraw_unseen`, questions of the wait that nobody saw are taken back.
    /// Returns the questions taken back.
    pub fn finish(
        &mut self,
        me: &Sitting,
        wait: &Wait,
        withdraw_unseen: &[QuestionId],
    ) -> Result<Vec<QuestionId>> {
        self.write(|tx, around, _| {
            let mut withdrawn = Vec::new();
            for id in &wait.questions {
                let over = tx
                    .question(*id)?
                    .is_some_and(|question| question.state != QuestionState::Open);
                if over {
                    tx.take_answer(*id)?;
                } else if withdraw_unseen.contains(id)
                    && withdraw(tx, around, me, *id, Some(wait.id))?
                {
                    withdrawn.push(*id);
                }
            }
            tx.delete_wait(wait.id)?;
            Ok(withdrawn)
        })
    }

    /// Returns where questions stand without waiting for them.
    pub fn standings(&mut self, questions: &[QuestionId]) -> Result<Vec<Standing>> {
        self.read(|tx, around| {
            questions
                .iter()
                .map(|id| standing(tx, around, *id))
                .collect()
        })
    }

    /// Expires questions and takes away what is over its time; at most once a minute over all programs.
    pub(super) fn sweep_now_and_then(&mut self) -> Result<()> {
        let due = self.read(|tx, _| is_sweep_due(tx))?;
        if due { self.sweep().map(drop) } else { Ok(()) }
    }

    /// Takes away bells and locks that a killed server has left behind.
    fn take_down_bells(&mut self) -> Result<()> {
        for session in self.around.bells.hung() {
            let over = self.read(|tx, _| {
                let found = tx.session(session)?;
                Ok(found.is_none_or(|session| session.ended_at_ms.is_some()))
            })?;
            if over {
                self.around.bells.remove(session);
            }
        }
        Ok(())
    }

    /// Expires questions and takes away what is over its time, a bounded amount. Returns what was taken.
    pub fn sweep(&mut self) -> Result<crate::store::Reclaimed> {
        let keep_ms = self.keep_ms;
        self.take_down_bells()?;
        let claims = self.settle_lines("")?;
        self.write(|tx, _, rings| {
            tx.set_meta("swept_at_ms", &tx.now.wall_ms.to_string())?;
            for (id, target) in tx.expire_questions()? {
                tx.append(
                    EventKind::QuestionExpired,
                    Some(target),
                    &id.to_string(),
                    &json!({}),
                )?;
                rings.add(tx.sessions_waiting_on(id, None)?);
            }
            let before = tx.now.wall_ms - keep_ms;
            let expired = super::state::expire(tx)?;
            let mut reclaimed = tx.sweep(before)?;
            reclaimed.state += expired;
            tx.sweep_runs(before)?;
            Ok(crate::store::Reclaimed {
                claims,
                ..reclaimed
            })
        })
    }
}

/// Returns whether the last sweep of any program was more than a minute ago.
pub(super) fn is_sweep_due(tx: &Tx) -> Result<bool> {
    const EVERY_MS: i64 = 60_000;
    let swept_at_ms = tx
        .meta("swept_at_ms")?
        .and_then(|at| at.parse::<i64>().ok());
    Ok(swept_at_ms.is_none_or(|at| (tx.now.wall_ms - at).abs() > EVERY_MS))
}

fn look(tx: &Tx, around: &Around, me: &Sitting, wait: &Wait, first: bool) -> Result<Look> {
    let standings: Vec<Standing> = wait
        .questions
        .iter()
        .map(|id| standing(tx, around, *id))
        .collect::<Result<_>>()?;
    let ended = |standing: &Standing| standing.question.state != QuestionState::Open;
    let replied = |standing: &Standing| standing.question.state.is_replied();
    let done = standings.iter().all(ended) || (wait.any && standings.iter().any(replied));
    let mut interrupts = None;
    if !done && me.has_mailbox() {
        if is_interrupted(tx, me, wait.id)? {
            interrupts = Some(WaitReason::IncomingQuestion);
        } else if first {
            // A circle goes over questions that were all shown already; the others may still be answered.
            let shown = standings.iter().filter(|standing| {
                standing.question.state == QuestionState::Open && standing.question.shown_times > 0
            });
            let awaited = shown.map(|standing| standing.question.target);
            interrupts = circle(tx, around, me, awaited)?.map(WaitReason::Cycle);
        }
    }
    Ok(Look {
        standings,
        done,
        interrupts,
    })
}

fn standing(tx: &Tx, around: &Around, id: QuestionId) -> Result<Standing> {
    let question = tx
        .question(id)?
        .ok_or_else(|| Refusal::NotFound { id: id.to_string() })?;
    let peer = tx
        .peer(question.target)?
        .ok_or_else(|| Refusal::NotFound { id: id.to_string() })?;
    let session = if question.state == QuestionState::Open {
        tx.live_sessions_at(peer.id)?.into_iter().next()
    } else {
        None
    };
    let delivery = Delivery {
        stored_at_ms: question.asked_at_ms,
        woken_at_ms: question.woken_at_ms,
        wake: question.wake,
        wake_problem: question.wake_problem.clone(),
        shown_at_ms: question.shown_at_ms,
        shown_times: question.shown_times,
        stops: match question.shown_times {
            0 => 0,
            _ => tx.count_stops(id)?,
        },
        peer_activity: session.as_ref().map_or(Activity::Offline, |session| {
            around.activity(session, &tx.now)
        }),
    };
    let askable = session
        .as_ref()
        .is_some_and(|session| around.is_askable(session, &tx.now));
    let held = match session.as_ref().filter(|_| question.held.is_some()) {
        Some(session) => hold_seen(tx, &peer, session, question.held.as_deref())?,
        None => None,
    };
    Ok(Standing {
        held,
        question,
        last_seen_at_ms: peer.last_seen_at_ms,
        peer: peer.name,
        delivery,
        askable,
    })
}

/// A question interrupts the newest wait of its session, once; after ten seconds unanswered the next-newest, once more.
fn interrupting(
    tx: &Tx,
    me: &Sitting,
    wait: WaitId,
    waiting: &[Pending],
) -> Result<Vec<QuestionId>> {
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let Some((newest, began_ms)) = tx.newest_wait(me.session)? else {
        return Ok(Vec::new());
    };
    if newest != wait {
        return Ok(Vec::new());
    }
    let now_ms = tx.now.wall_ms;
    let due = |waiting: &&Pending| match (waiting.interrupts, waiting.interrupted_at_ms) {
        (0, _) => true,
        (1, Some(at_ms)) => began_ms <= at_ms && now_ms - at_ms >= NEXT_WAIT_AFTER_MS,
        _ => false,
    };
    Ok(waiting
        .iter()
        .filter(due)
        .map(|waiting| waiting.question.id)
        .collect())
}

/// Returns whether a question for its session is due to interrupt a wait.
fn is_interrupted(tx: &Tx, me: &Sitting, wait: WaitId) -> Result<bool> {
    Ok(tx.has_pending(me.peer)?
        && !interrupting(tx, me, wait, &tx.pending(me.peer, me.session)?)?.is_empty())
}
