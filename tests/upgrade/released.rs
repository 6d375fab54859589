//! Files of all released schemas, opened by the programs of this build.
use std::fs::File;
use std::sync::Arc;

use claude_mesh::mesh::Mesh;
use claude_mesh::model::access_key::KeyScope;
use claude_mesh::platform::{SystemClock, permissions};
use claude_mesh::wake::Doorbells;
use serde_json::{Value, json};

use super::{RELEASED, fixture, version};
use crate::fork::{answer_from_fork, offer, offered, world_with};
use crate::support::{
    Hub, InboxSession, Session, World, ask_and_answer, create_task, post_message, start_ask,
};

/// The variable that makes this test write what is missing.
const WRITE: &str = "CLAUDE_MESH_TEST_FIXTURES";

#[test]
fn each_released_schema_has_a_fixture_with_rows_in_every_table() {
    if std::env::var_os(WRITE).is_some() {
        write_missing();
    }
    for released in 1..=RELEASED.len() {
        let world = World::new();
        let sessions = [
            world.bare_session("ada", &[]),
            world.bare_session("bo", &[]),
        ];
        fixture::load(&world, released, [&sessions[0], &sessions[1]]);
        for (table, rows) in fixture::rows(&world.rows(), &fixture::Rows::new()) {
            assert!(
                !rows.is_empty(),
                "schema {released}: {table} has no row; see {WRITE}"
            );
        }
    }
}

// Requirement: Beyond 18
#[test]
fn file_of_each_released_schema_keeps_its_rows_and_works() {
    for released in 1..=RELEASED.len() {
        let world = World::new();
        let (ada, bo) = (
            world.bare_session("ada", &[]),
            world.bare_session("bo", &[]),
        );
        fixture::load(&world, released, [&ada, &bo]);
        check_hook(&world, &bo);
        assert_eq!(version(&world) as usize, released, "hooks migrate nothing");
        check_migration(&world);
        check_questions(&ada, &bo);
        if released >= 2 {
            check_claims_and_state(&ada, &bo);
        }
        if released >= 3 {
            check_memories_and_tasks(&ada, &bo);
        }
        check_command_line(&world, released);
    }
}

/// The hook of a session whose server runs shows an open question.
fn check_hook(world: &World, bo: &Session) {
    let sql = "SELECT id FROM session WHERE pid = ?1 AND ended_at_ms IS NULL";
    let id: String = world
        .rows()
        .query_row(sql, [bo.pid()], |row| row.get(0))
        .unwrap();
    let lock = Doorbells::of(&world.database()).lock_path(id.parse().unwrap());
    permissions::create_folder(lock.parent().unwrap()).unwrap();
    let server = File::create(lock).unwrap();
    server.lock().unwrap();
    let shown = bo.prompt("t9").unwrap_or_default();
    assert!(shown.contains("which port?"), "the hook shows {shown:?}");
}

// Requirement: Beyond 18
#[test]
fn killed_migration_leaves_the_file_as_it_was() {
    for released in 1..RELEASED.len() {
        let mut world = World::new();
        let sessions = [
            world.bare_session("ada", &[]),
            world.bare_session("bo", &[]),
        ];
        fixture::load(&world, released, [&sessions[0], &sessions[1]]);
        let before = fixture::rows(&world.rows(), &fixture::Rows::new());
        world.set("CLAUDE_MESH_KILL_AT", "before-migration-commit");
        let killed = world.cli(&world.home(), &["status"]);
        assert_eq!(killed.code, None, "{killed:?}");
        assert_eq!(version(&world) as usize, released);
        let after = fixture::rows(&world.rows(), &fixture::Rows::new());
        assert_eq!(after, before);
        world.environment.remove("CLAUDE_MESH_KILL_AT");
        check_migration(&world);
    }
}

/// Every row of the file is there after the migration, as it was, and the tables are those of a new file.
fn check_migration(world: &World) {
    let before = fixture::rows(&world.rows(), &fixture::Rows::new());
    drop(Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap());
    assert_eq!(version(world) as usize, RELEASED.len());
    let mut after = fixture::rows(&world.rows(), &before);
    after.insert("meta".into(), before["meta"].clone());
    assert_eq!(after, before);
    let new = World::new();
    drop(new.session("ada"));
    assert_eq!(
        objects(world),
        objects(&new),
        "tables, indexes and triggers"
    );
}

/// Returns the statements that made the schema of a mesh.
fn objects(world: &World) -> Vec<(String, Option<String>)> {
    let rows = world.rows();
    let mut statement = rows
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .unwrap();
    let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    objects.unwrap().map(Result::unwrap).collect()
}

/// A late answer is in the inbox of its asker, and open questions are answered.
fn check_questions(ada: &Session, bo: &Session) {
    for session in [ada, bo] {
        session.discover();
    }
    let open = bo.questions();
    let id = |question: &str| {
        let found = open.iter().find(|it| it["question"] == question);
        let found = found.unwrap_or_else(|| panic!("no {question:?} in {open:?}"));
        found["question_id"].as_str().unwrap().to_owned()
    };
    let inbox = ada.call("poll_inbox", json!({}));
    assert_eq!(inbox["answers"][0]["answer"], "at noon", "{inbox}");
    for (question, answer) in [("which host?", "desk"), ("which port?", "5433")] {
        let question = id(question);
        bo.send_reply(&question, answer);
        let reply = ada.call("await_reply", json!({ "question_id": question }));
        assert_eq!(reply["answer"], answer, "{reply}");
    }
    ask_and_answer(ada, bo, "and now?", "still 5433");
}

/// A claim is released, its waiter gets a higher token, and a shared value is as it was.
fn check_claims_and_state(ada: &Session, bo: &Session) {
    let claimed = ada.call("claim", json!({ "resource": "deploy" }));
    assert_eq!(claimed["fence"], 1, "it is renewed: {claimed}");
    let released = ada.call("release", json!({ "resource": "deploy" }));
    assert_eq!(released["promoted"], json!([bo.name()]), "{released}");
    let granted = bo.call("claim", json!({ "resource": "deploy" }));
    assert_eq!(granted["fence"], 2, "{granted}");
    let state = ada.call("state", json!({ "action": "get", "key": "port" }));
    assert_eq!(
        (&state["value"], &state["version"]),
        (&json!(5433), &json!(1)),
        "{state}"
    );
    let mail = bo.call("list_messages", json!({}));
    assert!(mail.to_string().contains("staging restarts"), "{mail}");
}

/// A memory is found by a word and by a part of one, and a task goes on.
fn check_memories_and_tasks(ada: &Session, bo: &Session) {
    for query in ["databases", "ostgre"] {
        let found = ada.call("recall", json!({ "query": query }));
        assert_eq!(
            found["memories"][0]["key"], "staging-db",
            "{query}: {found}"
        );
    }
    let tasks = bo.call("list_tasks", json!({}));
    let task = &tasks["tasks"][0];
    assert_eq!(task["title"], "Write the page", "{tasks}");
    let begun = bo.call(
        "update_task",
        json!({ "task_id": task["task_id"], "status": "in_progress" }),
    );
    assert_eq!(begun["task"]["status"], "in_progress", "{begun}");
}

/// The command line prints the event log, and the access keys of a file that has some.
fn check_command_line(world: &World, released: usize) {
    let log = world.cli(&world.home().join("ada"), &["log"]);
    assert!(
        log.out.contains("bo answered ada (late): at noon"),
        "{log:?}"
    );
    let keys = world.cli(&world.home(), &["key", "list"]);
    assert_eq!(keys.code, Some(0), "{keys:?}");
    assert_eq!(keys.out.contains("dee"), released >= 4, "{keys:?}");
}

/// Fills a mesh by real programs and writes the fixtures that are missing.
fn write_missing() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    add_cy(&world, &ada);
    ask_and_answer(&ada, &bo, "which version?", "17");
    let late = ada.call(
        "ask_peer",
        json!({ "to": "bo", "question": "when?", "timeout_seconds": 1 }),
    );
    bo.send_reply(late["question_id"].as_str().unwrap(), "at noon");
    bo.call("subscribe", json!({ "topics": ["builds"] }));
    post_message(&ada, "bo", "staging restarts at noon");
    ada.call(
        "claim",
        json!({ "resource": "deploy", "note": "release 2.1", "lease_seconds": 3600 }),
    );
    bo.call("claim", json!({ "resource": "deploy", "wait": "queue" }));
    ada.call(
        "state",
        json!({ "action": "set", "key": "port", "value": 5433 }),
    );
    for text in [
        "the database is mysql",
        "PostgreSQL is the database of staging",
    ] {
        ada.call(
            "remember",
            json!({ "text": text, "key": "staging-db", "tags": ["db"], "scope": "mesh" }),
        );
    }
    create_task(&ada, "Write the page", json!({ "assigned_to": "bo" }));
    let first = start_ask(&ada, "bo", "which host?");
    first.wait_for_progress("stored");
    assert!(bo.prompt("t1").unwrap().contains("which host?"));
    let second = start_ask(&ada, "bo", "which port?");
    second.wait_for_progress("stored");
    fixture::write_missing(&world, [&ada, &bo]);
}

/// Adds a peer of an earlier name whose session has ended, a request with an idempotency key, a sign-in link and a fork.
fn add_cy(world: &World, ada: &Session) {
    let cy = world.session("cy");
    cy.call("register", json!({ "name": "cyra" }));
    cy.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    drop(cy);
    let hub = Hub::start(world);
    let key = hub.key("dee", KeyScope::Write);
    let post = hub.request("POST", "/v1/messages").key(&key);
    let message = json!({ "to": "ada", "body": "the build is green" });
    let (status, posted): (u16, Value) = post
        .header("Idempotency-Key", "once")
        .json(&message)
        .parts();
    assert!(status < 300, "{posted}");
    hub.mesh().create_board_link().unwrap();
    assert!(hub.terminate());
    let eve = InboxSession::open(world, "eve", "busy");
    let ask = start_ask(ada, "eve", "which branch?");
    let line = eve.next_wake_line();
    let offer = offer(&eve.session, &line);
    answer_from_fork(&eve.session, &offered(&offer)[0], "main");
    assert_eq!(ask.result()["answer"], "main");
}
