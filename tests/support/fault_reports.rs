//! How a fault is reported: to a model by every tool, to a person by every command, and by hooks only in the fault log.
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Session, World};

/// A person waits for hooks; none may take longer.
pub(crate) const HOOK_TIME_LIMIT: Duration = Duration::from_millis(1_500);
pub(crate) const EVENTS: [&str; 5] = [
    "SessionStart",
    "UserPromptSubmit",
    "Stop",
    "SessionEnd",
    "PreToolUse",
];

#[track_caller]
pub(crate) fn assert_storage_refusal(result: &Value, expected: &[&str]) {
    let error = &result["error"];
    let message = error["message"].as_str().expect("a refusal");
    assert_eq!(error["code"], "storage", "{message}");
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!error["hint"].as_str().unwrap().is_empty());
}

/// Asserts that the model gets the hint that a person gets at the command line.
#[track_caller]
pub(crate) fn assert_model_gets_hint(session: &Session, expected: &[&str]) {
    let result = session.call("mesh_status", json!({}));
    let hint = result["error"]["hint"].as_str().unwrap();
    for part in expected {
        assert!(hint.contains(part), "{part:?} is not in {hint:?}");
    }
}

/// Asserts that every tool refuses with the same message and the server keeps running.
#[track_caller]
pub(crate) fn assert_all_tools_refuse(session: &Session, expected: &[&str]) {
    for (tool, arguments) in [
        ("mesh_status", json!({})),
        ("register", json!({ "role": "x" })),
        ("ask_peer", json!({ "to": "bo", "question": "which port?" })),
        ("state", json!({ "action": "set", "key": "k", "value": 1 })),
        ("events", json!({ "action": "wait" })),
    ] {
        assert_storage_refusal(&session.call(tool, arguments), expected);
    }
    assert_server_responds(session);
}

#[track_caller]
pub(crate) fn assert_server_responds(session: &Session) {
    let listed = session.request("tools/list", json!({}));
    let all = claude_mesh::mcp::tool_list(None).len();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), all);
}

/// Asserts that every hook prints nothing for the model, succeeds, and writes to the fault log where that is possible.
#[track_caller]
pub(crate) fn assert_hooks_print_nothing(world: &World, session: &Session, logged: Option<&str>) {
    let log = world.home().join(".claude-mesh/faults.log");
    for event in EVENTS {
        let before = fs::read_to_string(&log).unwrap_or_default().len();
        let ran = session.raw_hook(event, hook_payload(event).as_bytes());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(0), ""),
            "{event}: {ran:?}"
        );
        let Some(expected) = logged else { continue };
        let content = fs::read_to_string(&log).unwrap_or_default();
        let fresh = &content[before..];
        assert_eq!(fresh.lines().count(), 1, "{event}: {fresh:?}");
        assert!(
            fresh.contains(expected),
            "{event}: {expected:?} is not in {fresh:?}"
        );
    }
}

/// Asserts that the command line reports the same.
#[track_caller]
pub(crate) fn assert_cli_reports(world: &World, expected: &[&str]) {
    for command in ["peers", "status"] {
        let ran = world.cli(&world.project("ada"), &[command]);
        assert!(ran.code.is_some_and(|code| code != 0), "{command}: {ran:?}");
        for part in expected {
            assert!(
                ran.err.contains(part),
                "{command}: {part:?} is not in {ran:?}"
            );
        }
        assert!(ran.err.contains("hint: "), "{command}: {ran:?}");
    }
}

pub(crate) fn hook_payload(event: &str) -> String {
    let session = "00000000-0000-4000-8000-00000000ffff";
    let payload = json!({
        "hook_event_name": event, "session_id": session, "source": "startup", "prompt": "go on",
        "prompt_id": "t1", "reason": "other", "tool_name": "Edit", "tool_input": { "file_path": "/a.rs" },
    });
    payload.to_string()
}

/// Asserts that a database is intact and has no question.
#[track_caller]
pub(crate) fn assert_intact_and_empty(database: &Path) {
    let rows = rusqlite::Connection::open(database).unwrap();
    let found: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
    for table in ["question", "wait", "wait_question", "showing"] {
        let count: i64 = rows
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
}
