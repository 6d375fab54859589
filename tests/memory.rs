//! Memory: stored in one session, found in another, replaced, erased, expired.
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Mesh, Remember};
use claude_mesh::model::memory::MemoryScope;
use claude_mesh::platform::SystemClock;
use serde_json::{Value, json};

use crate::support::{Session, World};

pub(crate) fn remember(session: &Session, text: &str, more: Value) -> Value {
    let mut arguments = more;
    arguments["text"] = text.into();
    session.call("remember", arguments)
}

#[track_caller]
pub(crate) fn texts(result: &Value) -> Vec<&str> {
    let memories = result["memories"]
        .as_array()
        .unwrap_or_else(|| panic!("{result}"));
    memories
        .iter()
        .map(|memory| memory["text"].as_str().unwrap())
        .collect()
}

/// Returns the texts that a query finds, joined.
#[track_caller]
pub(crate) fn recall_texts(session: &Session, query: &str) -> String {
    texts(&session.call("recall", json!({ "query": query }))).join("|")
}

// Requirement: Peers 6, Tasks 13
#[test]
fn memory_is_found_by_a_later_session_with_author_and_time() {
    let world = World::new();
    let ada = world.session("shop");
    let kept = remember(
        &ada,
        "Deploying needs the VPN",
        json!({ "key": "deploy", "tags": ["ops"] }),
    );
    assert_eq!(kept["version"], 1);
    assert_eq!(kept["key"], "deploy");
    drop(ada);
    let later = world.session("shop");
    let found = later.call("recall", json!({ "query": "deploy vpn" }));
    let memory = &found["memories"][0];
    assert_eq!(memory["memory_id"], kept["memory_id"]);
    assert_eq!(memory["text"], "Deploying needs the VPN");
    assert_eq!(memory["by"], "shop");
    assert_eq!(memory["scope"], "project");
    assert_eq!(memory["tags"], json!(["ops"]));
    assert_eq!(memory["snippet"], "Deploying needs the VPN");
    assert!(memory["score"].is_number());
    assert!(memory["at"].as_str().unwrap().ends_with('Z'));
    let figures = later.call("mesh_status", json!({}));
    assert_eq!(figures["memories"], 1);
}

#[test]
fn memory_key_replaces_and_keeps_older_versions_readable() {
    let world = World::new();
    let (ada, bo) = (world.session("shop"), world.session("shop"));
    remember(&ada, "port 5432", json!({ "key": "port" }));
    let second = remember(&bo, "port 5433", json!({ "key": "port" }));
    assert_eq!(second["version"], 2);
    let newest = ada.call("recall", json!({ "key": "port" }));
    assert_eq!(texts(&newest), ["port 5433"]);
    assert_eq!(newest["memories"][0]["by"], "shop-2");
    assert_eq!(recall_texts(&ada, "5432"), "");
    assert_eq!(recall_texts(&ada, "port"), "port 5433");
    let shop = world.home().join("shop");
    let history = world.cli(
        &shop,
        &["memory", "recall", "--key", "port", "--history", "--json"],
    );
    let versions = history.json()["versions"].clone();
    assert_eq!(versions[0]["version"], 2);
    assert_eq!(versions[0]["superseded_by"], Value::Null);
    assert_eq!(versions[1]["text"], "port 5432");
    assert_eq!(versions[1]["by"], "shop");
    assert_eq!(versions[1]["superseded_by"], "shop-2");
    assert!(versions[1]["superseded_at"].is_string());
    for number in 0..25 {
        remember(&ada, &format!("port {number}"), json!({ "key": "port" }));
    }
    let history = world.cli(
        &shop,
        &["memory", "recall", "--key", "port", "--history", "--json"],
    );
    let versions = history.json()["versions"].as_array().unwrap().len();
    assert_eq!(versions, 20, "the oldest versions are removed");
}

#[test]
fn memories_and_tasks_survive_adding_and_removing_git() {
    let world = World::new();
    let shop = world.session("shop");
    remember(&shop, "the port is 5433", json!({ "key": "port" }));
    remember(&shop, "the port is 5434", json!({ "key": "port" }));
    shop.call("create_task", json!({ "title": "open the port" }));
    let by_a_person = || {
        let arguments = ["memory", "recall", "--key", "port", "--json"];
        texts(&world.cli(&shop.folder, &arguments).json()).join("|")
    };
    let sees_all = |session: &Session| {
        assert_eq!(recall_texts(session, "port"), "the port is 5434");
        let tasks = session.call("list_tasks", json!({}));
        assert_eq!(tasks["tasks"][0]["title"], "open the port", "{tasks}");
    };
    world.write("shop/.git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(by_a_person(), "the port is 5434");
    sees_all(&shop);
    sees_all(&world.session("shop"));
    let arguments = ["memory", "recall", "--key", "port", "--history", "--json"];
    let history = world.cli(&shop.folder, &arguments).json();
    assert_eq!(history["versions"].as_array().unwrap().len(), 2);
    std::fs::remove_dir_all(shop.folder.join(".git")).unwrap();
    sees_all(&world.session("shop"));
    sees_all(&shop);
    assert_eq!(by_a_person(), "the port is 5434");
}

#[test]
fn folders_joined_in_one_repository_merge_their_memories() {
    let world = World::new();
    let (api, web) = (world.session("shop/api"), world.session("shop/web"));
    remember(&api, "the port is 5433", json!({ "key": "port" }));
    remember(&web, "the old port was 8000", json!({ "key": "port" }));
    remember(&web, "the port is 8080", json!({ "key": "port" }));
    remember(&web, "the host is web.local", json!({ "key": "host" }));
    world.write("shop/.git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(recall_texts(&api, "port"), "the port is 5433");
    // The first memory with the key keeps it; no current memory is lost.
    for session in [&web, &api] {
        let mut found: Vec<String> = recall_texts(session, "port")
            .split('|')
            .map(str::to_owned)
            .collect();
        found.sort();
        assert_eq!(found, ["the port is 5433", "the port is 8080"]);
        assert_eq!(recall_texts(session, "host"), "the host is web.local");
        let keyed = session.call("recall", json!({ "key": "port" }));
        assert_eq!(texts(&keyed), ["the port is 5433"]);
    }
    remember(&api, "the host is shop.local", json!({ "key": "host" }));
    assert_eq!(recall_texts(&web, "host"), "the host is shop.local");
}

#[test]
fn only_worktrees_of_one_repository_share_its_memories() {
    let world = World::new();
    world.write("shop/.git/HEAD", "ref: refs/heads/main\n");
    world.write("shop/.git/worktrees/fix/commondir", "../..\n");
    world.write("shop/.git/worktrees/fix/HEAD", "ref: refs/heads/fix\n");
    let pointer = world.home().join("shop/.git/worktrees/fix");
    world.write("fix/.git", &format!("gitdir: {}\n", pointer.display()));
    let (shop, fix, other) = (
        world.session("shop"),
        world.session("fix"),
        world.session("other"),
    );
    remember(&shop, "the shop's port is 5433", json!({}));
    remember(&other, "the port of the others is 9999", json!({}));
    remember(
        &other,
        "every port is listed in ports.md",
        json!({ "scope": "mesh" }),
    );
    assert_eq!(
        recall_texts(&fix, "port"),
        "the shop's port is 5433|every port is listed in ports.md",
        "the memory of the project is first"
    );
    let only = |scope: &str| {
        let found = fix.call("recall", json!({ "query": "port", "scope": scope }));
        texts(&found).join("|")
    };
    assert_eq!(only("project"), "the shop's port is 5433");
    assert_eq!(only("mesh"), "every port is listed in ports.md");
    let newest = fix.call("recall", json!({}));
    assert_eq!(texts(&newest).len(), 2, "without a query the newest");
}

// Requirement: Peers 6
#[test]
fn expired_memory_is_hidden_and_reclaimed() {
    let world = World::new();
    let ada = world.session("ada");
    remember(
        &ada,
        "only for now",
        json!({ "ttl_seconds": 3600, "key": "now" }),
    );
    remember(&ada, "for good", json!({}));
    assert_eq!(recall_texts(&ada, "now"), "only for now");
    let rows = world.rows();
    rows.execute(
        "UPDATE memory SET expires_at_ms = at_ms - 1 WHERE key = 'now'",
        [],
    )
    .unwrap();
    assert_eq!(recall_texts(&ada, "now"), "");
    assert_eq!(texts(&ada.call("recall", json!({ "key": "now" }))), [""; 0]);
    assert_eq!(ada.call("mesh_status", json!({}))["memories"], 1);
    let swept = world.cli(&world.home(), &["gc", "--json"]).json();
    assert_eq!(swept["reclaimed"]["memories"], 1, "{swept}");
    let left: i64 = rows
        .query_row("SELECT count(*) FROM memory", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
}

#[test]
fn forget_removes_the_project_key_before_the_mesh_key() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let kept = |text: &str, more: Value| assert_eq!(remember(&ada, text, more)["version"], 1);
    kept("zebra here", json!({ "key": "port" }));
    kept(
        "zebra everywhere",
        json!({ "key": "port", "scope": "mesh" }),
    );
    let zebras = |session| {
        let found = recall_texts(session, "zebra");
        let mut all: Vec<String> = found.split('|').map(str::to_owned).collect();
        all.sort();
        all.join("|")
    };
    assert_eq!(zebras(&ada), "zebra everywhere|zebra here");
    assert_eq!(ada.call("forget", json!({ "key": "port" }))["forgotten"], 1);
    assert_eq!(zebras(&ada), "zebra everywhere", "its own first");
    kept("zebra again", json!({ "key": "port" }));
    // Another project sees only the memory of the mesh.
    assert_eq!(bo.call("forget", json!({ "key": "port" }))["forgotten"], 1);
    assert_eq!(zebras(&ada), "zebra again");
    assert_eq!(bo.call("forget", json!({ "key": "port" }))["forgotten"], 0);
    let by_id = remember(&ada, "zebra of ada", json!({}));
    let gone = bo.call("forget", json!({ "memory_id": by_id["memory_id"] }));
    assert_eq!(gone["forgotten"], 1, "any session of the mesh can erase it");
    assert_eq!(zebras(&ada), "zebra again");
}

#[test]
fn erased_memory_leaves_no_text_in_the_database() {
    let world = World::new();
    let ada = world.session("ada");
    erase_all_memories_but_one(&ada);
    let mut bytes = std::fs::read(world.database()).unwrap();
    bytes.extend(std::fs::read(world.database().with_extension("db-wal")).unwrap_or_default());
    let holds = |word: &str| {
        bytes
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    };
    assert!(holds("xyzzyold60 "), "the memory that was kept is there");
    for word in [
        "xyzzyfirst",
        "xyzzysecond",
        "xyzzythird",
        "xyzzytag",
        "zzysecond",
    ] {
        assert!(!holds(word), "{word} is still in the file");
    }
    for number in (0..130).filter(|number| ![6, 60].contains(number)) {
        for word in [format!("xyzzyold{number}"), format!("plughword{number}")] {
            assert!(!holds(&word), "{word} is still in the file");
        }
    }
}

#[test]
fn erased_memory_leaves_no_prefix_in_the_full_text_index() {
    let world = World::new();
    let ada = world.session("ada");
    erase_all_memories_but_one(&ada);
    assert_eq!(
        recall_texts(&ada, "plughword60"),
        "xyzzyold60 filler plughword60 of the shop 60"
    );
    // The full-text index also stores prefixes of words, as separators between its pages.
    let rows = world.rows();
    let mut prefixes = rows
        .prepare("SELECT CAST(term AS TEXT) FROM memory_words_idx")
        .unwrap();
    let prefixes = prefixes
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let left = "xyzzyold60 filler plughword60 of the shop 60 k60";
    for prefix in prefixes.map(Result::unwrap) {
        let begins = prefix.get(1..).unwrap_or_default();
        assert!(left.contains(begins), "{prefix:?} is left");
    }
    let check: String = world
        .rows()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    for table in ["memory_words", "memory_parts"] {
        let sql = format!("INSERT INTO {table} ({table}) VALUES ('integrity-check')");
        world.rows().execute(&sql, []).unwrap();
    }
}

/// Stores memories, two of them under one key, and erases them except one.
fn erase_all_memories_but_one(ada: &Session) {
    for number in 0..130 {
        let text = format!("xyzzyold{number} filler plughword{number} of the shop {number}");
        remember(ada, &text, json!({ "key": format!("k{}", number % 120) }));
    }
    let secret = remember(
        ada,
        "xyzzyfirst was leaked",
        json!({ "key": "leak", "tags": ["xyzzytag"] }),
    );
    remember(ada, "xyzzysecond was leaked too", json!({ "key": "leak" }));
    assert_eq!(secret["version"], 1);
    assert_eq!(ada.call("forget", json!({ "key": "leak" }))["forgotten"], 1);
    assert_eq!(ada.call("forget", json!({ "key": "leak" }))["forgotten"], 0);
    let by_id = remember(ada, "xyzzythird by id", json!({}));
    let gone = ada.call("forget", json!({ "memory_id": by_id["memory_id"] }));
    assert_eq!(gone["forgotten"], 1);
    for number in (0..120).filter(|number| *number != 60) {
        ada.call("forget", json!({ "key": format!("k{number}") }));
    }
}

#[test]
fn session_start_counts_memories_without_showing_them() {
    let world = World::new();
    let ada = world.session("shop");
    let start = |session: &Session| {
        let said = session.hook("SessionStart", json!({ "source": "startup" }));
        said["hookSpecificOutput"]["additionalContext"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(!start(&ada).contains("emember"));
    remember(&ada, "quiet words", json!({ "key": "a" }));
    assert!(start(&ada).contains("1 memory is stored for this project"));
    remember(&ada, "newer words", json!({ "key": "a" }));
    remember(&ada, "more words", json!({}));
    let text = start(&world.session("shop"));
    assert!(
        text.contains("2 memories are stored for this project"),
        "{text}"
    );
    assert!(!text.contains("words"), "{text}");
    assert!(!start(&world.session("other")).contains("stored for this project"));
}

#[test]
fn event_log_records_a_memory_without_its_text() {
    let world = World::new();
    let ada = world.session("shop");
    remember(&ada, "whispered text", json!({ "key": "port" }));
    remember(&ada, "whispered again", json!({ "key": "port" }));
    ada.call("forget", json!({ "key": "port" }));
    let log = world.cli(&world.home(), &["log", "--json"]).out;
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["type"] == "memory.changed")
        .collect();
    assert_eq!(events.len(), 3);
    assert_eq!(events[1]["data"]["version"], 2);
    assert_eq!(events[2]["data"]["forgotten"], true);
    assert!(!log.contains("whispered"));
    let text = world.cli(&world.home(), &["log"]).out;
    assert!(
        text.contains("shop replaced \"port\" of the project"),
        "{text}"
    );
    assert!(
        text.contains("shop erased \"port\" of the project"),
        "{text}"
    );
}

// Requirement: Beyond 15
#[test]
fn memories_do_not_cross_a_wall() {
    let world = World::new();
    let wall = world.project("acme");
    world.cli(&world.home(), &["wall", wall.to_str().unwrap(), "acme"]);
    let (inside, outside) = (world.session("acme/shop"), world.session("shop"));
    remember(&inside, "acme's port is 5433", json!({ "scope": "mesh" }));
    assert_eq!(recall_texts(&outside, "port"), "");
    assert_eq!(recall_texts(&inside, "port"), "acme's port is 5433");
}

/// A deletion looks for a text in each segment of the indexes.
#[test]
fn sweeps_merge_the_full_text_indexes() {
    let world = World::new();
    let path = world.home().join("library.db");
    let mut mesh = Mesh::open(&path, Arc::new(SystemClock::new())).unwrap();
    let request = JoinRequest::here(&world.project("ada")).unwrap();
    let me = mesh.register(&request).unwrap();
    for number in 0..300 {
        let words = (0..100).map(|part| format!("w{:06}", (number * 100 + part) * 7_919 % 999_983));
        let text = words.collect::<Vec<_>>().join(" ");
        let new = Remember {
            text: &text,
            key: None,
            tags: &[],
            ttl_seconds: None,
            scope: MemoryScope::Project,
            force: false,
        };
        mesh.remember(&me, "/shop/.git", new).unwrap();
    }
    let rows = rusqlite::Connection::open(&path).unwrap();
    // About one row for each page of a segment.
    let pages_beside_the_largest = |table: &str| -> i64 {
        let sql = format!(
            "SELECT sum(pages) - max(pages) FROM (SELECT count(*) AS pages FROM {table}_idx GROUP BY segid)"
        );
        rows.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let tables = ["memory_words", "memory_parts"];
    let before = tables.map(pages_beside_the_largest);
    for _ in 0..20 {
        mesh.sweep().unwrap();
    }
    let after = tables.map(pages_beside_the_largest);
    for (before, after) in before.iter().zip(after) {
        assert!(after * 4 < *before, "{before} pages, then {after}");
    }
}
