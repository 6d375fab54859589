//! Sets the throttles of persons: a quiet peer, and a pause of the whole mesh.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::peer::address::unknown_peer_refusal;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::throttle::{PAUSED_UNTIL_KEY, paused_until};
use crate::model::throttle::end_text;
use crate::model::{EventKind, PeerKind, Result};

impl Mesh {
    /// Quiets a peer until a time; `None` ends it. Returns its name. Wakes its session, which reads what was held.
    pub fn set_quiet(
        &mut self,
        me: &SessionHandle,
        name: &str,
        until_ms: Option<i64>,
    ) -> Result<String> {
        self.write(|write| {
            let found = write.tx.find_peer_by_name(name)?;
            let Some(peer) = found.filter(|peer| peer.kind == PeerKind::Session) else {
                return Err(unknown_peer_refusal(write.read(), None, name)?.into());
            };
            write.tx.set_quiet(peer.id, until_ms)?;
            let change = ThrottleChange {
                kinds: [EventKind::PeerQuieted, EventKind::PeerResumed],
                subject: peer.name.as_str(),
                before_ms: peer.quiet_until_ms.filter(|ms| *ms > write.tx.now.wall_ms),
                until_ms,
            };
            append_throttle_event(write, me, &change)?;
            write.wake(
                write
                    .tx
                    .live_sessions_at(peer.id)?
                    .iter()
                    .map(|session| session.id),
            );
            Ok(peer.name.to_string())
        })
    }

    /// Pauses the whole mesh until a time; `None` ends it.
    pub fn set_mesh_paused(&mut self, me: &SessionHandle, until_ms: Option<i64>) -> Result<()> {
        self.write(|write| {
            let before_ms = paused_until(write.read())?;
            let until = until_ms.map_or_else(String::new, |until_ms| until_ms.to_string());
            write.tx.set_meta(PAUSED_UNTIL_KEY, &until)?;
            let change = ThrottleChange {
                kinds: [EventKind::MeshPaused, EventKind::MeshResumed],
                subject: "",
                before_ms,
                until_ms,
            };
            append_throttle_event(write, me, &change)?;
            write.wake(write.tx.live_sessions()?.iter().map(|session| session.id));
            Ok(())
        })
    }
}

/// A throttle that a person sets or ends.
struct ThrottleChange<'a> {
    /// The events of setting and of ending it.
    kinds: [EventKind; 2],
    subject: &'a str,
    before_ms: Option<i64>,
    until_ms: Option<i64>,
}

/// Appends the event of a throttle, if it changes anything.
fn append_throttle_event(
    write: &mut WriteContext,
    me: &SessionHandle,
    change: &ThrottleChange,
) -> Result<()> {
    let [on, off] = change.kinds;
    let (kind, data) = match change.until_ms {
        until_ms if until_ms == change.before_ms => return Ok(()),
        Some(until_ms) => (on, json!({ "until": end_text(until_ms) })),
        None => (off, json!({})),
    };
    Ok(write
        .tx
        .append_event(kind, Some(me.peer), change.subject, &data)?)
}
