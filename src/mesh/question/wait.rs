//! Waiting for answers: one look at a time. The loop around it belongs to the door, because a server waits otherwise than
//! a thread; what a look decides is the same for both.
use crate::mesh::peer::liveness::Around;
use crate::mesh::question::ask::withdraw;
use crate::mesh::question::deadlock::circle;
use crate::mesh::question::inbox::{Showing, mark_shown, questions_at};
use crate::mesh::wake::throttle::hold_seen;
use crate::mesh::{Inbox, Mesh, Sitting, Waiting};
use crate::model::throttle::Held;
use crate::model::{
    Activity, Delivery, PeerKind, PeerName, QuestionState, Refusal, Result, WakeState,
};
use crate::platform::id::{QuestionId, WaitId};
use crate::platform::text::utf16_len;
use crate::store::{Pending, Question, Tx};
use crate::tools::output;

/// A question that interrupted one wait and is still unanswered interrupts the next-newest after this time.
const NEXT_WAIT_AFTER_MS: i64 = 10_000;
/// So many characters of questions, as JSON, a call returns with at most when it is interrupted. It may have answers to
/// carry beside them.
const INTERRUPTION_CHARS_MAX: usize = 150_000;

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
    /// A session is written down there whose process is gone: its death is yet to be recorded.
    pub died: bool,
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
    /// What waits for the session, oldest first, as far as there is room.
    pub questions: Vec<Waiting>,
    /// How many more wait; they were not shown.
    pub left_out: usize,
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
        self.write(|tx, around, _| {
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
                id: tx.insert_wait(me.session, &around.own, questions)?,
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
        if !look.done && look.standings.iter().any(|standing| standing.died) {
            // What cannot be recorded now, whoever looks next records.
            let _ = self.record_deaths();
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
            let count = all.len();
            let inbox = Inbox {
                questions: with_room(all, &urgent),
                ..Inbox::default()
            };
            let how = Showing {
                turn: None,
                way: WakeState::Call,
                counted: None,
            };
            mark_shown(tx, rings, me, &inbox, how)?;
            // What was left out interrupts the next wait.
            let told = inbox.questions.iter().map(|one| one.pending.question.id);
            for id in told.filter(|id| urgent.contains(id)) {
                tx.count_interrupt(id, me.session)?;
            }
            tx.delete_wait(wait)?;
            Ok(Some(Interruption {
                reason: reason.clone(),
                left_out: count - inbox.questions.len(),
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

    /// Ends a wait, if there still is such a one. Replies it may have are not taken: they come to the inbox.
    pub fn end_wait(&mut self, wait: WaitId) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.delete_wait(wait)?))
    }

    /// Ends a wait whose result goes to its caller, and takes the replies. What came since the last look `seen` is in the
    /// look that is returned; a reply is taken only if it is there. With `any`, questions of `created` that nobody saw are
    /// taken back once a reply is there.
    pub fn finish(
        &mut self,
        me: &Sitting,
        wait: &Wait,
        seen: &Look,
        created: &[QuestionId],
    ) -> Result<Look> {
        self.write(|tx, around, _| {
            let look = if seen.done {
                seen.clone()
            } else {
                Look::at(tx, around, wait)?
            };
            for standing in &look.standings {
                let id = standing.question.id;
                if standing.question.state != QuestionState::Open {
                    tx.take_answer(id)?;
                } else if look.done && wait.any && created.contains(&id) {
                    withdraw(tx, around, me, id, Some(wait.id))?;
                }
            }
            tx.delete_wait(wait.id)?;
            Ok(look)
        })
    }

    /// Ends a wait whose result nobody reads. Replies stay for the inbox; questions of `created` that nobody saw are taken
    /// back.
    pub fn abandon(&mut self, me: &Sitting, wait: &Wait, created: &[QuestionId]) -> Result<()> {
        self.write(|tx, around, _| {
            for id in wait.questions.iter().filter(|id| created.contains(id)) {
                withdraw(tx, around, me, *id, Some(wait.id))?;
            }
            Ok(tx.delete_wait(wait.id)?)
        })
    }

    /// Ends the waits of a session whose processes have ended without saying so; otherwise it would count as waiting, and
    /// be left alone, for as long as its client lives.
    pub fn end_dead_waits(&mut self, me: &Sitting) -> Result<()> {
        let dead = self.read(|tx, around| around.dead_waits(tx, Some(me.session)))?;
        if dead.is_empty() {
            return Ok(());
        }
        self.write(|tx, _, _| end_waits(tx, &dead))
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
}

impl Look {
    fn at(tx: &Tx, around: &Around, wait: &Wait) -> Result<Self> {
        let standings: Vec<Standing> = wait
            .questions
            .iter()
            .map(|id| standing(tx, around, *id))
            .collect::<Result<_>>()?;
        let ended = |standing: &Standing| standing.question.state != QuestionState::Open;
        let replied = |standing: &Standing| standing.question.state.is_replied();
        let done = standings.iter().all(ended) || (wait.any && standings.iter().any(replied));
        Ok(Self {
            standings,
            done,
            interrupts: None,
        })
    }
}

fn look(tx: &Tx, around: &Around, me: &Sitting, wait: &Wait, first: bool) -> Result<Look> {
    let mut look = Look::at(tx, around, wait)?;
    if look.done || !me.has_mailbox() {
        return Ok(look);
    }
    if is_interrupted(tx, me, wait.id)? {
        look.interrupts = Some(WaitReason::IncomingQuestion);
    } else if first {
        // A circle goes over questions that were all shown already; the others may still be answered.
        let shown = look.standings.iter().filter(|standing| {
            standing.question.state == QuestionState::Open && standing.question.shown_times > 0
        });
        let awaited = shown.map(|standing| standing.question.target);
        look.interrupts = circle(tx, around, me, awaited)?.map(WaitReason::Cycle);
    }
    Ok(look)
}

pub(in crate::mesh) fn end_waits(tx: &Tx, waits: &[WaitId]) -> Result<()> {
    for wait in waits {
        tx.delete_wait(*wait)?;
    }
    Ok(())
}

fn standing(tx: &Tx, around: &Around, id: QuestionId) -> Result<Standing> {
    let question = tx
        .question(id)?
        .ok_or_else(|| Refusal::NotFound { id: id.to_string() })?;
    let peer = tx
        .peer(question.target)?
        .ok_or_else(|| Refusal::NotFound { id: id.to_string() })?;
    // A reply says all there is to say; otherwise it matters who sits there.
    let session = if question.state.is_replied() {
        None
    } else {
        tx.live_sessions_at(peer.id)?.into_iter().next()
    };
    let delivery = Delivery {
        stored_at_ms: question.asked_at_ms,
        woken_at_ms: question.woken_at_ms,
        wake: question.wake,
        wake_problem: question.wake_problem.clone(),
        shown_at_ms: question.shown_at_ms,
        shown_times: question.shown_times,
        stops: if question.state.is_replied() || question.shown_times == 0 {
            0
        } else {
            tx.count_stops(id)?
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
        died: session.is_some() && delivery.peer_activity == Activity::Offline,
        held,
        question,
        last_seen_at_ms: peer.last_seen_at_ms,
        peer: peer.name,
        delivery,
        askable,
    })
}

/// Returns what an interrupted call has room for, in the order it came: what interrupts it goes before the others, and one
/// always comes.
fn with_room(all: Vec<Waiting>, urgent: &[QuestionId]) -> Vec<Waiting> {
    let is_urgent = |at: &usize| urgent.contains(&all[*at].pending.question.id);
    let (mut order, others): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(is_urgent);
    order.extend(others);
    let mut left = INTERRUPTION_CHARS_MAX;
    let mut told = Vec::new();
    for at in order {
        let chars = utf16_len(&output::waiting(&all[at]).to_string()) + 1;
        if chars > left && !told.is_empty() {
            break;
        }
        left = left.saturating_sub(chars);
        told.push(at);
    }
    let numbered = all.into_iter().enumerate();
    let kept = numbered.filter(|(at, _)| told.contains(at));
    kept.map(|(_, waiting)| waiting).collect()
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
    let Some((newest, began_monotonic_ms)) = tx.newest_wait(me.session)? else {
        return Ok(Vec::new());
    };
    if newest != wait {
        return Ok(Vec::new());
    }
    let waits_ms = tx.now.since(began_monotonic_ms);
    let due = |waiting: &&Pending| {
        let at_monotonic_ms = waiting.interrupted_at_monotonic_ms;
        match (
            waiting.interrupts,
            at_monotonic_ms.map(|at| tx.now.since(at)),
        ) {
            (0, _) => true,
            (1, Some(ago_ms)) => waits_ms >= ago_ms && ago_ms >= NEXT_WAIT_AFTER_MS,
            _ => false,
        }
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
