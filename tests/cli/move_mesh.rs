//! `claude-mesh move`, the backup of a mesh on a server, and `doctor --store`: through the real program and a real server.
use std::process::Stdio;

use serde_json::{Value, json};

use super::fixture::{CliFixture, finding};
use crate::support::{Hub, OtherHost, PostgresServer, World, program, wait_until};

/// A schema of the server, which is dropped at the end.
struct TargetSchema {
    server: PostgresServer,
    name: String,
}

impl TargetSchema {
    fn new(what: &str) -> Option<Self> {
        Some(Self {
            server: PostgresServer::find(what)?,
            name: format!("{}_move", PostgresServer::unique_schema()),
        })
    }

    fn url(&self) -> String {
        format!("{}?schema={}", self.server.url, self.name)
    }

    fn number(&self, sql: &str) -> i64 {
        let admin = self.server.admin();
        admin.execute(&format!("SET search_path TO {}", self.name));
        admin.text(sql).parse().unwrap()
    }
}

impl Drop for TargetSchema {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let admin = self.server.admin();
            admin.execute("SET client_min_messages TO warning");
            admin.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name));
        }
    }
}

/// Fills a mesh by a session in `api`, which ends, and by the person. Returns the fencing token of `deploy`.
fn fill(world: &World) -> i64 {
    let (api, web) = (world.session("api"), world.session("web"));
    let ask = web.start(
        "ask_peer",
        json!({ "to": "api", "question": "which port?" }),
    );
    api.send_reply(&api.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    let remembered = api.call(
        "remember",
        json!({ "text": "staging uses port 5433", "key": "port", "tags": ["ops"] }),
    );
    assert_eq!(remembered["version"], 1, "{remembered}");
    api.call(
        "remember",
        json!({ "text": "staging uses port 5434 now", "key": "port" }),
    );
    api.call(
        "state",
        json!({ "action": "set", "key": "stage", "value": "green" }),
    );
    api.call(
        "create_task",
        json!({ "title": "raise the limit", "files_owned": ["src/limit.rs"] }),
    );
    web.call("post", json!({ "to": "api", "body": "deploy at noon" }));
    let claimed = api.call("claim", json!({ "resource": "deploy" }));
    let fence = claimed["fence"].as_i64().unwrap();
    api.kill();
    web.kill();
    fence
}

/// Runs a command with JSON output, which must succeed.
#[track_caller]
fn done(fixture: &CliFixture, arguments: &[&str]) -> Value {
    let ran = fixture.run(&[arguments, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

fn rows_of(moved: &Value, table: &str) -> i64 {
    let tables = moved["tables"].as_array().unwrap();
    let found = tables.iter().find(|entry| entry["name"] == table);
    found.unwrap()["rows"].as_i64().unwrap()
}

#[test]
fn moved_mesh_has_everything_and_its_file_says_where() {
    let Some(target) = TargetSchema::new("a mesh that moves") else {
        return;
    };
    let fixture = CliFixture::new();
    fill(&fixture.world);
    let source = fixture.world.rows();
    source
        .execute("UPDATE message SET body = 'a' || char(0) || 'b'", [])
        .unwrap();
    let moved = done(&fixture, &["move", "--to", &target.url()]);
    assert_eq!(moved["replaced_nuls"], 1);
    let replaced = "SELECT count(*) FROM message WHERE body = U&'a\\FFFDb'";
    assert_eq!(target.number(replaced), 1);
    for table in [
        "peer", "alias", "question", "event", "message", "fence", "state", "memory", "task",
    ] {
        let sql = format!("SELECT count(*) FROM {table}");
        let expected: i64 = source.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(rows_of(&moved, table), expected, "{table}");
        assert_eq!(target.number(&sql), expected, "{table}");
    }
    let last_event: i64 = source
        .query_row("SELECT max(seq) FROM event", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        target.number("SELECT seq FROM counter WHERE name = 'event'"),
        last_event
    );
    assert_eq!(
        target.number("SELECT seq FROM counter WHERE name = 'tally.question.answered'"),
        1
    );
    assert_eq!(
        target.number("SELECT count(*) FROM session WHERE ended_at_ms IS NULL"),
        0
    );
    assert_eq!(target.number("SELECT count(*) FROM claim"), 0);
    // Only the memory that was not replaced is in the index.
    assert_eq!(
        target.number("SELECT count(*) FROM memory WHERE words IS NOT NULL"),
        1
    );

    let place = moved["to"].as_str().unwrap();
    assert!(
        place.ends_with(&target.name) && !place.contains('@'),
        "{place}"
    );
    assert_eq!(done(&fixture, &["status"])["moved_to"], place);
    let doctor = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(finding(&doctor, "was moved to")["severity"], "note");
    fixture.run_ok(&["state", "set", "stage", "\"still works\""]);
}

#[test]
fn move_is_refused_where_a_mesh_has_content_and_done_once() {
    let Some(target) = TargetSchema::new("a move into a used schema") else {
        return;
    };
    let fixture = CliFixture::new();
    let (code, _) = fixture.run_refused(&["move", "--to", &target.url()]);
    assert_eq!(code, "not_found");
    fixture.run_ok(&["state", "set", "stage", "1"]);
    fixture.run_ok(&[
        "key",
        "create",
        "--peer",
        "ci",
        "--store",
        &target.url(),
        "--json",
    ]);
    let (code, text) = fixture.run_refused(&["move", "--to", &target.url()]);
    assert_eq!(code, "storage");
    assert!(text.contains("1 in access_key"), "{text}");
    assert_eq!(done(&fixture, &["status"])["moved_to"], Value::Null);
    assert_eq!(target.number("SELECT count(*) FROM state"), 0);

    let other = TargetSchema::new("a second schema").unwrap();
    let moved = done(&fixture, &["move", "--to", &other.url()]);
    assert_eq!(rows_of(&moved, "state"), 1);
    let third = TargetSchema::new("a third schema").unwrap();
    let (code, text) = fixture.run_refused(&["move", "--to", &third.url()]);
    assert_eq!(code, "conflict");
    assert!(text.contains(&other.name), "{text}");
    done(&fixture, &["move", "--to", &third.url(), "--again"]);
}

#[test]
fn killed_move_leaves_nothing_and_can_be_repeated() {
    let Some(target) = TargetSchema::new("a move that is killed") else {
        return;
    };
    let fixture = CliFixture::new();
    fill(&fixture.world);
    // The mesh must exist so that one of its tables can be locked; it stays empty.
    done(&fixture, &["key", "list", "--store", &target.url()]);
    let blocker = target.server.admin();
    blocker.execute(&format!(
        "BEGIN; LOCK TABLE {}.task IN EXCLUSIVE MODE",
        target.name
    ));
    let url = target.url();
    let mut running = fixture
        .world
        .command(program("claude-mesh"), &fixture.folder)
        .args(["move", "--to", &url])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{}.task'::regclass",
        target.name
    );
    wait_until("the copy has come to the tasks", || {
        target.number(&waiting) == 1
    });
    let writer = rusqlite::Connection::open(fixture.database()).unwrap();
    writer.busy_timeout(std::time::Duration::ZERO).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    drop(writer);
    running.kill().unwrap();
    running.wait().unwrap();
    blocker.execute("ROLLBACK");
    wait_until("the server has undone it", || target.number(&waiting) == 0);
    for table in ["peer", "question", "event", "memory"] {
        assert_eq!(target.number(&format!("SELECT count(*) FROM {table}")), 0);
    }
    assert_eq!(done(&fixture, &["status"])["moved_to"], Value::Null);
    let moved = done(&fixture, &["move", "--to", &url]);
    assert_eq!(rows_of(&moved, "task"), 1);
}

#[test]
fn sessions_of_the_host_find_their_mailbox_after_a_move() {
    let Some(target) = TargetSchema::new("a mailbox that moves") else {
        return;
    };
    let fixture = CliFixture::new();
    let world = &fixture.world;
    let fence = fill(world);
    let folder = world.project("api");
    let file = format!("file:{}/src/a.rs", folder.display());
    let api = world.session("api");
    let claimed = api.call("claim", json!({ "resource": file }));
    assert_eq!(claimed["fence"], 1, "{claimed}");
    let moved = done(&fixture, &["move", "--to", &target.url(), "--host", "desk"]);
    assert_eq!([&moved["sessions_left"], &moved["claims_left"]], [1, 1]);
    api.kill();

    let hub = Hub::start_on(world, &target.url());
    let desk = OtherHost::new(&hub, "desk");
    let api = desk.join(folder.to_str().unwrap(), 10);
    assert_eq!(api.name, "api");
    let mail = api.call("list_messages", json!({}));
    assert_eq!(mail["messages"][0]["body"], "deploy at noon", "{mail}");
    let found = api.call("recall", json!({ "query": "staging port" }));
    assert_eq!(
        found["memories"][0]["text"], "staging uses port 5434 now",
        "{found}"
    );
    let entry = api.call("state", json!({ "action": "get", "key": "stage" }));
    assert_eq!(entry["value"], "green", "{entry}");
    let tasks = api.call("list_tasks", json!({}));
    assert_eq!(tasks["tasks"][0]["title"], "raise the limit", "{tasks}");
    let claimed = api.call("claim", json!({ "resource": "deploy" }));
    assert_eq!(claimed["fence"], fence + 1, "{claimed}");
    let claimed = api.call("claim", json!({ "resource": file }));
    assert_eq!(claimed["fence"], 2, "{claimed}");
}

#[test]
fn served_mesh_is_backed_up_into_a_mesh_file() {
    let Some(target) = TargetSchema::new("the backup of a served mesh") else {
        return;
    };
    let fixture = CliFixture::new();
    fill(&fixture.world);
    let url = target.url();
    let (code, _) = fixture.run_refused(&["backup", "copy.db", "--store", &url]);
    assert_eq!(code, "not_found");
    let moved = done(&fixture, &["move", "--to", &url]);
    done(&fixture, &["backup", "copy.db", "--store", &url]);
    let (code, text) = fixture.run_refused(&["backup", "copy.db", "--store", &url]);
    assert_eq!(code, "storage", "{text}");
    assert!(text.contains("exists already"), "{text}");

    let restored = done(&fixture, &["restore", "copy.db"]);
    assert!(restored["replaced"].is_string(), "{restored}");
    assert_eq!(done(&fixture, &["status"])["moved_to"], Value::Null);
    let api = fixture.world.session("api");
    let found = api.call("recall", json!({ "query": "stag port" }));
    assert_eq!(
        found["memories"][0]["text"], "staging uses port 5434 now",
        "{found}"
    );
    api.kill();
    // The same rows have the same digest on the way back.
    let again = TargetSchema::new("the way back").unwrap();
    let back = done(&fixture, &["move", "--to", &again.url()]);
    for table in ["question", "memory", "task", "message", "state", "fence"] {
        let digest = |moved: &Value| {
            let tables = moved["tables"].as_array().unwrap();
            let found = tables.iter().find(|entry| entry["name"] == table);
            found.unwrap()["digest"].clone()
        };
        assert_eq!(digest(&back), digest(&moved), "{table}");
    }
}

#[test]
fn doctor_of_a_store_names_server_mesh_and_hubs() {
    let Some(target) = TargetSchema::new("doctor of a server") else {
        return;
    };
    let fixture = CliFixture::new();
    let url = target.url();
    let report = || fixture.run(&["doctor", "--store", &url, "--json"]).json();
    let found = report();
    assert_eq!(found["ok"], true, "{found:#}");
    assert_eq!(finding(&found, "PostgreSQL 1")["severity"], "ok");
    assert_eq!(finding(&found, "has no mesh yet")["severity"], "note");
    assert_eq!(
        finding(&found, "synchronous_commit is on")["severity"],
        "ok"
    );
    let schemas = format!(
        "SELECT count(*) FROM pg_namespace WHERE nspname = '{}'",
        target.name
    );
    assert_eq!(
        target.server.admin().text(&schemas),
        "0",
        "doctor creates nothing"
    );

    let hub = Hub::start_on(&fixture.world, &url);
    let found = report();
    assert_eq!(finding(&found, "pg_trgm is installed")["severity"], "ok");
    assert_eq!(finding(&found, "sessions registered: 0")["severity"], "ok");
    let hubs = finding(&found, "hubs that listen");
    let pid = format!("/{}", hub.pid());
    assert!(hubs["text"].as_str().unwrap().contains(&pid), "{hubs}");
    drop(hub);

    let wrong = url.replace("mesh@", "reader@");
    let ran = fixture.run(&["doctor", "--store", &wrong, "--json"]);
    assert_eq!(ran.code, Some(1));
    let found = ran.json();
    assert_eq!(
        finding(&found, "may not read the mesh")["severity"],
        "problem"
    );
    let away = format!("postgres://mesh@127.0.0.1:1/mesh?schema={}", target.name);
    let ran = fixture.run(&["doctor", "--store", &away, "--json"]);
    assert_eq!(
        finding(&ran.json(), "cannot use postgres://127.0.0.1:1")["severity"],
        "problem"
    );
}
