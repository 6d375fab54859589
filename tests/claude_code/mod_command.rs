//! What the mod shows in a real client: its command answers without the model, its pane and its status line.
use std::fs;

use super::asks::answer;
use super::background::build_until_released;
use super::client::Lab;
use super::fork::install_with_mod;
use super::mesh::Mesh;
use super::scripted_api::{ScriptedApi, say};
use super::wakes::{ask, ask_on_request};
use crate::support::wait_until;

#[test]
fn mesh_command_answers_without_the_model() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    mesh.run(&["install", "--mod"]);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let api = ScriptedApi::listen(|request| {
        let text = request.body.to_string();
        assert!(!text.contains("1 other here"), "the model read it: {text}");
        say("hello, person")
    });
    let Some(_other) = lab.session(&backend, &api).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    let Some(terminal) = lab.session(&frontend, &api).interactive() else {
        return;
    };
    mesh.wait_for_peer("frontend");
    terminal.type_prompt("/mesh");
    terminal.wait_for("you are frontend; 1 other here: backend (idle)");
    assert!(api.conversation().is_empty());
    terminal.type_prompt("hello, model");
    terminal.wait_for("hello, person");
}

#[test]
fn pane_shows_peers_questions_and_claims_without_the_model() {
    let Some((lab, mesh)) = install_with_mod("") else {
        return;
    };
    let asking = ScriptedApi::listen(|request| match request.turn() {
        0 => ask("frontend", "which \u{1b}[31mport?"),
        _ => say(request.tool_results().join("")),
    });
    let api = ScriptedApi::listen(|_| say("nobody asks me"));
    let [frontend, backend] = ["frontend", "backend"].map(|name| lab.path(name));
    let Some(other) = lab.session(&backend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    let Some(terminal) = lab.session(&frontend, &api).interactive() else {
        return;
    };
    mesh.wait_for_peer("frontend");
    mesh.run(&["claim", "deploy", "--lease", "1h"]);
    mesh.run(&["quiet", "frontend"]);
    other.type_prompt("ask it");
    mesh.wait_for_question("frontend");
    mesh.wait_for_activity("backend", "idle");
    terminal.type_prompt("/mesh pane");
    for text in [
        "you are frontend",
        "Here (1)",
        "backend  idle",
        "Waits for you (1)",
        "Claimed (1)",
        "deploy  person@",
    ] {
        terminal.wait_for(text);
    }
    assert!(terminal.screen().contains("which"), "{}", terminal.screen());
    assert!(api.conversation().is_empty());
    terminal.type_prompt("/mesh pane");
    terminal.wait_for("the pane is closed");
    wait_until("it is closed", || {
        !terminal.screen().contains("Waits for you")
    });
}

#[test]
fn status_line_says_what_waits_for_as_long_as_it_does() {
    let Some((lab, mesh)) = install_with_mod("") else {
        return;
    };
    let working = ScriptedApi::listen(|request| match request.peer_question_id() {
        Some(id) => answer(&id),
        None if request.turn() == 0 => build_until_released(),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let [frontend, backend] = ["frontend", "backend"].map(|name| lab.path(name));
    let Some(at_backend) = lab.session(&backend, &working).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_backend.type_prompt("build it");
    wait_until("the build has begun", || backend.join("begun").exists());
    mesh.wait_for_activity("backend", "busy");
    at_frontend.type_prompt("ask backend");
    at_backend.wait_for("mesh: 1 here · 1 waits");
    fs::write(backend.join("go"), "").expect("the folder is writable");
    at_frontend.wait_for("it is 5433");
    wait_until("nothing waits", || !at_backend.screen().contains("1 waits"));
}
