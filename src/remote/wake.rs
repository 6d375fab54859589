//! Wakes the session by a line in the inbox of its client, and reports what the client does.
use std::sync::Arc;
use std::time::Duration;

use crate::claude_code;
use crate::mcp;
use crate::mesh::{SessionVerb, WakeAction};
use crate::remote::link::Link;

/// The registry of the client says up to this much later what a hook has shown.
const REGISTRY_LAG: Duration = Duration::from_secs(2);

/// Posts the wake line that the hub has decided on. A failure is reported to the hub, which the askers see.
pub(super) async fn post(link: Arc<Link>, action: WakeAction) {
    let WakeAction::Post {
        nonce,
        from,
        answers,
        mail,
        granted,
    } = action
    else {
        return;
    };
    let (sender, text) = mcp::wake_text(&from, answers, &mail, granted);
    let posted = mcp::WakeLine {
        nonce: &nonce,
        sender: &sender,
        text: &text,
    };
    let client = *link.client_process().borrow();
    if let Err(problem) = mcp::post_wake_line(&link.settings, client, &posted).await {
        link.mirror()
            .record(SessionVerb::RecordWakeFailure { problem });
        link.send_soon();
    }
}

/// Notifies the person of the session, unless that was done for this reason and it still exists. The hub repeats what it has
/// said when the stream begins again.
pub(super) fn notify_person(link: &Link, reason: Option<&str>) {
    if !link.set_alert(reason) {
        return;
    }
    let Some(reason) = reason else {
        return;
    };
    let name = link.mirror().me().map(|me| me.name.to_string());
    mcp::run_notify_program(&link.settings, &name.unwrap_or_default(), reason);
}

/// Reports what the client says that it does, and whether it has an inbox, whenever something comes for the session: at a
/// dialog it cannot be woken.
pub(super) async fn report_activity(link: Arc<Link>) {
    let mut snapshots = link.snapshots();
    while snapshots.changed().await.is_ok() {
        let since_hook = link.mirror().since_hook_activity();
        if let Some(remaining) = REGISTRY_LAG.checked_sub(since_hook) {
            tokio::time::sleep(remaining).await;
        }
        let Some(process) = *link.client_process().borrow() else {
            continue;
        };
        let socket = mcp::inbox_socket(&link.settings, Some(process));
        let problem = socket.is_none().then(|| mcp::NO_SOCKET.to_owned());
        link.mirror().set_inbox_problem(problem);
        link.send_soon();
        let entry = claude_code::registry_entry(&link.settings.claude.config_dir, process);
        let Some(status) = entry.and_then(|entry| entry.status) else {
            continue;
        };
        if matches!(status.as_str(), "busy" | "idle" | "waiting") {
            link.mirror().set_registry_activity(&status);
            link.send_soon();
        }
    }
}
