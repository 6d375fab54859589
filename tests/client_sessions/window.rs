//! A window of a client: a terminal of tmux, which ends with the test.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{START_TIMEOUT, Setup};
use crate::support::skip;

pub(super) struct Window {
    socket: PathBuf,
}

impl Window {
    /// Opens the Codex CLI in a window; it asks for no permission. Returns `None` after a line if there is no tmux.
    pub(super) fn open(setup: &Setup<'_>) -> Option<Self> {
        let socket = setup.world.home().join("tmux");
        let program = setup.program.to_str().unwrap();
        let started = setup
            .command("tmux")
            .args(["-S", socket.to_str().unwrap()])
            .args(["new-session", "-d", "-x", "150", "-y", "45", program])
            .args([
                "--dangerously-bypass-approvals-and-sandbox",
                "--dangerously-bypass-hook-trust",
            ])
            .envs([("TERM", "xterm-256color"), ("LANG", "C.UTF-8")])
            .status();
        match started {
            Ok(status) => assert!(status.success(), "{status}"),
            Err(error) => {
                skip("a window of Codex", &format!("no tmux: {error}"));
                return None;
            }
        }
        Some(Self { socket })
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types keys, by their names; after `-l` letter by letter.
    pub(super) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    pub(super) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) {
        let until = Instant::now() + START_TIMEOUT;
        while !self.screen().contains(text) {
            assert!(Instant::now() < until, "no {text:?} in {}", self.screen());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
