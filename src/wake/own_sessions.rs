//! Wakes the sessions that this process serves itself, without a file.
use std::fmt;
use std::sync::Arc;

use crate::platform::id::SessionId;

/// What wakes the sessions of this process. Sessions of other processes are woken by their doorbells.
#[derive(Clone)]
pub struct OwnSessions(Arc<dyn Fn(SessionId) -> bool + Send + Sync>);

impl OwnSessions {
    /// `wake` is called after each commit that concerns a session, on the thread of the commit. It returns whether the session
    /// is one of this process.
    pub fn new(wake: impl Fn(SessionId) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes a session if it is one of this process. Returns whether it is.
    pub(super) fn wake(&self, session: SessionId) -> bool {
        (self.0)(session)
    }
}

impl fmt::Debug for OwnSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSessions").finish_non_exhaustive()
    }
}
