//! What a session is at: a small file of its own beside its lock, written by its hooks and read by whoever looks around.
//!
//! Not a row of the database: a prompt must not wait for the write lock, and nothing depends on this text. The file is
//! replaced in one rename, for its owner only, and goes with the session. A broken or overlong one counts as none.
use std::path::Path;

use crate::mesh::{Mesh, Sitting};
use crate::model::activity::Doing;
use crate::platform::id::SessionId;
use crate::platform::{Fault, file, permissions};
use crate::wake::Bells;

/// Nothing of ours is larger.
const BYTES_MAX: u64 = 4_096;

impl Mesh {
    /// Notes what a session is at: `change` gets what was known and says what is so now. Writes nothing where that is the
    /// same.
    pub fn note_doing(
        &self,
        me: &Sitting,
        change: impl FnOnce(Doing) -> Doing,
    ) -> Result<(), Fault> {
        let path = self.bells().doing_path(me.session);
        let before = read(&path).unwrap_or_default();
        let after = change(before.clone());
        if after == before {
            return Ok(());
        }
        let text = serde_json::to_vec(&after).expect("plain text and a number can be written");
        permissions::replace_file(&path, &text)
    }

    /// Forgets what a session is at: it begins anew, or its person wants nothing kept.
    pub fn forget_doing(&self, me: &Sitting) {
        let _ = std::fs::remove_file(self.bells().doing_path(me.session));
    }
}

/// Returns what a session is at, as far as it is known.
pub(in crate::mesh) fn doing(bells: &Bells, session: SessionId) -> Option<Doing> {
    read(&bells.doing_path(session))
}

fn read(path: &Path) -> Option<Doing> {
    let text = file::read(path, BYTES_MAX).ok()?;
    let doing: Doing = serde_json::from_slice(&text).ok()?;
    Some(doing.checked())
}
