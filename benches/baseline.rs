//! Measures the baselines that every figure is compared with. A hop is half a ping-pong of one byte over two pipes: one
//! process writes, the other wakes and reads it.
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::pin::{Pin, Side};
use crate::table::Samples;
use crate::world::{BenchWorld, micros};

/// The other end of the ping-pong.
pub(crate) fn pong() {
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut byte = [0];
    while stdin.read_exact(&mut byte).is_ok() {
        stdout
            .write_all(&byte)
            .and_then(|()| stdout.flush())
            .unwrap();
    }
}

/// Returns the times of one hop between two processes.
pub(crate) fn hop(pin: Pin, far: Side) -> Samples {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("--part-of-pong")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = pin.on(far, || command.spawn().unwrap());
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut round = || {
        let began = Instant::now();
        stdin.write_all(b"!").unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        micros(began.elapsed()) / 2.0
    };
    for _ in 0..200 {
        round();
    }
    // Pauses as between questions, so that the wake-up of a sleeping CPU is in the baseline as it is in the measurement.
    let samples = (0..500)
        .map(|_| {
            std::thread::sleep(crate::ask::PAUSE);
            round()
        })
        .collect();
    drop(stdin);
    child.wait().unwrap();
    samples
}

/// Returns the times of the SQL of one answer (stored, read by the asker, marked) on two connections of one process,
/// and of the part after it was stored.
pub(crate) fn answer_sql(rounds: usize) -> (Samples, Samples) {
    let world = BenchWorld::new(Pin::None);
    let clock = std::sync::Arc::new(claude_mesh::platform::SystemClock::new());
    claude_mesh::mesh::Mesh::open(&world.database(), clock).unwrap();
    let (mut peer, mut asker) = (world.sql(), world.sql());
    peer.execute_batch(
        "INSERT INTO peer (id, kind, name, wanted, project, seat, created_at_ms, last_seen_at_ms)
         VALUES ('A', 'session', 'ada', 'ada', '/a', 1, 1, 1), ('B', 'session', 'bo', 'bo', '/b', 1, 1, 1);
         INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, headless, started_at_ms, last_seen_at_ms)
         VALUES ('SA', 'A', 'h', 'b', 'n', 1, 1, 0, 1, 1), ('SB', 'B', 'h', 'b', 'n', 2, 1, 0, 1, 1);",
    )
    .unwrap();
    (0..rounds)
        .map(|round| {
            let id = format!("01K{round:023}");
            ask(&peer, &id);
            std::thread::sleep(crate::ask::PAUSE);
            let began = Instant::now();
            store(&mut peer, &id, "A");
            let stored = Instant::now();
            read_question(&mut asker, &id);
            take(&mut asker, &id);
            (micros(began.elapsed()), micros(stored.elapsed()))
        })
        .collect()
}

fn ask(sql: &Connection, id: &str) {
    sql.execute(
        "INSERT INTO question (id, asker_peer, asker_session, target_peer, question, state, asked_at_ms, expires_at_ms)
         VALUES (?1, 'A', 'SA', 'B', 'which port?', 'open', 1, 9)",
        [id],
    )
    .unwrap();
    sql.execute(
        "INSERT INTO wait (id, session_id, started_at_ms) VALUES (?1, 'SA', 1)",
        [id],
    )
    .unwrap();
    sql.execute(
        "INSERT INTO wait_question (wait_id, question_id) VALUES (?1, ?1)",
        [id],
    )
    .unwrap();
}

/// Stores an answer to a question of the peer `asker` with the statements of the library and nothing else.
pub(crate) fn store(sql: &mut Connection, id: &str, asker: &str) {
    let tx = sql
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    row(&tx, QUESTION_SQL, id);
    row(&tx, PEER_SQL, asker);
    row(&tx, WAITING_SESSIONS_SQL, id);
    run(
        &tx,
        "UPDATE question SET state = 'answered', answer = '5433', answered_by = 'session', answered_session = 'SB', answered_at_ms = 2,
         answer_open = 1, closed_at_ms = 2 WHERE id = ?1",
        id,
    );
    tx.prepare_cached("INSERT INTO event (type, at_ms, by_peer, subject, data) VALUES ('question_answered', 2, 'B', ?1, ?2)")
        .unwrap()
        .execute(params![id, r#"{"to":"ada","by":"session","late":false,"corrects":false,"bytes":4}"#])
        .unwrap();
    row(&tx, LIVE_SESSIONS_SQL, asker);
    tx.commit().unwrap();
}

fn read_question(sql: &mut Connection, id: &str) {
    let tx = sql.transaction().unwrap();
    row(&tx, QUESTION_SQL, id);
    row(&tx, PEER_SQL, "B");
}

fn take(sql: &mut Connection, id: &str) {
    let tx = sql
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    row(&tx, QUESTION_SQL, id);
    run(&tx, "UPDATE question SET answer_open = 0 WHERE id = ?1", id);
    run(&tx, "DELETE FROM wait WHERE id = ?1", id);
    tx.commit().unwrap();
}

const QUESTION_SQL: &str = "SELECT * FROM question WHERE id = ?1";
const PEER_SQL: &str = "SELECT * FROM peer WHERE id = ?1";
const LIVE_SESSIONS_SQL: &str = "SELECT * FROM session WHERE peer_id = ?1 AND ended_at_ms IS NULL";
const WAITING_SESSIONS_SQL: &str =
    "SELECT w.session_id FROM wait_question x JOIN wait w ON w.id = x.wait_id
     JOIN session s ON s.id = w.session_id WHERE x.question_id = ?1 AND s.ended_at_ms IS NULL";

fn row(sql: &Connection, query: &str, value: &str) {
    let mut statement = sql.prepare_cached(query).unwrap();
    let mut rows = statement.query([value]).unwrap();
    let row = rows.next().unwrap().expect("there is a row");
    std::hint::black_box(row.get_ref(0).unwrap().as_str().unwrap());
}

fn run(sql: &Connection, statement: &str, value: &str) {
    let changed = sql
        .prepare_cached(statement)
        .unwrap()
        .execute([value])
        .unwrap();
    assert_eq!(changed, 1, "{statement}");
}

/// Compiles an empty program with the options of the hooks; `None` without a compiler.
pub(crate) fn empty_program(folder: &Path) -> Option<PathBuf> {
    let (source, program) = (folder.join("empty.rs"), folder.join("empty"));
    std::fs::write(&source, "fn main() {}\n").unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc)
        .args([
            "--edition=2024",
            "-O",
            "-Clto=fat",
            "-Ccodegen-units=1",
            "-Cstrip=symbols",
            "-o",
        ])
        .args([&program, &source])
        .stdin(Stdio::null())
        .status();
    compiled
        .is_ok_and(|status| status.success())
        .then_some(program)
}
