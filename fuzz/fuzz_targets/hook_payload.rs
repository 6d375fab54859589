//! What Claude Code writes to a hook becomes an event or nothing; fields that no version of it has had change nothing, and the
//! parts of an event keep their bounds.
#![no_main]

use claude_mesh::claude_code::{HookEvent, HookPayload};
use claude_mesh::model::GitCommand;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const GIT_COMMANDS_MAX: usize = 32;

fuzz_target!(|input: &[u8]| {
    let Some(event) = read(input) else {
        return;
    };
    if let Ok(Value::Object(mut payload)) = serde_json::from_slice(input) {
        payload.insert("field_of_a_later_version".into(), json!({ "a": [1, null] }));
        let extended = Value::Object(payload).to_string();
        assert_eq!(read(extended.as_bytes()), Some(event.clone()));
    }
    match event {
        HookEvent::Prompted { prompt, .. } => {
            if let Some(nonce) = prompt.wake_line_nonce {
                assert!(!prompt.typed, "a wake line counts as typed");
                assert!(prompt.text.contains(&nonce));
            }
        }
        HookEvent::ChangingWorkingTrees { commands, folder } => {
            check_folder(folder.as_deref());
            check_commands(&commands);
        }
        HookEvent::Editing { folder, .. } => check_folder(folder.as_deref()),
        HookEvent::Started { .. } | HookEvent::Stopping { .. } | HookEvent::Ended { .. } => {}
    }
});

fn read(input: &[u8]) -> Option<HookEvent> {
    let payload: HookPayload = serde_json::from_slice(input).ok()?;
    HookEvent::from_payload(payload)
}

fn check_folder(folder: Option<&str>) {
    assert!(folder.is_none_or(|folder| folder.starts_with('/')));
}

fn check_commands(commands: &[GitCommand]) {
    assert!((1..=GIT_COMMANDS_MAX).contains(&commands.len()));
    for (at, command) in commands.iter().enumerate() {
        let is_same = |other: &GitCommand| other.folder == command.folder;
        assert!(
            !commands[..at].iter().any(is_same),
            "a folder is there twice"
        );
    }
}
