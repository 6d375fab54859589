//! The tools `ask_peer` and `await_reply`: each stores or finds questions, waits until they are answered, and returns
//! the answers or the reason why there is none.
//!
//! A call begins, waits and ends in separate steps ([`ReplyPhase`]); `ask_result` builds its result.
use schemars::JsonSchema;
use serde::Deserialize;
#[cfg(feature = "hub")]
use serde_json::json;

use crate::mesh::{
    AskedQuestion, IfOffline, QuestionDraft, QuestionStatus, ReplyWait, StopReason, Wait, WaitStep,
};
use crate::model::peer::Address;
use crate::model::{Error, QuestionState, Refusal, Result};
use crate::platform::Moment;
#[cfg(feature = "hub")]
use crate::platform::id::QuestionId;
use crate::platform::id::WaitId;
use crate::tools::ask_result::{Awaited, EndedWait};
use crate::tools::call::{CallContext, Operation, ProgressReport, Step, StoppableWait, ToolCall};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::parameters::{OneOf, OneOrMany};
use crate::tools::prior_answers::PriorAnswersOnly;
use crate::tools::{arguments, schema};

pub(super) const TOOLS: [ToolEntry; 2] = [
    ToolEntry {
        set: "ask",
        name: "ask_peer",
        description: "Asks another session and returns its answer as the result. Use it for what that session knows: its project, services, decisions. Ask one self-contained question. A busy peer gets it too; for an offline one it is stored: `offline` at once. `known`: its earlier answers. After two minutes the call may go on in the background; its result comes by itself: do not ask again. Several peers: `to` as a list.",
        schema: schema::schema_of::<AskPeerParams>,
        handler: ask_peer,
        effect: Effect::Writes,
        always_load: true,
        large_result: true,
    },
    ToolEntry {
        set: "ask",
        name: "await_reply",
        description: "Waits for the answer to a question you asked earlier, after `timed_out`, `offline` or `interrupted`. Returns at once if it has arrived; answers are kept for 30 days.",
        schema: schema::schema_of::<AwaitReplyParams>,
        handler: await_reply,
        effect: Effect::Idempotent,
        always_load: true,
        large_result: true,
    },
];

/// Seconds that a call waits by default, and at most.
const TIMEOUT_SECONDS: u32 = 300;
const TIMEOUT_SECONDS_MAX: u32 = 3_600;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskPeerParams {
    /// name, name/any for any session of that project, or person: the user
    to: OneOrMany,
    question: String,
    context: Option<String>,
    /// default 300
    #[schemars(range(min = 1, max = 3600))]
    timeout_seconds: Option<u32>,
    /// for a list; default all
    wait_for: Option<WaitFor>,
    /// default queue: return at once
    if_offline: Option<OneOf<IfOffline>>,
    /// session: no fork; known: wake nobody
    prefer: Option<Prefer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum WaitFor {
    All,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Prefer {
    Live,
    Session,
    Known,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AwaitReplyParams {
    question_id: OneOrMany,
    /// default 300
    #[schemars(range(min = 1, max = 3600))]
    timeout_seconds: Option<u32>,
}

fn ask_peer(arguments: JsonObject) -> Result<Operation> {
    let ask: AskPeerParams = arguments::read(arguments)?;
    let timeout_seconds = timeout(ask.timeout_seconds)?;
    let (to, many) = ask.to.into_list();
    if many && to.len() < 2 {
        return Err(Refusal::argument(
            "\"to\" as a list needs 2 to 16 names; write one name as a text",
        )
        .into());
    }
    let addresses: Vec<Address> = to
        .iter()
        .map(|name| Address::parse(name))
        .collect::<std::result::Result<_, _>>()?;
    if ask.prefer == Some(Prefer::Known) {
        return Ok(Box::new(PriorAnswersOnly::new(
            addresses,
            many,
            ask.question,
        )));
    }
    Ok(Box::new(ReplyCall {
        awaited: Awaited {
            if_offline: ask
                .if_offline
                .map_or(IfOffline::Queue, |OneOf(choice)| choice),
            any: many && ask.wait_for == Some(WaitFor::Any),
            many,
            questions: Vec::new(),
            asked: Vec::new(),
        },
        timeout_seconds,
        request: ReplyRequest::Ask {
            addresses,
            question: ask.question,
            context: ask.context,
            session_only: ask.prefer == Some(Prefer::Session),
        },
        began_monotonic_ms: None,
        phase: ReplyPhase::Begin,
    }))
}

fn await_reply(arguments: JsonObject) -> Result<Operation> {
    let AwaitReplyParams {
        question_id,
        timeout_seconds,
    } = arguments::read(arguments)?;
    let timeout_seconds = timeout(timeout_seconds)?;
    let (ids, many) = question_id.into_list();
    Ok(Box::new(ReplyCall {
        awaited: Awaited {
            // This wait goes on if the peer goes offline.
            if_offline: IfOffline::Wait,
            any: false,
            many,
            questions: ids
                .iter()
                .map(|id| arguments::question_id(id))
                .collect::<Result<_>>()?,
            asked: Vec::new(),
        },
        timeout_seconds,
        request: ReplyRequest::Await,
        began_monotonic_ms: None,
        phase: ReplyPhase::Begin,
    }))
}

fn timeout(seconds: Option<u32>) -> Result<u32> {
    let limits = 1..=TIMEOUT_SECONDS_MAX;
    arguments::check_range("timeout_seconds", seconds, limits, TIMEOUT_SECONDS)
}

/// A call that waits for replies.
struct ReplyCall {
    request: ReplyRequest,
    awaited: Awaited,
    timeout_seconds: u32,
    began_monotonic_ms: Option<i64>,
    phase: ReplyPhase,
}

enum ReplyRequest {
    Ask {
        addresses: Vec<Address>,
        question: String,
        context: Option<String>,
        session_only: bool,
    },
    Await,
}

enum ReplyPhase {
    Begin,
    Waiting(Box<StoppableWait<ReplyWait>>),
    Ended(EndedWait),
}

impl ToolCall for ReplyCall {
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        match &mut self.phase {
            ReplyPhase::Begin => {
                self.phase = match self.begin(call)? {
                    Some(wait) => {
                        let wait = StoppableWait::new(wait, call, self.timeout_seconds);
                        ReplyPhase::Waiting(Box::new(wait))
                    }
                    None => ReplyPhase::Ended(EndedWait::without_wait()),
                };
                Ok(Step::Again)
            }
            ReplyPhase::Waiting(wait) => Ok(match wait.step(call)? {
                WaitStep::PendingUntil { monotonic_ms } => Step::PendingUntil { monotonic_ms },
                WaitStep::Ended(outcome) => {
                    self.phase = ReplyPhase::Ended(EndedWait::of(wait, outcome));
                    Step::WaitEnded
                }
            }),
            ReplyPhase::Ended(ended) => {
                ended.row = None;
                let now_monotonic_ms = call.mesh.now().monotonic_ms;
                let began_monotonic_ms = self.began_monotonic_ms.unwrap_or(now_monotonic_ms);
                ended.set_waited_ms(now_monotonic_ms - began_monotonic_ms);
                if ended.read_next(call, &self.awaited)? {
                    return Ok(Step::Again);
                }
                Ok(Step::Done(self.awaited.result(ended)))
            }
        }
    }

    fn stop(&mut self, reason: StopReason) {
        if let ReplyPhase::Waiting(wait) = &mut self.phase {
            wait.stop(reason);
        }
    }

    fn recover(&mut self, error: Error) -> Result<()> {
        match &mut self.phase {
            ReplyPhase::Waiting(wait) => {
                let outcome = wait.recover(error)?;
                self.phase = ReplyPhase::Ended(EndedWait::of(wait, outcome));
                Ok(())
            }
            // The question is stored and the result has its id, so it is returned without the prior answers.
            ReplyPhase::Ended(ended) => ended.skip_lookup().ok_or(error),
            ReplyPhase::Begin => Err(error),
        }
    }

    fn wait_deadline(&self) -> Option<i64> {
        match &self.phase {
            ReplyPhase::Waiting(wait) => wait.deadline(),
            ReplyPhase::Begin | ReplyPhase::Ended(_) => None,
        }
    }

    fn progress(&self, now: &Moment) -> Option<ProgressReport> {
        match &self.phase {
            ReplyPhase::Waiting(wait) => Some(progress_report(
                wait.condition().question_statuses(),
                now.wall_ms,
            )),
            ReplyPhase::Begin | ReplyPhase::Ended(_) => None,
        }
    }

    fn wait_row(&self) -> Option<WaitId> {
        match &self.phase {
            ReplyPhase::Begin => None,
            ReplyPhase::Waiting(wait) => wait.row(),
            ReplyPhase::Ended(ended) => ended.row,
        }
    }
}

impl ReplyCall {
    /// Asks, and returns the wait for the replies; `None` if no addressed peer can answer now.
    fn begin(&mut self, call: &mut CallContext<'_>) -> Result<Option<ReplyWait>> {
        self.began_monotonic_ms
            .get_or_insert(call.mesh.now().monotonic_ms);
        let ReplyRequest::Ask {
            addresses,
            question,
            context,
            session_only,
        } = &self.request
        else {
            let wait = call
                .mesh
                .await_replies(&call.me, &self.awaited.questions, false)?;
            return Ok(Some(ReplyWait::new(wait)));
        };
        let outcome = call.mesh.ask(
            &call.me,
            addresses,
            &QuestionDraft {
                question,
                context: context.as_deref(),
                if_offline: self.awaited.if_offline,
                session_only: *session_only,
            },
        )?;
        self.awaited.asked = outcome.asked;
        self.awaited.questions = self
            .awaited
            .asked
            .iter()
            .map(|asked| asked.question)
            .collect();
        let Some(id) = outcome.wait else {
            return Ok(None);
        };
        let ids = |wanted: &dyn Fn(&AskedQuestion) -> bool| {
            let wanted = self.awaited.asked.iter().filter(|asked| wanted(asked));
            wanted.map(|asked| asked.question).collect::<Vec<_>>()
        };
        let wait = Wait {
            id,
            questions: ids(&|asked| asked.is_awaited(self.awaited.if_offline)),
            any: self.awaited.any,
        };
        let wait = ReplyWait::new(wait)
            .withdrawing(ids(&|asked| !asked.joined))
            .while_reachable(self.awaited.if_offline == IfOffline::Queue);
        Ok(Some(wait))
    }
}

/// Returns the progress of the open questions. Elapsed times are not part of the facts, because they always change.
fn progress_report(question_statuses: &[QuestionStatus], now_ms: i64) -> ProgressReport {
    let open = || {
        question_statuses
            .iter()
            .filter(|status| status.question.state == QuestionState::Open)
    };
    let facts: Vec<_> = open()
        .map(|status| {
            let delivery = &status.delivery;
            (
                status.peer.as_str(),
                delivery.wake,
                delivery.shown_times,
                delivery.peer_activity,
            )
        })
        .collect();
    let lines: Vec<String> = open()
        .map(|status| status.delivery.line(status.peer.as_str(), now_ms))
        .collect();
    ProgressReport {
        facts: format!("{facts:?}"),
        message: lines.join("; "),
    }
}

/// Returns the arguments of `await_reply` that wait for the questions that an earlier `ask_peer` with these arguments asked.
#[cfg(feature = "hub")]
pub(crate) fn awaited_questions(asked: &JsonObject, questions: &[QuestionId]) -> JsonObject {
    let ids: Vec<String> = questions.iter().map(QuestionId::to_string).collect();
    let many = asked.get("to").is_some_and(serde_json::Value::is_array);
    let ids = if many { json!(ids) } else { json!(ids[0]) };
    let mut awaited = JsonObject::new();
    awaited.insert("question_id".into(), ids);
    if let Some(timeout) = asked.get("timeout_seconds") {
        awaited.insert("timeout_seconds".into(), timeout.clone());
    }
    awaited
}
