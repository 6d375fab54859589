//! A thousand sessions of other hosts at one hub over a `PostgreSQL` server: each has a stream open and calls tools on a kept
//! connection, all together two hundred times a second. The programs of the sessions are tasks of this process.
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use claude_mesh::mesh::{Mesh, MeshOptions, REMOTE_REVISION};
use claude_mesh::model::access_key::KeyHolder;
use claude_mesh::platform::process;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Mutex;

use crate::database_server::DatabaseServer;
use crate::hub_client::{BenchHub, new_key};
use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchWorld, micros};

const SESSIONS: usize = 1_000;
/// With these the hub has opened its connections to the server; its memory is compared from there on.
const FIRST_SESSIONS: usize = 100;
const CALLS_A_SECOND: u32 = 200;
const SPAN: Duration = Duration::from_secs(20);
/// Calls of this time are not counted: statements are prepared, and the new sessions have their first snapshots.
const WARM_UP: Duration = Duration::from_secs(5);
/// How many sessions register at the same time.
const REGISTERING: usize = 8;
/// After this time the rest is not registered, and the run goes on with fewer.
const REGISTRATION_MAX: Duration = Duration::from_secs(120);
const P99_MS_MAX: f64 = 50.0;
const SESSION_KB_MAX: f64 = 40.0;

pub(crate) fn measure(table: &mut Table, pin: Pin) {
    let title = format!("many_sessions, {SESSIONS} sessions, {CALLS_A_SECOND} calls a second");
    table.group(&title, pin);
    let Some(server) = DatabaseServer::find() else {
        table.note("SKIPPED: CLAUDE_MESH_TEST_POSTGRES names no server, and none can be started");
        return;
    };
    let (world, schema) = (BenchWorld::new(pin), server.schema());
    let mut mesh =
        Mesh::connect(&schema.place(&world.database()), &MeshOptions::default()).unwrap();
    let key = new_key(&mut mesh, &world, KeyHolder::Host("many".into()));
    let hub = pin.on(Side::Far, || {
        BenchHub::start_with(&world, &["--store", &schema.url()])
    });
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let figures = runtime.block_on(run(&hub, &key));
    table.line(&Line::times("baseline: GET /health", &figures.health));
    for (what, samples) in [
        ("post to another session", &figures.posts),
        ("poll_inbox", &figures.inboxes),
    ] {
        let line = Line::times(format!("call: {what}"), samples);
        table.line(&line.baseline("GET /health", figures.health.p50()));
        let p99 = Line::number("    p99 of it", "ms", samples.quantile(0.99) / 1000.0);
        table.line(&p99.goal(Goal::AtMost(P99_MS_MAX)));
    }
    let registered = Line::number("sessions registered", "", figures.registered);
    table.line(&registered.goal(Goal::AtLeast(SESSIONS as f64)));
    table.line(&Line::number(
        "registrations a second",
        "1/s",
        figures.registrations_a_second,
    ));
    let memory = format!("hub: resident memory a session beyond the first {FIRST_SESSIONS}");
    let memory = Line::number(memory, "kB", figures.session_kb);
    table.line(&memory.goal(Goal::AtMost(SESSION_KB_MAX)));
    let all = Line::number("hub: resident memory in all", "kB", figures.hub_kb);
    table.line(&all);
}

struct SessionFigures {
    health: Samples,
    posts: Samples,
    inboxes: Samples,
    registrations_a_second: f64,
    registered: f64,
    session_kb: f64,
    hub_kb: f64,
}

async fn run(hub: &BenchHub, key: &str) -> SessionFigures {
    let mut first = FarClient::connect(hub, key).await;
    let began = Instant::now();
    let mut sessions = register_all(hub, key, 0..FIRST_SESSIONS).await;
    let first_kb = hub.resident_kb();
    sessions.extend(register_all(hub, key, FIRST_SESSIONS..SESSIONS).await);
    let registrations_a_second = sessions.len() as f64 / began.elapsed().as_secs_f64();
    let (posts, inboxes, health) = call_in_turn(&sessions, &mut first).await;
    SessionFigures {
        health,
        posts,
        inboxes,
        registrations_a_second,
        registered: sessions.len() as f64,
        session_kb: (hub.resident_kb() - first_kb) / (sessions.len() - FIRST_SESSIONS) as f64,
        hub_kb: hub.resident_kb(),
    }
}

/// One session: its id, its name, and the connection of its calls.
struct FarSession {
    id: String,
    name: String,
    client: Arc<Mutex<FarClient>>,
}

async fn register_all(hub: &BenchHub, key: &str, numbers: Range<usize>) -> Vec<FarSession> {
    let mut sessions = Vec::new();
    let began = Instant::now();
    for first in numbers.clone().step_by(REGISTERING) {
        if began.elapsed() > REGISTRATION_MAX {
            break;
        }
        let registering =
            (first..numbers.end.min(first + REGISTERING)).map(|number| register(hub, key, number));
        sessions.extend(futures_util::future::join_all(registering).await);
    }
    sessions
}

/// Registers a session and opens its stream, which is read and forgotten.
async fn register(hub: &BenchHub, key: &str, number: usize) -> FarSession {
    let mut client = FarClient::connect(hub, key).await;
    let me = process::this_process();
    let folder = format!("/home/many/s{number}");
    let join = json!({
        "boot": "bench", "pid_namespace": "bench", "pid": me.pid, "started": me.started, "instance": number,
        "project": { "path": folder, "start": folder, "name": format!("s{number}") },
        "agent": "bench 1",
    });
    let joined = client
        .call("POST", "/v1/remote/sessions", Some(&join))
        .await;
    let id = joined["session"].as_str().unwrap().to_owned();
    let mut stream = FarClient::connect(hub, key).await;
    let path = format!("/v1/remote/sessions/{id}/stream");
    stream.send("GET", &path, None).await;
    tokio::spawn(async move {
        let mut chunk = vec![0; 16 * 1024];
        while stream
            .stream
            .read(&mut chunk)
            .await
            .is_ok_and(|read| read > 0)
        {}
    });
    FarSession {
        id,
        name: joined["name"].as_str().unwrap().to_owned(),
        client: Arc::new(Mutex::new(client)),
    }
}

/// Lets the sessions call one after the other, at fixed times. A time begins when the call is due. Returns the times of posts,
/// of looks into the inbox, and of `/health` among them.
async fn call_in_turn(
    sessions: &[FarSession],
    first: &mut FarClient,
) -> (Samples, Samples, Samples) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CALLS_A_SECOND);
    let (mut calls, mut health) = (Vec::new(), Samples::default());
    let began = Instant::now();
    for number in 0.. {
        let due = ticks.tick().await.into_std();
        if began.elapsed() > SPAN {
            break;
        }
        let (session, other) = (
            &sessions[number % sessions.len()],
            &sessions[(number * 7 + 1) % sessions.len()],
        );
        let is_post = number % 2 == 0;
        let (tool, arguments) = if is_post {
            (
                "post",
                json!({ "to": other.name, "body": "the build is green again" }),
            )
        } else {
            ("poll_inbox", json!({}))
        };
        let path = format!("/v1/remote/sessions/{}/tools/{tool}", session.id);
        let client = Arc::clone(&session.client);
        let call = tokio::spawn(async move {
            let body = json!({ "arguments": arguments });
            client.lock().await.call("POST", &path, Some(&body)).await;
            micros(due.elapsed())
        });
        if due - began > WARM_UP {
            calls.push((is_post, call));
        }
        if number % 20 == 0 {
            let asked = Instant::now();
            first.call("GET", "/health", None).await;
            health.add(micros(asked.elapsed()));
        }
    }
    let (mut posts, mut inboxes) = (Samples::default(), Samples::default());
    for (is_post, call) in calls {
        let span = call.await.unwrap();
        if is_post { &mut posts } else { &mut inboxes }.add(span);
    }
    (posts, inboxes, health)
}

/// How long a connection is used again; a hub closes one without a request after 10 s.
const IDLE_MAX: Duration = Duration::from_secs(8);

/// The HTTP connection of a program on another host.
struct FarClient {
    stream: BufReader<TcpStream>,
    used: Instant,
    address: String,
    head: String,
    calls: u64,
}

impl FarClient {
    async fn connect(hub: &BenchHub, key: &str) -> Self {
        let head = format!(
            "Host: {}\r\nAuthorization: Bearer {key}\r\nclaude-mesh-revision: {REMOTE_REVISION}\r\n",
            hub.address
        );
        Self {
            stream: open(&hub.address).await,
            used: Instant::now(),
            address: hub.address.clone(),
            head,
            calls: 0,
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<&Value>) {
        if self.used.elapsed() > IDLE_MAX {
            self.stream = open(&self.address).await;
        }
        self.used = Instant::now();
        self.calls += 1;
        let body = body.map(Value::to_string).unwrap_or_default();
        // The path names the session.
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}Idempotency-Key: {path} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.head,
            self.calls,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.send(method, path, body).await;
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            let read = self.stream.read_line(&mut line).await.unwrap();
            assert!(read > 0, "the hub has closed");
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["error"].is_null(), "{path}: {body}");
        body
    }
}

async fn open(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}
