//! Environment faults: full disk, missing permissions, held lock, no watcher. Each gives a clear error or the documented
//! fallback; nothing is lost or half-written, and the server keeps running.
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[cfg(feature = "hub")]
use crate::support::Hub;
use crate::support::fault_reports::{
    EVENTS, HOOK_TIME_LIMIT, assert_all_tools_refuse, assert_hooks_print_nothing,
    assert_intact_and_empty, assert_server_responds, assert_storage_refusal, hook_payload,
};
use crate::support::private_mounts::{fill_disk, private_mount_command, with_mounts};
use crate::support::{ProcessOutput, Session, World, program, skip, wait_until};

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
    fill_disk(&filler);
    let large = "y".repeat(65_000);
    let ask = json!({ "to": "bo", "question": large, "context": large });
    for _ in 0..3 {
        assert_storage_refusal(
            &ada.call("ask_peer", ask.clone()),
            &["mesh.db", "the disk is full"],
        );
        assert_server_responds(&ada);
    }
    assert_eq!(bo.questions().len(), 0);
    // SQLite would follow that path out of the namespace; a copy is as good while no process writes.
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

#[cfg(feature = "hub")]
#[test]
fn hub_with_a_full_disk_reads_and_later_writes_again() {
    let Some(how) = private_mount_command("full disk under a hub") else {
        return;
    };
    let world = World::new();
    let folder = world.home().join(".claude-mesh");
    fs::create_dir(&folder).unwrap();
    let script = "mount -t tmpfs -o size=12m,mode=700 tmpfs \"$HOME/.claude-mesh\" && exec \"$@\"";
    let mut command = world.command("unshare", &world.home());
    command
        .args(how.split(' ').skip(1))
        .args(["/bin/sh", "-c", script, "sh"])
        .arg(program("claude-mesh"));
    let hub = Hub::spawn(command, world.home(), &[]);
    let inside = PathBuf::from(format!("/proc/{}/root{}", hub.pid(), folder.display()));
    let record = fs::read(inside.join("hub.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let key = record["key"].as_str().unwrap();
    let message = json!({ "to": "*", "body": "y".repeat(65_000) });
    assert_eq!(hub.get("/v1/messages", key).0, 200);
    let filler = inside.join("filler");
    fill_disk(&filler);
    for _ in 0..3 {
        let (status, body) = hub.post("/v1/messages", key, message.clone());
        assert_eq!((status, &body["error"]["code"]), (500, &json!("storage")));
        let text = body["error"]["message"].as_str().unwrap();
        assert!(text.contains("the disk is full"), "{text}");
        assert_eq!(
            hub.get("/v1/messages?filter=all", key).1["messages"],
            json!([])
        );
    }
    fs::remove_file(&filler).unwrap();
    let (status, body) = hub.post("/v1/messages", key, message.clone());
    assert!(status < 300 && body["message_id"].is_string(), "{body}");
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
    // From a full disk to enough space: each write of the creation fails once.
    for size in (16..576).step_by(16) {
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
                .write_all(hook_payload(event).as_bytes())
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
    assert_eq!(ada.name(), "ada", "the session works without the file");
}

// Requirement: Ask 10
#[test]
fn held_write_lock_does_not_delay_hooks() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    bo.remove_delivery_socket();
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let ran = bo.raw_hook(
        "UserPromptSubmit",
        hook_payload("UserPromptSubmit").as_bytes(),
    );
    assert!(began.elapsed() < HOOK_TIME_LIMIT, "{:?}", began.elapsed());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("which port?"), "{}", ran.out);
    let log = fs::read_to_string(world.home().join(".claude-mesh/faults.log")).unwrap();
    assert!(
        log.contains("shown, but not marked") && log.contains("write lock"),
        "{log}"
    );
    let stopping = Instant::now();
    let kept = bo.raw_hook("Stop", hook_payload("Stop").as_bytes());
    assert!(
        stopping.elapsed() < HOOK_TIME_LIMIT,
        "{:?}",
        stopping.elapsed()
    );
    assert!(kept.out.contains("which port?"), "{}", kept.out);
    // A session that has to register first cannot; it gets no text and is not delayed.
    let cy = world.bare_session("cy", &[]);
    let starting = Instant::now();
    let ran = cy.raw_hook("SessionStart", hook_payload("SessionStart").as_bytes());
    assert!(
        starting.elapsed() < HOOK_TIME_LIMIT,
        "{:?}",
        starting.elapsed()
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
}

#[test]
fn held_write_lock_delays_writing_calls_until_its_release() {
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
    // A server with a call that waits for the lock still answers other calls.
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
        "the call waits for the lock"
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
    // A limit of the namespace, used up from the start: the system reports the same error as when it is full.
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        assert_polls_without_inotify(limit, assert_answered_by_polling);
    }
}

/// Opens two sessions in a namespace in which this limit of inotify is used up.
fn assert_polls_without_inotify(limit: &str, check: impl Fn(&World, &Session, &Session)) {
    let exhaust_inotify = &format!("echo 0 >/proc/sys/user/{limit}");
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
    check(&world, &open("ada"), &open("bo"));
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
