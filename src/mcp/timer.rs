//! The pause between two rounds of a background task, for `inbox_waker` and `claim_queue_watcher`: neither has a timer
//! while nothing is due.
use std::time::Duration;

/// Sleeps for this long; without a time, for ever.
pub(super) async fn sleep_or_wait_forever(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
