//! Results as JSON: one object per call, the keys other programs build on.
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::mcp::result_budget::ResultBudget;
use crate::mesh::{
    Inbox, InterruptReason, Interruption, LateAnswer, MessageList, PendingQuestion, QuestionStatus,
    QuestionWithPeers,
};
use crate::model::event::EventPage;
use crate::model::throttle::{ThrottleReason, Throttled};
use crate::model::{AnsweredBy, QuestionState};
use crate::platform::clock::rfc3339;
use crate::platform::id::QuestionId;
use crate::platform::text::cut_chars;
use crate::store::Task;
use crate::tools::output;

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

/// Says of a result that it does not hold all, and how to get the rest.
pub(super) fn mark_truncated(body: &mut Value, hint: &str) {
    body["truncated"] = true.into();
    body["hint"] = hint.into();
}

/// Adds events under `events`, as many as there is room for. Returns where to go on.
pub(super) fn add_events(body: &mut Value, page: &EventPage) -> i64 {
    let (list, cut) =
        ResultBudget::excluding(body).take_prefix(page.events.iter().map(|event| json!(event)));
    let next = match page.events.get(list.len()) {
        Some(omitted) if cut => omitted.seq - 1,
        _ => page.next,
    };
    body["events"] = list.into();
    if cut || page.more {
        body["truncated"] = true.into();
    }
    next
}

/// Returns the result for a question that was answered or declined.
pub(super) fn replied(
    question_status: &QuestionStatus,
    waited_ms: Option<i64>,
) -> Map<String, Value> {
    let question = &question_status.question;
    let mut result = result_head(
        if question.state == QuestionState::Declined {
            "declined"
        } else {
            "answered"
        },
        question.id,
        question_status,
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
pub(super) fn unanswered(
    status: &str,
    question_status: &QuestionStatus,
    hint: &str,
) -> Map<String, Value> {
    let mut result = open(status, question_status);
    result.insert("hint".into(), hint.into());
    result
}

/// Returns the result for a question whose wait was interrupted.
pub(super) fn interrupted(
    question_status: &QuestionStatus,
    why: &Interruption,
) -> Map<String, Value> {
    let mut result = open("interrupted", question_status);
    result.extend(interruption(why, ANSWER_FIRST_HINT));
    result
}

fn open(status: &str, question_status: &QuestionStatus) -> Map<String, Value> {
    let mut result = result_head(status, question_status.question.id, question_status);
    result.insert(
        "delivery".into(),
        output::delivery(&question_status.delivery),
    );
    result
}

fn result_head(
    status: &str,
    id: QuestionId,
    question_status: &QuestionStatus,
) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("status".into(), status.into());
    result.insert("question_id".into(), json!(id));
    result.insert("from".into(), json!(question_status.peer));
    result
}

/// Returns the result for a question that is stored without ringing.
pub(super) fn held(question_status: &QuestionStatus, held: Throttled) -> Map<String, Value> {
    let hint = match held.reason {
        ThrottleReason::WakeBudget => {
            "Peers have started as many turns there as they may until its person types again. The question is stored and shown then; do not ask again."
        }
        ThrottleReason::Quiet | ThrottleReason::Paused => {
            "Its person wants it left alone for now. The question is stored and rung for when that ends; do not ask again."
        }
    };
    let mut result = unanswered("held", question_status, hint);
    output::insert_throttle(&mut result, held);
    result
}

/// What to do after a wait for answers was interrupted.
pub(super) const ANSWER_FIRST_HINT: &str = "Answer these with reply_to_peer first, then call await_reply with the question_id of your own question.";

/// Returns what interrupted a wait, as keys of the waiting call's result.
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
        interruption.questions.iter().map(waiting).collect(),
    );
    let mut hint = hint.to_owned();
    if interruption.omitted > 0 {
        map.insert("truncated".into(), true.into());
        let more = format!(
            " {} more for you had no room here: poll_inbox shows them when these are answered.",
            interruption.omitted
        );
        hint += &more;
    }
    map.insert("hint".into(), hint.into());
    map
}

/// Adds what came of several questions. Long answers share the room there is; each comes whole by itself.
pub(super) fn add_answers(body: &mut Value, answers: Vec<Map<String, Value>>) {
    let mut answers: Vec<Value> = answers.into_iter().map(Value::Object).collect();
    if ResultBudget::excluding(body).shorten_longest(&mut answers, "answer") {
        let hint = "Of answers marked `cut` only the beginning is here: await_reply with that one question_id returns all of it.";
        let hint = match body["hint"].as_str() {
            Some(previous_hint) => format!("{previous_hint} {hint}"),
            None => hint.to_owned(),
        };
        mark_truncated(body, &hint);
    }
    body["answers"] = answers.into();
}

/// Returns a question that waits for this session; this result is one more showing of it.
fn waiting(waiting: &PendingQuestion) -> Value {
    let mut value = output::waiting(waiting);
    value["shown_times"] = (waiting.pending.question.shown_times + 1).into();
    value
}

/// Returns an answer that came when nobody waited, with the beginning of its question.
fn late_answer(late: &LateAnswer) -> Value {
    let mut value = output::late_answer(late);
    value["question"] = cut_chars(&late.question.question, 200).into();
    value
}

/// How the rest of an inbox comes.
const INBOX_TRUNCATED_HINT: &str = "Answer what is asked here and take these answers with await_reply, then call poll_inbox again for the rest.";

/// Returns the inbox, as much as a result carries; what is left out was not shown. Gives back what it contains.
pub(super) fn inbox(
    you: &str,
    inbox: Inbox,
    messages_unread: u32,
    tasks: &[Task],
) -> (Value, Inbox) {
    let mut body = json!({
        "you": you, "questions": [], "answers": [], "messages_unread": messages_unread, "claims_granted": [],
        "tasks": tasks.iter().map(output::unstarted_task).collect::<Vec<_>>(),
        "events": [], "held": 0,
    });
    let mut result_budget = ResultBudget::excluding(&body);
    let mut included = Inbox::default();
    // A lease runs already, and a question has somebody who waits; an answer can wait.
    let (granted, more_granted) =
        result_budget.take_prefix(inbox.granted.iter().map(output::granted));
    let (questions, more_questions) =
        result_budget.take_prefix(inbox.questions.iter().map(waiting));
    let (answers, more_answers) = result_budget.take_prefix(inbox.answers.iter().map(late_answer));
    included.questions = take_first(inbox.questions, questions.len());
    included.answers = take_first(inbox.answers, answers.len());
    included.granted = take_first(inbox.granted, granted.len());
    let held = |one: &&PendingQuestion| one.pending.question.held.is_some();
    body["held"] = included.questions.iter().filter(held).count().into();
    body["questions"] = questions.into();
    body["answers"] = answers.into();
    body["claims_granted"] = granted.into();
    if more_questions || more_answers || more_granted {
        mark_truncated(&mut body, INBOX_TRUNCATED_HINT);
    }
    (body, included)
}

fn take_first<T>(mut all: Vec<T>, count: usize) -> Vec<T> {
    all.truncate(count);
    all
}

/// Returns messages, as many as a result carries.
pub(super) fn messages(listed: &MessageList) -> Value {
    let (values, cut) =
        ResultBudget::new().take_prefix(listed.messages.iter().map(output::message));
    let last = values.last().map(|value| value["message_id"].clone());
    let mut body = json!({ "messages": values, "cursor": listed.cursor, "unread": listed.unread });
    if cut {
        let last = last.unwrap_or_default();
        let hint = format!("Call list_messages with \"after\": {last} for the rest.");
        mark_truncated(&mut body, &hint);
    }
    body
}

/// Returns one question in full, whichever side of it the reader is on, and nothing of what else waits. `shown` says that
/// this result is one more showing of it.
pub(super) fn full_question(you: &str, between: &QuestionWithPeers, shown: bool) -> Value {
    let question = &between.question;
    json!({
        "you": you,
        "questions": [{
            "question_id": question.id,
            "from": between.from,
            "addressed_to": between.to,
            "asked_at": rfc3339(question.asked_at_ms),
            "asker_waiting": between.asker_waiting,
            "state": question.state,
            "question": question.question,
            "context": question.context,
            "answer": question.answer,
            "shown_times": question.shown_times + u32::from(shown),
        }],
    })
}
