//! The clock of the database server, as far as this process knows it, and since when the server was away.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::platform::{Clock, Moment, SystemClock};

/// What stands in a reading for the boot: the clock of a database belongs to no machine.
const BOOT: &str = "database";

/// The clock of a database server: the clock of this machine with the difference that was last measured. Wall time is its
/// monotonic time too, because programs on several machines compare the readings.
#[derive(Debug, Clone)]
pub struct DatabaseClock {
    here: Arc<SystemClock>,
    ahead_ms: Arc<AtomicI64>,
    boot: Arc<str>,
    /// What the server said last.
    answered_ms: Arc<AtomicI64>,
    /// Since when it was away; [`NEVER`] if it was not.
    away_since_ms: Arc<AtomicI64>,
}

/// A time that has not come.
const NEVER: i64 = i64::MIN;

impl Default for DatabaseClock {
    fn default() -> Self {
        Self {
            here: Arc::default(),
            ahead_ms: Arc::default(),
            boot: BOOT.into(),
            answered_ms: Arc::new(AtomicI64::new(NEVER)),
            away_since_ms: Arc::new(AtomicI64::new(NEVER)),
        }
    }
}

impl DatabaseClock {
    /// Returns the reading at this time of the database.
    pub(in crate::store) fn moment(&self, wall_ms: i64) -> Moment {
        Moment {
            wall_ms,
            monotonic_ms: wall_ms,
            boot: Arc::clone(&self.boot),
        }
    }

    /// Notes what the database has just said.
    pub(in crate::store) fn adjust(&self, wall_ms: i64) {
        let ahead_ms = wall_ms - self.here.now().wall_ms;
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
        self.answered_ms.store(wall_ms, Ordering::SeqCst);
    }

    /// Notes that the server is away, or stores nothing. Leases that went on when it last answered cannot have been renewed.
    pub(in crate::store) fn note_outage(&self) {
        let since_ms = self.answered_ms.load(Ordering::SeqCst);
        // An earlier outage that nobody has dealt with goes on.
        let _ = self.away_since_ms.compare_exchange(
            NEVER,
            since_ms,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
    }

    /// Returns since when the server was away, until [`DatabaseClock::end_outage`].
    pub(in crate::store) fn outage_since_ms(&self) -> Option<i64> {
        let since_ms = self.away_since_ms.load(Ordering::SeqCst);
        (since_ms != NEVER).then_some(since_ms)
    }

    /// Forgets an outage whose leases are extended; a longer one stays.
    pub(in crate::store) fn end_outage(&self, since_ms: i64) {
        let _ = self.away_since_ms.compare_exchange(
            since_ms,
            NEVER,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Moment {
        self.moment(self.here.now().wall_ms + self.ahead_ms.load(Ordering::Relaxed))
    }
}
