//! `claude-mesh doctor --salvage`: what is saved of a file with damaged pages, and whether sessions work on the new file.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{ProcessOutput, Session, World, ask_and_answer, create_task, post_message};

/// How many rows of each kind the mesh has.
const MESSAGES: usize = 300;
const QUESTIONS: usize = 120;
const MEMORIES: usize = 150;
const TASKS: usize = 120;
const PAGE: usize = 4096;

/// Returns the file of a mesh with some hundred rows, as its sessions have left it.
fn mesh_file() -> &'static [u8] {
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

/// A mesh whose file has damaged pages.
struct DamagedMesh {
    world: World,
    folder: PathBuf,
    /// The number of rows of each table before.
    counts: HashMap<String, u64>,
}

impl DamagedMesh {
    /// Returns a mesh of which these pages are overwritten.
    fn with(pages: &[Page]) -> Self {
        let mut content = mesh_file().to_vec();
        for page in pages {
            let start = (page.number - 1) * PAGE;
            for (at, byte) in content[start..start + PAGE].iter_mut().enumerate() {
                *byte = u8::try_from(at * 131 % 251).unwrap() | 0x80;
            }
        }
        Self::of(&content)
    }

    fn of(content: &[u8]) -> Self {
        let world = World::new();
        let folder = world.project("own");
        let database = world.database();
        claude_mesh::platform::permissions::create_folder(database.parent().unwrap()).unwrap();
        let mut file = claude_mesh::platform::permissions::create_file(&database).unwrap();
        std::io::Write::write_all(&mut file, content).unwrap();
        let whole = Undamaged::open();
        let counts = whole.tables();
        Self {
            world,
            folder,
            counts,
        }
    }

    fn run(&self, arguments: &[&str]) -> ProcessOutput {
        self.world.cli(&self.folder, arguments)
    }

    /// Salvages the mesh. Returns the report and the new file.
    #[track_caller]
    fn salvage(&self, expected_code: i32) -> (Value, PathBuf) {
        let before = std::fs::read(self.world.database()).unwrap();
        let ran = self.run(&["doctor", "--salvage", "saved.db", "--json"]);
        assert_eq!(ran.code, Some(expected_code), "{ran:?}");
        let after = std::fs::read(self.world.database()).unwrap();
        assert!(before == after, "the damaged file is not changed");
        let file = self.folder.join("saved.db");
        assert_sound(&file);
        (ran.json(), file)
    }

    /// Asserts that all rows of all tables are saved, except some of these.
    #[track_caller]
    fn assert_saved(&self, report: &Value, lost: &HashMap<&str, u64>) {
        for (table, count) in &self.counts {
            let found = report["tables"].as_array().unwrap();
            let found = found
                .iter()
                .find(|found| found["table"] == **table)
                .unwrap();
            let lost = lost.get(table.as_str()).copied().unwrap_or(0);
            assert_eq!(found["rows"], count - lost, "{table}: {report:#}");
            assert!(lost > 0 || found["lost"] == 0, "{table}: {report:#}");
        }
    }
}

/// Asserts that a file is private, and that SQLite finds no damage in it, nor in its full-text indexes.
#[track_caller]
fn assert_sound(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let rows = Connection::open(file).unwrap();
    let found: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
    let violations: i64 = rows
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(violations, 0);
    let check = "INSERT INTO memory_words (memory_words, rank) VALUES ('integrity-check', 1)";
    rows.execute_batch(check).unwrap();
}

/// A page of the undamaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    number: usize,
    /// The number of its rows, or of the pages below it less one.
    cells: u64,
}

/// The undamaged file, for questions to SQLite.
struct Undamaged {
    _folder: tempfile::TempDir,
    rows: Connection,
}

impl Undamaged {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.db");
        std::fs::write(&path, mesh_file()).unwrap();
        Self {
            rows: Connection::open(path).unwrap(),
            _folder: folder,
        }
    }

    /// Returns the pages of a table or index that are leaves, or that are not.
    fn pages(&self, name: &str, leaves: bool) -> Vec<Page> {
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

    fn tables(&self) -> HashMap<String, u64> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'memory_%'";
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

#[test]
fn damaged_leaf_page_costs_only_its_own_rows() {
    let whole = Undamaged::open();
    for table in ["message", "question", "memory", "task", "event"] {
        let pages = whole.pages(table, true);
        assert!(pages.len() > 3, "{table}: {pages:?}");
        let page = pages[pages.len() / 2].clone();
        let damaged = DamagedMesh::with(std::slice::from_ref(&page));
        let doctor = damaged.run(&["doctor"]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        let names = format!("table {table} (1 page)");
        assert!(doctor.out.contains(&names), "{doctor:?}");
        let (report, file) = damaged.salvage(1);
        assert_eq!(report["status"], "rows_lost");
        let mut lost = HashMap::from([(table, page.cells)]);
        if table == "question" {
            // Its deliveries belong to it.
            lost.insert("showing", page.cells);
        }
        damaged.assert_saved(&report, &lost);
        let found = report["tables"].as_array().unwrap();
        let found = found.iter().find(|found| found["table"] == table).unwrap();
        assert_eq!(
            (&found["lost"], &found["lost_pages"]),
            (&json!(page.cells), &json!(1))
        );
        assert_eq!(found["rows"], row_count(&file, table));
    }
}

fn row_count(file: &Path, table: &str) -> i64 {
    let rows = Connection::open(file).unwrap();
    rows.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
        row.get(0)
    })
    .unwrap()
}

#[test]
fn pages_below_a_damaged_interior_page_are_saved() {
    let whole = Undamaged::open();
    // The rows of `message` are in its interior pages too.
    for (table, status, code) in [
        ("question", "done", 0),
        ("event", "done", 0),
        ("message", "rows_lost", 1),
    ] {
        let root = whole.pages(table, false)[0].clone();
        let damaged = DamagedMesh::with(std::slice::from_ref(&root));
        let (report, _) = damaged.salvage(code);
        assert_eq!(report["status"], status, "{table}: {report:#}");
        let lost = if code == 0 { 0 } else { root.cells };
        damaged.assert_saved(&report, &HashMap::from([(table, lost)]));
    }
}

#[test]
fn damaged_header_index_or_text_index_costs_no_row() {
    let whole = Undamaged::open();
    let header = vec![Page {
        number: 1,
        cells: 0,
    }];
    let of_schema = whole.pages("sqlite_schema", true);
    let index = whole.pages("question_target", true);
    let text = whole.pages("memory_words_data", true);
    for (pages, named) in [
        (header, "its first page"),
        (of_schema, "the list of its tables"),
        (index, "index question_target of question"),
        (text, "the full-text index of memories"),
    ] {
        let damaged = DamagedMesh::with(&pages);
        let doctor = damaged.run(&["doctor"]);
        assert!(doctor.out.contains(named), "{named}: {doctor:?}");
        let (report, file) = damaged.salvage(0);
        assert_eq!(report["status"], "done", "{named}: {report:#}");
        damaged.assert_saved(&report, &HashMap::new());
        let found: i64 = Connection::open(&file)
            .unwrap()
            .query_row(
                "SELECT count(*) FROM memory_words WHERE memory_words MATCH 'length'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(found, i64::try_from(MEMORIES).unwrap());
    }
}

#[test]
fn questions_of_a_lost_peer_are_kept_with_its_name() {
    let peers = Undamaged::open().pages("peer", true);
    let damaged = DamagedMesh::with(&peers);
    let (report, file) = damaged.salvage(1);
    assert_eq!(
        report["restored_peers"], damaged.counts["peer"],
        "{report:#}"
    );
    damaged.assert_saved(&report, &HashMap::from([("peer", damaged.counts["peer"])]));
    let rows = Connection::open(file).unwrap();
    let names: Vec<String> = rows
        .prepare("SELECT name FROM peer ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(names, ["ada", "bo"]);
}

/// Returns the first page of a table and the last of another, so that several things are lost at once.
fn some_damage() -> Vec<Page> {
    let whole = Undamaged::open();
    let mut pages = whole.pages("message", true)[..1].to_vec();
    pages.extend(whole.pages("fence", true));
    pages.extend(whole.pages("meta", true));
    pages
}

#[test]
fn sessions_work_on_a_salvaged_file() {
    let mut content = mesh_file().to_vec();
    for page in some_damage() {
        content[(page.number - 1) * PAGE..][..PAGE].fill(0xAA);
    }
    let damaged = DamagedMesh::of(&content);
    let world = &damaged.world;
    let late = world.bare_session("ada", &[]);
    late.discover();
    let refused = late.call("post", json!({ "to": "bo", "body": "hello" }));
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("claude-mesh doctor --salvage"), "{refused}");
    let at_shell = damaged.run(&["state", "get", "a"]);
    assert!(
        at_shell.err.contains("claude-mesh doctor --salvage"),
        "{at_shell:?}"
    );
    late.kill();
    let printed = damaged.run(&["doctor", "--salvage", "saved.db"]);
    assert_eq!(printed.code, Some(1), "{printed:?}");
    assert!(printed.out.contains("claude-mesh restore"), "{printed:?}");
    assert_sound(&damaged.folder.join("saved.db"));
    let restored = damaged.run(&["restore", "saved.db"]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let doctor = damaged.run(&["doctor"]);
    assert!(doctor.out.contains("no damage found"), "{doctor:?}");
    let largest = |table: &str, column: &str| -> String {
        let sql = format!("SELECT CAST(max({column}) AS TEXT) FROM {table}");
        world.rows().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let last_event: i64 = largest("event", "seq").parse().unwrap();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!((ada.name(), bo.name()), ("ada".into(), "bo".into()));
    assert_eq!(
        bo.call("claim", json!({ "resource": "deploy" }))["fence"],
        3
    );
    let message_before = largest("message", "id");
    assert!(post_message(&ada, "bo", "hello") > message_before);
    assert!(largest("event", "seq").parse::<i64>().unwrap() > last_event);
    ask_and_answer(&ada, &bo, "which port?", "5433");
    let found = ada.call("recall", json!({ "query": "\"memory 077\"" }));
    assert_eq!(found["memories"].as_array().unwrap().len(), 1, "{found}");
    let status = ada.call("mesh_status", json!({}));
    assert_eq!(status["questions"]["answered"], QUESTIONS + 1, "{status}");
}

#[test]
fn commits_that_are_only_in_the_wal_are_saved() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    post_message(&ada, "bo", "in the file");
    world
        .rows()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    post_message(&ada, "bo", "in the WAL");
    let of = |session: &Session| {
        let ran = world.cli(&session.folder, &["doctor", "--salvage", "early.db"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("has the file of the mesh open"), "{ran:?}");
        assert!(!session.folder.join("early.db").exists());
    };
    of(&ada);
    let folder = bo.folder.clone();
    ada.kill();
    bo.kill();
    assert!(
        world
            .home()
            .join(".claude-mesh/mesh.db-wal")
            .metadata()
            .unwrap()
            .len()
            > 0
    );
    let ran = world.cli(&folder, &["doctor", "--salvage", "saved.db"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let file = folder.join("saved.db");
    assert_sound(&file);
    assert_eq!(row_count(&file, "message"), 2);
}

#[test]
fn salvage_refuses_an_existing_file_and_what_is_no_mesh() {
    let damaged = DamagedMesh::with(&some_damage());
    let run = |expected: &str| {
        let ran = damaged.run(&["doctor", "--salvage", "saved.db"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(expected), "{expected}: {ran:?}");
    };
    let saved = damaged.folder.join("saved.db");
    std::fs::write(&saved, "mine").unwrap();
    run("exists already");
    assert_eq!(std::fs::read_to_string(&saved).unwrap(), "mine");
    std::fs::remove_file(&saved).unwrap();
    std::fs::write(damaged.world.database(), "dear diary\n".repeat(2_000)).unwrap();
    run("no row of a mesh can be read");
    std::fs::write(damaged.world.database(), &mesh_file()[..10_000]).unwrap();
    run("no row of a mesh can be read");
    std::fs::remove_file(damaged.world.database()).unwrap();
    Connection::open(damaged.world.database())
        .unwrap()
        .execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
        .unwrap();
    run("belongs to another program");
    std::fs::remove_file(damaged.world.database()).unwrap();
    run("cannot open");
    let left = std::fs::read_dir(&damaged.folder).unwrap();
    assert_eq!(left.count(), 0, "no temporary file is left");
}
