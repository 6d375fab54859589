//! Where the demo is played: a temporary folder with a mesh of its own, and how long it waits there for anything.
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

/// A temporary home with a mesh of its own; goes when dropped.
pub(super) struct Sandbox {
    folder: tempfile::TempDir,
    /// The same without symbolic links.
    home: PathBuf,
    programs: PathBuf,
    wait_limit: WaitLimit,
}

/// How long the demo waits for anything, unless somebody stops it.
#[derive(Clone)]
pub(super) struct WaitLimit {
    stopped: Arc<AtomicBool>,
    timeout: Duration,
}

impl Sandbox {
    /// Makes the folder. From now on Ctrl-C ends the demo and cleans up. No step takes longer than `span`; one that does
    /// has failed.
    pub(super) fn set_up(programs: PathBuf, timeout: Duration) -> anyhow::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stopped))
                .context("cannot watch for Ctrl-C")?;
        }
        let folder = tempfile::Builder::new()
            .prefix("claude-mesh-demo-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        Ok(Self {
            home: folder.path().canonicalize()?,
            folder,
            programs,
            wait_limit: WaitLimit { stopped, timeout },
        })
    }

    /// Leaves the folder to the person.
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

    /// Makes the folder of a project.
    pub(super) fn project(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.home.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Returns what everyone's environment says, so that no setting of the person's own leads to another mesh.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("HOME", self.home.clone()),
            ("MESH_DB_PATH", self.database()),
            ("CLAUDE_MESH_HOME", self.home.join(".claude-mesh")),
            ("CLAUDE_MESH", "on".into()),
        ]
    }

    /// Runs the program for people.
    pub(super) fn run_as_person(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(self.programs.join("claude-mesh"))
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .current_dir(&self.home)
            .output()?;
        let stderr_text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "claude-mesh says: {stderr_text}");
        Ok(())
    }
}

impl Drop for Sandbox {
    /// Waits for everyone who was started here, and kills who stays: nothing may be written into a folder that goes.
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
    /// Looks until there is something, each time for at most [`POLL_INTERVAL`].
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

    /// Returns whether somebody stopped the demo.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Returns a time to measure spans from.
pub(super) fn now_monotonic_ms() -> i64 {
    SystemClock::new().now().monotonic_ms
}
