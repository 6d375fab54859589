//! The calls of sessions on other hosts that run in this hub: a repeated call waits for the first, and a client can cancel one.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedMutexGuard, watch};

use crate::platform::id::SessionId;

/// By session and idempotency key.
type Calls = HashMap<(SessionId, String), Weak<Turns>>;

/// All calls that run in a hub.
#[derive(Default)]
pub(super) struct RemoteCalls(Mutex<Calls>);

/// The calls with the same key: one of them runs at a time.
struct Turns {
    turn: Arc<tokio::sync::Mutex<()>>,
    cancelled: watch::Sender<bool>,
}

/// A call that runs, or waits for its turn.
pub(super) struct RemoteCall {
    turns: Arc<Turns>,
    turn_guard: Option<OwnedMutexGuard<()>>,
}

impl RemoteCalls {
    /// Adds a call; it is removed when the result is dropped.
    pub(super) fn begin(&self, session: SessionId, key: &str) -> RemoteCall {
        let mut calls = self.calls();
        calls.retain(|_, turns| turns.strong_count() > 0);
        let id = (session, key.to_owned());
        let turns = calls.get(&id).and_then(Weak::upgrade).unwrap_or_else(|| {
            let turns = Arc::new(Turns {
                turn: Arc::default(),
                cancelled: watch::Sender::new(false),
            });
            calls.insert(id, Arc::downgrade(&turns));
            turns
        });
        RemoteCall {
            turns,
            turn_guard: None,
        }
    }

    /// Cancels the calls with that key, and waits until they have ended.
    pub(super) async fn cancel(&self, session: SessionId, key: &str) {
        let id = (session, key.to_owned());
        let running = self.calls().get(&id).and_then(Weak::upgrade);
        if let Some(turns) = running {
            turns.cancelled.send_replace(true);
            let _ended = turns.turn.lock().await;
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RemoteCall {
    /// Waits until no other call with its key runs.
    pub(super) async fn in_turn(mut self) -> Self {
        self.turn_guard = Some(Arc::clone(&self.turns.turn).lock_owned().await);
        self
    }

    /// Returns the flag that becomes true when the client cancels the call.
    pub(super) fn cancelled(&self) -> watch::Receiver<bool> {
        self.turns.cancelled.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn repeated_call_waits_for_the_first_and_both_can_be_cancelled() {
        let calls = RemoteCalls::default();
        let session = "0".repeat(26).parse().unwrap();
        let first = calls.begin(session, "k").in_turn().await;
        let second = calls.begin(session, "k");
        let mut cancelled = second.cancelled();
        let mut waiting = std::pin::pin!(second.in_turn());
        let mut cancelling = std::pin::pin!(calls.cancel(session, "k"));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the first still runs"),
            () = &mut cancelling => panic!("the first still runs"),
            _ = cancelled.wait_for(|cancelled| *cancelled) => {}
        }
        drop(first);
        drop(waiting.await);
        cancelling.await;
        calls.cancel(session, "k").await;
        assert!(
            !*calls.begin(session, "k").cancelled().borrow(),
            "a new call"
        );
    }
}
