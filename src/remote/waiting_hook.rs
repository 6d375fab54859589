//! The waiting hook beside the client: it keeps a connection to this program, and wakes the idle session when the hub says so.
//!
//! The hub decides as it does for a hook of its own machine: it holds the lock of the waiting hook while the program reports
//! one, and so leaves the wake to the hook first.
use tokio::sync::{Mutex, Notify};

use crate::hooks;
use crate::remote::link::Link;

/// The one hook that waits.
#[derive(Default)]
pub(super) struct WaitingHook {
    /// Notified when the hub wants the session to be woken.
    due: Notify,
    /// Held by the hook that waits.
    place: Mutex<()>,
}

impl WaitingHook {
    /// Wakes the session by the hook that waits.
    pub(super) fn wake(&self) {
        self.due.notify_one();
    }
}

/// Waits until the session is to be woken and returns the text for it; `None` at once if another hook waits.
pub(super) async fn wait_for_wake(link: &Link) -> Option<String> {
    let _place = link.waiting_hook.place.try_lock().ok()?;
    let _running = RunningHook::begin(link);
    loop {
        link.waiting_hook.due.notified().await;
        let mut mirror = link.mirror();
        if let Some(me) = mirror.addressable()
            && let Ok(Some(text)) = hooks::wake_text(&mut *mirror, &me)
        {
            mirror.set_activity("busy");
            return Some(text);
        }
    }
}

/// Tells the hub that a hook waits, and when it does no more.
struct RunningHook<'a>(&'a Link);

impl<'a> RunningHook<'a> {
    fn begin(link: &'a Link) -> Self {
        Self::report(link, true);
        Self(link)
    }

    fn report(link: &Link, runs: bool) {
        link.mirror().set_waiting_hook(runs);
        link.send_soon();
    }
}

impl Drop for RunningHook<'_> {
    fn drop(&mut self) {
        Self::report(self.0, false);
    }
}
