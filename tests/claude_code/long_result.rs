//! A result of the largest size reaches the model complete.
use serde_json::{Value, json};

use super::client::Lab;
use super::mesh::Mesh;
use super::scripted_api::{ScriptedApi, call, say};

#[test]
fn a_result_near_its_limit_reaches_the_model_whole() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    for number in 0..3 {
        let (key, text) = (
            format!("k{number}"),
            format!("deploy {}", "word ".repeat(12_500)),
        );
        mesh.run(&[
            "memory", "remember", "--scope", "mesh", "--key", &key, &text,
        ]);
    }
    let api = ScriptedApi::listen(|request| {
        if request.turn() == 0 {
            return call("mcp__claude-mesh__recall", json!({ "query": "deploy" }));
        }
        let reported = request.tool_results().join("");
        let found: Value = serde_json::from_str(&reported).unwrap_or(Value::Null);
        let memories = found["memories"].as_array().map_or(0, Vec::len);
        let is_long = reported.len() > 180_000;
        say(format!(
            "{memories} memories, more than 180000 characters: {is_long}"
        ))
    });
    let run = lab.session(&lab.project("backend"), &api).headless("look");
    assert_eq!(
        run.finish().result(),
        "3 memories, more than 180000 characters: true"
    );
}
