//! The hub: a read and a write over HTTP beside `/health`, an ask answered over HTTP beside the same over stdio, and the hub
//! at rest.
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ask::PAUSE;
use crate::hub_client::{BenchHub, key};
use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchWorld, count_wake_ups, micros};

/// How long the idle hub is observed.
const REST_DURATION: Duration = Duration::from_secs(5);

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("hub", pin);
    pin.on(Side::Near, || {
        routes(table, &BenchWorld::new(pin), rounds);
        ask(table, &BenchWorld::new(pin), rounds);
        rest(table, &BenchWorld::new(pin));
    });
}

/// Read routes and a write route beside `/health` and beside the same call over stdio. `/health` comes first after the pause
/// in which a session posts, and pays for waking the hub.
fn routes(table: &mut Table, world: &BenchWorld, rounds: usize) {
    let mut session = world.session("ada", Side::Near);
    let key = key(world, "script");
    let hub = BenchHub::start(world);
    let mut client = hub.client(&key);
    let (mut health, mut first_read) = (Samples::default(), Samples::default());
    let (mut state, mut claims) = (Samples::default(), Samples::default());
    let (mut write, mut stdio) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let body = json!({ "to": "topic:ci", "body": format!("build {round}") });
        let spans = [
            client.time("GET", "/health", None),
            // The session has committed since the last one.
            client.time("GET", "/v1/claims", None),
            client.time("GET", "/v1/state/default", None),
            client.time("GET", "/v1/claims", None),
            client.time("POST", "/v1/messages", Some(&body)),
        ];
        let began = Instant::now();
        session.call("post", &body);
        let over_stdio = micros(began.elapsed());
        // The first request of a kind registers and compiles statements.
        if round > 0 {
            health.add(spans[0]);
            first_read.add(spans[1]);
            state.add(spans[2]);
            claims.add(spans[3]);
            write.add(spans[4]);
            stdio.add(over_stdio);
        }
    }
    table.line(&Line::times("baseline: GET /health", &health));
    for (name, samples) in [
        ("GET /v1/state/default", &state),
        ("GET /v1/claims, which also ends expired claims", &claims),
        (
            "GET /v1/claims, first after a session's commit",
            &first_read,
        ),
    ] {
        let line = Line::times(name, samples).baseline("GET /health", health.p50());
        table.line(&line.goal(Goal::Times(1.5)));
    }
    table.line(&Line::times("baseline: post over stdio", &stdio));
    let allowed = stdio.p50() + 300.0;
    let write =
        Line::times("POST /v1/messages", &write).baseline("post over stdio + 0.3 ms", allowed);
    table.line(&write.goal(Goal::Times(1.0)));
}

/// From the answer to the result of the asker: both over stdio, then both over HTTP.
fn ask(table: &mut Table, world: &BenchWorld, rounds: usize) {
    let (mut ada, mut bo) = (
        world.session("ada", Side::Near),
        world.session("bo", Side::Far),
    );
    let sql = world.sql();
    let mut stdio = Samples::default();
    for round in 0..=rounds {
        let call = ada.ask("bo", &format!("which port does service {round} use?"));
        let question = BenchWorld::open_question(&sql, "ada");
        std::thread::sleep(PAUSE);
        let reply = json!({ "question_id": question, "answer": "5433" });
        let began = Instant::now();
        let (_, line) = bo.tool_line("reply_to_peer", &reply);
        bo.write(&line);
        let (_, at) = ada.answer(call);
        if round > 0 {
            stdio.add(micros(at - began));
        }
    }
    let hub = BenchHub::start(world);
    let mut asker = hub.client(&key(world, "http-ada"));
    let mut peer = hub.client(&key(world, "http-bo"));
    peer.call("GET", "/v1/inbox", None);
    let mut http = Samples::default();
    for round in 0..=rounds {
        let text = format!("which port does service {round} use?");
        let question = json!({ "to": "http-bo", "question": text });
        asker.send("POST", "/v1/questions?wait=60", Some(&question));
        let id = open_question_soon(&sql, "http-ada");
        std::thread::sleep(PAUSE);
        let began = Instant::now();
        peer.send(
            "POST",
            &format!("/v1/questions/{id}/answer"),
            Some(&json!({ "answer": "5433" })),
        );
        let result = asker.receive();
        let span = micros(began.elapsed());
        assert_eq!(result["answer"], "5433");
        peer.receive();
        if round > 0 {
            http.add(span);
        }
    }
    table.line(&Line::times(
        "baseline: answer to result over stdio",
        &stdio,
    ));
    let line = Line::times("answer to result over HTTP", &http)
        .baseline("over stdio + 0.5 ms", stdio.p50() + 500.0);
    table.line(&line.goal(Goal::Times(1.0)));
}

/// Waits until the question of an asker is stored.
fn open_question_soon(sql: &rusqlite::Connection, asker: &str) -> String {
    let query = "SELECT q.id FROM question q JOIN peer p ON p.id = q.asker_peer WHERE p.name = ?1 AND q.state = 'open'";
    loop {
        if let Ok(id) = sql
            .prepare_cached(query)
            .unwrap()
            .query_row([asker], |row| row.get(0))
        {
            return id;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Memory and wake-ups of a hub that nobody uses.
fn rest(table: &mut Table, world: &BenchWorld) {
    let hub = BenchHub::start(world);
    let key = key(world, "script");
    for _ in 0..40 {
        hub.client(&key).call("GET", "/v1/status", None);
    }
    let pid = hub.pid();
    let resident = hub.resident_kb() / 1024.0;
    let line = Line::number("hub: resident memory after 40 requests", "MB", resident);
    table.line(&line.goal(Goal::AtMost(15.0)));
    std::thread::sleep(Duration::from_secs(1));
    let before = count_wake_ups(pid);
    std::thread::sleep(REST_DURATION);
    let woken = (count_wake_ups(pid) - before) as f64 / REST_DURATION.as_secs_f64();
    let line = Line::number("hub: wake-ups while idle", "/s", woken);
    table.line(&line.goal(Goal::AtMost(0.0)));
}
