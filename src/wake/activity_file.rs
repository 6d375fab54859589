//! The activity summary of a session: a small file beside its lock, written by its hooks and read by those who list peers.
//!
//! It is not a row of the database, because a prompt must not wait for the write lock, and nothing depends on this text. The
//! file is replaced by one rename, is readable for its owner only, and is removed with the session. A broken or too large
//! file counts as none.
use super::doorbells::Doorbells;
use crate::model::activity_summary::ActivitySummary;
use crate::platform::id::SessionId;
use crate::platform::{Fault, file, permissions};

/// claude-mesh writes no larger file.
const BYTES_MAX: u64 = 4_096;

impl Doorbells {
    /// Returns the activity summary of a session, if there is one.
    pub fn activity_summary(&self, session: SessionId) -> Option<ActivitySummary> {
        let text = file::read(&self.activity_path(session), BYTES_MAX).ok()?;
        let activity_summary: ActivitySummary = serde_json::from_slice(&text).ok()?;
        Some(activity_summary.normalized())
    }

    /// Changes the activity summary of a session: `change` gets the old one and returns the new one. Writes nothing if
    /// they are equal and there is a file.
    pub fn update_activity_summary(
        &self,
        session: SessionId,
        change: impl FnOnce(ActivitySummary) -> ActivitySummary,
    ) -> Result<(), Fault> {
        let before = self.activity_summary(session);
        let after = change(before.clone().unwrap_or_default());
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let text = serde_json::to_vec(&after).expect("plain text and a number can be written");
        permissions::replace_file(&self.activity_path(session), &text)
    }

    /// Removes the activity summary of a session: the session starts over, or its person wants none kept.
    pub fn clear_activity_summary(&self, session: SessionId) {
        let _ = std::fs::remove_file(self.activity_path(session));
    }
}
