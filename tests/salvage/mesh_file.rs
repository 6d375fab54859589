//! The file of a mesh with some hundred rows, and where its tables are in it.
use std::collections::HashMap;
use std::sync::OnceLock;

use rusqlite::Connection;
use serde_json::json;

use crate::support::{World, ask_and_answer, create_task, post_message};

/// How many rows of each kind the mesh has.
const MESSAGES: usize = 300;
pub(super) const QUESTIONS: usize = 120;
pub(super) const MEMORIES: usize = 150;
const TASKS: usize = 120;
pub(super) const PAGE: usize = 4096;

/// Returns the file of a mesh with some hundred rows, as its sessions have left it.
pub(super) fn mesh_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let world = World::new();
        let (ada, bo) = (world.session("ada"), world.session("bo"));
        let claimed = bo.call("claim", json!({ "resource": "deploy" }));
        assert_eq!(claimed["fence"], 1);
        bo.call("release", json!({ "resource": "deploy" }));
        for number in 0..MESSAGES {
            post_message(&ada, "bo", &text("message", number));
        }
        for number in 0..QUESTIONS {
            let question = text("question", number);
            ask_and_answer(&ada, &bo, &question, &text("answer", number));
        }
        for number in 0..MEMORIES {
            let memory = json!({ "text": text("memory", number), "scope": "mesh" });
            bo.call("remember", memory);
        }
        for number in 0..TASKS {
            create_task(&ada, &text("task", number), json!({}));
        }
        assert_eq!(
            bo.call("claim", json!({ "resource": "deploy" }))["fence"],
            2
        );
        for session in [ada, bo] {
            session.close_stdin();
            session.wait_for_end();
        }
        let rows = world.rows();
        rows.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        drop(rows);
        std::fs::read(world.database()).unwrap()
    })
}

fn text(what: &str, number: usize) -> String {
    format!("{what} {number:03} {}", "of some length ".repeat(6))
}

/// A page of the undamaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) number: usize,
    /// The number of its rows, or of the pages below it less one.
    pub(super) cells: u64,
}

/// The undamaged file, for questions to SQLite.
pub(super) struct Undamaged {
    _folder: tempfile::TempDir,
    rows: Connection,
}

impl Undamaged {
    pub(super) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.db");
        std::fs::write(&path, mesh_file()).unwrap();
        Self {
            rows: Connection::open(path).unwrap(),
            _folder: folder,
        }
    }

    /// Returns the pages of a table or index that are leaves, or that are not.
    pub(super) fn pages(&self, name: &str, leaves: bool) -> Vec<Page> {
        let content = mesh_file();
        let number = |at: usize, length: usize| {
            let bytes = content[at..at + length].iter();
            bytes.fold(0, |number: usize, byte| number << 8 | usize::from(*byte))
        };
        let (mut pending, mut pages) = (vec![self.root(name)], Vec::new());
        while let Some(page) = pending.pop() {
            let page_start = (page - 1) * PAGE;
            let start = page_start + if page == 1 { 100 } else { 0 };
            let (is_leaf, cells) = (content[start] >= 10, number(start + 3, 2));
            if !is_leaf {
                pending.push(number(start + 8, 4));
                let list = (0..cells).map(|cell| number(start + 12 + 2 * cell, 2));
                pending.extend(list.map(|cell| number(page_start + cell, 4)));
            }
            if is_leaf == leaves {
                let cells = cells.try_into().unwrap();
                pages.push(Page {
                    number: page,
                    cells,
                });
            }
        }
        assert!(!pages.is_empty(), "{name} has no such page");
        pages.sort_by_key(|page| page.number);
        pages
    }

    fn root(&self, name: &str) -> usize {
        if name == "sqlite_schema" {
            return 1;
        }
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let root: i64 = self.rows.query_row(sql, [name], |row| row.get(0)).unwrap();
        root.try_into().unwrap()
    }

    pub(super) fn tables(&self) -> HashMap<String, u64> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'memory_%' AND name <> 'task_count'";
        let mut statement = self.rows.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        let names: Vec<String> = names.map(Result::unwrap).collect();
        let count = |name: String| {
            let sql = format!("SELECT count(*) FROM {name}");
            let count: i64 = self.rows.query_row(&sql, [], |row| row.get(0)).unwrap();
            // The schema of a file is its own.
            let count = u64::try_from(count).unwrap() - u64::from(name == "meta") * 2;
            (name, count)
        };
        names.into_iter().map(count).collect()
    }
}
