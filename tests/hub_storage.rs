//! A hub on a disk that cannot be written, on a database that another program has locked.
use std::path::PathBuf;
use std::time::{Duration, Instant};

use claude_mesh::model::access_key::KeyScope;
use serde_json::json;

use crate::support::private_mounts::{private_mount_command, with_mounts};
use crate::support::{Hub, Immutable, ProcessOutput, World, hubs_use_a_server, program, skip};

/// How long another program holds the write lock: longer than one attempt of a request, shorter than all of them.
const LOCKED: Duration = Duration::from_secs(10);

#[test]
fn hub_in_a_read_only_folder_does_not_start() {
    let Some(how) = private_mount_command("a hub in a read-only folder") else {
        return;
    };
    let mounts =
        "mount --bind \"$HOME\" \"$HOME\" && mount -o remount,bind,ro \"$HOME\" && cd \"$HOME\"";
    for begun in [false, true] {
        let world = World::new();
        if begun {
            Hub::start(&world).terminate();
        }
        let serve = "exec \"$CLI\" serve --addr 127.0.0.1:0 --json";
        let script = with_mounts(how, &format!("{mounts} && {serve}"));
        let output = world
            .command("/bin/sh", &world.home())
            .args(["-c", &script])
            .env("CLI", program("claude-mesh"))
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let error = &ran.json()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(".claude-mesh") && message.to_lowercase().contains("read-only"),
            "{ran:?}"
        );
        assert!(error["hint"].is_string(), "{ran:?}");
        assert!(!world.home().join(".claude-mesh/hub.json").exists());
    }
}

#[test]
fn hub_whose_files_become_read_only_reads_and_later_writes() {
    if hubs_use_a_server() {
        return skip("a hub over a file", "hubs use a server");
    }
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    let message = |text: &str| json!({ "to": "*", "body": text });
    assert_eq!(hub.post("/v1/messages", &key, message("first")).0, 201);
    let wal = PathBuf::from(format!("{}-wal", world.database().display()));
    let files: Vec<Option<Immutable>> = [wal, world.database()]
        .iter()
        .map(|path| Immutable::begin(path))
        .collect();
    if files.iter().any(Option::is_none) {
        skip(
            "files of a running hub that become read-only",
            "this user may not make files immutable here",
        );
        return;
    }
    for number in 0..3 {
        let (status, body) = hub.post("/v1/messages", &key, message("refused"));
        assert_eq!((status, &body["error"]["code"]), (500, &json!("storage")));
        let text = body["error"]["message"].as_str().unwrap();
        assert!(text.contains("mesh.db"), "{number}: {text}");
        let (status, list) = hub.get("/v1/messages?filter=all", &key);
        assert_eq!(status, 200, "{list}");
        assert_eq!(hub.request("GET", "/health").send().status, 200);
    }
    drop(files);
    let stored = hub.post("/v1/messages", &key, message("second"));
    assert_eq!(stored.0, 201, "{stored:?}");
    let rows = world.rows();
    let texts = "SELECT group_concat(body, ' ') FROM (SELECT body FROM message ORDER BY id)";
    let texts: String = rows.query_row(texts, [], |row| row.get(0)).unwrap();
    assert_eq!(texts, "first second", "what was refused is not stored");
    let check: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn write_waits_ten_seconds_for_the_lock_and_reads_go_on() {
    if hubs_use_a_server() {
        return skip("a hub over a file", "hubs use a server");
    }
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    for key in [&ada, &bo] {
        assert_eq!(hub.get("/v1/status", key).0, 200);
    }
    let rows = world.rows();
    rows.execute_batch("BEGIN IMMEDIATE").unwrap();
    let until = Instant::now() + LOCKED;
    std::thread::scope(|scope| {
        let message = json!({ "to": "*", "body": "hello" });
        let posted = scope.spawn(|| hub.post("/v1/messages", &ada, message));
        while Instant::now() < until {
            assert_eq!(hub.request("GET", "/health").send().status, 200);
            assert_eq!(hub.get("/v1/status", &bo).0, 200);
            assert_eq!(hub.get("/v1/claims", &bo).0, 200);
            assert!(!posted.is_finished());
        }
        rows.execute_batch("COMMIT").unwrap();
        let (status, body) = posted.join().unwrap();
        assert_eq!(status, 201, "{body}");
    });
    assert_eq!(hub.count_rows("message"), 1);
}

#[test]
fn write_gives_up_when_the_lock_is_never_free() {
    if hubs_use_a_server() {
        return skip("a hub over a file", "hubs use a server");
    }
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    assert_eq!(hub.get("/v1/status", &ada).0, 200);
    let rows = world.rows();
    rows.execute_batch("BEGIN IMMEDIATE").unwrap();
    let message = json!({ "to": "*", "body": "hello" });
    let (status, body) = hub.post("/v1/messages", &ada, message.clone());
    assert_eq!((status, &body["error"]["code"]), (503, &json!("storage")));
    assert!(body["error"]["hint"].is_string(), "{body}");
    rows.execute_batch("COMMIT").unwrap();
    assert_eq!(hub.count_rows("message"), 0);
    assert_eq!(hub.post("/v1/messages", &ada, message).0, 201);
}
