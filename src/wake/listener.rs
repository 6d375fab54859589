//! Defines what a way of noticing a doorbell has in common with the others.
use std::time::Duration;

/// A way of noticing that a doorbell was written.
pub trait WakeListener: Send {
    /// Returns `watcher` or `polling`, as status and doctor show it.
    fn kind(&self) -> &'static str;

    /// Returns how often to read the mesh without a wake-up; `None` means never.
    fn poll_interval(&self, waiting: bool) -> Option<Duration>;
}
