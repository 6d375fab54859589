//! Shared state: values that sessions agree on, with versions. A caller that names the version it has read overwrites no
//! change of another.
use serde_json::{Value, json};

use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::model::state::{
    EntryKey, EntryRange, Namespace, StateEntry, VALUE_BYTES_MAX, check_key, check_value,
};
use crate::model::{EventKind, Refusal, Result};
use crate::platform::id::PeerId;

/// How many entries one call lists at most.
const LIST_MAX: usize = 500;

/// A value to set.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct NewValue<'a> {
    pub value: &'a Value,
    /// The version that the entry must have; 0 if it must not exist.
    pub expected_version: Option<i64>,
    /// After how many seconds the entry expires.
    pub ttl_seconds: Option<u32>,
}

impl Mesh {
    /// Returns an entry; version 0 if it does not exist.
    pub fn entry(&mut self, namespace: &Namespace, key: &str) -> Result<StateEntry> {
        check_key(key)?;
        self.read(|read| Ok(read.tx.entry(namespace, key)?))
    }

    /// Sets a value. Returns the entry as it is now.
    pub fn set_entry(
        &mut self,
        me: &SessionHandle,
        at: EntryKey,
        new: &NewValue,
    ) -> Result<StateEntry> {
        check_key(at.key)?;
        let text = check_value("value", new.value, VALUE_BYTES_MAX)?;
        self.write(|write| {
            check_version(write.read(), at, new.expected_version)?;
            let expiry_ms = |seconds| write.tx.now.wall_ms + i64::from(seconds) * 1000;
            let expires_at_ms = new.ttl_seconds.map(expiry_ms);
            let version = write
                .tx
                .put_entry(at, Some(&text), me.name.as_str(), expires_at_ms)?;
            append_change_event(write, Some(me.peer), at, Change::Set { version })?;
            Ok(write.tx.entry(at.namespace, at.key)?)
        })
    }

    /// Deletes an entry. Returns the version of the deletion, or `None` if there was no entry.
    pub fn delete_entry(
        &mut self,
        me: &SessionHandle,
        at: EntryKey,
        expected_version: Option<i64>,
    ) -> Result<Option<i64>> {
        check_key(at.key)?;
        self.write(|write| {
            if !check_version(write.read(), at, expected_version)?.exists() {
                return Ok(None);
            }
            let version = write.tx.put_entry(at, None, me.name.as_str(), None)?;
            append_change_event(write, Some(me.peer), at, Change::Deleted { version })?;
            Ok(Some(version))
        })
    }

    /// Returns entries by key, and whether there are more.
    pub fn entries(
        &mut self,
        namespace: &Namespace,
        range: &EntryRange,
    ) -> Result<(Vec<StateEntry>, bool)> {
        self.read(|read| Ok(read.tx.entries(namespace, range, LIST_MAX)?))
    }
}

/// Returns the entry as it is; refuses another version than the expected one.
fn check_version(read: ReadContext, at: EntryKey, expected: Option<i64>) -> Result<StateEntry> {
    let current = read.tx.entry(at.namespace, at.key)?;
    match expected {
        Some(expected) if expected != current.version => Err(Refusal::VersionMismatch {
            expected,
            current: Box::new(current),
        }
        .into()),
        _ => Ok(current),
    }
}

/// Deletes the entries that have expired. Returns how many.
pub(in crate::mesh) fn expire_state_entries(write: &mut WriteContext) -> Result<usize> {
    let expired_entries = write.tx.expire_entries()?;
    for (namespace, key, version) in &expired_entries {
        let version = *version;
        append_change_event(
            write,
            None,
            EntryKey::of(namespace, key),
            Change::Deleted { version },
        )?;
    }
    Ok(expired_entries.len())
}

/// A change of an entry, with the version that it has made.
#[derive(Clone, Copy)]
enum Change {
    Set { version: i64 },
    Deleted { version: i64 },
}

/// The event has no value: it is for those who read the entry, not for all who read the event log.
fn append_change_event(
    write: &mut WriteContext,
    by: Option<PeerId>,
    at: EntryKey,
    change: Change,
) -> Result<()> {
    let (version, deleted) = match change {
        Change::Set { version } => (version, false),
        Change::Deleted { version } => (version, true),
    };
    let data = json!({
        "namespace": at.namespace.name,
        "project": at.namespace.project,
        "key": at.key,
        "version": version,
        "deleted": deleted,
    });
    Ok(write
        .tx
        .append_event(EventKind::StateChanged, by, at.key, &data)?)
}
