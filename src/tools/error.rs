//! Builds the JSON of a refusal or fault for a model: a code, the problem, and the next tool call; never a shell
//! command.
use std::borrow::Cow;

use serde_json::{Value, json};

use crate::model::{Error, Refusal};
use crate::platform::{Fault, FaultKind};
use crate::tools::output;

/// The value of `outcome` in the error object of a call that may have been stored.
pub const OUTCOME_UNKNOWN: &str = "unknown";

/// Returns the result of a call that was refused or failed.
pub fn error_body(error: &Error) -> Value {
    let (code, message, hint) = match error {
        Error::Refused(refusal) => (
            refusal.code(),
            refusal.to_string(),
            Cow::Borrowed(hint(refusal)),
        ),
        Error::Fault(fault) if fault.kind == FaultKind::AtHub => {
            ("unsupported", fault.to_string(), fault_hint(fault))
        }
        Error::Fault(fault) => ("storage", fault.to_string(), fault_hint(fault)),
    };
    let mut body = json!({ "error": { "code": code, "message": message, "hint": hint } });
    if matches!(error, Error::Fault(fault) if fault.kind == FaultKind::OutcomeUnknown) {
        body["error"]["outcome"] = OUTCOME_UNKNOWN.into();
    }
    if let Error::Refused(Refusal::VersionMismatch { current, .. }) = error {
        body["error"]["current"] = output::entry(current);
    }
    body
}

/// Returns the result of any call of a server that could not read its settings, or not reach its program for hubs, when it
/// started.
pub fn unreadable_settings_body(fault: &Fault) -> Value {
    let restart = "restart this session when it is fixed";
    let hint = match fault.hint.as_str() {
        "" => restart.to_owned(),
        remedy => format!("{remedy}; {restart}"),
    };
    error_body(&Error::Fault(Fault {
        hint,
        ..fault.clone()
    }))
}

/// No tool repairs a fault; the user can.
fn fault_hint(fault: &Fault) -> Cow<'static, str> {
    if fault.kind == FaultKind::OutcomeUnknown {
        return "Look whether it is stored before you call again.".into();
    }
    if fault.hint.is_empty() {
        "Tell your user; nothing was stored. Calling again later is safe.".into()
    } else {
        let remedy = &fault.hint;
        format!(
            "Tell your user how to fix it: {remedy}. Nothing was stored; calling again later is safe."
        )
        .into()
    }
}

fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::InvalidArgument { .. } => {
            "Call the tool again with the parameter as its schema says."
        }
        Refusal::UnknownPeer { .. } => {
            "Call list_peers for the peers of the mesh; list_peers {\"include_stale\": true} also shows peers without a session."
        }
        Refusal::AmbiguousPeer { .. } => "Call again with one of these names.",
        Refusal::UnknownQuestion { .. } => {
            "Call poll_inbox for the questions to you and the answers to yours."
        }
        Refusal::UnknownMessage { .. } => {
            "Call list_messages {\"filter\": \"all\"} for all messages; expired ones are removed."
        }
        Refusal::UnknownTask { .. } => "Call list_tasks for all tasks.",
        Refusal::TaskConflict { .. } => {
            "Call list_tasks {\"query\": \"<task_id>\"} for the current state of the task."
        }
        Refusal::NotYours { .. } => {
            "Call poll_inbox for the questions addressed to you, claims for who holds what."
        }
        Refusal::TooLarge { .. } => {
            "Call again with a shorter text; name the file that has the rest."
        }
        Refusal::Secret { .. } => {
            "Call again naming where it is kept (file, variable, vault), not its value."
        }
        Refusal::VersionMismatch { .. } => {
            "`current` is the current entry: decide again, and call state again with its version as expected_version."
        }
        Refusal::CarriedOutBefore => "Repeat the same request for its result.",
        Refusal::AlreadyAnswered | Refusal::Conflict { .. } => {
            "Call poll_inbox or list_peers for the current state."
        }
        Refusal::RateLimited { .. } => {
            "Answer the questions to you first (poll_inbox), or try again later."
        }
        Refusal::Unsupported { .. } => "Go on without the mesh and tell your user.",
    }
}
