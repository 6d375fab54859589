//! What went wrong, worded for a person: one line that says what is so, then a hint with a command that can be typed now.
use std::io;

use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::print;
use crate::model::{Error, Refusal};
use crate::platform::{Fault, text};
use crate::tools::output;

/// Why a command did not end well.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody reads the output any more; that is no fault.
    PipeClosed,
    /// The command line says something impossible.
    Usage(clap::Error),
    /// Refused or failed.
    CliError(CliError),
}

/// A refusal or fault as it is printed.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) code: &'static str,
    pub(super) message: String,
    hint: String,
    /// How it stands instead, for programs.
    current: Option<Box<Value>>,
}

impl CliError {
    /// Returns something wrong with a code of its own.
    pub(super) fn new(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            current: None,
        }
    }

    /// Prints it: as JSON on stdout, or as text on stderr.
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
        let _ = print::err(&format!(
            "{name}: {}
",
            message.trim_end()
        ));
        if !self.hint.is_empty() {
            let _ = print::err(&format!(
                "{}: {}
",
                "hint".cyan(),
                text::strip_terminal_controls(&self.hint)
            ));
        }
    }
}

impl Failure {
    /// Returns a wrong value of an argument.
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
        CliError::new("storage", fault.message, fault.hint).into()
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

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
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
    let (message, hint) = match refusal {
        Refusal::UnknownPeer {
            name,
            nearest,
            present,
        } => (
            format!("no peer called {name:?} in this mesh"),
            unknown_peer_hint(nearest, present),
        ),
        Refusal::AmbiguousPeer { matching, .. } => (
            refusal.to_string(),
            format!("type one of them in full, for example {}", matching[0]),
        ),
        Refusal::UnknownQuestion { .. } => (
            refusal.to_string(),
            "`claude-mesh inbox --all` lists the open ones; closed ones are kept for 30 days"
                .into(),
        ),
        Refusal::UnknownMessage { .. } => (
            refusal.to_string(),
            "`claude-mesh messages --all` lists them; those over their time are gone".into(),
        ),
        Refusal::UnknownTask { .. } => (
            refusal.to_string(),
            "`claude-mesh task list` lists them; ended ones are kept for 30 days".into(),
        ),
        Refusal::TaskConflict { .. } => (
            refusal.to_string(),
            "`claude-mesh task show ID` tells how it stands; nothing was changed".into(),
        ),
        Refusal::TooLarge { .. } => (
            refusal.to_string(),
            "put it into a file and name that file; nothing was stored".into(),
        ),
        Refusal::Secret { .. } => (
            refusal.to_string(),
            "name where it lives (file, variable, vault), not the value; \
             of an answer or a message a person can say `--force`"
                .into(),
        ),
        Refusal::AlreadyAnswered => (
            "this question has another answer already".into(),
            "`claude-mesh reply --corrects …` replaces it; nothing was changed".into(),
        ),
        Refusal::VersionMismatch { current, .. } => (
            refusal.to_string(),
            format!(
                "`claude-mesh state get {}` shows it; give the version you have seen",
                current.key
            ),
        ),
        Refusal::InvalidArgument { .. } => (
            refusal.to_string(),
            "`--help` behind the command tells what it takes; nothing was changed".into(),
        ),
        Refusal::NotYours { .. } | Refusal::Conflict { .. } => (
            refusal.to_string(),
            "`claude-mesh peers`, `inbox` and `claims` show how it stands; nothing was changed"
                .into(),
        ),
        Refusal::RateLimited { .. } => (
            refusal.to_string(),
            "answer what waits for you first (`claude-mesh inbox`), or try again later".into(),
        ),
        Refusal::Unsupported { .. } => (
            refusal.to_string(),
            "`claude-mesh doctor` tells what is the matter; nothing was changed".into(),
        ),
    };
    let mut error = CliError::new(refusal.code(), message, hint);
    if let Refusal::VersionMismatch { current, .. } = refusal {
        error.current = Some(Box::new(output::entry(current)));
    }
    error
}

fn unknown_peer_hint(nearest: &[String], present: &[String]) -> String {
    let mut parts = Vec::new();
    if !nearest.is_empty() {
        parts.push(format!("nearest: {}", nearest.join(", ")));
    }
    parts.push(if present.is_empty() {
        "nobody is here now; `claude-mesh peers --all` lists every mailbox".into()
    } else {
        format!("here now: {}", present.join(", "))
    });
    parts.join("; ")
}
