//! What the program keeps of the waiting hook beside the client: whether one waits, and when it is to wake the idle session.
//!
//! The hub decides as it does for a hook of its own machine: it holds the lock of the waiting hook while the program reports
//! one, and so leaves the wake to the hook first.
use tokio::sync::{Mutex, Notify};

/// The one hook that waits.
#[derive(Default)]
pub(super) struct WaitingHook {
    /// Notified when the hub wants the session to be woken.
    pub(super) due: Notify,
    /// Held by the hook that waits.
    pub(super) place: Mutex<()>,
}

impl WaitingHook {
    /// Wakes the session by the hook that waits.
    pub(super) fn wake(&self) {
        self.due.notify_one();
    }
}
