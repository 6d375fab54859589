//! A ring as a thread waits for it: counted, so that one that comes between looking and waiting is not missed.
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts rings and wakes who waits.
#[derive(Debug, Default)]
pub struct Signal {
    rings: Mutex<u64>,
    heard: Condvar,
}

impl Signal {
    /// Rings.
    pub fn raise(&self) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.heard.notify_all();
    }

    /// Returns how often it rang. Read it before you look.
    pub fn count(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it rang more than `seen` times or the time is over.
    pub fn wait_past(&self, seen: u64, at_most: Duration) {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.heard
                .wait_timeout_while(rings, at_most, |rings| *rings <= seen),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_ring_between_look_and_wait_is_not_missed() {
        let signal = Signal::default();
        let seen = signal.count();
        signal.raise();
        signal.wait_past(seen, Duration::from_secs(600));
    }

    #[test]
    fn a_ring_wakes_the_one_who_waits() {
        let signal = Arc::new(Signal::default());
        let ringer = Arc::clone(&signal);
        let thread = std::thread::spawn(move || ringer.raise());
        signal.wait_past(0, Duration::from_secs(600));
        thread.join().unwrap();
        assert_eq!(signal.count(), 1);
    }
}
