//! Looks up prior answers for `ask_peer` and `await_reply`: added to a result without an answer, or as the whole result
//! with `prefer: known`.
use std::collections::HashMap;

use serde_json::{Value, json};

use crate::mesh::PriorAnswerQuery;
use crate::model::peer::Address;
use crate::model::{Refusal, Result};
use crate::platform::id::{PeerId, QuestionId};
use crate::store::Question;
use crate::tools::call::{CallContext, Step, ToolCall};
use crate::tools::output;

/// Prior answers, by the question that they may serve.
pub(super) type PriorAnswersByQuestion = HashMap<QuestionId, Vec<Value>>;

/// Looks up prior answers to a question that has no answer yet.
pub(super) fn find(call: &mut CallContext<'_>, question: &Question) -> Result<Vec<Value>> {
    let query = PriorAnswerQuery {
        peer: question.target,
        question: &question.question,
        id: Some(question.id),
    };
    let found = call.mesh.prior_answers(&call.me, query)?;
    Ok(output::prior_answers(&found))
}

/// A call that answers from prior answers alone: it wakes nobody and leaves no open question. One step for each peer.
pub(super) struct PriorAnswersOnly {
    to: Vec<Address>,
    many: bool,
    question: String,
    seen: Vec<PeerId>,
    answers: Vec<Value>,
}

impl PriorAnswersOnly {
    pub(super) fn new(to: Vec<Address>, many: bool, question: String) -> Self {
        Self {
            to,
            many,
            question,
            seen: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl ToolCall for PriorAnswersOnly {
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        let Some(address) = self.to.get(self.answers.len()) else {
            return Ok(Step::Done(if self.many {
                json!({ "status": "known", "answers": self.answers })
            } else {
                self.answers.remove(0)
            }));
        };
        let (peer, name) = call.mesh.addressee(&call.me, address, &self.question)?;
        if self.seen.contains(&peer) {
            return Err(Refusal::argument(format!("\"{name}\" is asked twice")).into());
        }
        let query = PriorAnswerQuery {
            peer,
            question: &self.question,
            id: None,
        };
        let found = call.mesh.prior_answers(&call.me, query)?;
        self.answers.push(output::prior_answers_only(&name, &found));
        self.seen.push(peer);
        Ok(Step::Again)
    }
}
