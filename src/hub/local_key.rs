//! The hub's own key for programs of the user, in `hub.json`: it acts as the session of the peer `http-local`.
use crate::hub::log::log;
use crate::hub::state::Hub;
use crate::mesh::{KeyDraft, Mesh};
use crate::model::access_key::{KeyHolder, KeyScope};
use crate::model::{PeerName, Result};
use crate::platform::id::KeyId;

/// The peer of the key in `hub.json`. No other key has this name.
pub const HTTP_LOCAL_PEER: &str = "http-local";

/// The key of a running hub.
pub(super) struct LocalKey {
    id: KeyId,
    pub(super) text: String,
}

impl LocalKey {
    /// Creates the key, and revokes that of a hub that was killed.
    pub(super) async fn create(hub: &Hub) -> Result<Self> {
        let draft = KeyDraft {
            holder: KeyHolder::Peer(PeerName::parse_chosen(HTTP_LOCAL_PEER)?),
            scope: KeyScope::Write,
            project: None,
            lifetime: None,
        };
        let mesh = hub.default_mesh()?;
        let create = |mesh: &mut Mesh| {
            revoke_earlier(mesh, &draft.holder)?;
            mesh.create_key(&draft)
        };
        let (text, key) = mesh.with_mesh(create).await?;
        Ok(Self { id: key.id, text })
    }

    /// Revokes the key, because the hub ends.
    pub(super) async fn revoke(&self, hub: &Hub) {
        let id = self.id.to_string();
        let revoked = match hub.default_mesh() {
            Ok(mesh) => mesh.with_mesh(|mesh| mesh.revoke_keys(&id)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = revoked {
            log(&format!("the key in hub.json was not revoked: {error}"));
        }
    }
}

fn revoke_earlier(mesh: &mut Mesh, holder: &KeyHolder) -> Result<()> {
    let now_ms = mesh.now().wall_ms;
    for key in mesh.keys()? {
        if key.holder == *holder && key.problem(now_ms).is_none() {
            mesh.revoke_keys(&key.id.to_string())?;
        }
    }
    Ok(())
}
