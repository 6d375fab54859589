//! Which programs are installed, and in which version.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::platform::{Clock, Settings, SystemClock};

/// No program that is asked for its version may take longer.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the Claude Code that is first on `PATH`.
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

/// What a program prints for `--version`, if it ends in time.
fn version_output(program: &mut Command) -> Option<String> {
    let clock = SystemClock::new();
    let deadline_monotonic_ms =
        clock.now().monotonic_ms + i64::try_from(VERSION_TIMEOUT.as_millis()).unwrap_or(0);
    let mut child = program
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    while child.try_wait().ok()?.is_none() {
        if clock.now().monotonic_ms > deadline_monotonic_ms {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
