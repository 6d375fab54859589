//! Processes of tests: what they printed, background processes, and waiting for a condition.
use std::io::Write;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use super::World;
use serde_json::Value;

/// The longest wait of a test; a wait that reaches it has failed.
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

/// A process that a script of a test has started. It is killed when this is dropped.
pub(crate) struct BackgroundProcess(pub(crate) i32);

impl BackgroundProcess {
    /// Returns the script of a client whose shell starts its server and runs `claude-mesh` with these words once released.
    pub(crate) fn background_cli_script(world: &World, folder: &Path, words: &str) -> String {
        let made = world.command("mkfifo", folder).arg("go").status();
        assert!(made.unwrap().success());
        let program = program("claude-mesh");
        format!("(read go < go; exec \"{program}\" {words}) & echo $! > stray; \"$SERVER\"; :")
    }

    /// Starts the prepared command.
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

/// The output and exit code of a program.
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

/// Returns whether a process has ended or is a zombie.
pub(crate) fn has_ended(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat[stat.rfind(')').unwrap()..].starts_with(") Z")
    })
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < until, "did not happen in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs git in a folder, which must succeed.
#[track_caller]
pub(crate) fn git(world: &World, folder: &Path, arguments: &[&str]) {
    let mut git = world.command("git", folder);
    let output = git
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.org"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Starts a command of `claude-mesh` without input and returns at once.
pub(crate) fn start_command(world: &World, folder: &Path, arguments: &[&str]) -> Child {
    world
        .command(program("claude-mesh"), folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Prints past the test harness, which would swallow it.
pub(crate) fn print_to_stderr(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Reports that the calling test is skipped.
pub(crate) fn skip(what: &str, reason: &str) {
    print_to_stderr(&format!("SKIPPED: {what}: {reason}"));
}

/// Reports that the calling test is skipped; it fails instead where a variable of this name is `1`.
pub(crate) fn skip_unless_required<T>(what: &str, reason: &str, variable: &str) -> Option<T> {
    let is_required = std::env::var_os(variable).is_some_and(|value| value == "1");
    assert!(!is_required, "{what}: {reason}");
    skip(what, reason);
    None
}

/// Copies the built programs of a release into a new folder, without their symbols: with them they are ten times as large.
pub(crate) fn strip_programs(into: &Path) {
    std::fs::create_dir_all(into).unwrap();
    let built = Path::new(program("claude-mesh")).parent().unwrap();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("release/programs");
    let list = std::fs::read_to_string(list).unwrap();
    for name in list.lines().filter(|line| !line.starts_with('#')) {
        let mut strip = std::process::Command::new("strip");
        let output = strip.arg("-o").arg(into.join(name)).arg(built.join(name));
        let output = output.output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
}
