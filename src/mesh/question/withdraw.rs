//! Withdraws questions that nobody has seen, and erases questions.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::erase::EraseOutcome;
use crate::mesh::session::SessionHandle;
use crate::model::{EventKind, QuestionState, Refusal, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::store::ErasedWords;

impl Mesh {
    /// Withdraws a question that nobody has seen and for which no other call waits. Returns whether it did.
    pub fn withdraw(&mut self, me: &SessionHandle, question: QuestionId) -> Result<bool> {
        self.write(|write| withdraw(write, me, question, None))
    }

    /// Erases a question with its answer, from every table and from the free pages of the file. Its asker may, and a
    /// person.
    pub fn erase_question(&mut self, me: &SessionHandle, id: QuestionId) -> Result<EraseOutcome> {
        self.erase_with(|write| {
            let Some(question) = write.tx.question(id)? else {
                return Ok(None);
            };
            if question.asker != me.peer && !me.is_person_of_mesh(write.read()) {
                let problem =
                    format!("question {id} is not yours: only its asker or a person may erase it");
                return Err(Refusal::NotYours { problem }.into());
            }
            write.wake(write.tx.sessions_waiting_for_question(id, None)?);
            write.tx.erase_question(&question)?;
            let kind = EventKind::QuestionForgotten;
            write
                .tx
                .append_event(kind, Some(me.peer), &id.to_string(), &json!({}))?;
            Ok(Some(ErasedWords::none()))
        })
    }
}

/// Withdraws a question if this session asked it, nobody saw it, and no wait but `own_wait` is for it.
pub(in crate::mesh) fn withdraw(
    write: &mut WriteContext,
    me: &SessionHandle,
    id: QuestionId,
    own_wait: Option<WaitId>,
) -> Result<bool> {
    let Some(question) = write.tx.question(id)? else {
        return Ok(false);
    };
    let possible = question.state == QuestionState::Open
        && question.shown_times == 0
        && question.asker_session == me.session
        && write.served_sessions_waiting_on(id, own_wait)?.is_empty();
    if possible {
        write.tx.withdraw_question(id)?;
        write.tx.append_event(
            EventKind::QuestionWithdrawn,
            Some(me.peer),
            &id.to_string(),
            &json!({}),
        )?;
    }
    Ok(possible)
}
