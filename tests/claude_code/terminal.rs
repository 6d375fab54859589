//! An interactive `claude` in its own tmux: what a person types and sees.
//!
//! A screen cannot be waited on, so this is the one place that polls.
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::WAIT_TIMEOUT;
use super::installed::skip;

/// A terminal with `claude` in it; both end when this is dropped.
pub(crate) struct Terminal {
    socket: TempDir,
}

impl Terminal {
    /// Returns once the prompt box is shown; `None` after reporting why, if tmux is missing.
    pub(super) fn open(
        socket: TempDir,
        project: &Path,
        environment: &[(&'static str, String)],
        command: &[&str],
    ) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            return skip("there is no tmux");
        }
        let terminal = Terminal { socket };
        let mut start = terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "160",
            "-y",
            "50",
            "-c",
        ]);
        // tmux adds variables of its own, which Claude Code would notice.
        start.arg(project).args(["env", "-i"]);
        start.args(
            environment
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        start.args(command).env_clear().envs(environment.to_vec());
        let started = start.output().expect("the program was found at the start");
        assert!(started.status.success(), "tmux failed: {started:?}");
        terminal.wait_for("❯");
        Some(terminal)
    }

    /// Types a prompt and sends it.
    #[track_caller]
    pub(crate) fn type_prompt(&self, prompt: &str) {
        self.keys(&["-l", prompt]);
        // Enter directly after the text would be taken as part of a paste.
        self.wait_for(prompt);
        self.keys(&["Enter"]);
    }

    /// Presses keys, by tmux's names for them.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let sent = self.tmux(&["send-keys"]).args(keys).output();
        assert!(
            sent.is_ok_and(|sent| sent.status.success()),
            "the terminal has ended"
        );
    }

    /// Kills the client and returns when it has ended.
    pub(crate) fn kill(self) {
        let killed = Command::new("kill").args(["-9", &self.pid()]).status();
        assert!(killed.is_ok_and(|it| it.success()), "it has ended already");
    }

    pub(crate) fn screen(&self) -> String {
        let shot = self
            .tmux(&["capture-pane", "-p"])
            .output()
            .expect("the program was found at the start");
        String::from_utf8_lossy(&shot.stdout).trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !self.screen().contains(text) {
            let screen = self.screen();
            assert!(
                Instant::now() < deadline,
                "no {text:?} within {WAIT_TIMEOUT:?} on\n{screen}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process number of the client; empty if the terminal has ended.
    fn pid(&self) -> String {
        let said = self
            .tmux(&["display-message", "-p", "#{pane_pid}"])
            .output();
        said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
            .unwrap_or_default()
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S")
            .arg(self.socket.path().join("socket"))
            .args(arguments);
        tmux
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let pid = self.pid();
        self.tmux(&["kill-server"]).output().ok();
        // Its last hooks still write into the home, which is removed next.
        let process = Path::new("/proc").join(&pid);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !pid.is_empty() && process.join("stat").exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
