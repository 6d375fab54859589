//! The pause of a background task.
use std::time::Duration;

/// Sleeps for this long; without a time, for ever.
pub(super) async fn sleep_or_wait_forever(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
