//! The PostgreSQL server behind a hub restarts, fails over, is away or has a full disk: what was acknowledged is there, nothing
//! is done twice, and the hub goes on by itself.
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{
    Hub, Network, OtherHost, OtherHostSession, OwnServer, PostgresServer, Relay, World,
    print_to_stderr, wait_until,
};

/// How many sessions wait at once.
const SESSIONS: usize = 32;

/// Returns a value that the server has.
fn text_of(url: &str, sql: &str) -> String {
    let server = PostgresServer {
        url: url.to_owned(),
    };
    server.admin().text(sql)
}

/// Repeats a call under its key for as long as the mesh is away, as the program of a session does.
fn call_until_settled(session: &OtherHostSession, tool: &str, arguments: &Value) -> Value {
    let key = format!("{tool}-{}", fastrand::u64(..));
    loop {
        let (status, result) = session.call_once(tool, arguments.clone(), &key);
        if status != 503 {
            return result;
        }
        assert_eq!(result["error"]["code"], "storage", "{result}");
    }
}

/// Answers this many questions to a peer with their own text.
fn answer_questions(peer: &OtherHostSession, count: usize) {
    let mut answered = 0;
    while answered < count {
        let inbox = call_until_settled(peer, "poll_inbox", &json!({}));
        let questions = inbox["questions"].as_array().cloned();
        for question in questions.unwrap_or_default().iter().take(count - answered) {
            let id = question["question_id"].as_str().unwrap();
            let answer = format!("to {}", question["question"].as_str().unwrap());
            let reply = json!({ "question_id": id, "answer": answer });
            let replied = call_until_settled(peer, "reply_to_peer", &reply);
            assert_eq!(replied["asker_waiting"], true, "{replied}");
            answered += 1;
        }
    }
}

#[test]
fn waiting_sessions_get_answers_after_restarts_of_the_server() {
    let Some(server) = OwnServer::start("restarts of the server behind a hub") else {
        return;
    };
    let world = World::new();
    let hub = Hub::start_on(&world, &format!("{}?schema=restarts", server.url));
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let api = desk.join("/code/api", 1);
    let askers: Vec<_> = (10..)
        .take(SESSIONS)
        .map(|pid| laptop.join(&format!("/code/web{pid}"), pid))
        .collect();
    let claim = |session: &OtherHostSession, number: usize| {
        let claim = json!({ "resource": format!("port:{number}"), "lease_seconds": 600 });
        session.call("claim", claim)
    };
    let mut fences = Vec::new();
    for (number, asker) in askers.iter().enumerate() {
        let granted = claim(asker, number);
        assert_eq!(granted["status"], "granted", "{granted}");
        fences.push(granted["fence"].clone());
    }
    std::thread::scope(|scope| {
        let asked: Vec<_> = askers
            .iter()
            .enumerate()
            .map(|(number, asker)| {
                let question = json!({ "to": "api", "question": format!("port {number}?") });
                scope.spawn(move || asker.call("ask_peer", question))
            })
            .collect();
        wait_until("all questions are stored", || {
            hub.count_rows("question") == i64::try_from(SESSIONS).unwrap()
        });
        for mode in ["fast", "immediate"] {
            server.restart(mode);
            answer_questions(&api, SESSIONS / 2);
        }
        for (number, asked) in asked.into_iter().enumerate() {
            let answer = asked.join().unwrap();
            assert_eq!(answer["status"], "answered", "{answer}");
            assert_eq!(answer["answer"], format!("to port {number}?"), "{answer}");
        }
    });
    let count = "SELECT count(*) || ' ' || count(DISTINCT id) FROM restarts.question";
    assert_eq!(text_of(&server.url, count), "32 32");
    for (number, asker) in askers.iter().enumerate() {
        let renewed = claim(asker, number);
        assert_eq!(renewed["fence"], fences[number], "{renewed}");
    }
    assert_eq!(claim(&api, 0)["status"], "denied");
}

/// What sessions were told while the server failed over.
#[derive(Default)]
struct Acknowledged {
    bodies: Mutex<Vec<String>>,
    fences: Mutex<Vec<i64>>,
    answers: Mutex<Vec<String>>,
    /// When each of them came.
    at: Mutex<Vec<Instant>>,
}

impl Acknowledged {
    fn note(&self) {
        self.at.lock().unwrap().push(Instant::now());
    }

    fn count_since(&self, since: Instant) -> usize {
        let at = self.at.lock().unwrap();
        at.iter().filter(|at| **at >= since).count()
    }

    /// Posts messages until `stop`.
    fn post(&self, session: &OtherHostSession, stop: &AtomicBool) {
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let body = format!("{} {number}", session.name);
            let message = json!({ "to": "keeper", "body": body });
            let posted = call_until_settled(session, "post", &message);
            // It was stored, although the result was lost with the server.
            let is_stored = posted["error"]["code"] == "outcome_unknown";
            assert!(is_stored || posted["error"].is_null(), "{posted}");
            self.bodies.lock().unwrap().push(body);
            self.note();
        }
    }

    /// Claims and releases one resource until `stop`.
    fn claim(&self, session: &OtherHostSession, stop: &AtomicBool) {
        let resource = json!({ "resource": "deploy" });
        while !stop.load(Ordering::Relaxed) {
            let claimed = call_until_settled(session, "claim", &resource);
            let fence = match claimed["error"]["code"].as_str() {
                None => claimed["fence"]
                    .as_i64()
                    .unwrap_or_else(|| panic!("{claimed}")),
                Some("outcome_unknown") => {
                    let again = call_until_settled(session, "claim", &resource);
                    let fence = again["fence"].as_i64();
                    fence.unwrap_or_else(|| panic!("{again}"))
                }
                Some(_) => panic!("{claimed}"),
            };
            self.fences.lock().unwrap().push(fence);
            self.note();
            call_until_settled(session, "release", &resource);
        }
    }

    /// Asks until `stop`.
    fn ask(&self, session: &OtherHostSession, stop: &AtomicBool) {
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let question = format!("{} {number}", session.name);
            let asked = json!({ "to": "api", "question": question, "timeout_seconds": 60 });
            let answer = call_until_settled(session, "ask_peer", &asked);
            assert_eq!(answer["answer"], format!("to {question}"), "{answer}");
            self.answers.lock().unwrap().push(question);
            self.note();
        }
    }
}

/// Ends the load, also when the test fails.
struct StopsWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers all questions to a peer until `stop`.
fn answer_until(peer: &OtherHostSession, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let inbox = call_until_settled(peer, "poll_inbox", &json!({}));
        assert!(inbox["error"].is_null(), "{inbox}");
        for question in inbox["questions"].as_array().into_iter().flatten() {
            let id = question["question_id"].as_str().unwrap();
            let answer = format!("to {}", question["question"].as_str().unwrap());
            let reply = json!({ "question_id": id, "answer": answer });
            let replied = call_until_settled(peer, "reply_to_peer", &reply);
            let code = replied["error"]["code"].as_str();
            assert!(matches!(code, None | Some("outcome_unknown")), "{replied}");
        }
    }
}

/// Runs the load while the server fails over. Returns what was acknowledged.
fn load_during_failover(
    hub: &Hub,
    api: &OtherHostSession,
    (primary, standby): (&OwnServer, &OwnServer),
) -> Acknowledged {
    let host = OtherHost::new(hub, "laptop");
    let join = |name: &str, pid| host.join(&format!("/code/{name}"), pid);
    let (posting, claiming, asking) = (join("post", 11), join("claim", 12), join("ask", 13));
    let acknowledged = Acknowledged::default();
    let (stop, answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let (stops, ends_answers) = (StopsWhenDropped(&stop), StopsWhenDropped(&answered));
        let answering = scope.spawn(|| answer_until(api, &answered));
        let loads = [
            scope.spawn(|| acknowledged.post(&posting, &stop)),
            scope.spawn(|| acknowledged.claim(&claiming, &stop)),
            scope.spawn(|| acknowledged.ask(&asking, &stop)),
        ];
        wait_until("there is load", || acknowledged.count_since(began) > 60);
        primary.kill();
        standby.promote();
        let promoted = Instant::now();
        wait_until("the hub writes again", || {
            acknowledged.count_since(promoted) > 0
        });
        print_to_stderr(&format!(
            "from the promotion to the first write: {:.2} s",
            promoted.elapsed().as_secs_f64()
        ));
        wait_until("there is load again", || {
            acknowledged.count_since(promoted) > 60
        });
        drop(stops);
        for load in loads {
            load.join().unwrap();
        }
        drop(ends_answers);
        answering.join().unwrap();
    });
    acknowledged
}

#[test]
fn failover_loses_nothing_acknowledged_and_does_nothing_twice() {
    let Some(primary) = OwnServer::start("a failover of the server behind a hub") else {
        return;
    };
    let standby = primary.standby();
    let store = format!(
        "postgres://mesh@{},{}/mesh?schema=failover",
        primary.address(),
        standby.address()
    );
    let world = World::new();
    let hub = Hub::start_on(&world, &store);
    let desk = OtherHost::new(&hub, "desk");
    let (api, keeper) = (desk.join("/code/api", 1), desk.join("/code/keeper", 2));
    let keep = json!({ "resource": "port:1", "lease_seconds": 600 });
    let kept = keeper.call("claim", keep.clone());
    assert_eq!(kept["status"], "granted", "{kept}");
    let acknowledged = load_during_failover(&hub, &api, (&primary, &standby));
    let count = |sql: &str| {
        text_of(
            &standby.url,
            &format!("SELECT count(*) FROM failover.{sql}"),
        )
    };
    let stored = text_of(
        &standby.url,
        "SELECT string_agg(body, ',' ORDER BY id) FROM failover.message",
    );
    let stored: Vec<&str> = stored.split(',').collect();
    assert_eq!(stored, acknowledged.bodies.into_inner().unwrap());
    let answers = acknowledged.answers.into_inner().unwrap().len();
    let answers = answers.to_string();
    assert_eq!(count("question"), answers);
    assert_eq!(count("question WHERE state = 'answered'"), answers);
    let fences = acknowledged.fences.into_inner().unwrap();
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
    let renewed = keeper.call("claim", keep.clone());
    assert_eq!(renewed["fence"], kept["fence"], "{renewed}");
    let other = api.call("claim", keep);
    assert_eq!(other["status"], "denied", "{other}");
}

/// The time of the mesh goes on for ten minutes while the hub does not reach the server.
#[test]
fn long_outage_of_the_server_ends_no_session() {
    let Some(server) = PostgresServer::find("a server that is long out of reach of its hub") else {
        return;
    };
    let schema = PostgresServer::unique_schema();
    let (_, address) = server.url.split_once('@').unwrap();
    let (address, database) = address.split_once('/').unwrap();
    let network = Relay::new();
    network.lead_to(address);
    let relayed = network.url().replace("http://", "postgres://mesh@");
    let world = World::new();
    let hub = Hub::start_on(&world, &format!("{relayed}/{database}?schema={schema}"));
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let (web, api) = (laptop.join("/code/web", 1), desk.join("/code/api", 2));
    let claim = json!({ "resource": "port:1", "lease_seconds": 3600 });
    let granted = web.call("claim", claim.clone());
    assert_eq!(granted["status"], "granted", "{granted}");
    network.set(Network::Cut);
    let (status, refused) = api.call_once("claim", claim.clone(), "while-it-is-away");
    assert_eq!(
        (status, &refused["error"]["code"]),
        (503, &json!("storage"))
    );
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("Nothing was stored"), "{refused}");
    server.admin().execute(&format!(
        "UPDATE {schema}.commit_mark SET wall_ms = wall_ms + 600000"
    ));
    network.set(Network::Up);
    let denied = desk.join("/code/api", 2).call("claim", claim.clone());
    assert_eq!(denied["status"], "denied", "{denied}");
    let back = laptop.join("/code/web", 1);
    assert_eq!(back.id, web.id, "the same session");
    let renewed = back.call("claim", claim);
    assert_eq!(renewed["fence"], granted["fence"], "{renewed}");
    drop(hub);
    server.admin().execute(&format!(
        "SET client_min_messages TO warning; DROP SCHEMA {schema} CASCADE"
    ));
}

/// Text that no compression makes small.
fn random_text(bytes: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(bytes)
        .collect()
}

#[test]
fn full_disk_of_the_server_refuses_writes_until_space_is_back() {
    const FILL: &str = "CREATE TABLE filler (text TEXT);
        DO $$ BEGIN
            LOOP INSERT INTO filler SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 50); END LOOP;
        EXCEPTION WHEN disk_full THEN NULL;
        END $$";
    let Some(server) = OwnServer::on_small_disk("a full disk of the server behind a hub", "16m")
    else {
        return;
    };
    let admin = PostgresServer {
        url: server.url.clone(),
    };
    let admin = admin.admin();
    let world = World::new();
    let hub = Hub::start_on(&world, &format!("{}?schema=small_disk", server.url));
    let host = OtherHost::new(&hub, "laptop");
    let (web, api) = (host.join("/code/web", 1), host.join("/code/api", 2));
    let claim = json!({ "resource": "port:1", "lease_seconds": 600 });
    let granted = web.call("claim", claim.clone());
    assert_eq!(granted["status"], "granted", "{granted}");
    admin.execute(FILL);
    let message = json!({ "to": "api", "body": random_text(60_000) });
    for attempt in ["first", "second"] {
        let (status, refused) = web.call_once("post", message.clone(), attempt);
        assert_eq!(status, 500, "{refused}");
        assert_eq!(refused["error"]["code"], "storage", "{refused}");
        let said = refused["error"]["message"].as_str().unwrap();
        assert!(
            said.contains("the disk of the database server is full"),
            "{said}"
        );
        let hint = refused["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("Nothing was stored"), "{hint}");
        let inbox = api.call("list_messages", json!({}));
        assert_eq!(inbox["messages"], json!([]), "{inbox}");
    }
    for table in ["message", "event WHERE type LIKE 'message.%'"] {
        let count = format!("SELECT count(*) FROM small_disk.{table}");
        assert_eq!(admin.text(&count), "0", "{table}");
    }
    admin.execute("DROP TABLE filler");
    let posted = web.call_once("post", message, "second");
    assert_eq!(posted.0, 200, "{posted:?}");
    assert_eq!(hub.count_rows("message"), 1);
    let renewed = web.call("claim", claim);
    assert_eq!(renewed["fence"], granted["fence"], "{renewed}");
}
