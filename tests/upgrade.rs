//! Upgrades while sessions run: a newer program migrates the file, and older programs beside it keep working.
//!
//! Two real builds run side by side: this one, and one of the last commit that knew only version 1 of the schema. A later
//! version is simulated by this program with a schema of its own, beside the real servers and hooks. `released` opens a file of
//! each version that was released.
mod fixture;
mod older;
#[cfg(feature = "hub")]
mod released;

use std::os::unix::fs::PermissionsExt;

use claude_mesh::store::{Migration, Options, Schema, Store};
use serde_json::json;

use crate::support::World;

const FIRST: Migration = Migration {
    sql: include_str!("../src/store/schema/0001_questions.sql"),
};
const SECOND: Migration = Migration {
    sql: include_str!("../src/store/schema/0002_messages_claims_state.sql"),
};
const THIRD: Migration = Migration {
    sql: include_str!("../src/store/schema/0003_memory_tasks.sql"),
};
const FOURTH: Migration = Migration {
    sql: include_str!("../src/store/schema/0004_access_keys.sql"),
};
const FIFTH: Migration = Migration {
    sql: include_str!("../src/store/schema/0005_other_hosts.sql"),
};

const SIXTH: Migration = Migration {
    sql: include_str!("../src/store/schema/0006_forks.sql"),
};
const SEVENTH: Migration = Migration {
    sql: include_str!("../src/store/schema/0007_calm_markers.sql"),
};
const EIGHTH: Migration = Migration {
    sql: include_str!("../src/store/schema/0008_counters.sql"),
};

/// The migrations that were released, in their order.
const RELEASED: &[Migration] = &[FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH];

/// The schema before forks.
const BEFORE_FORKS: Schema = Schema {
    migrations: &[FIRST, SECOND, THIRD, FOURTH, FIFTH],
    min_reader: 1,
};

/// What a later version may add: tables, columns with a default, indexes.
const ADDITIVE: Schema = Schema {
    migrations: &[
        FIRST,
        SECOND,
        THIRD,
        FOURTH,
        FIFTH,
        SIXTH,
        SEVENTH,
        EIGHTH,
        Migration {
            sql: "CREATE TABLE novelty (id TEXT PRIMARY KEY) STRICT;
                  ALTER TABLE question ADD COLUMN mood TEXT;
                  ALTER TABLE session ADD COLUMN shade INTEGER NOT NULL DEFAULT 7;
                  CREATE INDEX question_mood ON question (mood);",
        },
    ],
    min_reader: 1,
};

/// A step that present programs cannot read.
const BREAKING: Schema = Schema {
    migrations: ADDITIVE.migrations,
    min_reader: 9,
};

// Requirement: Ask 2
#[test]
fn running_sessions_keep_working_beside_a_newer_program() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let newer = Store::open_with(&world.database(), Options::default(), &ADDITIVE).unwrap();
    assert!(
        bo.prompt("t1").unwrap().contains("which port?"),
        "the older hook"
    );
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433", "the older servers");
    let cy = world.session("cy");
    let ask = cy.start("ask_peer", json!({ "to": "ada", "question": "you too?" }));
    ada.send_reply(&ada.next_question(), "me too");
    assert_eq!(
        ask.result()["answer"],
        "me too",
        "an older program that starts now"
    );
    assert_eq!(world.cli(&world.home(), &["status"]).code, Some(0));
    drop(newer);
    let copies = std::fs::read_dir(world.home().join(".claude-mesh")).unwrap();
    let kept = copies.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .contains(".schema-8-")
    });
    assert_eq!(kept.count(), 1, "the older file is kept as a backup");
}

#[test]
fn too_old_program_reports_it_and_leaves_the_file_unchanged() {
    let world = World::new();
    drop(world.session("ada"));
    drop(Store::open_with(&world.database(), Options::default(), &BREAKING).unwrap());
    let before = std::fs::read(world.database()).unwrap();
    let late = world.bare_session("bo", &[]);
    assert_eq!(
        late.hook_with_fault("SessionStart", json!({ "source": "startup" })),
        ""
    );
    late.discover();
    let refused = late.call("ask_peer", json!({ "to": "ada", "question": "x" }));
    assert_eq!(refused["error"]["code"], "storage");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("has schema 9, this program knows up to 8"),
        "{message}"
    );
    assert_eq!(world.cli(&world.home(), &["peers"]).code, Some(1));
    assert_eq!(std::fs::read(world.database()).unwrap(), before);
}

// Requirement: Beyond 18
#[test]
fn first_schema_build_keeps_working_during_the_migration() {
    let Some(older) = older::programs() else {
        return;
    };
    let mut world = World::new();
    let newer = (world.servers.clone(), world.hooks.clone());
    (world.servers, world.hooks) = (older.into(), older.into());
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(version(&world), 1);
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");

    (world.servers, world.hooks) = newer;
    let cy = world.session("cy");
    assert_eq!(version(&world), 8, "the newer server has migrated the file");
    assert!(
        bo.prompt("t1").unwrap().contains("which port?"),
        "the older hook"
    );
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433", "both older servers");

    let ask = cy.start(
        "ask_peer",
        json!({ "to": "ada", "question": "which schema?" }),
    );
    ask.wait_for_progress("ada: stored");
    ada.send_reply(&ada.next_question(), "public");
    assert_eq!(ask.result()["answer"], "public", "newer asks older");
    let ask = bo.start("ask_peer", json!({ "to": "cy", "question": "and you?" }));
    ask.wait_for_progress("cy: stored");
    assert!(cy.stop("t1", false).unwrap().contains("and you?"));
    cy.send_reply(&cy.next_question(), "me too");
    assert_eq!(ask.result()["answer"], "me too", "older asks newer");
}

#[test]
fn hooks_serve_a_file_without_forks_until_a_server_migrates_it() {
    let world = World::new();
    let file = world.database();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::set_permissions(file.parent().unwrap(), PermissionsExt::from_mode(0o700)).unwrap();
    drop(Store::open_with(&file, Options::default(), &BEFORE_FORKS).unwrap());
    let ada = world.bare_session("ada", &[]);
    let greeting = ada.hook("SessionStart", json!({ "source": "startup" }));
    assert!(greeting.is_object(), "{greeting}");
    assert_eq!(version(&world), 5, "hooks migrate nothing");
    ada.discover();
    ada.call("mesh_status", json!({}));
    assert_eq!(version(&world), 8);
    let bo = world.session("bo");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn hooks_serve_a_first_schema_file_without_migrating_it() {
    let Some(older) = older::programs() else {
        return;
    };
    let mut world = World::new();
    let hooks = std::mem::replace(&mut world.hooks, older.into());
    world.servers = older.into();
    let ada = world.session("ada");
    world.hooks = hooks;
    let bo = world.session("bo");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    assert!(bo.stop("t1", false).unwrap().contains("which port?"));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    bo.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    assert_eq!(version(&world), 1, "hooks migrate nothing");
}

fn version(world: &World) -> u32 {
    let rows = world.rows();
    rows.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}
