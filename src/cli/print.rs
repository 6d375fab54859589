//! Prints to stdout and stderr: colours only on a terminal, JSON without control characters that a terminal would obey.
use std::io::{self, IsTerminal, Write};

use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::Value;

use crate::platform::text;

/// Returns whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether stderr is a terminal; progress lines go there.
pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Returns the width of a terminal in columns; `None` if it is unknown.
pub(super) fn columns(of: impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(of).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Prints text unchanged; its colours only on a terminal.
pub(super) fn raw(text: &[u8]) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

/// Prints a text and ends its last line.
pub(super) fn line(text: &str) -> io::Result<()> {
    raw(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
}

/// Replaces what the terminal shows; elsewhere prints the text below the last one.
pub(super) fn redraw(text: &str) -> io::Result<()> {
    const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";
    let clear = if is_terminal() { CLEAR_SCREEN } else { "" };
    raw(format!("{clear}{text}").as_bytes())
}

/// Prints bytes unchanged, for other programs.
pub(super) fn bytes(content: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(content)?;
    out.flush()
}

/// Prints to stderr; colours only on a terminal.
pub(super) fn err(text: &str) -> io::Result<()> {
    let mut out = anstream::stderr().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a message and a hint to stderr, for a result that is not an error.
pub(super) fn notice(message: &str, hint: &str) -> io::Result<()> {
    err(&format!(
        "claude-mesh: {message}\n{}: {hint}\n",
        "hint".cyan()
    ))
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &Value) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).expect("a JSON value can be written");
    bytes(format!("{}\n", escape_control_chars(&text)).as_bytes())
}

/// Prints a value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value).expect("a JSON value can be written");
    bytes(format!("{}\n", escape_control_chars(&text)).as_bytes())
}

/// Escapes the control characters that JSON permits in strings and a terminal would obey.
fn escape_control_chars(json: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if text::is_terminal_control(c) && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_json_escapes_control_characters() {
        let value = serde_json::json!({ "a": "x\u{9b}31m\u{202e}y\u{7f}ä" });
        let shown = escape_control_chars(&value.to_string());
        assert_eq!(shown, r#"{"a":"x\u009b31m\u202ey\u007fä"}"#);
        assert_eq!(
            serde_json::from_str::<Value>(&shown).unwrap(),
            value,
            "the value is the same"
        );
    }
}
