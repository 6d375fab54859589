//! Waiting for answers: one look at a time. The loop around it belongs to the door, because a server waits otherwise than
//! a thread; what a look decides is the same for both.
use crate::mesh::peer::liveness::HostView;
use crate::mesh::question::ask::withdraw;
use crate::mesh::question::deadlock::find_deadlock;
use crate::mesh::question::inbox::{DeliveryDetails, mark_delivered, questions_at};
use crate::mesh::wake::throttle::throttled_for_asker;
use crate::mesh::{Inbox, Mesh, PendingQuestion, SessionHandle};
use crate::model::throttle::Throttled;
use crate::model::{
    Activity, DeliveryStatus, PeerKind, PeerName, QuestionState, Refusal, Result, WakeState,
};
use crate::platform::id::{QuestionId, WaitId};
use crate::platform::text::utf16_len;
use crate::store::{Question, QuestionDelivery, Tx};
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
pub struct QuestionStatus {
    /// The question, with its answer when there is one.
    pub question: Question,
    /// The peer that was asked.
    pub peer: PeerName,
    /// How far it came.
    pub delivery: DeliveryStatus,
    /// Somebody who can be asked sits there.
    pub askable: bool,
    /// It is stored without ringing, and why.
    pub held: Option<Throttled>,
    /// A session is written down there whose process is gone: its death is yet to be recorded.
    pub died: bool,
    /// When the mailbox was last heard of, in wall milliseconds.
    pub last_seen_at_ms: i64,
}

/// Why a wait was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterruptReason {
    /// A question for the waiting session came.
    IncomingQuestion,
    /// Each of these peers waits for the next, and the last for the first.
    Cycle(Vec<PeerName>),
}

/// An interrupted wait: answer first, then wait again.
#[derive(Debug, Clone)]
pub struct Interruption {
    /// Why.
    pub reason: InterruptReason,
    /// What waits for the session, oldest first, as far as there is room.
    pub questions: Vec<PendingQuestion>,
    /// How many more wait; they were not shown.
    pub omitted: usize,
}

/// What a look at a wait found.
#[derive(Debug, Clone)]
pub struct WaitPoll {
    /// Each awaited question, in the order asked.
    pub question_statuses: Vec<QuestionStatus>,
    /// The wait is over: everything awaited has its end.
    pub done: bool,
    /// The wait must be interrupted; call [`Mesh::interrupt`].
    pub interrupts: Option<InterruptReason>,
}

impl Mesh {
    /// Begins to wait for questions asked earlier. Only the asker may.
    pub fn await_replies(
        &mut self,
        me: &SessionHandle,
        questions: &[QuestionId],
        any: bool,
    ) -> Result<Wait> {
        self.write(|tx, host, _| {
            let own = tx.peer(me.peer)?;
            for id in questions {
                let question = tx
                    .question(*id)?
                    .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
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
                id: tx.insert_wait(me.session, &host.own, questions)?,
                questions: questions.to_vec(),
                any,
            })
        })
    }

    /// Looks at a wait. `first` is its first look: only then a circle of waits is looked for.
    pub fn poll(&mut self, me: &SessionHandle, wait: &Wait, first: bool) -> Result<WaitPoll> {
        let (poll, unnotified) = self.read(|tx, host| {
            let poll = poll(tx, host, me, wait, first)?;
            let unnotified = !poll.done && tx.has_questions_due_for_wake()?;
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
            // What cannot be recorded now, whoever looks next records.
            let _ = self.record_dead_sessions();
        }
        Ok(poll)
    }

    /// Interrupts a wait: returns what waits for the session, marked as shown. `None` when another call was faster.
    pub fn interrupt(
        &mut self,
        me: &SessionHandle,
        wait: WaitId,
        reason: &InterruptReason,
    ) -> Result<Option<Interruption>> {
        self.write(|tx, host, wakeups| {
            let all = questions_at(tx, host, me, me.peer, None)?;
            let pending = tx.pending(me.peer, me.session)?;
            let urgent: Vec<QuestionId> = questions_due_to_interrupt(tx, me, wait, &pending)?;
            if *reason == InterruptReason::IncomingQuestion && urgent.is_empty() {
                return Ok(None);
            }
            let count = all.len();
            let inbox = Inbox {
                questions: fit_to_budget(all, &urgent),
                ..Inbox::default()
            };
            let details = DeliveryDetails {
                turn: None,
                channel: WakeState::Call,
                counted: None,
            };
            mark_delivered(tx, wakeups, me, &inbox, details)?;
            // What was left out interrupts the next wait.
            let included = inbox.questions.iter().map(|one| one.pending.question.id);
            for id in included.filter(|id| urgent.contains(id)) {
                tx.increment_interrupts(id, me.session)?;
            }
            tx.delete_wait(wait)?;
            Ok(Some(Interruption {
                reason: reason.clone(),
                omitted: count - inbox.questions.len(),
                questions: inbox.questions,
            }))
        })
    }

    /// Interrupts a wait for something else than answers when a question for its session came.
    pub fn interrupt_if_asked(
        &mut self,
        me: &SessionHandle,
        wait: WaitId,
    ) -> Result<Option<Interruption>> {
        let due = me.is_addressable() && self.read(|tx, _| is_interrupt_due(tx, me, wait))?;
        if due {
            self.interrupt(me, wait, &InterruptReason::IncomingQuestion)
        } else {
            Ok(None)
        }
    }

    /// Ends a wait, if there still is such a one. Replies it may have are not taken: they come to the inbox.
    pub fn cancel_wait(&mut self, wait: WaitId) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.delete_wait(wait)?))
    }

    /// Ends a wait whose result goes to its caller, and takes the replies. What came since the last look `seen` is in the
    /// look that is returned; a reply is taken only if it is there. With `any`, questions of `created` that nobody saw are
    /// taken back once a reply is there.
    pub fn finish_wait(
        &mut self,
        me: &SessionHandle,
        wait: &Wait,
        seen: &WaitPoll,
        created: &[QuestionId],
    ) -> Result<WaitPoll> {
        self.write(|tx, host, _| {
            let poll = if seen.done {
                seen.clone()
            } else {
                WaitPoll::at(tx, host, wait)?
            };
            for question_status in &poll.question_statuses {
                let id = question_status.question.id;
                if question_status.question.state != QuestionState::Open {
                    tx.mark_answer_collected(id)?;
                } else if poll.done && wait.any && created.contains(&id) {
                    withdraw(tx, host, me, id, Some(wait.id))?;
                }
            }
            tx.delete_wait(wait.id)?;
            Ok(poll)
        })
    }

    /// Ends a wait whose result nobody reads. Replies stay for the inbox; questions of `created` that nobody saw are taken
    /// back.
    pub fn abandon_wait(
        &mut self,
        me: &SessionHandle,
        wait: &Wait,
        created: &[QuestionId],
    ) -> Result<()> {
        self.write(|tx, host, _| {
            for id in wait.questions.iter().filter(|id| created.contains(id)) {
                withdraw(tx, host, me, *id, Some(wait.id))?;
            }
            Ok(tx.delete_wait(wait.id)?)
        })
    }

    /// Ends the waits of a session whose processes have ended without saying so; otherwise it would count as waiting, and
    /// be left alone, for as long as its client lives.
    pub fn end_dead_waits(&mut self, me: &SessionHandle) -> Result<()> {
        let dead = self.read(|tx, host| host.dead_waits(tx, Some(me.session)))?;
        if dead.is_empty() {
            return Ok(());
        }
        self.write(|tx, _, _| end_waits(tx, &dead))
    }

    /// Returns where questions stand without waiting for them.
    pub fn question_statuses(&mut self, questions: &[QuestionId]) -> Result<Vec<QuestionStatus>> {
        self.read(|tx, host| {
            questions
                .iter()
                .map(|id| question_status(tx, host, *id))
                .collect()
        })
    }
}

impl WaitPoll {
    fn at(tx: &Tx, host: &HostView, wait: &Wait) -> Result<Self> {
        let question_statuses: Vec<QuestionStatus> = wait
            .questions
            .iter()
            .map(|id| question_status(tx, host, *id))
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

fn poll(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
    wait: &Wait,
    first: bool,
) -> Result<WaitPoll> {
    let mut poll = WaitPoll::at(tx, host, wait)?;
    if poll.done || !me.is_addressable() {
        return Ok(poll);
    }
    if is_interrupt_due(tx, me, wait.id)? {
        poll.interrupts = Some(InterruptReason::IncomingQuestion);
    } else if first {
        // A circle goes over questions that were all shown already; the others may still be answered.
        let shown = poll.question_statuses.iter().filter(|question_status| {
            question_status.question.state == QuestionState::Open
                && question_status.question.shown_times > 0
        });
        let awaited = shown.map(|question_status| question_status.question.target);
        poll.interrupts = find_deadlock(tx, host, me, awaited)?.map(InterruptReason::Cycle);
    }
    Ok(poll)
}

pub(in crate::mesh) fn end_waits(tx: &Tx, waits: &[WaitId]) -> Result<()> {
    for wait in waits {
        tx.delete_wait(*wait)?;
    }
    Ok(())
}

fn question_status(tx: &Tx, host: &HostView, id: QuestionId) -> Result<QuestionStatus> {
    let question = tx
        .question(id)?
        .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
    let peer = tx
        .peer(question.target)?
        .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
    // A reply says all there is to say; otherwise it matters who sits there.
    let session = if question.state.is_replied() {
        None
    } else {
        tx.live_sessions_at(peer.id)?.into_iter().next()
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
            tx.count_stop_blocks(id)?
        },
        peer_activity: session
            .as_ref()
            .map_or(Activity::Offline, |session| host.activity(session, &tx.now)),
    };
    let askable = session
        .as_ref()
        .is_some_and(|session| host.is_askable(session, &tx.now));
    let held = match session.as_ref().filter(|_| question.held.is_some()) {
        Some(session) => throttled_for_asker(tx, &peer, session, question.held.as_deref())?,
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

/// Returns what an interrupted call has room for, in the order it came: what interrupts it goes before the others, and one
/// always comes.
fn fit_to_budget(all: Vec<PendingQuestion>, urgent: &[QuestionId]) -> Vec<PendingQuestion> {
    let is_urgent = |at: &usize| urgent.contains(&all[*at].pending.question.id);
    let (mut order, others): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(is_urgent);
    order.extend(others);
    let mut budget = INTERRUPTION_CHARS_MAX;
    let mut included = Vec::new();
    for at in order {
        let chars = utf16_len(&output::waiting(&all[at]).to_string()) + 1;
        if chars > budget && !included.is_empty() {
            break;
        }
        budget = budget.saturating_sub(chars);
        included.push(at);
    }
    let numbered = all.into_iter().enumerate();
    let kept = numbered.filter(|(at, _)| included.contains(at));
    kept.map(|(_, waiting)| waiting).collect()
}

/// A question interrupts the newest wait of its session, once; after ten seconds unanswered the next-newest, once more.
fn questions_due_to_interrupt(
    tx: &Tx,
    me: &SessionHandle,
    wait: WaitId,
    waiting: &[QuestionDelivery],
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
    let waits_ms = tx.now.elapsed_since_ms(began_monotonic_ms);
    let due = |waiting: &&QuestionDelivery| {
        let at_monotonic_ms = waiting.interrupted_at_monotonic_ms;
        match (
            waiting.interrupts,
            at_monotonic_ms.map(|at| tx.now.elapsed_since_ms(at)),
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
fn is_interrupt_due(tx: &Tx, me: &SessionHandle, wait: WaitId) -> Result<bool> {
    Ok(tx.has_pending_questions(me.peer)?
        && !questions_due_to_interrupt(tx, me, wait, &tx.pending(me.peer, me.session)?)?.is_empty())
}
