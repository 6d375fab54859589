//! Installing at the command line: the printed diff, options, refusals.
use std::process::Command;

use serde_json::Value;

use super::fixture::{CliFixture, finding};
use crate::support::{ProcessOutput, program};

// Requirement: Mesh 19
#[test]
fn cli_install_prints_its_diff_and_is_idempotent() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write(".claude/settings.json", "{\n  \"model\": \"opus\"\n}\n");
    let settings =
        || std::fs::read_to_string(fixture.world.home().join(".claude/settings.json")).unwrap();
    let before = settings();
    let dry = fixture.run_ok(&["install", "--dry-run"]);
    assert!(
        dry.contains("+      \"mcp__claude-mesh\"") && dry.contains("--- ~/.claude.json"),
        "{dry}"
    );
    assert!(dry.ends_with("nothing was written (--dry-run)\n"), "{dry}");
    assert_eq!(settings(), before);

    let mut client = Command::new("sleep").arg("60").spawn().unwrap();
    fixture.register(client.id(), &fixture.folder);
    let reported = fixture.run_ok(&["install"]);
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(
        reported.contains("wrote ~/.claude/settings.json (before: ~/.claude/settings.json"),
        "{reported}"
    );
    assert!(
        reported
            .ends_with("1 session is open now: it joins after a restart (`claude --continue`)\n"),
        "{reported}"
    );
    assert!(settings().contains("claude-mesh-inbox-poll") && settings().contains("\"opus\""));
    assert_eq!(
        fixture.run_ok(&["install"]),
        "nothing to do: claude-mesh is installed already\n"
    );

    let out: Value = serde_json::from_str(&fixture.run_ok(&["uninstall", "--json"])).unwrap();
    assert_eq!(out["written"].as_array().unwrap().len(), 2, "{out}");
    assert_eq!(settings(), before);
}

#[test]
fn killed_install_leaves_whole_files_and_the_next_one_goes_on() {
    let files = [".claude.json", ".claude/settings.json"];
    let before = [
        "{\n  \"theme\": \"dark\"\n}\n",
        "{\n  \"model\": \"opus\"\n}\n",
    ];
    let mut kills = 0;
    for passage in 1.. {
        let mut fixture = CliFixture::new();
        for (file, content) in files.iter().zip(before) {
            fixture.world.write(file, content);
        }
        let point = format!("before-settings-rename@{passage}");
        fixture.world.set("CLAUDE_MESH_KILL_AT", &point);
        let ran = fixture.run(&["install"]);
        fixture.world.environment.remove("CLAUDE_MESH_KILL_AT");
        let read = |file: &str| std::fs::read_to_string(fixture.world.home().join(file)).unwrap();
        for file in files {
            serde_json::from_str::<Value>(&read(file)).expect("a whole file");
        }
        if ran.code == Some(0) {
            break;
        }
        assert_eq!(ran.code, None, "{ran:?}");
        kills += 1;
        fixture.run_ok(&["install"]);
        assert!(read(files[1]).contains("claude-mesh-inbox-poll"));
        fixture.run_ok(&["uninstall"]);
        assert_eq!(files.map(read), before);
    }
    assert_eq!(kills, files.len(), "each file is replaced once");
}

#[test]
fn cli_install_adds_the_rewake_hook_on_request() {
    let fixture = CliFixture::new();
    let reported = fixture.run_ok(&["install", "--wake", "rewake"]);
    assert!(
        reported.contains("+            \"asyncRewake\": true"),
        "{reported}"
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "claude-mesh-inbox-wait 0.")["severity"],
        "ok"
    );
    let wake = finding(&found, "wake: a hook waits");
    assert_eq!(wake["severity"], "ok");
    let reported = fixture.run_ok(&["install", "--wake", "inbox"]);
    assert!(
        reported.contains("-            \"asyncRewake\": true"),
        "{reported}"
    );
    let ran = fixture.run(&["install", "--wake", "sometimes"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn cli_install_writes_the_mod_for_the_user_only() {
    let fixture = CliFixture::new();
    let dry = fixture.run_ok(&["install", "--mod", "--dry-run"]);
    let file = "~/.claude-mesh/mod/mesh/hooks/register.js";
    assert!(dry.contains(&format!("+++ {file}\n")), "{dry}");
    assert!(!dry.contains("export function"), "{dry}");
    assert!(dry.contains("+    \"mesh@claude-mesh-mod\": true"), "{dry}");
    let reported = fixture.run_ok(&["install", "--mod"]);
    assert!(reported.contains(&format!("wrote {file}\n")), "{reported}");
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "mod: installed")["severity"], "ok");
    let removed = fixture.run_ok(&["uninstall"]);
    assert!(removed.contains(&format!("removed {file}\n")), "{removed}");
    for scope in ["--project", "--local"] {
        let ran = fixture.run(&["install", "--mod", scope]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

#[test]
fn cli_install_keeps_an_unparsable_settings_file_unchanged() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write(".claude/settings.json", "{\n  \"model\": opus\n}\n");
    let (code, reported) = fixture.run_refused(&["install"]);
    assert_eq!(code, "storage");
    assert!(
        reported.contains("line 2, column 12") && reported.contains("untouched"),
        "{reported}"
    );
    assert!(!fixture.world.home().join(".claude.json").exists());
}

#[test]
fn cli_install_project_writes_project_files() {
    let fixture = CliFixture::new();
    let reported = fixture.run_ok(&["install", "--project"]);
    assert!(
        reported.contains("wrote ~/own/.mcp.json") && reported.contains("is not on your PATH"),
        "{reported}"
    );
    let entry = std::fs::read_to_string(fixture.folder.join(".mcp.json")).unwrap();
    assert!(
        entry.contains("CLAUDE_MESH_PROJECT_PATH") && !entry.contains("/claude-mesh-server"),
        "{entry}"
    );
    fixture.run_ok(&["uninstall", "--project"]);
    assert!(!fixture.folder.join(".mcp.json").exists());
    let ran = fixture
        .world
        .cli(&fixture.world.home(), &["install", "--project"]);
    assert!(
        ran.err.contains("the home folder is not a project"),
        "{ran:?}"
    );
}

// Requirement: Ask 4
#[test]
fn cli_install_fails_without_its_sibling_programs() {
    let fixture = CliFixture::new();
    let own = std::fs::read(program("claude-mesh")).unwrap();
    let alone = fixture.world.executable("bin/claude-mesh", &own);
    let output = fixture
        .world
        .command(alone.to_str().unwrap(), &fixture.folder)
        .arg("install")
        .output()
        .unwrap();
    let ran = ProcessOutput::of(&output);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.starts_with("claude-mesh: claude-mesh-server, ")
            && ran.err.contains(", claude-mesh-session-start, "),
        "{ran:?}"
    );
    assert!(!fixture.world.home().join(".claude.json").exists());
}
