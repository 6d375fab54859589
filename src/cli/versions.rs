//! Finds Claude Code, and asks programs for their version and other short answers.
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::cli::poll::poll;
use crate::platform::Settings;

/// How long a program may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often the end of the program is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Returns the first Claude Code on `PATH`.
pub(super) fn claude(settings: &Settings) -> Option<PathBuf> {
    settings
        .search_path
        .iter()
        .map(|folder| folder.join("claude"))
        .find(|path| path.is_file())
}

/// Asks a program for its version: the first word of its first line that begins with a digit.
pub(super) fn version(program: &mut Command) -> Option<String> {
    let output = output(program.arg("--version"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.lines().next()?.split_whitespace();
    words
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

/// Runs a program that prints little. Returns what it prints on stdout, with its status; kills it after the timeout.
pub(super) fn output(program: &mut Command) -> Option<Output> {
    let mut child = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let ended = poll(TIMEOUT, POLL_INTERVAL, || child.try_wait()).ok()?;
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    child.wait_with_output().ok()
}
