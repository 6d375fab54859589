//! The part of the settings that Claude Code gives its child processes. `settings.rs` reads the environment.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables that Claude Code sets for its child processes. Another client that was started from the shell of a session
/// inherits them, so they count only in hooks and for a client that names itself `claude-code`.
#[derive(Debug, Clone, Default)]
pub struct ClaudeEnvironment {
    /// The process of the client; set for hooks only.
    pub pid: Option<i32>,
    /// The session at the time when this process started.
    pub session_id: Option<String>,
    /// The folder in which Claude Code was started.
    pub project_dir: Option<PathBuf>,
    /// `cli` for interactive sessions, `sdk-cli` for `claude -p`.
    pub entrypoint: Option<String>,
    /// The inbox socket of the session.
    pub socket: Option<PathBuf>,
    /// The token that the socket requires.
    pub socket_token: Option<String>,
    /// The folder of the files of Claude Code: `CLAUDE_CONFIG_DIR`, else `~/.claude`.
    pub config_dir: PathBuf,
    /// Whether `CLAUDE_CONFIG_DIR` is set.
    pub config_dir_moved: bool,
}

impl ClaudeEnvironment {
    pub(in crate::platform) fn read(
        environment: &dyn Fn(&str) -> Option<OsString>,
        home: &Path,
    ) -> Self {
        let path = |name| {
            environment(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let text = |name| {
            environment(name)?
                .into_string()
                .ok()
                .filter(|value| !value.is_empty())
        };
        let config_dir = path("CLAUDE_CONFIG_DIR");
        Self {
            pid: text("CLAUDE_PID").and_then(|value| value.parse().ok()),
            session_id: text("CLAUDE_CODE_SESSION_ID"),
            project_dir: path("CLAUDE_PROJECT_DIR"),
            entrypoint: text("CLAUDE_CODE_ENTRYPOINT"),
            socket: text("CLAUDE_CODE_MESSAGING_SOCKET").map(PathBuf::from),
            socket_token: text("CLAUDE_CODE_MESSAGING_TOKEN"),
            config_dir_moved: config_dir.is_some(),
            config_dir: config_dir.unwrap_or_else(|| home.join(".claude")),
        }
    }
}
