//! A damaged file: its tables and indexes, and the rows of them that can be read.
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::types::Value;

use super::btree_page::{BtreePage, StoredRow, TreeKind};
use super::file_pages::{FilePages, MapEntry};
use super::trees::{self, Tree};
use crate::platform::Fault;
use crate::store::database_path::with_suffix;

/// The tree of the schema.
const SCHEMA_ROOT: u32 = 1;

/// A table or an index, as the schema names it.
#[derive(Debug, Clone)]
pub(super) struct SchemaEntry {
    pub(super) is_index: bool,
    pub(super) name: String,
    pub(super) table: String,
    pub(super) root: u32,
    pub(super) kind: TreeKind,
}

impl SchemaEntry {
    pub(super) fn new(
        is_index: bool,
        (name, table): (String, String),
        (root, sql): (u32, &str),
    ) -> Self {
        let kind = if is_index || sql.to_ascii_uppercase().contains("WITHOUT ROWID") {
            TreeKind::Keyed
        } else {
            TreeKind::Numbered
        };
        Self {
            is_index,
            name,
            table,
            root,
            kind,
        }
    }
}

/// What can be read of a tree.
#[derive(Debug, Default)]
pub(super) struct TreeRows {
    pub(super) rows: Vec<StoredRow>,
    /// Rows on readable pages that cannot be read.
    pub(super) unreadable: u64,
    /// Damaged pages that had rows.
    pub(super) lost_pages: u64,
}

/// A damaged file.
pub(super) struct SourceFile {
    pages: FilePages,
    entries: Vec<SchemaEntry>,
    trees: HashMap<u32, Tree>,
}

impl SourceFile {
    /// Reads an open file, and its WAL beside it.
    pub(super) fn read(mut file: &File, path: &Path) -> Result<Self, Fault> {
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(|error| Fault::io("read", path, error))?;
        let wal_path = with_suffix(path, "-wal");
        let wal = match std::fs::read(&wal_path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| Fault::io("read", &wal_path, error))?,
        };
        let pages = FilePages::new(content, wal);
        let mut found = Self {
            trees: trees::find(&pages, &[(SCHEMA_ROOT, TreeKind::Numbered)]),
            pages,
            entries: Vec::new(),
        };
        let rows = found.rows_of(SCHEMA_ROOT).rows;
        found.entries = rows.iter().filter_map(schema_entry).collect();
        found.find_trees();
        Ok(found)
    }

    /// Adds tables and indexes that the file no longer names, where an undamaged file has them.
    pub(super) fn add_missing_entries(&mut self, undamaged: &[SchemaEntry]) {
        let is_missing = |entry: &&SchemaEntry| {
            let is_known =
                |known: &SchemaEntry| known.name == entry.name || known.root == entry.root;
            !self.entries.iter().any(is_known) && self.pages.map_entry(entry.root) == MapEntry::Root
        };
        let missing: Vec<SchemaEntry> = undamaged.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            self.entries.extend(missing);
            self.find_trees();
        }
    }

    fn find_trees(&mut self) {
        let of_entries = self.entries.iter().map(|entry| (entry.root, entry.kind));
        let roots: Vec<_> = std::iter::once((SCHEMA_ROOT, TreeKind::Numbered))
            .chain(of_entries)
            .collect();
        self.trees = trees::find(&self.pages, &roots);
    }

    /// Returns whether most tables that the file names are not those of an undamaged mesh. The page that names one of them may
    /// be lost.
    pub(super) fn is_foreign(&self, undamaged: &[SchemaEntry]) -> bool {
        let tables = self.entries.iter().filter(|entry| !entry.is_index);
        let is_own = |table: &&SchemaEntry| undamaged.iter().any(|own| own.name == table.name);
        let own = tables.clone().filter(is_own).count();
        tables.count() > 2 * own
    }

    /// Returns what can be read of a table or an index; nothing if the file has none of that name.
    pub(super) fn rows(&self, name: &str) -> TreeRows {
        let root = self.entry(name).map(|entry| entry.root);
        root.map(|root| self.rows_of(root)).unwrap_or_default()
    }

    fn entry(&self, name: &str) -> Option<&SchemaEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    fn rows_of(&self, root: u32) -> TreeRows {
        let mut found = TreeRows::default();
        let Some(tree) = self.trees.get(&root) else {
            return found;
        };
        found.lost_pages = tree.lost_pages as u64;
        let pages = tree.pages.iter();
        for page in pages.filter_map(|number| BtreePage::read(&self.pages, *number)) {
            for row in page.rows() {
                match row {
                    Some(row) => found.rows.push(row),
                    None => found.unreadable += 1,
                }
            }
        }
        found
    }

    /// Says which parts of the file are damaged, each with the number of its damaged pages.
    pub(super) fn damaged_parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.entries.is_empty() && !self.pages.has_header {
            return parts;
        }
        let mut add = |name: String, pages: usize| match pages {
            0 => {}
            1 => parts.push(format!("{name} (1 page)")),
            pages => parts.push(format!("{name} ({pages} pages)")),
        };
        let damaged = |root| self.trees.get(&root).map_or(0, |tree| tree.damaged.len());
        add("the list of its tables".into(), damaged(SCHEMA_ROOT));
        let is_text_index = |entry: &&SchemaEntry| entry.table.starts_with("memory_");
        let of_text = self.entries.iter().filter(is_text_index);
        let of_text = of_text.map(|entry| damaged(entry.root)).sum();
        for entry in self.entries.iter().filter(|entry| !is_text_index(entry)) {
            let name = if entry.is_index {
                format!("index {} of {}", entry.name, entry.table)
            } else {
                format!("table {}", entry.name)
            };
            add(name, damaged(entry.root));
        }
        add("the full-text index of memories".into(), of_text);
        if !self.pages.has_header {
            parts.insert(0, "its first page".into());
        }
        parts
    }
}

fn schema_entry(row: &StoredRow) -> Option<SchemaEntry> {
    let [
        Value::Text(kind),
        Value::Text(name),
        Value::Text(table),
        Value::Integer(root),
        sql,
    ] = &row.values[..]
    else {
        return None;
    };
    let sql = match sql {
        Value::Text(sql) => sql.as_str(),
        _ => "",
    };
    let root = u32::try_from(*root)
        .ok()
        .filter(|root| *root > SCHEMA_ROOT)?;
    let is_index = match kind.as_str() {
        "table" => false,
        "index" => true,
        _ => return None,
    };
    Some(SchemaEntry::new(
        is_index,
        (name.clone(), table.clone()),
        (root, sql),
    ))
}
