//! The calls that run, so that a client of a revision before 2026-07-28 can cancel one by a message of its own.
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::watch;

use crate::platform::id::KeyId;

/// All calls by MCP that run in a hub.
#[derive(Default)]
pub(super) struct RunningCalls(Mutex<Vec<Entry>>);

struct Entry {
    key: KeyId,
    request: RequestId,
    cancelled: watch::Sender<bool>,
}

impl RunningCalls {
    /// Adds a call; it is removed when the guard is dropped.
    pub(super) fn begin(&self, key: &KeyId, request: &RequestId) -> RunningCall<'_> {
        let (sender, cancelled) = watch::channel(false);
        self.entries().push(Entry {
            key: *key,
            request: request.clone(),
            cancelled: sender,
        });
        RunningCall {
            calls: self,
            cancelled,
        }
    }

    /// Cancels the call of a key with this request id. Nothing is cancelled if two clients with one key have such a call:
    /// the message does not say which of them it means.
    pub(super) fn cancel(&self, key: &KeyId, request: &RequestId) {
        let entries = self.entries();
        let mut meant = entries
            .iter()
            .filter(|entry| entry.key == *key && entry.request == *request);
        if let (Some(call), None) = (meant.next(), meant.next()) {
            call.cancelled.send_replace(true);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call that runs.
pub(super) struct RunningCall<'a> {
    calls: &'a RunningCalls,
    cancelled: watch::Receiver<bool>,
}

impl RunningCall<'_> {
    /// Returns the flag that becomes true when the client cancels the call.
    pub(super) fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancelled.clone()
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        self.calls
            .entries()
            .retain(|entry| !entry.cancelled.subscribe().same_channel(&self.cancelled));
    }
}
