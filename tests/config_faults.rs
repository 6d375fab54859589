//! Invalid configuration: each file is reported with its line, and nothing is written.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::World;
use crate::support::fault_reports::{
    assert_all_tools_refuse, assert_cli_reports, assert_hooks_print_nothing, assert_model_gets_hint,
};

#[test]
fn invalid_project_file_is_reported_by_line_and_blocks_writes() {
    let world = World::new();
    let path = world.write("ada/.claude-mesh.json", "{\n  \"name\": 7\n}");
    let ada = world.bare_session("ada", &[]);
    ada.discover();
    assert_all_tools_refuse(&ada, &["ada/.claude-mesh.json", "line 2"]);
    assert_model_gets_hint(&ada, &["{ \"name\": \"backend\" }"]);
    assert_hooks_print_nothing(&world, &ada, Some("line 2"));
    assert_cli_reports(&world, &["line 2"]);
    assert!(!world.database().exists());
    fs::write(path, "{ \"name\": \"front\" }").unwrap();
    assert_eq!(ada.name(), "front", "the session works after the fix");
}

#[test]
fn endless_project_file_is_refused_at_once() {
    let world = World::new();
    let path = world.project("ada").join(".claude-mesh.json");
    let expected = "ada/.claude-mesh.json cannot be used: it is not a file";
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    for endless in [false, true] {
        if endless {
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        }
        let ada = world.bare_session("ada", &[]);
        ada.discover();
        assert_all_tools_refuse(&ada, &[expected]);
        assert_hooks_print_nothing(&world, &ada, Some(expected));
        assert_cli_reports(&world, &[expected]);
    }
    assert!(!world.database().exists());
}

#[test]
fn invalid_mesh_config_is_reported_by_line_and_blocks_writes() {
    let world = World::new();
    let path = world.write(
        ".claude-mesh/config.json",
        "{\n  \"meshes\": {\n    \"~/a/**\" \"a\"\n}}",
    );
    let ada = world.bare_session("ada", &[]);
    ada.discover();
    assert_all_tools_refuse(&ada, &[".claude-mesh/config.json", "line 3"]);
    assert_model_gets_hint(&ada, &["repair or remove the file"]);
    assert_hooks_print_nothing(&world, &ada, Some("line 3"));
    assert_cli_reports(&world, &["line 3"]);
    assert!(!world.database().exists());
    fs::write(path, "{}").unwrap();
    assert_eq!(ada.name(), "ada", "the session works after the fix");
}

#[test]
fn invalid_env_file_is_reported_by_line_without_its_content() {
    let world = World::new();
    let content = "# where it is\nMESH_DB_PATH=/nowhere/mesh.db\nMY_TOKEN='hunter2\n";
    world.write(".claude-mesh/.env", content);
    let ada = world.bare_session("ada", &[]);
    ada.discover();
    assert_all_tools_refuse(&ada, &[".claude-mesh/.env", "line 3"]);
    assert_model_gets_hint(&ada, &["one NAME=value per line", "restart this session"]);
    assert_hooks_print_nothing(&world, &ada, Some("line 3"));
    assert_cli_reports(&world, &["line 3"]);
    let log = fs::read_to_string(world.home().join(".claude-mesh/faults.log")).unwrap();
    let said = ada.call("mesh_status", json!({})).to_string();
    assert!(
        !log.contains("hunter2") && !said.contains("hunter2"),
        "{log}{said}"
    );
    assert!(!world.database().exists() && !Path::new("/nowhere").exists());
}

#[test]
fn env_file_writable_by_others_is_refused() {
    let world = World::new();
    let elsewhere = world.home().join("elsewhere/mesh.db");
    let path = world.write(
        ".claude-mesh/.env",
        &format!("MESH_DB_PATH={}\n", elsewhere.display()),
    );
    for mode in [0o666, 0o620, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let ada = world.bare_session("ada", &[]);
        ada.discover();
        let expected = format!("can be written by others (mode {mode:o})");
        assert_all_tools_refuse(&ada, &[".claude-mesh/.env", &expected]);
        assert_hooks_print_nothing(&world, &ada, Some(&expected));
        assert_cli_reports(&world, &[&expected, "`chmod go-w "]);
    }
    assert!(!elsewhere.exists() && !world.database().exists());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(world.session("bo").name(), "bo");
    assert!(elsewhere.exists());
}

#[test]
fn invalid_setting_is_reported_to_the_model() {
    let world = World::new();
    let ada = world.bare_session("ada", &[("CLAUDE_MESH_WAKE", "sometimes")]);
    ada.discover();
    assert_all_tools_refuse(
        &ada,
        &["CLAUDE_MESH_WAKE must be watcher or polling, got \"sometimes\""],
    );
    assert_model_gets_hint(&ada, &["set in the environment", "restart this session"]);
    let path = world.write(".claude-mesh/.env", "CLAUDE_MESH_WAKE=zz\n");
    let bo = world.bare_session("bo", &[]);
    bo.discover();
    assert_all_tools_refuse(
        &bo,
        &["CLAUDE_MESH_WAKE must be watcher or polling, got \"zz\""],
    );
    assert_model_gets_hint(&bo, &[path.to_str().unwrap(), "restart this session"]);
    let ran = world.cli(&bo.folder, &["status", "--json"]);
    assert_eq!(
        ran.json()["error"]["code"],
        "storage",
        "the command reports the same code as the tool"
    );
    fs::remove_file(path).unwrap();
    assert_hooks_print_nothing(&world, &ada, Some("CLAUDE_MESH_WAKE"));
    assert!(!world.database().exists());
}
