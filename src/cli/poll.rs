//! Waits for something that has no doorbell: the end of a process, a file that another program creates.
use std::convert::Infallible;
use std::time::Duration;

use crate::platform::clock::monotonic_ms;

/// Calls `check` until it returns something, with `interval` between the calls. Returns `None` at the timeout.
pub(super) fn poll<T, E>(
    timeout: Duration,
    interval: Duration,
    mut check: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    let deadline_monotonic_ms = monotonic_ms().saturating_add(timeout_ms);
    loop {
        if let Some(found) = check()? {
            return Ok(Some(found));
        }
        if monotonic_ms() >= deadline_monotonic_ms {
            return Ok(None);
        }
        std::thread::sleep(interval);
    }
}

/// Polls until `condition` holds. Returns whether it did before the timeout.
pub(super) fn poll_until(
    timeout: Duration,
    interval: Duration,
    mut condition: impl FnMut() -> bool,
) -> bool {
    let check = || Ok::<_, Infallible>(condition().then_some(()));
    matches!(poll(timeout, interval, check), Ok(Some(())))
}
