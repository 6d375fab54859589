//! Notices doorbells by file notification on the doorbell folder of one session.
use std::path::Path;
use std::time::Duration;

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::listener::{ListenerKind, WakeListener};

/// A watch on one doorbell folder; ends when dropped.
#[derive(Debug)]
pub struct Watcher {
    _watch: RecommendedWatcher,
}

impl Watcher {
    /// Calls `on_wake` from a thread of its own whenever something is written in `folder`. Fails when the system's limit of
    /// watchers is reached.
    pub fn on(folder: &Path, on_wake: impl Fn() + Send + 'static) -> notify::Result<Self> {
        let handle_event = move |event: notify::Result<Event>| match event.map(|event| event.kind) {
            Ok(EventKind::Access(_) | EventKind::Remove(_)) => {}
            // An overflow or an error may hide a wake-up, so it counts as one.
            _ => on_wake(),
        };
        let mut watch = RecommendedWatcher::new(handle_event, Config::default())?;
        watch.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { _watch: watch })
    }
}

impl WakeListener for Watcher {
    fn kind(&self) -> ListenerKind {
        ListenerKind::Watcher
    }

    fn poll_interval(&self, waiting: bool) -> Option<Duration> {
        waiting.then_some(Duration::from_secs(2))
    }
}
