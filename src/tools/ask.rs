//! `ask_peer` and `await_reply`.
use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mesh::{
    AskedQuestion, IfOffline, QuestionStatus, ReplyWait, ReplyWaitEnd, StopReason, Wait,
    WaitOutcome, WaitStep,
};
use crate::model::peer::Address;
use crate::model::throttle::{ThrottleReason, Throttled};
use crate::model::{Error, QuestionState, Refusal, Result};
use crate::platform::Moment;
use crate::platform::id::{QuestionId, WaitId};
use crate::tools::call::{CallContext, Operation, ProgressReport, Step, StoppableWait, ToolCall};
use crate::tools::entry::{Effect, Entry, JsonObject};
use crate::tools::output::{QuestionEnd, QuestionResult};
use crate::tools::parameters::{OneOf, OneOrMany};
use crate::tools::prior_answers::{PriorAnswersByQuestion, PriorAnswersOnly};
use crate::tools::{arguments, prior_answers, results, schema};

pub(super) const TOOLS: [Entry; 2] = [
    Entry {
        set: "ask",
        name: "ask_peer",
        description: "Asks another session and returns its answer as the result. Use it for what that session knows: its project, services, decisions. Ask one self-contained question. The peer is shown it even while busy; if it is offline it is stored and you get `offline` at once. `known`: its earlier answers. After two minutes the call may go on in the background and its result comes by itself: do not ask again. Several peers at once: `to` as a list.",
        schema: schema::schema_of::<AskPeer>,
        handler: ask_peer,
        effect: Effect::Writes,
        always_load: true,
        large_result: true,
    },
    Entry {
        set: "ask",
        name: "await_reply",
        description: "Waits for the answer to a question you asked earlier, after `timed_out`, `offline` or `interrupted`. Returns at once if it has come; answers are kept for 30 days.",
        schema: schema::schema_of::<AwaitReply>,
        handler: await_reply,
        effect: Effect::Idempotent,
        always_load: true,
        large_result: true,
    },
];

/// Seconds that a call waits, unless told otherwise, and at most.
const TIMEOUT_SECONDS: u32 = 300;
const TIMEOUT_SECONDS_MAX: u32 = 3_600;

/// Why the result came without an answer, and what to do.
const STILL_OPEN_HINT: &str = "The question stays open; do not ask again. Go on, and call await_reply with this question_id later, or poll_inbox.";
const OFFLINE_HINT: &str = "Nobody who can answer sits there now. The question is stored; the next session there gets it, and the answer comes to your inbox (poll_inbox, await_reply).";

const WITHDRAWN_HINT: &str =
    "It was taken back before anyone saw it; ask again if you still need it.";
const EXPIRED_HINT: &str = "It expired after 7 days; a late answer still comes to your inbox.";
const OVER_BUDGET_HINT: &str = "Peers have started as many turns there as they may until its person types again. The question is stored and shown then; do not ask again.";
const QUIET_HINT: &str = "Its person wants it left alone for now. The question is stored and rung for when that ends; do not ask again.";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskPeer {
    /// name, or name/any for any session of that project
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
    /// known: wake nobody
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
    Known,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AwaitReply {
    question_id: OneOrMany,
    /// default 300
    #[schemars(range(min = 1, max = 3600))]
    timeout_seconds: Option<u32>,
}

fn ask_peer(arguments: JsonObject) -> Result<Operation> {
    let ask: AskPeer = arguments::read(arguments)?;
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
        if_offline: ask
            .if_offline
            .map_or(IfOffline::Queue, |OneOf(choice)| choice),
        any: many && ask.wait_for == Some(WaitFor::Any),
        many,
        timeout_seconds,
        request: Request::Ask {
            addresses,
            question: ask.question,
            context: ask.context,
        },
        questions: Vec::new(),
        asked: Vec::new(),
        began_monotonic_ms: None,
        phase: Phase::Begin,
    }))
}

fn await_reply(arguments: JsonObject) -> Result<Operation> {
    let AwaitReply {
        question_id,
        timeout_seconds,
    } = arguments::read(arguments)?;
    let timeout_seconds = timeout(timeout_seconds)?;
    let (ids, many) = question_id.into_list();
    Ok(Box::new(ReplyCall {
        // Whether somebody can be asked there does not end this wait.
        if_offline: IfOffline::Wait,
        any: false,
        many,
        timeout_seconds,
        request: Request::Await,
        questions: ids
            .iter()
            .map(|id| arguments::question_id(id))
            .collect::<Result<_>>()?,
        asked: Vec::new(),
        began_monotonic_ms: None,
        phase: Phase::Begin,
    }))
}

fn timeout(seconds: Option<u32>) -> Result<u32> {
    let limits = 1..=TIMEOUT_SECONDS_MAX;
    arguments::check_range("timeout_seconds", seconds, limits, TIMEOUT_SECONDS)
}

/// A call that waits for replies.
struct ReplyCall {
    request: Request,
    if_offline: IfOffline,
    /// The first reply ends it.
    any: bool,
    /// The caller named several, and gets a list.
    many: bool,
    timeout_seconds: u32,
    /// All questions of the call, in the order asked.
    questions: Vec<QuestionId>,
    asked: Vec<AskedQuestion>,
    began_monotonic_ms: Option<i64>,
    phase: Phase,
}

enum Request {
    Ask {
        addresses: Vec<Address>,
        question: String,
        context: Option<String>,
    },
    Await,
}

enum Phase {
    Begin,
    Waiting(Box<StoppableWait<ReplyWait>>),
    Ended(EndedWait),
}

/// A wait that has ended, and what its result still needs.
struct EndedWait {
    outcome: WaitOutcome<ReplyWaitEnd>,
    /// The row of the wait, until it has been deleted.
    row: Option<WaitId>,
    waited_ms: Option<i64>,
    question_statuses: Vec<QuestionStatus>,
    /// The questions whose prior answers are still to be looked up; `None` until the statuses are complete.
    lookups: Option<VecDeque<QuestionId>>,
    prior_answers: PriorAnswersByQuestion,
}

impl ToolCall for ReplyCall {
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        match &mut self.phase {
            Phase::Begin => {
                self.phase = match self.begin(call)? {
                    Some(wait) => {
                        let wait = StoppableWait::new(wait, call, self.timeout_seconds);
                        Phase::Waiting(Box::new(wait))
                    }
                    None => Phase::Ended(EndedWait::without_wait()),
                };
                Ok(Step::Again)
            }
            Phase::Waiting(wait) => Ok(match wait.step(call)? {
                WaitStep::PendingUntil { monotonic_ms } => Step::PendingUntil { monotonic_ms },
                WaitStep::Ended(outcome) => {
                    self.phase = Phase::Ended(EndedWait::of(wait, outcome));
                    Step::WaitEnded
                }
            }),
            Phase::Ended(ended) => {
                ended.row = None;
                let now_monotonic_ms = call.mesh.now().monotonic_ms;
                let began_monotonic_ms = self.began_monotonic_ms.unwrap_or(now_monotonic_ms);
                ended
                    .waited_ms
                    .get_or_insert(now_monotonic_ms - began_monotonic_ms);
                // With `any` the others may have been withdrawn, and who is offline was not waited for.
                let is_complete =
                    !self.any && ended.question_statuses.len() == self.questions.len();
                if ended.read_next(call, &self.questions, is_complete)? {
                    return Ok(Step::Again);
                }
                Ok(Step::Done(self.result()))
            }
        }
    }

    fn stop(&mut self, reason: StopReason) {
        if let Phase::Waiting(wait) = &mut self.phase {
            wait.stop(reason);
        }
    }

    fn recover(&mut self, error: Error) -> Result<()> {
        match &mut self.phase {
            Phase::Waiting(wait) => {
                let outcome = wait.recover(error)?;
                self.phase = Phase::Ended(EndedWait::of(wait, outcome));
                Ok(())
            }
            Phase::Ended(ended) => {
                // The result carries the id of a question that is stored: it goes without the prior answers.
                let failed = ended.lookups.as_mut().and_then(VecDeque::pop_front);
                failed.map(|_| ()).ok_or(error)
            }
            Phase::Begin => Err(error),
        }
    }

    fn progress(&self, now: &Moment) -> Option<ProgressReport> {
        match &self.phase {
            Phase::Waiting(wait) => Some(progress_report(
                wait.condition().question_statuses(),
                now.wall_ms,
            )),
            Phase::Begin | Phase::Ended(_) => None,
        }
    }

    fn wait_row(&self) -> Option<WaitId> {
        match &self.phase {
            Phase::Begin => None,
            Phase::Waiting(wait) => wait.row(),
            Phase::Ended(ended) => ended.row,
        }
    }
}

impl ReplyCall {
    /// Asks, and returns the wait that follows, if there is somebody to wait for.
    fn begin(&mut self, call: &mut CallContext<'_>) -> Result<Option<ReplyWait>> {
        self.began_monotonic_ms
            .get_or_insert(call.mesh.now().monotonic_ms);
        let Request::Ask {
            addresses,
            question,
            context,
        } = &self.request
        else {
            let wait = call.mesh.await_replies(&call.me, &self.questions, false)?;
            return Ok(Some(ReplyWait::new(wait)));
        };
        let outcome = call.mesh.ask(
            &call.me,
            addresses,
            question,
            context.as_deref(),
            self.if_offline,
        )?;
        self.asked = outcome.asked;
        self.questions = self.asked.iter().map(|asked| asked.question).collect();
        let Some(id) = outcome.wait else {
            return Ok(None);
        };
        let ids = |wanted: &dyn Fn(&AskedQuestion) -> bool| {
            let wanted = self.asked.iter().filter(|asked| wanted(asked));
            wanted.map(|asked| asked.question).collect::<Vec<_>>()
        };
        let wait = Wait {
            id,
            questions: ids(&|asked| asked.is_awaited(self.if_offline)),
            any: self.any,
        };
        let wait = ReplyWait::new(wait)
            .withdrawing(ids(&|asked| !asked.joined))
            .while_reachable(self.if_offline == IfOffline::Queue);
        Ok(Some(wait))
    }

    fn result(&self) -> Value {
        let Phase::Ended(ended) = &self.phase else {
            return Value::Null;
        };
        let one = |status: &QuestionStatus| {
            let mut result = self.question_result(status, ended);
            if let Some(prior_answers) = ended.prior_answers.get(&status.question.id) {
                result.insert("known".into(), json!(prior_answers));
            }
            result
        };
        if self.many {
            let results = ended.question_statuses.iter().map(one).collect();
            self.multi_question_result(ended, results)
        } else {
            one(&ended.question_statuses[0]).into()
        }
    }

    /// Returns the result for one question.
    fn question_result(&self, status: &QuestionStatus, ended: &EndedWait) -> Map<String, Value> {
        let result = |end, hint| {
            let result = QuestionResult {
                question: status,
                waited_ms: ended
                    .waited_ms
                    .filter(|_| matches!(end, QuestionEnd::Replied)),
                end,
                hint,
            };
            result.to_json()
        };
        match (status.question.state, &ended.outcome) {
            (QuestionState::Answered | QuestionState::Declined, _) => {
                result(QuestionEnd::Replied, None)
            }
            (QuestionState::Withdrawn, _) => result(
                QuestionEnd::Cancelled { withdrawn: true },
                Some(WITHDRAWN_HINT),
            ),
            (QuestionState::Expired, _) => {
                result(QuestionEnd::Unanswered("timed_out"), Some(EXPIRED_HINT))
            }
            (QuestionState::Open, WaitOutcome::Cancelled) => result(
                QuestionEnd::Cancelled { withdrawn: false },
                Some(STILL_OPEN_HINT),
            ),
            (QuestionState::Open, WaitOutcome::Interrupted(interruption)) => {
                let mut result = result(QuestionEnd::Unanswered("interrupted"), None);
                result.extend(results::interruption(
                    interruption,
                    results::ANSWER_FIRST_HINT,
                ));
                result
            }
            (QuestionState::Open, WaitOutcome::Done(ReplyWaitEnd::NoneReachable))
                if let Some(held) = status.held =>
            {
                result(QuestionEnd::Held(held), Some(held_hint(held)))
            }
            (QuestionState::Open, _) if self.if_offline == IfOffline::Queue && !status.askable => {
                result(self.offline(status), Some(OFFLINE_HINT))
            }
            (QuestionState::Open, _) => {
                result(QuestionEnd::Unanswered("timed_out"), Some(STILL_OPEN_HINT))
            }
        }
    }

    fn offline(&self, status: &QuestionStatus) -> QuestionEnd<'_> {
        let mut asked = self.asked.iter();
        let asked = asked.find(|asked| asked.question == status.question.id);
        QuestionEnd::Offline {
            last_seen_at_ms: asked.map_or(status.last_seen_at_ms, |asked| {
                asked.last_seen_at_ms.max(status.last_seen_at_ms)
            }),
            same_project: asked.map(|asked| asked.same_project.as_slice()),
        }
    }

    /// Returns the result for several questions.
    fn multi_question_result(
        &self,
        ended: &EndedWait,
        mut answers: Vec<Map<String, Value>>,
    ) -> Value {
        let statuses = &ended.question_statuses;
        let replied = statuses
            .iter()
            .filter(|status| status.question.state.is_replied())
            .count();
        let status = match ended.outcome {
            _ if replied == statuses.len() || (self.any && replied > 0) => "answered",
            WaitOutcome::Interrupted(_) => "interrupted",
            WaitOutcome::Cancelled => "cancelled",
            WaitOutcome::Done(_) | WaitOutcome::Expired if replied > 0 => "partial",
            WaitOutcome::Done(_) | WaitOutcome::Expired => "timed_out",
        };
        let mut result = json!({ "status": status, "question_ids": self.questions });
        if let WaitOutcome::Interrupted(interruption) = &ended.outcome {
            let more = results::interruption(interruption, results::ANSWER_FIRST_HINT);
            results::add(&mut result, more);
            for answer in &mut answers {
                for key in ["questions", "truncated", "hint"] {
                    answer.shift_remove(key);
                }
            }
        }
        results::add_answers(&mut result, answers);
        result
    }
}

impl EndedWait {
    fn without_wait() -> Self {
        Self {
            outcome: WaitOutcome::Done(ReplyWaitEnd::NoneReachable),
            row: None,
            waited_ms: None,
            question_statuses: Vec::new(),
            lookups: None,
            prior_answers: PriorAnswersByQuestion::new(),
        }
    }

    fn of(wait: &StoppableWait<ReplyWait>, outcome: WaitOutcome<ReplyWaitEnd>) -> Self {
        Self {
            outcome,
            row: wait.row(),
            question_statuses: wait.condition().question_statuses().to_vec(),
            ..Self::without_wait()
        }
    }

    /// Reads the next part of what the result needs. Returns false if it needs nothing more.
    fn read_next(
        &mut self,
        call: &mut CallContext<'_>,
        questions: &[QuestionId],
        is_complete: bool,
    ) -> Result<bool> {
        let Some(lookups) = &mut self.lookups else {
            if !is_complete {
                self.question_statuses = call.mesh.question_statuses(questions)?;
            }
            self.lookups = Some(self.unanswered());
            return Ok(true);
        };
        let Some(id) = lookups.front() else {
            return Ok(false);
        };
        let mut statuses = self.question_statuses.iter();
        if let Some(status) = statuses.find(|status| status.question.id == *id) {
            let prior_answers = prior_answers::find(call, &status.question)?;
            self.prior_answers.insert(*id, prior_answers);
        }
        lookups.pop_front();
        Ok(true)
    }

    /// Returns the questions for which prior answers help: an asker that must answer first, or has gone on, needs none.
    fn unanswered(&self) -> VecDeque<QuestionId> {
        if matches!(
            self.outcome,
            WaitOutcome::Interrupted(_) | WaitOutcome::Cancelled
        ) {
            return VecDeque::new();
        }
        let questions = self.question_statuses.iter().map(|status| &status.question);
        questions
            .filter(|question| {
                matches!(question.state, QuestionState::Open | QuestionState::Expired)
            })
            .map(|question| question.id)
            .collect()
    }
}

fn held_hint(held: Throttled) -> &'static str {
    match held.reason {
        ThrottleReason::WakeBudget => OVER_BUDGET_HINT,
        ThrottleReason::Quiet | ThrottleReason::Paused => QUIET_HINT,
    }
}

/// Returns how far the open questions have come. Elapsed times grow all the time; they are no new facts.
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
