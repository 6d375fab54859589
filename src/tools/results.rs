//! Parts of results that several tools share: the interruption of a wait, the mark of a truncated result, pending
//! questions and the answers to several questions.
use serde_json::{Map, Value, json};

use crate::mesh::{InterruptReason, Interruption, PendingQuestion};
use crate::tools::output;
use crate::tools::result_budget::ResultBudget;

/// Adds keys to a result.
pub(super) fn add(body: &mut Value, more: Map<String, Value>) {
    if let Value::Object(body) = body {
        body.extend(more);
    }
}

/// Marks a result as incomplete and says how to get the rest.
pub(super) fn mark_truncated(body: &mut Value, hint: &str) {
    body["truncated"] = true.into();
    body["hint"] = hint.into();
}

/// The next step after a wait for answers was interrupted.
pub(super) const ANSWER_FIRST_HINT: &str = "Answer these with reply_to_peer first, then call await_reply with the question_id of your own question.";

/// Returns what interrupted a wait, as keys of the result.
pub(super) fn interruption(interruption: &Interruption, hint: &str) -> Map<String, Value> {
    let mut map = Map::new();
    match &interruption.reason {
        InterruptReason::IncomingQuestion => {
            map.insert("reason".into(), "incoming_question".into());
        }
        InterruptReason::Cycle(chain) => {
            map.insert("reason".into(), "wait_cycle".into());
            map.insert("chain".into(), json!(chain));
        }
    }
    map.insert(
        "questions".into(),
        interruption
            .questions
            .iter()
            .map(delivered_question)
            .collect(),
    );
    let mut hint = hint.to_owned();
    if interruption.omitted > 0 {
        map.insert("truncated".into(), true.into());
        let more = format!(
            " {} more for you are left out here: poll_inbox shows them when these are answered.",
            interruption.omitted
        );
        hint += &more;
    }
    map.insert("hint".into(), hint.into());
    map
}

/// Returns a question that is pending for this session; the result that carries it is one more delivery.
pub(super) fn delivered_question(pending: &PendingQuestion) -> Value {
    let mut value = output::waiting(pending);
    value["shown_times"] = (pending.delivery.question.shown_times + 1).into();
    value
}

/// Adds the results of several questions. Long answers share the budget; a call for one question returns it in full.
pub(super) fn add_answers(body: &mut Value, answers: Vec<Map<String, Value>>) {
    let mut answers: Vec<Value> = answers.into_iter().map(Value::Object).collect();
    if ResultBudget::excluding(body).shorten_longest(&mut answers, "answer") {
        let hint = "Answers marked `cut` are shortened: await_reply with that one question_id returns all of it.";
        let hint = match body["hint"].as_str() {
            Some(previous_hint) => format!("{previous_hint} {hint}"),
            None => hint.to_owned(),
        };
        mark_truncated(body, &hint);
    }
    body["answers"] = answers.into();
}
