//! The hub against programs that must not get in: keys, browsers of the user that show foreign pages, clients that send too
//! much or too slowly.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::support::{Hub, WAIT_TIMEOUT, World, start_command};

/// Opens a connection to a hub.
fn connect(hub: &Hub) -> TcpStream {
    let stream = TcpStream::connect(address(hub)).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    stream
}

fn address(hub: &Hub) -> SocketAddr {
    let address = hub.url().strip_prefix("http://").unwrap();
    address.parse().unwrap()
}

/// Sends bytes as they are. Returns the status of the response and its text.
#[track_caller]
fn send_raw(hub: &Hub, request: &str) -> (u16, String) {
    let mut stream = connect(hub);
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    // A hub that has refused the head may close before it has read the body.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let status = response.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    (status, response)
}

/// Returns the head of a request with these header lines.
fn head(request_line: &str, lines: &[&str]) -> String {
    let lines = lines.join("\r\n");
    format!("{request_line} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n\r\n")
}

/// Returns the message of a refusal, whose form is checked.
#[track_caller]
fn message((status, body): &(u16, Value), expected_status: u16) -> String {
    let error = &body["error"];
    let all = ["code", "message", "hint"]
        .iter()
        .all(|it| error[it].is_string());
    assert_eq!((*status, all), (expected_status, true), "{body}");
    error["message"].as_str().unwrap().into()
}

// Requirement: Sharing 10, Peers 9, Tasks 3
#[test]
fn request_without_a_valid_key_is_refused() {
    let world = World::new();
    let hub = Hub::start(&world);
    let response = hub.request("GET", "/v1/status").send();
    assert_eq!(response.header("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(message(&response.parts(), 401), "the request has no key");
    let (ada, bo) = hub.ada_and_bo();
    let expire = "UPDATE access_key SET expires_at_ms = 1 WHERE name = 'ada'";
    world.rows().execute(expire, []).unwrap();
    hub.mesh().revoke_keys("bo").unwrap();
    let swapped = format!("{}{}", &ada[..30], &bo[30..]);
    for (key, problem) in [
        (ada.as_str(), "the key has expired"),
        (&bo, "the key was revoked"),
        (&swapped, "this mesh has no such key"),
        ("x", "this mesh has no such key"),
    ] {
        for path in ["/v1/status", "/events", "/mcp", "/tasks", "/v1/events"] {
            assert_eq!(message(&hub.get(path, key), 401), problem, "{path}");
        }
    }
    let basic = hub.request("GET", "/v1/status");
    let basic = basic.header("Authorization", &format!("Basic {ada}"));
    assert_eq!(basic.send().status, 401);
    let query = format!("/v1/status?key={ada}");
    assert_eq!(hub.request("GET", &query).send().status, 401);
}

#[test]
fn read_only_key_writes_nothing() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Read);
    let text = json!({ "to": "*", "body": "hello" });
    let refused = hub.post("/v1/messages", &key, text);
    assert!(message(&refused, 403).contains("\"read\""), "{refused:?}");
    assert_eq!(hub.delete("/v1/peers/ada", &key).0, 403);
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "post", "arguments": { "to": "*", "body": "hello" } } });
    let request = hub.request("POST", "/mcp").key(&key);
    let request = request.header("Accept", "application/json, text/event-stream");
    let response = request.json(&call);
    assert!(!response.text.contains("message_id"), "{}", response.text);
    let count = "SELECT count(*) FROM message";
    let messages: i64 = world.rows().query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(messages, 0);
}

// Requirement: Peers 9
#[test]
fn key_speaks_for_its_own_peer_only() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    hub.get("/v1/inbox", &bo);
    let forged = json!({ "to": "bo", "body": "hello", "from": "bo" });
    let refused = hub.post("/v1/messages", &ada, forged);
    assert!(message(&refused, 400).contains("\"from\""), "{refused:?}");
    assert_eq!(hub.post("/v1/peers/bo", &ada, json!({})).0, 403);
    assert_eq!(hub.delete("/v1/peers/bo", &ada).0, 403);
    let text = json!({ "to": "bo", "body": "hello" });
    assert_eq!(hub.post("/v1/messages", &ada, text).0, 201);
    let (_, messages) = hub.get("/v1/messages", &bo);
    assert_eq!(messages["messages"][0]["from"], "ada", "{messages}");
}

#[test]
fn key_in_hub_json_answers_as_a_session() {
    let world = World::new();
    let hub = Hub::start(&world);
    let record = std::fs::read(world.home().join(".claude-mesh/hub.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let (local, ada) = (
        record["key"].as_str().unwrap(),
        hub.key("ada", KeyScope::Write),
    );
    hub.get("/v1/inbox", local);
    let question = json!({ "to": "http-local", "question": "may I delete it?" });
    let (_, asked) = hub.post("/v1/questions?wait=0", &ada, question);
    let path = format!("/v1/questions/{}", asked["question_id"].as_str().unwrap());
    let answer = hub.post(&format!("{path}/answer"), local, json!({ "answer": "yes" }));
    assert_eq!(answer.0, 200, "{answer:?}");
    let (_, answered) = hub.get(&format!("{path}?wait=30"), &ada);
    assert_eq!(answered["by"], "session", "{answered}");
    assert_eq!(hub.post("/v1/pause", local, json!({})).0, 403);
    assert_eq!(hub.delete("/v1/peers/ada", local).0, 403);
    let sign_out = hub.post("/v1/board/sign-out", local, json!({}));
    assert_eq!(message(&sign_out, 403), "only a board signs out");
}

#[test]
fn host_of_another_server_is_refused() {
    let world = World::new();
    let hub = Hub::start(&world);
    let port = address(&hub).port();
    let own = format!("Host: localhost:{port}");
    assert_eq!(send_raw(&hub, &head("GET /health", &[&own])).0, 200);
    let foreign = format!("Host: evil.example:{port}");
    for lines in [
        &[foreign.as_str()][..],
        &["Host: evil.example"],
        &["Host: localhost"],
        &["Host:"],
        &[&own, &foreign],
        &[],
    ] {
        for path in ["/health", "/", "/v1/status", "/nowhere"] {
            let (status, response) = send_raw(&hub, &head(&format!("GET {path}"), lines));
            assert_eq!(status, 421, "{lines:?} {response}");
            assert!(response.contains("\"wrong_host\""), "{response}");
        }
    }
    let absolute = format!("GET http://evil.example:{port}/health");
    assert_eq!(send_raw(&hub, &head(&absolute, &[&own])).0, 421);
}

#[test]
fn page_of_another_server_cannot_write() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    let body = br#"{"to":"*","body":"hello"}"#;
    let send = |origin: Option<&str>, kind: &str| {
        let request = hub.request("POST", "/v1/messages").key(&key);
        let request = request.header("Content-Type", kind);
        let request = match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        };
        request.bytes(body)
    };
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        for kind in ["text/plain", "application/json"] {
            let refused = send(Some(origin), kind);
            let problem = message(&refused.parts(), 403);
            assert!(problem.contains("page"), "{origin}: {problem}");
            assert_eq!(refused.header("Access-Control-Allow-Origin"), None);
        }
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        assert_eq!(
            message(&send(None, kind).parts(), 415),
            "the body of a request is JSON"
        );
    }
    let token = hub
        .request("POST", "/v1/board/sign-in")
        .header("Content-Type", "text/plain");
    assert_eq!(token.bytes(br#"{"token":"x"}"#).status, 415);
    assert_eq!(
        send(Some(hub.url()), "application/json; charset=utf-8").status,
        201
    );
    assert_eq!(send(None, "application/json").status, 201);
}

#[test]
fn permitted_origin_may_call_and_others_may_not() {
    let world = World::new();
    let tool = "https://tool.example";
    let hub = Hub::start_with(&world, &["--cors", tool]);
    let key = hub.key("ada", KeyScope::Write);
    let preflight = |origin: &str| {
        let request = hub
            .request("OPTIONS", "/v1/messages")
            .header("Origin", origin);
        let response = request
            .header("Access-Control-Request-Method", "POST")
            .send();
        let allowed = response.header("Access-Control-Allow-Origin");
        allowed.map(str::to_owned)
    };
    assert_eq!(preflight(tool).as_deref(), Some(tool));
    assert_eq!(preflight("https://evil.example"), None);
    let post = |origin: &str| {
        let request = hub.request("POST", "/v1/messages").key(&key);
        let request = request.header("Origin", origin);
        request.json(&json!({ "to": "*", "body": "hello" })).status
    };
    assert_eq!([post(tool), post("https://evil.example")], [201, 403]);
}

#[test]
fn responses_tell_browsers_to_be_careful() {
    let world = World::new();
    let hub = Hub::start(&world);
    for path in ["/health", "/", "/v1/status", "/nowhere"] {
        let response = hub.request("GET", path).send();
        let policy = response.header("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(response.header("Referrer-Policy"), Some("no-referrer"));
        assert!(response.header("Cache-Control").is_some(), "{path}");
        assert_eq!(response.header("Set-Cookie"), None);
        assert_eq!(response.header("Access-Control-Allow-Origin"), None);
    }
    let api = hub.request("GET", "/v1/status").send();
    assert_eq!(api.header("Cache-Control"), Some("no-store"));
}

// Requirement: Sharing 11
#[test]
fn oversized_request_is_refused_as_json() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    let request = hub.request("POST", "/v1/messages").key(&key);
    let request = request.header("Content-Type", "application/json");
    let refused = request.bytes(&vec![b' '; 1024 * 1024 + 1]);
    assert!(message(&refused.parts(), 413).contains("1048576 bytes"));
    let host = format!("Host: {}", address(&hub));
    let key = format!("Authorization: Bearer {key}");
    let lines = [
        &host,
        &key,
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    ];
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
    let chunked = head("POST /v1/messages", &lines) + &chunk.repeat(17) + "0\r\n\r\n";
    let (status, response) = send_raw(&hub, &chunked);
    assert_eq!(status, 413, "{response}");
    let long = format!("GET /v1/status?{}", "x".repeat(9000));
    assert_eq!(send_raw(&hub, &head(&long, &[&host, &key])).0, 414);
    let wide = format!("X-Wide: {}", "x".repeat(40_000));
    assert_eq!(send_raw(&hub, &head("GET /health", &[&host, &wide])).0, 431);
}

#[test]
fn slow_client_is_cut_and_others_are_served() {
    let world = World::new();
    let hub = Hub::start(&world);
    let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(&hub)).collect();
    for stream in &mut slow {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: lo")
            .unwrap();
    }
    assert_eq!(hub.request("GET", "/health").send().status, 200);
    let mut rest = Vec::new();
    // It ends with an error or without a response, but it ends.
    let ended = slow[0].read_to_end(&mut rest);
    assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    assert_eq!(hub.request("GET", "/health").send().status, 200);
}

#[test]
fn path_tricks_lead_nowhere() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = format!("Authorization: Bearer {}", hub.key("ada", KeyScope::Write));
    let host = format!("Host: {}", address(&hub));
    for path in [
        "/v1/../v1/status",
        "/v1/../health",
        "/v1/%2e%2e/health",
        "/v1/./status",
        "//v1/status",
        "/v1//status",
        "/V1/status",
        "/v1/status/",
        "/v1%2fstatus",
        "/team/../v1/status",
        "/../../../../etc/passwd",
        "/assets/../hub.json",
        "/assets/%2e%2e/hub.json",
        "/assets/..%2f..%2fhub.json",
        "/hub.json",
        "/.claude-mesh/mesh.db",
        "/v1/status%00",
    ] {
        let (status, response) = send_raw(&hub, &head(&format!("GET {path}"), &[&host, &key]));
        assert_eq!(status, 404, "{path} {response}");
        assert!(response.contains("\"not_found\""), "{path} {response}");
    }
}

#[test]
fn path_of_another_mesh_is_not_found() {
    let world = World::new();
    let team = world.project("team");
    world.cli(&team, &["wall", team.to_str().unwrap(), "team"]);
    let hub = Hub::start(&world);
    let created = world.cli(&team, &["key", "create", "--peer", "ci", "--json"]);
    let created = created.json()["key"].as_str().unwrap().to_owned();
    let ada = hub.key("ada", KeyScope::Admin);
    assert_eq!(hub.get("/v1/status", &created).1["mesh"], "team");
    assert_eq!(hub.get("/team/v1/status", &created).0, 200);
    assert_eq!(hub.get("/default/v1/status", &ada).0, 200);
    for (key, mesh) in [
        (&created, "default"),
        (&created, "x"),
        (&ada, "team"),
        (&ada, "x"),
    ] {
        let refused = hub.get(&format!("/{mesh}/v1/status"), key);
        assert_eq!(message(&refused, 404), "the key belongs to another mesh");
    }
    let board = hub.board_key();
    assert_eq!(hub.get("/team/v1/status", &board).1["mesh"], "team");
}

#[test]
fn sign_in_link_is_refused_when_used_late_or_wrong() {
    let world = World::new();
    let hub = Hub::start(&world);
    let late = hub.mesh().create_board_link().unwrap();
    let expire = "UPDATE board_link SET expires_at_ms = 1";
    world.rows().execute(expire, []).unwrap();
    let used = hub.mesh().create_board_link().unwrap();
    let sign_in = |body: Value| hub.request("POST", "/v1/board/sign-in").json(&body).parts();
    let (status, signed_in) = sign_in(json!({ "token": used }));
    assert_eq!(status, 200, "{signed_in}");
    for (token, problem) in [
        (used.as_str(), "the sign-in link was used already"),
        (&late, "the sign-in link has expired"),
        ("x", "there is no such sign-in link"),
    ] {
        assert_eq!(message(&sign_in(json!({ "token": token })), 401), problem);
    }
    for invalid in [json!({}), json!([]), json!({ "token": "x", "from": "y" })] {
        message(&sign_in(invalid), 400);
    }
    let key = signed_in["key"].as_str().unwrap();
    assert_eq!(hub.get("/v1/status", key).0, 200);
    assert_eq!(hub.post("/v1/board/sign-out", key, json!({})).0, 200);
    assert_eq!(
        message(&hub.get("/v1/status", key), 401),
        "the key was revoked"
    );
}

// Requirement: Sharing 11
#[test]
fn key_that_sends_too_much_is_slowed_and_others_are_not() {
    let world = World::new();
    let hub = Hub::start_with(&world, &["--rate", "5"]);
    let (ada, bo) = (
        hub.key("ada", KeyScope::Read),
        hub.key("bo", KeyScope::Read),
    );
    let get = |key: &str| hub.request("GET", "/v1/status").key(key).send();
    let refused = std::iter::repeat_with(|| get(&ada)).find(|it| it.status != 200);
    let refused = refused.unwrap();
    assert!(message(&refused.parts(), 429).contains("5 requests in 10 s"));
    let seconds: u64 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    assert_eq!(get(&bo).status, 200);
}

#[test]
fn wrong_keys_are_slowed_and_logged_but_not_the_right_one() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Read);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for number in 0..25 {
                    let wrong = format!("{}{number:043}", &key[..31]);
                    let status = hub.get("/v1/status", &wrong).0;
                    assert!(matches!(status, 401 | 429), "{status}");
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(hub.get("/v1/status", &key).0, 200);
        }
    });
    let log = hub.log();
    assert!(log.contains("64 wrong keys from 127.0.0.1"), "{log}");
    assert!(!log.contains("cmk_"), "{log}");
}

#[test]
fn keys_and_texts_are_in_no_log_and_no_argument() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    let text = json!({ "to": "*", "body": "the-private-text" });
    assert_eq!(hub.post("/v1/messages", &key, text).0, 201);
    let log = hub.log();
    assert!(
        !log.contains(&key[31..]) && !log.contains("the-private-text"),
        "{log}"
    );
    let arguments = std::fs::read(format!("/proc/{}/cmdline", hub.pid()));
    if let Ok(arguments) = arguments {
        assert!(!String::from_utf8_lossy(&arguments).contains("cmk_"));
    }
    assert!(
        log.contains("ada"),
        "each write is logged with its key: {log}"
    );
}

#[test]
fn forged_forwarded_address_is_believed_from_a_proxy_only() {
    let world = World::new();
    let log_of = |arguments: &[&str]| {
        let hub = Hub::start_with(&world, arguments);
        let request = hub.request("GET", "/v1/status").key("x");
        let response = request.header("X-Forwarded-For", "203.0.113.9").send();
        assert_eq!(response.status, 401);
        hub.log()
    };
    assert!(log_of(&[]).contains("wrong keys from 127.0.0.1"));
    let trusted = log_of(&["--trusted-proxy", "127.0.0.1"]);
    assert!(trusted.contains("wrong keys from 203.0.113.9"), "{trusted}");
}

#[test]
fn public_url_is_an_own_host() {
    let world = World::new();
    let hub = Hub::start_with(&world, &["--public-url", "https://mesh.example.org/"]);
    let host = ["Host: mesh.example.org"];
    assert_eq!(send_raw(&hub, &head("GET /health", &host)).0, 200);
    let bad = start_command(&world, &world.home(), &["serve", "--public-url", "mesh"]);
    assert_eq!(bad.wait_with_output().unwrap().status.code(), Some(2));
}
