//! Wakes a conversation of the Codex CLI: `codex queue` gives it a prompt, with which an idle window starts a turn.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::platform::process::{self, ProcessKey};

/// How the Codex CLI names itself to its servers.
const CLIENT_NAME: &str = "codex-mcp-client";
/// The commands that run one prompt and end: nothing reads their queue.
const HEADLESS_COMMANDS: [&str; 3] = ["exec", "e", "review"];
/// The folder of the Codex CLI, which it does not pass to its servers.
const HOME_VARIABLE: &str = "CODEX_HOME";
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns whether a client names itself the Codex CLI.
pub(super) fn is_codex(client: &str) -> bool {
    client.starts_with(CLIENT_NAME)
}

/// The queue of one conversation.
pub(super) struct CodexQueue {
    program: PathBuf,
    home: Option<String>,
    conversation: String,
}

impl CodexQueue {
    /// Returns the queue of a conversation of this client; `None` if the client is not the Codex CLI in a window.
    pub(super) fn of(
        client: &str,
        process: Option<ProcessKey>,
        conversation: Option<String>,
    ) -> Option<Self> {
        if !is_codex(client) {
            return None;
        }
        let pid = process?.pid;
        let command = process::arguments(pid).into_iter().nth(1);
        if command.is_some_and(|it| HEADLESS_COMMANDS.contains(&it.as_str())) {
            return None;
        }
        Some(Self {
            program: process::program(pid)?,
            home: process::environment_variable(pid, HOME_VARIABLE),
            conversation: conversation?,
        })
    }

    /// Gives the conversation a prompt. The reason of a failure is reported to the askers.
    pub(super) async fn post(self, prompt: String) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command
            .args([
                "queue",
                "--thread",
                &self.conversation,
                "--message",
                &prompt,
            ])
            .envs(self.home.map(|home| (HOME_VARIABLE, home)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = tokio::task::spawn_blocking(move || command.status());
        match tokio::time::timeout(POST_TIMEOUT, running).await {
            Ok(Ok(Ok(status))) if status.success() => Ok(()),
            Ok(Ok(Ok(status))) => Err(format!("its `codex queue` failed: {status}")),
            Ok(Ok(Err(error))) => Err(format!("its `codex queue` cannot be run: {error}")),
            Ok(Err(_)) | Err(_) => Err("its `codex queue` did not end".into()),
        }
    }
}
