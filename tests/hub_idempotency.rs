//! A write that names an idempotency key is carried out once, whatever becomes of the hub and the client.
use std::io::Write;
use std::net::TcpStream;

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::support::{Hub, HubResponse, World, wait_until};

/// Sends a request with an idempotency key.
fn post(hub: &Hub, path: &str, key: &str, body: &Value) -> HubResponse {
    let request = hub.request("POST", path).key(key);
    request.header("Idempotency-Key", "once").json(body)
}

/// Begins the same request and does not read the response.
fn begin_to_post(hub: &Hub, path: &str, key: &str, body: &Value) -> TcpStream {
    let address = hub.url().strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    write!(
        client,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: once\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    client
}

fn open_question(hub: &Hub, key: &str) -> Option<String> {
    let (_, inbox) = hub.get("/v1/inbox", key);
    let id = inbox["questions"][0]["question_id"].as_str();
    id.map(str::to_owned)
}

fn answer(hub: &Hub, key: &str, question: &str) {
    let path = format!("/v1/questions/{question}/answer");
    let answered = hub.post(&path, key, json!({ "answer": "5433" }));
    assert_eq!(answered.0, 200, "{answered:?}");
}

/// Repeats a question that was asked once, and checks that its answer comes and is kept.
#[track_caller]
fn repeat_and_answer(hub: &Hub, path: &str, (ada, bo): (&str, &str), body: &Value) {
    let question = open_question(hub, bo).unwrap();
    let response = std::thread::scope(|scope| {
        let repeated = scope.spawn(|| post(hub, path, ada, body));
        wait_until("the repetition waits", || hub.count_rows("wait") > 0);
        answer(hub, bo, &question);
        repeated.join().unwrap()
    });
    let result = response.json();
    assert_eq!((response.status, &result["answer"]), (200, &json!("5433")));
    assert_eq!(result["question_id"], question.as_str());
    assert_eq!(hub.count_rows("question"), 1, "it was asked once");
    let stored = post(hub, path, ada, body);
    assert_eq!(stored.header("Idempotent-Replayed"), Some("true"));
    assert_eq!(stored.text, response.text);
}

#[test]
fn question_of_a_killed_hub_is_repeated_and_not_asked_again() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    hub.get("/v1/inbox", &bo);
    let path = "/v1/questions?wait=60";
    let body = json!({ "to": "bo", "question": "which port?" });
    let _client = begin_to_post(&hub, path, &ada, &body);
    wait_until("the question is stored", || hub.count_rows("question") == 1);
    hub.kill();
    let hub = Hub::start(&world);
    repeat_and_answer(&hub, path, (&ada, &bo), &body);
    let other = json!({ "to": "bo", "question": "which host?" });
    assert_eq!(post(&hub, path, &ada, &other).status, 409);
}

#[test]
fn question_of_a_client_that_vanished_is_awaited_again() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    hub.get("/v1/inbox", &bo);
    let path = "/v1/questions?wait=60";
    let body = json!({ "to": "bo", "question": "which port?" });
    let client = begin_to_post(&hub, path, &ada, &body);
    wait_until("the question waits", || hub.count_rows("wait") == 1);
    drop(client);
    wait_until("the wait has ended", || hub.count_rows("wait") == 0);
    repeat_and_answer(&hub, path, (&ada, &bo), &body);
}

#[test]
fn question_is_repeated_while_the_first_request_waits() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    hub.get("/v1/inbox", &bo);
    let body = json!({ "to": "bo", "question": "which port?" });
    let ask = || post(&hub, "/v1/questions?wait=60", &ada, &body).json();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(ask);
        wait_until("the question waits", || hub.count_rows("wait") == 1);
        let second = scope.spawn(ask);
        wait_until("the repetition waits", || hub.count_rows("wait") == 2);
        answer(&hub, &bo, &open_question(&hub, &bo).unwrap());
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(
        (&first["answer"], &second["answer"]),
        (&json!("5433"), &json!("5433"))
    );
    assert_eq!(hub.count_rows("question"), 1);
}

#[test]
fn request_that_a_killed_hub_had_not_done_is_done_at_last() {
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    assert_eq!(hub.get("/v1/status", &ada).0, 200);
    let body = json!({ "to": "*", "body": "the build is green" });
    let rows = world.rows();
    rows.execute_batch("BEGIN IMMEDIATE").unwrap();
    let _client = begin_to_post(&hub, "/v1/messages", &ada, &body);
    // A request that came later was served.
    assert_eq!(hub.get("/v1/status", &ada).0, 200);
    hub.kill();
    rows.execute_batch("COMMIT").unwrap();
    let hub = Hub::start(&world);
    assert_eq!(hub.count_rows("message"), 0);
    assert_eq!(post(&hub, "/v1/messages", &ada, &body).status, 201);
    let again = post(&hub, "/v1/messages", &ada, &body);
    assert_eq!(again.header("Idempotent-Replayed"), Some("true"));
    assert_eq!(hub.count_rows("message"), 1);
}

#[test]
fn request_whose_result_a_killed_hub_lost_is_not_done_again() {
    let world = World::new();
    let hub = Hub::start(&world);
    let ada = hub.key("ada", KeyScope::Write);
    let body = json!({ "to": "*", "body": "the build is green" });
    assert_eq!(post(&hub, "/v1/messages", &ada, &body).status, 201);
    // A hub that is killed between the change and its result leaves this, for an instant that no test can choose.
    let lose = "UPDATE idempotency SET status = NULL, response = NULL";
    assert_eq!(world.rows().execute(lose, []).unwrap(), 1);
    let again = post(&hub, "/v1/messages", &ada, &body);
    let error = &again.json()["error"];
    assert_eq!(
        (again.status, &error["code"]),
        (409, &json!("outcome_unknown"))
    );
    assert!(
        error["message"].as_str().unwrap().contains("carried out"),
        "{error}"
    );
    assert_eq!(hub.count_rows("message"), 1);
}

#[test]
fn claim_of_a_client_that_vanished_is_claimed_again() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    let claim = json!({ "resource": "port:5433" });
    assert_eq!(hub.post("/v1/claims", &bo, claim.clone()).0, 200);
    let path = "/v1/claims?wait=60";
    let client = begin_to_post(&hub, path, &ada, &claim);
    wait_until("the claim waits", || hub.count_rows("wait") == 1);
    drop(client);
    wait_until("the wait has ended", || hub.count_rows("wait") == 0);
    let result = std::thread::scope(|scope| {
        let repeated = scope.spawn(|| post(&hub, path, &ada, &claim));
        wait_until("the repetition waits", || hub.count_rows("wait") == 1);
        let released = hub.post("/v1/claims/release", &bo, claim.clone());
        assert_eq!(released.0, 200, "{released:?}");
        repeated.join().unwrap().json()
    });
    assert_eq!(result["status"], "granted", "{result}");
}
