//! Memories and prior answers as JSON.
use serde_json::{Value, json};

use crate::mesh::{PriorAnswer, RememberOutcome};
use crate::model::PeerName;
use crate::model::answer_similarity::BYTES_MAX;
use crate::model::memory::{Query, snippet};
use crate::platform::clock::rfc3339;
use crate::platform::text::cut_bytes;
use crate::store::{Memory, MemoryMatch};

/// Returns the result of remembering.
pub fn remembered(remembered: &RememberOutcome) -> Value {
    json!({ "memory_id": remembered.id, "key": remembered.key, "version": remembered.version })
}

/// Returns a memory that was found. Its text is as it was stored.
pub fn memory(found: &MemoryMatch, query: Option<&Query>) -> Value {
    let memory = &found.memory;
    json!({
        "memory_id": memory.id,
        "key": memory.key,
        "text": memory.text,
        "tags": memory.tags,
        "scope": memory.scope_kind().as_str(),
        "by": memory.by,
        "at": rfc3339(memory.at_ms),
        "score": (found.score * 1000.0).round() / 1000.0,
        "snippet": snippet(&memory.text, query),
    })
}

/// Returns one version of a memory, with who replaced it and when.
pub fn version(memory: &Memory) -> Value {
    let (by, at) = memory.superseded.clone().unzip();
    json!({
        "memory_id": memory.id,
        "version": memory.version,
        "text": memory.text,
        "tags": memory.tags,
        "by": memory.by,
        "at": rfc3339(memory.at_ms),
        "superseded_by": by,
        "superseded_at": at.map(rfc3339),
    })
}

/// Returns prior answers within their byte budget. The first gets most of it; what is cut is marked with `cut`.
pub fn prior_answers(prior_answers: &[PriorAnswer]) -> Vec<Value> {
    let mut remaining = BYTES_MAX;
    let mut values = Vec::new();
    for (at, one) in prior_answers.iter().enumerate() {
        // The first may have all but the minimum of the others.
        let others = prior_answers.len() - at - 1;
        let budget = remaining.saturating_sub(PRIOR_ANSWER_BYTES_MIN * others);
        let Some(value) = fit_prior_answer(one, budget) else {
            break;
        };
        remaining = remaining.saturating_sub(value.to_string().len() + 1);
        values.push(value);
    }
    values
}

/// Returns the result of a question that is not stored and wakes nobody.
pub fn prior_answers_only(peer: &PeerName, prior_answers: &[PriorAnswer]) -> Value {
    json!({ "status": "known", "question_id": null, "from": peer, "known": crate::tools::output::memory::prior_answers(prior_answers) })
}

/// The smallest budget of a prior answer.
const PRIOR_ANSWER_BYTES_MIN: usize = 700;

fn fit_prior_answer(prior_answers: &PriorAnswer, bytes: usize) -> Option<Value> {
    let answered = &prior_answers.answered;
    let matched: Vec<&String> = prior_answers.matched.iter().take(12).collect();
    let value = |question: &str, answer: &str| {
        let mut value = json!({
            "question_id": answered.id,
            "question": question,
            "answer": answer,
            "answered_at": rfc3339(answered.answered_at_ms),
            "git_head_then": answered.head,
            "git_head_now": prior_answers.head_now,
            "matched": matched,
        });
        if answer.len() < answered.answer.len() || question.len() < answered.question.len() {
            value["cut"] = true.into();
        }
        value
    };
    // Escapes make the JSON longer than the text, so cut until the JSON is within the budget.
    let (mut question, mut answer) = (answered.question.as_str(), answered.answer.as_str());
    loop {
        let whole = value(question, answer);
        if whole.to_string().len() <= bytes {
            return Some(whole);
        }
        if question.len() > 300 {
            question = cut_bytes(question, 300);
        } else if answer.len() > 100 {
            let excess = whole.to_string().len() - bytes;
            let keep = answer
                .len()
                .saturating_sub(excess + 1)
                .max(answer.len() / 2);
            answer = cut_bytes(answer, keep);
        } else if question.len() > 60 {
            question = cut_bytes(question, question.len() / 2);
        } else {
            return None;
        }
    }
}
