//! Waiting for the write lock: steps of 0.1 to 4 ms with jitter, bounded in total. `SQLite`'s own steps let one of 64
//! writers starve for seconds. Who has waited for long tries more often than the others, so that nobody waits for very long.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::platform::clock::monotonic_ms;

/// How long a write waits; shared with the handler that `SQLite` calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience {
    limit_ms: Arc<AtomicU64>,
    hurries: Arc<AtomicBool>,
}

/// From so many milliseconds on a writer has waited for long.
const LONG_MS: i64 = 50;

impl Patience {
    /// What hurries tries as often as who has waited for long.
    pub(super) fn set_hurry(&self, hurries: bool) {
        self.hurries.store(hurries, Ordering::Relaxed);
    }

    pub(super) fn set(&self, patience: Duration) {
        self.limit_ms.store(
            u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

/// Makes every write of the connection wait at most `patience`.
pub(super) fn install(
    connection: &mut Connection,
    patience: Duration,
) -> rusqlite::Result<Patience> {
    let limit = Patience::default();
    limit.set(patience);
    let shared = limit.clone();
    let mut since_ms = 0;
    connection.busy_handler(Some(move |count: i32| {
        let now_ms = monotonic_ms();
        if count == 0 {
            since_ms = now_ms;
        }
        if now_ms - since_ms
            >= i64::try_from(shared.limit_ms.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
        {
            return false;
        }
        let late = now_ms - since_ms >= LONG_MS || shared.hurries.load(Ordering::Relaxed);
        std::thread::sleep(step(count, late));
        true
    }))?;
    Ok(limit)
}

/// The ceiling doubles from 0.2 to 4 ms, and falls again for who has waited for long; the step is anything from 0.1 ms to it.
fn step(count: i32, late: bool) -> Duration {
    let ceiling_us = if late {
        200
    } else {
        (200_u64 << count.clamp(0, 5)).min(4_000)
    };
    Duration::from_micros(100 + u64::try_from(random_u128() & 0xffff).unwrap_or(0) % ceiling_us)
}

/// Returns random bits; the standard library's hasher keys are random per call.
pub(super) fn random_u128() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let state = RandomState::new();
    (u128::from(state.hash_one(1)) << 64) | u128::from(state.hash_one(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stays_between_a_tenth_and_four_milliseconds() {
        for count in 0..200 {
            let soon = step(count, false);
            assert!((100..=4_100).contains(&soon.as_micros()), "{soon:?}");
            let late = step(count, true);
            assert!((100..=300).contains(&late.as_micros()), "{late:?}");
        }
        assert_ne!(random_u128(), random_u128());
    }
}
