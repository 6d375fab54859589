//! Interrupts a blocking wait when a question for its own session comes; otherwise two sessions that ask each other would
//! hang.
use serde_json::Value;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::person::is_held_for_budget;
use crate::mesh::question::delivery::{DeliveryDetails, mark_delivered};
use crate::mesh::question::inbox::{Inbox, PendingQuestion, questions_at};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::fork_eligibility::awaits_fork;
use crate::model::{PeerName, Result, WakeState};
use crate::platform::id::{QuestionId, WaitId};
use crate::platform::text::utf16_len;
use crate::store::QuestionDelivery;

/// A question that has interrupted one wait and is still unanswered interrupts the next-newest after this time.
const NEXT_WAIT_AFTER_MS: i64 = 10_000;
/// How many characters of questions, as JSON, an interrupted call returns at most. It may have answers to return beside
/// them.
const INTERRUPTION_CHARS_MAX: usize = 150_000;

/// Why a wait was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterruptReason {
    /// A question for the waiting session came.
    IncomingQuestion,
    /// A deadlock: each of these peers waits for the next, and the last for the first.
    Cycle(Vec<PeerName>),
}

/// An interrupted wait: answer first, then wait again.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct Interruption {
    pub reason: InterruptReason,
    /// What is pending for the session, oldest first, within the budget of a result.
    pub questions: Vec<PendingQuestion>,
    /// How many more are pending; they were not delivered.
    pub omitted: usize,
}

impl Mesh {
    /// Interrupts a wait. Returns what is pending for the session, marked as delivered; `None` if another call was
    /// faster.
    pub fn interrupt(
        &mut self,
        me: &SessionHandle,
        wait: WaitId,
        reason: &InterruptReason,
    ) -> Result<Option<Interruption>> {
        self.write(|write| {
            write.tx.expect(|tx| {
                drop(tx.has_pending_questions(me.peer));
                drop(tx.pending_questions(me.peer, me.session));
                drop(tx.newest_wait(me.session));
            })?;
            let all = questions_at(write.read(), me, me.peer, None)?;
            let pending = write.tx.pending_questions(me.peer, me.session)?;
            let urgent: Vec<QuestionId> =
                questions_due_to_interrupt(write.read(), me, wait, &pending)?;
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
            mark_delivered(write, me, &inbox, details)?;
            // Questions that were left out interrupt the next wait.
            let included = inbox.questions.iter().map(|one| one.delivery.question.id);
            for id in included.filter(|id| urgent.contains(id)) {
                write.tx.increment_interrupts(id, me.session)?;
            }
            write.tx.delete_wait(wait)?;
            Ok(Some(Interruption {
                reason: reason.clone(),
                omitted: count - inbox.questions.len(),
                questions: inbox.questions,
            }))
        })
    }

    /// Interrupts a wait for anything but answers, if a question for its session has come.
    pub fn interrupt_if_asked(
        &mut self,
        me: &SessionHandle,
        wait: WaitId,
    ) -> Result<Option<Interruption>> {
        let due = me.is_addressable() && self.read(|read| is_interrupt_due(read, me, wait))?;
        if due {
            self.interrupt(me, wait, &InterruptReason::IncomingQuestion)
        } else {
            Ok(None)
        }
    }
}

/// Returns the questions within the budget of an interrupted call, in the order of their arrival. Urgent ones go before
/// the others, and one is always included.
fn fit_to_budget(all: Vec<PendingQuestion>, urgent: &[QuestionId]) -> Vec<PendingQuestion> {
    let is_urgent = |at: &usize| urgent.contains(&all[*at].delivery.question.id);
    let (mut order, others): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(is_urgent);
    order.extend(others);
    let mut budget = INTERRUPTION_CHARS_MAX;
    let mut included = Vec::new();
    for at in order {
        let chars = result_chars(&all[at]);
        if chars > budget && !included.is_empty() {
            break;
        }
        budget = budget.saturating_sub(chars);
        included.push(at);
    }
    let numbered = all.into_iter().enumerate();
    let kept = numbered.filter(|(at, _)| included.contains(at));
    kept.map(|(_, pending)| pending).collect()
}

/// Returns how many characters of JSON a question takes in a result, a little more rather than less.
fn result_chars(pending: &PendingQuestion) -> usize {
    const OTHER_KEYS_CHARS: usize = 250;
    let json_chars = |text: &str| utf16_len(&Value::from(text).to_string());
    let question = &pending.delivery.question;
    OTHER_KEYS_CHARS
        + json_chars(&question.question)
        + question.context.as_deref().map_or(0, json_chars)
        + pending.from.as_str().len()
        + pending
            .on_behalf_of
            .as_ref()
            .map_or(0, |seat| seat.as_str().len())
}

/// Returns the questions that interrupt a wait now: a question interrupts the newest wait of its session once, and if
/// it is unanswered after ten seconds, the next-newest, once more.
fn questions_due_to_interrupt(
    read: ReadContext,
    me: &SessionHandle,
    wait: WaitId,
    pending: &[QuestionDelivery],
) -> Result<Vec<QuestionId>> {
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    let Some((newest, began_monotonic_ms)) = read.tx.newest_wait(me.session)? else {
        return Ok(Vec::new());
    };
    if newest != wait {
        return Ok(Vec::new());
    }
    let waits_ms = read.tx.now.elapsed_since_ms(began_monotonic_ms);
    let due = |delivery: &&QuestionDelivery| {
        let at_monotonic_ms = delivery.interrupted_at_monotonic_ms;
        match (
            delivery.interrupts,
            at_monotonic_ms.map(|at| read.tx.now.elapsed_since_ms(at)),
        ) {
            (0, _) => true,
            (1, Some(ago_ms)) => waits_ms >= ago_ms && ago_ms >= NEXT_WAIT_AFTER_MS,
            _ => false,
        }
    };
    let mut questions = Vec::new();
    for delivery in pending.iter().filter(due) {
        let question = &delivery.question;
        if !is_held_for_budget(question) && !awaits_fork(read, me, question)? {
            questions.push(question.id);
        }
    }
    Ok(questions)
}

/// Returns whether a question interrupts a wait now.
pub(in crate::mesh) fn is_interrupt_due(
    read: ReadContext,
    me: &SessionHandle,
    wait: WaitId,
) -> Result<bool> {
    read.tx.expect(|tx| {
        drop(tx.has_pending_questions(me.peer));
        drop(tx.pending_questions(me.peer, me.session));
        drop(tx.newest_wait(me.session));
    })?;
    Ok(read.tx.has_pending_questions(me.peer)?
        && !questions_due_to_interrupt(
            read,
            me,
            wait,
            &read.tx.pending_questions(me.peer, me.session)?,
        )?
        .is_empty())
}
