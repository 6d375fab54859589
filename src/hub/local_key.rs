//! The hub's own key for programs of the user, in `hub.json`: it acts as the session of the peer `http-local`.
use crate::hub::hub_files;
use crate::hub::log::log;
use crate::hub::state::Hub;
use crate::mesh::{KeyDraft, Mesh};
use crate::model::access_key::{KeyHolder, KeyScope};
use crate::model::key_text::id_of_key_text;
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
    /// Creates the key, and revokes that of a hub of this home that was killed. Other hubs of the same mesh keep theirs.
    pub(super) async fn create(hub: &Hub) -> Result<Self> {
        let draft = KeyDraft {
            holder: KeyHolder::Peer(PeerName::parse_chosen(HTTP_LOCAL_PEER)?),
            scope: KeyScope::Write,
            project: None,
            lifetime: None,
        };
        let mesh = hub.default_mesh()?;
        let left_behind = hub_files::read_record(&hub.settings().mesh_home)
            .and_then(|record| id_of_key_text(&record.key));
        let create = |mesh: &mut Mesh| {
            revoke_earlier(mesh, &draft.holder, left_behind)?;
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

/// Revokes the keys of hubs that were killed: of a file all, of a mesh on a server, which other hubs serve too, the one that
/// this home has left behind.
fn revoke_earlier(mesh: &mut Mesh, holder: &KeyHolder, left_behind: Option<KeyId>) -> Result<()> {
    let now_ms = mesh.now().wall_ms;
    let is_shared = mesh.is_on_server();
    for key in mesh.keys()? {
        let is_of_killed_hub = !is_shared || Some(key.id) == left_behind;
        if key.holder == *holder && is_of_killed_hub && key.problem(now_ms).is_none() {
            mesh.revoke_keys(&key.id.to_string())?;
        }
    }
    Ok(())
}
