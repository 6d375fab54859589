//! The position and reason of an error in a JSON text.

/// Why a text cannot be edited; line and column start at 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParseError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) reason: String,
}

impl ParseError {
    pub(crate) fn at_offset(text: &str, offset: usize, reason: String) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason,
        }
    }

    pub(crate) fn from_serde(fault: &serde_json::Error) -> Self {
        let message = fault.to_string();
        let position = format!(" at line {} column {}", fault.line(), fault.column());
        Self {
            line: fault.line(),
            column: fault.column(),
            reason: message
                .strip_suffix(&position)
                .unwrap_or(&message)
                .to_owned(),
        }
    }
}
