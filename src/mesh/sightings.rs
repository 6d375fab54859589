//! What one read has seen of the sessions of this machine, so that it looks at each process and file once, however often it
//! asks.
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use crate::claude_code::RegistryEntry;
use crate::model::activity_summary::ActivitySummary;
use crate::platform::id::SessionId;
use crate::platform::process::ProcessKey;

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub(in crate::mesh) struct Sightings {
    pub(in crate::mesh) processes: SeenOnce<ProcessKey, bool>,
    pub(in crate::mesh) servers: SeenOnce<SessionId, bool>,
    pub(in crate::mesh) registry: SeenOnce<ProcessKey, Option<RegistryEntry>>,
    pub(in crate::mesh) summaries: SeenOnce<SessionId, Option<ActivitySummary>>,
}

/// Values by what they belong to.
#[derive(Debug, Clone)]
pub(in crate::mesh) struct SeenOnce<K, V>(RefCell<HashMap<K, V>>);

impl<K, V> Default for SeenOnce<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Hash + Eq, V: Clone> SeenOnce<K, V> {
    /// Returns the value of a key; `look` finds it out the first time.
    pub(in crate::mesh) fn get(&self, key: K, look: impl FnOnce() -> V) -> V {
        let mut seen = self.0.borrow_mut();
        seen.entry(key).or_insert_with(look).clone()
    }
}
