//! What the indexes of a damaged file say of rows that cannot be read.
use std::collections::{BTreeMap, HashSet};

use rusqlite::types::Value;
use ulid::Ulid;

use super::source_file::{SchemaEntry, SourceFile};
use super::table_shape::{IndexShape, RowKey, TableShape};
use crate::store::engine;
use crate::store::transaction::Tx;

/// A peer of which an index has something.
#[derive(Debug, Default)]
pub(super) struct KnownPeer {
    pub(super) key: RowKey,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) project: Option<String>,
    pub(super) seat: Option<i64>,
}

impl KnownPeer {
    /// Returns a peer of which nothing but the id is known.
    pub(super) fn with_id(id: String) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    /// Returns its id, if it is one.
    pub(super) fn ulid(&self) -> Option<Ulid> {
        Ulid::from_string(self.id.as_deref()?).ok()
    }
}

/// Returns what identifies the rows of a table that its indexes name.
pub(super) fn known_keys(
    tx: &Tx,
    source: &SourceFile,
    (table, schema): (&TableShape, &[SchemaEntry]),
) -> engine::Result<HashSet<RowKey>> {
    let mut keys = HashSet::new();
    for index in indexes(tx, table, schema)? {
        let entries = source.rows(&index.name).rows;
        keys.extend(entries.iter().filter_map(|entry| index.key(table, entry)));
    }
    Ok(keys)
}

/// Returns what the indexes of the table of peers have.
pub(super) fn known_peers(
    tx: &Tx,
    source: &SourceFile,
    (table, schema): (&TableShape, &[SchemaEntry]),
) -> engine::Result<Vec<KnownPeer>> {
    let mut peers: BTreeMap<RowKey, KnownPeer> = BTreeMap::new();
    for index in indexes(tx, table, schema)? {
        for entry in source.rows(&index.name).rows {
            let Some(key) = index.key(table, &entry) else {
                continue;
            };
            let text = |column: &str| match index.value(&entry, column) {
                Some(Value::Text(text)) => Some(text.clone()),
                _ => None,
            };
            let peer = peers.entry(key.clone()).or_default();
            peer.key = key;
            peer.id = text("id").or(peer.id.take());
            peer.name = text("name").or(peer.name.take());
            peer.project = text("project").or(peer.project.take());
            if let Some(Value::Integer(seat)) = index.value(&entry, "seat") {
                peer.seat = Some(*seat);
            }
        }
    }
    Ok(peers.into_values().collect())
}

fn indexes(tx: &Tx, table: &TableShape, schema: &[SchemaEntry]) -> engine::Result<Vec<IndexShape>> {
    let of_table = schema
        .iter()
        .filter(|entry| entry.is_index && entry.table == table.name);
    of_table
        .map(|entry| IndexShape::of(tx, &entry.name))
        .collect()
}
