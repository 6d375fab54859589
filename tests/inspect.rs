//! Inspecting an installation: each problem is found and named with its fix.
use std::fs;

use crate::support::install_home::{InstallHome, PROGRAMS, json_of, now, read, write};
use claude_mesh::setup::{InstallOptions, InstallScope, Severity, WakeMethod, inspect, install};
use serde_json::json;

#[test]
fn inspect_finds_no_problem_after_install() {
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let home = InstallHome::new();
        home.install(scope);
        assert_eq!(home.findings(Severity::Problem), []);
        assert_eq!(home.findings(Severity::Note), []);
        assert_eq!(home.findings(Severity::Ok).len(), 4);
    }
}

#[test]
fn inspect_reports_missing_server_and_hooks_before_install() {
    let home = InstallHome::new();
    home.assert_problem("no server entry", Some("claude-mesh install"));
    home.assert_problem("no hook is wired", Some("claude-mesh install"));
    home.assert_note("no permission rule");
}

#[test]
fn inspect_reports_hooks_installed_in_two_scopes() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    home.install(InstallScope::Project);
    home.assert_problem(
        "each hook runs more than once",
        Some("claude-mesh uninstall --project"),
    );
}

#[test]
fn claim_guard_hook_is_installed_on_request_and_kept() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let plain = read(&home.settings());
    assert!(!plain.contains("claim-guard"));
    let guarded = InstallOptions {
        guard: true,
        ..InstallOptions::default()
    };
    let plan = install(&home.places, InstallScope::User, guarded).unwrap();
    plan.apply(now()).unwrap();
    let settings = json_of(&home.settings());
    let group = &settings["hooks"]["PreToolUse"][0];
    assert_eq!(group["matcher"], "Edit|Write|MultiEdit|NotebookEdit|Bash");
    let program = home.places.programs.join("claude-mesh-claim-guard");
    assert_eq!(group["hooks"][0]["command"], program.to_str().unwrap());
    for options in [guarded, InstallOptions::default()] {
        let again = install(&home.places, InstallScope::User, options).unwrap();
        assert!(again.is_empty());
    }
    assert_eq!(home.findings(Severity::Problem), []);
    assert_eq!(home.findings(Severity::Note), []);
    let hooks = home.findings(Severity::Ok);
    assert!(
        hooks
            .iter()
            .any(|it| it.text.contains("5 wired, one of them the guard")),
        "{hooks:?}"
    );
    fs::remove_file(program).unwrap();
    home.assert_problem("does not exist", Some("claude-mesh install"));
    home.uninstall(InstallScope::User);
    assert!(!home.settings().exists());
}

#[test]
fn inspect_requires_the_claim_guard_for_every_edit_tool() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let mut settings = json_of(&home.settings());
    let program = home.places.programs.join("claude-mesh-claim-guard");
    settings["hooks"]["PreToolUse"] = serde_json::json!([{ "matcher": "Write", "hooks": [
        { "type": "command", "command": program, "args": [], "timeout": 5 }
    ] }]);
    write(&home.settings(), &settings.to_string(), 0o600);
    home.assert_problem("PreToolUse is not wired", Some("claude-mesh install"));
    home.install(InstallScope::User);
    assert_eq!(home.findings(Severity::Problem), []);
}

#[test]
fn inspect_reports_a_missing_or_unusable_program() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let poll = home.places.programs.join("claude-mesh-inbox-poll");
    write(&poll, "#!/bin/sh\n", 0o644);
    home.assert_problem("cannot be executed", Some("claude-mesh install"));
    fs::remove_file(home.places.programs.join("claude-mesh-server")).unwrap();
    home.assert_problem("does not exist", Some("claude-mesh install"));
}

#[test]
fn inspect_reports_a_bare_program_name_missing_from_path() {
    let mut home = InstallHome::new();
    home.install(InstallScope::Project);
    home.places.search_path.clear();
    home.assert_problem("is not in PATH", Some("claude-mesh install --project"));
}

#[test]
fn inspect_reports_hooks_and_server_of_two_installations() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let other = home.places.home.join("other");
    for name in PROGRAMS {
        write(&other.join(name), "#!/bin/sh\n", 0o755);
    }
    let settings = read(&home.settings()).replacen(
        &format!("{}/claude-mesh-inbox", home.places.programs.display()),
        &format!("{}/claude-mesh-inbox", other.display()),
        1,
    );
    write(&home.settings(), &settings, 0o600);
    home.assert_problem("but the server comes from", Some("claude-mesh install"));

    let servers = read(&home.servers()).replace(
        &home.places.programs.display().to_string(),
        &other.display().to_string(),
    );
    write(&home.servers(), &servers, 0o600);
    home.assert_note("~/other/claude-mesh-server is wired, not");
}

#[test]
fn inspect_reports_an_outdated_hook_and_install_repairs_it() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let mut settings = json_of(&home.settings());
    let hook = &mut settings["hooks"]["SessionEnd"][0]["hooks"][0];
    hook.as_object_mut().unwrap().remove("args");
    settings["hooks"]["Stop"] = json!([]);
    write(&home.settings(), &settings.to_string(), 0o600);
    home.assert_note("SessionEnd runs through a shell");
    home.assert_problem("Stop is not wired", Some("claude-mesh install"));
    home.install(InstallScope::User);
    assert_eq!(home.findings(Severity::Problem), []);
    assert_eq!(home.findings(Severity::Note), []);
}

#[test]
fn inspect_reports_how_idle_sessions_are_woken() {
    let home = InstallHome::with_files(&[(
        InstallScope::User,
        "settings",
        r#"{"crossSessionInbound": "refuse"}"#,
    )]);
    home.install(InstallScope::User);
    let [refused] = &home.findings(Severity::Note)[..] else {
        panic!("{:#?}", inspect(&home.places));
    };
    assert!(refused.text.contains("not woken by its inbox"));
    assert_eq!(
        refused.fix.as_deref(),
        Some("claude-mesh install --wake rewake")
    );
    home.wake(InstallScope::User, WakeMethod::Rewake);
    assert_eq!(home.findings(Severity::Note), []);
    assert_eq!(home.findings(Severity::Problem), []);
    let fine: Vec<String> = home
        .findings(Severity::Ok)
        .into_iter()
        .map(|it| it.text)
        .collect();
    for part in ["hooks: 6 wired", "wake: a hook waits beside each session"] {
        assert!(fine.iter().any(|it| it.contains(part)), "{fine:#?}");
    }
}

#[test]
fn install_repairs_a_rewake_hook_that_blocks_its_session() {
    let home = InstallHome::new();
    home.wake(InstallScope::User, WakeMethod::Rewake);
    let held_up = read(&home.settings()).replace("\"asyncRewake\": true", "\"async\": false");
    write(&home.settings(), &held_up, 0o600);
    home.assert_problem("the entry lacks asyncRewake", Some("claude-mesh install"));
    fs::remove_file(home.places.programs.join("claude-mesh-inbox-wait")).unwrap();
    home.install(InstallScope::User);
    home.assert_problem("does not exist", Some("claude-mesh install"));
}

#[test]
fn inspect_reports_settings_that_disable_claude_mesh() {
    let home = InstallHome::with_files(&[(
        InstallScope::Local,
        "settings",
        r#"{"disableAllHooks": true, "disabledMcpjsonServers": ["claude-mesh"],
            "permissions": {"deny": ["mcp__claude-mesh", "mcp__claude-mesh__ask_peer"], "ask": ["mcp__claude-mesh__reply_to_peer"]},
            "env": {"MESH_DB_PATH": "/srv/mesh.db"}}"#,
    )]);
    home.assert_problem("disableAllHooks is true", None);
    home.assert_problem("disabledMcpjsonServers", None);
    home.assert_problem("denies mcp__claude-mesh", None);
    home.assert_note("denies mcp__claude-mesh__ask_peer");
    home.assert_note("each answer to a peer asks you first");
    home.assert_note("MESH_DB_PATH is /srv/mesh.db");
}

#[test]
fn inspect_reports_a_mesh_path_hidden_from_hooks() {
    let home = InstallHome::with_files(&[(
        InstallScope::User,
        "servers",
        r#"{"mcpServers": {"claude-mesh": {"command": "claude-mesh-server",
            "env": {"MESH_DB_PATH": "/x", "CLAUDE_MESH_PROJECT_PATH": "/y"}}}}"#,
    )]);
    home.assert_problem("hooks do not see it", None);
    home.assert_problem(
        "assigns every session to one project",
        Some("claude-mesh install"),
    );
}

#[test]
fn inspect_reports_an_invalid_file_not_a_missing_entry() {
    let home = InstallHome::with_files(&[(InstallScope::User, "servers", "{\n  oops\n}")]);
    home.assert_problem("line 2, column 3", None);
    assert!(
        home.findings(Severity::Problem)
            .iter()
            .all(|it| !it.text.contains("no server"))
    );
}

#[test]
fn findings_serialize_to_json() {
    let home = InstallHome::new();
    let findings = serde_json::to_value(inspect(&home.places)).unwrap();
    assert_eq!(
        findings[0],
        json!({"severity": "problem", "text": "no server entry is wired", "mend": "claude-mesh install"})
    );
}
