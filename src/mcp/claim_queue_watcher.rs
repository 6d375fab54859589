//! Promotes the tickets of a session that is in a claim queue without a waiting call: checks the queue when the earliest
//! lease may have expired, so that the next ticket is promoted although no session uses the claim.
//!
//! Nothing runs here while the session is in no queue: the doorbell wakes it, and a timer is set only for such a lease.
use std::sync::Arc;
use std::time::Duration;

use crate::mcp::server_faults;
use crate::mcp::session_state::Shared;
use crate::mcp::timer::sleep_or_wait_forever;

/// Watches the claim queues of the session for as long as the server runs.
pub(super) async fn watch_claim_queues(shared: Arc<Shared>, client: String) {
    let mut doorbell_signals = shared.doorbell_signals();
    let mut client_process = shared.client_process();
    loop {
        doorbell_signals.borrow_and_update();
        let poll_after = if client_process.borrow_and_update().is_some() {
            check_claim_queues(&shared, &client).await
        } else {
            None
        };
        tokio::select! {
            changed = doorbell_signals.changed() => if changed.is_err() { return },
            changed = client_process.changed() => if changed.is_err() { return },
            () = sleep_or_wait_forever(poll_after) => {}
        }
    }
}

async fn check_claim_queues(shared: &Shared, client: &str) -> Option<Duration> {
    let outcome = shared
        .in_same_session(client, |call| call.mesh.settle_own_queues(&call.me))
        .await;
    match outcome {
        Ok(poll_after_ms) => poll_after_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        Err(error) => {
            server_faults::log(&shared.settings().mesh_home, &error.to_string());
            None
        }
    }
}
