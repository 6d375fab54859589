//! `ask_peer`, `await_reply`, `reply_to_peer` and `poll_inbox`.
use std::time::Duration;

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::arguments::{self, OneOrMany};
use super::super::results;
use crate::mcp::await_answers;
use crate::mcp::await_answers::{Ended, Waiting};
use crate::mcp::tools::{Call, Effect, Entry, prior_answers};
use crate::mesh::{Asked, IfOffline, Inbox, Reply, Standing, Wait};
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
        everyday: true,
        long: true,
    },
    Entry {
        set: "ask",
        name: "await_reply",
        description: "Waits for the answer to a question you asked earlier, after `timed_out`, `offline` or `interrupted`. Returns at once if it has come; answers are kept for 30 days.",
        schema: arguments::schema::<AwaitReply>,
        effect: Effect::Idempotent,
        everyday: true,
        long: true,
    },
    Entry {
        set: "ask",
        name: "reply_to_peer",
        description: "Answers a question another session asked you; it gets the text as the result of its call. Answer from what you know or can read in a few steps; with decline: true say why not and what would be needed. corrects: true replaces your earlier answer.",
        schema: arguments::schema::<ReplyToPeer>,
        effect: Effect::Idempotent,
        everyday: true,
        long: false,
    },
    Entry {
        set: "ask",
        name: "poll_inbox",
        description: "Shows what waits for you: questions, late answers, granted claims, tasks, how much mail. Looking consumes nothing. With question_id: that one in full.",
        schema: arguments::schema::<PollInbox>,
        effect: Effect::Reads,
        everyday: true,
        long: true,
    },
];

/// Why the result came without an answer, and what to do.
const STAYS_OPEN: &str = "The question stays open; do not ask again. Go on, and call await_reply with this question_id later, or poll_inbox.";
const NOBODY_THERE: &str = "Nobody who can answer sits there now. The question is stored; the next session there gets it, and the answer comes to your inbox (poll_inbox, await_reply).";

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
    if_offline: Option<OfflineWord>,
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
enum OfflineWord {
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
    let timeout = arguments::within("timeout_seconds", ask.timeout_seconds, 1..=3600, 300)?;
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
        return prior_answers::only(call, &addresses, many, &ask.question).await;
    }
    let if_offline = if ask.if_offline == Some(OfflineWord::Wait) {
        IfOffline::Wait
    } else {
        IfOffline::Queue
    };
    let began_ms = call.shared.now().monotonic_ms;
    let posed = call
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
    let all: Vec<QuestionId> = posed.asked.iter().map(|asked| asked.question).collect();
    let created: Vec<QuestionId> = posed
        .asked
        .iter()
        .filter(|asked| !asked.joined)
        .map(|asked| asked.question)
        .collect();
    let awaited =
        |asked: &&Asked| asked.held.is_none() && (asked.askable || if_offline == IfOffline::Wait);
    let any = many && ask.wait_for == Some(WaitFor::Any);
    let (ended, seen) = match posed.wait {
        None => (Ended::Deserted, Vec::new()),
        Some(id) => {
            let awaited = posed.asked.iter().filter(awaited);
            let questions = awaited.map(|asked| asked.question).collect();
            let waiting = Waiting {
                wait: Wait { id, questions, any },
                at_most: Duration::from_secs(timeout.into()),
                created: &created,
                leave_deserted: if_offline == IfOffline::Queue,
            };
            await_answers::wait(call.shared, &call.client, call.context, waiting).await?
        }
    };
    let waited_ms = call.shared.now().monotonic_ms - began_ms;
    // With `any` the others were taken back, and who is offline was not waited for: look once more at all of them.
    let standings = if any || seen.len() != all.len() {
        call.verb(|at| at.mesh.standings(&all)).await?
    } else {
        seen
    };
    let known = prior_answers::of(call, &standings, &ended).await;
    let one = |standing: &Standing| {
        let asked = posed
            .asked
            .iter()
            .find(|asked| asked.question == standing.question.id);
        let result = outcome(standing, &ended, Some(waited_ms), asked, if_offline);
        prior_answers::add(result, standing, &known)
    };
    Ok(results::ok(&if many {
        several(&standings, &all, &ended, any, one)
    } else {
        one(&standings[0]).into()
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
    let timeout = arguments::within("timeout_seconds", timeout_seconds, 1..=3600, 300)?;
    let (ids, many) = question_id.into_list();
    let all: Vec<QuestionId> = ids
        .iter()
        .map(|id| arguments::question_id(id))
        .collect::<Result<_>>()?;
    let began_ms = call.shared.now().monotonic_ms;
    let wait = call
        .verb(|at| at.mesh.await_replies(&at.me, &all, false))
        .await?;
    let waiting = Waiting {
        wait,
        at_most: Duration::from_secs(timeout.into()),
        created: &[],
        leave_deserted: false,
    };
    let (ended, standings) =
        await_answers::wait(call.shared, &call.client, call.context, waiting).await?;
    let waited_ms = call.shared.now().monotonic_ms - began_ms;
    let known = prior_answers::of(call, &standings, &ended).await;
    let one = |standing: &Standing| {
        let result = outcome(standing, &ended, Some(waited_ms), None, IfOffline::Wait);
        prior_answers::add(result, standing, &known)
    };
    Ok(results::ok(&if many {
        several(&standings, &all, &ended, false, one)
    } else {
        one(&standings[0]).into()
    }))
}

/// Returns the result for one question after the call has ended.
fn outcome(
    standing: &Standing,
    ended: &Ended,
    waited_ms: Option<i64>,
    asked: Option<&Asked>,
    if_offline: IfOffline,
) -> Map<String, Value> {
    if let (QuestionState::Open, Ended::Deserted, Some(held)) =
        (standing.question.state, ended, standing.held)
    {
        return results::held(standing, held);
    }
    match (standing.question.state, ended) {
        (QuestionState::Answered | QuestionState::Declined, _) => {
            results::replied(standing, waited_ms)
        }
        (QuestionState::Withdrawn, _) => {
            let mut result = results::unanswered(
                "cancelled",
                standing,
                "It was taken back before anyone saw it; ask again if you still need it.",
            );
            result.insert("withdrawn".into(), true.into());
            result
        }
        (QuestionState::Expired, _) => results::unanswered(
            "timed_out",
            standing,
            "It expired after 7 days; a late answer still comes to your inbox.",
        ),
        (QuestionState::Open, Ended::Cancelled) => {
            let mut result = results::unanswered("cancelled", standing, STAYS_OPEN);
            result.insert("withdrawn".into(), false.into());
            result
        }
        (QuestionState::Open, Ended::Interrupted(interruption)) => {
            results::interrupted(standing, interruption)
        }
        (QuestionState::Open, _) if if_offline == IfOffline::Queue && !standing.askable => {
            let mut result = results::unanswered("offline", standing, NOBODY_THERE);
            let last_seen_ms = asked.map_or(standing.last_seen_at_ms, |asked| {
                asked.last_seen_at_ms.max(standing.last_seen_at_ms)
            });
            result.insert("last_seen_at".into(), rfc3339(last_seen_ms).into());
            result.insert(
                "same_project".into(),
                json!(asked.map(|asked| &asked.same_project)),
            );
            result
        }
        (QuestionState::Open, _) => results::unanswered("timed_out", standing, STAYS_OPEN),
    }
}

/// Returns the result for several questions.
fn several(
    standings: &[Standing],
    ids: &[QuestionId],
    ended: &Ended,
    any: bool,
    one: impl Fn(&Standing) -> Map<String, Value>,
) -> Value {
    let replied = standings
        .iter()
        .filter(|standing| standing.question.state.is_replied())
        .count();
    let status = match ended {
        _ if replied == standings.len() || (any && replied > 0) => "answered",
        Ended::Interrupted(_) => "interrupted",
        Ended::Cancelled => "cancelled",
        _ if replied > 0 => "partial",
        _ => "timed_out",
    };
    let mut answers: Vec<Map<String, Value>> = standings.iter().map(one).collect();
    let mut result = json!({ "status": status, "question_ids": ids });
    if let Ended::Interrupted(interruption) = ended {
        let more = results::interruption(interruption, results::FIRST);
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
                at.mesh.mark_shown(&at.me, &inbox, None, WakeState::Call)?;
                let you = at.me.name.as_str();
                Ok(results::ok(&results::full_question(you, &between, shown)))
            })
            .await;
    }
    call.verb(|at| {
        let inbox = at.mesh.inbox(&at.me)?;
        let unread = at.mesh.unread(&at.me)?;
        let tasks = at.mesh.tasks_waiting(&at.me)?;
        let (mut body, shown) = results::inbox(at.me.name.as_str(), inbox, unread, &tasks);
        at.mesh.mark_shown(&at.me, &shown, None, WakeState::Call)?;
        super::event::add_heard(at.mesh, &at.me, &mut body)?;
        Ok(results::ok(&body))
    })
    .await
}
