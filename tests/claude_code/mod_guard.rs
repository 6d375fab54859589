//! The guard of the mod: it denies what others have claimed before any hook runs, in every permission mode and for subagents;
//! and where it cannot decide, the hook does, if it is installed.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::{Lab, WAIT_TIMEOUT};
use super::fork::install_with_mod;
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use super::terminal::Terminal;
use crate::support::wait_until;

/// Marks the prompt of the subagent.
const SUBTASK: &str = "the part for the subagent";

/// The results of calls: whether a subagent made it, and the text.
type Results = Arc<Mutex<Vec<(bool, String)>>>;

fn is_of_subagent(request: &Request) -> bool {
    request.messages().first().is_some_and(|first| {
        first["role"] == "user" && first["content"].to_string().contains(SUBTASK)
    })
}

fn write_file(path: &str) -> Vec<Block> {
    call("Write", json!({"file_path": path, "content": "mine\n"}))
}

fn commit() -> Vec<Block> {
    let command = "git -c user.name=ada -c user.email=a@b commit --allow-empty -m done";
    call("Bash", json!({"command": command, "description": "commit"}))
}

/// A model that writes a file and commits, and lets a subagent do the same.
fn writes_and_commits(path: String, results: &Results) -> ScriptedApi {
    let results = Arc::clone(results);
    ScriptedApi::listen(move |request| {
        let is_sub = is_of_subagent(request);
        let mut results = results.lock().expect("no holder panics");
        for result in request.tool_results() {
            results.push((is_sub, result));
        }
        match (is_sub, request.turn()) {
            (_, 0) => write_file(&path),
            (_, 1) => commit(),
            (true, _) => say("the subagent is done"),
            (false, 2) => {
                let task = json!({
                    "description": "a part", "prompt": SUBTASK, "subagent_type": "general-purpose",
                });
                call("Agent", task)
            }
            (false, _) => say("all is done"),
        }
    })
}

/// A session of frontend that has claimed the file and the working tree; and both of its claims.
fn open_holder(lab: &Lab, mesh: &Mesh, path: &str, tree: &Path) -> Option<Terminal> {
    let resources = [format!("file:{path}"), format!("git:{}", tree.display())];
    let holding = ScriptedApi::listen(move |request| {
        let text = request.new_text();
        let tool = match (text.contains("claim them"), text.contains("let them go")) {
            (true, _) => "mcp__claude-mesh__claim",
            (_, true) => "mcp__claude-mesh__release",
            _ => return say("as you say"),
        };
        let calls = resources.iter();
        calls
            .flat_map(|resource| call(tool, json!({ "resource": resource })))
            .collect()
    });
    let frontend = lab.path("frontend");
    let holder = lab.session(&frontend, &holding).interactive()?;
    mesh.wait_for_peer("frontend");
    holder.type_prompt("claim them");
    mesh.wait_for_claim(|it| {
        it["resource"]
            .as_str()
            .is_some_and(|it| it.starts_with("git:"))
    });
    Some(holder)
}

fn init_git(folder: &Path) {
    let git = Command::new("git")
        .args(["init", "-q"])
        .current_dir(folder)
        .env_clear()
        .status();
    assert!(git.is_ok_and(|it| it.success()), "git is installed");
}

/// Waits until the servers of both sessions listen, and returns their sockets.
#[track_caller]
fn guard_sockets(lab: &Lab) -> Vec<PathBuf> {
    let folder = lab.path("home/.claude-mesh/run");
    let sockets = || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let sockets = paths.filter(|path| path.extension().is_some_and(|it| it == "guard"));
        sockets.collect::<Vec<_>>()
    };
    wait_until("both servers listen", || sockets().len() == 2);
    sockets()
}

/// Returns the results of the first calls of the session, and of those of its subagent.
fn results_of(results: &Results) -> [Vec<String>; 2] {
    let results = results.lock().expect("no holder panics");
    [false, true].map(|sub| {
        let of = results.iter().filter(|(is_sub, _)| *is_sub == sub);
        of.take(2).map(|(_, text)| text.clone()).collect()
    })
}

#[track_caller]
fn assert_denied([write, commit]: [&String; 2]) {
    assert!(write.contains("api.rs is claimed by \"frontend"), "{write}");
    assert!(
        commit.contains("because git commit changes the working tree"),
        "{commit}"
    );
}

#[test]
fn mod_denies_what_others_claimed_in_every_permission_mode() {
    for mode in [
        "--permission-mode=acceptEdits",
        "--dangerously-skip-permissions",
    ] {
        let Some((lab, mesh)) = install_with_mod("") else {
            return;
        };
        let rules =
            json!({ "allow": ["Agent", "Bash", "Read", "Write", "Edit", "mcp__claude-mesh"] });
        lab.set("permissions", rules);
        lab.set("skipDangerousModePermissionPrompt", json!(true));
        let backend = lab.path("backend").canonicalize().expect("it exists");
        init_git(&backend);
        let file = backend.join("api.rs");
        let path = file.to_str().expect("the path is UTF-8").to_owned();
        let Some(holder) = open_holder(&lab, &mesh, &path, &backend) else {
            return;
        };
        let results = Results::default();
        let editing = writes_and_commits(path.clone(), &results);
        let session = lab.session(&backend, &editing).env("IS_SANDBOX", "1");
        let Some(terminal) = session.argument(mode).interactive() else {
            return;
        };
        mesh.wait_for_peer("backend");
        guard_sockets(&lab);
        terminal.type_prompt("write and commit");
        wait_until("both have tried", || results_of(&results)[1].len() == 2);
        for [write, commit] in results_of(&results).each_ref().map(|it| [&it[0], &it[1]]) {
            assert_denied([write, commit]);
        }
        assert!(!file.exists(), "{mode}: nothing was written");
        terminal.wait_for("all is done");

        holder.type_prompt("let them go");
        wait_until("they are free", || {
            let claims: Value =
                serde_json::from_str(&mesh.run(&["claims", "--json"])).expect("JSON");
            claims["claims"].as_array().is_some_and(Vec::is_empty)
        });
        let results = Results::default();
        let again = writes_and_commits(path, &results);
        let free = lab.session(&backend, &again).headless("write and commit");
        free.finish();
        let done = results.lock().expect("no holder panics");
        assert!(
            !done.iter().any(|(_, text)| text.contains("claude-mesh:")),
            "{done:?}"
        );
        assert!(file.exists(), "{mode}: it was written");
    }
}

#[test]
fn hook_decides_where_the_mod_gets_no_answer() {
    for (guard, denied) in [(true, true), (false, false)] {
        let Some((lab, mesh)) = install_with_mod("") else {
            return;
        };
        if guard {
            mesh.run(&["install", "--guard", "--mod"]);
        }
        let rules =
            json!({ "allow": ["Agent", "Bash", "Read", "Write", "Edit", "mcp__claude-mesh"] });
        lab.set("permissions", rules);
        let backend = lab.path("backend").canonicalize().expect("it exists");
        init_git(&backend);
        let file = backend.join("api.rs");
        let path = file.to_str().expect("the path is UTF-8").to_owned();
        let Some(_holder) = open_holder(&lab, &mesh, &path, &backend) else {
            return;
        };
        let results = Results::default();
        let editing = writes_and_commits(path, &results);
        let session = lab.session(&backend, &editing);
        let session = session.argument("--permission-mode=acceptEdits");
        let Some(terminal) = session.interactive() else {
            return;
        };
        mesh.wait_for_peer("backend");
        for socket in guard_sockets(&lab) {
            fs::remove_file(socket).expect("the folder is writable");
        }
        terminal.type_prompt("write and commit");
        editing.wait_until(WAIT_TIMEOUT, |requests| {
            requests.iter().find(|it| it.turn() > 2).map(|_| ())
        });
        assert_eq!(!file.exists(), denied, "guard: {guard}");
        let [own, _] = results_of(&results);
        if denied {
            assert_denied([&own[0], &own[1]]);
        }
    }
}
