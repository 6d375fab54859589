//! Waits for the write lock, bounded in total: in the queue of writers, and where there is none in steps of 0.1 to 4 ms with
//! jitter.
//!
//! With the steps of SQLite's own handler, one of 64 writers starved for seconds. A writer that has waited for long without a
//! queue retries more often than the others.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::write_queue::{QueueStep, WriteQueue};
use crate::platform::clock::Stopwatch;

/// Writers that have waited longer than this retry faster.
const FAST_RETRY_AFTER: Duration = Duration::from_millis(50);
/// The shortest step.
const STEP_US_MIN: u64 = 100;
/// The ceiling of the first step, and of every step of a fast retry.
const FIRST_CEILING_US: u64 = 200;
/// The ceiling of later steps.
const CEILING_US_MAX: u64 = 4_000;

/// How long a write waits for the lock; shared with the handler that SQLite calls.
#[derive(Debug, Clone, Default)]
pub(super) struct LockTimeout {
    limit_ms: Arc<AtomicU64>,
    retry_fast: Arc<AtomicBool>,
}

impl LockTimeout {
    /// Makes the next waits retry fast from the beginning.
    pub(super) fn set_retry_fast(&self, retry_fast: bool) {
        self.retry_fast.store(retry_fast, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_millis(self.limit_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, lock_timeout: Duration) {
        self.limit_ms.store(
            u64::try_from(lock_timeout.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

/// Makes every write of the connection wait in a queue, at most `lock_timeout`, which the result can change.
pub(super) fn install_busy_handler(
    connection: &mut Connection,
    lock_timeout: Duration,
    queue: Arc<WriteQueue>,
) -> rusqlite::Result<LockTimeout> {
    let limit = LockTimeout::default();
    limit.set(lock_timeout);
    let shared = limit.clone();
    let mut wait_started = Stopwatch::start();
    connection.busy_handler(Some(move |count: i32| {
        if count == 0 {
            wait_started = Stopwatch::start();
        }
        let waited = || wait_started.elapsed();
        let retry_fast = shared.retry_fast.load(Ordering::Relaxed);
        let pause = if retry_fast {
            QueueStep::Unusable
        } else {
            wait_in_queue(&queue, || waited() >= shared.get())
        };
        if waited() >= shared.get() {
            return false;
        }
        std::thread::sleep(match pause {
            QueueStep::TryAfter(pause) | QueueStep::LookAfter(pause) => pause,
            QueueStep::Unusable => retry_delay(count, retry_fast || waited() >= FAST_RETRY_AFTER),
        });
        true
    }))?;
    Ok(limit)
}

/// Waits until it is this writer's turn to try, or `is_over` says that it has waited long enough. Returns the last step.
pub(super) fn wait_in_queue(queue: &WriteQueue, is_over: impl Fn() -> bool) -> QueueStep {
    loop {
        match queue.step() {
            QueueStep::LookAfter(pause) if !is_over() => queue.wait(pause),
            step => return step,
        }
    }
}

/// Returns a random step below a ceiling, which doubles with each retry and is low again for a fast one.
fn retry_delay(count: i32, is_fast: bool) -> Duration {
    let ceiling_us = if is_fast {
        FIRST_CEILING_US
    } else {
        (FIRST_CEILING_US << count.clamp(0, 5)).min(CEILING_US_MAX)
    };
    Duration::from_micros(STEP_US_MIN + fastrand::u64(..ceiling_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_retry_delay_is_between_0_1_and_4_1_milliseconds() {
        for count in 0..200 {
            let slow = retry_delay(count, false);
            assert!((100..=4_100).contains(&slow.as_micros()), "{slow:?}");
            let fast = retry_delay(count, true);
            assert!((100..=300).contains(&fast.as_micros()), "{fast:?}");
        }
    }
}
