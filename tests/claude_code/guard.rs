//! A real session is about to edit a file that another has claimed, or to run git where another works: it is blocked, its model
//! gets the reason, and after the release it does what it wanted.
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};

use super::client::{Lab, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use crate::support::wait_until;

/// A lab in which files may be written, with the guard installed.
fn install_with_guard() -> Option<(Lab, Mesh)> {
    let lab = Lab::new()?;
    lab.set(
        "permissions",
        json!({ "allow": ["Bash", "Read", "Write", "Edit"] }),
    );
    let mesh = Mesh::install(&lab);
    mesh.run(&["install", "--guard"]);
    Some((lab, mesh))
}

fn result(request: &Request) -> Value {
    let reported = request.tool_results().join("");
    serde_json::from_str(&reported).unwrap_or_else(|_| panic!("no JSON: {reported}"))
}

/// Claims, waits until the test continues, and releases.
fn claim_until_released(
    resource: String,
    held: impl Fn() + Send + Sync + 'static,
) -> impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static {
    move |request| match request.turn() {
        0 => call(
            "mcp__claude-mesh__claim",
            json!({ "resource": resource, "note": "renaming all of it" }),
        ),
        1 => {
            assert_eq!(result(request)["status"], "granted");
            held();
            call("mcp__claude-mesh__release", json!({ "resource": resource }))
        }
        _ => say("given back"),
    }
}

// Requirement: Beyond 5
#[test]
fn edit_of_a_claimed_file_is_blocked_until_the_release() {
    let Some((lab, mesh)) = install_with_guard() else {
        return;
    };
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let file = backend
        .canonicalize()
        .expect("the folder exists")
        .join("api.rs");
    let path = file.to_str().expect("the path is UTF-8").to_owned();
    let (denied, stopped) = channel();
    let stopped = Mutex::new(stopped);
    let watched = mesh.clone();
    let in_line = move || {
        let stopped = stopped.lock().expect("no holder panics");
        stopped
            .recv_timeout(WAIT_TIMEOUT)
            .expect("the edit is blocked");
        watched.wait_for_claim(|line| line["queue"][0]["peer"].is_string());
    };
    let holding = ScriptedApi::listen(claim_until_released(format!("file:{path}"), in_line));
    let denied = Mutex::new(denied);
    let (watched, wanted, there) = (mesh.clone(), path.clone(), file.clone());
    let editing = ScriptedApi::listen(move |request| {
        let write = || call("Write", json!({ "file_path": wanted, "content": "mine\n" }));
        match request.turn() {
            0 => {
                watched.wait_for_claim(|line| line["holders"][0]["peer"].is_string());
                write()
            }
            1 => {
                let reported = request.tool_results().join("");
                for part in [
                    "api.rs is claimed by \"frontend",
                    "renaming all of it",
                    "ask_peer",
                ] {
                    assert!(reported.contains(part), "{part} in {reported}");
                }
                assert!(!there.exists(), "nothing was written");
                denied
                    .lock()
                    .expect("no holder panics")
                    .send(())
                    .expect("the other waits");
                let claim = json!({ "resource": format!("file:{wanted}"), "wait": "queue", "wait_seconds": 60 });
                call("mcp__claude-mesh__claim", claim)
            }
            2 => {
                assert_eq!(result(request)["status"], "granted");
                write()
            }
            _ => say("edited"),
        }
    });

    let holder = lab.session(&frontend, &holding).headless("rename");
    let editor = lab.session(&backend, &editing).headless("edit");

    assert_eq!(editor.finish().result(), "edited");
    assert_eq!(holder.finish().result(), "given back");
    assert_eq!(
        fs::read_to_string(file).expect("the file was written"),
        "mine\n"
    );
}

// Requirement: Beyond 6
#[test]
fn idle_session_wakes_on_its_claim_grant_and_edits_the_file() {
    let Some((lab, mesh)) = install_with_guard() else {
        return;
    };
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let file = backend
        .canonicalize()
        .expect("the folder exists")
        .join("api.rs");
    let path = file.to_str().expect("the path is UTF-8").to_owned();
    let resource = format!("file:{path}");
    let watched = mesh.clone();
    let idle_in_line = move || {
        watched.wait_for_claim(|line| line["queue"][0]["peer"] == "backend");
        watched.wait_for_activity("backend", "idle");
    };
    let holding = ScriptedApi::listen(claim_until_released(resource.clone(), idle_in_line));
    let watched = mesh.clone();
    let granted = format!("claim granted: {resource}");
    let waiting = ScriptedApi::listen(move |request| {
        if request.new_text().contains(&granted) {
            return call("Write", json!({ "file_path": path, "content": "mine\n" }));
        }
        match request.turn() {
            0 => {
                watched.wait_for_claim(|line| line["holders"][0]["peer"].is_string());
                let claim = json!({ "resource": resource, "wait": "queue", "lease_seconds": 3600 });
                call("mcp__claude-mesh__claim", claim)
            }
            _ => say("back to my prompt"),
        }
    });

    let Some(terminal) = lab.session(&backend, &waiting).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    terminal.type_prompt("stand in line");
    let holder = lab.session(&frontend, &holding).headless("rename");

    assert_eq!(holder.finish().result(), "given back");
    wait_until("the woken session writes the file", || file.exists());
    assert_eq!(
        fs::read_to_string(&file).expect("the file exists"),
        "mine\n"
    );
}

#[test]
fn git_is_blocked_while_another_session_claims_the_working_tree() {
    let Some((lab, mesh)) = install_with_guard() else {
        return;
    };
    let project = lab.project("backend");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(&project).env_clear();
        git.output().expect("git is installed")
    };
    assert!(git(&["init", "-q"]).status.success());
    let (denied, stopped) = channel();
    let stopped = Mutex::new(stopped);
    let watched = mesh.clone();
    let in_line = move || {
        let stopped = stopped.lock().expect("no holder panics");
        let wait = stopped.recv_timeout(WAIT_TIMEOUT);
        wait.expect("git is blocked");
        watched.wait_for_claim(|line| line["queue"][0]["peer"].is_string());
    };
    let holding = ScriptedApi::listen(claim_until_released("git:.".to_owned(), in_line));
    let committing = ScriptedApi::listen(commit_when_free(mesh.clone(), denied));

    let holder = lab.session(&project, &holding).headless("rename");
    let committer = lab.session(&project, &committing).headless("commit");

    assert_eq!(committer.finish().result(), "committed");
    assert_eq!(holder.finish().result(), "given back");
    let log = git(&["log", "--format=%s"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout), "done\n");
}

/// Tries to commit, reports that it was denied, waits for the claim of the working tree, and commits.
fn commit_when_free(
    mesh: Mesh,
    denied: Sender<()>,
) -> impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static {
    let denied = Mutex::new(denied);
    let commit = || {
        let command =
            "git status && git -c user.name=ada -c user.email=a@b commit --allow-empty -m done";
        call(
            "Bash",
            json!({ "command": command, "description": "commits" }),
        )
    };
    move |request| match request.turn() {
        0 => {
            mesh.wait_for_claim(|line| line["holders"][0]["peer"].is_string());
            commit()
        }
        1 => {
            let reported = request.tool_results().join("");
            for part in [
                "because git commit changes the working tree",
                "renaming all of it",
                "ask_peer",
            ] {
                assert!(reported.contains(part), "{part} in {reported}");
            }
            let denied = denied.lock().expect("no holder panics");
            denied.send(()).expect("the other waits");
            let claim = json!({ "resource": "git:.", "wait": "queue", "wait_seconds": 60 });
            call("mcp__claude-mesh__claim", claim)
        }
        2 => {
            assert_eq!(result(request)["status"], "granted");
            commit()
        }
        _ => say("committed"),
    }
}
