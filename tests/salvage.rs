//! `claude-mesh doctor --salvage`: what is saved of a file with damaged pages, and whether sessions work on the new file.
mod mesh_file;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use self::mesh_file::{MEMORIES, PAGE, Page, QUESTIONS, Undamaged, mesh_file};
use crate::support::{ProcessOutput, Session, World, ask_and_answer, post_message};

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
    run("does not exist\nhint: run this in a folder whose mesh is damaged");
    let left = std::fs::read_dir(&damaged.folder).unwrap();
    assert_eq!(left.count(), 0, "no temporary file is left");
}

/// Damages some places of a file.
fn damage(content: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..6) {
        let start = random.usize(..content.len() / PAGE) * PAGE;
        let page = start..start + PAGE;
        match random.u8(..6) {
            0 => random.fill(&mut content[page]),
            1 => content[page].fill(0),
            2 => random.fill(&mut content[start..start + 16]),
            3 => {
                let at = start + random.usize(..PAGE - 64);
                random.fill(&mut content[at..at + 64]);
            }
            4 => {
                let other = random.usize(..content.len() / PAGE) * PAGE;
                content.copy_within(other..other + PAGE, start);
            }
            _ => content.truncate(content.len() - random.usize(..3 * PAGE)),
        }
    }
}

#[test]
fn any_damage_leads_to_a_sound_file_or_an_error() {
    use claude_mesh::platform::{Clock, SystemClock};
    let (mut saved, mut refused) = (0, 0);
    for seed in 0..60 {
        let mut content = mesh_file().to_vec();
        damage(&mut content, &mut fastrand::Rng::with_seed(seed));
        let damaged = DamagedMesh::of(&content);
        let file = damaged.folder.join("saved.db");
        let database = damaged.world.database();
        match claude_mesh::store::salvage(&database, &file, SystemClock::new().now()) {
            Ok(_) => {
                assert_sound(&file);
                saved += 1;
            }
            Err(error) => {
                assert!(!file.exists(), "seed {seed}: {error}");
                refused += 1;
            }
        }
    }
    assert!(saved > refused * 5, "{saved} saved, {refused} refused");
}
