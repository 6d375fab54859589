//! Shared state: values that sessions agree on. Whoever names the version it has read overwrites nobody's change.
use serde_json::{Value, json};

use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, Verb};
use crate::mesh::session::SessionHandle;
use crate::model::state::{Entry, Namespace, VALUE_BYTES_MAX, check_key, check_value};
use crate::model::{EventKind, Refusal, Result};

/// Entries listed at a time.
const LIST_MAX: usize = 500;

/// A value to set.
#[derive(Debug, Clone)]
pub struct NewValue<'a> {
    /// The value.
    pub value: &'a Value,
    /// The version the entry must have; 0: there must be none.
    pub expected_version: Option<i64>,
    /// It goes by itself after so many seconds.
    pub ttl_seconds: Option<u32>,
}

impl Mesh {
    /// Returns what stands under a key; version 0 where nothing does.
    pub fn entry(&mut self, namespace: &Namespace, key: &str) -> Result<Entry> {
        check_key(key)?;
        self.read(|read| Ok(read.tx.entry(namespace, key)?))
    }

    /// Sets a value. Returns the entry as it is now.
    pub fn set_entry(
        &mut self,
        me: &SessionHandle,
        namespace: &Namespace,
        key: &str,
        new: &NewValue,
    ) -> Result<Entry> {
        check_key(key)?;
        let text = check_value("value", new.value, VALUE_BYTES_MAX)?;
        self.write(|verb| {
            check_version(verb.read(), namespace, key, new.expected_version)?;
            let expiry_ms = |seconds| verb.tx.now.wall_ms + i64::from(seconds) * 1000;
            let expires_at_ms = new.ttl_seconds.map(expiry_ms);
            let version =
                verb.tx
                    .put_entry(namespace, key, Some(&text), me.name.as_str(), expires_at_ms)?;
            append_change_event(verb, Some(me), namespace, key, version, false)?;
            Ok(verb.tx.entry(namespace, key)?)
        })
    }

    /// Takes a value away. Returns the version the deletion has, or `None` when there was nothing.
    pub fn delete_entry(
        &mut self,
        me: &SessionHandle,
        namespace: &Namespace,
        key: &str,
        expected_version: Option<i64>,
    ) -> Result<Option<i64>> {
        check_key(key)?;
        self.write(|verb| {
            if !check_version(verb.read(), namespace, key, expected_version)?.exists() {
                return Ok(None);
            }
            let version = verb
                .tx
                .put_entry(namespace, key, None, me.name.as_str(), None)?;
            append_change_event(verb, Some(me), namespace, key, version, true)?;
            Ok(Some(version))
        })
    }

    /// Returns the entries whose key begins with `prefix` and comes after `after`, by key, as many as `bytes_max` bytes of
    /// values carry; and whether there are more.
    pub fn entries(
        &mut self,
        namespace: &Namespace,
        prefix: &str,
        after: &str,
        bytes_max: usize,
    ) -> Result<(Vec<Entry>, bool)> {
        self.read(|read| {
            Ok(read
                .tx
                .entries(namespace, prefix, after, LIST_MAX, bytes_max)?)
        })
    }
}

/// Returns the entry as it is; refuses when the caller thinks of another version.
fn check_version(
    read: ReadContext,
    namespace: &Namespace,
    key: &str,
    expected: Option<i64>,
) -> Result<Entry> {
    let current = read.tx.entry(namespace, key)?;
    match expected {
        Some(expected) if expected != current.version => Err(Refusal::VersionMismatch {
            expected,
            current: Box::new(current),
        }
        .into()),
        _ => Ok(current),
    }
}

/// Takes away what has outlived its time. Returns how many entries that were.
pub(in crate::mesh) fn expire_state_entries(verb: &mut Verb) -> Result<usize> {
    let expired_entries = verb.tx.expire_entries()?;
    for (namespace, key, version) in &expired_entries {
        append_change_event(verb, None, namespace, key, *version, true)?;
    }
    Ok(expired_entries.len())
}

/// The value is for those who read the entry, not for everybody who reads the log.
fn append_change_event(
    verb: &mut Verb,
    by: Option<&SessionHandle>,
    namespace: &Namespace,
    key: &str,
    version: i64,
    deleted: bool,
) -> Result<()> {
    let data = json!({
        "namespace": namespace.name,
        "project": namespace.project,
        "key": key,
        "version": version,
        "deleted": deleted,
    });
    Ok(verb
        .tx
        .append_event(EventKind::StateChanged, by.map(|by| by.peer), key, &data)?)
}
