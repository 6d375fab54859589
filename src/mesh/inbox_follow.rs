//! Follows the inbox of a person: finds what is new, each item once, for a command that shows it as it comes.
use std::collections::HashSet;

use crate::mesh::blocking_wait::{PollResult, WaitCondition};
use crate::mesh::{Inbox, Mesh, SessionHandle};
use crate::model::Result;
use crate::platform::id::{QuestionId, WaitId};

/// Remembers what was found.
#[derive(Debug, Default)]
pub struct InboxFollower {
    questions: HashSet<QuestionId>,
    answers: HashSet<QuestionId>,
    /// Whether it has read the inbox: what was there before is found although it is held.
    has_read: bool,
}

impl InboxFollower {
    /// Returns what is pending for a session and was not found before. Marks nothing as delivered.
    fn find_new(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<Inbox> {
        let mut inbox = mesh.inbox(me)?;
        inbox
            .questions
            .retain(|one| !self.questions.contains(&one.delivery.question.id));
        if self.has_read {
            leave_out_held(mesh, &mut inbox)?;
        }
        self.has_read = true;
        let found = inbox.questions.iter();
        self.questions
            .extend(found.map(|one| one.delivery.question.id));
        inbox
            .answers
            .retain(|late| self.answers.insert(late.question.id));
        if inbox.has_new_mail {
            inbox.mail = mesh.unmentioned_mail(me)?.messages;
        }
        Ok(inbox)
    }
}

/// Leaves out questions that are held.
fn leave_out_held(mesh: &mut Mesh, inbox: &mut Inbox) -> Result<()> {
    let held = inbox
        .questions
        .iter()
        .filter(|one| one.delivery.question.held.is_some());
    let ids: Vec<QuestionId> = held.map(|one| one.delivery.question.id).collect();
    for status in mesh.question_statuses(&ids)? {
        if status.held.is_some() {
            let id = status.question.id;
            inbox.questions.retain(|one| one.delivery.question.id != id);
        }
    }
    Ok(())
}

/// The wait for something new in the inbox. It has no row: it must not count as a call that waits.
#[derive(Debug)]
pub(in crate::mesh) struct NewItemsWait<'a>(pub(in crate::mesh) &'a mut InboxFollower);

impl WaitCondition for NewItemsWait<'_> {
    type Output = Inbox;

    fn poll(&mut self, mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<Inbox>> {
        let found = self.0.find_new(mesh, me)?;
        Ok((!found.is_empty()).then_some(found).into())
    }

    fn row(&self) -> Option<WaitId> {
        None
    }
}
