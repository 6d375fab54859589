//! The throttles that a person sets: quiets a peer, or pauses the whole mesh.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::Verb;
use crate::mesh::peer::address::unknown_peer_refusal;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::throttle::{PAUSED_UNTIL_KEY, paused_until};
use crate::model::throttle::end_text;
use crate::model::{EventKind, PeerKind, Result};

impl Mesh {
    /// Makes a peer quiet until a time, or with `None` ends it. Returns the peer's name. Whoever sits there is rung, to
    /// look at what was held.
    pub fn set_quiet(
        &mut self,
        me: &SessionHandle,
        name: &str,
        until_ms: Option<i64>,
    ) -> Result<String> {
        self.write(|verb| {
            let found = verb.tx.find_peer_by_name(name)?;
            let Some(peer) = found.filter(|peer| peer.kind == PeerKind::Session) else {
                return Err(unknown_peer_refusal(verb.read(), None, name)?.into());
            };
            verb.tx.set_quiet(peer.id, until_ms)?;
            let before_ms = peer.quiet_until_ms.filter(|ms| *ms > verb.tx.now.wall_ms);
            let kinds = [EventKind::PeerQuieted, EventKind::PeerResumed];
            append_throttle_event(verb, me, kinds, peer.name.as_str(), [before_ms, until_ms])?;
            verb.wake(
                verb.tx
                    .live_sessions_at(peer.id)?
                    .iter()
                    .map(|session| session.id),
            );
            Ok(peer.name.to_string())
        })
    }

    /// Pauses the whole mesh until a time, or with `None` ends it.
    pub fn set_mesh_paused(&mut self, me: &SessionHandle, until_ms: Option<i64>) -> Result<()> {
        self.write(|verb| {
            let before_ms = paused_until(verb.read())?;
            let until = until_ms.map_or_else(String::new, |until_ms| until_ms.to_string());
            verb.tx.set_meta(PAUSED_UNTIL_KEY, &until)?;
            let kinds = [EventKind::MeshPaused, EventKind::MeshResumed];
            append_throttle_event(verb, me, kinds, "", [before_ms, until_ms])?;
            verb.wake(verb.tx.live_sessions()?.iter().map(|session| session.id));
            Ok(())
        })
    }
}

/// Says in the log that a brake was put on or taken off, if that changes anything.
fn append_throttle_event(
    verb: &mut Verb,
    me: &SessionHandle,
    [on, off]: [EventKind; 2],
    subject: &str,
    [before_ms, until_ms]: [Option<i64>; 2],
) -> Result<()> {
    let (kind, data) = match until_ms {
        _ if before_ms == until_ms => return Ok(()),
        Some(until_ms) => (on, json!({ "until": end_text(until_ms) })),
        None => (off, json!({})),
    };
    Ok(verb.tx.append_event(kind, Some(me.peer), subject, &data)?)
}
