//! Defines a finding of a check of the installation, with the command that fixes it, for `doctor`.
use serde::Serialize;

use super::install_paths::InstallScope;

/// One result of the check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// What was found, in one line.
    pub text: String,
    /// The command that fixes it, if there is one.
    #[serde(rename = "mend")]
    pub fix: Option<String>,
}

/// How severe a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Correct.
    Ok,
    /// It works, but perhaps not as expected.
    Note,
    /// It does not work.
    Problem,
}

pub(crate) fn ok(text: impl Into<String>) -> Finding {
    finding(Severity::Ok, text)
}

pub(crate) fn note(text: impl Into<String>) -> Finding {
    finding(Severity::Note, text)
}

pub(crate) fn problem(text: impl Into<String>) -> Finding {
    finding(Severity::Problem, text)
}

fn finding(severity: Severity, text: impl Into<String>) -> Finding {
    Finding {
        severity,
        text: text.into(),
        fix: None,
    }
}

impl Finding {
    /// Adds the command that fixes it.
    pub(crate) fn fix(self, command: impl Into<String>) -> Self {
        Self {
            fix: Some(command.into()),
            ..self
        }
    }
}

/// Returns the command that installs for this scope.
pub(crate) fn install_command(scope: InstallScope) -> String {
    format!("claude-mesh install{}", scope.flag())
}
