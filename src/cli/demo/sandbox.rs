//! Where the demo is played: a temporary folder with a mesh of its own, and how long it waits there for anything.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::platform::{Clock, SystemClock, process};

/// How often a wait looks whether somebody stopped the demo.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

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
    span: Duration,
}

impl Sandbox {
    /// Makes the folder. From now on Ctrl-C ends the demo and cleans up. No step takes longer than `span`; one that does
    /// has failed.
    pub(super) fn set_up(programs: PathBuf, span: Duration) -> anyhow::Result<Self> {
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
            wait_limit: WaitLimit { stopped, span },
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
        for _ in 0..100 {
            if remaining_processes().is_empty() {
                return;
            }
            std::thread::sleep(POLL_INTERVAL);
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
        let deadline_monotonic_ms = now_monotonic_ms() + i64::try_from(self.span.as_millis())?;
        while now_monotonic_ms() < deadline_monotonic_ms {
            if self.is_stopped() {
                bail!("somebody stopped it");
            }
            if let Some(found) = check()? {
                return Ok(found);
            }
        }
        bail!("nothing came within {} s", self.span.as_secs())
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
