//! Defines how a mesh is opened, and derives it from the settings for every program.
use std::path::PathBuf;
use std::time::Duration;

use crate::platform::Settings;
use crate::platform::fork_setting::ForkSettings;
use crate::platform::settings::{DEFAULT_KEEP_MS, DEFAULT_PERSON_BUDGET, DEFAULT_WAKE_BUDGET};
use crate::store::Options;
#[cfg(feature = "hub")]
use crate::wake::OwnSessions;
use crate::wake::PersonNotifier;

/// How a mesh is opened.
#[derive(Debug, Clone)]
pub struct MeshOptions {
    /// How its file is opened.
    pub store: Options,
    /// Where Claude Code keeps its session registry; `None` looks nothing up there.
    pub registry: Option<PathBuf>,
    /// How many turns peers may start in a session before its person types again.
    pub wake_budget: u32,
    /// How many questions an hour all sessions together may ask the person.
    pub person_budget: u32,
    /// Notifies the person of questions while nothing shows them; `None` if no such program is set.
    pub person_notifier: Option<PersonNotifier>,
    /// Whether and for whom forks of the session of this program answer questions.
    pub fork: ForkSettings,
    /// Whether sessions live by leases alone, because the processes of several machines serve the mesh.
    pub by_leases: bool,
    /// How long closed questions and events are kept, in milliseconds.
    pub keep_ms: i64,
    /// The folder of the fault log, for faults that fail no operation.
    pub faults: Option<PathBuf>,
    /// The sessions that this process serves itself.
    #[cfg(feature = "hub")]
    pub own_sessions: Option<OwnSessions>,
}

impl MeshOptions {
    /// Returns the options that the settings ask for.
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            store: Options {
                sync_full: settings.sync_full,
                ..Options::default()
            },
            registry: Some(settings.claude.config_dir.clone()),
            wake_budget: settings.wake_budget,
            person_budget: settings.person_budget,
            person_notifier: PersonNotifier::from_settings(settings),
            fork: settings.fork,
            by_leases: false,
            keep_ms: settings.keep_ms,
            faults: Some(settings.mesh_home.clone()),
            #[cfg(feature = "hub")]
            own_sessions: None,
        }
    }

    /// Returns the same options for a program whose writes wait this long for the lock.
    #[must_use]
    pub fn lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.store.lock_timeout = lock_timeout;
        self
    }

    /// Returns the same options for a program that runs on, whose callers need not wait for checkpoints.
    #[must_use]
    pub fn checkpoint_in_background(mut self) -> Self {
        self.store.checkpoint_in_background = true;
        self
    }

    /// Returns the same options for a hub that serves a mesh together with others.
    #[must_use]
    pub fn by_leases(mut self) -> Self {
        self.by_leases = true;
        self
    }

    /// Returns the same options for a hook, which neither migrates nor checkpoints.
    #[must_use]
    pub fn for_hook(mut self) -> Self {
        self.store.hook = true;
        self
    }
}

impl Default for MeshOptions {
    fn default() -> Self {
        Self {
            store: Options::default(),
            registry: None,
            wake_budget: DEFAULT_WAKE_BUDGET,
            person_budget: DEFAULT_PERSON_BUDGET,
            person_notifier: None,
            fork: ForkSettings::default(),
            by_leases: false,
            keep_ms: DEFAULT_KEEP_MS,
            faults: None,
            #[cfg(feature = "hub")]
            own_sessions: None,
        }
    }
}
