//! Round trips of the client alone.
use std::fs;

use serde_json::json;

use super::client::{Lab, PATIENCE};
use super::scripted_api::{ScriptedApi, call, say};

#[test]
fn a_headless_run_ends_with_what_its_model_says() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("backend");
    let api = ScriptedApi::listen(|request| {
        assert!(request.news().contains("what is six times seven?"));
        say("42")
    });
    let run = lab
        .session(&project, &api)
        .headless("what is six times seven?");
    assert_eq!(run.finish().result(), "42");
    assert!(api.conversation()[0].session_id.is_some());
}

#[test]
fn a_tool_call_comes_back_with_its_result() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("backend");
    fs::write(project.join("port"), "5433").expect("the project is ours");
    let api = ScriptedApi::listen(|request| match request.turn() {
        0 => call(
            "Bash",
            json!({"command": "cat port", "description": "look"}),
        ),
        _ => say(request.tool_results().join("")),
    });
    let run = lab.session(&project, &api).headless("which port?");
    assert_eq!(run.finish().result(), "5433");
}

#[test]
fn an_interactive_session_shows_what_its_model_says() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("backend");
    let api = ScriptedApi::listen(|_| say("hello, person"));
    let Some(terminal) = lab.session(&project, &api).interactive() else {
        return;
    };
    terminal.type_prompt("hello, model");
    api.wait_until(PATIENCE, |heard| {
        heard.first()?.news().contains("hello, model").then_some(())
    });
    terminal.wait_for("hello, person");
}
