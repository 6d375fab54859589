//! The environment of the demo: a temporary folder with a mesh of its own, the time limit of each step, and Ctrl-C.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::poll::{poll, poll_until};
use crate::platform::{Clock, SystemClock, process};

/// How often a wait checks whether the demo was interrupted.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a process of the demo may take to end before it is killed.
pub(super) const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A temporary home folder with a mesh of its own. Dropping it ends its processes and removes it.
pub(super) struct Sandbox {
    folder: tempfile::TempDir,
    /// The path of `folder` without symbolic links.
    home: PathBuf,
    programs: PathBuf,
    wait_limit: WaitLimit,
}

/// The time limit of each step, which Ctrl-C ends early.
#[derive(Clone)]
pub(super) struct WaitLimit {
    stopped: Arc<AtomicBool>,
    timeout: Duration,
}

impl Sandbox {
    /// Creates the folder. From now on Ctrl-C ends the demo and cleans up. A step that takes longer than `timeout` fails.
    pub(super) fn set_up(programs: PathBuf, timeout: Duration) -> anyhow::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stopped))
                .context("cannot watch for Ctrl-C")?;
        }
        let folder = tempfile::Builder::new()
            .prefix("claude-mesh-demo-")
            .tempdir()
            .context("cannot create a temporary folder")?;
        Ok(Self {
            home: folder.path().canonicalize()?,
            folder,
            programs,
            wait_limit: WaitLimit { stopped, timeout },
        })
    }

    /// Keeps the folder when the sandbox is dropped.
    pub(super) fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn programs(&self) -> &Path {
        &self.programs
    }

    pub(super) fn wait_limit(&self) -> &WaitLimit {
        &self.wait_limit
    }

    pub(super) fn database(&self) -> PathBuf {
        self.home.join(".claude-mesh/mesh.db")
    }

    /// Creates the folder of a project.
    pub(super) fn project(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.home.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Returns the environment of each process, so that no setting of the user leads to another mesh.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("HOME", self.home.clone()),
            ("MESH_DB_PATH", self.database()),
            ("CLAUDE_MESH_HOME", self.home.join(".claude-mesh")),
            ("CLAUDE_MESH", "on".into()),
        ]
    }

    /// Runs `claude-mesh` as a person.
    pub(super) fn run_as_person(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(self.programs.join("claude-mesh"))
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .current_dir(&self.home)
            .output()?;
        let stderr_text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "claude-mesh failed: {stderr_text}");
        Ok(())
    }
}

impl Drop for Sandbox {
    /// Waits for the end of all processes of the sandbox and kills the rest, so that none writes into the removed folder.
    fn drop(&mut self) {
        let remaining_processes = || process::find_processes_by_env("HOME", &self.home);
        if poll_until(END_TIMEOUT, POLL_INTERVAL, || {
            remaining_processes().is_empty()
        }) {
            return;
        }
        for pid in remaining_processes()
            .iter()
            .filter_map(|key| Pid::from_raw(key.pid))
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl WaitLimit {
    /// Calls `check`, which takes at most [`POLL_INTERVAL`], until it returns something.
    pub(super) fn wait<T>(
        &self,
        mut check: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let found = poll(self.timeout, Duration::ZERO, || {
            ensure!(!self.is_stopped(), "it was interrupted");
            check()
        })?;
        found.with_context(|| format!("nothing came within {} s", self.timeout.as_secs()))
    }

    /// Returns whether Ctrl-C was pressed.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Returns the monotonic time, to measure durations.
pub(super) fn now_monotonic_ms() -> i64 {
    SystemClock::new().now().monotonic_ms
}
