//! Finds Claude Code and asks programs for their version.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cli::poll::poll;
use crate::platform::Settings;

/// How long a program may take to print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
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
    let output = version_output(program)?;
    let mut words = output.lines().next()?.split_whitespace();
    words
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

/// Returns what a program prints for `--version`. Kills it after the timeout.
fn version_output(program: &mut Command) -> Option<String> {
    let mut child = program
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let ended = poll(VERSION_TIMEOUT, POLL_INTERVAL, || child.try_wait()).ok()?;
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let output = child.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
