//! Peers as JSON.
use serde_json::{Value, json};

use crate::mesh::{PeerView, RankedPeer};
use crate::model::Liveness;
use crate::model::activity_summary::ActivitySummary;
use crate::model::throttle::end_text;
use crate::platform::clock::rfc3339;
use crate::tools::output::{claim, task};

/// Returns a peer.
pub fn peer(view: &PeerView, now_ms: i64) -> Value {
    let PeerView { peer, session, .. } = view;
    let location = session.as_ref().map(|session| &session.location);
    let mut value = json!({
        "peer": peer.name,
        "peer_id": peer.id,
        "aliases": view.aliases,
        "liveness": view.liveness,
        "activity": view.activity,
        "askable": view.askable,
        "role": peer.role,
        "summary": peer.summary,
        "doing": view.activity_summary.as_ref().and_then(ActivitySummary::line),
        "current_task": view.current_task.as_ref().map(task::current_task),
        "agent": session.as_ref().and_then(|session| session.agent.as_deref()),
        "host": location.map(|location| location.host.as_str()),
        "project": peer.project,
        "git_root": peer.git_root,
        "git_branch": peer.branch.as_ref().or(peer.git_branch.as_ref()),
        "epoch": peer.epoch,
        "started_at": session.as_ref().map(|session| rfc3339(session.started_at_ms)),
        "last_seen_at": rfc3339(last_seen_ms(view, now_ms)),
        "idle_seconds": view.idle_ms.map(|ms| ms / 1000),
        "quiet_until": peer.quiet_until_ms.filter(|until_ms| *until_ms > now_ms).map(end_text),
        "questions_waiting": view.questions_waiting,
        "held": view.held.map(|held| held.reason),
        "posted_turns": session.as_ref().map(|session| session.posted_turns),
        "stops": session.as_ref().map(|session| session.stop_streak),
        "claims": view.claims.iter().map(claim::claimed).collect::<Vec<_>>(),
    });
    if view.forks.answers > 0 {
        value["forks"] = json!(view.forks);
    }
    if let Some(ways) = &view.reachable_by {
        value["reachable_by"] = json!(ways);
    }
    value
}

/// Returns a peer of the expertise ranking, with the reason for its rank.
pub fn ranked(ranked: &RankedPeer, now_ms: i64) -> Value {
    let mut value = peer(&ranked.view, now_ms);
    value["why"] = json!(ranked.why);
    value
}

/// A session whose process lives is seen now; otherwise the last record counts.
fn last_seen_ms(view: &PeerView, now_ms: i64) -> i64 {
    let session_ms = view.session.as_ref().map(|session| session.last_seen_at_ms);
    match view.liveness {
        Liveness::Alive => now_ms,
        _ => view.peer.last_seen_at_ms.max(session_ms.unwrap_or(0)),
    }
}
