//! `claude-mesh notify`: shows a question to the person as a notification of the desktop, for `CLAUDE_MESH_NOTIFY=desktop`.
//!
//! Servers start this program for it, so that they carry no code of the desktop.
use std::io::{self, Read};

use clap::Args;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::Failure;
use crate::platform::text;

/// Show a question as a notification of the desktop; the text is read from stdin
#[derive(Debug, Args)]
pub(super) struct NotifyArgs {
    /// Who asks.
    #[arg(long, value_name = "NAME")]
    from: String,
    /// The id of the question.
    #[arg(long, value_name = "QUESTION_ID")]
    question: String,
}

/// How much of a question a notification shows, in characters.
const TEXT_CHARS_MAX: usize = 400;

pub(super) fn notify(args: &NotifyArgs, json: bool) -> CommandResult {
    let mut question = Vec::new();
    io::stdin().lock().read_to_end(&mut question)?;
    show(
        &args.from,
        &body(&String::from_utf8_lossy(&question), &args.question),
    )?;
    if json {
        print::json(&serde_json::json!({ "notified": true }))?;
    }
    Ok(CommandStatus::Done)
}

/// Returns the text of a notification. Many desktops read markup in it, so its characters are escaped.
fn body(question: &str, id: &str) -> String {
    let shown = text::strip_terminal_controls(question);
    let shown = text::cut_chars(shown.trim(), TEXT_CHARS_MAX);
    let escaped = shown
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("{escaped}\nclaude-mesh reply {id} TEXT")
}

#[cfg(feature = "desktop")]
fn show(from: &str, body: &str) -> Result<(), Failure> {
    let shown = notify_rust::Notification::new()
        .appname("claude-mesh")
        .summary(&format!("{from} asks you"))
        .body(body)
        .show();
    shown
        .map(drop)
        .map_err(|error| unsupported(&format!("the desktop shows no notification: {error}")))
}

#[cfg(not(feature = "desktop"))]
fn show(_: &str, _: &str) -> Result<(), Failure> {
    Err(unsupported(
        "this program is built without the feature `desktop`",
    ))
}

fn unsupported(message: &str) -> Failure {
    let hint = "CLAUDE_MESH_NOTIFY_CMD runs a program of your own instead";
    super::error::CliError::new("unsupported", message, hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notification_text_is_no_markup_and_is_cut() {
        assert_eq!(
            body("<b>which</b> port?\u{1b}[31m", "01K"),
            "&lt;b&gt;which&lt;/b&gt; port?\nclaude-mesh reply 01K TEXT"
        );
        assert!(body(&"x".repeat(9_000), "01K").len() < 500);
    }
}
