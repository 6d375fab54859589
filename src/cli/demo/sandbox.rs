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
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// A temporary home with a mesh of its own; goes when dropped.
pub(super) struct Stage {
    folder: tempfile::TempDir,
    /// The same without symbolic links.
    home: PathBuf,
    programs: PathBuf,
    patience: Patience,
}

/// How long the demo waits for anything, unless somebody stops it.
#[derive(Clone)]
pub(super) struct Patience {
    stopped: Arc<AtomicBool>,
    span: Duration,
}

impl Stage {
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
            patience: Patience { stopped, span },
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

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
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
    pub(super) fn person(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(self.programs.join("claude-mesh"))
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .current_dir(&self.home)
            .output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "claude-mesh says: {complaint}");
        Ok(())
    }
}

impl Drop for Stage {
    /// Waits for everyone who was started here, and kills who stays: nothing may be written into a folder that goes.
    fn drop(&mut self) {
        let here = || process::started_with("HOME", &self.home);
        for _ in 0..100 {
            if here().is_empty() {
                return;
            }
            std::thread::sleep(LOOK);
        }
        for pid in here().iter().filter_map(|key| Pid::from_raw(key.pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Patience {
    /// Looks until there is something, each time for at most [`LOOK`].
    pub(super) fn wait<T>(
        &self,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let until_ms = now_ms() + i64::try_from(self.span.as_millis())?;
        while now_ms() < until_ms {
            if self.is_over() {
                bail!("somebody stopped it");
            }
            if let Some(found) = look()? {
                return Ok(found);
            }
        }
        bail!("nothing came within {} s", self.span.as_secs())
    }

    /// Returns whether somebody stopped the demo.
    pub(super) fn is_over(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Returns a time to measure spans from.
pub(super) fn now_ms() -> i64 {
    SystemClock::new().now().monotonic_ms
}

/// Returns a measured span.
pub(super) fn span(ms: i64) -> String {
    match ms {
        ..=0 => "under 1 ms".into(),
        1..=999 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}
