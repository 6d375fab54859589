//! Finds the installed Claude Code, runs it in a hidden terminal, types into it, and ends it.
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use pty_process::Size;
use pty_process::blocking::Pty;
use rustix::process::{Pid, Signal, kill_process};

use crate::claude_code;
use crate::cli::claude_sandbox;
use crate::cli::claude_sandbox::scripted_api::ScriptedApi;
use crate::cli::demo::sandbox::{END_TIMEOUT, POLL_INTERVAL, Sandbox};
use crate::cli::error::{CliError, Failure};
use crate::cli::poll::poll_until;
use crate::cli::versions;
use crate::platform::{Clock, Settings, SystemClock, process, text};
use crate::setup::{self, InstallOptions, InstallPaths, InstallScope};

/// What Claude Code sends to the terminal when it is ready for input: the request to mark pasted text.
const INPUT_READY_SEQUENCE: &str = "\x1b[?2004h";
/// Settings of an organization for every Claude Code on the machine, which override home and environment.
const MANAGED_SETTINGS_PATHS: [&str; 2] = [
    "/etc/claude-code/managed-settings.json",
    "/etc/claude-code/managed-settings.d",
];
/// The first folder on the clients' `PATH`. Its stubs, which fail, hide programs that could use the network.
const STUB_DIR: &str = "bin";

/// An installed Claude Code.
pub(super) struct ClaudeProgram {
    program: PathBuf,
    pub(super) version: String,
    search_path: String,
}

/// An interactive session in a terminal. Dropping it ends the session.
pub(super) struct TerminalSession {
    pub(super) name: &'static str,
    child: Child,
    terminal: Arc<Pty>,
    reader: JoinHandle<()>,
    /// The file with everything that was sent to the terminal.
    screen: PathBuf,
}

/// Prepares the home folder of a user of Claude Code, and installs claude-mesh there.
pub(super) fn set_up(sandbox: &Sandbox) -> anyhow::Result<()> {
    let mut config = claude_sandbox::onboarded_config();
    for name in ["frontend", "backend"] {
        let folder = sandbox.project(name)?;
        config["projects"][folder.to_string_lossy().as_ref()] =
            claude_sandbox::trusted_project_config();
    }
    for name in [".claude", "tmp", "run", STUB_DIR] {
        fs::create_dir(sandbox.home().join(name))?;
    }
    for program in ["git", "ssh"] {
        let stub = sandbox.home().join(STUB_DIR).join(program);
        fs::write(&stub, "#!/bin/sh\nexit 1\n")?;
        fs::set_permissions(&stub, Permissions::from_mode(0o755))?;
    }
    fs::write(sandbox.home().join(".claude.json"), config.to_string())?;
    let paths = InstallPaths::new(sandbox.home(), None, sandbox.programs());
    let plan = setup::install(&paths, InstallScope::User, InstallOptions::default())
        .map_err(|error| anyhow!("cannot install: {error}"))?;
    plan.apply(Timestamp::from_millisecond(
        SystemClock::new().now().wall_ms,
    )?)
    .map_err(|halted| anyhow!("cannot install: {halted}"))?;
    Ok(())
}

impl ClaudeProgram {
    /// Returns the Claude Code at `given`, else the first on `PATH`.
    pub(super) fn find(given: Option<&Path>, settings: &Settings) -> Result<Self, Failure> {
        let found = match given {
            Some(path) => Some(path.to_path_buf()).filter(|path| path.is_file()),
            None => versions::claude(settings),
        };
        let Some(program) = found else {
            let (message, hint) = match given {
                Some(path) => (
                    format!("there is no program {}", path.display()),
                    "`claude-mesh demo` runs without Claude Code",
                ),
                None => (
                    "Claude Code is not installed: there is no `claude` on your PATH".into(),
                    "`npm install -g @anthropic-ai/claude-code` installs it, `--claude PATH` names one in another folder, \
                     `claude-mesh demo` runs without it",
                ),
            };
            return Err(CliError::new("unsupported", message, hint).into());
        };
        if let Some(managed) = MANAGED_SETTINGS_PATHS
            .iter()
            .find(|path| Path::new(path).exists())
        {
            let message = format!(
                "{managed} applies to every Claude Code here, so the demo cannot keep it off the network"
            );
            let hint = "`claude-mesh demo` runs without Claude Code";
            return Err(CliError::new("unsupported", message, hint).into());
        }
        let search_path = settings.search_path.iter().map(|it| it.to_string_lossy());
        Ok(Self {
            program: std::path::absolute(program)?,
            version: String::new(),
            search_path: search_path.collect::<Vec<_>>().join(":"),
        })
    }

    /// Determines its version, in the home of the demo, and refuses one without an inbox.
    pub(super) fn check_version(mut self, sandbox: &Sandbox) -> Result<Self, Failure> {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.environment(sandbox));
        command.current_dir(sandbox.home());
        let program = self.program.display();
        let Some(version) = versions::version(&mut command) else {
            let message = format!("{program} does not print its version");
            let hint = "if it is a launcher, name the real program by `--claude PATH`";
            return Err(CliError::new("unsupported", message, hint).into());
        };
        if !claude_code::has_inbox(&version) {
            let message = format!("{program} is {version}, which has no inbox that could wake it");
            let hint = "`claude update` installs a newer one, `claude-mesh demo` runs without it";
            return Err(CliError::new("unsupported", message, hint).into());
        }
        self.version = version;
        Ok(self)
    }

    /// Starts a session in a project.
    pub(super) fn open(
        &self,
        sandbox: &Sandbox,
        name: &'static str,
        api: &ScriptedApi,
    ) -> anyhow::Result<TerminalSession> {
        let (terminal, client_end) =
            pty_process::blocking::open().context("cannot open a terminal")?;
        terminal.resize(Size::new(50, 160))?;
        let child = pty_process::blocking::Command::new(&self.program)
            .current_dir(sandbox.project(name)?)
            .env_clear()
            .envs(self.environment(sandbox))
            .envs(claude_sandbox::environment(&api.url()))
            .spawn(client_end)
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let terminal = Arc::new(terminal);
        let screen = sandbox.home().join(format!("{name}.screen"));
        let mut screen_text = File::create(&screen)?;
        let reader_terminal = Arc::clone(&terminal);
        // Ends with an error when the last process has closed the terminal.
        let reader =
            thread::spawn(move || drop(std::io::copy(&mut &*reader_terminal, &mut screen_text)));
        Ok(TerminalSession {
            name,
            child,
            terminal,
            reader,
            screen,
        })
    }

    fn environment(&self, sandbox: &Sandbox) -> Vec<(&'static str, PathBuf)> {
        let mut environment = sandbox.environment();
        let path = format!(
            "{}:{}",
            sandbox.home().join(STUB_DIR).display(),
            self.search_path
        );
        environment.extend([
            ("PATH", path.into()),
            ("TERM", "xterm-256color".into()),
            ("LANG", "C.UTF-8".into()),
            ("TMPDIR", sandbox.home().join("tmp")),
            ("XDG_RUNTIME_DIR", sandbox.home().join("run")),
        ]);
        environment
    }
}

impl TerminalSession {
    /// Returns whether it is ready for input.
    pub(super) fn reads_input(&self) -> bool {
        self.screen_text().contains(INPUT_READY_SEQUENCE)
    }

    pub(super) fn is_running(&self) -> bool {
        let pid = i32::try_from(self.child.id()).ok();
        pid.and_then(process::stat).is_some_and(|it| it.running)
    }

    /// Types a prompt and sends it.
    pub(super) fn type_prompt(&self, prompt: &str) -> anyhow::Result<()> {
        // Marked as pasted, so that the return key after it is read as a key.
        let keys = format!("\x1b[200~{prompt}\x1b[201~\r");
        let mut terminal = &*self.terminal;
        terminal
            .write_all(keys.as_bytes())
            .with_context(|| format!("the terminal of {} is closed", self.name))
    }

    /// Returns the last words on its screen.
    pub(super) fn last_screen_words(&self) -> String {
        // Its last output may not be read yet.
        poll_until(Duration::from_secs(1), POLL_INTERVAL, || {
            self.is_running() || self.reader.is_finished()
        });
        let screen_text = visible_words(&self.screen_text());
        let from = screen_text.len().saturating_sub(40);
        screen_text[from..].join(" ")
    }

    fn screen_text(&self) -> String {
        let screen_text = fs::read(&self.screen).unwrap_or_default();
        String::from_utf8_lossy(&screen_text).into_owned()
    }
}

impl Drop for TerminalSession {
    /// Sends SIGHUP, which ends it cleanly; kills it if it does not end.
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::HUP);
        }
        let ended = poll_until(END_TIMEOUT, POLL_INTERVAL, || {
            !matches!(self.child.try_wait(), Ok(None))
        });
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns the readable words of terminal output: escape sequences separate words, and drawings are dropped.
fn visible_words(screen_text: &str) -> Vec<String> {
    let mut pieces = screen_text.split('\x1b');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = match piece.chars().next() {
            Some('[') => piece[1..]
                .find(|c: char| ('@'..='~').contains(&c))
                .map(|at| at + 2),
            Some('(') => Some(2),
            Some(']') => piece.find('\x07').map(|at| at + 1),
            _ => Some(1),
        };
        let rest = end.and_then(|end| piece.get(end..)).unwrap_or_default();
        plain.push(' ');
        plain += rest;
    }
    let plain = text::one_line(&plain);
    let visible_words = plain.split_whitespace();
    visible_words
        .filter(|word| word.contains(char::is_alphanumeric))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_words_are_extracted_from_escape_sequences() {
        let screen_text = "\x1b]0;✳ Claude Code\x07\x1b[2J\x1b[38;5;174m▐▛█\x1b[12G\x1b[1mwelcome\x1b(B\x1b[20Gback\x1b7\r\n❯ ";
        assert_eq!(visible_words(screen_text), ["welcome", "back"]);
    }
}
