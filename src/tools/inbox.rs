//! The tools `reply_to_peer` and `poll_inbox`: answer a question of another session, and show what is pending for this
//! one.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mesh::{
    Inbox, LateAnswer, Mesh, PendingQuestion, QuestionWithPeers, Reply, SessionHandle,
};
use crate::model::{Result, WakeState};
use crate::platform::clock::rfc3339;
use crate::platform::id::QuestionId;
use crate::platform::text::cut_chars;
use crate::store::Task;
use crate::tools::call::{CallContext, Operation, single_step};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::fork::{ForkReplyParams, ForkRequestParams};
use crate::tools::result_budget::ResultBudget;
use crate::tools::{arguments, event, fork, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 2] = [
    ToolEntry {
        set: "ask",
        name: "reply_to_peer",
        description: "Answers a question that a session asked you; it gets the text as the result of its call. Answer from what you know or can read in a few steps; with decline: true say why not and what would be needed. corrects: true replaces your earlier answer.",
        schema: schema::schema_of::<ReplyToPeerParams>,
        handler: reply_to_peer,
        effect: Effect::Idempotent,
        always_load: true,
        large_result: false,
    },
    ToolEntry {
        set: "ask",
        name: "poll_inbox",
        description: "Shows what is pending for you: questions, late answers, granted claims, tasks, how much mail. Consumes nothing. With question_id: that one in full.",
        schema: schema::schema_of::<PollInboxParams>,
        handler: poll_inbox,
        effect: Effect::Reads,
        always_load: true,
        large_result: true,
    },
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplyToPeerParams {
    question_id: String,
    answer: String,
    decline: Option<bool>,
    corrects: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PollInboxParams {
    question_id: Option<String>,
}

/// A reply, as the arguments of `reply_to_peer` make it.
pub(crate) struct ReplyDraft {
    question: QuestionId,
    answer: String,
    decline: bool,
    corrects: bool,
    fork: Option<ForkReplyParams>,
}

impl ReplyDraft {
    /// Reads the arguments.
    pub(crate) fn read(mut arguments: JsonObject) -> Result<Self> {
        let fork = fork::take_params(&mut arguments)?;
        let ReplyToPeerParams {
            question_id,
            answer,
            decline,
            corrects,
        } = arguments::read(arguments)?;
        Ok(Self {
            question: arguments::question_id(&question_id)?,
            answer,
            decline: decline == Some(true),
            corrects: corrects == Some(true),
            fork,
        })
    }

    /// Stores the reply of a session: of its model, or `from_plugin` of a fork. Returns the result of the call.
    pub(crate) fn store(
        &self,
        mesh: &mut Mesh,
        me: &SessionHandle,
        from_plugin: bool,
    ) -> Result<Value> {
        let is_plain = !self.decline && !self.corrects;
        let fork = fork::checked_reply(self.fork.as_ref(), is_plain, from_plugin)?;
        let reply = Reply {
            question: self.question,
            text: &self.answer,
            decline: self.decline,
            corrects: self.corrects,
            force: false,
            fork,
        };
        let replied = mesh.reply(me, reply)?;
        Ok(json!({
            "status": replied.state,
            "question_id": self.question,
            "to": replied.to,
            "asker_waiting": replied.asker_waiting,
            "late": replied.late,
        }))
    }
}

fn reply_to_peer(arguments: JsonObject) -> Result<Operation> {
    let draft = ReplyDraft::read(arguments)?;
    Ok(single_step(move |call| {
        draft.store(call.mesh, &call.me, call.from_plugin)
    }))
}

fn poll_inbox(mut arguments: JsonObject) -> Result<Operation> {
    let fork: Option<ForkRequestParams> = fork::take_params(&mut arguments)?;
    let PollInboxParams { question_id } = arguments::read(arguments)?;
    if let Some(request) = fork {
        return Ok(single_step(move |call| fork::serve(&request, call)));
    }
    let id = question_id
        .map(|id| arguments::question_id(&id))
        .transpose()?;
    Ok(single_step(move |call| match id {
        Some(id) => deliver_question(call, id),
        None => deliver_inbox(call),
    }))
}

/// Returns one question in full; if it is pending for this session, this is a delivery.
fn deliver_question(call: &mut CallContext<'_>, id: QuestionId) -> Result<Value> {
    let between = call.mesh.question(&call.me, id)?;
    let mut questions = call.mesh.inbox(&call.me)?.questions;
    questions.retain(|pending| pending.delivery.question.id == id);
    let delivered = !questions.is_empty();
    let inbox = Inbox {
        questions,
        ..Inbox::default()
    };
    let delivered = delivered && !call.from_plugin;
    if delivered {
        call.mesh
            .mark_delivered(&call.me, &inbox, None, WakeState::Call)?;
    }
    Ok(full_question(call.me.name.as_str(), &between, delivered))
}

fn deliver_inbox(call: &mut CallContext<'_>) -> Result<Value> {
    let inbox = call.mesh.inbox(&call.me)?;
    let unread = call.mesh.unread(&call.me)?;
    let tasks = call.mesh.unstarted_tasks(&call.me)?;
    let (mut body, delivered) = inbox_body(call.me.name.as_str(), inbox, unread, &tasks);
    // What a plugin sees is not before the model.
    if !call.from_plugin {
        call.mesh
            .mark_delivered(&call.me, &delivered, None, WakeState::Call)?;
    }
    event::add_subscribed_events(call.mesh, &call.me, &mut body)?;
    Ok(body)
}

/// Returns an answer that came while no call waited, with the first characters of its question.
fn late_answer(late: &LateAnswer) -> Value {
    let mut value = output::late_answer(late);
    value["question"] = cut_chars(&late.question.question, 200).into();
    value
}

/// How to get the rest of an inbox.
const INBOX_TRUNCATED_HINT: &str = "Answer what is asked here and take these answers with await_reply, then call poll_inbox again for the rest.";

/// Returns the inbox, as much as a result carries, and what of it was included; the rest counts as not delivered.
fn inbox_body(you: &str, inbox: Inbox, messages_unread: u32, tasks: &[Task]) -> (Value, Inbox) {
    let mut body = json!({
        "you": you, "questions": [], "answers": [], "messages_unread": messages_unread, "claims_granted": [],
        "tasks": tasks.iter().map(output::unstarted_task).collect::<Vec<_>>(),
        "events": [], "held": 0,
    });
    let mut result_budget = ResultBudget::excluding(&body);
    let mut included = Inbox::default();
    // The most urgent first: the lease of a granted claim runs, and the asker of a question waits; an answer can wait.
    let (granted, more_granted) =
        result_budget.take_prefix(inbox.granted.iter().map(output::granted));
    let (questions, more_questions) =
        result_budget.take_prefix(inbox.questions.iter().map(results::delivered_question));
    let (answers, more_answers) = result_budget.take_prefix(inbox.answers.iter().map(late_answer));
    included.questions = take_first(inbox.questions, questions.len());
    included.answers = take_first(inbox.answers, answers.len());
    included.granted = take_first(inbox.granted, granted.len());
    let held = |one: &&PendingQuestion| one.delivery.question.held.is_some();
    body["held"] = included.questions.iter().filter(held).count().into();
    body["questions"] = questions.into();
    body["answers"] = answers.into();
    body["claims_granted"] = granted.into();
    if more_questions || more_answers || more_granted {
        results::mark_truncated(&mut body, INBOX_TRUNCATED_HINT);
    }
    (body, included)
}

fn take_first<T>(mut all: Vec<T>, count: usize) -> Vec<T> {
    all.truncate(count);
    all
}

/// Returns one question in full, for its asker or for the peer that was asked. `delivered` says that this result is one
/// more delivery.
fn full_question(you: &str, between: &QuestionWithPeers, delivered: bool) -> Value {
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
            "shown_times": question.shown_times + u32::from(delivered),
        }],
    })
}
