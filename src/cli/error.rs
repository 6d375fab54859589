//! Words refusals and failures for a person: a line with the problem, then a hint with a command to type.
use std::borrow::Cow;
use std::io;

use clap::error::ErrorKind;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::print;
use crate::model::{Error, Refusal};
use crate::platform::{Fault, FaultKind, text};
use crate::tools::output;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The reader of the output has closed it. The exit status is 0, as other programs do.
    PipeClosed,
    /// The command line is invalid.
    Usage(UsageError),
    CliError(CliError),
}

/// An invalid command line that the parser accepts. The program prints it with the usage of the command.
#[derive(Debug)]
pub(super) struct UsageError {
    /// `None` for the usage of the whole program.
    pub(super) command: Option<&'static str>,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

/// A refusal or fault as it is printed.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    hint: String,
    /// The current state, for programs.
    current: Option<Box<Value>>,
}

impl CliError {
    pub(super) fn new(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            hint: hint.into(),
            current: None,
        }
    }

    /// Prints the error: as JSON on stdout, or as text on stderr.
    pub(super) fn report(&self, json: bool) {
        if json {
            let mut error =
                json!({ "code": self.code, "message": self.message, "hint": self.hint });
            if let Some(current) = &self.current {
                error["current"] = (**current).clone();
            }
            let _ = print::json(&json!({ "error": error }));
            return;
        }
        let name = "claude-mesh".red();
        let message = text::strip_terminal_controls(&self.message);
        let _ = print::err(&format!("{name}: {}\n", message.trim_end()));
        if !self.hint.is_empty() {
            let _ = print::err(&format!(
                "{}: {}\n",
                "hint".cyan(),
                text::strip_terminal_controls(&self.hint)
            ));
        }
    }
}

impl Failure {
    /// Returns the failure for an invalid value of an argument.
    pub(super) fn argument(message: impl Into<String>, hint: impl Into<String>) -> Self {
        CliError::new("invalid_argument", message, hint).into()
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self::CliError(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let code = match fault.kind {
            FaultKind::AtHub => "unsupported",
            _ => "storage",
        };
        CliError::new(code, fault.message, fault.hint).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Fault(fault) => fault.into(),
            Error::Refused(refusal) => describe_refusal(&refusal).into(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        describe_refusal(&refusal).into()
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::PipeClosed;
        }
        CliError::new("storage", format!("cannot print: {error}"), "").into()
    }
}

fn describe_refusal(refusal: &Refusal) -> CliError {
    let message = match refusal {
        // The suggestions are in the hint.
        Refusal::UnknownPeer { name, .. } => format!("no peer called {name:?} in this mesh"),
        // The sentence of the refusal names a parameter of the tool.
        Refusal::AlreadyAnswered => "this question has another answer already".into(),
        other => other.to_string(),
    };
    let mut error = CliError::new(refusal.code(), message, refusal_hint(refusal));
    if let Refusal::VersionMismatch { current, .. } = refusal {
        error.current = Some(Box::new(output::entry(current)));
    }
    error
}

fn refusal_hint(refusal: &Refusal) -> Cow<'static, str> {
    let hint = match refusal {
        Refusal::UnknownPeer {
            nearest, present, ..
        } => return unknown_peer_hint(nearest, present).into(),
        Refusal::AmbiguousPeer { matching, .. } => {
            return format!("type one of them in full, for example {}", matching[0]).into();
        }
        Refusal::VersionMismatch { current, .. } => {
            let key = &current.key;
            return format!("run `claude-mesh state get {key}` and give the version it shows")
                .into();
        }
        Refusal::UnknownQuestion { .. } => {
            "`claude-mesh inbox --all` lists the open ones; closed ones are kept for 30 days"
        }
        Refusal::UnknownMessage { .. } => {
            "`claude-mesh messages --all` lists them; expired ones are removed"
        }
        Refusal::UnknownTask { .. } => {
            "`claude-mesh task list` lists them; ended ones are kept for 30 days"
        }
        Refusal::TaskConflict { .. } => {
            "`claude-mesh task show ID` shows its state; nothing was changed"
        }
        Refusal::Secret { .. } => {
            "name where it is kept (file, variable, vault), not the value; \
             a person can send an answer or a message with `--force`"
        }
        Refusal::AlreadyAnswered => {
            "`claude-mesh reply --corrects …` replaces it; nothing was changed"
        }
        Refusal::TooLarge { .. }
        | Refusal::InvalidArgument { .. }
        | Refusal::NotYours { .. }
        | Refusal::CarriedOutBefore
        | Refusal::Conflict { .. }
        | Refusal::RateLimited { .. }
        | Refusal::Unsupported { .. } => hint_of_code(refusal.code()),
    };
    hint.into()
}

/// Returns what to do after a refusal of which only the code is known.
pub(super) fn hint_of_code(code: &str) -> &'static str {
    match code {
        "unknown_peer" | "ambiguous_peer" => "`claude-mesh peers --all` lists them",
        "not_found" => {
            "`claude-mesh inbox`, `messages --all` and `task list` show what there is; nothing was changed"
        }
        "too_large" => "put it into a file and name that file; nothing was stored",
        "secret" => "name where it is kept (file, variable, vault), not the value",
        "invalid_argument" => "run the command with --help; nothing was changed",
        "rate_limited" => {
            "answer your pending questions first (`claude-mesh inbox`), or try again later"
        }
        "unsupported" => "`claude-mesh doctor` shows what is wrong; nothing was changed",
        _ => {
            "`claude-mesh peers`, `inbox` and `claims` show the current state; nothing was changed"
        }
    }
}

fn unknown_peer_hint(nearest: &[String], present: &[String]) -> String {
    let mut parts = Vec::new();
    if !nearest.is_empty() {
        parts.push(format!("nearest: {}", nearest.join(", ")));
    }
    parts.push(if present.is_empty() {
        "no session can be asked now; `claude-mesh peers --all` lists every mailbox".into()
    } else {
        format!("here now: {}", present.join(", "))
    });
    parts.join("; ")
}
