//! A question for a session whose person has a dialog open: the dialog stays open, and a fork may answer meanwhile.
use serde_json::{Value, json};

use super::client::Lab;
use super::fork::{answered_by, install_with_mod, is_fork};
use super::mesh::Mesh;
use super::scripted_api::{ScriptedApi, call, say};
use super::wakes::{answers, ask_on_request};

/// A call that opens a dialog, and a text in the dialog.
struct Dialog {
    tool: &'static str,
    input: Value,
    text: &'static str,
    mode: &'static str,
}

fn dialogs() -> [Dialog; 4] {
    let question = json!({
        "question": "Which colour?", "header": "Colour", "multiSelect": false,
        "options": [
            {"label": "red", "description": "like a rose"},
            {"label": "blue", "description": "like the sea"},
        ],
    });
    [
        Dialog {
            tool: "Bash",
            input: json!({"command": "touch made", "description": "touch a file"}),
            text: "Do you want to proceed?",
            mode: "default",
        },
        Dialog {
            tool: "mcp__claude-mesh__remember",
            input: json!({"text": "the port is 5433"}),
            text: "Do you want to proceed?",
            mode: "default",
        },
        Dialog {
            tool: "AskUserQuestion",
            input: json!({"questions": [question]}),
            text: "Which colour?",
            mode: "default",
        },
        Dialog {
            tool: "ExitPlanMode",
            input: json!({"plan": "Paint it."}),
            text: "Exit plan mode?",
            mode: "plan",
        },
    ]
}

/// Lets frontend ask while backend has the dialog open, checks that it stays, and answers it. Returns who has answered.
fn ask_at_dialog(lab: &Lab, mesh: &Mesh, dialog: Dialog) -> Option<Vec<Value>> {
    lab.set(
        "permissions",
        json!({ "allow": ["Read", "mcp__claude-mesh"], "ask": ["mcp__claude-mesh__remember"] }),
    );
    let careful = ScriptedApi::listen(move |request| match request.turn() {
        _ if is_fork(request) => say("5433"),
        0 => call(dialog.tool, dialog.input.clone()),
        _ => answers(request),
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let [backend, frontend] = ["backend", "frontend"].map(|name| lab.path(name));
    let at_backend = lab.session(&backend, &careful);
    let at_backend = at_backend
        .argument("--permission-mode")
        .argument(dialog.mode);
    let at_backend = at_backend.interactive()?;
    let at_frontend = lab.session(&frontend, &asking).interactive()?;
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_backend.type_prompt("take a note");
    at_backend.wait_for(dialog.text);
    mesh.wait_for_activity("backend", "waiting");
    at_frontend.type_prompt("ask backend");
    let by_fork = lab.path("home/.claude-mesh/.env");
    let by_fork = std::fs::read_to_string(by_fork).is_ok_and(|set| set.contains("FORK=busy"));
    if by_fork {
        at_frontend.wait_for("it is 5433");
    } else {
        at_frontend.wait_for("waits at a dialog for its person");
        mesh.wait_for_open_question(|it| it["wake"] == "queued" && it["shown_times"] == 0);
    }
    assert!(
        at_backend.screen().contains(dialog.text),
        "{}: {}",
        dialog.tool,
        at_backend.screen()
    );
    at_backend.keys(&["Enter"]);
    at_frontend.wait_for("it is 5433");
    Some(answered_by(mesh))
}

#[test]
fn every_dialog_stays_open_when_a_question_comes() {
    for dialog in dialogs() {
        let Some((lab, mesh)) = install_with_mod("") else {
            return;
        };
        let tool = dialog.tool;
        let Some(by) = ask_at_dialog(&lab, &mesh, dialog) else {
            return;
        };
        assert_eq!(by, ["session"], "{tool}");
    }
}

#[test]
fn every_dialog_stays_open_while_a_fork_answers() {
    for dialog in dialogs() {
        let Some((lab, mesh)) = install_with_mod("CLAUDE_MESH_FORK=busy\n") else {
            return;
        };
        let tool = dialog.tool;
        let Some(by) = ask_at_dialog(&lab, &mesh, dialog) else {
            return;
        };
        assert_eq!(by, ["fork"], "{tool}");
    }
}
