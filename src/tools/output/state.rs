//! Shared state as JSON.
use serde_json::{Value, json};

use crate::model::state::{Namespace, StateEntry};
use crate::platform::clock::rfc3339;

/// Returns an entry of the shared state.
pub fn entry(entry: &StateEntry) -> Value {
    let (by, at_ms) = entry
        .updated
        .as_ref()
        .map(|(by, at_ms)| (by, *at_ms))
        .unzip();
    json!({
        "namespace": entry.namespace,
        "key": entry.key,
        "value": entry.value,
        "version": entry.version,
        "updated_by": by,
        "updated_at": at_ms.map(rfc3339),
        "expires_at": entry.expires_at_ms.map(rfc3339),
    })
}

/// Returns a list of entries of one namespace.
pub fn entries(namespace: &Namespace, entries: &[StateEntry], more: bool) -> Value {
    let list: Vec<Value> = entries.iter().map(entry).collect();
    json!({ "namespace": namespace.name, "entries": list, "truncated": more })
}

/// Returns the result of a deletion; `version` is `None` if there was no entry.
pub fn deletion(namespace: &Namespace, key: &str, version: Option<i64>) -> Value {
    json!({
        "namespace": namespace.name,
        "key": key,
        "deleted": version.is_some(),
        "version": version.unwrap_or(0),
    })
}
