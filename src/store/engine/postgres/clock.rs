//! The clock of the database server, as far as this process knows it.
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
}

impl Default for DatabaseClock {
    fn default() -> Self {
        Self {
            here: Arc::default(),
            ahead_ms: Arc::default(),
            boot: BOOT.into(),
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
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Moment {
        self.moment(self.here.now().wall_ms + self.ahead_ms.load(Ordering::Relaxed))
    }
}
