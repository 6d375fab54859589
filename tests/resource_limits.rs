//! Resources that are used up or taken away while sessions run: file descriptors, a writable disk. Callers get an error that
//! says so, nothing acknowledged is lost, and the same processes go on when the resource is back.
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::support::fault_reports::{assert_server_responds, assert_storage_refusal, hook_payload};
use crate::support::private_mounts::{fill_disk, private_mount_command, with_mounts};
use crate::support::{
    Immutable, ProcessOutput, Session, World, ask_and_answer, post_message, program, skip,
    start_ask,
};

#[test]
fn files_that_become_read_only_refuse_only_writes() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    post_message(&ada, "bo", "first");
    let wal = PathBuf::from(format!("{}-wal", world.database().display()));
    let files: Vec<Option<Immutable>> = [wal, world.database()]
        .iter()
        .map(|path| Immutable::begin(path))
        .collect();
    if files.iter().any(Option::is_none) {
        return skip(
            "files that become read-only",
            "this user may not make files immutable here",
        );
    }
    for _ in 0..3 {
        let refused = ada.call("post", json!({ "to": "bo", "body": "refused" }));
        assert_storage_refusal(&refused, &["mesh.db"]);
        assert_server_responds(&ada);
        let listed = ada.call("list_peers", json!({}));
        assert_eq!(listed["error"], Value::Null, "{listed}");
    }
    let ran = bo.raw_hook(
        "UserPromptSubmit",
        hook_payload("UserPromptSubmit").as_bytes(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = world.cli(&ada.folder, &["post", "bo", "refused"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("mesh.db") && ran.err.contains("hint: "),
        "{ran:?}"
    );
    drop(files);
    post_message(&ada, "bo", "second");
    ask_and_answer(&bo, &ada, "which port?", "5433");
    assert_eq!(bodies(&world), ["first", "second"]);
}

/// Returns the options by which `nsenter` gets the rights of a namespace of users, if `how` has made one.
fn user_option(how: &str) -> &'static str {
    if how.contains('U') {
        "-U --preserve-credentials"
    } else {
        ""
    }
}

/// Returns a command that runs another one in the mounts of a session, which are those of `how`.
fn in_mounts_of(session: &Session, how: &str, like: &Command) -> Command {
    let script = format!(
        "exec nsenter -t {} -m {} /bin/sh -c 'cd \"$FOLDER\" && exec \"$@\"' sh \"$@\"",
        session.pid(),
        user_option(how)
    );
    let set = like.get_envs();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script, "sh"])
        .arg(like.get_program())
        .args(like.get_args())
        .env_clear()
        .envs(set.filter_map(|(name, value)| Some((name, value?))))
        .env("FOLDER", like.get_current_dir().unwrap());
    command
}

#[test]
fn hook_and_command_work_with_a_full_disk_or_say_so() {
    let Some(how) = private_mount_command("hook and command on a full disk") else {
        return;
    };
    let world = World::new();
    let folder = world.home().join(".claude-mesh");
    std::fs::create_dir(&folder).unwrap();
    let mount =
        "mount -t tmpfs -o size=12m,mode=700 tmpfs \"$HOME/.claude-mesh\" && \"$SERVER\"; :";
    let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &with_mounts(how, mount));
    ada.discover();
    ada.call("mesh_status", json!({}));
    let script = format!(
        "exec nsenter -t {} -m {} /bin/sh -c 'cd \"$CLAUDE_PROJECT_DIR\" && \"$SERVER\"; :'",
        ada.pid(),
        user_option(how)
    );
    let bo = world.bare_session_with_script("bo", &[], "/bin/sh", &script);
    bo.discover();
    bo.call("mesh_status", json!({}));
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    let inside = PathBuf::from(format!("/proc/{}/root{}", ada.pid(), folder.display()));
    let filler = inside.join("filler");
    fill_disk(&filler);
    let hook = bo.hook_command("claude-mesh-inbox-poll");
    let ran = run(
        in_mounts_of(&ada, how, &hook),
        &hook_payload("UserPromptSubmit"),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("which port?"), "{ran:?}");
    let mut post = world.command(program("claude-mesh"), &bo.folder);
    post.args(["post", "ada", &"y".repeat(60_000)]);
    for _ in 0..3 {
        let ran = run(in_mounts_of(&ada, how, &post), "");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("the disk is full"), "{ran:?}");
    }
    std::fs::remove_file(&filler).unwrap();
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    let ran = run(in_mounts_of(&ada, how, &post), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let listed = ada.call("list_messages", json!({}));
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "{listed}");
}

/// Runs a program with this on its stdin.
fn run(mut command: Command, stdin: &str) -> ProcessOutput {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes());
    ProcessOutput::of(&child.wait_with_output().unwrap())
}

fn bodies(world: &World) -> Vec<String> {
    let rows = world.rows();
    let mut statement = rows
        .prepare("SELECT body FROM message ORDER BY id")
        .unwrap();
    let bodies = statement.query_map([], |row| row.get(0)).unwrap();
    bodies.map(Result::unwrap).collect()
}

/// Lets a process have no more descriptors than this.
fn limit_descriptors(pid: i32, count: u64) -> Rlimit {
    let limit = Rlimit {
        current: Some(count),
        maximum: Some(1024),
    };
    prlimit(Pid::from_raw(pid), Resource::Nofile, limit).unwrap()
}

#[test]
fn server_without_descriptors_goes_on_when_it_has_them_again() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let waiting = start_ask(&bo, "ada", "which port?");
    waiting.wait_for_progress("ada: stored");
    let server = ada.server_pid().unwrap();
    limit_descriptors(server, 1);
    let peers = ada.call("list_peers", json!({}));
    assert_eq!(
        peers["peers"][0]["peer"], "bo",
        "nobody is taken for dead: {peers}"
    );
    let mut acknowledged = Vec::new();
    for number in 0..3 {
        let body = format!("message {number}");
        let posted = ada.call("post", json!({ "to": "bo", "body": body }));
        if posted["message_id"].is_string() {
            acknowledged.push(body);
        } else {
            assert_storage_refusal(&posted, &["Too many open files"]);
        }
        assert_server_responds(&ada);
    }
    let late = world.session("cy");
    let from_late = start_ask(&late, "ada", "which schema?");
    from_late.wait_for_progress("ada: stored");
    limit_descriptors(server, 1024);
    let ended = "SELECT count(*) FROM session WHERE ended_at_ms IS NOT NULL";
    let ended = world.rows().query_row(ended, [], |row| row.get(0));
    assert_eq!(ended, Ok(0), "no session was ended");
    assert_eq!(bodies(&world), acknowledged);
    for question in ada.questions() {
        ada.send_reply(question["question_id"].as_str().unwrap(), "yes");
    }
    assert_eq!(waiting.result()["answer"], "yes");
    assert_eq!(from_late.result()["answer"], "yes");
    ask_and_answer(&late, &ada, "and now?", "yes");
}

/// Runs a program with a limit of descriptors.
fn run_limited(like: &Command, arguments: &[&str], (count, stdin): (u32, &str)) -> ProcessOutput {
    let set = like
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            "ulimit -n \"$1\"; shift; exec \"$@\"",
            "sh",
            &count.to_string(),
        ])
        .arg(like.get_program())
        .args(arguments)
        .env_clear()
        .envs(set)
        .current_dir(like.get_current_dir().unwrap());
    run(command, stdin)
}

#[test]
fn programs_with_few_descriptors_succeed_or_say_why_not() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    let (mut refused, mut stored) = (0, 0);
    let mut value = String::from("0");
    world.cli(&world.home(), &["state", "set", "n", &value]);
    for count in 3..24 {
        for (name, event) in [
            ("claude-mesh-inbox-poll", "UserPromptSubmit"),
            ("claude-mesh-session-start", "SessionStart"),
            ("claude-mesh-claim-guard", "PreToolUse"),
        ] {
            let hook = bo.hook_command(name);
            let ran = run_limited(&hook, &[], (count, &hook_payload(event)));
            assert_ran_well(&ran, count);
            assert_ne!(ran.code, Some(1), "{count}: {ran:?}");
        }
        let command = world.command(program("claude-mesh"), &world.home());
        let next = count.to_string();
        let ran = run_limited(&command, &["state", "set", "n", &next], (count, ""));
        assert_ran_well(&ran, count);
        if ran.code == Some(0) {
            stored += 1;
            value = next;
        } else {
            refused += 1;
        }
        let found = world.cli(&world.home(), &["state", "get", "n"]);
        assert_eq!(found.out.trim(), value, "{count}: {ran:?}");
    }
    assert!(
        refused > 0 && stored > 0,
        "{refused} refused, {stored} stored"
    );
    assert_eq!(bo.questions().len(), 1);
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

/// Asserts that a program has not crashed, and says which resource is used up if it failed. A program that is not linked
/// statically may end before it begins.
#[track_caller]
fn assert_ran_well(ran: &ProcessOutput, count: u32) {
    assert!(!ran.err.contains("panicked"), "{count}: {ran:?}");
    let says = match ran.code {
        Some(0) => true,
        Some(1) => ran.err.contains("open files") || ran.err.contains("unable to open"),
        Some(127) => ran.err.contains("error while loading shared libraries"),
        _ => false,
    };
    assert!(says, "{count}: {ran:?}");
}

#[test]
fn server_started_with_few_descriptors_answers_or_ends() {
    let world = World::new();
    drop(world.session("bo"));
    let mut working = 0;
    for count in (4..32).step_by(3) {
        let script = format!("ulimit -n {count}; \"$SERVER\"; :");
        let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &script);
        if let Some(result) = first_call(&ada) {
            if result["error"].is_null() {
                working += 1;
            } else {
                assert_eq!(result["error"]["code"], "storage", "{count}: {result}");
            }
        }
    }
    assert!(working > 0, "no server worked");
}

/// Returns what the first call of a session results in; nothing if its server has ended.
fn first_call(session: &Session) -> Option<Value> {
    session.try_call("post", json!({ "to": "bo", "body": "hello" }))
}
