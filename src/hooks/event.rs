//! What we act on, of all that Claude Code reports. "Not for us" is `None`.
use serde_json::Value;

use super::HookPayload;
use crate::claude_code::doorbell_nonce;

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEvent {
    /// It started, was resumed, cleared or compacted.
    Started {
        /// Claude Code's id of the session.
        session: Option<String>,
    },
    /// A prompt begins or joins a turn.
    Prompted {
        /// Claude Code's id of the session.
        session: Option<String>,
        /// What was submitted.
        prompt: Prompt,
    },
    /// A turn is about to end.
    Stopping {
        /// Claude Code's id of the session.
        session: Option<String>,
        /// Which turn.
        turn: Option<String>,
        /// A Stop hook has kept it going before.
        already_blocked: bool,
        /// What the model said last.
        said: Option<String>,
    },
    /// A file is about to be edited.
    Editing {
        /// Which, as the model wrote it.
        file: String,
        /// From where it is seen, if it is not absolute.
        folder: Option<String>,
    },
    /// The conversation ended.
    Ended {
        /// Claude Code's id of the session that ended.
        session: Option<String>,
        /// The client goes on with another conversation (`/clear`, `/resume`).
        client_continues: bool,
        /// Claude Code's word for why.
        reason: String,
    },
}

/// A submitted prompt, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// A person typed it; false for posted lines and notifications.
    pub typed: bool,
    /// The whole of it.
    pub text: String,
    /// The nonce of our doorbell, when it is one.
    pub doorbell: Option<String>,
    /// Which turn.
    pub turn: Option<String>,
}

impl HookEvent {
    /// Returns the event of a wire event, or `None` when it does not concern us.
    pub fn of(wire: HookPayload) -> Option<Self> {
        let HookPayload {
            session_id: session,
            prompt_id: turn,
            ..
        } = wire;
        match wire.hook_event_name.as_str() {
            "SessionStart" => Some(Self::Started { session }),
            "UserPromptSubmit" => {
                let text = wire.prompt.unwrap_or_default();
                let prompt = Prompt {
                    typed: is_typed(&text),
                    doorbell: doorbell_nonce(&text).map(str::to_owned),
                    turn,
                    text,
                };
                Some(Self::Prompted { session, prompt })
            }
            "Stop" => Some(Self::Stopping {
                session,
                turn,
                already_blocked: wire.stop_hook_active == Some(true),
                said: wire.last_assistant_message.and_then(|said| match said {
                    Value::String(said) => Some(said),
                    _ => None,
                }),
            }),
            "PreToolUse" => {
                let input = wire.tool_input.unwrap_or_default();
                let file = match wire.tool_name.as_deref()? {
                    "Edit" | "Write" | "MultiEdit" => input.file_path,
                    "NotebookEdit" => input.notebook_path,
                    // A hook wired for every tool must not keep anybody from reading.
                    _ => None,
                };
                let folder = wire.cwd.filter(|folder| folder.starts_with('/'));
                file.map(|file| Self::Editing { file, folder })
            }
            "SessionEnd" => {
                let reason = wire.reason.unwrap_or_else(|| "other".into());
                Some(Self::Ended {
                    session,
                    client_continues: matches!(reason.as_str(), "clear" | "resume"),
                    reason,
                })
            }
            _ => None,
        }
    }
}

/// Claude Code also submits prompts that nobody typed: notifications of background tasks and lines of other sessions.
fn is_typed(prompt: &str) -> bool {
    let start = prompt.trim_start();
    let posted = [
        "<task-notification>",
        "<cross-session-message",
        "[SYSTEM NOTIFICATION",
    ];
    let inner = start
        .strip_prefix("<system-reminder>")
        .map_or(start, str::trim_start);
    !posted.iter().any(|mark| inner.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<HookEvent> {
        HookEvent::of(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn unknown_events_and_fields_are_ignored() {
        assert_eq!(
            read(r#"{"hook_event_name":"PreCompact","trigger":"manual"}"#),
            None
        );
        assert_eq!(
            read(r#"{"hook_event_name":"SessionStart","new":{"a":1}}"#),
            Some(HookEvent::Started { session: None })
        );
    }

    #[test]
    fn only_editing_tools_yield_an_edit_event() {
        let edits = |tool: &str, key: &str| {
            read(&format!(
                r#"{{"hook_event_name":"PreToolUse","tool_name":"{tool}","tool_input":{{"{key}":"/a"}}}}"#
            ))
        };
        for (tool, key) in [
            ("Edit", "file_path"),
            ("Write", "file_path"),
            ("MultiEdit", "file_path"),
            ("NotebookEdit", "notebook_path"),
        ] {
            assert!(edits(tool, key).is_some(), "{tool}");
        }
        assert_eq!(edits("Read", "file_path"), None);
        assert_eq!(edits("Edit", "path"), None);
    }

    #[test]
    fn notification_and_inbox_prompts_do_not_count_as_typed() {
        for prompt in [
            "<task-notification>\n<task-id>k</task-id>",
            "<system-reminder>\n[SYSTEM NOTIFICATION - NOT USER INPUT]",
            "<cross-session-message from-name=\"a\">x</cross-session-message>",
        ] {
            assert!(!is_typed(prompt), "{prompt}");
        }
        assert!(is_typed("what does <task-notification> mean?"));
        assert!(is_typed(""));
    }

    #[test]
    fn non_text_last_message_does_not_discard_the_stop_event() {
        for message in ["null", "7", r#"{"text":"done"}"#] {
            let stop =
                format!(r#"{{"hook_event_name":"Stop","last_assistant_message":{message}}}"#);
            assert!(matches!(
                read(&stop),
                Some(HookEvent::Stopping { said: None, .. })
            ));
        }
    }

    #[test]
    fn session_end_by_clear_or_resume_keeps_the_client() {
        let ended = |reason| {
            matches!(
                read(&format!(
                    r#"{{"hook_event_name":"SessionEnd","reason":"{reason}"}}"#
                )),
                Some(HookEvent::Ended {
                    client_continues: true,
                    ..
                })
            )
        };
        assert!(ended("clear") && ended("resume"));
        assert!(!ended("prompt_input_exit") && !ended("other"));
    }
}
