//! The mod inside a real client: it is loaded in place, and its command answers without the model.
use super::client::Lab;
use super::mesh::Mesh;
use super::scripted_api::{ScriptedApi, say};

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
