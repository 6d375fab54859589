//! The description of the routes of the hub: the table of `docs/http.md` has what it has, and schemathesis finds no
//! response that differs from it.
use std::path::Path;
use std::process::Stdio;

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::documents::table;
use crate::other_clients::{Package, Registry};
use crate::support::{Hub, ProcessOutput, World};

const SCHEMATHESIS: Package = Package {
    name: "schemathesis",
    registry: Registry::PyPi,
    spec: "schemathesis==4.32.5",
    entry: "bin/schemathesis",
};
/// Returns the word in backticks that follows a text.
fn ticked_after(description: &str, text: &str) -> String {
    let after = description.split_once(text).map(|(_, after)| after);
    let word = after.and_then(|after| after.split('`').next());
    word.map_or_else(|| "–".to_owned(), |word| format!("`{word}`"))
}

/// Returns the rows of the table of routes, from the copy of the `OpenAPI` document, which another test compares.
fn expected_rows() -> Vec<Vec<String>> {
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(copy).unwrap()).unwrap();
    let mut rows = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let description = operation["description"].as_str().unwrap_or_default();
            rows.push(vec![
                format!("`{} {path}`", method.to_uppercase()),
                operation["summary"].as_str().unwrap().to_owned(),
                ticked_after(description, "scope `"),
                ticked_after(description, "The tool `"),
            ]);
        }
    }
    rows
}

#[test]
fn table_of_routes_is_that_of_the_openapi_document() {
    let expected = expected_rows();
    let lines = expected
        .iter()
        .map(|row| format!("| {} |\n", row.join(" | ")));
    assert_eq!(
        table("docs/http.md", "Routes"),
        expected,
        "the table should be:\n{}",
        lines.collect::<String>()
    );
}

/// Gives a mesh something of each kind, from the peer bo to the caller.
#[track_caller]
fn populate(hub: &Hub, caller: &Value) {
    let bo = hub.key("bo", KeyScope::Write);
    let question = json!({ "to": caller, "question": "which port?" });
    for (path, body) in [
        ("/v1/questions?wait=0", question),
        ("/v1/messages", json!({ "to": caller, "body": "hello" })),
        ("/v1/topics", json!({ "topics": ["ops"] })),
        ("/v1/claims", json!({ "resource": "deploy" })),
        (
            "/v1/tasks",
            json!({ "title": "docs", "assigned_to": caller }),
        ),
        (
            "/v1/memories",
            json!({ "text": "5433", "key": "port", "scope": "mesh" }),
        ),
        ("/v1/events", json!({ "type": "project.built" })),
    ] {
        let (status, result) = hub.post(path, &bo, body);
        assert!((200..300).contains(&status), "{path}: {result}");
    }
}

/// Lets schemathesis send valid and invalid requests for each route with a key of this scope.
#[track_caller]
fn run_schemathesis(program: &Path, scope: KeyScope) {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("fuzz", scope);
    populate(&hub, &hub.get("/v1/inbox", &key).1["you"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let output = world
        .command(program.to_str().unwrap(), &world.home())
        .env("SCHEMATHESIS_HOOKS", folder.join("schemathesis_hooks.py"))
        .arg("--no-color")
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["run", &format!("{}/v1/openapi.json", hub.url())])
        .args(["--url", hub.url()])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ran = ProcessOutput::of(&output);
    assert_eq!(ran.code, Some(0), "{scope:?}: {}{}", ran.out, ran.err);
    let tested = format!("Tested: {}\n", expected_rows().len());
    assert!(ran.out.contains(&tested), "{}", ran.out);
}

#[test]
fn schemathesis_finds_no_response_that_is_not_described() {
    let Some(program) = SCHEMATHESIS.get() else {
        return;
    };
    for scope in [KeyScope::Write, KeyScope::Admin] {
        run_schemathesis(&program, scope);
    }
}
