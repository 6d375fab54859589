//! `ask_peer`, `await_reply`, `reply_to_peer` and `poll_inbox`.
use std::time::Duration;

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::arguments::{self, OneOrMany};
use super::super::results;
use crate::mcp::blocking_wait::{ProgressReport, drive};
use crate::mcp::tools::{Call, Effect, Entry, prior_answers};
use crate::mesh::{
    AskedQuestion, BlockingWait, IfOffline, Inbox, QuestionStatus, Reply, ReplyWait, ReplyWaitEnd,
    Wait, WaitOutcome,
};
use crate::model::peer::Address;
use crate::model::{QuestionState, Refusal, Result, WakeState};
use crate::platform::clock::rfc3339;
use crate::platform::id::QuestionId;

pub(super) const TOOLS: [Entry; 4] = [
    Entry {
        set: "ask",
        name: "ask_peer",
        description: "Asks another session and returns its answer as the result. Use it for what that session knows: its project, services, decisions. Ask one self-contained question. The peer is shown it even while busy; if it is offline it is stored and you get `offline` at once. `known`: its earlier answers. After two minutes the call may go on in the background and its result comes by itself: do not ask again. Several peers at once: `to` as a list.",
        schema: arguments::schema::<AskPeer>,
        effect: Effect::Writes,
        always_load: true,
        large_result: true,
    },
    Entry {
        set: "ask",
        name: "await_reply",
        description: "Waits for the answer to a question you asked earlier, after `timed_out`, `offline` or `interrupted`. Returns at once if it has come; answers are kept for 30 days.",
        schema: arguments::schema::<AwaitReply>,
        effect: Effect::Idempotent,
        always_load: true,
        large_result: true,
    },
    Entry {
        set: "ask",
        name: "reply_to_peer",
        description: "Answers a question another session asked you; it gets the text as the result of its call. Answer from what you know or can read in a few steps; with decline: true say why not and what would be needed. corrects: true replaces your earlier answer.",
        schema: arguments::schema::<ReplyToPeer>,
        effect: Effect::Idempotent,
        always_load: true,
        large_result: false,
    },
    Entry {
        set: "ask",
        name: "poll_inbox",
        description: "Shows what waits for you: questions, late answers, granted claims, tasks, how much mail. Looking consumes nothing. With question_id: that one in full.",
        schema: arguments::schema::<PollInbox>,
        effect: Effect::Reads,
        always_load: true,
        large_result: true,
    },
];

/// Why the result came without an answer, and what to do.
const STILL_OPEN_HINT: &str = "The question stays open; do not ask again. Go on, and call await_reply with this question_id later, or poll_inbox.";
const OFFLINE_HINT: &str = "Nobody who can answer sits there now. The question is stored; the next session there gets it, and the answer comes to your inbox (poll_inbox, await_reply).";

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
    if_offline: Option<IfOfflineParam>,
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
enum IfOfflineParam {
    Queue,
    Wait,
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplyToPeer {
    question_id: String,
    answer: String,
    decline: Option<bool>,
    corrects: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PollInbox {
    question_id: Option<String>,
}

pub(super) async fn ask_peer(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let ask: AskPeer = arguments::read(arguments)?;
    let timeout = arguments::check_range("timeout_seconds", ask.timeout_seconds, 1..=3600, 300)?;
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
        return prior_answers::answer_without_asking(call, &addresses, many, &ask.question).await;
    }
    let if_offline = if ask.if_offline == Some(IfOfflineParam::Wait) {
        IfOffline::Wait
    } else {
        IfOffline::Queue
    };
    let began_monotonic_ms = call.shared.now().monotonic_ms;
    let ask_outcome = call
        .verb(|at| {
            at.mesh.ask(
                &at.me,
                &addresses,
                &ask.question,
                ask.context.as_deref(),
                if_offline,
            )
        })
        .await?;
    let all: Vec<QuestionId> = ask_outcome
        .asked
        .iter()
        .map(|asked| asked.question)
        .collect();
    let created: Vec<QuestionId> = ask_outcome
        .asked
        .iter()
        .filter(|asked| !asked.joined)
        .map(|asked| asked.question)
        .collect();
    let awaited = |asked: &&AskedQuestion| {
        asked.held.is_none() && (asked.askable || if_offline == IfOffline::Wait)
    };
    let any = many && ask.wait_for == Some(WaitFor::Any);
    let (ended, seen) = match ask_outcome.wait {
        None => (WaitOutcome::Done(ReplyWaitEnd::NoneReachable), Vec::new()),
        Some(id) => {
            let awaited = ask_outcome.asked.iter().filter(awaited);
            let questions = awaited.map(|asked| asked.question).collect();
            let wait = ReplyWait::new(Wait { id, questions, any })
                .withdrawing(created)
                .while_reachable(if_offline == IfOffline::Queue);
            wait_for_replies(call, wait, timeout).await?
        }
    };
    let waited_ms = call.shared.now().monotonic_ms - began_monotonic_ms;
    // With `any` the others were taken back, and who is offline was not waited for: look once more at all of them.
    let question_statuses = if any || seen.len() != all.len() {
        call.verb(|at| at.mesh.question_statuses(&all)).await?
    } else {
        seen
    };
    let known = prior_answers::find_for_open(call, &question_statuses, &ended).await;
    let single_result = |question_status: &QuestionStatus| {
        let asked = ask_outcome
            .asked
            .iter()
            .find(|asked| asked.question == question_status.question.id);
        let result = question_result(question_status, &ended, Some(waited_ms), asked, if_offline);
        prior_answers::add(result, question_status, &known)
    };
    Ok(results::ok(&if many {
        multi_question_result(&question_statuses, &all, &ended, any, single_result)
    } else {
        single_result(&question_statuses[0]).into()
    }))
}

pub(super) async fn await_reply(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let AwaitReply {
        question_id,
        timeout_seconds,
    } = arguments::read(arguments)?;
    let timeout = arguments::check_range("timeout_seconds", timeout_seconds, 1..=3600, 300)?;
    let (ids, many) = question_id.into_list();
    let all: Vec<QuestionId> = ids
        .iter()
        .map(|id| arguments::question_id(id))
        .collect::<Result<_>>()?;
    let began_monotonic_ms = call.shared.now().monotonic_ms;
    let wait = call
        .verb(|at| at.mesh.await_replies(&at.me, &all, false))
        .await?;
    let (ended, question_statuses) = wait_for_replies(call, ReplyWait::new(wait), timeout).await?;
    let waited_ms = call.shared.now().monotonic_ms - began_monotonic_ms;
    let known = prior_answers::find_for_open(call, &question_statuses, &ended).await;
    let single_result = |question_status: &QuestionStatus| {
        let result = question_result(
            question_status,
            &ended,
            Some(waited_ms),
            None,
            IfOffline::Wait,
        );
        prior_answers::add(result, question_status, &known)
    };
    Ok(results::ok(&if many {
        multi_question_result(&question_statuses, &all, &ended, false, single_result)
    } else {
        single_result(&question_statuses[0]).into()
    }))
}

async fn wait_for_replies(
    call: &Call<'_>,
    wait: ReplyWait,
    timeout_seconds: u32,
) -> Result<(WaitOutcome<ReplyWaitEnd>, Vec<QuestionStatus>)> {
    let timeout = Duration::from_secs(timeout_seconds.into());
    let mut wait = BlockingWait::new(wait, call.shared.now().monotonic_ms, timeout);
    let ended = drive(call, &mut wait, |replies, now| {
        progress_report(replies.question_statuses(), now.wall_ms)
    })
    .await?;
    Ok((ended, wait.into_condition().into_question_statuses()))
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

/// Returns the result for one question after the call has ended.
fn question_result(
    question_status: &QuestionStatus,
    ended: &WaitOutcome<ReplyWaitEnd>,
    waited_ms: Option<i64>,
    asked: Option<&AskedQuestion>,
    if_offline: IfOffline,
) -> Map<String, Value> {
    if let (QuestionState::Open, WaitOutcome::Done(ReplyWaitEnd::NoneReachable), Some(held)) =
        (question_status.question.state, ended, question_status.held)
    {
        return results::held(question_status, held);
    }
    match (question_status.question.state, ended) {
        (QuestionState::Answered | QuestionState::Declined, _) => {
            results::replied(question_status, waited_ms)
        }
        (QuestionState::Withdrawn, _) => {
            let mut result = results::unanswered(
                "cancelled",
                question_status,
                "It was taken back before anyone saw it; ask again if you still need it.",
            );
            result.insert("withdrawn".into(), true.into());
            result
        }
        (QuestionState::Expired, _) => results::unanswered(
            "timed_out",
            question_status,
            "It expired after 7 days; a late answer still comes to your inbox.",
        ),
        (QuestionState::Open, WaitOutcome::Cancelled) => {
            let mut result = results::unanswered("cancelled", question_status, STILL_OPEN_HINT);
            result.insert("withdrawn".into(), false.into());
            result
        }
        (QuestionState::Open, WaitOutcome::Interrupted(interruption)) => {
            results::interrupted(question_status, interruption)
        }
        (QuestionState::Open, _) if if_offline == IfOffline::Queue && !question_status.askable => {
            let mut result = results::unanswered("offline", question_status, OFFLINE_HINT);
            let last_seen_ms = asked.map_or(question_status.last_seen_at_ms, |asked| {
                asked.last_seen_at_ms.max(question_status.last_seen_at_ms)
            });
            result.insert("last_seen_at".into(), rfc3339(last_seen_ms).into());
            result.insert(
                "same_project".into(),
                json!(asked.map(|asked| &asked.same_project)),
            );
            result
        }
        (QuestionState::Open, _) => {
            results::unanswered("timed_out", question_status, STILL_OPEN_HINT)
        }
    }
}

/// Returns the result for several questions.
fn multi_question_result(
    question_statuses: &[QuestionStatus],
    ids: &[QuestionId],
    ended: &WaitOutcome<ReplyWaitEnd>,
    any: bool,
    single_result: impl Fn(&QuestionStatus) -> Map<String, Value>,
) -> Value {
    let replied = question_statuses
        .iter()
        .filter(|question_status| question_status.question.state.is_replied())
        .count();
    let status = match ended {
        _ if replied == question_statuses.len() || (any && replied > 0) => "answered",
        WaitOutcome::Interrupted(_) => "interrupted",
        WaitOutcome::Cancelled => "cancelled",
        _ if replied > 0 => "partial",
        _ => "timed_out",
    };
    let mut answers: Vec<Map<String, Value>> =
        question_statuses.iter().map(single_result).collect();
    let mut result = json!({ "status": status, "question_ids": ids });
    if let WaitOutcome::Interrupted(interruption) = ended {
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

pub(super) async fn reply_to_peer(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let ReplyToPeer {
        question_id,
        answer,
        decline,
        corrects,
    } = arguments::read(arguments)?;
    let question = arguments::question_id(&question_id)?;
    let reply = Reply {
        question,
        text: &answer,
        decline: decline == Some(true),
        corrects: corrects == Some(true),
        force: false,
    };
    let replied = call.verb(|at| at.mesh.reply(&at.me, reply)).await?;
    Ok(results::ok(&json!({
        "status": replied.state,
        "question_id": question,
        "to": replied.to,
        "asker_waiting": replied.asker_waiting,
        "late": replied.late,
    })))
}

pub(super) async fn poll_inbox(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let PollInbox { question_id } = arguments::read(arguments)?;
    if let Some(id) = question_id {
        let id = arguments::question_id(&id)?;
        return call
            .verb(|at| {
                let between = at.mesh.question(&at.me, id)?;
                let mut questions = at.mesh.inbox(&at.me)?.questions;
                questions.retain(|waiting| waiting.pending.question.id == id);
                let shown = !questions.is_empty();
                let inbox = Inbox {
                    questions,
                    ..Inbox::default()
                };
                at.mesh
                    .mark_delivered(&at.me, &inbox, None, WakeState::Call)?;
                let you = at.me.name.as_str();
                Ok(results::ok(&results::full_question(you, &between, shown)))
            })
            .await;
    }
    call.verb(|at| {
        let inbox = at.mesh.inbox(&at.me)?;
        let unread = at.mesh.unread(&at.me)?;
        let tasks = at.mesh.unstarted_tasks(&at.me)?;
        let (mut body, shown) = results::inbox(at.me.name.as_str(), inbox, unread, &tasks);
        at.mesh
            .mark_delivered(&at.me, &shown, None, WakeState::Call)?;
        super::event::add_subscribed_events(at.mesh, &at.me, &mut body)?;
        Ok(results::ok(&body))
    })
    .await
}
