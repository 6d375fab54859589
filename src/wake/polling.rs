//! Notices doorbells by polling, for systems that grant no watcher and file systems that report no changes.
use std::time::Duration;

use super::listener::{ListenerKind, WakeListener};

/// Reads the mesh every 50 ms while somebody waits and every second otherwise; gets no wake-ups in between.
#[derive(Debug)]
pub struct Polling;

impl WakeListener for Polling {
    fn kind(&self) -> ListenerKind {
        ListenerKind::Polling
    }

    fn poll_interval(&self, waiting: bool) -> Option<Duration> {
        Some(Duration::from_millis(if waiting { 50 } else { 1_000 }))
    }
}
