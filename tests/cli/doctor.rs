//! `doctor`: each problem is found and named with its fix.

use serde_json::json;

use super::fixture::{CliFixture, finding};

#[test]
fn doctor_reports_problems_with_their_fix() {
    let fixture = CliFixture::new();
    let ran = fixture.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(1));
    let found = ran.json();
    assert_eq!(found["ok"], false);
    let unwired = finding(&found, "no server entry is wired");
    assert_eq!(
        (&unwired["severity"], &unwired["mend"]),
        (&json!("problem"), &json!("claude-mesh install"))
    );
    assert_eq!(finding(&found, "no database yet")["severity"], "note");
    assert_eq!(
        finding(&found, "claude-mesh-inbox-poll 0.")["severity"],
        "ok"
    );
    fixture.run_ok(&["install"]);
    let _ada = fixture.peer("ada");
    let ran = fixture.run(&["doctor", "--json"]);
    let found = ran.json();
    assert_eq!(
        (ran.code, &found["ok"]),
        (Some(0), &json!(true)),
        "{found:#}"
    );
    assert_eq!(finding(&found, "claude-mesh-server 0.")["severity"], "ok");
    assert_eq!(finding(&found, "hooks: 4 wired")["severity"], "ok");
    assert_eq!(finding(&found, "database: schema")["severity"], "ok");
    assert_eq!(finding(&found, "mesh default here")["severity"], "ok");
    let text = fixture.run(&["doctor"]).out;
    assert!(
        text.contains("ok       hooks: 4 wired (~/.claude/settings.json)"),
        "{text}"
    );
}

#[test]
fn doctor_notes_a_database_path_set_only_in_this_shell() {
    let mut fixture = CliFixture::new();
    let other = fixture.world.home().join("other.db");
    fixture.world.set("MESH_DB_PATH", other.to_str().unwrap());
    let found = fixture.run(&["doctor", "--json"]).json();
    let note = finding(&found, "this shell uses ~/other.db");
    assert_eq!(note["severity"], "note");
    assert!(
        note["mend"]
            .as_str()
            .unwrap()
            .contains("~/.claude-mesh/.env")
    );
}

#[test]
fn doctor_reports_silently_ignored_settings() {
    let fixture = CliFixture::new();
    fixture.world.write(
        ".claude-mesh/.env",
        "\u{feff}CLAUDE_MESH_SYNC=full\nCLAUDE_MESH_NAME=front\n",
    );
    fixture.world.write(
        "own/.claude-mesh.json",
        "\u{feff}{ \"topics\": [\"ops\", \"two words\"] }",
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    let misplaced = finding(
        &found,
        "CLAUDE_MESH_NAME in ~/.claude-mesh/.env has no effect",
    );
    assert_eq!(misplaced["severity"], "note");
    assert!(!found.to_string().contains("CLAUDE_MESH_SYNC"));
    let topic = finding(&found, "a topic in ~/own/.claude-mesh.json is ignored");
    assert!(
        topic["text"]
            .as_str()
            .unwrap()
            .ends_with("got \"two words\"")
    );
}

#[test]
fn cli_reports_a_database_path_that_is_not_a_file() {
    let mut fixture = CliFixture::new();
    fixture.world.set("MESH_DB_PATH", "/dev/null");
    let ran = fixture.run(&["state", "set", "a", "1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("hint: "), "{ran:?}");
    assert!(!ran.err.contains("chmod"), "{ran:?}");
    if rustix::process::geteuid().is_root() {
        assert!(ran.err.contains("/dev/null: it is not a file"), "{ran:?}");
    }
}

#[test]
fn doctor_reports_foreign_database_recent_fault_and_old_client() {
    let mut fixture = CliFixture::new();
    fixture.world.write(
        ".claude-mesh/mesh.db",
        "not a database at all, but a note of some length: milk, bread, butter, eggs",
    );
    fixture.world.write(
        ".claude-mesh/faults.log",
        "2999-01-01T00:00:00.000Z claude-mesh-inbox-poll disk is full\n2001-01-01T00:00:00.000Z old\n",
    );
    let old = b"#!/bin/sh\necho '2.1.100 (Claude Code)'\n";
    fixture.world.executable("bin/claude", old);
    let path = format!(
        "{}:/usr/bin:/bin",
        fixture.world.home().join("bin").display()
    );
    fixture.world.set("PATH", &path);
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "file is not a database")["severity"],
        "problem"
    );
    assert_eq!(finding(&found, "disk is full")["severity"], "note");
    assert_eq!(finding(&found, "2.1.100")["mend"], "claude update");
    assert!(!found.to_string().contains("2001-01-01"));
    fixture.run_ok(&["install", "--wake", "rewake"]);
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "2.1.100")["severity"], "ok");
    let ran = fixture.run(&["peers"]);
    let hint = "file is not a database\nhint: nothing was changed. Close all sessions. `claude-mesh doctor --salvage ";
    assert!(ran.err.contains(hint), "{ran:?}");
}

#[test]
fn doctor_explains_how_to_recover_a_damaged_database() {
    let fixture = CliFixture::new();
    let path = fixture.world.database();
    let copy = "mesh.db.schema-2-20260101T000000000Z.bak";
    fixture
        .world
        .write(&format!(".claude-mesh/{copy}"), "a copy");
    let ada = fixture.peer("ada");
    drop(ada);
    let whole = std::fs::read(&path).unwrap();
    let cases = [
        (
            &b"garbage of more than some bytes "[..],
            "file is not a database",
        ),
        (&whole[..10_000], "damaged"),
        (&whole[..5_000], "damaged"),
    ];
    for (content, says) in cases {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
        std::fs::write(&path, content).unwrap();
        let found = fixture.run(&["doctor", "--json"]).json();
        let broken = finding(&found, says);
        assert_eq!(broken["severity"], "problem");
        let fix = broken["mend"].as_str().expect("the finding has a fix");
        let command = format!("`mv {0} {0}.damaged`", path.display());
        let salvage = format!("`claude-mesh doctor --salvage {}.saved`", path.display());
        for part in [command.as_str(), &salvage, copy, "Settings and walls"] {
            assert!(fix.contains(part), "{part:?} is not in {fix:?}");
        }
    }
    std::fs::rename(&path, path.with_extension("db.damaged")).unwrap();
    fixture.run_ok(&["state", "set", "a", "1"]);
}

#[test]
fn doctor_reports_a_mesh_folder_writable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = CliFixture::new();
    let folder = fixture.world.project(".claude-mesh");
    let mode = |mode| {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o777);
    let found = fixture.run(&["doctor", "--json"]).json();
    let open = finding(&found, "can be written by others");
    assert_eq!(open["severity"], "problem");
    assert!(!found.to_string().contains("no database yet"), "{found:#}");
    mode(0o700);
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "no database yet")["severity"], "note");
    assert!(!folder.join("mesh.db").exists());
}

#[test]
fn doctor_says_what_the_fork_setting_is() {
    let fixture = CliFixture::new();
    fixture.run_ok(&["install"]);
    let found = |setting: &str| {
        fixture.world.write(".claude-mesh/.env", setting);
        fixture.run(&["doctor", "--json"]).json()
    };
    let idle = found("CLAUDE_MESH_FORK=busy\n");
    let note = finding(&idle, "CLAUDE_MESH_FORK=busy has no effect without the mod");
    assert_eq!(
        (&note["severity"], &note["mend"]),
        (&json!("note"), &json!("claude-mesh install --mod"))
    );
    fixture.run_ok(&["install", "--mod"]);
    for (setting, text) in [
        ("", "forks answer for no session (CLAUDE_MESH_FORK=off)"),
        (
            "CLAUDE_MESH_FORK=busy\nCLAUDE_MESH_FORK_BUDGET=3\n",
            "forks answer for sessions (CLAUDE_MESH_FORK=busy), at most 3 an hour for each",
        ),
        (
            "CLAUDE_MESH_FORK=always\n",
            "forks answer for sessions (CLAUDE_MESH_FORK=always), at most 20 an hour for each",
        ),
    ] {
        assert_eq!(finding(&found(setting), text)["severity"], "ok");
    }
}
