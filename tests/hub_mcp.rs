//! MCP over HTTP at `/mcp` of the hub: revisions, progress, broken connections, cancellation, scopes, invalid requests.
use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::support::{Hub, McpClient, World, wait_until};

/// The revisions with a handshake.
const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
const CURRENT: &str = "2026-07-28";

fn client(hub: &Hub, peer: &str) -> McpClient {
    McpClient::new(hub, &hub.key(peer, KeyScope::Write), CURRENT)
}

fn initialize(revision: &str) -> Value {
    json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } })
}

/// Returns how many waits are stored.
fn waits(world: &World) -> i64 {
    let rows = world.rows();
    rows.query_row("SELECT count(*) FROM wait", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn initialize_of_each_older_revision_answers_200() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("web", KeyScope::Write);
    for revision in LEGACY {
        let client = McpClient::new(&hub, &key, revision);
        let response = client.start(1, "initialize", initialize(revision));
        assert_eq!(response.status, 200, "{revision}");
        assert_eq!(response.header("mcp-session-id"), "", "it has no session");
        let result = response.answer()["result"].clone();
        assert_eq!(result["protocolVersion"], revision);
        assert_eq!(result["serverInfo"]["name"], "claude-mesh");
        assert_eq!(result["instructions"], claude_mesh::tools::INSTRUCTIONS);
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(client.send(&ready).status, 202);
        assert_eq!(client.call("list_peers", json!({}))["you"], "web");
    }
}

#[test]
fn current_revision_needs_no_handshake_and_no_session() {
    let world = World::new();
    let hub = Hub::start(&world);
    let client = client(&hub, "web");
    let found = client.request("server/discover", json!({}))["result"].clone();
    let versions: Vec<&str> = found["supportedVersions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(versions.contains(&CURRENT), "{versions:?}");
    assert!(
        LEGACY.iter().all(|it| versions.contains(it)),
        "{versions:?}"
    );
    let response = client.start_call(1, "list_peers", json!({}));
    assert_eq!(response.header("mcp-session-id"), "");
    assert_eq!(response.result()["you"], "web");
}

#[test]
fn tools_and_results_are_those_of_the_stdio_server() {
    let world = World::new();
    let hub = Hub::start(&world);
    let web = client(&hub, "web");
    let ada = world.session("ada");
    let listed = |answer: Value| answer["result"].clone();
    let over_stdio = listed(ada.request("tools/list", json!({})));
    assert_eq!(listed(web.request("tools/list", json!({}))), over_stdio);
    for (tool, arguments) in [
        ("state", json!({ "action": "set", "key": "k", "value": 1 })),
        ("ask_peer", json!({ "to": "ada", "question": 1 })),
        ("claim", json!({})),
    ] {
        let mut over_stdio = ada.call(tool, arguments.clone());
        let mut over_http = web.call(tool, arguments);
        for result in [&mut over_stdio, &mut over_http] {
            for of_the_call in ["updated_at", "updated_by", "version", "namespace"] {
                result.as_object_mut().unwrap().remove(of_the_call);
            }
        }
        assert_eq!(over_http, over_stdio, "{tool}");
    }
}

#[test]
fn query_selects_the_tool_sets() {
    let world = World::new();
    let hub = Hub::start(&world);
    let names = |query: &str| -> Vec<String> {
        let client = client(&hub, "web").with_query(query);
        let answer = client.request("tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array().unwrap().clone();
        tools
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let list_of = |sets: &[&str]| -> Vec<String> {
        let sets: Vec<String> = sets.iter().map(|it| (*it).to_owned()).collect();
        let tools = claude_mesh::mcp::tool_list(Some(&sets));
        tools.into_iter().map(|it| it.name.into_owned()).collect()
    };
    assert_eq!(names("?tools=ask"), list_of(&["ask"]));
    assert_eq!(names("?tools=claims,state"), list_of(&["claims", "state"]));
    assert_eq!(names("").len(), claude_mesh::mcp::tool_list(None).len());
}

#[test]
fn ask_over_http_sends_progress_and_returns_the_answer() {
    let world = World::new();
    let hub = Hub::start(&world);
    let bo = world.session("bo");
    bo.call("list_peers", json!({}));
    for revision in [CURRENT, "2025-11-25"] {
        let web = McpClient::new(&hub, &hub.key("web", KeyScope::Write), revision);
        let question = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 60 });
        let mut asking = web.start_call(7, "ask_peer", question);
        assert_eq!(asking.header("content-type"), "text/event-stream");
        asking.wait_for_progress("bo: stored");
        let id = bo.next_question();
        asking.wait_for_progress("bo: shown");
        assert_eq!(bo.send_reply(&id, "5433")["status"], "answered");
        let answer = asking.result();
        assert_eq!(
            (&answer["status"], &answer["answer"]),
            (&json!("answered"), &json!("5433"))
        );
        assert_eq!(
            (&answer["question_id"], &answer["from"]),
            (&json!(id), &json!("bo"))
        );
    }
}

#[test]
fn session_asks_a_peer_over_http_which_answers() {
    let world = World::new();
    let hub = Hub::start(&world);
    let web = client(&hub, "web");
    web.call("list_peers", json!({}));
    let ada = world.session("ada");
    let asking = ada.start(
        "ask_peer",
        json!({ "to": "web", "question": "which route?" }),
    );
    asking.wait_for_progress("web: stored");
    let inbox = web.call("poll_inbox", json!({}));
    let question = &inbox["questions"][0];
    assert_eq!(
        (&question["from"], &question["question"]),
        (&json!("ada"), &json!("which route?"))
    );
    let reply = json!({ "question_id": question["question_id"], "answer": "/v1" });
    assert_eq!(web.call("reply_to_peer", reply)["status"], "answered");
    assert_eq!(asking.result()["answer"], "/v1");
}

#[test]
fn broken_connection_ends_the_wait_and_keeps_the_question() {
    let world = World::new();
    let hub = Hub::start(&world);
    let bo = world.session("bo");
    bo.call("list_peers", json!({}));
    let web = client(&hub, "web");
    let question = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 600 });
    let mut asking = web.start_call(1, "ask_peer", question);
    asking.wait_for_progress("bo: stored");
    assert_eq!(waits(&world), 1);
    drop(asking);
    wait_until("the row of the wait is gone", || waits(&world) == 0);
    let id = bo.next_question();
    bo.send_reply(&id, "5433");
    let late = web.call("await_reply", json!({ "question_id": id }));
    assert_eq!(
        (&late["status"], &late["answer"]),
        (&json!("answered"), &json!("5433"))
    );
}

#[test]
fn connection_that_breaks_before_progress_ends_the_wait() {
    let world = World::new();
    let hub = Hub::start(&world);
    let bo = world.session("bo");
    bo.call("list_peers", json!({}));
    let web = client(&hub, "web");
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "ask_peer", "arguments": { "to": "bo", "question": "?", "timeout_seconds": 600 },
        "_meta": crate::support::request_metadata(),
    } });
    let head = web.head("tools/call", "ask_peer", request.to_string().len());
    let mut stream = std::net::TcpStream::connect(hub.url().trim_start_matches("http://")).unwrap();
    std::io::Write::write_all(&mut stream, format!("{head}{request}").as_bytes()).unwrap();
    wait_until("the call waits", || waits(&world) == 1);
    drop(stream);
    wait_until("the row of the wait is gone", || waits(&world) == 0);
}

#[test]
fn cancellation_by_message_withdraws_the_question() {
    let world = World::new();
    let hub = Hub::start(&world);
    let bo = world.session("bo");
    bo.call("list_peers", json!({}));
    let key = hub.key("web", KeyScope::Write);
    let web = McpClient::new(&hub, &key, "2025-11-25");
    let other = McpClient::new(&hub, &hub.key("other", KeyScope::Write), "2025-11-25");
    let question = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 600 });
    let mut asking = web.start_call(3, "ask_peer", question);
    asking.wait_for_progress("bo: stored");
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": 3, "reason": "test" } });
    assert_eq!(other.send(&cancel).status, 202);
    assert_eq!(waits(&world), 1, "the call belongs to another key");
    assert_eq!(web.send(&cancel).status, 202);
    assert_ne!(asking.result()["status"], "answered");
    assert_eq!(bo.questions().len(), 0);
}

#[test]
fn stopping_hub_ends_a_waiting_call_with_a_result() {
    let world = World::new();
    let hub = Hub::start(&world);
    let bo = world.session("bo");
    bo.call("list_peers", json!({}));
    let web = client(&hub, "web");
    let question = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 600 });
    let mut asking = web.start_call(1, "ask_peer", question);
    asking.wait_for_progress("bo: stored");
    assert!(hub.terminate());
    assert_eq!(asking.result()["status"], "timed_out");
    assert_eq!(bo.questions().len(), 1, "the question stays");
}

#[test]
fn read_key_calls_only_tools_that_read() {
    let world = World::new();
    let hub = Hub::start(&world);
    let web = McpClient::new(&hub, &hub.key("web", KeyScope::Read), CURRENT);
    assert_eq!(web.call("list_peers", json!({}))["you"], "web");
    let write = json!({ "action": "set", "key": "k", "value": 1 });
    let answer = web.start_call(1, "state", write).answer();
    assert_eq!(answer["result"]["isError"], true);
    let refused = web.call("post", json!({ "to": "all", "body": "hello" }));
    assert_eq!(refused["error"]["code"], "forbidden");
}

#[test]
fn request_without_a_valid_key_is_refused() {
    let world = World::new();
    let hub = Hub::start(&world);
    let unknown = McpClient::new(&hub, "cmk_unknown", CURRENT);
    let mut response = unknown.start(1, "tools/list", json!({}));
    assert_eq!(
        (response.status, response.header("www-authenticate")),
        (401, "Bearer")
    );
    assert_eq!(response.next().unwrap()["error"]["code"], "unauthorized");
}

#[test]
fn invalid_body_is_answered_with_a_protocol_error() {
    let world = World::new();
    let hub = Hub::start(&world);
    let web = client(&hub, "web");
    for (body, code, id) in [
        (&b""[..], -32700, Value::Null),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":",
            -32700,
            json!(4),
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":7}",
            -32600,
            json!(5),
        ),
        (b"[]", -32600, Value::Null),
    ] {
        let mut response = web.post(&[], body);
        let error = response.next().unwrap();
        assert_eq!(
            (response.status, &error["error"]["code"]),
            (400, &json!(code)),
            "{error}"
        );
        assert_eq!(error["id"], id);
    }
    let unknown = json!({ "jsonrpc": "2.0", "method": "notifications/of_a_later_time" });
    assert_eq!(web.send(&unknown).status, 202);
    let lone = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"state","arguments":{"action":"set","key":"k","value":"\ud83d"}}}"#;
    let legacy = [("MCP-Protocol-Version", "2025-11-25")];
    let answer = web.post(&legacy, lone.as_bytes()).result();
    assert_eq!(answer["value"], "\u{fffd}");
}

#[test]
fn unknown_method_and_unknown_tool_are_protocol_errors() {
    let world = World::new();
    let hub = Hub::start(&world);
    let web = client(&hub, "web");
    for (method, status, code) in [
        ("resources/list", 404, -32601),
        ("prompts/list", 404, -32601),
    ] {
        let response = web.start(1, method, json!({}));
        assert_eq!(response.status, status, "{method}");
        assert_eq!(response.answer()["error"]["code"], code, "{method}");
    }
    let answer = web.start_call(1, "no_such_tool", json!({})).answer();
    assert_eq!(answer["error"]["code"], -32602);
    assert_eq!(
        answer["error"]["message"],
        "no tool called \"no_such_tool\""
    );
}

#[test]
fn refused_http_requests_have_the_error_object() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("web", KeyScope::Write);
    let web = McpClient::new(&hub, &key, CURRENT);
    for (header, status, code) in [
        (("Accept", "application/json"), 406, "not_acceptable"),
        (
            ("Content-Type", "text/plain"),
            415,
            "unsupported_media_type",
        ),
    ] {
        let mut response = web.post(&[header], ping().as_bytes());
        let refusal = response.next().unwrap();
        assert_eq!(response.status, status, "{refusal}");
        assert_eq!(refusal["error"]["code"], code);
        assert!(refusal["error"]["hint"].is_string(), "{refusal}");
    }
    for method in ["GET", "DELETE"] {
        let response = hub.request(method, "/mcp").key(&key).send();
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some("POST"))
        );
        assert_eq!(response.json()["error"]["code"], "method_not_allowed");
    }
}

fn ping() -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string()
}

#[test]
fn path_with_the_mesh_of_the_key_is_the_same_endpoint() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("web", KeyScope::Write);
    let post = |path: &str| {
        let request = hub.request("POST", path).key(&key);
        let request = request.header("Accept", "application/json, text/event-stream");
        request
            .header("Content-Type", "application/json")
            .bytes(ping().as_bytes())
    };
    assert_eq!(post("/default/mcp").json()["result"], json!({}));
    assert_eq!(post("/other/mcp").status, 404);
}
