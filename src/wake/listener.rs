//! Defines the interface of the two ways to notice a doorbell, file notification and polling.
use std::time::Duration;

/// How a listener notices a doorbell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// The system reports each change of the doorbell.
    Watcher,
    /// The mesh is read at intervals.
    Polling,
}

impl ListenerKind {
    /// Returns `watcher` or `polling`, as the status shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watcher => "watcher",
            Self::Polling => "polling",
        }
    }
}

/// A way of noticing that a doorbell was written.
pub trait WakeListener: Send {
    /// Returns how it notices a doorbell.
    fn kind(&self) -> ListenerKind;

    /// Returns how often to read the mesh without a wake-up; `None` means never.
    fn poll_interval(&self, waiting: bool) -> Option<Duration>;
}
