//! The calls of the session that may have been carried out: their connection broke, and no repetition was answered.
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::platform::id::SessionId;
use crate::tools::JsonObject;

/// The most calls that are remembered.
const CALLS_MAX: usize = 20;

/// The calls of the session whose outcome is not known.
#[derive(Default)]
pub(super) struct UnsettledCalls(Mutex<Vec<UnsettledCall>>);

/// A call that may have been carried out.
#[derive(Clone)]
pub(super) struct UnsettledCall {
    pub(super) session: SessionId,
    pub(super) key: String,
    pub(super) tool: &'static str,
    pub(super) arguments: JsonObject,
    /// In wall milliseconds.
    pub(super) at_ms: i64,
}

impl UnsettledCalls {
    fn calls(&self) -> MutexGuard<'_, Vec<UnsettledCall>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all of them, the oldest first.
    pub(super) fn all(&self) -> Vec<UnsettledCall> {
        self.calls().clone()
    }

    /// Adds a call.
    pub(super) fn remember(&self, call: UnsettledCall) {
        self.forget(&call.key);
        let mut calls = self.calls();
        if calls.len() == CALLS_MAX {
            calls.remove(0);
        }
        calls.push(call);
    }

    /// Removes the call with that key.
    pub(super) fn forget(&self, key: &str) {
        self.calls().retain(|call| call.key != key);
    }

    /// Takes the key of the same call, if its outcome is not known: sent again under that key it is carried out once.
    pub(super) fn take_key(
        &self,
        session: Option<SessionId>,
        (tool, arguments): (&str, &JsonObject),
    ) -> Option<String> {
        let mut calls = self.calls();
        let same = calls.iter().position(|call| {
            Some(call.session) == session && call.tool == tool && call.arguments == *arguments
        })?;
        Some(calls.remove(same).key)
    }
}
