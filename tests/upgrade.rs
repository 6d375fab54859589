//! Upgrades while sessions run: a newer program migrates the file, and the older programs beside it work on.
//!
//! The newer build is played by this program with a schema of its own; the older one is the real servers and hooks.
use claude_mesh::store::{Options, Schema, Step, Store};
use serde_json::json;

use crate::world::World;

const FIRST: Step = Step {
    sql: include_str!("../src/store/schema/1.sql"),
};
const SECOND: Step = Step {
    sql: include_str!("../src/store/schema/2.sql"),
};

/// What a later version may do: new tables, new columns with a default, new indexes.
const ADDITIVE: Schema = Schema {
    steps: &[
        FIRST,
        SECOND,
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
    min_reader: 3,
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
            .contains(".schema-2-")
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
        message.contains("has schema 3, this program knows up to 2"),
        "{message}"
    );
    assert_eq!(world.cli(&world.home(), &["peers"]).code, Some(1));
    assert_eq!(std::fs::read(world.database()).unwrap(), before);
}
