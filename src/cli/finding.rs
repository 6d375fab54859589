//! Builds the findings of `doctor`.
use crate::platform::Fault;
use crate::setup::{Finding, Severity};

fn finding(severity: Severity, text: impl Into<String>) -> Finding {
    Finding {
        severity,
        text: text.into(),
        fix: None,
    }
}

pub(super) fn ok(text: impl Into<String>) -> Finding {
    finding(Severity::Ok, text)
}

pub(super) fn note(text: impl Into<String>, fix: &str) -> Finding {
    Finding {
        fix: Some(fix.to_owned()).filter(|fix| !fix.is_empty()),
        ..finding(Severity::Note, text)
    }
}

pub(super) fn problem(text: impl Into<String>, fix: &str) -> Finding {
    Finding {
        fix: Some(fix.to_owned()).filter(|fix| !fix.is_empty()),
        ..finding(Severity::Problem, text)
    }
}

pub(super) fn finding_from_fault(fault: &Fault) -> Finding {
    problem(&fault.message, &fault.hint)
}
