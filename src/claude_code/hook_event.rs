//! The events that hooks act on, as types; every other event is `None`. The Codex CLI has the names of Claude Code, Gemini CLI
//! has `BeforeAgent` and `AfterAgent` for a prompt and the end of a turn.
use serde_json::Value;

use super::hook_payload::HookPayload;
use super::wake_line::wake_line_nonce;
use crate::model::GitCommand;

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEvent {
    /// The session started, was resumed, cleared or compacted.
    Started {
        /// Claude Code's id of the session.
        session: Option<String>,
    },
    /// A prompt was submitted; it starts or joins a turn.
    Prompted {
        /// Claude Code's id of the session.
        session: Option<String>,
        /// The submitted prompt.
        prompt: Prompt,
    },
    /// A turn is about to end.
    Stopping {
        /// Claude Code's id of the session.
        session: Option<String>,
        /// The prompt id of the turn.
        turn: Option<String>,
        /// A Stop hook has already continued this turn.
        already_blocked: bool,
        /// The last text of the model.
        said: Option<String>,
    },
    /// A file is about to be edited.
    Editing {
        /// The path, as the model wrote it.
        file: String,
        /// The folder that a relative path starts from.
        folder: Option<String>,
    },
    /// A shell command is about to run that changes git working trees.
    ChangingWorkingTrees {
        /// What changes them, once for each folder.
        commands: Vec<GitCommand>,
        /// The folder that the shell starts in.
        folder: Option<String>,
    },
    /// The conversation ended.
    Ended {
        /// Claude Code's id of the session that ended.
        session: Option<String>,
        /// The process goes on with another conversation (`/clear`, `/resume`).
        client_continues: bool,
        /// Claude Code's reason.
        reason: String,
    },
}

/// A submitted prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Whether a user typed it; false for inbox lines and notifications.
    pub typed: bool,
    /// The full text.
    pub text: String,
    /// The nonce, if the prompt is a wake line of claude-mesh.
    pub wake_line_nonce: Option<String>,
    /// The prompt id of the turn.
    pub turn: Option<String>,
}

impl HookEvent {
    /// Returns the event of a payload, or `None` if no hook acts on it.
    pub fn from_payload(payload: HookPayload) -> Option<Self> {
        let HookPayload {
            session_id: session,
            prompt_id,
            turn_id,
            ..
        } = payload;
        let turn = prompt_id.or(turn_id);
        match payload.event_name.as_str() {
            "SessionStart" => Some(Self::Started { session }),
            "UserPromptSubmit" | "BeforeAgent" => {
                let text = without_hook_context(payload.prompt.unwrap_or_default());
                let prompt = Prompt {
                    typed: is_typed(&text),
                    wake_line_nonce: wake_line_nonce(&text).map(str::to_owned),
                    turn,
                    text,
                };
                Some(Self::Prompted { session, prompt })
            }
            "Stop" | "AfterAgent" => Some(Self::Stopping {
                session,
                turn,
                already_blocked: payload.stop_hook_active == Some(true),
                said: match payload.last_assistant_message.or(payload.prompt_response) {
                    Some(Value::String(said)) => Some(said),
                    _ => None,
                },
            }),
            "PreToolUse" => {
                let input = payload.tool_input.unwrap_or_default();
                let folder = payload.cwd.filter(|folder| folder.starts_with('/'));
                let file = match payload.tool_name.as_deref()? {
                    // Most shell commands end here, before anything is opened.
                    "Bash" => {
                        let commands = GitCommand::in_shell_command(&input.command?);
                        return (!commands.is_empty())
                            .then_some(Self::ChangingWorkingTrees { commands, folder });
                    }
                    "Edit" | "Write" | "MultiEdit" => input.file_path,
                    "NotebookEdit" => input.notebook_path,
                    // The hook may be installed without a matcher; then it must not deny reads.
                    _ => None,
                };
                file.map(|file| Self::Editing { file, folder })
            }
            "SessionEnd" => {
                let reason = payload.reason.unwrap_or_else(|| "other".into());
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

/// Returns a prompt without the text that a hook of Gemini CLI has put before it.
fn without_hook_context(prompt: String) -> String {
    let rest = prompt.strip_prefix("<hook_context>");
    match rest.and_then(|rest| rest.split_once("</hook_context>")) {
        Some((_, typed)) => typed.trim_start().to_owned(),
        None => prompt,
    }
}

/// Returns whether a user typed this prompt. Claude Code also submits notifications of background tasks and lines of other
/// sessions as prompts.
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
        HookEvent::from_payload(serde_json::from_str(json).unwrap())
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
    fn events_of_other_clients_are_those_of_claude_code() {
        let codex = r#"{"hook_event_name":"UserPromptSubmit","session_id":"s","turn_id":"t","prompt":"hi"}"#;
        let gemini = r#"{"hook_event_name":"BeforeAgent","session_id":"s","prompt":"<hook_context>you are ada</hook_context>\n\nhi"}"#;
        for (event, turn) in [(codex, Some("t")), (gemini, None)] {
            let Some(HookEvent::Prompted { prompt, .. }) = read(event) else {
                panic!("no prompt: {event}")
            };
            assert_eq!((prompt.text.as_str(), prompt.turn.as_deref()), ("hi", turn));
            assert!(prompt.typed);
        }
        let stop =
            r#"{"hook_event_name":"AfterAgent","stop_hook_active":true,"prompt_response":"done"}"#;
        let Some(HookEvent::Stopping {
            said,
            already_blocked,
            ..
        }) = read(stop)
        else {
            panic!("no end of a turn")
        };
        assert_eq!((said.as_deref(), already_blocked), (Some("done"), true));
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
    fn only_shell_commands_that_change_working_trees_yield_an_event() {
        let run = |tool: &str, command: &str| {
            read(&format!(
                r#"{{"hook_event_name":"PreToolUse","tool_name":"{tool}","cwd":"/p","tool_input":{{"command":"{command}"}}}}"#
            ))
        };
        let Some(HookEvent::ChangingWorkingTrees { commands, folder }) =
            run("Bash", "cd a && git commit -m x")
        else {
            panic!("no event")
        };
        assert_eq!(folder.as_deref(), Some("/p"));
        assert_eq!(commands[0].name, "commit");
        assert_eq!(run("Bash", "git status"), None);
        assert_eq!(run("Bash", ""), None);
        assert_eq!(run("Other", "git commit"), None);
        assert_eq!(
            read(r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{}}"#),
            None
        );
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
