//! What a session is at: a small file of its own beside its lock, written by its hooks and read by whoever looks around.
//!
//! Not a row of the database: a prompt must not wait for the write lock, and nothing depends on this text. The file is
//! replaced in one rename, for its owner only, and goes with the session. A broken or overlong one counts as none.
use std::path::Path;

use crate::mesh::connection::Mesh;
use crate::mesh::session::SessionHandle;
use crate::model::activity::ActivitySummary;
use crate::platform::id::SessionId;
use crate::platform::{Fault, file, permissions};
use crate::wake::Doorbells;

/// Nothing of ours is larger.
const BYTES_MAX: u64 = 4_096;

impl Mesh {
    /// Notes what a session is at: `change` gets what was known and says what is so now. Writes nothing where that is the
    /// same.
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

    /// Forgets what a session is at: it begins anew, or its person wants nothing kept.
    pub fn clear_activity_summary(&self, me: &SessionHandle) {
        let _ = std::fs::remove_file(self.doorbells().activity_path(me.session));
    }
}

/// Returns what a session is at, as far as it is known.
pub(in crate::mesh) fn activity_summary(
    doorbells: &Doorbells,
    session: SessionId,
) -> Option<ActivitySummary> {
    read(&doorbells.activity_path(session))
}

fn read(path: &Path) -> Option<ActivitySummary> {
    let text = file::read(path, BYTES_MAX).ok()?;
    let activity_summary: ActivitySummary = serde_json::from_slice(&text).ok()?;
    Some(activity_summary.normalized())
}
