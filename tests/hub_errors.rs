//! Every refusal of a request of the hub: its HTTP status, its error object, its headers.
use claude_mesh::model::access_key::KeyScope;
use serde_json::json;

use crate::support::{Hub, HubResponse, World};

const INVALID: &str = "400 invalid_argument";

/// Method and path, JSON body, status and code.
const REFUSED: &[(&str, &str, &str)] = &[
    ("GET /v1/nothing", "", "404 not_found"),
    ("PUT /v1/status", "", "405 method_not_allowed"),
    ("POST /health", "{}", "405 method_not_allowed"),
    ("GET /v1/peers?scop=repo", "", INVALID),
    ("GET /v1/peers?include_stale=maybe", "", INVALID),
    ("GET /v1/peers?scope=repo&scope=repo", "", INVALID),
    ("GET /v1/peers/nobody", "", "404 unknown_peer"),
    ("GET /v1/tasks?limit=abc", "", INVALID),
    ("GET /v1/tasks?wait=5", "", INVALID),
    ("GET /v1/events?wait=-1", "", INVALID),
    ("GET /v1/state/x?action=delete", "", INVALID),
    ("GET /v1/state/x/%ff", "", INVALID),
    (
        "GET /v1/questions/01K00000000000000000000000",
        "",
        "404 not_found",
    ),
    ("GET /v1/questions/abc?wait=5", "", INVALID),
    ("GET /v1/questions?scope=all", "", "403 not_yours"),
    ("POST /v1/questions?wait=9999", "{}", INVALID),
    (
        "POST /v1/questions",
        r#"{"to":"a","question":"b","timeout_seconds":1}"#,
        INVALID,
    ),
    (
        "POST /v1/questions",
        r#"{"to":"nobody","question":"b"}"#,
        "404 unknown_peer",
    ),
    ("POST /v1/peers/bo", "{}", "403 forbidden"),
    (
        "POST /v1/messages",
        r#"{"to":"*","body":"b","from":"bo"}"#,
        INVALID,
    ),
    ("POST /v1/messages", "{", INVALID),
    ("POST /v1/messages", "[]", INVALID),
    ("POST /v1/messages", r#"{"to":"*"}"#, INVALID),
    (
        "POST /v1/messages",
        r#"{"to":"*","body":"b","too":1}"#,
        INVALID,
    ),
    ("POST /v1/messages/read", r#"{"up_to":1}"#, INVALID),
    ("DELETE /v1/pause", "", "403 forbidden"),
    ("DELETE /v1/tasks/abc", "{}", INVALID),
    ("PUT /v1/state/x/y", r#"{"key":"z","value":1}"#, INVALID),
];

#[track_caller]
fn check(response: &HubResponse, expected: &str, request: &str) {
    let error = &response.json()["error"];
    let code = error["code"].as_str().unwrap_or_default();
    assert_eq!(
        format!("{} {code}", response.status),
        expected,
        "{request}: {response:?}"
    );
    let is_text = error["message"].is_string() && error["hint"].is_string();
    assert!(is_text, "{request}: {response:?}");
}

#[test]
fn wrong_request_has_its_status_and_error_object() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    for (request, body, expected) in REFUSED {
        let (method, path) = request.split_once(' ').unwrap();
        let sent = hub.request(method, path).key(&key);
        let response = if body.is_empty() {
            sent.send()
        } else {
            sent.header("Content-Type", "application/json")
                .bytes(body.as_bytes())
        };
        check(&response, expected, request);
        let allows = response.header("Allow").is_some();
        assert_eq!(allows, response.status == 405, "{request}: {response:?}");
    }
}

#[test]
fn body_that_is_too_deep_or_long_or_not_json_is_refused() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    let post = |content_type: &str, body: &str| {
        let request = hub.request("POST", "/chat").key(&key);
        request
            .header("Content-Type", content_type)
            .bytes(body.as_bytes())
    };
    let json_type = "application/json";
    let deep = format!("{{\"message\":{}", "[".repeat(200));
    check(&post(json_type, &deep), INVALID, "deep");
    let long = json!({ "message": "ü".repeat(2001) }).to_string();
    check(&post(json_type, &long), "413 too_large", "long");
    let longest = json!({ "message": "ü".repeat(2000) }).to_string();
    assert_eq!(post(json_type, &longest).status, 201);
    for other in ["text/plain", "application/x-www-form-urlencoded", ""] {
        check(&post(other, "{}"), "415 unsupported_media_type", other);
    }
}

#[test]
fn read_key_reads_and_does_not_write() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Read);
    assert_eq!(hub.get("/v1/tasks", &key).0, 200);
    let (status, refused) = hub.post("/v1/tasks", &key, json!({ "title": "a" }));
    assert_eq!(
        (status, &refused["error"]["code"]),
        (403, &json!("forbidden"))
    );
}
