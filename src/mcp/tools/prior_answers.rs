//! Earlier answers beside what `ask_peer` and `await_reply` return when nobody can answer now.
use std::collections::HashMap;

use rmcp::model::CallToolResult;
use serde_json::{Map, Value, json};

use super::super::results;
use super::Call;
use crate::mesh::{PriorAnswerQuery, QuestionStatus, ReplyWaitEnd, WaitOutcome};
use crate::model::peer::Address;
use crate::model::{QuestionState, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::tools::output;

/// Earlier answers, by the question they may serve.
pub(super) type PriorAnswersByQuestion = HashMap<QuestionId, Vec<Value>>;

/// Looks up earlier answers to what has none yet. An asker that must answer first, or has gone on, needs none. Where the
/// look fails the result goes without: it carries the id of a question that is stored.
pub(super) async fn find_for_open(
    call: &Call<'_>,
    question_statuses: &[QuestionStatus],
    ended: &WaitOutcome<ReplyWaitEnd>,
) -> PriorAnswersByQuestion {
    let mut found = PriorAnswersByQuestion::new();
    if matches!(ended, WaitOutcome::Interrupted(_) | WaitOutcome::Cancelled) {
        return found;
    }
    let unanswered = question_statuses.iter().filter(|question_status| {
        matches!(
            question_status.question.state,
            QuestionState::Open | QuestionState::Expired
        )
    });
    for question_status in unanswered {
        let question = &question_status.question;
        let asking = PriorAnswerQuery {
            peer: question.target,
            question: &question.question,
            id: Some(question.id),
        };
        if let Ok(prior_answers) = call.verb(|at| at.mesh.prior_answers(&at.me, asking)).await {
            found.insert(question.id, output::prior_answers(&prior_answers));
        }
    }
    found
}

/// Adds what was found for a question to its result.
pub(super) fn add(
    mut result: Map<String, Value>,
    question_status: &QuestionStatus,
    prior_answers: &PriorAnswersByQuestion,
) -> Map<String, Value> {
    if let Some(prior_answers) = prior_answers.get(&question_status.question.id) {
        result.insert("known".into(), json!(prior_answers));
    }
    result
}

/// Answers from what is known alone: nobody is woken, nothing is stored as open.
pub(super) async fn answer_without_asking(
    call: &Call<'_>,
    to: &[Address],
    many: bool,
    question: &str,
) -> Result<CallToolResult> {
    let mut seen = Vec::new();
    let mut answers = Vec::new();
    for address in to {
        let (peer, name) = call
            .verb(|at| at.mesh.addressee(&at.me, address, question))
            .await?;
        if seen.contains(&peer) {
            return Err(Refusal::argument(format!("\"{name}\" is asked twice")).into());
        }
        seen.push(peer);
        let asking = PriorAnswerQuery {
            peer,
            question,
            id: None,
        };
        let prior_answers = call
            .verb(|at| at.mesh.prior_answers(&at.me, asking))
            .await?;
        answers.push(output::prior_answers_only(&name, &prior_answers));
    }
    Ok(results::ok(&if many {
        json!({ "status": "known", "answers": answers })
    } else {
        answers.remove(0)
    }))
}
