//! Earlier answers beside what `ask_peer` and `await_reply` return when nobody can answer now.
use std::collections::HashMap;

use rmcp::model::CallToolResult;
use serde_json::{Map, Value, json};

use super::super::results;
use super::Call;
use crate::mcp::await_answers::Ended;
use crate::mesh::{Asking, Standing};
use crate::model::peer::Address;
use crate::model::{QuestionState, Refusal, Result};
use crate::platform::id::QuestionId;
use crate::tools::output;

/// Earlier answers, by the question they may serve.
pub(super) type KnownOf = HashMap<QuestionId, Vec<Value>>;

/// Looks up earlier answers to what has none yet. An asker that must answer first, or has gone on, needs none. Where the
/// look fails the result goes without: it carries the id of a question that is stored.
pub(super) async fn of(call: &Call<'_>, standings: &[Standing], ended: &Ended) -> KnownOf {
    let mut found = KnownOf::new();
    if matches!(ended, Ended::Interrupted(_) | Ended::Cancelled) {
        return found;
    }
    let without = standings.iter().filter(|standing| {
        matches!(
            standing.question.state,
            QuestionState::Open | QuestionState::Expired
        )
    });
    for standing in without {
        let question = &standing.question;
        let asking = Asking {
            peer: question.target,
            question: &question.question,
            id: Some(question.id),
        };
        if let Ok(known) = call.verb(|at| at.mesh.known(&at.me, asking)).await {
            found.insert(question.id, output::known(&known));
        }
    }
    found
}

/// Adds what was found for a question to its result.
pub(super) fn add(
    mut result: Map<String, Value>,
    standing: &Standing,
    known: &KnownOf,
) -> Map<String, Value> {
    if let Some(known) = known.get(&standing.question.id) {
        result.insert("known".into(), json!(known));
    }
    result
}

/// Answers from what is known alone: nobody is woken, nothing is stored as open.
pub(super) async fn only(
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
        let asking = Asking {
            peer,
            question,
            id: None,
        };
        let known = call.verb(|at| at.mesh.known(&at.me, asking)).await?;
        answers.push(output::known_only(&name, &known));
    }
    Ok(results::ok(&if many {
        json!({ "status": "known", "answers": answers })
    } else {
        answers.remove(0)
    }))
}
