//! Stories of what a session is at: its hooks keep it, others see it, and no more of it than is meant.
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::world::{Session, World};

/// What a session sees of the only other one.
#[track_caller]
fn other(session: &Session) -> Value {
    let peers = session.call("list_peers", json!({}))["peers"].clone();
    assert_eq!(peers.as_array().unwrap().len(), 1, "{peers}");
    peers[0].clone()
}

fn types(session: &Session, prompt: &str) {
    let event = json!({ "prompt": prompt, "prompt_id": "t1" });
    session.hook("UserPromptSubmit", event);
}

fn says(session: &Session, message: &str) {
    let event =
        json!({ "prompt_id": "t1", "stop_hook_active": false, "last_assistant_message": message });
    session.hook("Stop", event);
}

/// The files that say what sessions are at.
fn files(world: &World) -> Vec<PathBuf> {
    let folder = world.home().join(".claude-mesh/mesh.db.d/sessions");
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().contains(".doing"))
        .collect()
}

#[test]
fn others_see_how_the_last_prompt_and_the_last_message_begin() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(other(&ada)["doing"], Value::Null);
    types(
        &bo,
        &format!("fix the\u{1b}[31m login\n\n{}", "and more ".repeat(40)),
    );
    let doing = other(&ada)["doing"].as_str().unwrap().to_owned();
    assert!(
        doing.starts_with("asked: fix the login and more"),
        "{doing}"
    );
    assert_eq!(doing.chars().count(), "asked: ".len() + 160, "{doing}");
    assert_eq!(other(&ada)["idle_seconds"], Value::Null, "it works");
    types(&bo, "now the logout");
    says(&bo, "Both are <peer-question> fixed.");
    assert_eq!(
        other(&ada)["doing"],
        "asked: now the logout · said: Both are <peer-question> fixed.",
        "the field is its fence; nothing is put around the text or taken out of it"
    );
    assert!(other(&ada)["idle_seconds"].as_i64().unwrap() >= 0);
}

#[test]
fn how_long_a_session_is_idle_comes_from_its_client() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let long_ago = i64::try_from(now.unwrap().as_millis()).unwrap() - 90_000;
    bo.register_with("idle", json!({ "statusUpdatedAt": long_ago }));
    let seen = other(&ada);
    assert_eq!(seen["activity"], "idle");
    assert!(seen["idle_seconds"].as_i64().unwrap() >= 90, "{seen}");
    for status in ["busy", "waiting"] {
        bo.register_with(status, json!({ "statusUpdatedAt": long_ago }));
        assert_eq!(other(&ada)["idle_seconds"], Value::Null, "{status}");
    }
    bo.register("idle");
    assert_eq!(
        other(&ada)["idle_seconds"],
        Value::Null,
        "nobody knows since when"
    );
}

#[test]
fn only_what_a_person_typed_in_words_counts_as_asked() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    types(&bo, "fix the login");
    for prompt in [
        "<task-notification>\n<task-id>k1</task-id>",
        "<cross-session-message from-name=\"x\">do as I say</cross-session-message>",
        "/compact",
        "/deploy to production",
    ] {
        types(&bo, prompt);
        assert_eq!(other(&ada)["doing"], "asked: fix the login", "{prompt}");
    }
}

#[test]
fn a_part_with_a_secret_is_left_out() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    types(&bo, "fix the login");
    says(&bo, "fixed");
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
    types(&bo, &format!("push it with {token}"));
    assert_eq!(other(&ada)["doing"], "said: fixed");
    says(&bo, &format!("pushed with {token}"));
    assert_eq!(other(&ada)["doing"], Value::Null);
    for file in files(&world) {
        assert!(!std::fs::read_to_string(file).unwrap().contains("ghp_"));
    }
}

#[test]
fn where_it_is_turned_off_nothing_is_kept_and_what_was_kept_goes() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    types(&bo, "fix the login");
    assert_eq!(files(&world).len(), 1);
    world.write(".claude-mesh/.env", "CLAUDE_MESH_DOING=off\n");
    types(&bo, "fix the logout");
    says(&bo, "fixed");
    assert_eq!(files(&world), Vec::<PathBuf>::new());
    assert_eq!(other(&ada)["doing"], Value::Null);
    world.write(".claude-mesh/.env", "CLAUDE_MESH_DOING=maybe\n");
    let event = json!({ "hook_event_name": "Stop", "last_assistant_message": "done" });
    let ran = bo.raw_hook("Stop", event.to_string().as_bytes());
    assert!(
        ran.err.contains("CLAUDE_MESH_DOING must be on or off"),
        "{ran:?}"
    );
    assert_eq!(files(&world), Vec::<PathBuf>::new());
}

#[test]
fn what_is_kept_is_for_its_owner_only_and_goes_with_the_conversation_and_the_session() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let [cy, dee] = ["cy", "dee"].map(|name| world.session(name));
    for session in [&bo, &cy, &dee] {
        types(session, "fix the login");
    }
    let kept = files(&world);
    assert_eq!(kept.len(), 3);
    for file in kept {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    bo.hook("SessionEnd", json!({ "reason": "clear" }));
    assert_eq!(files(&world).len(), 2, "a conversation that was cleared");
    cy.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    assert_eq!(files(&world).len(), 1, "a session that has left");
    dee.kill();
    ada.call("list_peers", json!({}));
    assert_eq!(files(&world).len(), 0, "a session that was killed");
}

#[test]
fn a_prompt_is_noted_while_another_program_holds_the_write_lock() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let rows = world.rows();
    rows.execute_batch("BEGIN IMMEDIATE").unwrap();
    let event = json!({ "hook_event_name": "UserPromptSubmit", "prompt": "fix the login", "prompt_id": "t1" });
    bo.raw_hook("UserPromptSubmit", event.to_string().as_bytes());
    assert_eq!(other(&ada)["doing"], "asked: fix the login");
    rows.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_file_that_is_broken_or_too_large_counts_as_none_and_is_made_anew() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    types(&bo, "fix the login");
    let file = files(&world).remove(0);
    let long = json!({ "asked": "x".repeat(5_000), "said": null, "stopped_at_ms": null });
    let contents = [
        "",
        "{",
        "[]",
        "\u{0}\u{0}",
        r#"{"asked":7}"#,
        &long.to_string(),
    ];
    for content in contents {
        std::fs::write(&file, content).unwrap();
        assert_eq!(other(&ada)["doing"], Value::Null, "{content:.40}");
    }
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert_eq!(other(&ada)["doing"], Value::Null);
    let foreign = json!({ "asked": format!("a\u{1b}[2J\nb{}", "c".repeat(300)), "said": null, "stopped_at_ms": null });
    std::fs::write(&file, foreign.to_string()).unwrap();
    let doing = other(&ada)["doing"].as_str().unwrap().to_owned();
    assert!(
        doing.starts_with("asked: a b") && doing.chars().count() <= 167,
        "{doing}"
    );
    std::fs::write(&file, "{").unwrap();
    types(&bo, "fix the logout");
    assert_eq!(other(&ada)["doing"], "asked: fix the logout");
}

#[test]
fn a_last_message_of_another_shape_does_not_cost_the_end_of_the_turn() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let event = json!({ "prompt_id": "t1", "last_assistant_message": [{ "text": "done" }] });
    let said = bo.hook("Stop", event);
    assert!(said.to_string().contains("which port?"), "{said}");
    assert_eq!(other(&ada)["doing"], Value::Null);
}

#[cfg(feature = "cli")]
#[test]
fn a_person_sees_it_in_a_column_and_how_long_a_session_is_idle() {
    let world = World::new();
    let bo = world.session("bo");
    let folder = world.project("own");
    let table = || world.cli(&folder, &["peers"]).out;
    assert!(!table().contains("DOING"), "nothing is known yet");
    types(&bo, "fix the\u{1b}]0;title\u{7} login");
    says(&bo, "fixed");
    bo.register_with("idle", json!({ "statusUpdatedAt": 0 }));
    let table = table();
    let header = table.lines().nth(1).unwrap().trim_end();
    assert!(header.ends_with("ASKABLE  DOING"), "{table}");
    assert!(
        table.contains("asked: fix the login · said: fixed\n"),
        "{table}"
    );
    assert!(
        table.contains("idle for ") && table.contains(" d "),
        "{table}"
    );
    let peers = world.cli(&folder, &["peers", "--json"]).json();
    assert_eq!(
        peers["peers"][0]["doing"],
        "asked: fix the login · said: fixed"
    );
    assert!(peers["peers"][0]["idle_seconds"].as_i64().unwrap() > 90);
}
