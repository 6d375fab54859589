//! The activity summary of a session: a small file beside its lock, written by its hooks and read by those who list peers.
//!
//! It is not a row of the database, because a prompt must not wait for the write lock, and nothing depends on this text. The
//! file is replaced by one rename, is readable for its owner only, and is removed with the session. A broken or too large
//! file counts as none.
use std::path::Path;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Error;
use crate::model::activity_summary::ActivitySummary;
use crate::platform::{Fault, file, permissions};
use crate::store::Session;

/// claude-mesh writes no larger file.
const BYTES_MAX: u64 = 4_096;

impl Mesh {
    /// Changes the activity summary of a session: `change` gets the old one and returns the new one. Writes nothing if
    /// they are equal.
    pub fn update_activity_summary(
        &self,
        me: &SessionHandle,
        change: impl FnOnce(ActivitySummary) -> ActivitySummary,
    ) -> Result<(), Fault> {
        let path = self.doorbells().activity_path(me.session);
        let before = read(&path).unwrap_or_default();
        let after = change(before.clone());
        if after == before {
            return Ok(());
        }
        let text = serde_json::to_vec(&after).expect("plain text and a number can be written");
        permissions::replace_file(&path, &text)
    }

    /// Removes the activity summary of a session: the session starts over, or its person wants none kept.
    pub fn clear_activity_summary(&self, me: &SessionHandle) {
        let _ = std::fs::remove_file(self.doorbells().activity_path(me.session));
    }
}

/// Returns the activity summary of a session, if there is one: that of a session on another host is stored with it.
pub(in crate::mesh) fn activity_summary(
    context: ReadContext,
    session: &Session,
) -> Result<Option<ActivitySummary>, Error> {
    if session.lease_until_ms.is_none() {
        return Ok(read(&context.host.doorbells.activity_path(session.id)));
    }
    let text = context.tx.activity_summary(session.id)?;
    let summary = text.and_then(|text| serde_json::from_str::<ActivitySummary>(&text).ok());
    Ok(summary.map(ActivitySummary::normalized))
}

fn read(path: &Path) -> Option<ActivitySummary> {
    let text = file::read(path, BYTES_MAX).ok()?;
    let activity_summary: ActivitySummary = serde_json::from_slice(&text).ok()?;
    Some(activity_summary.normalized())
}
