//! Creates, verifies, lists, rotates and revokes access keys.
use std::time::Duration;

use serde_json::json;
use subtle::ConstantTimeEq;

use crate::mesh::access_key::key_text::{new_key_text, sha256};
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::{SessionHandle, live_handle};
use crate::model::access_key::{AccessKey, KeyHolder, KeyProblem, KeyScope};
use crate::model::key_text::id_of_key_text;
use crate::model::{EventKind, PeerName, Refusal, Result};
use crate::platform::id::{KeyId, PeerId, SessionId};
use crate::store::NewKey;

/// The values of a key that is created.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    /// As whom its requests act.
    pub holder: KeyHolder,
    /// What it may do.
    pub scope: KeyScope,
    /// The folder of the project for requests that belong to one, unless the peer has a project.
    pub project: Option<String>,
    /// How long it is valid; `None` for ever.
    pub lifetime: Option<Duration>,
}

impl Mesh {
    /// Creates a key. Returns its text, which is shown once and stored nowhere, and the key.
    pub fn create_key(&mut self, draft: &KeyDraft) -> Result<(String, AccessKey)> {
        if let KeyHolder::Peer(name) = &draft.holder
            && !name.is_chosen()
        {
            return Err(Refusal::argument(format!(
                "a key is for the name of a session, got \"{name}\""
            ))
            .into());
        }
        self.write(|write| create_key(write, draft))
    }

    /// Returns the key with that text, or why it is refused. Writes nothing.
    pub fn verify_key(&mut self, text: &str) -> Result<std::result::Result<AccessKey, KeyProblem>> {
        let found = self.verify_key_and_session(text, |_| None)?;
        Ok(found.map(|(key, _)| key))
    }

    /// Does what [`Mesh::verify_key`] does. Returns also the handle of the session that `session_of` names, as it is in the
    /// same state of the mesh; `None` if that has ended.
    pub fn verify_key_and_session(
        &mut self,
        text: &str,
        session_of: impl FnOnce(&AccessKey) -> Option<SessionId>,
    ) -> Result<std::result::Result<(AccessKey, Option<SessionHandle>), KeyProblem>> {
        let Some(id) = id_of_key_text(text) else {
            return Ok(Err(KeyProblem::Unknown));
        };
        let hash = sha256(text.as_bytes());
        self.read(|read| {
            let stored = read.tx.key_hash(id)?;
            if !stored.is_some_and(|stored| bool::from(stored.ct_eq(&hash))) {
                return Ok(Err(KeyProblem::Unknown));
            }
            let Some(key) = read.tx.key(id)? else {
                return Ok(Err(KeyProblem::Unknown));
            };
            if let Some(problem) = key.problem(read.tx.now.wall_ms) {
                return Ok(Err(problem));
            }
            let session = session_of(&key);
            let handle = session.map(|session| live_handle(read, session));
            Ok(Ok((key, handle.transpose()?.flatten())))
        })
    }

    /// Returns the key with that id, also one that has expired or was revoked.
    pub fn find_key(&mut self, id: KeyId) -> Result<Option<AccessKey>> {
        self.read(|read| Ok(read.tx.key(id)?))
    }

    /// Records that a key is used now. It writes, so a caller does it at most once a minute for a key.
    pub fn touch_key(&mut self, id: KeyId) -> Result<()> {
        self.write(|write| Ok(write.tx.touch_key(id)?))
    }

    /// Returns all keys, oldest first, also those that have expired or were revoked.
    pub fn keys(&mut self) -> Result<Vec<AccessKey>> {
        self.read(|read| Ok(read.tx.keys()?))
    }

    /// Revokes the key with that id, or all keys of a holder of that name: a peer by its name or an earlier one, a host, or
    /// `board` for all signed-in boards. Returns those that it revoked.
    pub fn revoke_keys(&mut self, name_or_id: &str) -> Result<Vec<AccessKey>> {
        self.write(|write| {
            let mut revoked = Vec::new();
            for key in find_keys(write.read(), name_or_id)? {
                revoked.extend(revoke_key(write, key)?);
            }
            Ok(revoked)
        })
    }

    /// Replaces a key by one with another text for the same holder, scope, project and expiry, and revokes it. A name must
    /// have one valid key. Returns the text of the new key, which is shown once, and the new key.
    pub fn rotate_key(&mut self, name_or_id: &str) -> Result<(String, AccessKey)> {
        self.write(|write| {
            let mut valid = find_keys(write.read(), name_or_id)?;
            valid.retain(|key| key.problem(write.tx.now.wall_ms).is_none());
            let problem = match valid.pop() {
                None => format!("{name_or_id:?} has no valid key in this mesh"),
                Some(AccessKey {
                    holder: KeyHolder::Board,
                    ..
                }) => "a board is not given another key: sign in again".into(),
                Some(old) if valid.is_empty() => return replace_key(write, old),
                Some(_) => {
                    let count = valid.len() + 1;
                    format!("{name_or_id:?} has {count} valid keys; give the id of one")
                }
            };
            Err(Refusal::conflict(problem).into())
        })
    }
}

/// Creates a key and appends its event.
pub(in crate::mesh) fn create_key(
    write: &mut WriteContext,
    draft: &KeyDraft,
) -> Result<(String, AccessKey)> {
    let lifetime_ms = draft
        .lifetime
        .map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    insert_key(
        write,
        &NewKey {
            holder: &draft.holder,
            scope: draft.scope,
            project: draft.project.as_deref(),
            expires_at_ms: lifetime_ms.map(|ms| write.tx.now.wall_ms.saturating_add(ms)),
        },
    )
}

fn insert_key(write: &mut WriteContext, new: &NewKey) -> Result<(String, AccessKey)> {
    let id = write.tx.next_key_id()?;
    let text = new_key_text(id)?;
    write.tx.insert_key(id, &sha256(text.as_bytes()), new)?;
    let key = write.tx.key(id)?.expect("it was just inserted");
    append_key_event(write.read(), EventKind::KeyCreated, &key)?;
    Ok((text, key))
}

fn replace_key(write: &mut WriteContext, old: AccessKey) -> Result<(String, AccessKey)> {
    let new = insert_key(
        write,
        &NewKey {
            holder: &old.holder,
            scope: old.scope,
            project: old.project.as_deref(),
            expires_at_ms: old.expires_at_ms,
        },
    )?;
    revoke_key(write, old)?;
    Ok(new)
}

/// Revokes a key and appends its event. Returns `None` if it was revoked before.
fn revoke_key(write: &mut WriteContext, mut key: AccessKey) -> Result<Option<AccessKey>> {
    if !write.tx.revoke_key(key.id)? {
        return Ok(None);
    }
    append_key_event(write.read(), EventKind::KeyRevoked, &key)?;
    key.revoked_at_ms = Some(write.tx.now.wall_ms);
    Ok(Some(key))
}

/// Only a person creates and revokes keys, so the event is theirs, if they are a peer of this mesh yet.
fn append_key_event(read: ReadContext, kind: EventKind, key: &AccessKey) -> Result<()> {
    let data = json!({ "holder": key.holder.kind(), "name": key.holder.name(), "scope": key.scope.as_str() });
    let person = person_of_host(read)?;
    read.tx
        .append_event(kind, person, &key.id.to_string(), &data)?;
    Ok(())
}

fn person_of_host(read: ReadContext) -> Result<Option<PeerId>> {
    let name = PeerName::for_person(&read.host.own.host);
    Ok(read
        .tx
        .find_peer_by_name(name.as_str())?
        .map(|peer| peer.id))
}

/// Returns the key with that id, or the keys of the holders of that name.
fn find_keys(read: ReadContext, name_or_id: &str) -> Result<Vec<AccessKey>> {
    if let Ok(id) = name_or_id.parse()
        && let Some(key) = read.tx.key(id)?
    {
        return Ok(vec![key]);
    }
    let mut names = vec![name_or_id.to_owned()];
    if let Some(peer) = read.tx.find_peer_by_name(name_or_id)? {
        let aliases = read.tx.aliases_of(&[peer.id])?;
        names.extend(aliases.into_iter().map(|(_, alias)| alias));
        names.push(peer.name.to_string());
    }
    names.sort_unstable();
    names.dedup();
    let mut keys = Vec::new();
    for name in names {
        keys.extend(read.tx.keys_of_name(&name)?);
    }
    Ok(keys)
}
