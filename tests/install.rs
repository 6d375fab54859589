//! claude-mesh goes into Claude Code's files and out again, and nothing else in them is touched.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use claude_mesh::setup::{
    Applied, Error, Finding, Options, Places, Scope, Severity, Wake, inspect, install, uninstall,
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
    places: Places,
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
        let mut places = Places::new(&home, None, &programs).in_project(&project);
        places.search_path = vec![programs];
        Self { root, places }
    }

    fn with(files: &[(Scope, &str, &str)]) -> Self {
        let home = Self::new();
        for (scope, kind, content) in files {
            write(&home.file(*scope, kind), content, 0o600);
        }
        home
    }

    fn file(&self, scope: Scope, kind: &str) -> PathBuf {
        let file = match kind {
            "servers" => self.places.servers_file(scope),
            _ => self.places.settings_file(scope),
        };
        file.expect("the project folder is there")
    }

    fn settings(&self) -> PathBuf {
        self.file(Scope::User, "settings")
    }

    fn servers(&self) -> PathBuf {
        self.file(Scope::User, "servers")
    }

    #[track_caller]
    fn install(&self, scope: Scope) -> Applied {
        self.install_with(scope, Options::default())
    }

    #[track_caller]
    fn install_with(&self, scope: Scope, options: Options) -> Applied {
        let plan = install(&self.places, scope, options).expect("the files are sound");
        plan.apply(now()).expect("the folders can be written")
    }

    #[track_caller]
    fn wake(&self, scope: Scope, wake: Wake) -> Applied {
        let wake = Some(wake);
        self.install_with(
            scope,
            Options {
                wake,
                ..Options::default()
            },
        )
    }

    #[track_caller]
    fn uninstall(&self, scope: Scope) -> Applied {
        let plan = uninstall(&self.places, scope).expect("the files are sound");
        plan.apply(now()).expect("the folders can be written")
    }

    /// Every file below the root but our programs, with its content.
    fn everything(&self) -> Vec<(String, String)> {
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
fn a_first_install_makes_both_files_for_their_owner_only() {
    let home = Home::new();
    let applied = home.install(Scope::User);
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
fn installing_twice_writes_nothing_the_second_time() {
    for scope in [Scope::User, Scope::Project, Scope::Local] {
        let home = Home::with(&[(scope, "settings", "{\"model\": \"opus\"}")]);
        home.install(scope);
        let before = home.everything();
        assert!(
            install(&home.places, scope, Options::default())
                .unwrap()
                .is_empty()
        );
        assert!(home.install(scope).written.is_empty());
        assert_eq!(home.everything(), before);
    }
}

#[test]
fn a_hook_that_waits_goes_in_when_asked_for_stays_and_goes_out_again() {
    for scope in [Scope::User, Scope::Project, Scope::Local] {
        let before = "{\n  \"model\": \"opus\"\n}\n";
        let home = Home::with(&[(scope, "settings", before)]);
        let settings = home.file(scope, "settings");
        home.install(scope);
        let plain = read(&settings);
        assert!(!plain.contains("claude-mesh-inbox-wait"));
        home.wake(scope, Wake::Rewake);
        let waiting = read(&settings);
        for event in ["SessionStart", "Stop"] {
            let hook = &json_of(&settings)["hooks"][event][1]["hooks"][0];
            let command = hook["command"].as_str().unwrap();
            assert!(command.ends_with("claude-mesh-inbox-wait"), "{hook}");
            assert_eq!(hook["asyncRewake"], true);
        }
        assert!(home.wake(scope, Wake::Rewake).written.is_empty());
        assert!(home.install(scope).written.is_empty());
        home.wake(scope, Wake::Inbox);
        assert_eq!(read(&settings), plain);
        home.wake(scope, Wake::Rewake);
        assert_eq!(read(&settings), waiting);
        home.uninstall(scope);
        assert_eq!(read(&settings), before);
    }
}

#[test]
fn a_backup_holds_what_the_file_was_and_is_as_private() {
    let home = Home::with(&[(Scope::User, "servers", "{\"oauth\": \"secret\"}")]);
    let applied = home.install(Scope::User);
    let backup = applied.written[1].backup.clone().unwrap();
    assert_eq!(
        backup.file_name().unwrap(),
        ".claude.json.claude-mesh-20261121T021500Z.bak"
    );
    assert_eq!(read(&backup), "{\"oauth\": \"secret\"}");
    assert_eq!((mode(&backup), mode(&home.servers())), (0o600, 0o600));
}

#[test]
fn the_mode_of_a_file_is_kept() {
    for kept in [0o600, 0o644, 0o640, 0o400] {
        let home = Home::new();
        write(&home.settings(), "{}", kept);
        let applied = home.install(Scope::User);
        assert_eq!(mode(&home.settings()), kept);
        assert_eq!(mode(applied.written[0].backup.as_ref().unwrap()), kept);
    }
}

#[test]
fn two_backups_in_one_second_do_not_overwrite_each_other() {
    let home = Home::with(&[(Scope::User, "settings", "{\"a\": 1}")]);
    home.install(Scope::User);
    let wired = read(&home.settings());
    let applied = home.uninstall(Scope::User);
    let second = applied.written[0].backup.clone().unwrap();
    assert!(second.ends_with("settings.json.claude-mesh-20261121T021500Z.2.bak"));
    assert_eq!(read(&second), wired);
    assert_eq!(read(&home.settings()), "{\"a\": 1}");
}

#[test]
fn a_file_that_we_made_goes_when_we_go() {
    for scope in [Scope::User, Scope::Project, Scope::Local] {
        let home = Home::new();
        home.install(scope);
        assert!(!home.everything().is_empty());
        assert!(home.uninstall(scope).written.iter().all(|it| it.removed));
        assert_eq!(home.everything(), []);
        assert!(home.uninstall(scope).written.is_empty());
    }
}

#[test]
fn a_file_that_we_made_goes_even_after_a_later_change_of_ours() {
    let home = Home::new();
    home.install(Scope::User);
    let options = Options {
        confirm_answers: true,
        ..Options::default()
    };
    let plan = install(&home.places, Scope::User, options).unwrap();
    assert_eq!(plan.changes().len(), 1);
    plan.apply(now()).unwrap();
    home.uninstall(Scope::User);
    assert!(!home.settings().exists());
}

#[test]
fn an_empty_object_that_was_there_before_stays() {
    let home = Home::with(&[
        (Scope::User, "settings", "{}\n"),
        (Scope::User, "servers", "{}"),
    ]);
    home.install(Scope::User);
    home.uninstall(Scope::User);
    assert_eq!(read(&home.settings()), "{}\n");
    assert_eq!(read(&home.servers()), "{}");
}

#[test]
fn a_linked_file_is_rewritten_where_it_lies_and_the_link_stays() {
    let home = Home::new();
    let real = home.root.path().join("dotfiles/claude.json");
    write(&real, "{\"model\": \"opus\"}\n", 0o644);
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("../../dotfiles/claude.json", home.settings()).unwrap();
    let applied = home.install(Scope::User);
    assert!(home.settings().is_symlink());
    assert_eq!(
        json_of(&real)["permissions"]["allow"],
        json!(["mcp__claude-mesh"])
    );
    assert_eq!(mode(&real), 0o644);
    let backup = applied.written[0].backup.clone().unwrap();
    assert_eq!(backup.parent(), home.settings().parent());
    home.uninstall(Scope::User);
    assert_eq!(read(&real), "{\"model\": \"opus\"}\n");
}

#[test]
fn a_link_to_nowhere_gets_its_file_and_a_circle_is_refused() {
    let home = Home::new();
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("../elsewhere/s.json", home.settings()).unwrap();
    home.install(Scope::User);
    assert!(home.settings().is_symlink());
    assert!(json_of(&home.places.home.join("elsewhere/s.json"))["hooks"].is_object());

    let home = Home::new();
    fs::create_dir_all(&home.places.claude_dir).unwrap();
    symlink("settings.json", home.settings()).unwrap();
    let refused = install(&home.places, Scope::User, Options::default()).unwrap_err();
    assert!(refused.to_string().contains("circle"), "{refused}");
}

#[test]
fn one_broken_file_means_that_none_is_written() {
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
        let home = Home::with(&[
            (Scope::User, "settings", "{}"),
            (Scope::User, "servers", broken),
        ]);
        let before = home.everything();
        match install(&home.places, Scope::User, Options::default()) {
            Err(Error::Broken {
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
        assert_eq!(home.everything(), before);
    }
}

#[test]
fn settings_with_something_else_where_ours_belongs_are_refused() {
    for (broken, line, column) in [
        ("{\n\"hooks\": []}", 2, 10),
        ("{\"hooks\": {\n\"Stop\": {}}}", 2, 9),
        ("{\"model\": \"opus\",\n \"permissions\": true}", 2, 17),
        ("{\n\n\"permissions\": {\"allow\": \"all\"}}", 3, 26),
        ("{\"hooks\": {\n\"Stop\": [], \"Stop\": []}}", 2, 13),
    ] {
        let home = Home::with(&[(Scope::User, "settings", broken)]);
        match install(&home.places, Scope::User, Options::default()) {
            Err(Error::Broken {
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
fn a_file_that_changed_after_planning_keeps_that_change() {
    let home = Home::with(&[(Scope::User, "servers", "{\n  \"numStartups\": 1\n}\n")]);
    let plan = install(&home.places, Scope::User, Options::default()).unwrap();
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
    let backups = home.everything();
    let backups = backups.iter().filter(|(name, _)| name.contains(".bak"));
    assert_eq!(
        backups.count(),
        1,
        "the backup of the superseded content is gone"
    );
}

#[test]
fn a_file_that_broke_after_planning_stops_the_work_and_says_what_was_done() {
    let home = Home::with(&[(Scope::User, "servers", "{}")]);
    let plan = install(&home.places, Scope::User, Options::default()).unwrap();
    write(&home.servers(), "{\"half\": ", 0o600);
    let halted = plan.apply(now()).unwrap_err();
    assert!(matches!(halted.error, Error::Broken { .. }));
    assert_eq!(halted.applied.written.len(), 1);
    assert_eq!(halted.applied.written[0].path, home.settings());
    assert_eq!(read(&home.servers()), "{\"half\": ");
}

#[test]
fn a_folder_that_takes_no_file_leaves_everything_as_it_was() {
    // Rights do not bind root, so the folder is no folder: the same step fails, for everyone.
    let mut home = Home::with(&[(Scope::User, "settings", "{}")]);
    let folder = home.places.home.join("gone");
    home.places.claude_json = folder.join(".claude.json");
    let plan = install(&home.places, Scope::User, Options::default()).unwrap();
    write(&folder, "in the way", 0o600);
    let before = home.everything();
    let halted = plan.apply(now()).unwrap_err();
    assert!(halted.applied.written.is_empty());
    assert!(matches!(halted.error, Error::Io { .. }), "{}", halted.error);
    assert_eq!(
        home.everything(),
        before,
        "no temporary file, no backup is left"
    );
    assert!(install(&home.places, Scope::User, Options::default()).is_err());
}

#[test]
fn what_is_not_a_file_is_not_written() {
    let home = Home::new();
    fs::create_dir_all(home.settings()).unwrap();
    let refused = install(&home.places, Scope::User, Options::default()).unwrap_err();
    assert!(refused.to_string().ends_with("not a file"), "{refused}");
}

#[test]
fn a_project_gets_bare_names_and_no_path_of_this_machine() {
    let home = Home::new();
    home.install(Scope::Project);
    let (settings, servers) = (
        home.file(Scope::Project, "settings"),
        home.file(Scope::Project, "servers"),
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
fn the_server_of_a_project_stays_while_its_other_settings_use_it() {
    let home = Home::new();
    home.install(Scope::Project);
    home.install(Scope::Local);
    let servers = home.file(Scope::Local, "servers");
    home.uninstall(Scope::Local);
    assert!(servers.exists());
    home.uninstall(Scope::Project);
    assert!(!servers.exists());
}

#[test]
fn a_project_must_be_there_before_it_is_wired() {
    let home = Home::new();
    let nowhere = home
        .places
        .clone()
        .in_project(&home.root.path().join("nope"));
    let refused = install(&nowhere, Scope::Project, Options::default());
    assert!(matches!(refused, Err(Error::Unusable { .. })));
    let none = Places::new(&home.places.home, None, &home.places.programs);
    assert!(uninstall(&none, Scope::Local).is_err());
}

#[test]
fn a_moved_config_folder_holds_both_files() {
    let home = Home::new();
    let moved = home.places.home.join("elsewhere/claude");
    let places = Places::new(&home.places.home, Some(&moved), &home.places.programs);
    let plan = install(&places, Scope::User, Options::default()).unwrap();
    plan.apply(now()).unwrap();
    assert!(moved.join("settings.json").exists() && moved.join(".claude.json").exists());
    let unset = Places::new(
        &home.places.home,
        Some(Path::new("")),
        &home.places.programs,
    );
    assert_eq!(unset.claude_json, home.places.home.join(".claude.json"));
}

#[test]
fn a_change_is_shown_without_the_secrets_around_it() {
    let home = Home::with(&[(
        Scope::User,
        "servers",
        "{\n  \"oauthToken\": \"hunter2\",\n  \"id\": \"0f3a9c81d2e47b56\"\n}\n",
    )]);
    let plan = install(&home.places, Scope::User, Options::default()).unwrap();
    let (before, after) = plan.changes()[1].shown();
    assert!(!before.contains("hunter2") && !after.contains("hunter2"));
    assert!(!after.contains("0f3a9c81d2e47b56"));
    assert!(after.contains("claude-mesh-server"));
}

#[test]
fn after_an_install_nothing_is_wrong() {
    for scope in [Scope::User, Scope::Project, Scope::Local] {
        let home = Home::new();
        home.install(scope);
        assert_eq!(home.findings(Severity::Problem), []);
        assert_eq!(home.findings(Severity::Note), []);
        assert_eq!(home.findings(Severity::Ok).len(), 3);
    }
}

#[test]
fn before_an_install_server_and_hooks_are_missed() {
    let home = Home::new();
    home.assert_problem("no server entry", Some("claude-mesh install"));
    home.assert_problem("no hook is wired", Some("claude-mesh install"));
    home.assert_note("no permission rule");
}

#[test]
fn hooks_wired_for_the_person_and_for_the_project_are_noticed() {
    let home = Home::new();
    home.install(Scope::User);
    home.install(Scope::Project);
    home.assert_problem(
        "each hook runs more than once",
        Some("claude-mesh uninstall --project"),
    );
}

#[test]
fn the_guard_is_wired_on_request_and_a_later_plain_install_leaves_it() {
    let home = Home::new();
    home.install(Scope::User);
    let plain = read(&home.settings());
    assert!(!plain.contains("claim-guard"));
    let guarded = Options {
        guard: true,
        ..Options::default()
    };
    let plan = install(&home.places, Scope::User, guarded).unwrap();
    plan.apply(now()).unwrap();
    let settings = json_of(&home.settings());
    let group = &settings["hooks"]["PreToolUse"][0];
    assert_eq!(group["matcher"], "Edit|Write|MultiEdit|NotebookEdit");
    let program = home.places.programs.join("claude-mesh-claim-guard");
    assert_eq!(group["hooks"][0]["command"], program.to_str().unwrap());
    for options in [guarded, Options::default()] {
        let again = install(&home.places, Scope::User, options).unwrap();
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
    home.uninstall(Scope::User);
    assert!(!home.settings().exists());
}

#[test]
fn the_guard_of_every_tool_is_judged_by_the_tools_it_is_for() {
    let home = Home::new();
    home.install(Scope::User);
    let mut settings = json_of(&home.settings());
    let program = home.places.programs.join("claude-mesh-claim-guard");
    settings["hooks"]["PreToolUse"] = serde_json::json!([{ "matcher": "Write", "hooks": [
        { "type": "command", "command": program, "args": [], "timeout": 5 }
    ] }]);
    write(&home.settings(), &settings.to_string(), 0o600);
    home.assert_problem("PreToolUse is not wired", Some("claude-mesh install"));
    home.install(Scope::User);
    assert_eq!(home.findings(Severity::Problem), []);
}

#[test]
fn a_missing_or_unusable_program_is_noticed() {
    let home = Home::new();
    home.install(Scope::User);
    let poll = home.places.programs.join("claude-mesh-inbox-poll");
    write(&poll, "#!/bin/sh\n", 0o644);
    home.assert_problem("cannot be executed", Some("claude-mesh install"));
    fs::remove_file(home.places.programs.join("claude-mesh-server")).unwrap();
    home.assert_problem("does not exist", Some("claude-mesh install"));
}

#[test]
fn a_bare_name_is_looked_up_where_claude_code_would() {
    let mut home = Home::new();
    home.install(Scope::Project);
    home.places.search_path.clear();
    home.assert_problem("is not in PATH", Some("claude-mesh install --project"));
}

#[test]
fn hooks_and_server_of_two_installations_are_noticed() {
    let home = Home::new();
    home.install(Scope::User);
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
fn an_older_form_of_a_hook_is_noticed_and_mended() {
    let home = Home::new();
    home.install(Scope::User);
    let mut settings = json_of(&home.settings());
    let hook = &mut settings["hooks"]["SessionEnd"][0]["hooks"][0];
    hook.as_object_mut().unwrap().remove("args");
    settings["hooks"]["Stop"] = json!([]);
    write(&home.settings(), &settings.to_string(), 0o600);
    home.assert_note("SessionEnd runs through a shell");
    home.assert_problem("Stop is not wired", Some("claude-mesh install"));
    home.install(Scope::User);
    assert_eq!(home.findings(Severity::Problem), []);
    assert_eq!(home.findings(Severity::Note), []);
}

#[test]
fn the_way_idle_sessions_are_woken_is_told() {
    let home = Home::with(&[(
        Scope::User,
        "settings",
        r#"{"crossSessionInbound": "refuse"}"#,
    )]);
    home.install(Scope::User);
    let [refused] = &home.findings(Severity::Note)[..] else {
        panic!("{:#?}", inspect(&home.places));
    };
    assert!(refused.text.contains("not woken by its inbox"));
    assert_eq!(
        refused.mend.as_deref(),
        Some("claude-mesh install --wake rewake")
    );
    home.wake(Scope::User, Wake::Rewake);
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
fn a_waiting_hook_that_would_hold_up_its_session_is_noticed_and_mended() {
    let home = Home::new();
    home.wake(Scope::User, Wake::Rewake);
    let held_up = read(&home.settings()).replace("\"asyncRewake\": true", "\"async\": false");
    write(&home.settings(), &held_up, 0o600);
    home.assert_problem("the entry lacks asyncRewake", Some("claude-mesh install"));
    fs::remove_file(home.places.programs.join("claude-mesh-inbox-wait")).unwrap();
    home.install(Scope::User);
    home.assert_problem("does not exist", Some("claude-mesh install"));
}

#[test]
fn switches_that_silence_us_are_noticed() {
    let home = Home::with(&[(
        Scope::Local,
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
fn a_mesh_chosen_where_hooks_do_not_see_it_is_noticed() {
    let home = Home::with(&[(
        Scope::User,
        "servers",
        r#"{"mcpServers": {"claude-mesh": {"command": "claude-mesh-server",
            "env": {"MESH_DB_PATH": "/x", "CLAUDE_MESH_PROJECT_PATH": "/y"}}}}"#,
    )]);
    home.assert_problem("hooks do not see it", None);
    home.assert_problem(
        "takes every session for one project",
        Some("claude-mesh install"),
    );
}

#[test]
fn a_broken_file_is_a_finding_and_not_taken_for_a_missing_entry() {
    let home = Home::with(&[(Scope::User, "servers", "{\n  oops\n}")]);
    home.assert_problem("line 2, column 3", None);
    assert!(
        home.findings(Severity::Problem)
            .iter()
            .all(|it| !it.text.contains("no server"))
    );
}

#[test]
fn findings_are_plain_data() {
    let home = Home::new();
    let findings = serde_json::to_value(inspect(&home.places)).unwrap();
    assert_eq!(
        findings[0],
        json!({"severity": "problem", "text": "no server entry is wired", "mend": "claude-mesh install"})
    );
}
