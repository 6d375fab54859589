//! The REST routes of the hub: the stories of questions, messages, claims, state, memory, tasks and events over real sockets.
use std::io::Write;

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::support::{Hub, World, start_ask, wait_until};

/// Returns the id of the first question in the inbox of a key, once there is one.
fn next_question(hub: &Hub, key: &str) -> String {
    let mut id = None;
    wait_until("a question is in the inbox", || {
        let (_, inbox) = hub.get("/v1/inbox", key);
        id = inbox["questions"][0]["question_id"]
            .as_str()
            .map(str::to_owned);
        id.is_some()
    });
    id.unwrap()
}

// Requirement: Sharing 9
#[test]
fn http_peer_and_stdio_session_answer_each_other() {
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    let bo = world.session("bo");
    let (status, you) = hub.post("/v1/peers/me", &ada, json!({ "role": "docs" }));
    assert_eq!((status, &you["you"]["peer"]), (200, &json!("ada")), "{you}");

    let ask = start_ask(&bo, "ada", "which port?");
    let question = next_question(&hub, &ada);
    let path = format!("/v1/questions/{question}/answer");
    let (status, replied) = hub.post(&path, &ada, json!({ "answer": "5433" }));
    assert_eq!((status, &replied["status"]), (200, &json!("answered")));
    let result = ask.result();
    assert_eq!(result["answer"], "5433", "{result}");
    assert_eq!(result["by"], "session");

    std::thread::scope(|scope| {
        let body = json!({ "to": "bo", "question": "and the host?" });
        let asked = scope.spawn(|| hub.post("/v1/questions", &ada, body));
        bo.send_reply(&bo.next_question(), "localhost");
        let (status, result) = asked.join().unwrap();
        assert_eq!((status, &result["answer"]), (200, &json!("localhost")));
    });
}

#[test]
fn question_can_be_asked_now_and_awaited_later() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, cy) = (
        hub.key("ada", KeyScope::Write),
        hub.key("cy", KeyScope::Write),
    );
    hub.post("/v1/peers/me", &cy, json!({}));
    let body = json!({ "to": "cy", "question": "which port?" });
    let (status, asked) = hub.post("/v1/questions?wait=0", &ada, body);
    assert_eq!(
        (status, &asked["status"]),
        (202, &json!("timed_out")),
        "{asked}"
    );
    let path = format!("/v1/questions/{}", asked["question_id"].as_str().unwrap());
    let (_, state) = hub.get(&path, &ada);
    assert_eq!(
        (&state["state"], &state["from"], &state["asked_by"]),
        (&json!("open"), &json!("cy"), &json!("ada"))
    );
    std::thread::scope(|scope| {
        let awaited = scope.spawn(|| hub.get(&format!("{path}?wait=60"), &ada));
        let answer = json!({ "answer": "no", "decline": true });
        let (status, _) = hub.post(&format!("{path}/answer"), &cy, answer);
        assert_eq!(status, 200);
        assert_eq!(awaited.join().unwrap().1["status"], "declined");
    });
    assert_eq!(hub.get(&path, &ada).1["answer"], "no");
    let (_, list) = hub.get("/v1/questions", &cy);
    assert_eq!(list["questions"][0]["state"], "declined", "{list}");
    assert_eq!(hub.get("/v1/questions?scope=all", &cy).0, 403);
    let (_, all) = hub.get("/v1/questions?scope=all&limit=1", &hub.board_key());
    assert_eq!(all["questions"][0]["delivery"]["shown_times"], 0, "{all}");
}

// Requirement: Sharing 9
#[test]
fn state_entry_is_set_only_at_its_version() {
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    let path = "/v1/state/default/port";
    let put = |tag: &str, value: Value| {
        let request = hub.request("PUT", path).key(&ada).header("If-Match", tag);
        request.json(&json!({ "value": value }))
    };
    let (status, entry) = hub.put(path, &ada, json!({ "value": 1 }));
    assert_eq!((status, &entry["version"]), (200, &json!(1)), "{entry}");
    let read = hub.request("GET", path).key(&ada).send();
    assert_eq!(read.header("ETag"), Some("\"1\""));
    assert_eq!(put("\"1\"", json!(2)).status, 200);
    let stale = put("\"1\"", json!(3));
    assert_eq!(stale.status, 409);
    assert_eq!(stale.json()["error"]["current"]["value"], 2);
    let (_, list) = hub.get("/v1/state/default?prefix=po", &ada);
    assert_eq!(list["entries"][0]["key"], "port", "{list}");
    assert_eq!(hub.delete(path, &ada).0, 200);
}

#[test]
fn claim_passes_to_the_next_in_the_queue() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    let claim = |key: &str, wait: &str| {
        let body = json!({ "resource": "deploy", "lease_seconds": 600 });
        hub.post(&format!("/v1/claims{wait}"), key, body).1
    };
    let held = claim(&ada, "");
    assert_eq!(held["status"], "granted", "{held}");
    assert_eq!(claim(&bo, "")["status"], "denied");
    std::thread::scope(|scope| {
        let queued = scope.spawn(|| claim(&bo, "?wait=60"));
        wait_until("bo is queued", || {
            hub.get("/v1/claims?resource=deploy", &ada).1["claims"][0]["queue"]
                .as_array()
                .is_some_and(|queue| queue.len() == 1)
        });
        let path = format!("/v1/claims/{}", held["claim_id"].as_str().unwrap());
        let (_, released) = hub.delete(&path, &ada);
        assert_eq!(released["promoted"], json!(["bo"]));
        assert_eq!(queued.join().unwrap()["status"], "granted");
    });
    let (_, released) = hub.post("/v1/claims/release", &bo, json!({ "resource": "deploy" }));
    assert_eq!(released["was"], "held");
}

// Requirement: Sharing 9, Tasks 12
#[test]
fn mail_tasks_memories_and_events_over_http() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    hub.get("/v1/inbox", &bo);
    let (status, _) = hub.post("/chat", &ada, json!({ "message": "hello" }));
    assert_eq!(status, 201);
    let (_, mail) = hub.get("/v1/messages?filter=all", &bo);
    assert_eq!(mail["messages"][0]["body"], "hello", "{mail}");
    let up_to = json!({ "up_to": mail["messages"][0]["message_id"] });
    assert_eq!(hub.post("/v1/messages/read", &bo, up_to).1["remaining"], 0);

    let (status, created) = hub.post("/tasks", &ada, json!({ "title": "write the docs" }));
    assert_eq!((status, &created["created"]), (201, &json!(true)));
    let path = format!("/tasks/{}", created["task"]["task_id"].as_str().unwrap());
    let (_, changed) = hub.patch(&path, &ada, json!({ "status": "in_progress" }));
    assert_eq!(changed["task"]["status"], "in_progress", "{changed}");
    assert_eq!(hub.get(&format!("/v1{path}"), &bo).1["task"]["version"], 2);
    assert_eq!(hub.delete(&path, &ada).1["deleted"], true);
    assert_eq!(hub.get(&path, &ada).0, 404);

    let memory = json!({ "text": "the port is 5433", "key": "port", "scope": "mesh" });
    assert_eq!(hub.post("/v1/memories", &ada, memory).0, 201);
    let (_, found) = hub.get("/v1/memories?query=port&limit=5", &bo);
    assert_eq!(found["memories"][0]["key"], "port", "{found}");
    assert_eq!(hub.delete("/v1/memories?key=port", &bo).1["forgotten"], 1);

    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| hub.get("/v1/events?wait=60&types=project.*&after=0", &bo));
        let event = json!({ "type": "project.built", "data": { "ok": true } });
        assert_eq!(hub.post("/v1/events", &ada, event).0, 201);
        let (_, page) = waiting.join().unwrap();
        assert_eq!(page["events"][0]["type"], "project.built", "{page}");
    });
}

#[test]
fn repeated_write_gets_the_stored_response() {
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    let post = |body: Value, repeat: &str| {
        let request = hub.request("POST", "/v1/messages").key(&ada);
        request.header("Idempotency-Key", repeat).json(&body)
    };
    let first = post(json!({ "to": "*", "body": "a" }), "k1");
    let second = post(json!({ "to": "*", "body": "a" }), "k1");
    assert_eq!((first.status, second.status), (201, 201), "{second:?}");
    assert_eq!(first.text, second.text);
    assert_eq!(first.header("Idempotent-Replayed"), None);
    assert_eq!(second.header("Idempotent-Replayed"), Some("true"));
    assert_eq!(post(json!({ "to": "*", "body": "b" }), "k1").status, 409);
    // A refused request changed nothing: its key can be used again.
    assert_eq!(post(json!({ "to": "*" }), "k2").status, 400);
    assert_eq!(post(json!({ "to": "*" , "body": "c" }), "k2").status, 201);
}

#[test]
fn openapi_document_is_the_copy_in_the_repository() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Read);
    let served = hub.request("GET", "/v1/openapi.json").key(&key).send();
    let copy = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(copy, &served.text).unwrap();
    }
    let kept = std::fs::read_to_string(copy).unwrap_or_default();
    let hint = "UPDATE_OPENAPI=1 cargo test openapi writes docs/openapi.json again";
    assert!(served.text == kept, "{hint}");
}

#[test]
fn writes_are_logged_with_key_and_peer_without_their_body() {
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    hub.get("/v1/inbox", &ada);
    hub.post("/chat", &ada, json!({ "message": "xyzzy" }));
    let log = hub.log();
    let lines: Vec<&str> = log.lines().collect();
    let id = &ada[4..30];
    assert_eq!(lines.len(), 1, "{log}");
    let expected = format!("POST /chat 201 key={id} peer=ada");
    assert!(lines[0].ends_with(&expected), "{log}");
    assert!(!log.contains("xyzzy"));
}

#[test]
fn wait_of_a_client_that_vanishes_ends() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, cy) = (
        hub.key("ada", KeyScope::Write),
        hub.key("cy", KeyScope::Write),
    );
    hub.get("/v1/inbox", &cy);
    let waits = || -> i64 {
        let rows = world.rows();
        rows.query_row("SELECT count(*) FROM wait", [], |row| row.get(0))
            .unwrap()
    };
    let body = r#"{"to":"cy","question":"which port?"}"#;
    let request = format!(
        "POST /v1/questions HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ada}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        &hub.url()[7..],
        body.len()
    );
    let mut client = std::net::TcpStream::connect(&hub.url()[7..]).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    wait_until("the question waits", || waits() == 1);
    drop(client);
    wait_until("the wait has ended", || waits() == 0);
    assert!(
        hub.log().contains("POST /v1/questions gone key="),
        "{}",
        hub.log()
    );
}

#[test]
fn waiting_call_ends_with_the_hub_and_names_its_question() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, cy) = (
        hub.key("ada", KeyScope::Write),
        hub.key("cy", KeyScope::Write),
    );
    hub.get("/v1/inbox", &cy);
    std::thread::scope(|scope| {
        let body = json!({ "to": "cy", "question": "which port?" });
        let asked = scope.spawn(|| hub.post("/v1/questions", &ada, body));
        next_question(&hub, &cy);
        hub.signal_end();
        let (status, result) = asked.join().unwrap();
        assert_eq!((status, &result["status"]), (200, &json!("timed_out")));
        assert!(result["question_id"].is_string());
    });
    assert!(hub.terminate());
}

// Requirement: Sharing 9
#[test]
fn peers_are_read_described_quieted_and_removed() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    let admin = hub.board_key();
    hub.post(
        "/v1/peers/bo",
        &bo,
        json!({ "summary": "docs", "ttl_seconds": 30 }),
    );
    let (_, peer) = hub.get("/v1/peers/bo", &ada);
    assert_eq!(
        (&peer["summary"], &peer["askable"]),
        (&json!("docs"), &json!(true))
    );
    assert_eq!(hub.post("/v1/peers/bo/heartbeat", &bo, json!({})).0, 200);
    assert_eq!(hub.post("/v1/peers/bo", &ada, json!({})).0, 403);
    assert_eq!(hub.post("/v1/peers/bo/quiet", &ada, json!({})).0, 403);
    let span = json!({ "duration_seconds": 60 });
    assert_eq!(
        hub.post("/v1/peers/bo/quiet", &bo, span.clone()).1["quiet"],
        true
    );
    assert_eq!(hub.delete("/v1/peers/bo/quiet", &bo).0, 403);
    assert_eq!(hub.delete("/v1/peers/bo/quiet", &admin).1["quiet"], false);
    assert_eq!(hub.post("/v1/pause", &ada, span.clone()).0, 403);
    assert_eq!(hub.post("/v1/pause", &admin, span).1["paused"], true);
    assert_eq!(hub.delete("/v1/pause", &admin).1["paused"], false);
    assert_eq!(hub.delete("/v1/peers/bo", &ada).0, 403);
    assert_eq!(hub.delete("/v1/peers/bo", &admin).0, 409);
    assert_eq!(hub.delete("/v1/peers/me", &bo).1["unregistered"], true);
    assert_eq!(hub.delete("/v1/peers/bo", &admin).1["forgotten"], true);
    assert_eq!(hub.get("/v1/peers/bo", &ada).0, 404);
    assert_eq!(
        hub.get("/v1/meshes", &admin).1["meshes"][0]["name"],
        "default"
    );
}

/// A lease lasts for its time and 30 seconds, which this test waits for.
#[test]
fn peer_over_http_leaves_when_its_lease_ends() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    let (status, you) = hub.post("/v1/peers/me", &bo, json!({ "ttl_seconds": 5 }));
    assert_eq!(status, 200, "{you}");
    let (_, waited) = hub.get("/v1/events?types=peer.left&wait=55", &ada);
    let left = &waited["events"][0];
    assert_eq!(left["subject"], "bo", "{waited}");
    assert_eq!(left["data"]["reason"], "its lease has ended");
    let (_, peers) = hub.get("/v1/peers", &ada);
    assert_eq!(
        (&peers["you"], &peers["peers"]),
        (&json!("ada"), &json!([]))
    );
    assert_eq!(hub.get("/v1/peers/bo", &ada).1["askable"], false);
    hub.get("/v1/inbox", &bo);
    assert_eq!(hub.get("/v1/peers/bo", &ada).1["askable"], true);
}

#[test]
fn keys_of_one_peer_work_in_their_own_folders() {
    let world = World::new();
    let hub = Hub::start(&world);
    let keys = ["one", "two"].map(|folder| {
        let folder = world.project(folder);
        let created = world.cli(&folder, &["key", "create", "--peer", "ci", "--json"]);
        created.json()["key"].as_str().unwrap().to_owned()
    });
    let titles = |key: &str| {
        let (_, listed) = hub.get("/v1/tasks", key);
        let tasks = listed["tasks"].as_array().unwrap().clone();
        tasks
            .into_iter()
            .map(|task| task["title"].clone())
            .collect::<Vec<_>>()
    };
    hub.post("/v1/tasks", &keys[0], json!({ "title": "of one" }));
    hub.post("/v1/tasks", &keys[1], json!({ "title": "of two" }));
    assert_eq!(titles(&keys[0]), ["of one"]);
    assert_eq!(titles(&keys[1]), ["of two"]);
}
