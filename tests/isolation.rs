//! Isolation: the content of a mesh behind a wall does not exist for sessions of another.
use serde_json::json;

use crate::support::{World, program};

// Requirement: Mesh 1
#[test]
fn wall_withstands_a_thousand_attempts_to_cross_it() {
    let world = World::new();
    world.project("clients");
    write_wall_map(&world, r#"{"meshes": {"~/clients/acme/**": "acme"}}"#);
    let inside = world.session("clients/acme/api");
    let inside_too = world.session("clients/acme/web");
    // A committed file cannot choose the mesh.
    world.write(
        "outside/.claude-mesh.json",
        r#"{"name": "outside", "mesh": "acme", "MESH_DB_PATH": "/x"}"#,
    );
    let outside = world.session("outside");
    let peer_id = inside.call("register", json!({}))["you"]["peer_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask = inside.start(
        "ask_peer",
        json!({ "to": "web", "question": "the secret plan?" }),
    );
    ask.wait_for_progress("web: stored");
    let question = inside_too.next_question();
    let mut refused = 0;
    for attempt in 0..125 {
        assert_eq!(
            outside.call("list_peers", json!({ "include_stale": true }))["peers"],
            json!([])
        );
        assert_eq!(
            outside.call("poll_inbox", json!({}))["questions"],
            json!([])
        );
        for (tool, arguments) in [
            (
                "ask_peer",
                json!({ "to": "api", "question": format!("{attempt}") }),
            ),
            (
                "ask_peer",
                json!({ "to": "web/any", "question": format!("{attempt}") }),
            ),
            (
                "ask_peer",
                json!({ "to": peer_id, "question": format!("{attempt}") }),
            ),
            ("await_reply", json!({ "question_id": question })),
            ("poll_inbox", json!({ "question_id": question })),
            (
                "reply_to_peer",
                json!({ "question_id": question, "answer": "forged" }),
            ),
        ] {
            let result = outside.call(tool, arguments);
            let code = result["error"]["code"].as_str().unwrap();
            assert!(
                ["unknown_peer", "not_found"].contains(&code),
                "{tool}: {result}"
            );
            assert!(!result.to_string().contains("secret plan"));
            refused += 1;
        }
    }
    assert_eq!(refused + 2 * 125, 1_000);
    inside_too.send_reply(&question, "kept");
    assert_eq!(ask.result()["answer"], "kept");
}

#[test]
fn project_file_above_a_wall_moves_no_session_across_it() {
    let world = World::new();
    world.write("mono/.git/HEAD", "ref: refs/heads/main\n");
    world.write("mono/.claude-mesh.json", r#"{"name": "mono"}"#);
    write_wall_map(&world, r#"{"meshes": {"~/mono/acme": "acme"}}"#);
    let walled = world.home().join(".claude-mesh/meshes/acme/mesh.db");
    let inside = world.session("mono/acme");
    assert_eq!(inside.name(), "mono", "the file still names the peer");
    let second = world.session("mono/acme");
    let file = inside.folder.join("a.rs");
    let claimed = second.call(
        "claim",
        json!({ "resource": format!("file:{}", file.display()) }),
    );
    assert_eq!(claimed["status"], "granted");
    let edit = json!({ "tool_name": "Edit", "tool_input": { "file_path": file } });
    let said = inside.hook("PreToolUse", edit)["hookSpecificOutput"].to_string();
    assert!(said.contains("is claimed by \\\"mono-2\\\""), "{said}");
    inside.prompt("1");
    inside.stop("1", false);
    let status = inside.call("mesh_status", json!({}));
    assert_eq!(status["path"], walled.to_str().unwrap());
    assert!(
        !world.database().exists(),
        "the default database is not created"
    );

    let outside = world.session("mono/other");
    assert_eq!(outside.call("list_peers", json!({}))["peers"], json!([]));
    let asked = outside.call("ask_peer", json!({ "to": "mono-2", "question": "who?" }));
    assert_eq!(asked["error"]["code"], "unknown_peer");
    let seen = inside.call("list_peers", json!({}))["peers"].clone();
    assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");

    for session in [&inside, &second] {
        session.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    }
    let live = "SELECT count(*) FROM session WHERE ended_at_ms IS NULL";
    let rows = rusqlite::Connection::open(&walled).unwrap();
    assert_eq!(rows.query_one(live, [], |row| row.get(0)), Ok(0));
}

#[cfg(feature = "cli")]
#[test]
fn commands_and_sessions_agree_on_the_mesh_of_a_folder() {
    let world = World::new();
    world.write("mono/.git/HEAD", "ref: refs/heads/main\n");
    world.write("mono/.claude-mesh.json", "{}");
    let (mono, acme) = (world.project("mono"), world.project("mono/acme"));
    world.cli(&mono, &["wall", "acme", "acme"]);
    let _inside = world.session("mono/acme");
    for (folder, mesh, peers) in [(&acme, "acme", 1), (&mono, "default", 0)] {
        let types = |arguments: &[&str]| world.cli(folder, arguments);
        assert_eq!(types(&["wall", "--json"]).json()["here"]["name"], mesh);
        let seen = types(&["peers", "--json"]).json();
        assert_eq!(seen["peers"].as_array().unwrap().len(), peers, "{seen}");
        let doctor = types(&["doctor"]).out;
        assert!(doctor.contains(&format!("mesh {mesh} here")), "{doctor}");
        assert!(!doctor.contains("this shell speaks of"), "{doctor}");
    }
}

// Requirement: Ask 3, Mesh 1
#[test]
fn mesh_db_path_overrides_walls_for_hooks_and_server() {
    let mut world = World::new();
    let elsewhere = world.home().join("elsewhere/team.db");
    world.set("MESH_DB_PATH", elsewhere.to_str().unwrap());
    let ada = world.session("ada");
    let status = ada.call("mesh_status", json!({}));
    assert_eq!(status["path"], elsewhere.to_str().unwrap());
    assert!(elsewhere.exists() && !world.database().exists());
    assert!(
        world.home().join("elsewhere/team.db.d/sessions").exists(),
        "doorbells and locks are beside the database file"
    );
    world.environment.clear();
    let folder = world.home().join(".claude-mesh");
    let _ = std::fs::create_dir_all(&folder);
    set_mode(&folder, 0o700);
    world.write(
        ".claude-mesh/.env",
        &format!("MESH_DB_PATH={}\n", elsewhere.display()),
    );
    let bo = world.session("bo");
    assert_eq!(bo.call("list_peers", json!({}))["peers"][0]["peer"], "ada");
}

/// Writes the file that maps folders to meshes.
fn write_wall_map(world: &World, map: &str) {
    let config = world.write(".claude-mesh/config.json", map);
    set_mode(config.parent().unwrap(), 0o700);
    set_mode(&config, 0o600);
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The map of a home at a hub that does not run.
const MAP_AT_HUB: &str = r#"{"meshes": {"~/**": "http://127.0.0.1:9"}}"#;

/// Returns a folder with the server alone, as an incomplete install leaves it.
fn server_without_remote(world: &World) -> std::path::PathBuf {
    let folder = world.project("bin");
    let server = folder.join("claude-mesh-server");
    if std::fs::hard_link(program("claude-mesh-server"), &server).is_err() {
        let mut copy = world.command("cp", &folder);
        copy.arg(program("claude-mesh-server")).arg(&server);
        assert!(copy.status().unwrap().success());
    }
    folder
}

#[test]
fn server_at_a_hub_becomes_the_program_for_hubs() {
    let world = World::new();
    write_wall_map(&world, MAP_AT_HUB);
    let programs = server_without_remote(&world);
    let script = b"#!/bin/sh\nread line\necho \"$$ $* $line $(pwd)\"\n";
    world.executable("bin/claude-mesh-remote", script);
    let own = world.project("own");
    let mut server = world
        .command(programs.join("claude-mesh-server").to_str().unwrap(), &own)
        .args(["--one", "two"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = server.id();
    let stdin = server.stdin.as_mut().unwrap();
    std::io::Write::write_all(stdin, b"first line\n").unwrap();
    let output = server.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        format!("{pid} --one two first line {}\n", own.display())
    );
    assert!(!world.database().exists());
}

#[test]
fn server_without_the_program_for_hubs_says_what_is_missing() {
    let mut world = World::new();
    write_wall_map(&world, MAP_AT_HUB);
    world.servers = server_without_remote(&world);
    let session = world.bare_session("own", &[]);
    session.discover();
    let error = session.call("list_peers", json!({}))["error"].clone();
    assert_eq!(error["code"], "unsupported", "{error}");
    let message = error["message"].as_str().unwrap();
    for part in ["http://127.0.0.1:9", "bin/claude-mesh-remote", "is missing"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(error["hint"].as_str().unwrap().contains("one folder"));
    assert!(!world.database().exists());
}

#[test]
fn hooks_at_a_hub_open_nothing() {
    let mut world = World::new();
    write_wall_map(&world, MAP_AT_HUB);
    world.servers = server_without_remote(&world);
    let session = world.bare_session("own", &[]);
    for (event, fields) in [
        ("SessionStart", json!({ "source": "startup" })),
        (
            "UserPromptSubmit",
            json!({ "prompt": "go", "prompt_id": "1" }),
        ),
        ("Stop", json!({ "stop_hook_active": false })),
        ("SessionEnd", json!({ "reason": "prompt_input_exit" })),
    ] {
        // At the start the model gets that the hub has not answered yet.
        let silent = event != "SessionStart";
        assert_eq!(session.hook(event, fields).is_null(), silent, "{event}");
    }
    assert!(!world.database().exists());
}

#[test]
fn environment_of_a_session_moves_it_to_no_hub() {
    let world = World::new();
    let environment = [("CLAUDE_MESH_URL", "http://127.0.0.1:9")];
    let ada = world.session_with("ada", &environment);
    let status = ada.call("mesh_status", json!({}));
    assert_eq!(status["path"], world.database().to_str().unwrap());
    ada.prompt("1");
}
