//! Waiting for the write lock: steps of 0.1 to 4 ms with jitter, bounded in total. `SQLite`'s own steps let one of 64
//! writers starve for seconds. Who has waited for long tries more often than the others, so that nobody waits for very long.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::platform::clock::monotonic_ms;

/// How long a write waits; shared with the handler that `SQLite` calls.
#[derive(Debug, Clone, Default)]
pub(super) struct LockTimeout {
    limit_ms: Arc<AtomicU64>,
    retry_fast: Arc<AtomicBool>,
}

/// From so many milliseconds on a writer has waited for long.
const FAST_RETRY_AFTER_MS: i64 = 50;

impl LockTimeout {
    /// What hurries tries as often as who has waited for long.
    pub(super) fn set_retry_fast(&self, retry_fast: bool) {
        self.retry_fast.store(retry_fast, Ordering::Relaxed);
    }

    pub(super) fn set(&self, lock_timeout: Duration) {
        self.limit_ms.store(
            u64::try_from(lock_timeout.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

/// Makes every write of the connection wait at most `patience`.
pub(super) fn install_busy_handler(
    connection: &mut Connection,
    lock_timeout: Duration,
) -> rusqlite::Result<LockTimeout> {
    let limit = LockTimeout::default();
    limit.set(lock_timeout);
    let shared = limit.clone();
    let mut wait_started_monotonic_ms = 0;
    connection.busy_handler(Some(move |count: i32| {
        let now_monotonic_ms = monotonic_ms();
        if count == 0 {
            wait_started_monotonic_ms = now_monotonic_ms;
        }
        if now_monotonic_ms - wait_started_monotonic_ms
            >= i64::try_from(shared.limit_ms.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
        {
            return false;
        }
        let is_fast = now_monotonic_ms - wait_started_monotonic_ms >= FAST_RETRY_AFTER_MS
            || shared.retry_fast.load(Ordering::Relaxed);
        std::thread::sleep(retry_delay(count, is_fast));
        true
    }))?;
    Ok(limit)
}

/// The ceiling doubles from 0.2 to 4 ms, and falls again for who has waited for long; the step is anything from 0.1 ms to it.
fn retry_delay(count: i32, is_fast: bool) -> Duration {
    let ceiling_us = if is_fast {
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
    fn busy_retry_delay_is_between_0_1_and_4_1_milliseconds() {
        for count in 0..200 {
            let slow_delay = retry_delay(count, false);
            assert!(
                (100..=4_100).contains(&slow_delay.as_micros()),
                "{slow_delay:?}"
            );
            let is_fast = retry_delay(count, true);
            assert!((100..=300).contains(&is_fast.as_micros()), "{is_fast:?}");
        }
        assert_ne!(random_u128(), random_u128());
    }
}
