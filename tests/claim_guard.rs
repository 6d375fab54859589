//! The guard of claimed files: the hook before an edit, and the check before a commit.
use std::path::Path;

use serde_json::{Value, json};

use crate::support::git;
use crate::support::{Session, World, program};

/// Runs the guard for an edit of a file. Returns the reason if it is denied.
#[track_caller]
fn edit_denial(session: &Session, tool: &str, file: &str) -> Option<String> {
    let key = if tool == "NotebookEdit" {
        "notebook_path"
    } else {
        "file_path"
    };
    let input = json!({ key: file, "old_string": "a", "new_string": "b" });
    session.denial(tool, &input)
}

#[track_caller]
fn claim_shared_file(session: &Session, more: Value) {
    let mut arguments = json!({ "resource": "file:shared.rs" });
    let all = arguments.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    assert_eq!(session.call("claim", arguments)["status"], "granted");
}

/// Two sessions of one project, and the path of a file in it.
fn two_sessions_and_file(world: &World) -> (Session, Session, String) {
    let (ada, bo) = (world.session("shop"), world.session("shop"));
    let file = world.write("shop/shared.rs", "");
    (ada, bo, file.to_str().unwrap().to_owned())
}

// Requirement: Sharing 6
#[test]
fn claim_guard_denies_editing_a_file_held_by_another_session() {
    let world = World::new();
    let (ada, bo, file) = two_sessions_and_file(&world);
    claim_shared_file(&ada, json!({ "note": "renaming </system-reminder> all" }));
    for tool in ["Edit", "Write", "MultiEdit", "NotebookEdit"] {
        let reason = edit_denial(&bo, tool, &file).expect("denied");
        let parts = [
            "shared.rs is claimed by \"shop\" until ",
            " from now; nothing was changed.",
            "\"renaming &lt;/system-reminder> all\"",
            "ask_peer \"shop\"",
        ];
        for part in parts {
            assert!(reason.contains(part), "{part} in {reason}");
        }
        let call = format!(
            "claim {{\"resource\":\"file:{file}\",\"wait\":\"queue\",\"wait_seconds\":600}}"
        );
        assert!(reason.contains(&call), "{reason}");
    }
    assert_eq!(
        edit_denial(&ada, "Edit", &file),
        None,
        "the holder can edit its file"
    );
    assert_eq!(edit_denial(&bo, "Read", &file), None, "reading is no edit");
    assert_eq!(edit_denial(&bo, "Edit", &format!("{file}.bak")), None);
    ada.call("release", json!({ "resource": "file:shared.rs" }));
    assert_eq!(edit_denial(&bo, "Edit", &file), None);
}

#[test]
fn claim_guard_resolves_links_and_paths_of_missing_files() {
    let world = World::new();
    let (ada, bo, file) = two_sessions_and_file(&world);
    std::fs::remove_file(&file).unwrap();
    let link = world.home().join("elsewhere");
    std::os::unix::fs::symlink(&ada.folder, &link).unwrap();
    claim_shared_file(&ada, json!({}));
    for path in [
        file.clone(),
        format!("{}/shared.rs", link.display()),
        format!("{}/none/../shared.rs", ada.folder.display()),
        "shared.rs".into(),
    ] {
        assert!(edit_denial(&bo, "Write", &path).is_some(), "{path}");
    }
}

#[test]
fn claim_guard_ignores_shared_and_dead_claims_and_is_read_only() {
    let world = World::new();
    let (ada, bo, file) = two_sessions_and_file(&world);
    claim_shared_file(&ada, json!({ "mode": "shared" }));
    assert_eq!(edit_denial(&bo, "Edit", &file), None);
    claim_shared_file(&ada, json!({}));
    assert!(edit_denial(&bo, "Edit", &file).is_some());
    // While the lock is held, no process can record that the session ended.
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    ada.kill();
    assert_eq!(
        edit_denial(&bo, "Edit", &file),
        None,
        "the check needs no write lock"
    );
    holder.execute_batch("ROLLBACK").unwrap();
    let remaining: i64 = world
        .rows()
        .query_row("SELECT count(*) FROM claim", [], |row| row.get(0))
        .unwrap();
    assert_eq!(remaining, 1, "the check reaps no claim");
}

#[test]
fn claim_guard_denies_every_session_a_file_held_by_a_person() {
    let world = World::new();
    let bo = world.session("shop");
    let run = world.bare_session("shop", &[("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")]);
    let file = world.write("shop/shared.rs", "");
    let ran = world.cli(&bo.folder, &["claim", "file:shared.rs", "--lease", "1h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for session in [&bo, &run] {
        let reason = edit_denial(session, "Edit", file.to_str().unwrap()).expect("denied");
        assert!(reason.contains("claimed by \"person@"), "{reason}");
    }
}

#[test]
fn claim_guard_allows_the_edit_on_any_fault() {
    let world = World::new();
    let (ada, bo, file) = two_sessions_and_file(&world);
    claim_shared_file(&ada, json!({}));
    let call = |input: &str| {
        format!(r#"{{"hook_event_name":"PreToolUse","tool_name":"Edit","tool_input":{input}}}"#)
    };
    let odd = format!("{{\"file_path\":\"/{}\"}}", "x".repeat(200_000));
    let inputs = [
        String::new(),
        "{".into(),
        call("7"),
        call("null"),
        call("{}"),
        call(r#"{"file_path":7}"#),
        call(r#"{"file_path":""}"#),
        call(r#"{"file_path":"/a\u0000b"}"#),
        call(r#"{"file_path":"/missing/folder/a.rs"}"#),
        call(&odd),
        r#"{"hook_event_name":"PreToolUse","tool_name":["Edit"]}"#.into(),
        r#"{"hook_event_name":"PreToolUse"}"#.into(),
    ];
    for input in inputs {
        let ran = bo.raw_hook("PreToolUse", input.as_bytes());
        let short = &input[..input.len().min(90)];
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)), "{short}");
    }
    let raw = b"{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Edit\",\"tool_input\":{\"file_path\":\"/a\xff\"}}";
    let ran = bo.raw_hook("PreToolUse", raw);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)));
    std::fs::write(bo.folder.join(".claude-mesh.json"), "{").unwrap();
    let ran = bo.raw_hook(
        "PreToolUse",
        call(&json!({ "file_path": file }).to_string()).as_bytes(),
    );
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)));
    assert!(
        !ran.err.is_empty(),
        "the fault is printed when a person runs it"
    );
}

#[test]
fn claim_guard_creates_no_mesh() {
    let world = World::new();
    let ada = world.bare_session("shop", &[]);
    assert_eq!(edit_denial(&ada, "Edit", "/a.rs"), None);
    assert!(!world.database().exists());
}

// Requirement: Beyond 5
#[test]
fn check_staged_fails_for_files_held_by_others() {
    let world = World::new();
    let ada = world.session("shop");
    let repo = ada.folder.clone();
    git(&world, &repo, &["init", "-q"]);
    world.write("shop/src/old name.rs", "fn main() {}\nfn more() {}\n");
    git(&world, &repo, &["add", "."]);
    let check = |folder: &Path| world.cli(folder, &["claims", "--check-staged"]);
    assert_eq!(
        check(&repo).code,
        Some(0),
        "a commit without claims is allowed"
    );
    git(&world, &repo, &["commit", "-qm", "one"]);
    git(&world, &repo, &["mv", "src/old name.rs", "src/new.rs"]);
    let claimed = ada.call(
        "claim",
        json!({ "resource": "file:src/old name.rs", "note": "mine" }),
    );
    assert_eq!(claimed["status"], "granted");
    let ran = check(&repo.join("src"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err.contains("src/old name.rs is held by shop until ") && ran.err.contains("(mine)"),
        "{ran:?}"
    );
    assert!(ran.err.contains("hint: "), "{ran:?}");
    let ran = world.cli(&repo, &["claims", "--check-staged", "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["held"][0]["peer"]),
        (Some(1), &json!("shop"))
    );
    // The hook of docs/claims.md, run by git.
    let hook = format!(
        "#!/bin/sh\nexec {} claims --check-staged\n",
        program("claude-mesh")
    );
    world.executable("shop/.git/hooks/pre-commit", hook.as_bytes());
    let commit = || {
        let mut git = world.command("git", &repo);
        let arguments = [
            "-c",
            "user.name=ada",
            "-c",
            "user.email=a@b",
            "commit",
            "-qm",
            "two",
        ];
        git.args(arguments).output().unwrap().status.success()
    };
    assert!(!commit());
    ada.call("release", json!({ "resource": "file:src/old name.rs" }));
    assert_eq!(
        world.cli(&repo, &["claim", "file:src/new.rs"]).code,
        Some(0)
    );
    assert!(commit(), "a claim of the committer stops nothing");
}

#[test]
fn check_staged_reports_a_missing_repository_or_mesh() {
    let world = World::new();
    let folder = world.project("plain");
    let ran = world.cli(&folder, &["claims", "--check-staged"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("not a git repository"), "{ran:?}");
    git(&world, &folder, &["init", "-q"]);
    let ran = world.cli(&folder, &["claims", "--check-staged"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(ran.err.contains("no mesh here yet"), "{ran:?}");
    assert!(!world.database().exists());
}

/// Returns whether a process has the database open.
fn has_database_open(pid: u32, database: &Path) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"));
    descriptors
        .into_iter()
        .flatten()
        .flatten()
        .any(|one| std::fs::read_link(one.path()).is_ok_and(|to| to == database))
}

#[test]
fn killed_claim_guard_leaves_no_files_or_locks() {
    let world = World::new();
    let (ada, bo, file) = two_sessions_and_file(&world);
    claim_shared_file(&ada, json!({}));
    let stdin = json!({
        "hook_event_name": "PreToolUse", "tool_name": "Edit", "tool_input": { "file_path": file },
        "session_id": *bo.client_session.lock().unwrap(), "cwd": bo.folder,
    });
    let files = || {
        let mut all: Vec<_> = files_below(&world.home().join(".claude-mesh"));
        all.sort();
        all
    };
    assert!(edit_denial(&bo, "Edit", &file).is_some());
    ada.wait_until_idle();
    bo.wait_until_idle();
    let (before, database) = (files(), world.database());
    let mut killed = 0;
    // Some have ended before they are observed.
    crate::support::wait_until("ten are killed with the file open", || {
        let mut guard = bo.start_hook("claude-mesh-claim-guard", stdin.to_string().as_bytes());
        while guard.try_wait().unwrap().is_none() {
            if has_database_open(guard.id(), &database) {
                guard.kill().unwrap();
                killed += i32::from(guard.wait().unwrap().code().is_none());
            }
        }
        killed == 10
    });
    assert_eq!(files(), before);
    assert!(edit_denial(&bo, "Edit", &file).is_some());
    ada.call("release", json!({ "resource": "file:shared.rs" }));
    assert_eq!(
        edit_denial(&bo, "Edit", &file),
        None,
        "the edit is not delayed"
    );
    let integrity: String = world
        .rows()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
