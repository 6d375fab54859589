//! What a server does for a session that stands in line without waiting for it: it looks when the earliest hold may be over,
//! so that the turn comes although nobody touches the claim.
//!
//! Nothing runs here while the session stands in no line: the bell wakes it, and a timer is set only for such an end.
use std::sync::Arc;
use std::time::Duration;

use crate::mcp::session_state::Shared;
use crate::platform::fault_log;

/// Looks after the lines of the session for as long as the server runs.
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
        .in_same_session(client, |at| at.mesh.settle_own_queues(&at.me))
        .await;
    match outcome {
        Ok(poll_after_ms) => poll_after_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        Err(error) => {
            let home = &shared.settings().mesh_home;
            fault_log::append(home, "claude-mesh-server", &error.to_string());
            None
        }
    }
}

async fn sleep_or_wait_forever(poll_after: Option<Duration>) {
    match poll_after {
        Some(poll_after) => tokio::time::sleep(poll_after).await,
        None => std::future::pending().await,
    }
}
