//! Installing into Claude Code's files and uninstalling: nothing else in them changes.
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use claude_mesh::setup::{
    InstallError, InstallOptions, InstallPaths, InstallScope, WakeMethod, install, uninstall,
};
use serde_json::json;

use crate::support::install_home::{InstallHome, json_of, mode, now, read, write};

// Requirement: Ask 5
#[test]
fn first_install_creates_both_files_private_to_the_owner() {
    let home = InstallHome::new();
    let applied = home.install(InstallScope::User);
    let written: Vec<_> = applied.written.iter().map(|it| &it.path).collect();
    assert_eq!(written, [&home.settings(), &home.servers()]);
    assert!(applied.written.iter().all(|it| it.backup.is_none()));
    assert_eq!(
        (mode(&home.settings()), mode(&home.servers())),
        (0o600, 0o600)
    );
    assert_eq!(mode(home.settings().parent().unwrap()), 0o700);
    let program = |name: &str| json!(home.places.programs.join(name));
    assert_eq!(
        json_of(&home.servers())["mcpServers"]["claude-mesh"],
        json!({"type": "stdio", "command": program("claude-mesh-server"), "args": []})
    );
    assert_eq!(
        json_of(&home.settings())["hooks"]["Stop"][0]["hooks"][0]["command"],
        program("claude-mesh-inbox-poll")
    );
}

// Requirement: Ask 5
#[test]
fn second_install_writes_nothing() {
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let home = InstallHome::with_files(&[(scope, "settings", "{\"model\": \"opus\"}")]);
        home.install(scope);
        let before = home.all_files();
        assert!(
            install(&home.places, scope, InstallOptions::default())
                .unwrap()
                .is_empty()
        );
        assert!(home.install(scope).written.is_empty());
        assert_eq!(home.all_files(), before);
    }
}

#[test]
fn rewake_hook_is_installed_kept_and_uninstalled() {
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let before = "{\n  \"model\": \"opus\"\n}\n";
        let home = InstallHome::with_files(&[(scope, "settings", before)]);
        let settings = home.file(scope, "settings");
        home.install(scope);
        let plain = read(&settings);
        assert!(!plain.contains("claude-mesh-inbox-wait"));
        home.wake(scope, WakeMethod::Rewake);
        let waiting = read(&settings);
        for event in ["SessionStart", "Stop"] {
            let hook = &json_of(&settings)["hooks"][event][1]["hooks"][0];
            let command = hook["command"].as_str().unwrap();
            assert!(command.ends_with("claude-mesh-inbox-wait"), "{hook}");
            assert_eq!(hook["asyncRewake"], true);
        }
        assert!(home.wake(scope, WakeMethod::Rewake).written.is_empty());
        assert!(home.install(scope).written.is_empty());
        home.wake(scope, WakeMethod::Inbox);
        assert_eq!(read(&settings), plain);
        home.wake(scope, WakeMethod::Rewake);
        assert_eq!(read(&settings), waiting);
        home.uninstall(scope);
        assert_eq!(read(&settings), before);
    }
}

#[test]
fn install_backup_keeps_content_and_mode() {
    let home =
        InstallHome::with_files(&[(InstallScope::User, "servers", "{\"oauth\": \"secret\"}")]);
    let applied = home.install(InstallScope::User);
    let backup = applied.written[1].backup.clone().unwrap();
    assert_eq!(
        backup.file_name().unwrap(),
        ".claude.json.claude-mesh-20261121T021500Z.bak"
    );
    assert_eq!(read(&backup), "{\"oauth\": \"secret\"}");
    assert_eq!((mode(&backup), mode(&home.servers())), (0o600, 0o600));
}

#[test]
fn install_keeps_the_file_mode() {
    for kept in [0o600, 0o644, 0o640, 0o400] {
        let home = InstallHome::new();
        write(&home.settings(), "{}", kept);
        let applied = home.install(InstallScope::User);
        assert_eq!(mode(&home.settings()), kept);
        assert_eq!(mode(applied.written[0].backup.as_ref().unwrap()), kept);
    }
}

#[test]
fn install_backups_of_one_second_get_distinct_names() {
    let home = InstallHome::with_files(&[(InstallScope::User, "settings", "{\"a\": 1}")]);
    home.install(InstallScope::User);
    let wired = read(&home.settings());
    let applied = home.uninstall(InstallScope::User);
    let second = applied.written[0].backup.clone().unwrap();
    assert!(second.ends_with("settings.json.claude-mesh-20261121T021500Z.2.bak"));
    assert_eq!(read(&second), wired);
    assert_eq!(read(&home.settings()), "{\"a\": 1}");
}

#[test]
fn uninstall_removes_files_that_install_created() {
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let home = InstallHome::new();
        home.install(scope);
        assert!(!home.all_files().is_empty());
        assert!(home.uninstall(scope).written.iter().all(|it| it.removed));
        assert_eq!(home.all_files(), []);
        assert!(home.uninstall(scope).written.is_empty());
    }
}

#[test]
fn uninstall_removes_a_created_file_after_a_later_install() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let options = InstallOptions {
        confirm_answers: true,
        ..InstallOptions::default()
    };
    let plan = install(&home.places, InstallScope::User, options).unwrap();
    assert_eq!(plan.changes().len(), 1);
    plan.apply(now()).unwrap();
    home.uninstall(InstallScope::User);
    assert!(!home.settings().exists());
}

#[test]
fn uninstall_keeps_an_empty_object_that_existed_before() {
    let home = InstallHome::with_files(&[
        (InstallScope::User, "settings", "{}\n"),
        (InstallScope::User, "servers", "{}"),
    ]);
    home.install(InstallScope::User);
    home.uninstall(InstallScope::User);
    assert_eq!(read(&home.settings()), "{}\n");
    assert_eq!(read(&home.servers()), "{}");
}

#[test]
fn install_rewrites_the_target_of_a_symlink() {
    let home = InstallHome::new();
    let real = home.root.path().join("dotfiles/claude.json");
    write(&real, "{\"model\": \"opus\"}\n", 0o644);
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("../../dotfiles/claude.json", home.settings()).unwrap();
    let applied = home.install(InstallScope::User);
    assert!(home.settings().is_symlink());
    assert_eq!(
        json_of(&real)["permissions"]["allow"],
        json!(["mcp__claude-mesh"])
    );
    assert_eq!(mode(&real), 0o644);
    let backup = applied.written[0].backup.clone().unwrap();
    assert_eq!(backup.parent(), home.settings().parent());
    home.uninstall(InstallScope::User);
    assert_eq!(read(&real), "{\"model\": \"opus\"}\n");
}

#[test]
fn install_follows_a_dangling_symlink_and_refuses_a_loop() {
    let home = InstallHome::new();
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("../elsewhere/s.json", home.settings()).unwrap();
    home.install(InstallScope::User);
    assert!(home.settings().is_symlink());
    assert!(json_of(&home.places.home.join("elsewhere/s.json"))["hooks"].is_object());

    let home = InstallHome::new();
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("settings.json", home.settings()).unwrap();
    let refused = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("loop"), "{refused}");
}

#[test]
fn install_writes_nothing_when_one_file_is_invalid() {
    for (broken, line, column) in [
        ("{\n  \"a\": 1,\n}", 3, 1),
        ("[1, 2]", 1, 1),
        ("{\n  // mine\n  \"a\": 1\n}", 2, 3),
        ("{\"mcpServers\": []}", 1, 16),
        ("{\"mcpServers\": {}, \"mcpServers\": {}}", 1, 20),
        (
            "{\"mcpServers\": {\"claude-mesh\": {\"command\": \"x\", \"env\": 1}}}",
            1,
            56,
        ),
    ] {
        let home = InstallHome::with_files(&[
            (InstallScope::User, "settings", "{}"),
            (InstallScope::User, "servers", broken),
        ]);
        let before = home.all_files();
        match install(&home.places, InstallScope::User, InstallOptions::default()) {
            Err(InstallError::Malformed {
                path,
                line: at_line,
                column: at_column,
                ..
            }) => {
                assert_eq!(path, home.servers());
                assert_eq!((at_line, at_column), (line, column), "{broken}");
            }
            other => panic!("{broken}: {other:?}"),
        }
        assert_eq!(home.all_files(), before);
    }
}

#[test]
fn install_refuses_settings_of_an_unexpected_type() {
    for (broken, line, column) in [
        ("{\n\"hooks\": []}", 2, 10),
        ("{\"hooks\": {\n\"Stop\": {}}}", 2, 9),
        ("{\"model\": \"opus\",\n \"permissions\": true}", 2, 17),
        ("{\n\n\"permissions\": {\"allow\": \"all\"}}", 3, 26),
        ("{\"hooks\": {\n\"Stop\": [], \"Stop\": []}}", 2, 13),
    ] {
        let home = InstallHome::with_files(&[(InstallScope::User, "settings", broken)]);
        match install(&home.places, InstallScope::User, InstallOptions::default()) {
            Err(InstallError::Malformed {
                line: at_line,
                column: at_column,
                ..
            }) => assert_eq!((at_line, at_column), (line, column), "{broken}"),
            other => panic!("{broken}: {other:?}"),
        }
        assert_eq!(read(&home.settings()), broken);
    }
}

#[test]
fn install_keeps_a_change_made_after_planning() {
    let home = InstallHome::with_files(&[(
        InstallScope::User,
        "servers",
        "{\n  \"numStartups\": 1\n}\n",
    )]);
    let plan = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap();
    let meanwhile = "{\n  \"numStartups\": 2,\n  \"tip\": \"new\"\n}\n";
    write(&home.servers(), meanwhile, 0o600);
    let applied = plan.apply(now()).unwrap();
    let now_is = json_of(&home.servers());
    assert_eq!(
        (&now_is["numStartups"], &now_is["tip"]),
        (&json!(2), &json!("new"))
    );
    assert!(now_is["mcpServers"]["claude-mesh"].is_object());
    assert_eq!(read(applied.written[1].backup.as_ref().unwrap()), meanwhile);
    let backups = home.all_files();
    let backups = backups.iter().filter(|(name, _)| name.contains(".bak"));
    assert_eq!(
        backups.count(),
        1,
        "the backup of the superseded content is missing"
    );
}

#[test]
fn install_stops_at_a_file_broken_after_planning() {
    let home = InstallHome::with_files(&[(InstallScope::User, "servers", "{}")]);
    let plan = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap();
    write(&home.servers(), "{\"half\": ", 0o600);
    let halted = plan.apply(now()).unwrap_err();
    assert!(matches!(halted.error, InstallError::Malformed { .. }));
    assert_eq!(halted.applied.written.len(), 1);
    assert_eq!(halted.applied.written[0].path, home.settings());
    assert_eq!(read(&home.servers()), "{\"half\": ");
}

#[test]
fn install_into_an_unwritable_folder_changes_nothing() {
    // Permissions do not bind root, so a file is in place of the folder: the same step fails for every user.
    let mut home = InstallHome::with_files(&[(InstallScope::User, "settings", "{}")]);
    let folder = home.places.home.join("gone");
    home.places.claude_json = folder.join(".claude.json");
    let plan = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap();
    write(&folder, "in the way", 0o600);
    let before = home.all_files();
    let halted = plan.apply(now()).unwrap_err();
    assert!(halted.applied.written.is_empty());
    assert!(
        matches!(halted.error, InstallError::Io { .. }),
        "{}",
        halted.error
    );
    assert_eq!(
        home.all_files(),
        before,
        "no temporary file, no backup is left"
    );
    assert!(install(&home.places, InstallScope::User, InstallOptions::default()).is_err());
}

#[test]
fn install_refuses_a_path_that_is_not_a_file() {
    let home = InstallHome::new();
    fs::create_dir_all(home.settings()).unwrap();
    let refused = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap_err();
    assert!(refused.to_string().ends_with("not a file"), "{refused}");
}

// Requirement: Ask 5
#[test]
fn project_install_writes_no_machine_specific_path() {
    let home = InstallHome::new();
    home.install(InstallScope::Project);
    let (settings, servers) = (
        home.file(InstallScope::Project, "settings"),
        home.file(InstallScope::Project, "servers"),
    );
    let root = home.root.path().display().to_string();
    assert!(!read(&settings).contains(&root) && !read(&servers).contains(&root));
    assert_eq!(
        json_of(&servers)["mcpServers"]["claude-mesh"],
        json!({
            "type": "stdio",
            "command": "claude-mesh-server",
            "args": [],
            "env": {"CLAUDE_MESH_PROJECT_PATH": "${CLAUDE_PROJECT_DIR:-.}"}
        })
    );
    assert!(!home.settings().exists());
}

#[test]
fn uninstall_keeps_a_server_entry_used_by_another_scope() {
    let home = InstallHome::new();
    home.install(InstallScope::Project);
    home.install(InstallScope::Local);
    let servers = home.file(InstallScope::Local, "servers");
    home.uninstall(InstallScope::Local);
    assert!(servers.exists());
    home.uninstall(InstallScope::Project);
    assert!(!servers.exists());
}

#[test]
fn project_install_requires_an_existing_project() {
    let home = InstallHome::new();
    let nowhere = home
        .places
        .clone()
        .in_project(&home.root.path().join("nope"));
    let refused = install(&nowhere, InstallScope::Project, InstallOptions::default());
    assert!(matches!(refused, Err(InstallError::Unusable { .. })));
    let none = InstallPaths::new(&home.places.home, None, &home.places.programs);
    assert!(uninstall(&none, InstallScope::Local).is_err());
}

#[test]
fn install_uses_a_relocated_config_folder() {
    let home = InstallHome::new();
    let moved = home.places.home.join("elsewhere/claude");
    let places = InstallPaths::new(&home.places.home, Some(&moved), &home.places.programs);
    let plan = install(&places, InstallScope::User, InstallOptions::default()).unwrap();
    plan.apply(now()).unwrap();
    assert!(moved.join("settings.json").exists() && moved.join(".claude.json").exists());
    let unset = InstallPaths::new(
        &home.places.home,
        Some(Path::new("")),
        &home.places.programs,
    );
    assert_eq!(unset.claude_json, home.places.home.join(".claude.json"));
}

#[test]
fn install_diff_masks_secrets() {
    let home = InstallHome::with_files(&[(
        InstallScope::User,
        "servers",
        "{\n  \"oauthToken\": \"hunter2\",\n  \"id\": \"0f3a9c81d2e47b56\"\n}\n",
    )]);
    let plan = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap();
    let (before, after) = plan.changes()[1].shown();
    assert!(!before.contains("hunter2") && !after.contains("hunter2"));
    assert!(!after.contains("0f3a9c81d2e47b56"));
    assert!(after.contains("claude-mesh-server"));
}
