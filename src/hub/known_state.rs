//! What a mesh was found to say about keys and sessions, for as long as no commit can have changed it: most requests need not
//! read it again.
use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::mesh::{Mesh, SessionHandle};
use crate::model::Result;
use crate::model::access_key::{AccessKey, KeyProblem};
use crate::platform::id::{KeyId, SessionId};
use crate::store::ChangeMark;

/// How many keys, and how many sessions, are remembered. Others are read at each request.
const ENTRIES_MAX: usize = 1024;

/// How long the state of a mesh on a server is believed, in milliseconds: so long a revoked key may still be used.
const SERVER_STATE_MS: i64 = 1_000;

/// The valid keys and registered sessions of one state of a mesh.
#[derive(Default)]
pub(super) struct KnownState {
    mark: Option<ChangeMark>,
    /// When the state of a mesh on a server was read.
    read_at_monotonic_ms: i64,
    /// By the hash of their text.
    keys: HashMap<[u8; 32], AccessKey>,
    /// Keys of open streams, by their ids; `None` if there is none with that id.
    keys_by_id: HashMap<KeyId, Option<AccessKey>>,
    sessions: HashMap<SessionId, SessionHandle>,
}

impl KnownState {
    /// Returns the key with that text, or why it is refused. Reads also the session that `session_of` names: the request of
    /// the key needs it next, and one transaction less is noticeable.
    pub(super) fn verify_key(
        &mut self,
        mesh: &mut Mesh,
        text: &str,
        session_of: impl FnOnce(&AccessKey) -> Option<SessionId>,
    ) -> Result<std::result::Result<AccessKey, KeyProblem>> {
        self.forget_if_changed(mesh)?;
        let hash: [u8; 32] = Sha256::digest(text).into();
        if let Some(key) = self.keys.get(&hash) {
            return Ok(key
                .problem(mesh.now().wall_ms)
                .map_or_else(|| Ok(key.clone()), Err));
        }
        let found = mesh.verify_key_and_session(text, session_of)?;
        Ok(found.map(|(key, session)| {
            if let Some(handle) = session {
                self.add_session(handle);
            }
            if self.keys.len() < ENTRIES_MAX {
                self.keys.insert(hash, key.clone());
            }
            key
        }))
    }

    /// Returns whether the key with that id is valid still.
    pub(super) fn is_key_valid(&mut self, mesh: &mut Mesh, id: KeyId) -> Result<bool> {
        self.forget_if_changed(mesh)?;
        if !self.keys_by_id.contains_key(&id) {
            let key = mesh.find_key(id)?;
            if self.keys_by_id.len() >= ENTRIES_MAX {
                self.keys_by_id.clear();
            }
            self.keys_by_id.insert(id, key);
        }
        let key = self.keys_by_id.get(&id).and_then(Option::as_ref);
        Ok(key.is_some_and(|key| key.problem(mesh.now().wall_ms).is_none()))
    }

    /// Forgets what may have changed: after a commit of another program to a file, and after one of this program that changes
    /// keys, peers or sessions. A mesh on a server is committed to all the time, so what is known of it is read again once a
    /// second.
    fn forget_if_changed(&mut self, mesh: &mut Mesh) -> Result<()> {
        if mesh.is_on_server() {
            let now_ms = mesh.now().monotonic_ms;
            if (now_ms - self.read_at_monotonic_ms).abs() >= SERVER_STATE_MS {
                *self = Self::default();
                self.read_at_monotonic_ms = now_ms;
            }
            return Ok(());
        }
        let mark = mesh.change_mark()?;
        if self.mark != Some(mark) {
            *self = Self::default();
            self.mark = Some(mark);
        }
        Ok(())
    }

    /// Returns a session as it was registered in the state that the last key was read in; `None` if that is not known.
    pub(super) fn session(&self, id: SessionId) -> Option<SessionHandle> {
        self.sessions.get(&id).cloned()
    }

    /// Remembers that a session is registered.
    pub(super) fn add_session(&mut self, handle: SessionHandle) {
        if self.sessions.len() < ENTRIES_MAX {
            self.sessions.insert(handle.session, handle);
        }
    }
}
