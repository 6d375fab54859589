//! Limits how many requests a key sends: a number in 10 seconds, all at once or spread.
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::hub::api_error::ApiError;
use crate::platform::id::KeyId;

const PERIOD: Duration = Duration::from_secs(10);

/// The requests of each key.
pub(in crate::hub) struct KeyRate {
    limiter: RateLimiter<KeyId, HashMapStateStore<KeyId>, DefaultClock>,
    requests: NonZeroU32,
}

impl KeyRate {
    pub(super) fn new(requests: NonZeroU32) -> Self {
        let quota = Quota::with_period(PERIOD / requests.get())
            .expect("a part of 10 seconds is more than nothing")
            .allow_burst(requests);
        Self {
            limiter: RateLimiter::hashmap(quota),
            requests,
        }
    }

    /// Counts a request; refuses it if its key has sent too many.
    pub(in crate::hub) fn count(&self, key: KeyId) -> Result<(), ApiError> {
        self.limiter.check_key(&key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.limiter.clock().now());
            let message = format!("the key may send {} requests in 10 s", self.requests);
            ApiError::too_many_requests(&message, wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_sends_too_much_is_refused_and_others_are_not() {
        let rate = KeyRate::new(NonZeroU32::new(3).unwrap());
        let [one, two] = [1, 2].map(|random| KeyId::from(ulid::Ulid::from_parts(1, random)));
        let counted: Vec<bool> = (0..4).map(|_| rate.count(one).is_ok()).collect();
        assert_eq!(counted, [true, true, true, false]);
        assert!(rate.count(two).is_ok());
    }
}
