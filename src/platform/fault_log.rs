//! Writes and reads the fault log: one line for each fault of a hook or server, for `doctor` and for people. A hook has no
//! other way to report a fault.
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::platform::clock::{Clock, SystemClock, rfc3339};
use crate::platform::{permissions, text};

/// At this size the log is renamed to `faults.log.1`, and a new one is begun.
const BYTES_MAX: u64 = 512 * 1024;

/// Returns the path of the log in a claude-mesh folder.
pub fn path(mesh_home: &Path) -> PathBuf {
    mesh_home.join("faults.log")
}

/// Appends one line. Errors are ignored, because there is no other place to report them.
pub fn append(mesh_home: &Path, program: &str, message: &str) {
    let path = path(mesh_home);
    if permissions::create_folder(mesh_home).is_err() {
        return;
    }
    if path
        .metadata()
        .is_ok_and(|metadata| metadata.len() > BYTES_MAX)
    {
        let _ = std::fs::rename(&path, path.with_extension("log.1"));
    }
    let line = text::one_line(message);
    let time = rfc3339(SystemClock::new().now().wall_ms);
    if let Ok(mut file) = permissions::append_file(&path) {
        let _ = writeln!(file, "{time} {program} {line}");
    }
}

/// Returns the last lines of the log, oldest first.
pub fn last_lines(mesh_home: &Path, lines: usize) -> Vec<String> {
    let content = std::fs::read_to_string(path(mesh_home)).unwrap_or_default();
    let all: Vec<&str> = content.lines().collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_log_entry_is_one_line_without_control_sequences() {
        let place = tempfile::tempdir().unwrap();
        append(place.path(), "inbox-poll", "first\nsecond \u{1b}[31mred");
        append(place.path(), "inbox-poll", "third");
        let lines = last_lines(place.path(), 5);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].ends_with("inbox-poll first second red"),
            "{}",
            lines[0]
        );
    }
}
