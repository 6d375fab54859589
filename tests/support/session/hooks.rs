//! The hooks of a session, as Claude Code runs them.
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::super::shared::{delivery_socket, wait_for_deliveries};
use super::super::{ProcessOutput, wait_until};
use super::Session;

impl Session {
    /// Runs a hook as Claude Code does. Returns what it printed.
    #[track_caller]
    pub(crate) fn hook(&self, event: &str, mut fields: Value) -> Value {
        fields["hook_event_name"] = event.into();
        if fields.get("session_id").is_none() {
            fields["session_id"] = self.client_session.lock().unwrap().as_str().into();
        }
        let ran = self.raw_hook(event, fields.to_string().as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.err, "", "{event}");
        if ran.out.is_empty() {
            Value::Null
        } else {
            ran.json()
        }
    }

    /// Runs a hook that has a fault. Returns its stdout; the fault is on stderr and in the fault log.
    #[track_caller]
    pub(crate) fn hook_with_fault(&self, event: &str, mut fields: Value) -> String {
        fields["hook_event_name"] = event.into();
        let ran = self.raw_hook(event, fields.to_string().as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_ne!(ran.err, "", "{event}");
        ran.out
    }

    /// Runs a hook with these bytes on its stdin.
    pub(crate) fn raw_hook(&self, event: &str, stdin: &[u8]) -> ProcessOutput {
        let name = match event {
            "SessionStart" => "claude-mesh-session-start",
            "SessionEnd" => "claude-mesh-session-end",
            "PreToolUse" => "claude-mesh-claim-guard",
            _ => "claude-mesh-inbox-poll",
        };
        let child = self.start_hook(name, stdin);
        let output = ProcessOutput::of(&child.wait_with_output().unwrap());
        if name == "claude-mesh-inbox-poll" {
            wait_for_deliveries(&self.home, self.pid());
        }
        output
    }

    /// Lets the hooks of the session open the database themselves from now on.
    #[track_caller]
    pub(crate) fn remove_delivery_socket(&self) {
        wait_until("the server answers hooks", || {
            std::fs::remove_file(self.delivery_socket()).is_ok()
        });
    }

    /// Starts a hook program with these bytes on its stdin.
    pub(crate) fn start_hook(&self, name: &str, stdin: &[u8]) -> Child {
        let mut child = self
            .hook_command(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child
    }

    /// Returns a hook program as Claude Code runs it.
    pub(crate) fn hook_command(&self, name: &str) -> Command {
        let mut command = Command::new(self.hooks.join(name));
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("CLAUDE_PID", self.pid().to_string())
            .envs(&self.environment)
            .current_dir(&self.folder);
        command
    }

    /// Types a prompt. Returns the context that the hook adds.
    #[track_caller]
    pub(crate) fn prompt(&self, turn: &str) -> Option<String> {
        let said = self.hook(
            "UserPromptSubmit",
            json!({ "prompt": "go on", "prompt_id": turn }),
        );
        said["hookSpecificOutput"]["additionalContext"]
            .as_str()
            .map(str::to_owned)
    }

    /// Ends a turn. Returns the text by which the hook continues it.
    #[track_caller]
    pub(crate) fn stop(&self, turn: &str, stop_hook_active: bool) -> Option<String> {
        let said = self.hook(
            "Stop",
            json!({ "prompt_id": turn, "stop_hook_active": stop_hook_active }),
        );
        let context = said["hookSpecificOutput"]["additionalContext"].as_str();
        context.or(said["reason"].as_str()).map(str::to_owned)
    }

    /// Returns the socket at which the server delivers to the hooks of the session; without it they open the database.
    pub(crate) fn delivery_socket(&self) -> PathBuf {
        delivery_socket(&self.home, self.pid()).expect("the client runs")
    }
}
