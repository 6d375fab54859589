//! What a server does for a session that stands in line without waiting for it: it looks when the earliest hold may be over,
//! so that the turn comes although nobody touches the claim.
//!
//! Nothing runs here while the session stands in no line: the bell wakes it, and a timer is set only for such an end.
use std::sync::Arc;
use std::time::Duration;

use crate::mcp::session_state::Shared;
use crate::platform::fault_log;

/// Looks after the lines of the session for as long as the server runs.
pub(super) async fn watch(shared: Arc<Shared>, client: String) {
    let mut rings = shared.rings();
    let mut seated = shared.seated();
    loop {
        rings.borrow_and_update();
        let again = if seated.borrow_and_update().is_some() {
            look(&shared, &client).await
        } else {
            None
        };
        tokio::select! {
            changed = rings.changed() => if changed.is_err() { return },
            changed = seated.changed() => if changed.is_err() { return },
            () = rest(again) => {}
        }
    }
}

async fn look(shared: &Shared, client: &str) -> Option<Duration> {
    let looked = shared
        .same_seat(client, |at| at.mesh.watch_lines(&at.me))
        .await;
    match looked {
        Ok(again_ms) => again_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        Err(error) => {
            let home = &shared.settings().mesh_home;
            fault_log::write(home, "claude-mesh-server", &error.to_string());
            None
        }
    }
}

async fn rest(again: Option<Duration>) {
    match again {
        Some(again) => tokio::time::sleep(again).await,
        None => std::future::pending().await,
    }
}
