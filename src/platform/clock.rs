//! Reads the clocks, and lets tests set them: wall time for people, monotonic time with a boot id for leases and waits.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// One reading of all clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970 in UTC. For people; it may jump.
    pub wall_ms: i64,
    /// Milliseconds since some point of this boot, equal in all processes. It stops while the machine sleeps.
    pub monotonic_ms: i64,
    /// The boot that `monotonic_ms` belongs to.
    pub boot: Arc<str>,
}

impl Moment {
    /// Returns how long ago a reading of the monotonic clock was. A reading ahead of now is of an earlier boot: it counts as
    /// infinitely long ago.
    pub fn elapsed_since_ms(&self, monotonic_ms: i64) -> i64 {
        match self.monotonic_ms - monotonic_ms {
            ..0 => i64::MAX,
            ago_ms => ago_ms,
        }
    }
}

/// A source of time for operations.
pub trait Clock: Send + Sync {
    /// Returns the current reading.
    fn now(&self) -> Moment;
}

/// The clocks of this machine.
#[derive(Debug)]
pub struct SystemClock {
    boot: Arc<str>,
}

impl SystemClock {
    /// Returns the clocks of this machine; the boot id is read once.
    pub fn new() -> Self {
        Self {
            boot: crate::platform::process::boot_id().into(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment {
            wall_ms: read_ms(ClockId::Realtime),
            monotonic_ms: read_ms(ClockId::Monotonic),
            boot: Arc::clone(&self.boot),
        }
    }
}

/// A clock that stops until it is advanced, for tests and examples.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
    boot: Arc<str>,
}

impl ManualClock {
    /// Returns a clock at `wall_ms`, with the boot id of this machine.
    pub fn at(wall_ms: i64) -> Self {
        Self {
            wall_ms: wall_ms.into(),
            monotonic_ms: 1_000_000.into(),
            boot: crate::platform::process::boot_id().into(),
        }
    }

    /// Advances both clocks.
    pub fn advance_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Moves only the wall clock, as a correction of the system time does.
    pub fn jump_wall_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment {
            wall_ms: self.wall_ms.load(Ordering::SeqCst),
            monotonic_ms: self.monotonic_ms.load(Ordering::SeqCst),
            boot: Arc::clone(&self.boot),
        }
    }
}

/// Returns a time as RFC 3339 in UTC with milliseconds, the form of all results.
pub fn rfc3339(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| wall_ms.to_string(), |time| format!("{time:.3}"))
}

/// Returns the milliseconds since 1970 of an RFC 3339 time, or `None` for any other text.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

/// Returns only the monotonic reading, for durations within one process, which need no boot id.
pub fn monotonic_ms() -> i64 {
    read_ms(ClockId::Monotonic)
}

/// Measures a duration within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopwatch {
    started_ns: i64,
}

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self {
            started_ns: monotonic_ns(),
        }
    }

    /// Returns the time since the beginning.
    pub fn elapsed(self) -> std::time::Duration {
        let elapsed_ns = monotonic_ns() - self.started_ns;
        std::time::Duration::from_nanos(u64::try_from(elapsed_ns).unwrap_or(0))
    }
}

/// Returns the monotonic reading in nanoseconds.
pub fn monotonic_ns() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Returns only the wall time, in milliseconds since 1970.
pub fn wall_ms() -> i64 {
    read_ms(ClockId::Realtime)
}

fn read_ms(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_time_round_trips_with_milliseconds() {
        assert_eq!(rfc3339(1_795_187_221_208), "2026-11-20T15:07:01.208Z");
        assert_eq!(
            parse_rfc3339("2026-11-20T15:07:01.208Z"),
            Some(1_795_187_221_208)
        );
        assert_eq!(rfc3339(1_000), "1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn wall_clock_jump_does_not_change_the_monotonic_clock() {
        let clock = ManualClock::at(5_000);
        let before = clock.now();
        clock.jump_wall_ms(-4_000);
        assert_eq!(clock.now().monotonic_ms, before.monotonic_ms);
        assert_eq!(clock.now().wall_ms, 1_000);
    }

    #[test]
    fn future_monotonic_reading_counts_as_infinitely_long_ago() {
        let now = ManualClock::at(5_000).now();
        assert_eq!(now.elapsed_since_ms(now.monotonic_ms), 0);
        assert_eq!(now.elapsed_since_ms(now.monotonic_ms - 7), 7);
        assert_eq!(now.elapsed_since_ms(now.monotonic_ms + 1), i64::MAX);
    }
}
