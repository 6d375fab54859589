//! Results as JSON: one object per call, the keys other programs build on.
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::ground::clock::rfc3339;
use crate::ground::id::QuestionId;
use crate::ground::text::cut_chars;
use crate::mesh::{Inbox, Interruption, LateAnswer, Listed, Standing, WaitReason, Waiting, shape};
use crate::model::brake::{Held, HoldReason};
use crate::model::event::Page;
use crate::model::{AnsweredBy, QuestionState};
use crate::store::Question;

/// A result stops at so many characters; the rest comes with another call.
pub(super) const CHARS_MAX: usize = 200_000;

/// Returns a successful result of one text block.
pub(super) fn ok(body: &Value) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(body.to_string())])
}

/// Adds keys to a result.
pub(super) fn add(body: &mut Value, more: Map<String, Value>) {
    if let Value::Object(body) = body {
        body.extend(more);
    }
}

/// Adds events under `events`, as many as the result still carries. Returns the number of the last one that is in it, or
/// of the last one looked at when all are.
pub(super) fn add_events(body: &mut Value, page: &Page) -> i64 {
    let mut chars = body.to_string().len();
    let (mut list, mut next, mut cut) = (Vec::new(), page.next, false);
    for event in &page.events {
        let value = json!(event);
        chars += value.to_string().len() + 1;
        if chars > CHARS_MAX && !list.is_empty() {
            cut = true;
            break;
        }
        next = event.seq;
        list.push(value);
    }
    if !cut {
        next = page.next;
    }
    body["events"] = list.into();
    if cut || page.more {
        body["truncated"] = true.into();
    }
    next
}

/// Returns the result for a question that was answered or declined.
pub(super) fn replied(standing: &Standing, waited_ms: Option<i64>) -> Map<String, Value> {
    let question = &standing.question;
    let mut result = head(
        if question.state == QuestionState::Declined {
            "declined"
        } else {
            "answered"
        },
        question.id,
        standing,
    );
    result.insert(
        "by".into(),
        json!(question.answered_by.unwrap_or(AnsweredBy::Session)),
    );
    result.insert("answer".into(), json!(question.answer));
    result.insert(
        "answered_at".into(),
        json!(question.answered_at_ms.map(rfc3339)),
    );
    if let Some(waited_ms) = waited_ms {
        result.insert("waited_ms".into(), waited_ms.into());
    }
    result
}

/// Returns the result for a question that is still open when its call returns.
pub(super) fn unanswered(status: &str, standing: &Standing, hint: &str) -> Map<String, Value> {
    let mut result = open(status, standing);
    result.insert("hint".into(), hint.into());
    result
}

/// Returns the result for a question whose wait was interrupted.
pub(super) fn interrupted(standing: &Standing, why: &Interruption) -> Map<String, Value> {
    let mut result = open("interrupted", standing);
    result.extend(interruption(why));
    result
}

fn open(status: &str, standing: &Standing) -> Map<String, Value> {
    let mut result = head(status, standing.question.id, standing);
    result.insert("delivery".into(), shape::delivery(&standing.delivery));
    result
}

fn head(status: &str, id: QuestionId, standing: &Standing) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("status".into(), status.into());
    result.insert("question_id".into(), json!(id));
    result.insert("from".into(), json!(standing.peer));
    result
}

/// Returns the result for a question that is stored without ringing.
pub(super) fn held(standing: &Standing, held: Held) -> Map<String, Value> {
    let hint = match held.reason {
        HoldReason::WakeBudget => {
            "Peers have started as many turns there as they may until its person types again. The question is stored and shown then; do not ask again."
        }
        HoldReason::Quiet | HoldReason::Paused => {
            "Its person wants it left alone for now. The question is stored and rung for when that ends; do not ask again."
        }
    };
    let mut result = unanswered("held", standing, hint);
    shape::add_held(&mut result, held);
    result
}

/// Returns what interrupted a wait, as keys of the waiting call's result.
pub(super) fn interruption(interruption: &Interruption) -> Map<String, Value> {
    let mut map = Map::new();
    match &interruption.reason {
        WaitReason::IncomingQuestion => {
            map.insert("reason".into(), "incoming_question".into());
        }
        WaitReason::Cycle(chain) => {
            map.insert("reason".into(), "wait_cycle".into());
            map.insert("chain".into(), json!(chain));
        }
    }
    map.insert(
        "questions".into(),
        interruption.questions.iter().map(waiting).collect(),
    );
    map.insert("hint".into(), "Answer these with reply_to_peer first, then call await_reply with the question_id of your own question.".into());
    map
}

/// Returns a question that waits for this session; this result is one more showing of it.
fn waiting(waiting: &Waiting) -> Value {
    let mut value = shape::waiting(waiting);
    value["shown_times"] = (waiting.pending.question.shown_times + 1).into();
    value
}

/// Returns an answer that came when nobody waited, with the beginning of its question.
fn late_answer(late: &LateAnswer) -> Value {
    let mut value = shape::late_answer(late);
    value["question"] = cut_chars(&late.question.question, 200).into();
    value
}

/// Returns the inbox, as much as a result carries; what is left out was not shown. Gives back what it contains.
pub(super) fn inbox(you: &str, inbox: Inbox, messages_unread: u32) -> (Value, Inbox) {
    let mut taken = Inbox::default();
    let mut chars = 0;
    let mut fits = |value: &Value| {
        chars += value.to_string().len();
        chars <= CHARS_MAX
    };
    let mut truncated = false;
    let (mut questions, mut answers) = (Vec::new(), Vec::new());
    for one in inbox.questions {
        let value = waiting(&one);
        if fits(&value) {
            questions.push(value);
            taken.questions.push(one);
        } else {
            truncated = true;
        }
    }
    for one in inbox.answers {
        let value = late_answer(&one);
        if fits(&value) {
            answers.push(value);
            taken.answers.push(one);
        } else {
            truncated = true;
        }
    }
    let mut body = json!({
        "you": you, "questions": questions, "answers": answers,
        "messages_unread": messages_unread,
        "claims_granted": inbox.granted.iter().map(shape::granted).collect::<Vec<_>>(),
        "tasks": [], "events": [],
        "held": taken.questions.iter().filter(|one| one.pending.question.held.is_some()).count(),
    });
    taken.granted = inbox.granted;
    if truncated {
        body["truncated"] = true.into();
        body["hint"] = "Answer these, then call poll_inbox again for the rest.".into();
    }
    (body, taken)
}

/// Returns messages, as many as a result carries.
pub(super) fn messages(listed: &Listed) -> Value {
    let mut values: Vec<Value> = Vec::new();
    let mut chars = 0;
    for message in &listed.messages {
        let value = shape::message(message);
        chars += value.to_string().len();
        // One alone may be larger; it must be possible to read it.
        if chars > CHARS_MAX && !values.is_empty() {
            break;
        }
        values.push(value);
    }
    let last = values.last().map(|value| value["message_id"].clone());
    let truncated = values.len() < listed.messages.len();
    let mut body = json!({ "messages": values, "cursor": listed.cursor, "unread": listed.unread });
    if truncated {
        body["truncated"] = true.into();
        let last = last.unwrap_or_default();
        body["hint"] = format!("Call list_messages with \"after\": {last} for the rest.").into();
    }
    body
}

/// Returns one question in full, whichever side of it the reader is on.
pub(super) fn full_question(you: &str, question: &Question, asker: &str, addressee: &str) -> Value {
    json!({
        "you": you,
        "questions": [{
            "question_id": question.id,
            "from": asker,
            "addressed_to": addressee,
            "asked_at": rfc3339(question.asked_at_ms),
            "state": question.state,
            "question": question.question,
            "context": question.context,
            "answer": question.answer,
            "shown_times": question.shown_times,
        }],
        "answers": [], "messages_unread": 0, "claims_granted": [], "tasks": [], "events": [], "held": 0,
    })
}
