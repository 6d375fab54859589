//! Refusals of tools: exact code, message and hint.
use std::fmt::Write;

use serde_json::Value;

use super::Session;

/// A tool, its arguments, and the code, message and hint of its refusal.
pub(crate) type Refusal = (
    &'static str,
    Value,
    &'static str,
    &'static str,
    &'static str,
);

/// Calls each tool and compares its refusal. A failure prints every refusal that differs, as it can be put into the table.
#[track_caller]
pub(crate) fn assert_refusals(session: &Session, table: Vec<Refusal>) {
    let mut differing = String::new();
    for (index, (tool, arguments, code, message, hint)) in table.into_iter().enumerate() {
        let shown: String = arguments.to_string().chars().take(160).collect();
        let result = session.call(tool, arguments);
        let found = ["code", "message", "hint"]
            .map(|key| result["error"][key].as_str().unwrap_or_default().to_owned());
        if found != [code, message, hint] {
            writeln!(differing, "row {index}: {tool} {shown}\n{found:#?}").unwrap();
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

/// Returns code and message of the refusal in a result.
#[track_caller]
pub(crate) fn refused(result: &Value) -> (String, String) {
    let text = |key: &str| {
        let text = result["error"][key].as_str();
        text.unwrap_or_else(|| panic!("no refusal: {result}"))
            .to_owned()
    };
    (text("code"), text("message"))
}
