//! Hearing by file notification on the session's own bell folder, and on nobody else's.
use std::path::Path;
use std::time::Duration;

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Listener;

/// A watch on one bell folder; ends when dropped.
#[derive(Debug)]
pub struct Watcher {
    _watch: RecommendedWatcher,
}

impl Watcher {
    /// Calls `on_ring` from a thread of its own whenever something is written in `folder`. Fails where the system's
    /// limit of watchers is used up.
    pub fn on(folder: &Path, on_ring: impl Fn() + Send + 'static) -> notify::Result<Self> {
        let hear = move |event: notify::Result<Event>| match event.map(|event| event.kind) {
            Ok(EventKind::Access(_) | EventKind::Remove(_)) => {}
            // An overflow or an error may hide a ring, so it counts as one.
            _ => on_ring(),
        };
        let mut watch = RecommendedWatcher::new(hear, Config::default())?;
        watch.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { _watch: watch })
    }
}

impl Listener for Watcher {
    fn kind(&self) -> &'static str {
        "watcher"
    }

    fn pace(&self, waiting: bool) -> Option<Duration> {
        waiting.then_some(Duration::from_secs(2))
    }
}
