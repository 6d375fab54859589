//! Processes of tests: what they printed, background processes, and waiting for a condition.
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use super::World;
use serde_json::Value;

/// No wait of a test is longer; one that ends by it has failed.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn program(name: &str) -> &'static str {
    match name {
        "claude-mesh" => env!("CARGO_BIN_EXE_claude-mesh"),
        "claude-mesh-server" => env!("CARGO_BIN_EXE_claude-mesh-server"),
        "claude-mesh-session-start" => env!("CARGO_BIN_EXE_claude-mesh-session-start"),
        "claude-mesh-session-end" => env!("CARGO_BIN_EXE_claude-mesh-session-end"),
        "claude-mesh-inbox-poll" => env!("CARGO_BIN_EXE_claude-mesh-inbox-poll"),
        "claude-mesh-claim-guard" => env!("CARGO_BIN_EXE_claude-mesh-claim-guard"),
        "claude-mesh-inbox-wait" => env!("CARGO_BIN_EXE_claude-mesh-inbox-wait"),
        _ => panic!("no program {name}"),
    }
}

/// A process that a script of a test has started, and that nobody else ends.
pub(crate) struct BackgroundProcess(pub(crate) i32);

impl BackgroundProcess {
    /// Returns the script of a client in whose shell `claude-mesh` with these words stands ready beside its server.
    pub(crate) fn background_cli_script(world: &World, folder: &Path, words: &str) -> String {
        let made = world.command("mkfifo", folder).arg("go").status();
        assert!(made.unwrap().success());
        let program = program("claude-mesh");
        format!("(read go < go; exec \"{program}\" {words}) & echo $! > stray; \"$SERVER\"; :")
    }

    /// Lets it go.
    pub(crate) fn release(folder: &Path) -> Self {
        let number = std::fs::read_to_string(folder.join("stray")).unwrap();
        std::fs::write(folder.join("go"), "go\n").unwrap();
        Self(number.trim().parse().unwrap())
    }

    pub(crate) fn kill(&self) {
        let pid = rustix::process::Pid::from_raw(self.0).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

impl Drop for BackgroundProcess {
    fn drop(&mut self) {
        if !has_ended(self.0) {
            self.kill();
        }
    }
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct ProcessOutput {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl ProcessOutput {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Returns whether a process is gone, or only waits for its parent to fetch its end.
pub(crate) fn has_ended(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat[stat.rfind(')').unwrap()..].starts_with(") Z")
    })
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < until, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
