//! Operations on questions: list them, read the state of one, withdraw one.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::operations::entry::entry;
use crate::mesh::{QuestionStatus, QuestionWithPeers};
use crate::model::{QuestionState, Refusal, Result};
use crate::platform::clock::rfc3339;
use crate::platform::id::QuestionId;
use crate::tools::output::{self, QuestionEnd, QuestionResult};
use crate::tools::{self, CallContext, JsonObject, Operation, ToolEntry};

pub(super) const OPERATIONS: [ToolEntry; 3] = [
    entry(
        "list_questions",
        tools::schema_of::<ListQuestionsParams>,
        list_questions,
    ),
    entry(
        "question_state",
        tools::schema_of::<QuestionParams>,
        question_state,
    ),
    entry("withdraw", tools::schema_of::<QuestionParams>, withdraw),
];

/// Questions in one result by default, and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuestionsParams {
    /// all: of the whole mesh, for a person
    scope: Option<QuestionScope>,
    /// default 50
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// a question id: only earlier ones
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum QuestionScope {
    Own,
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuestionParams {
    question_id: String,
}

fn question_id(parameter: &str, text: &str) -> Result<QuestionId> {
    text.trim().parse().map_err(|_| {
        Refusal::argument(format!("\"{parameter}\" must be the id of a question")).into()
    })
}

fn list_questions(arguments: JsonObject) -> Result<Operation> {
    let ListQuestionsParams {
        scope,
        limit,
        after,
    } = tools::read_arguments(arguments)?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let problem = format!("\"limit\" must be from 1 to {LIMIT_MAX}, got {limit}");
        return Err(Refusal::argument(problem).into());
    }
    let after = after.map(|id| question_id("after", &id)).transpose()?;
    let whole_mesh = scope == Some(QuestionScope::All);
    Ok(tools::single_step(move |call| {
        let page = (after, limit + 1);
        let mut found = call.mesh.questions_before(&call.me, whole_mesh, page)?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        list_body(call, &found, more)
    }))
}

/// Returns as many questions as a result carries, and how to get the rest.
fn list_body(call: &mut CallContext<'_>, found: &[QuestionWithPeers], more: bool) -> Result<Value> {
    let ids: Vec<QuestionId> = found.iter().map(|one| one.question.id).collect();
    let statuses = call.mesh.question_statuses(&ids)?;
    let mut chars_left = tools::CHARS_MAX;
    let mut questions = Vec::new();
    for (one, status) in found.iter().zip(&statuses) {
        let mut value = output::question_between(&one.question, one.from.as_str(), one.to.as_str());
        value["asker_waiting"] = one.asker_waiting.into();
        value["delivery"] = output::delivery(&status.delivery);
        value["held"] = json!(status.held.map(|held| held.reason));
        let chars = value.to_string().len();
        if chars > chars_left && !questions.is_empty() {
            break;
        }
        chars_left = chars_left.saturating_sub(chars);
        questions.push(value);
    }
    let truncated = more || questions.len() < found.len();
    let next = questions.last().map(|last| last["question_id"].clone());
    let mut body = json!({ "you": call.me.name, "questions": questions });
    body["next"] = next.filter(|_| truncated).unwrap_or_default();
    Ok(body)
}

fn question_state(arguments: JsonObject) -> Result<Operation> {
    let QuestionParams { question_id: id } = tools::read_arguments(arguments)?;
    let id = question_id("question_id", &id)?;
    Ok(tools::single_step(move |call| {
        let between = call.mesh.question(&call.me, id)?;
        let statuses = call.mesh.question_statuses(&[id])?;
        let question = &between.question;
        if question.state.is_replied() && question.asker == call.me.peer {
            take_reply(call, id)?;
        }
        let mut result = state_of(&statuses[0]).to_json();
        let more = json!({
            "state": question.state,
            "asked_by": between.from,
            "asked_at": rfc3339(question.asked_at_ms),
            "asker_waiting": between.asker_waiting,
            "question": question.question,
            "context": question.context,
        });
        if let Value::Object(more) = more {
            result.extend(more);
        }
        Ok(result.into())
    }))
}

/// Takes the reply from the inbox of its asker, who reads it now.
fn take_reply(call: &mut CallContext<'_>, id: QuestionId) -> Result<()> {
    let wait = call.mesh.await_replies(&call.me, &[id], false)?;
    let poll = call.mesh.poll(&call.me, &wait, false)?;
    call.mesh.finish_wait(&call.me, &wait, &poll, &[])?;
    Ok(())
}

/// Returns what `await_reply` returns after a wait that ended at once.
fn state_of(status: &QuestionStatus) -> QuestionResult<'_> {
    let end = match (status.question.state, status.held) {
        (QuestionState::Answered | QuestionState::Declined, _) => QuestionEnd::Replied,
        (QuestionState::Withdrawn, _) => QuestionEnd::Cancelled { withdrawn: true },
        (QuestionState::Open, Some(held)) => QuestionEnd::Held(held),
        (QuestionState::Open, None) if !status.askable => QuestionEnd::Offline {
            last_seen_at_ms: status.last_seen_at_ms,
            same_project: None,
        },
        (QuestionState::Open | QuestionState::Expired, _) => QuestionEnd::Unanswered("timed_out"),
    };
    QuestionResult {
        question: status,
        end,
        waited_ms: None,
        hint: None,
    }
}

fn withdraw(arguments: JsonObject) -> Result<Operation> {
    let QuestionParams { question_id: id } = tools::read_arguments(arguments)?;
    let id = question_id("question_id", &id)?;
    Ok(tools::single_step(move |call| {
        let question = call.mesh.question(&call.me, id)?.question;
        if question.asker != call.me.peer {
            let problem = format!("question {id} was asked by another session");
            return Err(Refusal::NotYours { problem }.into());
        }
        let withdrawn = call.mesh.withdraw(&call.me, id)?;
        Ok(json!({ "question_id": id, "withdrawn": withdrawn }))
    }))
}
