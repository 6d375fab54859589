//! What becomes of calls that got no answer: a reply is kept in the spool; of a call that may have been stored the next call of
//! the session finds out what became of it.
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::mesh::REQUEST_KEEP_MS;
use crate::model::question::TEXT_BYTES_MAX;
use crate::model::text_checks::{check_secret, check_size};
use crate::model::{Error, Refusal};
use crate::platform::clock::{Clock, rfc3339};
use crate::platform::process;
use crate::remote::call::{EndedCall, ToolCall, Undelivered, end_call};
use crate::remote::link::Link;
use crate::remote::spool::{self, SpooledReply};
use crate::remote::unsettled::UnsettledCall;
use crate::tools::Effect;

/// How long the search for what became of earlier calls may delay a call.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// Finds out what became of earlier calls. Returns what a model is notified of them; what the hub does not say now it is asked again
/// with the next call.
pub(super) async fn look_up(link: &Link) -> Vec<String> {
    let calls = link.unsettled.all();
    let mut notes = Vec::new();
    if calls.is_empty() {
        return notes;
    }
    let looking_up = async {
        let known_since_ms = link.clock.now().wall_ms - REQUEST_KEEP_MS;
        for call in calls {
            let ended = if call.at_ms < known_since_ms {
                None
            } else {
                let Ok(ended) = end_call(link, call.session, &call.key).await else {
                    return;
                };
                Some(ended)
            };
            notes.push(note_of(&call, ended));
            link.unsettled.forget(&call.key);
        }
    };
    let _ = tokio::time::timeout(LOOK_UP_TIMEOUT, looking_up).await;
    notes
}

fn note_of(call: &UnsettledCall, ended: Option<EndedCall>) -> String {
    let what = format!("the call of {} at {}", call.tool, rfc3339(call.at_ms));
    match ended {
        Some(EndedCall::NotStored) => {
            format!("{what} was not stored. Call again if it is still needed.")
        }
        Some(EndedCall::Completed {
            status: 200,
            result,
        }) => {
            format!("{what} was stored. Its result: {result}")
        }
        Some(EndedCall::Completed { result, .. }) => {
            format!("{what} was refused: {result}")
        }
        Some(EndedCall::Stored) => {
            format!("{what} was stored. Do not call again for it.")
        }
        None => {
            format!("it is not known what became of {what}: the hub does not know it any more.")
        }
    }
}

/// Returns the error object of a call that got no answer: the cause, whether the call may have been stored, and what to do.
pub(super) fn error_of(call: &ToolCall, undelivered: Undelivered) -> Value {
    let link = call.link;
    let Undelivered {
        error,
        may_be_stored,
    } = undelivered;
    let since = link
        .unreachable()
        .map(|(since_ms, _)| format!("; the mesh is out of reach since {}", rfc3339(since_ms)));
    let what = format!("{error}{}", since.unwrap_or_default());
    let (outcome, hint) = if link.is_person && call.tool.name != "reply_to_peer" {
        outcome_for_person(call, may_be_stored, &error.hint())
    } else if call.tool.name == "reply_to_peer" {
        keep_reply(call, may_be_stored)
    } else if !may_be_stored || matches!(call.tool.effect, Effect::Reads) {
        let hint = format!(
            "Go on without the mesh and tell your user: {} Calling again later is safe.",
            error.hint()
        );
        ("nothing was stored".to_owned(), hint)
    } else if matches!(call.tool.effect, Effect::Idempotent) {
        let outcome = "it is not known whether this call was stored".to_owned();
        (
            outcome,
            "Calling again is safe: it has the effect of one call.".into(),
        )
    } else {
        if let Some(session) = link.last_session() {
            link.unsettled.remember(UnsettledCall {
                session,
                key: call.key.to_owned(),
                tool: call.tool.name,
                arguments: call.arguments.clone(),
                at_ms: link.clock.now().wall_ms,
            });
        }
        let outcome =
            "it is not known whether this call was stored; your next call looks it up and says so";
        let hint = "Calling again with the same arguments is safe: it is carried out once. mesh_status also looks it up.";
        (outcome.to_owned(), hint.to_owned())
    };
    json!({ "error": {
        "code": "storage", "message": format!("{what}. Of this call: {outcome}"), "hint": hint,
    }})
}

/// Returns what became of the call of a command, which makes no further call that could look it up, and what to do.
fn outcome_for_person(call: &ToolCall, may_be_stored: bool, hint: &str) -> (String, String) {
    if !may_be_stored || matches!(call.tool.effect, Effect::Reads) {
        return ("nothing was stored".into(), hint.to_owned());
    }
    let outcome = "it is not known whether this call was stored".to_owned();
    (
        outcome,
        format!("look at what there is before you repeat it; {hint}"),
    )
}

/// Keeps a reply that was not delivered. Returns what became of it, and what to do.
fn keep_reply(call: &ToolCall, may_be_stored: bool) -> (String, String) {
    match store_reply(call) {
        Ok(path) => {
            call.link.spooled.notify_one();
            let outcome = format!(
                "your reply is kept in {} and is sent once, when the hub answers again",
                path.display()
            );
            let hint = if call.link.is_person {
                "it need not be sent again; a session of this machine sends it"
            } else {
                "Do not call again for this question. Tell your user if it is urgent."
            };
            (outcome, hint.into())
        }
        Err(problem) => {
            let stored = if may_be_stored {
                "it is not known whether it was stored"
            } else {
                "it was not stored"
            };
            let outcome = format!("your reply could not be kept ({problem}), and {stored}");
            let hint =
                "Keep the text and call again later: the same reply twice has the effect of one.";
            (outcome, hint.into())
        }
    }
}

/// Stores a reply in the spool. A text that the hub would refuse is not written to a file.
fn store_reply(call: &ToolCall) -> Result<PathBuf, Error> {
    let link = call.link;
    let answer = call.arguments.get("answer").and_then(Value::as_str);
    let answer = answer.unwrap_or_default();
    check_size("answer", answer, TEXT_BYTES_MAX)?;
    check_secret("answer", answer)?;
    let session = link.last_session();
    let session = session.ok_or_else(|| Refusal::conflict("the session is not registered"))?;
    let client = link
        .client()
        .map_err(|error| Refusal::conflict(error.to_string()))?;
    let now = link.clock.now();
    let reply = SpooledReply {
        url: link.hub.url.clone(),
        key_id: client.key_id().to_owned(),
        idempotency_key: call.key.to_owned(),
        session,
        arguments: call.arguments.clone(),
        written_at_ms: now.wall_ms,
        writer: process::this_process(),
        boot: now.boot.to_string(),
    };
    let path = reply.keep(&spool::folder(&link.settings.mesh_home, &link.hub))?;
    if let Some(question) = reply.question() {
        link.mirror().hide_answered(question);
    }
    Ok(path)
}
