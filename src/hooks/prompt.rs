//! Handles a prompt: attaches what is pending for the session, each question in full once per turn.
use super::call::HookCall;
use super::delivery::Delivery;
use super::hook_mesh::HookMesh;
use super::{message, prompt_text};
use crate::claude_code::{HookOutput, Prompt};
use crate::mesh::{
    Inbox, PendingQuestion, SessionHandle, WakeLineStatus, has_exhausted_stop_blocks,
};
use crate::model::{Error, WakeState};
use crate::store::QuestionDelivery;

/// Attaches what is pending to a prompt. Drops a wake line if the session is throttled or if nothing new is pending.
pub(super) fn attach_pending<'a, M: HookMesh>(
    call: &HookCall,
    mesh: &mut M,
    me: &SessionHandle,
    prompt: &'a Prompt,
) -> Result<Option<Delivery<'a>>, Error> {
    let mut delivery = PromptDelivery {
        call,
        mesh,
        me,
        prompt,
    };
    match &prompt.wake_line_nonce {
        Some(nonce) if delivery.mesh.wake_line_status(me, nonce)? == WakeLineStatus::Throttled => {
            return Ok(Some(notice(prompt_text::HELD_NOTICE)));
        }
        // A wake line begins a turn only if something new comes with it.
        Some(_) => {}
        None => delivery.begin_turn()?,
    }
    let mut inbox = delivery.mesh.inbox(me)?;
    if !prompt.typed {
        delivery.drop_already_delivered(&mut inbox)?;
    }
    inbox
        .answers
        .retain(|late| late.question.answer_shown_at_ms.is_none());
    if prompt.wake_line_nonce.is_some() && has_nothing_new(&inbox) {
        // A call has delivered it meanwhile, or it was answered: no turn begins, and nothing is delivered twice.
        call.tolerate_unmarked(delivery.mesh.clear_wake_attempt(me))?;
        return Ok(Some(notice(prompt_text::SETTLED_NOTICE)));
    }
    delivery.deliver(inbox)
}

fn notice(text: &str) -> Delivery<'static> {
    Delivery::of_notice(HookOutput::Block(text.into()))
}

/// What is needed to put the inbox before a model together with a prompt.
struct PromptDelivery<'a, 'p, M> {
    call: &'a HookCall,
    mesh: &'a mut M,
    me: &'a SessionHandle,
    prompt: &'p Prompt,
}

impl<'p, M: HookMesh> PromptDelivery<'_, 'p, M> {
    fn begin_turn(&mut self) -> Result<(), Error> {
        let (turn, typed) = (self.prompt.turn.as_deref(), self.prompt.typed);
        let begun = self.mesh.begin_turn(self.me, turn, typed);
        let failed = begun.is_err();
        self.call.tolerate_unmarked(begun)?;
        if failed {
            // A hook waits for the write lock only once.
            self.mesh.stop_waiting_for_lock();
        }
        Ok(())
    }

    /// Drops questions that this turn has got already, or that a call or the waiting hook has just delivered.
    fn drop_already_delivered(&mut self, inbox: &mut Inbox) -> Result<(), Error> {
        let turn = self.prompt.turn.as_deref();
        let is_delivered_elsewhere =
            |pending: &QuestionDelivery| pending.delivery_count > 0 && pending.turn.is_none();
        let in_this_turn = |pending: &QuestionDelivery| {
            pending.delivery_count > 0 && pending.turn.as_deref() == turn
        };
        let any_delivered_elsewhere = inbox
            .questions
            .iter()
            .any(|it| is_delivered_elsewhere(&it.delivery));
        inbox
            .questions
            .retain(|it| !is_delivered_elsewhere(&it.delivery) && !in_this_turn(&it.delivery));
        match turn {
            Some(turn) if any_delivered_elsewhere => self
                .call
                .tolerate_unmarked(self.mesh.record_turn(self.me, turn)),
            _ => Ok(()),
        }
    }

    /// Returns the text for what is in the inbox.
    fn deliver(&mut self, inbox: Inbox) -> Result<Option<Delivery<'p>>, Error> {
        let (mut exhausted, questions): (Vec<_>, Vec<_>) = inbox
            .questions
            .into_iter()
            .partition(has_exhausted_stop_blocks);
        let mut pending = Inbox { questions, ..inbox };
        let unmentioned_mail = message::load_unmentioned(self.mesh, self.me, &mut pending)?;
        if pending.is_empty() && exhausted.is_empty() {
            return Ok(None);
        }
        // If a user types while a call of the session waits, this hook runs at once; the questions come as the result of
        // that call anyway.
        if self.prompt.typed && self.mesh.is_waiting(self.me)? {
            pending.questions.clear();
            pending.answers.clear();
            exhausted.clear();
            if pending.is_empty() {
                return Ok(None);
            }
        }
        let now_ms = self.mesh.now().wall_ms;
        let (text, shown) =
            prompt_text::attachment_text(pending, unmentioned_mail, &exhausted, now_ms);
        let channel = if self.prompt.wake_line_nonce.is_some() {
            WakeState::Inbox
        } else {
            WakeState::Hook
        };
        let turn = self.prompt.turn.as_deref();
        let output = HookOutput::Context(text);
        Ok(Some(Delivery::at_prompt(output, shown, turn, channel)))
    }
}

fn has_nothing_new(inbox: &Inbox) -> bool {
    let is_delivered = |pending: &PendingQuestion| pending.delivery.delivery_count > 0;
    inbox.answers.is_empty()
        && inbox.questions.iter().all(is_delivered)
        && inbox.granted.is_empty()
        && !inbox.has_new_mail
}
