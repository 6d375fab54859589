//! The tools in a mesh of years: each call through a real server beside the same call in an empty mesh, the sizes of rows in the
//! file, and the wake-ups of sessions that a question of others does not concern.
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::pin::{Pin, Side};
use crate::recall;
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchSession, BenchWorld, count_wake_ups, micros};

const MAILBOXES: u32 = 5_000;
const MESSAGES: u32 = 1_000_000;
const QUESTIONS: u32 = 200_000;
/// How many of the questions were for the peer that is asked.
const ANSWERS_OF_ONE_PEER: u32 = 5_000;
const MEMORIES: u32 = 100_000;
const TASKS: u32 = 10_000;
const OPEN_TASKS: u32 = 200;
const SESSIONS: u32 = 300;
/// Questions during which the other sessions sleep.
const QUESTIONS_OF_OTHERS: usize = 20;
const WARM_UP: usize = 3;

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("scale (both meshes alternating)", pin);
    let rounds = rounds.min(60);
    let (mut small, mut big) = (Mesh::open(pin), Mesh::open(pin));
    let sizes = fill(&big);
    let sweeps = sweep(&big);
    let sessions = SESSIONS.min(watchers_left());
    table.note(&format!(
        "the big mesh: {MESSAGES} messages, {QUESTIONS} questions, {MEMORIES} memories, {TASKS} tasks, {MAILBOXES} mailboxes, \
         {sessions} sessions"
    ));
    for (what, bytes) in &sizes {
        table.line(&Line::number(
            format!("bytes of the file for each of the {what}"),
            "B",
            *bytes,
        ));
    }
    table.line(&Line::times(
        "a sweep that merges full-text indexes",
        &sweeps,
    ));
    let others: Vec<BenchSession> = (2..sessions)
        .map(|number| big.world.session(&format!("s{number}"), Side::Far))
        .collect();
    for verb in VERBS {
        let (mut few, mut many) = (Samples::default(), Samples::default());
        for round in 0..rounds + WARM_UP {
            let spans = [small.time(verb, round), big.time(verb, round)];
            if round >= WARM_UP {
                few.add(spans[0]);
                many.add(spans[1]);
            }
        }
        table.line(&Line::times(format!("{}, empty mesh", verb.name), &few));
        let many = Line::times(format!("{}, big mesh", verb.name), &many);
        table.line(
            &many
                .baseline("the same, empty mesh", few.p50())
                .goal(verb.goal),
        );
    }
    table.line(&wake_ups(&mut big, &others));
}

/// A call to measure: what it does, and its arguments in a round.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    goal: Goal,
    time: fn(&mut Mesh, usize) -> f64,
}

const TIMES: Goal = Goal::Times(1.5);

const VERBS: [Verb; 18] = [
    verb("mesh_status", TIMES, |mesh, _| {
        mesh.call("mesh_status", &json!({}))
    }),
    verb("list_peers", Goal::None, |mesh, _| {
        mesh.call("list_peers", &json!({}))
    }),
    verb("poll_inbox", TIMES, |mesh, _| {
        mesh.call("poll_inbox", &json!({}))
    }),
    verb("ask_peer, answered at once", TIMES, Mesh::ask),
    verb(
        "ask_peer, prior answers only",
        Goal::AtMost(5_000.0),
        |mesh, _| {
            mesh.call(
                "ask_peer",
                &json!({ "to": "bo", "question": "on what port is the orders service?", "prefer": "known" }),
            )
        },
    ),
    verb("post", TIMES, |mesh, _| {
        mesh.call(
            "post",
            &json!({ "to": "bo", "body": "the build is green again" }),
        )
    }),
    verb("list_messages", TIMES, |mesh, _| {
        mesh.call("list_messages", &json!({}))
    }),
    verb("claim, then release", TIMES, |mesh, _| {
        mesh.call("claim", &json!({ "resource": "port:5433" }))
            + mesh.call("release", &json!({ "resource": "port:5433" }))
    }),
    verb("state, set", TIMES, |mesh, round| {
        mesh.call(
            "state",
            &json!({ "action": "set", "key": "build", "value": round }),
        )
    }),
    verb("state, get", TIMES, |mesh, _| {
        mesh.call("state", &json!({ "action": "get", "key": "build" }))
    }),
    verb("events", TIMES, |mesh, _| {
        mesh.call("events", &json!({ "limit": 20 }))
    }),
    verb("create_task", TIMES, |mesh, round| {
        mesh.call(
            "create_task",
            &json!({ "title": format!("measure number {round}") }),
        )
    }),
    verb("list_tasks", TIMES, |mesh, _| {
        mesh.call("list_tasks", &json!({ "limit": 20 }))
    }),
    verb("remember, something new", TIMES, |mesh, round| {
        let text = recall::text(3 * MEMORIES + u32::try_from(round).expect("a small number"));
        mesh.call("remember", &json!({ "text": text }))
    }),
    verb(
        "remember, replacing a key",
        Goal::AtMost(5_000.0),
        |mesh, round| {
            let text = recall::text(2 * MEMORIES + u32::try_from(round).expect("a small number"));
            mesh.call("remember", &json!({ "text": text, "key": "bench" }))
        },
    ),
    verb(
        "recall, three common words",
        Goal::AtMost(10_000.0),
        |mesh, _| {
            mesh.call(
                "recall",
                &json!({ "query": "deploy database server", "limit": 10 }),
            )
        },
    ),
    verb("recall, a rare word", TIMES, |mesh, _| {
        mesh.call("recall", &json!({ "query": "zebrafish" }))
    }),
    verb("forget", Goal::AtMost(20_000.0), |mesh, round| {
        let text = recall::text(4 * MEMORIES + u32::try_from(round).expect("a small number"));
        let kept = mesh.ada.call("remember", &json!({ "text": text }));
        mesh.call("forget", &json!({ "memory_id": kept["memory_id"] }))
    }),
];

const fn verb(name: &'static str, goal: Goal, time: fn(&mut Mesh, usize) -> f64) -> Verb {
    Verb { name, goal, time }
}

/// A mesh with two sessions.
struct Mesh {
    ada: BenchSession,
    bo: BenchSession,
    world: BenchWorld,
}

impl Mesh {
    fn open(pin: Pin) -> Self {
        let world = BenchWorld::new(pin);
        Self {
            ada: world.session("ada", Side::Near),
            bo: world.session("bo", Side::Far),
            world,
        }
    }

    fn time(&mut self, verb: Verb, round: usize) -> f64 {
        (verb.time)(self, round)
    }

    /// Calls a tool. Returns the microseconds until its result.
    fn call(&mut self, tool: &str, arguments: &Value) -> f64 {
        let began = Instant::now();
        let result = self.ada.call(tool, arguments);
        let span = micros(began.elapsed());
        assert!(result["error"].is_null(), "{tool}: {result}");
        span
    }

    /// Asks and answers. Returns the microseconds from the reply until the asker has it.
    fn ask(&mut self, round: usize) -> f64 {
        let asked = self.ada.ask("bo", &format!("question {round}?"));
        let inbox = self.bo.call("poll_inbox", &json!({}));
        let id = &inbox["questions"][0]["question_id"];
        let began = Instant::now();
        let (_, line) = self.bo.tool_line(
            "reply_to_peer",
            &json!({ "question_id": id, "answer": "5433" }),
        );
        self.bo.write(&line);
        let (_, at) = self.ada.answer(asked);
        micros(at - began)
    }
}

/// Returns how many sessions may watch at once; `sysctl fs.inotify.max_user_instances` sets it.
fn watchers_left() -> u32 {
    /// For the sessions of the small mesh, and other programs.
    const OTHER_WATCHERS: u32 = 28;
    let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap();
    most.trim()
        .parse::<u32>()
        .unwrap()
        .saturating_sub(OTHER_WATCHERS)
}

/// Counts how often the other sessions wake up while two ask each other.
fn wake_ups(mesh: &mut Mesh, others: &[BenchSession]) -> Line {
    let count = || -> u64 {
        others
            .iter()
            .map(|other| count_wake_ups(other.server))
            .sum()
    };
    // They may still have something to do after their start.
    let mut before = count();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = count();
        if now == before {
            break;
        }
        before = now;
    }
    for round in 0..QUESTIONS_OF_OTHERS {
        mesh.ask(round);
    }
    let woken = count() - before;
    let name = format!(
        "wake-ups of {} other sessions for each question",
        others.len()
    );
    let line = Line::number(name, "", woken as f64 / QUESTIONS_OF_OTHERS as f64);
    line.goal(Goal::AtMost(0.0))
}

/// Fills the mesh with old rows. Returns how many bytes of the file each kind of row takes.
fn fill(mesh: &Mesh) -> Vec<(&'static str, f64)> {
    let sql = mesh.world.sql();
    sql.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
        .unwrap();
    let mut sizes = Vec::new();
    for (what, rows, fill) in [
        ("mailboxes", MAILBOXES, fill_mailboxes as fn(&Connection)),
        ("messages", MESSAGES, fill_messages),
        ("questions", QUESTIONS, fill_questions),
        ("memories", MEMORIES, fill_memories),
        ("tasks", TASKS, fill_tasks),
    ] {
        let before = used_bytes(&sql);
        fill(&sql);
        let added = used_bytes(&sql) - before;
        sizes.push((what, added / f64::from(rows)));
    }
    sql.execute_batch("ANALYZE").unwrap();
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    sizes
}

/// Sweeps as often as in a week of use. Returns the times of the first sweeps.
fn sweep(mesh: &Mesh) -> Samples {
    const SWEEPS: usize = 7 * 24;
    const FIRST: usize = 24;
    let clock = std::sync::Arc::new(claude_mesh::platform::SystemClock::new());
    let mut mesh = claude_mesh::mesh::Mesh::open(&mesh.world.database(), clock).unwrap();
    let mut first = Samples::default();
    for number in 0..SWEEPS {
        let began = Instant::now();
        mesh.sweep().unwrap();
        if number < FIRST {
            first.add(micros(began.elapsed()));
        }
    }
    first
}

fn used_bytes(sql: &Connection) -> f64 {
    let number = |pragma: &str| -> f64 { sql.query_row(pragma, [], |row| row.get(0)).unwrap() };
    let pages = number("PRAGMA page_count") - number("PRAGMA freelist_count");
    pages * number("PRAGMA page_size")
}

/// Numbers from 1, of which each statement makes a row.
const NUMBERS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";

fn insert(sql: &Connection, rows: u32, statement: &str) {
    let statement = statement.replace("NUMBERS", NUMBERS);
    let inserted = sql.execute(&statement, [rows]).unwrap();
    assert_eq!(inserted, rows as usize, "{statement}");
}

fn fill_mailboxes(sql: &Connection) {
    insert(
        sql,
        MAILBOXES,
        "NUMBERS
         INSERT INTO peer (id, kind, name, wanted, project, seat, created_at_ms, last_seen_at_ms)
         SELECT printf('01B%023d', i), kind, 'old-' || i, 'old-' || i, '/projects/old-' || i, 1, created_at_ms, last_seen_at_ms
         FROM n CROSS JOIN peer WHERE name = 'ada'",
    );
}

fn fill_messages(sql: &Connection) {
    insert(
        sql,
        MESSAGES,
        "NUMBERS
         INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, body, posted_at_ms)
         SELECT printf('01A%023d', i), peer.id, 'ada', CASE WHEN i % 2 THEN printf('01B%023d', 1 + i % 5000) END,
                CASE WHEN NOT i % 2 THEN '#ops' END, 'text', 'the build of service ' || i || ' is green again', created_at_ms - ?1 + i
         FROM n CROSS JOIN peer WHERE name = 'ada'",
    );
}

fn fill_questions(sql: &Connection) {
    let statement = format!(
        "NUMBERS
         INSERT INTO question (id, asker_peer, asker_session, target_peer, question, state, asked_at_ms, expires_at_ms, wake,
             shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, closed_at_ms)
         SELECT printf('01A%023d', i), ada.id, session.id,
             CASE WHEN i <= {ANSWERS_OF_ONE_PEER} THEN bo.id ELSE printf('01B%023d', 1 + i % 5000) END,
             'which port does service ' || i || ' use?', 'answered', ada.created_at_ms - ?1 + i, ada.created_at_ms + 604800000,
             'hook', ada.created_at_ms - ?1 + i, 1, 'service ' || i || ' listens on ' || (5000 + i % 1000), 'session',
             ada.created_at_ms - ?1 + i, session.id, ada.created_at_ms - ?1 + i
         FROM n CROSS JOIN peer ada CROSS JOIN peer bo CROSS JOIN session
         WHERE ada.name = 'ada' AND bo.name = 'bo' AND session.peer_id = ada.id"
    );
    insert(sql, QUESTIONS, &statement);
}

fn fill_tasks(sql: &Connection) {
    let statement = format!(
        "NUMBERS
         INSERT INTO task (id, project, title, fingerprint, description, status, priority, created_by, created_by_name, files_owned,
             depends_on, created_at_ms, updated_at_ms, ended_at_ms, version)
         SELECT printf('01A%023d', i), project, 'port service ' || i, 'port service ' || i, 'to the new client', 
             CASE WHEN i <= {OPEN_TASKS} THEN 'todo' ELSE 'done' END, 1, peer.id, 'ada', '[]', '[]', created_at_ms - ?1 + i,
             created_at_ms, CASE WHEN i > {OPEN_TASKS} THEN created_at_ms - i END, 2
         FROM n CROSS JOIN peer WHERE name = 'ada'"
    );
    insert(sql, TASKS, &statement);
}

fn fill_memories(sql: &Connection) {
    let project: String = sql
        .query_row("SELECT project FROM peer WHERE name = 'ada'", [], |row| {
            row.get(0)
        })
        .unwrap();
    recall::insert_memories(sql, &project, 1..MEMORIES + 1);
}
