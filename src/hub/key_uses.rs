//! When each key was last recorded as used, so that a busy key costs one write a minute.
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::platform::id::KeyId;

/// How often the use of a key is recorded, in milliseconds.
const INTERVAL_MS: i64 = 60_000;

/// The keys that this hub has recorded as used.
#[derive(Debug, Default)]
pub(super) struct KeyUses(Mutex<HashMap<KeyId, i64>>);

impl KeyUses {
    /// Returns whether the use of a key is to be recorded now, and takes note that it is.
    pub(super) fn is_due(&self, key: KeyId, now_monotonic_ms: i64) -> bool {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last_ms = recorded.get(&key).copied();
        let is_due = last_ms.is_none_or(|last_ms| now_monotonic_ms - last_ms >= INTERVAL_MS);
        if is_due {
            recorded.insert(key, now_monotonic_ms);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_of_a_key_is_due_once_a_minute() {
        let uses = KeyUses::default();
        let [one, two] = [1, 2].map(|random| KeyId::from(ulid::Ulid::from_parts(1, random)));
        let due = |key, ms| uses.is_due(key, ms);
        assert_eq!([due(one, 0), due(one, 59_999)], [true, false]);
        assert_eq!([due(two, 1), due(one, 60_000)], [true, true]);
        assert!(!due(one, 60_001));
    }
}
