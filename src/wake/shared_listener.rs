//! Notices the doorbells of many sessions of one process with a single watcher: the system limits how many watchers a user
//! may have.
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::doorbells::Doorbells;
use super::listener::ListenerKind;
use crate::platform::id::SessionId;
use crate::platform::{Fault, permissions};

/// A waiting call polls this often although its doorbell is watched.
const WATCHED_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A waiting call polls this often where no watcher can be had.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// One watcher for the doorbells of many sessions.
pub struct SharedListener {
    doorbells: Doorbells,
    /// `None` where the system grants no watcher, or where polling is asked for.
    watcher: Option<Mutex<RecommendedWatcher>>,
}

impl SharedListener {
    /// Calls `on_wake` from a thread of its own with the session whose doorbell was written, or with `None` if any may have
    /// been. With `polling` nothing is watched.
    pub fn new(
        doorbells: Doorbells,
        polling: bool,
        on_wake: impl Fn(Option<SessionId>) + Send + 'static,
    ) -> Self {
        let handle_event = move |event: notify::Result<Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_) | EventKind::Remove(_)) => {}
            Ok(event) => on_wake(event.paths.first().and_then(|path| session_of(path))),
            // An error may hide a wake-up, so it counts as one.
            Err(_) => on_wake(None),
        };
        let watcher = (!polling)
            .then(|| RecommendedWatcher::new(handle_event, Config::default()).ok())
            .flatten();
        Self {
            doorbells,
            watcher: watcher.map(Mutex::new),
        }
    }

    /// Creates the doorbell of a session and listens to it.
    ///
    /// # Errors
    /// The folder of the doorbell cannot be created, or the system grants no further watch.
    pub fn add(&self, session: SessionId) -> Result<(), Fault> {
        let folder = self.doorbells.doorbell_folder(session);
        permissions::create_folder(&folder)?;
        let Some(watcher) = &self.watcher else {
            return Ok(());
        };
        let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
        watcher
            .watch(&folder, RecursiveMode::NonRecursive)
            .map_err(|error| {
                let error = std::io::Error::other(error);
                Fault::io("watch", &folder, error)
            })
    }

    /// Stops listening to the doorbell of a session.
    pub fn remove(&self, session: SessionId) {
        if let Some(watcher) = &self.watcher {
            let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = watcher.unwatch(&self.doorbells.doorbell_folder(session));
        }
    }

    /// Returns how doorbells are noticed.
    pub fn kind(&self) -> ListenerKind {
        match self.watcher {
            Some(_) => ListenerKind::Watcher,
            None => ListenerKind::Polling,
        }
    }

    /// Returns the longest time between two polls of a waiting call.
    pub fn poll_interval(&self) -> Duration {
        match self.watcher {
            Some(_) => WATCHED_POLL_INTERVAL,
            None => POLL_INTERVAL,
        }
    }
}

/// Returns the session of a file in a doorbell folder, or of the folder itself.
fn session_of(path: &Path) -> Option<SessionId> {
    let name = |path: &Path| path.file_name()?.to_str()?.parse().ok();
    path.parent().and_then(name).or_else(|| name(path))
}
