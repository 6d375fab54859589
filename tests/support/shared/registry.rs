//! The files by which Claude Code registers its sessions: one for each process.
use std::path::Path;

use serde_json::{Value, json};

/// Writes the entry of a process with these fields. Its number and its start time are added.
pub(crate) fn register(home: &Path, pid: u32, fields: &Value) {
    let mut entry = json!({ "pid": pid, "procStart": process_start(pid) });
    let all = entry.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    let sessions = home.join(".claude/sessions");
    std::fs::create_dir_all(&sessions).unwrap();
    std::fs::write(sessions.join(format!("{pid}.json")), entry.to_string()).unwrap();
}

/// Returns the start time of a process in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
fn process_start(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = &stat[stat.rfind(')').unwrap()..];
    fields.split_whitespace().nth(20).unwrap().to_owned()
}
