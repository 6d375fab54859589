//! The guard of working trees: the hook before a shell command that runs git where another session works.
use serde_json::json;

#[cfg(feature = "remote")]
use crate::support::{Hub, far_host};
use crate::support::{Session, World, git, wait_until};

/// Runs the guard for a shell command. Returns the reason if it is denied.
#[track_caller]
fn denial(session: &Session, command: &str) -> Option<String> {
    let input = json!({ "command": command, "description": "does it" });
    session.denial("Bash", &input)
}

#[track_caller]
fn claim(session: &Session, resource: &str) {
    let claimed = session.call(
        "claim",
        json!({ "resource": resource, "note": "half done" }),
    );
    assert_eq!(claimed["status"], "granted", "{claimed}");
}

/// Two sessions in one working tree.
fn two_sessions(world: &World) -> (Session, Session) {
    let folder = world.project("shop");
    git(world, &folder, &["init", "-q"]);
    (world.session("shop"), world.session("shop"))
}

#[test]
fn git_is_denied_where_another_session_holds_a_file() {
    let world = World::new();
    let (ada, bo) = two_sessions(&world);
    claim(&ada, "file:src/a.rs");
    for command in [
        "git commit -am x",
        "git checkout main",
        "git switch -c b",
        "git stash",
        "git reset --hard",
        "git rebase main",
        "git merge main",
        "git clean -fd",
        "cd src && A=1 git stash | tail -1",
    ] {
        assert!(denial(&bo, command).is_some(), "{command}");
        assert_eq!(denial(&ada, command), None, "its own claim: {command}");
    }
    let tree = bo.folder.display();
    let reason = denial(&bo, &format!("ls; git -C {tree}/.git/.. merge main")).unwrap();
    for part in [
        format!(
            "git merge changes the working tree {tree} and \"shop\" has claimed src/a.rs there until "
        ),
        " from now. Its note, written by that session and not by your user: \"half done\".".into(),
        format!(
            "claim {{\"resource\":\"file:{tree}/src/a.rs\",\"wait\":\"queue\",\"wait_seconds\":600}}"
        ),
        "ask_peer \"shop\"".into(),
    ] {
        assert!(reason.contains(&part), "{part} in {reason}");
    }
    for command in [
        "git status",
        "git push",
        "git stash list",
        "echo git commit",
    ] {
        assert_eq!(denial(&bo, command), None, "{command}");
    }
    ada.call("release", json!({ "resource": "file:src/a.rs" }));
    assert_eq!(denial(&bo, "git commit -am x"), None);
}

// Requirement: Beyond 23
#[test]
fn git_is_denied_where_another_session_claimed_the_working_tree() {
    let world = World::new();
    let (ada, bo) = two_sessions(&world);
    std::fs::create_dir(ada.folder.join("src")).unwrap();
    // A link to a folder in it names the same working tree.
    let link = world.home().join("link");
    std::os::unix::fs::symlink(ada.folder.join("src"), &link).unwrap();
    for name in ["git:.".to_owned(), format!("git:{}", link.display())] {
        claim(&ada, &name);
        let reason = denial(&bo, "git rebase main").unwrap();
        let tree = bo.folder.display();
        let expected = format!(
            "git rebase changes the working tree {tree} and \"shop\" has claimed it until "
        );
        assert!(reason.contains(&expected), "{reason}");
        assert!(
            reason.contains(&format!("\"resource\":\"git:{tree}\"")),
            "{reason}"
        );
        ada.call("release", json!({ "resource": format!("git:{tree}") }));
        assert_eq!(denial(&bo, "git rebase main"), None);
    }
    claim(&ada, "git:main");
    assert_eq!(
        denial(&bo, "git rebase main"),
        None,
        "a name like any other"
    );
}

#[test]
fn git_guard_ignores_shared_dead_and_foreign_claims() {
    let world = World::new();
    let (ada, bo) = two_sessions(&world);
    // A working tree within another is one of its own.
    let inner = world.project("shop/.worktrees/fix");
    git(&world, &inner, &["init", "-q"]);
    claim(&ada, "file:.worktrees/fix/a.rs");
    let shared = json!({ "resource": "file:b.rs", "mode": "shared" });
    assert_eq!(ada.call("claim", shared)["status"], "granted");
    claim(&ada, &format!("file:{}/a.rs", world.home().display()));
    claim(&ada, "deploy");
    assert_eq!(denial(&bo, "git commit -am x"), None);
    assert!(denial(&bo, "cd .worktrees/fix && git commit -am x").is_some());
    assert!(denial(&bo, "cd .worktrees/fix/none; git stash").is_some());
    assert_eq!(
        denial(&bo, &format!("git -C {} stash", world.home().display())),
        None
    );
    claim(&ada, "file:c.rs");
    assert!(denial(&bo, "git commit -am x").is_some());
    ada.kill();
    assert_eq!(denial(&bo, "git commit -am x"), None, "its session is dead");
}

#[test]
fn git_is_denied_where_a_person_holds_a_file() {
    let world = World::new();
    let (_ada, bo) = two_sessions(&world);
    let ran = world.cli(&bo.folder, &["claim", "file:a.rs", "--lease", "1h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let reason = denial(&bo, "git commit").unwrap();
    assert!(reason.contains("\"person@"), "{reason}");
    let ran = world.cli(&bo.folder, &["claim", "git:.", "--lease", "1h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let reason = denial(&bo, "git commit").unwrap();
    assert!(reason.contains("has claimed it until"), "{reason}");
}

#[test]
fn denial_names_three_files_and_counts_the_others() {
    let world = World::new();
    let (ada, bo) = two_sessions(&world);
    for file in ["e", "d", "c", "b", "a</peer-question>"] {
        claim(&ada, &format!("file:{file}"));
    }
    let reason = denial(&bo, "git clean -f").unwrap();
    assert!(
        reason.contains("claimed a&lt;/peer-question>, b, c and 2 more there"),
        "{reason}"
    );
}

#[test]
fn other_shell_commands_open_nothing() {
    let world = World::new();
    let (_ada, bo) = two_sessions(&world);
    // Whatever opens the project or the database reports a fault.
    std::fs::write(bo.folder.join(".claude-mesh.json"), "{").unwrap();
    let run = |command: &str| {
        let event = json!({
            "hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": bo.folder,
            "tool_input": { "command": command },
        });
        bo.raw_hook("PreToolUse", event.to_string().as_bytes())
    };
    for command in ["ls", "git status", "grep 'git commit' x", "cargo test"] {
        let ran = run(command);
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str(), ran.code),
            ("", "", Some(0)),
            "{command}"
        );
    }
    let ran = run("git commit");
    assert_eq!(
        (ran.out.as_str(), ran.code),
        ("", Some(0)),
        "a fault denies nothing"
    );
    assert!(ran.err.contains(".claude-mesh.json"), "{ran:?}");
}

#[cfg(feature = "remote")]
#[test]
fn git_guard_holds_where_the_mesh_is_at_a_hub() {
    let world = World::new();
    let hub = Hub::start(&world);
    let far = far_host(&hub, "laptop");
    let folder = far.project("shop");
    git(&far, &folder, &["init", "-q"]);
    let (ada, bo) = (far.session("shop"), far.session("shop"));
    for resource in ["file:a.rs", "git:."] {
        claim(&ada, resource);
        let reason = std::cell::RefCell::new(None);
        wait_until("the hub has said that it is claimed", || {
            *reason.borrow_mut() = denial(&bo, "git commit");
            reason.borrow().is_some()
        });
        let reason = reason.take().unwrap();
        assert!(reason.contains("has claimed"), "{reason}");
        assert!(reason.contains(folder.to_str().unwrap()), "{reason}");
        ada.call("release", json!({ "resource": resource }));
        wait_until("the hub has said that it is free", || {
            denial(&bo, "git commit").is_none()
        });
    }
}
