//! Writes the rows of a damaged file into a new one, and counts those that are lost.
use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{ErrorCode, params_from_iter};

use super::btree_page::{StoredRow, TreeKind};
use super::known_rows::{KnownPeer, known_keys, known_peers};
use super::repairs::OWN_META_KEYS;
use super::report::SalvagedTable;
use super::source_file::{SchemaEntry, SourceFile};
use super::table_shape::{RowKey, TableShape};
use crate::store::engine;
use crate::store::transaction::Tx;

/// A new file that is being filled.
pub(super) struct Target<'a> {
    tx: &'a Tx<'a>,
    source: &'a SourceFile,
    schema: Vec<SchemaEntry>,
    tables: Vec<SalvagedTable>,
    lost_peers: Vec<KnownPeer>,
}

/// A column that refers to the id of a row in another table.
struct Reference {
    table: String,
    column: String,
    parent: String,
    is_kept_without_parent: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(tx: &'a Tx<'a>, source: &'a SourceFile, schema: Vec<SchemaEntry>) -> Self {
        Self {
            tx,
            source,
            schema,
            tables: Vec::new(),
            lost_peers: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.rows == 0)
    }

    pub(super) fn into_tables(self) -> Vec<SalvagedTable> {
        self.tables
    }

    /// Copies all tables; the full-text index and the counters are made from them, those of tasks by triggers.
    pub(super) fn copy_tables(&mut self) -> engine::Result<()> {
        let is_copied = |entry: &&SchemaEntry| {
            let is_derived = |start| entry.name.starts_with(start);
            !entry.is_index
                && !["sqlite_", "memory_", "task_count"]
                    .into_iter()
                    .any(is_derived)
        };
        let tables = self.schema.iter().filter(is_copied);
        let tables: Vec<_> = tables
            .map(|entry| (entry.name.clone(), entry.kind))
            .collect();
        for (name, kind) in tables {
            let shape = TableShape::of(self.tx, &name, kind == TreeKind::Numbered)?;
            let table = self.copy_table(&shape)?;
            self.tables.push(table);
        }
        Ok(())
    }

    fn copy_table(&mut self, shape: &TableShape) -> engine::Result<SalvagedTable> {
        let found = self.source.rows(&shape.name);
        let mut saved: HashSet<RowKey> = HashSet::new();
        let mut unreadable = found.unreadable;
        for row in &found.rows {
            if is_of_the_file(shape, row) {
                continue;
            }
            if self.insert(shape, row)? {
                saved.insert(shape.key(row));
            } else {
                unreadable += 1;
            }
        }
        let known = known_keys(self.tx, self.source, (shape, &self.schema))?;
        let missing = known.difference(&saved).count() as u64;
        if shape.name == "peer" {
            self.lost_peers = known_peers(self.tx, self.source, (shape, &self.schema))?;
            self.lost_peers.retain(|peer| !saved.contains(&peer.key));
        }
        Ok(SalvagedTable {
            name: shape.name.clone(),
            rows: saved.len() as u64,
            lost: missing.max(unreadable),
            lost_pages: found.lost_pages,
        })
    }

    /// Inserts a row. Returns whether the schema accepts it; what a damaged page makes up, it mostly does not.
    fn insert(&self, shape: &TableShape, row: &StoredRow) -> engine::Result<bool> {
        let Some((names, values)) = shape.assignments(row) else {
            return Ok(false);
        };
        let places = vec!["?"; names.len()].join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({places})",
            shape.name,
            names.join(", ")
        );
        self.is_accepted(&sql, params_from_iter(values))
    }

    fn is_accepted(&self, sql: &str, values: impl rusqlite::Params) -> engine::Result<bool> {
        let file = self.tx.sql.file().expect("the target is a file");
        match file.prepare_cached(sql)?.execute(values) {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Inserts the peers that are lost but known by an index, or by what belongs to them, so that their questions and messages
    /// are kept. Returns their number.
    pub(super) fn restore_peers(&mut self) -> engine::Result<u64> {
        let mut restored = 0;
        for peer in std::mem::take(&mut self.lost_peers) {
            restored += u64::from(self.insert_peer(&peer)?);
        }
        for reference in self.references()? {
            if reference.parent != "peer" {
                continue;
            }
            let (table, column) = (&reference.table, &reference.column);
            let sql = format!(
                "SELECT DISTINCT {column} AS id FROM {table} WHERE {column} NOT IN (SELECT id FROM peer)"
            );
            let ids: Vec<String> = self
                .tx
                .sql
                .prepare_cached(&sql)?
                .query_map([], |row| row.get("id"))?
                .collect::<engine::Result<_>>()?;
            for id in ids {
                restored += u64::from(self.insert_peer(&KnownPeer::with_id(id))?);
            }
        }
        Ok(restored)
    }

    fn insert_peer(&self, peer: &KnownPeer) -> engine::Result<bool> {
        let Some((id, ulid)) = peer.id.as_ref().zip(peer.ulid()) else {
            return Ok(false);
        };
        let sent = "SELECT max(from_name) AS name FROM message WHERE from_peer = ?1";
        let sent: Option<String> = self
            .tx
            .sql
            .prepare_cached(sent)?
            .query_row([id], |row| row.get("name"))?;
        let unknown = format!("lost-{}", id.to_ascii_lowercase());
        let names = [peer.name.clone(), sent, Some(unknown)];
        let created = i64::try_from(ulid.timestamp_ms()).unwrap_or(0);
        let now = self.tx.now.wall_ms;
        for name in names.into_iter().flatten() {
            let kind = if name.starts_with("person@") {
                "person"
            } else if name.contains('/') {
                "run"
            } else {
                "session"
            };
            let sql = "INSERT INTO peer (id, kind, name, wanted, project, seat, created_at_ms, last_seen_at_ms)
                       VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)";
            let values = rusqlite::params![id, kind, name, peer.project, peer.seat, created, now];
            if self.is_accepted(sql, values)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes rows that belong to a lost one, until there are none.
    pub(super) fn remove_rows_without_parent(&mut self) -> engine::Result<()> {
        let references = self.references()?;
        loop {
            let mut removed = 0;
            for reference in &references {
                let Reference {
                    table,
                    column,
                    parent,
                    ..
                } = reference;
                let orphans = format!("{column} NOT IN (SELECT id FROM {parent})");
                if reference.is_kept_without_parent {
                    let sql = format!("UPDATE {table} SET {column} = NULL WHERE {orphans}");
                    self.tx.sql.execute(&sql, [])?;
                    continue;
                }
                let sql = format!("DELETE FROM {table} WHERE {orphans}");
                let count = self.tx.sql.execute(&sql, [])? as u64;
                removed += count;
                for report in self
                    .tables
                    .iter_mut()
                    .filter(|report| report.name == *table)
                {
                    report.rows -= count;
                    report.lost += count;
                }
            }
            if removed == 0 {
                return Ok(());
            }
        }
    }

    fn references(&self) -> engine::Result<Vec<Reference>> {
        let sql = "SELECT s.name AS name, f.\"from\" AS from_column, f.\"table\" AS parent, f.on_delete AS on_delete
                   FROM sqlite_schema s, pragma_foreign_key_list(s.name) f WHERE s.type = 'table'";
        let mut statement = self.tx.sql.prepare_cached(sql)?;
        let references = statement.query_map([], |row| {
            let on_delete: String = row.get("on_delete")?;
            Ok(Reference {
                table: row.get("name")?,
                column: row.get("from_column")?,
                parent: row.get("parent")?,
                is_kept_without_parent: on_delete == "SET NULL",
            })
        })?;
        references.collect()
    }
}

/// Returns whether a row is about the file and its schema, and not about the mesh.
fn is_of_the_file(shape: &TableShape, row: &StoredRow) -> bool {
    shape.name == "meta"
        && matches!(row.values.first(), Some(Value::Text(key)) if OWN_META_KEYS.contains(&key.as_str()))
}
