//! claude-mesh goes into Claude Code's files and out again, and nothing else in them is touched.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use claude_mesh::setup::{
    AppliedChanges, Finding, InstallError, InstallOptions, InstallPaths, InstallScope, Severity,
    WakeMethod, inspect, install, uninstall,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAMS: [&str; 6] = [
    "claude-mesh-server",
    "claude-mesh-session-start",
    "claude-mesh-inbox-poll",
    "claude-mesh-inbox-wait",
    "claude-mesh-session-end",
    "claude-mesh-claim-guard",
];

/// A home with our programs, a project, and nothing of Claude Code's yet.
struct Home {
    root: TempDir,
    places: InstallPaths,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).expect("a new folder can be made");
            folder.canonicalize().expect("it was just made")
        };
        let (home, programs, project) = (at("home"), at("bin"), at("project"));
        for name in PROGRAMS {
            write(&programs.join(name), "#!/bin/sh\n", 0o755);
        }
        let mut places = InstallPaths::new(&home, None, &programs).in_project(&project);
        places.search_path = vec![programs];
        Self { root, places }
    }

    fn with_files(files: &[(InstallScope, &str, &str)]) -> Self {
        let home = Self::new();
        for (scope, kind, content) in files {
            write(&home.file(*scope, kind), content, 0o600);
        }
        home
    }

    fn file(&self, scope: InstallScope, kind: &str) -> PathBuf {
        let file = match kind {
            "servers" => self.places.servers_file(scope),
            _ => self.places.settings_file(scope),
        };
        file.expect("the project folder is there")
    }

    fn settings(&self) -> PathBuf {
        self.file(InstallScope::User, "settings")
    }

    fn servers(&self) -> PathBuf {
        self.file(InstallScope::User, "servers")
    }

    #[track_caller]
    fn install(&self, scope: InstallScope) -> AppliedChanges {
        self.install_with(scope, InstallOptions::default())
    }

    #[track_caller]
    fn install_with(&self, scope: InstallScope, options: InstallOptions) -> AppliedChanges {
        let plan = install(&self.places, scope, options).expect("the files are sound");
        plan.apply(now()).expect("the folders can be written")
    }

    #[track_caller]
    fn wake(&self, scope: InstallScope, wake: WakeMethod) -> AppliedChanges {
        let wake = Some(wake);
        self.install_with(
            scope,
            InstallOptions {
                wake,
                ..InstallOptions::default()
            },
        )
    }

    #[track_caller]
    fn uninstall(&self, scope: InstallScope) -> AppliedChanges {
        let plan = uninstall(&self.places, scope).expect("the files are sound");
        plan.apply(now()).expect("the folders can be written")
    }

    /// Every file below the root but our programs, with its content.
    fn all_files(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("our own folder") {
                let path = entry.expect("our own folder").path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.root.path()).expect("below the root");
                    found.push((name.display().to_string(), read(&path)));
                }
            }
        }
        found.retain(|(name, _)| !name.starts_with("bin/"));
        found.sort();
        found
    }

    fn findings(&self, severity: Severity) -> Vec<Finding> {
        let mut findings = inspect(&self.places);
        findings.retain(|finding| finding.severity == severity);
        findings
    }

    #[track_caller]
    fn assert_problem(&self, part: &str, mend: Option<&str>) {
        let problems = self.findings(Severity::Problem);
        assert!(
            problems
                .iter()
                .any(|it| it.text.contains(part) && it.mend.as_deref() == mend),
            "{problems:#?}"
        );
    }

    #[track_caller]
    fn assert_note(&self, part: &str) {
        let notes = self.findings(Severity::Note);
        assert!(notes.iter().any(|it| it.text.contains(part)), "{notes:#?}");
    }
}

fn now() -> Timestamp {
    "2026-11-21T02:15:00Z".parse().expect("a time")
}

fn write(path: &Path, content: &str, mode: u32) {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("our own folder");
    fs::write(path, content).expect("our own file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|fault| format!("({fault})"))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&read(path)).expect("strict JSON")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

#[test]
fn first_install_creates_both_files_private_to_the_owner() {
    let home = Home::new();
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

#[test]
fn second_install_writes_nothing() {
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let home = Home::with_files(&[(scope, "settings", "{\"model\": \"opus\"}")]);
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
        let home = Home::with_files(&[(scope, "settings", before)]);
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
    let home = Home::with_files(&[(InstallScope::User, "servers", "{\"oauth\": \"secret\"}")]);
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
        let home = Home::new();
        write(&home.settings(), "{}", kept);
        let applied = home.install(InstallScope::User);
        assert_eq!(mode(&home.settings()), kept);
        assert_eq!(mode(applied.written[0].backup.as_ref().unwrap()), kept);
    }
}

#[test]
fn install_backups_of_one_second_get_distinct_names() {
    let home = Home::with_files(&[(InstallScope::User, "settings", "{\"a\": 1}")]);
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
        let home = Home::new();
        home.install(scope);
        assert!(!home.all_files().is_empty());
        assert!(home.uninstall(scope).written.iter().all(|it| it.removed));
        assert_eq!(home.all_files(), []);
        assert!(home.uninstall(scope).written.is_empty());
    }
}

#[test]
fn uninstall_removes_a_created_file_after_a_later_install() {
    let home = Home::new();
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
    let home = Home::with_files(&[
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
    let home = Home::new();
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
    let home = Home::new();
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("../elsewhere/s.json", home.settings()).unwrap();
    home.install(InstallScope::User);
    assert!(home.settings().is_symlink());
    assert!(json_of(&home.places.home.join("elsewhere/s.json"))["hooks"].is_object());

    let home = Home::new();
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("settings.json", home.settings()).unwrap();
    let refused = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("circle"), "{refused}");
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
        let home = Home::with_files(&[
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
        let home = Home::with_files(&[(InstallScope::User, "settings", broken)]);
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
    let home = Home::with_files(&[(
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
        "the backup of the superseded content is gone"
    );
}

#[test]
fn install_stops_at_a_file_broken_after_planning() {
    let home = Home::with_files(&[(InstallScope::User, "servers", "{}")]);
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
    // Rights do not bind root, so the folder is no folder: the same step fails, for everyone.
    let mut home = Home::with_files(&[(InstallScope::User, "settings", "{}")]);
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
    let home = Home::new();
    fs::create_dir_all(home.settings()).unwrap();
    let refused = install(&home.places, InstallScope::User, InstallOptions::default()).unwrap_err();
    assert!(refused.to_string().ends_with("not a file"), "{refused}");
}

#[test]
fn project_install_writes_no_machine_specific_path() {
    let home = Home::new();
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
    let home = Home::new();
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
    let home = Home::new();
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
    let home = Home::new();
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
    let home = Home::with_files(&[(
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

#[test]
fn inspect_finds_no_problem_after_install() {
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let home = Home::new();
        home.install(scope);
        assert_eq!(home.findings(Severity::Problem), []);
        assert_eq!(home.findings(Severity::Note), []);
        assert_eq!(home.findings(Severity::Ok).len(), 3);
    }
}

#[test]
fn inspect_reports_missing_server_and_hooks_before_install() {
    let home = Home::new();
    home.assert_problem("no server entry", Some("claude-mesh install"));
    home.assert_problem("no hook is wired", Some("claude-mesh install"));
    home.assert_note("no permission rule");
}

#[test]
fn inspect_reports_hooks_installed_in_two_scopes() {
    let home = Home::new();
    home.install(InstallScope::User);
    home.install(InstallScope::Project);
    home.assert_problem(
        "each hook runs more than once",
        Some("claude-mesh uninstall --project"),
    );
}

#[test]
fn claim_guard_hook_is_installed_on_request_and_kept() {
    let home = Home::new();
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
    assert_eq!(group["matcher"], "Edit|Write|MultiEdit|NotebookEdit");
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
    let home = Home::new();
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
    let home = Home::new();
    home.install(InstallScope::User);
    let poll = home.places.programs.join("claude-mesh-inbox-poll");
    write(&poll, "#!/bin/sh\n", 0o644);
    home.assert_problem("cannot be executed", Some("claude-mesh install"));
    fs::remove_file(home.places.programs.join("claude-mesh-server")).unwrap();
    home.assert_problem("does not exist", Some("claude-mesh install"));
}

#[test]
fn inspect_reports_a_bare_program_name_missing_from_path() {
    let mut home = Home::new();
    home.install(InstallScope::Project);
    home.places.search_path.clear();
    home.assert_problem("is not in PATH", Some("claude-mesh install --project"));
}

#[test]
fn inspect_reports_hooks_and_server_of_two_installations() {
    let home = Home::new();
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
    let home = Home::new();
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
    let home = Home::with_files(&[(
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
        refused.mend.as_deref(),
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
    let home = Home::new();
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
    let home = Home::with_files(&[(
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
    let home = Home::with_files(&[(
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
    let home = Home::with_files(&[(InstallScope::User, "servers", "{\n  oops\n}")]);
    home.assert_problem("line 2, column 3", None);
    assert!(
        home.findings(Severity::Problem)
            .iter()
            .all(|it| !it.text.contains("no server"))
    );
}

#[test]
fn findings_serialize_to_json() {
    let home = Home::new();
    let findings = serde_json::to_value(inspect(&home.places)).unwrap();
    assert_eq!(
        findings[0],
        json!({"severity": "problem", "text": "no server entry is wired", "mend": "claude-mesh install"})
    );
}
