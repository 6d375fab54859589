//! `claude-mesh key`: what it prints, which mesh it uses, who may run it, and that a running hub follows it.
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::fixture::CliFixture;
use crate::support::{Hub, ProcessOutput, program};

/// Runs `claude-mesh key` with JSON output, which must succeed.
#[track_caller]
fn key(fixture: &CliFixture, arguments: &[&str]) -> Value {
    let ran = fixture.run(&[&["key"], arguments, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

#[test]
fn key_is_created_listed_rotated_and_revoked() {
    let fixture = CliFixture::new();
    let hub = Hub::start(&fixture.world);
    let created = key(&fixture, &["create", "--peer", "ci", "--expires", "30d"]);
    assert_eq!([&created["peer"], &created["scope"]], ["ci", "write"]);
    assert!(created["expires_at"].is_string(), "{created}");
    let text = created["key"].as_str().unwrap();
    assert_eq!(hub.get("/v1/status", text).0, 200);

    let rotated = key(&fixture, &["rotate", "ci"]);
    assert_eq!(rotated["expires_at"], created["expires_at"]);
    assert_eq!(hub.get("/v1/status", text).0, 401);
    let text = rotated["key"].as_str().unwrap();
    assert_eq!(hub.get("/v1/status", text).0, 200);

    let revoked = key(&fixture, &["revoke", "ci"]);
    assert_eq!(revoked["revoked"][0], rotated["id"]);
    let (status, body) = hub.get("/v1/status", text);
    let message = body["error"]["message"].as_str().unwrap();
    assert_eq!((status, message), (401, "the key was revoked"));
    let again = fixture.run(&["key", "revoke", "ci", "--json"]);
    assert_eq!(again.json()["error"]["code"], "not_found");
}

#[test]
fn list_has_the_last_use_and_never_the_key() {
    let fixture = CliFixture::new();
    let hub = Hub::start(&fixture.world);
    let created = key(
        &fixture,
        &["create", "--host", "build-2", "--scope", "read"],
    );
    let used = key(&fixture, &["create", "--peer", "ci"]);
    let text = used["key"].as_str().unwrap();
    assert_eq!(hub.get("/v1/status", text).0, 200);
    crate::support::wait_until("the use is recorded", || {
        let listed = key(&fixture, &["list"]);
        let mut keys = listed["keys"].as_array().unwrap().iter();
        keys.any(|it| it["id"] == used["id"] && it["last_used_at"].is_string())
    });
    let listed = key(&fixture, &["list"]);
    let keys = listed["keys"].as_array().unwrap();
    let host = keys.iter().find(|it| it["host"] == "build-2").unwrap();
    assert_eq!(
        [&host["scope"], &host["id"]],
        [&"read".into(), &created["id"]]
    );
    assert_eq!(host["last_used_at"], Value::Null);
    let table = fixture.run_ok(&["key", "list"]);
    assert!(
        table.contains("host build-2") && table.contains("never"),
        "{table}"
    );
    for output in [listed.to_string(), table] {
        assert!(!output.contains("cmk_"), "{output}");
    }
}

#[test]
fn text_output_has_the_key_alone_on_stdout() {
    let fixture = CliFixture::new();
    let ran = fixture.run(&["key", "create", "--peer", "ci"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 1), "{ran:?}");
    assert!(ran.out.starts_with("cmk_") && ran.err.contains("scope write"));
}

#[test]
fn key_belongs_to_the_mesh_of_the_folder_or_the_named_one() {
    let fixture = CliFixture::new();
    let team = fixture.world.project("team");
    fixture.run_ok(&["wall", team.to_str().unwrap(), "team"]);
    let ran = fixture
        .world
        .cli(&team, &["key", "create", "--peer", "ci", "--json"]);
    let here = key(&fixture, &["list"]);
    assert_eq!(here["keys"].as_array().unwrap().len(), 0, "{here}");
    let there = key(&fixture, &["list", "--mesh", "team"]);
    assert_eq!(there["keys"][0]["id"], ran.json()["id"]);
    let unknown = fixture.run(&["key", "list", "--mesh", "other", "--json"]);
    assert_eq!(unknown.json()["error"]["code"], "not_found");
}

#[test]
fn invalid_holders_are_refused() {
    let fixture = CliFixture::new();
    for holder in [["--peer", "http-local"], ["--peer", "…"], ["--host", "a b"]] {
        let ran = fixture.run(&[&["key", "create"][..], &holder, &["--json"]].concat());
        let error = &ran.json()["error"];
        assert_eq!(error["code"], "invalid_argument", "{ran:?}");
    }
    let without = fixture.run(&["key", "create"]);
    assert_eq!(without.code, Some(2));
    assert!(
        without.err.contains("<--peer <NAME>|--host <NAME>>"),
        "{without:?}"
    );
}

#[test]
fn refused_rotation_names_the_command_that_lists_keys() {
    let fixture = CliFixture::new();
    let ran = fixture.run(&["key", "rotate", "nobody", "--json"]);
    let error = &ran.json()["error"];
    assert_eq!(error["code"], "conflict");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("`claude-mesh key list`"), "{hint}");
}

#[test]
fn session_shell_may_manage_no_keys_and_open_no_board() {
    let fixture = CliFixture::new();
    let script = format!(
        "read go; for words in 'key create --peer x' 'key list' 'key revoke x' 'key rotate x' board; do \"{}\" $words; done; :",
        program("claude-mesh")
    );
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &fixture.world.project("cy"));
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let ran = ProcessOutput::of(&shell.wait_with_output().unwrap());
    assert_eq!(ran.err.matches("is for the person").count(), 5, "{ran:?}");
    assert_eq!(ran.out, "");
}
