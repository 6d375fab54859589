//! Bad surroundings: no room, no right, no lock, no watcher, broken files, a file that is not ours. Each gets a clear
//! error or the documented fallback; nothing is lost, nothing half-written, and the server lives on.
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{ProcessOutput, Session, World, program, wait_until};

/// Hooks stand in a person's way; this is more than any may take.
const HOOK_TIME_LIMIT: Duration = Duration::from_millis(1_500);
const EVENTS: [&str; 5] = [
    "SessionStart",
    "UserPromptSubmit",
    "Stop",
    "SessionEnd",
    "PreToolUse",
];

#[track_caller]
fn refused(result: &Value, expected: &[&str]) {
    let error = &result["error"];
    let message = error["message"].as_str().expect("a refusal");
    assert_eq!(error["code"], "storage", "{message}");
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!error["hint"].as_str().unwrap().is_empty());
}

/// The model can say what mends it, as a person reads at the command line.
#[track_caller]
fn assert_model_gets_hint(session: &Session, expected: &[&str]) {
    let result = session.call("mesh_status", json!({}));
    let hint = result["error"]["hint"].as_str().unwrap();
    for part in expected {
        assert!(hint.contains(part), "{part:?} is not in {hint:?}");
    }
}

/// Every tool says the same, and the server goes on.
#[track_caller]
fn assert_all_tools_refuse(session: &Session, expected: &[&str]) {
    for (tool, arguments) in [
        ("mesh_status", json!({})),
        ("register", json!({ "role": "x" })),
        ("ask_peer", json!({ "to": "bo", "question": "which port?" })),
        ("state", json!({ "action": "set", "key": "k", "value": 1 })),
        ("events", json!({ "action": "wait" })),
    ] {
        refused(&session.call(tool, arguments), expected);
    }
    assert_server_responds(session);
}

#[track_caller]
fn assert_server_responds(session: &Session) {
    let listed = session.request("tools/list", json!({}));
    let all = claude_mesh::mcp::tool_list(None).len();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), all);
}

/// Every hook prints nothing for the model, succeeds, and leaves a line in the log, where there can be one.
#[track_caller]
fn assert_hooks_print_nothing(world: &World, session: &Session, logged: Option<&str>) {
    let log = world.home().join(".claude-mesh/faults.log");
    for event in EVENTS {
        let before = fs::read_to_string(&log).unwrap_or_default().len();
        let ran = session.raw_hook(event, payload(event).as_bytes());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(0), ""),
            "{event}: {ran:?}"
        );
        let Some(expected) = logged else { continue };
        let content = fs::read_to_string(&log).unwrap_or_default();
        let fresh = &content[before..];
        assert_eq!(fresh.lines().count(), 1, "{event}: {fresh:?}");
        assert!(
            fresh.contains(expected),
            "{event}: {expected:?} is not in {fresh:?}"
        );
    }
}

/// A person is told the same at the command line.
#[track_caller]
fn assert_cli_reports(world: &World, expected: &[&str]) {
    for command in ["peers", "status"] {
        let ran = world.cli(&world.project("ada"), &[command]);
        assert!(ran.code.is_some_and(|code| code != 0), "{command}: {ran:?}");
        for part in expected {
            assert!(
                ran.err.contains(part),
                "{command}: {part:?} is not in {ran:?}"
            );
        }
        assert!(ran.err.contains("hint: "), "{command}: {ran:?}");
    }
}

fn payload(event: &str) -> String {
    let session = "00000000-0000-4000-8000-00000000ffff";
    let payload = json!({
        "hook_event_name": event, "session_id": session, "source": "startup", "prompt": "go on",
        "prompt_id": "t1", "reason": "other", "tool_name": "Edit", "tool_input": { "file_path": "/a.rs" },
    });
    payload.to_string()
}

/// Says past the test harness why a test does not run.
fn skip(what: &str, reason: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {what}: {reason}").ok();
}

/// Returns how this user gets mounts of its own, or `None` after saying why the calling test is skipped.
fn private_mount_command(what: &str) -> Option<&'static str> {
    let works = |how: &&&str| {
        let script = format!("{how} sh -c 'mount -t tmpfs -o size=300k tmpfs /mnt'");
        let tried = Command::new("sh")
            .args(["-c", &script])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    let found = ["unshare -m", "unshare -Urm"].iter().find(works).copied();
    if found.is_none() {
        skip(
            what,
            "this user may not mount anything, not even in a namespace of its own",
        );
    }
    found
}

/// Returns a script that runs `inner` with mounts of its own, in the same process.
fn with_mounts(how: &str, inner: &str) -> String {
    format!("exec {how} /bin/sh -c '{inner}'")
}

/// A whole mesh file: nothing half-written, and no question in it.
#[track_caller]
fn assert_intact_and_empty(database: &Path) {
    let rows = rusqlite::Connection::open(database).unwrap();
    let found: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
    for table in ["question", "wait", "wait_question", "showing"] {
        let count: i64 = rows
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[test]
fn full_disk_refuses_a_question_until_space_is_freed() {
    let Some(how) = private_mount_command("full disk") else {
        return;
    };
    let world = World::new();
    let folder = world.home().join(".claude-mesh");
    fs::create_dir(&folder).unwrap();
    let inner =
        "mount -t tmpfs -o size=12m,mode=700 tmpfs \"$HOME/.claude-mesh\" && \"$SERVER\"; :";
    let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &with_mounts(how, inner));
    ada.discover();
    ada.call("mesh_status", json!({}));
    let user = if how.contains('U') {
        "-U --preserve-credentials"
    } else {
        ""
    };
    let enter = format!(
        "exec nsenter -t {} -m {user} /bin/sh -c 'cd \"$CLAUDE_PROJECT_DIR\" && \"$SERVER\"; :'",
        ada.pid()
    );
    let bo = world.bare_session_with_script("bo", &[], "/bin/sh", &enter);
    bo.discover();
    bo.call("mesh_status", json!({}));
    let inside = PathBuf::from(format!("/proc/{}/root{}", ada.pid(), folder.display()));
    let filler = inside.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for size in [64 * 1024, 4 * 1024, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    drop(file);
    let large = "y".repeat(65_000);
    let ask = json!({ "to": "bo", "question": large, "context": large });
    for _ in 0..3 {
        refused(
            &ada.call("ask_peer", ask.clone()),
            &["mesh.db", "the disk is full"],
        );
        assert_server_responds(&ada);
    }
    assert_eq!(bo.questions().len(), 0);
    // The database library would follow that path out of the namespace; a copy is as good while nobody writes.
    let copy = tempfile::tempdir().unwrap();
    for name in ["mesh.db", "mesh.db-wal"] {
        fs::copy(inside.join(name), copy.path().join(name)).unwrap();
    }
    assert_intact_and_empty(&copy.path().join("mesh.db"));
    fs::remove_file(&filler).unwrap();
    let asking = ada.start("ask_peer", ask);
    let id = bo.next_question();
    assert_eq!(bo.send_reply(&id, "5433")["status"], "answered");
    assert_eq!(asking.result()["answer"], "5433");
}

#[test]
fn full_disk_at_creation_leaves_no_partial_database() {
    let Some(how) = private_mount_command("full disk from the start") else {
        return;
    };
    let world = World::new();
    let folder = world.home().join(".claude-mesh");
    fs::create_dir(&folder).unwrap();
    let inner =
        "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$HOME/.claude-mesh\" && \"$SERVER\"; :";
    let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &with_mounts(how, inner));
    ada.discover();
    assert_all_tools_refuse(&ada, &["mesh.db", "the disk is full"]);
    let inside = PathBuf::from(format!("/proc/{}/root{}", ada.pid(), folder.display()));
    let remaining: Vec<_> = fs::read_dir(inside)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(remaining.is_empty(), "{remaining:?}");
}

#[test]
fn disk_filling_up_during_creation_leaves_no_damaged_file() {
    let Some(how) = private_mount_command("a disk that fills up while the file is made") else {
        return;
    };
    let inner = "mount -t tmpfs -o size=\"$SIZE\",mode=700 tmpfs \"$HOME/.claude-mesh\" || exit 9; \
        cd \"$HOME/.claude-mesh\"; \"$CLI\" state set a 1; echo \"first $?\"; ls -A; cp mesh.db* \"$HOME/kept\"; \
        mount -o remount,size=20m tmpfs . && \"$CLI\" state set a 2 && \"$CLI\" state get a";
    let (mut refused, mut stored) = (0, 0);
    // From no room for anything to room for all: each write that making the file takes is the one that fails.
    for size in (16..512).step_by(16) {
        let world = World::new();
        for folder in [".claude-mesh", "kept"] {
            fs::create_dir(world.home().join(folder)).unwrap();
        }
        let output = world
            .command("/bin/sh", &world.home())
            .args(["-c", &with_mounts(how, inner)])
            .env("SIZE", format!("{size}k"))
            .env("CLI", program("claude-mesh"))
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        assert_eq!(ran.code, Some(0), "{size}k: {ran:?}");
        assert!(ran.out.ends_with("\n2\n"), "{size}k: {ran:?}");
        assert!(!ran.out.contains("mesh.db.new"), "{size}k: {ran:?}");
        if ran.out.contains("first 0") {
            stored += 1;
        } else {
            refused += 1;
            assert!(ran.err.contains("the disk is full"), "{size}k: {ran:?}");
            assert!(!ran.err.contains("damaged"), "{size}k: {ran:?}");
        }
        let kept = world.home().join("kept/mesh.db");
        if kept.exists() {
            assert_intact_and_empty(&kept);
        }
    }
    assert!(
        refused > 3 && stored > 3,
        "{refused} refused, {stored} stored"
    );
}

#[test]
fn read_only_home_is_reported_and_hooks_print_nothing() {
    let Some(how) = private_mount_command("read-only home") else {
        return;
    };
    let mounts = "mount --bind \"$HOME\" \"$HOME\" && mount -o remount,bind,ro \"$HOME\" && cd \"$CLAUDE_PROJECT_DIR\"";
    for begun in [false, true] {
        let world = World::new();
        if begun {
            drop(world.session("bo"));
        }
        let inner = format!("{mounts} && \"$SERVER\"; :");
        let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &with_mounts(how, &inner));
        ada.discover();
        assert_all_tools_refuse(&ada, &[".claude-mesh"]);
        for event in EVENTS {
            let hook = program(match event {
                "SessionStart" => "claude-mesh-session-start",
                "SessionEnd" => "claude-mesh-session-end",
                "PreToolUse" => "claude-mesh-claim-guard",
                _ => "claude-mesh-inbox-poll",
            });
            let mut child = world
                .command("/bin/sh", &ada.folder)
                .args([
                    "-c",
                    &with_mounts(how, &format!("{mounts} && exec \"$HOOK\"")),
                ])
                .env("HOOK", hook)
                .env("CLAUDE_PID", ada.pid().to_string())
                .env("CLAUDE_PROJECT_DIR", &ada.folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(payload(event).as_bytes())
                .unwrap();
            let ran = ProcessOutput::of(&child.wait_with_output().unwrap());
            assert_eq!(
                (ran.code, ran.out.as_str()),
                (Some(0), ""),
                "{event}: {ran:?}"
            );
        }
        if begun {
            assert_intact_and_empty(&world.database());
        } else {
            assert!(!world.home().join(".claude-mesh").exists());
        }
    }
}

#[test]
fn doctor_reports_a_read_only_folder() {
    let Some(how) = private_mount_command("doctor in a read-only home") else {
        return;
    };
    for folder in ["own", ".claude-mesh"] {
        let world = World::new();
        world.project(folder);
        let inner = "mount --bind \"$HOME\" \"$HOME\" && mount -o remount,bind,ro \"$HOME\" && cd \"$HOME\" && \"$CLI\" doctor";
        let output = world
            .command("/bin/sh", &world.home())
            .args(["-c", &with_mounts(how, inner)])
            .env("CLI", program("claude-mesh"))
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains("cannot write into"), "{folder}: {ran:?}");
        assert!(!ran.out.contains("no database yet"), "{folder}: {ran:?}");
    }
}

#[test]
fn file_in_place_of_the_mesh_folder_is_reported_and_kept() {
    let world = World::new();
    let path = world.write(".claude-mesh", "mine\n");
    let ada = world.bare_session("ada", &[]);
    ada.discover();
    assert_all_tools_refuse(&ada, &[".claude-mesh"]);
    assert_hooks_print_nothing(&world, &ada, None);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
    fs::remove_file(&path).unwrap();
    assert_eq!(ada.name(), "ada", "once it is gone, all is well");
}

#[test]
fn held_write_lock_delays_calls_but_not_hooks() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    first.wait_for_progress("bo: stored");
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let second = ada.start(
        "ask_peer",
        json!({ "to": "bo", "question": "which schema?" }),
    );
    let ran = bo.raw_hook("UserPromptSubmit", payload("UserPromptSubmit").as_bytes());
    assert!(began.elapsed() < HOOK_TIME_LIMIT, "{:?}", began.elapsed());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("which port?"), "{}", ran.out);
    let log = fs::read_to_string(world.home().join(".claude-mesh/faults.log")).unwrap();
    assert!(
        log.contains("shown, but not marked") && log.contains("write lock"),
        "{log}"
    );
    let stopping = Instant::now();
    let kept = bo.raw_hook("Stop", payload("Stop").as_bytes());
    assert!(
        stopping.elapsed() < HOOK_TIME_LIMIT,
        "{:?}",
        stopping.elapsed()
    );
    assert!(kept.out.contains("which port?"), "{}", kept.out);
    // A session that has to sit down first cannot; it is told nothing, and not held up.
    let cy = world.bare_session("cy", &[]);
    let starting = Instant::now();
    let ran = cy.raw_hook("SessionStart", payload("SessionStart").as_bytes());
    assert!(
        starting.elapsed() < HOOK_TIME_LIMIT,
        "{:?}",
        starting.elapsed()
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    // The other calls of a server whose call waits for the lock still answer.
    let listing_began = Instant::now();
    for _ in 0..3 {
        assert_server_responds(&ada);
        let listed = ada.request(
            "tools/call",
            json!({ "name": "list_peers", "arguments": {} }),
        );
        assert!(listed["result"]["isError"] == false, "{listed}");
    }
    assert!(
        listing_began.elapsed() < Duration::from_secs(2),
        "{:?}",
        listing_began.elapsed()
    );
    wait_until("the lock was held for some seconds", || {
        began.elapsed() > Duration::from_secs(3)
    });
    assert!(
        second.is_open() && ada.progress(second.id).is_empty(),
        "it waits"
    );
    holder.execute_batch("ROLLBACK").unwrap();
    second.wait_for_progress("bo: stored");
    assert_eq!(bo.questions().len(), 2);
    for question in bo.questions() {
        bo.send_reply(question["question_id"].as_str().unwrap(), "yes");
    }
    assert_eq!(first.result()["answer"], "yes");
    assert_eq!(second.result()["answer"], "yes");
}

#[test]
fn waits_fall_back_to_polling_without_a_file_watcher() {
    let assert_answered_by_polling = |world: &World, ada: &Session, bo: &Session| {
        for session in [ada, bo] {
            assert_eq!(session.call("mesh_status", json!({}))["wake"], "polling");
        }
        let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
        ask.wait_for_progress("bo: stored");
        let id = bo.next_question();
        let began = Instant::now();
        bo.send_reply(&id, "5433");
        assert_eq!(ask.result()["answer"], "5433");
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
        assert!(world.database().exists());
    };
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE", "polling");
    assert_answered_by_polling(&world, &world.session("ada"), &world.session("bo"));
    // A limit of the namespace, used up from the start: the system says the same as when it is full.
    let exhaust_inotify = "echo 0 >/proc/sys/user/max_inotify_instances";
    let tried = Command::new("unshare")
        .args(["-Ur", "sh", "-c", exhaust_inotify])
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        return skip(
            "no watcher left",
            "this user gets no namespace with limits of its own",
        );
    }
    let world = World::new();
    let open = |name: &str| {
        let inner = format!("{exhaust_inotify} && \"$SERVER\"; :");
        let script = format!("exec unshare -Ur /bin/sh -c '{inner}'");
        let session = world.bare_session_with_script(name, &[], "/bin/sh", &script);
        session.hook("SessionStart", json!({ "source": "startup" }));
        session.discover();
        session.call("mesh_status", json!({}));
        session
    };
    assert_answered_by_polling(&world, &open("ada"), &open("bo"));
}

#[test]
fn list_peers_omits_a_dead_peer_under_a_held_write_lock() {
    let world = World::new();
    let (_ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    cy.kill();
    let seen = bo.call("list_peers", json!({}));
    let names: Vec<&str> = seen["peers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|peer| peer["peer"].as_str())
        .collect();
    assert_eq!(names, ["ada"], "{seen}");
    let at_shell = world.cli(&bo.folder, &["peers"]);
    assert!(
        at_shell.out.contains("ada") && !at_shell.out.contains("cy"),
        "{at_shell:?}"
    );
    let ended = "SELECT count(*) FROM session WHERE ended_at_ms IS NOT NULL";
    assert_eq!(holder.query_one(ended, [], |row| row.get(0)), Ok(0));
    holder.execute_batch("ROLLBACK").unwrap();
    bo.call("list_peers", json!({}));
    assert_eq!(holder.query_one(ended, [], |row| row.get(0)), Ok(1));
}

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
    assert_eq!(ada.name(), "front", "once it is mended, all is well");
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
    assert_model_gets_hint(&ada, &["mend or remove the file"]);
    assert_hooks_print_nothing(&world, &ada, Some("line 3"));
    assert_cli_reports(&world, &["line 3"]);
    assert!(!world.database().exists());
    fs::write(path, "{}").unwrap();
    assert_eq!(ada.name(), "ada", "once it is mended, all is well");
}

#[test]
fn invalid_env_file_is_reported_by_line_without_its_content() {
    let world = World::new();
    let content = "# where it lies\nMESH_DB_PATH=/nowhere/mesh.db\nMY_TOKEN='hunter2\n";
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
        "the same at both doors"
    );
    fs::remove_file(path).unwrap();
    assert_hooks_print_nothing(&world, &ada, Some("CLAUDE_MESH_WAKE"));
    assert!(!world.database().exists());
}

/// Makes the private folder with this database in it, and returns where that is.
fn place(world: &World, content: &[u8]) -> PathBuf {
    let path = world.database();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Returns a database that a session has left behind, all in one file.
fn closed_database_bytes(change: &str) -> Vec<u8> {
    let world = World::new();
    let bo = world.session("bo");
    bo.close_stdin();
    bo.wait_for_end();
    let rows = world.rows();
    rows.execute_batch(&format!("{change}; PRAGMA wal_checkpoint(TRUNCATE)"))
        .unwrap();
    drop(rows);
    fs::read(world.database()).unwrap()
}

#[test]
fn foreign_or_damaged_database_is_refused_and_unchanged() {
    let other = {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("other.db");
        let rows = rusqlite::Connection::open(&path).unwrap();
        rows.execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
            .unwrap();
        drop(rows);
        fs::read(path).unwrap()
    };
    let newer = closed_database_bytes(
        "PRAGMA user_version = 99; UPDATE meta SET value = '99' WHERE key = 'min_reader'",
    );
    let mut damaged = closed_database_bytes("SELECT 1");
    let (start, end) = (4096, damaged.len() - 4096);
    let mut noise = 1_u64;
    for byte in &mut damaged[start..end] {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = noise.to_be_bytes()[0];
    }
    let cases: [(&str, Vec<u8>, &str); 5] = [
        (
            "no database",
            b"dear diary\n".repeat(100),
            "file is not a database",
        ),
        ("another program's", other, "belongs to another program"),
        ("empty", Vec::new(), "the file is empty"),
        ("newer", newer, "has schema 99, this program knows up to 3"),
        ("damaged", damaged, "the file is damaged"),
    ];
    for (what, content, expected) in cases {
        let world = World::new();
        let path = place(&world, &content);
        let ada = world.bare_session("ada", &[]);
        ada.discover();
        assert_all_tools_refuse(&ada, &["mesh.db", expected]);
        assert_hooks_print_nothing(&world, &ada, Some(expected));
        assert_cli_reports(&world, &["mesh.db", expected]);
        ada.close_stdin();
        ada.wait_for_end();
        assert!(
            fs::read(&path).unwrap() == content,
            "{what}: the file has changed"
        );
        let remaining = fs::read_dir(path.parent().unwrap()).unwrap();
        for entry in remaining.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            // To know how new or how sound a mesh is, it must be opened; what that puts beside it is empty.
            let is_beside = name == "mesh.db-shm"
                || (name == "mesh.db-wal" && entry.metadata().unwrap().len() == 0);
            assert!(
                is_beside || name == "faults.log" || name == "mesh.db",
                "{what}: {name}"
            );
        }
    }
}

#[test]
fn database_writable_or_owned_by_others_is_refused() {
    let refuses = |world: &World, expected: &str| {
        let ada = world.bare_session("ada", &[]);
        ada.discover();
        assert_all_tools_refuse(&ada, &[".claude-mesh", expected]);
        assert_hooks_print_nothing(world, &ada, Some(expected));
        assert_cli_reports(world, &[expected]);
    };
    let content = closed_database_bytes("SELECT 1");
    for (folder, file) in [(0o777, 0o600), (0o770, 0o600), (0o700, 0o666)] {
        let world = World::new();
        let path = place(&world, &content);
        fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(folder)).unwrap();
        refuses(&world, "can be written by others");
        assert!(fs::read(&path).unwrap() == content);
    }
    if !rustix::process::geteuid().is_root() {
        return skip("another owner", "only root can give a folder away");
    }
    for give_folder in [true, false] {
        let world = World::new();
        let path = place(&world, &content);
        let given = if give_folder {
            path.parent().unwrap()
        } else {
            &path
        };
        std::os::unix::fs::chown(given, Some(12_345), None).unwrap();
        refuses(&world, "belongs to user 12345");
        assert!(fs::read(&path).unwrap() == content);
    }
}

#[test]
fn killed_writer_releases_the_write_lock_and_rolls_back() {
    const HOLD: &str = "CLAUDE_MESH_TEST_HOLD";
    if let Ok(path) = std::env::var(HOLD) {
        // The second role of this test: a program that is killed while it writes.
        let rows = rusqlite::Connection::open(path).unwrap();
        rows.execute_batch("BEGIN IMMEDIATE; UPDATE peer SET summary = 'half a write'")
            .unwrap();
        std::io::stdout().write_all(b"holds\n").unwrap();
        std::thread::sleep(crate::support::WAIT_TIMEOUT);
        return;
    }
    let world = World::new();
    let ada = world.session("ada");
    let free = rusqlite::Connection::open(world.database()).unwrap();
    free.busy_timeout(std::time::Duration::ZERO).unwrap();
    for _ in 0..5 {
        let own = std::env::current_exe().unwrap();
        let mut writer = std::process::Command::new(own)
            .args([
                "--exact",
                "--nocapture",
                "faults::killed_writer_releases_the_write_lock_and_rolls_back",
            ])
            .env(HOLD, world.database())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().ends_with("holds")));
        assert!(
            free.execute_batch("BEGIN IMMEDIATE").is_err(),
            "it holds the lock"
        );
        writer.kill().unwrap();
        writer.wait().unwrap();
        free.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .expect("free without any waiting");
        let put = ada.call("state", json!({ "action": "set", "key": "k", "value": 1 }));
        assert_eq!(put["error"], Value::Null);
    }
    let result = ada.call("register", json!({}));
    assert_eq!(
        result["you"]["summary"],
        Value::Null,
        "half a write is none"
    );
}

#[test]
fn failed_retention_is_logged_and_fails_no_call() {
    let world = World::new();
    let ada = world.session("ada");
    drop(world.session("bo"));
    let never = "CREATE TRIGGER never BEFORE INSERT ON meta WHEN NEW.key = 'swept_at_ms'
                 BEGIN SELECT RAISE(ABORT, 'no sweeping today'); END";
    world.rows().execute_batch(never).unwrap();
    let verbs = [
        ("ask_peer", json!({ "to": "bo", "question": "which port?" })),
        ("remember", json!({ "text": "5433", "key": "port" })),
        ("post", json!({ "to": "bo", "body": "hello" })),
    ];
    for (number, (tool, arguments)) in verbs.into_iter().enumerate() {
        let result = ada.call(tool, arguments);
        assert!(result["error"].is_null(), "{tool}: {result}");
        let log = fs::read_to_string(world.home().join(".claude-mesh/faults.log")).unwrap();
        let noted = log.matches("no sweeping today").count();
        assert_eq!(noted, number + 1, "{tool}: {log}");
    }
    assert_eq!(
        ada.call("recall", json!({ "key": "port" }))["memories"][0]["text"],
        "5433"
    );
    let sent = world.cli(&world.home(), &["inbox", "--all"]).out;
    assert!(sent.contains("which port?"), "{sent}");
}
