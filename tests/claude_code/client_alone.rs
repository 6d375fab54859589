//! The client alone, without claude-mesh: the scripted model and the lab work.
use std::fs;

use serde_json::json;

use super::client::{Lab, WAIT_TIMEOUT};
use super::scripted_api::{ScriptedApi, call, say};

#[test]
fn headless_run_returns_the_model_output() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("backend");
    let api = ScriptedApi::listen(|request| {
        assert!(request.new_text().contains("what is six times seven?"));
        say("42")
    });
    let run = lab
        .session(&project, &api)
        .headless("what is six times seven?");
    assert_eq!(run.finish().result(), "42");
    assert!(
        api.conversation()[0]
            .header("x-claude-code-session-id")
            .is_some()
    );
}

#[test]
fn tool_call_returns_its_result_to_the_model() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("backend");
    fs::write(project.join("port"), "5433").expect("the folder is writable");
    let api = ScriptedApi::listen(|request| match request.turn() {
        0 => call(
            "Bash",
            json!({"command": "cat port", "description": "read the port"}),
        ),
        _ => say(request.tool_results().join("")),
    });
    let run = lab.session(&project, &api).headless("which port?");
    assert_eq!(run.finish().result(), "5433");
}

#[test]
fn interactive_session_displays_the_model_output() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("backend");
    let api = ScriptedApi::listen(|_| say("hello, person"));
    let Some(terminal) = lab.session(&project, &api).interactive() else {
        return;
    };
    terminal.type_prompt("hello, model");
    api.wait_until(WAIT_TIMEOUT, |requests| {
        requests
            .first()?
            .new_text()
            .contains("hello, model")
            .then_some(())
    });
    terminal.wait_for("hello, person");
}
