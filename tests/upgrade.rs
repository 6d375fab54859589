//! Upgrades while sessions run: a newer program migrates the file, and the older programs beside it work on.
//!
//! Two real builds stand side by side: this one, and one of the last commit that knew only version 1 of the schema. What
//! a later version may do is played by this program with a schema of its own, beside the real servers and hooks.
mod older;

use claude_mesh::store::{Options, Schema, Step, Store};
use serde_json::json;

use crate::world::World;

const FIRST: Step = Step {
    sql: include_str!("../src/store/schema/0001_questions.sql"),
};
const SECOND: Step = Step {
    sql: include_str!("../src/store/schema/0002_messages_claims_state.sql"),
};
const THIRD: Step = Step {
    sql: include_str!("../src/store/schema/0003_memory_tasks.sql"),
};

/// What a later version may do: new tables, new columns with a default, new indexes.
const ADDITIVE: Schema = Schema {
    steps: &[
        FIRST,
        SECOND,
        THIRD,
        Step {
            sql: "CREATE TABLE novelty (id TEXT PRIMARY KEY) STRICT;
                  ALTER TABLE question ADD COLUMN mood TEXT;
                  ALTER TABLE session ADD COLUMN shade INTEGER NOT NULL DEFAULT 7;
                  CREATE INDEX question_mood ON question (mood);",
        },
    ],
    min_reader: 1,
};

/// What no program of today can follow.
const BREAKING: Schema = Schema {
    steps: ADDITIVE.steps,
    min_reader: 4,
};

#[test]
fn sessions_that_run_work_on_beside_a_newer_program_and_new_ones_join() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let newer = Store::open_with(&world.database(), Options::default(), &ADDITIVE).unwrap();
    assert!(
        bo.prompt("t1").unwrap().contains("which port?"),
        "the older hook"
    );
    bo.replies(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433", "the older servers");
    let cy = world.session("cy");
    let ask = cy.start("ask_peer", json!({ "to": "ada", "question": "you too?" }));
    ada.replies(&ada.next_question(), "me too");
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
            .contains(".schema-3-")
    });
    assert_eq!(kept.count(), 1, "the file as it was is kept");
}

#[test]
fn a_program_that_is_too_old_for_the_file_says_so_and_changes_nothing() {
    let world = World::new();
    drop(world.session("ada"));
    drop(Store::open_with(&world.database(), Options::default(), &BREAKING).unwrap());
    let before = std::fs::read(world.database()).unwrap();
    let late = world.window("bo", &[]);
    assert_eq!(
        late.hook_with_fault("SessionStart", json!({ "source": "startup" })),
        ""
    );
    late.discover();
    let refused = late.call("ask_peer", json!({ "to": "ada", "question": "x" }));
    assert_eq!(refused["error"]["code"], "storage");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("has schema 4, this program knows up to 3"),
        "{message}"
    );
    assert_eq!(world.cli(&world.home(), &["peers"]).code, Some(1));
    assert_eq!(std::fs::read(world.database()).unwrap(), before);
}

#[test]
fn a_build_of_the_first_schema_works_on_while_this_one_migrates_the_file_under_it() {
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
    assert_eq!(version(&world), 3, "the newer server has migrated the file");
    assert!(
        bo.prompt("t1").unwrap().contains("which port?"),
        "the older hook"
    );
    bo.replies(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433", "both older servers");

    let ask = cy.start(
        "ask_peer",
        json!({ "to": "ada", "question": "which schema?" }),
    );
    ask.wait_for_progress("ada: stored");
    ada.replies(&ada.next_question(), "public");
    assert_eq!(ask.result()["answer"], "public", "newer asks older");
    let ask = bo.start("ask_peer", json!({ "to": "cy", "question": "and you?" }));
    ask.wait_for_progress("cy: stored");
    assert!(cy.stop("t1", false).unwrap().contains("and you?"));
    cy.replies(&cy.next_question(), "me too");
    assert_eq!(ask.result()["answer"], "me too", "older asks newer");
}

#[test]
fn hooks_of_this_build_serve_a_file_of_the_first_schema_as_it_is() {
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
    bo.replies(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    bo.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    assert_eq!(version(&world), 1, "hooks migrate nothing");
}

fn version(world: &World) -> u32 {
    let rows = world.rows();
    rows.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}
