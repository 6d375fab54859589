//! Activity: hooks record what a session works on, its peers see it, and no more than intended.
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Session, World};

/// Returns what a session sees of its only peer.
#[track_caller]
fn other_peer(session: &Session) -> Value {
    let peers = session.call("list_peers", json!({}))["peers"].clone();
    assert_eq!(peers.as_array().unwrap().len(), 1, "{peers}");
    peers[0].clone()
}

fn submit_prompt(session: &Session, prompt: &str) {
    let event = json!({ "prompt": prompt, "prompt_id": "t1" });
    session.hook("UserPromptSubmit", event);
}

fn finish_turn(session: &Session, message: &str) {
    let event =
        json!({ "prompt_id": "t1", "stop_hook_active": false, "last_assistant_message": message });
    session.hook("Stop", event);
}

/// Returns the files with the activities of sessions.
fn activity_files(world: &World) -> Vec<PathBuf> {
    let folder = world.home().join(".claude-mesh/mesh.db.d/sessions");
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().contains(".doing"))
        .collect()
}

// Requirement: Peers 7
#[test]
fn activity_summary_shows_the_last_prompt_and_message() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(other_peer(&ada)["doing"], Value::Null);
    submit_prompt(
        &bo,
        &format!("fix the\u{1b}[31m login\n\n{}", "and more ".repeat(40)),
    );
    let doing = other_peer(&ada)["doing"].as_str().unwrap().to_owned();
    assert!(
        doing.starts_with("asked: fix the login and more"),
        "{doing}"
    );
    assert_eq!(doing.chars().count(), "asked: ".len() + 160, "{doing}");
    assert_eq!(other_peer(&ada)["idle_seconds"], Value::Null, "it works");
    submit_prompt(&bo, "now the logout");
    finish_turn(&bo, "Both are <peer-question> fixed.");
    assert_eq!(
        other_peer(&ada)["doing"],
        "asked: now the logout · said: Both are <peer-question> fixed.",
        "the JSON field already delimits the text"
    );
    assert!(other_peer(&ada)["idle_seconds"].as_i64().unwrap() >= 0);
}

#[test]
fn idle_time_comes_from_the_client_registry_file() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let long_ago = i64::try_from(now.unwrap().as_millis()).unwrap() - 90_000;
    bo.register_with("idle", json!({ "statusUpdatedAt": long_ago }));
    let seen = other_peer(&ada);
    assert_eq!(seen["activity"], "idle");
    assert!(seen["idle_seconds"].as_i64().unwrap() >= 90, "{seen}");
    for status in ["busy", "waiting"] {
        bo.register_with(status, json!({ "statusUpdatedAt": long_ago }));
        assert_eq!(other_peer(&ada)["idle_seconds"], Value::Null, "{status}");
    }
    bo.register("idle");
    assert_eq!(
        other_peer(&ada)["idle_seconds"],
        Value::Null,
        "the time of the activity is unknown"
    );
}

#[test]
fn activity_summary_uses_only_prompts_typed_by_a_person() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    submit_prompt(&bo, "fix the login");
    for prompt in [
        "<task-notification>\n<task-id>k1</task-id>",
        "<cross-session-message from-name=\"x\">do as I say</cross-session-message>",
        "/compact",
        "/deploy to production",
    ] {
        submit_prompt(&bo, prompt);
        assert_eq!(
            other_peer(&ada)["doing"],
            "asked: fix the login",
            "{prompt}"
        );
    }
}

#[test]
fn activity_summary_omits_text_with_a_secret() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    submit_prompt(&bo, "fix the login");
    finish_turn(&bo, "fixed");
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
    submit_prompt(&bo, &format!("push it with {token}"));
    assert_eq!(other_peer(&ada)["doing"], "said: fixed");
    finish_turn(&bo, &format!("pushed with {token}"));
    assert_eq!(other_peer(&ada)["doing"], Value::Null);
    for file in activity_files(&world) {
        assert!(!std::fs::read_to_string(file).unwrap().contains("ghp_"));
    }
}

#[test]
fn disabling_activity_summaries_deletes_the_stored_ones() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    submit_prompt(&bo, "fix the login");
    assert_eq!(activity_files(&world).len(), 1);
    world.write(".claude-mesh/.env", "CLAUDE_MESH_DOING=off\n");
    submit_prompt(&bo, "fix the logout");
    finish_turn(&bo, "fixed");
    assert_eq!(activity_files(&world), Vec::<PathBuf>::new());
    assert_eq!(other_peer(&ada)["doing"], Value::Null);
    world.write(".claude-mesh/.env", "CLAUDE_MESH_DOING=maybe\n");
    let event = json!({ "hook_event_name": "Stop", "last_assistant_message": "done" });
    let ran = bo.raw_hook("Stop", event.to_string().as_bytes());
    assert!(
        ran.err.contains("CLAUDE_MESH_DOING must be on or off"),
        "{ran:?}"
    );
    assert_eq!(activity_files(&world), Vec::<PathBuf>::new());
}

#[test]
fn activity_files_are_private_and_deleted_at_session_end() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let [cy, dee] = ["cy", "dee"].map(|name| world.session(name));
    for session in [&bo, &cy, &dee] {
        submit_prompt(session, "fix the login");
    }
    let kept = activity_files(&world);
    assert_eq!(kept.len(), 3);
    for file in kept {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    bo.hook("SessionEnd", json!({ "reason": "clear" }));
    assert_eq!(
        activity_files(&world).len(),
        2,
        "a conversation that was cleared"
    );
    cy.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    assert_eq!(activity_files(&world).len(), 1, "a session that has left");
    dee.kill();
    ada.call("list_peers", json!({}));
    assert_eq!(activity_files(&world).len(), 0, "a session that was killed");
}

#[test]
fn activity_summary_is_recorded_under_a_held_write_lock() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let rows = world.rows();
    rows.execute_batch("BEGIN IMMEDIATE").unwrap();
    let event = json!({ "hook_event_name": "UserPromptSubmit", "prompt": "fix the login", "prompt_id": "t1" });
    bo.raw_hook("UserPromptSubmit", event.to_string().as_bytes());
    assert_eq!(other_peer(&ada)["doing"], "asked: fix the login");
    rows.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn invalid_activity_files_are_ignored_and_rewritten() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    submit_prompt(&bo, "fix the login");
    let file = activity_files(&world).remove(0);
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
        assert_eq!(other_peer(&ada)["doing"], Value::Null, "{content:.40}");
    }
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert_eq!(other_peer(&ada)["doing"], Value::Null);
    let foreign = json!({ "asked": format!("a\u{1b}[2J\nb{}", "c".repeat(300)), "said": null, "stopped_at_ms": null });
    std::fs::write(&file, foreign.to_string()).unwrap();
    let doing = other_peer(&ada)["doing"].as_str().unwrap().to_owned();
    assert!(
        doing.starts_with("asked: a b") && doing.chars().count() <= 167,
        "{doing}"
    );
    std::fs::write(&file, "{").unwrap();
    submit_prompt(&bo, "fix the logout");
    assert_eq!(other_peer(&ada)["doing"], "asked: fix the logout");
}

#[test]
fn stop_hook_tolerates_a_last_message_of_unknown_shape() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let event = json!({ "prompt_id": "t1", "last_assistant_message": [{ "text": "done" }] });
    let hook_output = bo.hook("Stop", event);
    assert!(
        hook_output.to_string().contains("which port?"),
        "{hook_output}"
    );
    assert_eq!(other_peer(&ada)["doing"], Value::Null);
}

#[cfg(feature = "cli")]
#[test]
fn cli_peers_shows_activity_summary_and_idle_time() {
    let world = World::new();
    let bo = world.session("bo");
    let folder = world.project("own");
    let table = || world.cli(&folder, &["peers"]).out;
    assert!(!table().contains("DOING"), "nothing is known yet");
    submit_prompt(&bo, "fix the\u{1b}]0;title\u{7} login");
    finish_turn(&bo, "fixed");
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
