//! Passes wake-ups to a waiting thread. They are counted, so that one between reading and waiting is not missed.
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts wake-ups and wakes the threads that wait for one.
#[derive(Debug, Default)]
pub struct WakeSignal {
    raised_count: Mutex<u64>,
    raised: Condvar,
}

impl WakeSignal {
    /// Counts one more wake-up and wakes all waiting threads.
    pub fn raise(&self) {
        *self
            .raised_count
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
        self.raised.notify_all();
    }

    /// Returns how many wake-ups there were. Take the count before you read the mesh.
    pub fn count(&self) -> u64 {
        *self
            .raised_count
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there were more than `seen` wake-ups, or until the time has passed.
    pub fn wait_until_raised(&self, seen: u64, at_most: Duration) {
        let raised_count = self
            .raised_count
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(
            self.raised
                .wait_timeout_while(raised_count, at_most, |raised_count| *raised_count <= seen),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn signal_raised_between_check_and_wait_is_not_missed() {
        let signal = WakeSignal::default();
        let seen = signal.count();
        signal.raise();
        signal.wait_until_raised(seen, Duration::from_secs(600));
    }

    #[test]
    fn raised_signal_wakes_the_waiting_thread() {
        let signal = Arc::new(WakeSignal::default());
        let raiser = Arc::clone(&signal);
        let thread = std::thread::spawn(move || raiser.raise());
        signal.wait_until_raised(0, Duration::from_secs(600));
        thread.join().unwrap();
        assert_eq!(signal.count(), 1);
    }
}
