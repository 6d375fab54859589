//! From the answer to the result of the asker, with 1, 8 and 64 sessions waiting.
//!
//! Over servers a time begins when the line of the reply is written to the server of the peer, and ends when the line of the
//! result is read at the asker: three hops between processes and the SQL of an answer. Between programs that use the library
//! it begins at `Member::answer` and ends when `Member::wait` has returned in the other process: one hop and the same SQL.
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use claude_mesh::mesh::{JoinRequest, Member, Mesh, WaitOutcome};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::SystemClock;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::baseline;
use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchSession, BenchWorld, count_wake_ups, micros};

/// The pause between two questions, so that every process sleeps again.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);
/// The numbers of waiting sessions.
const ASKER_COUNTS: [usize; 3] = [1, 8, 64];
/// How long bystanders are observed; a waiting session polls every 2 s.
const WATCH_DURATION: Duration = Duration::from_secs(6);

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    pin.on(Side::Near, || {
        let lower_bounds = LowerBounds::measure(table, pin, rounds);
        servers(table, &lower_bounds, pin, rounds);
        library(table, &lower_bounds, pin, rounds);
    });
}

/// The baseline of an answer: its hops and its SQL.
struct LowerBounds {
    near: f64,
    far: f64,
    sql: f64,
    after: f64,
}

impl LowerBounds {
    fn measure(table: &mut Table, pin: Pin, rounds: usize) -> Self {
        table.group("ask", pin);
        let (near, far) = (
            baseline::hop(pin, Side::Near),
            baseline::hop(pin, Side::Far),
        );
        let (sql, after) = baseline::answer_sql(rounds);
        table.line(&Line::times("baseline: one hop over a pipe", &far));
        table.line(&Line::times(
            "baseline: the SQL of an answer, one process",
            &sql,
        ));
        Self {
            near: near.p50(),
            far: far.p50(),
            sql: sql.p50(),
            after: after.p50(),
        }
    }

    /// To the server of the peer, from there to the server of the asker, from there to the benchmark.
    fn servers(&self) -> f64 {
        2.0 * self.far + self.near + self.sql
    }
}

fn servers(table: &mut Table, lower_bounds: &LowerBounds, pin: Pin, rounds: usize) {
    let mut alone = None;
    for asker_count in ASKER_COUNTS {
        let world = BenchWorld::new(pin);
        let mut peer = world.session("bo", Side::Far);
        let mut askers: Vec<Asker> = (0..asker_count)
            .map(|number| Asker::new(&world, number))
            .collect();
        let sql = world.sql();
        let rounds = rounds.max(asker_count);
        let mut samples = Samples::default();
        for round in 0..rounds + asker_count {
            let asker = &mut askers[round % asker_count];
            let question = BenchWorld::open_question(&sql, &asker.name);
            std::thread::sleep(PAUSE);
            let span = answered(&mut peer, &mut asker.session, asker.call, &question);
            if round >= asker_count {
                samples.add(micros(span));
            }
            asker.start_ask();
        }
        let what = format!("answer to result, servers, {asker_count} waiting");
        let line = Line::times(what, &samples).baseline("3 hops + SQL", lower_bounds.servers());
        table.line(&line.goal(Goal::Times(2.5)));
        let one = *alone.get_or_insert(samples.p50());
        if asker_count > 1 {
            let line = Line::times("    compared with 1 waiting", &samples)
                .baseline("the same with 1 waiting", one);
            let goal = if asker_count == 64 {
                Goal::Times(1.5)
            } else {
                Goal::None
            };
            table.line(&line.goal(goal));
        }
        if asker_count == 64 {
            uninvolved_sessions(table, &world, &mut peer, &mut askers);
        }
    }
}

/// A session that waits for an answer.
struct Asker {
    session: BenchSession,
    name: String,
    call: i64,
    asked: u32,
}

impl Asker {
    fn new(world: &BenchWorld, number: usize) -> Self {
        let name = format!("ada-{number}");
        let mut asker = Self {
            session: world.session(&name, Side::Near),
            name,
            call: 0,
            asked: 0,
        };
        asker.start_ask();
        asker
    }

    fn start_ask(&mut self) {
        self.asked += 1;
        let question = format!("which port does service {} use?", self.asked);
        self.call = self.session.ask("bo", &question);
    }
}

/// The peer answers. Returns the time from writing the reply to reading the result of the call that waits for it.
pub(crate) fn answered(
    peer: &mut BenchSession,
    asker: &mut BenchSession,
    call: i64,
    question: &str,
) -> Duration {
    let (reply, line) = peer.tool_line(
        "reply_to_peer",
        &json!({ "question_id": question, "answer": "5433, since the move" }),
    );
    let began = Instant::now();
    peer.write(&line);
    let (result, at) = asker.answer(call);
    let result = crate::shared::result(&result);
    assert_eq!(result["status"], "answered", "{result}");
    peer.answer(reply);
    at - began
}

/// Counts the wake-ups of the others while one session asks and gets answers without pause.
fn uninvolved_sessions(
    table: &mut Table,
    world: &BenchWorld,
    peer: &mut BenchSession,
    askers: &mut [Asker],
) {
    let (busy, waiting) = askers.split_first_mut().unwrap();
    let servers: Vec<i32> = waiting.iter().map(|asker| asker.session.server).collect();
    let count = || servers.iter().map(|pid| count_wake_ups(*pid)).sum::<u64>() as f64;
    let rate = |before: f64, span: Duration| {
        (count() - before) / servers.len() as f64 / span.as_secs_f64()
    };

    let (before, began) = (count(), Instant::now());
    std::thread::sleep(WATCH_DURATION);
    let idle_rate = rate(before, began.elapsed());

    let sql = world.sql();
    let (before, began, mut rounds) = (count(), Instant::now(), 0);
    while began.elapsed() < WATCH_DURATION {
        let question = BenchWorld::open_question(&sql, &busy.name);
        answered(peer, &mut busy.session, busy.call, &question);
        busy.start_ask();
        rounds += 1;
    }
    let span = began.elapsed();
    let busy_rate = rate(before, span);
    let each = (busy_rate - idle_rate).max(0.0) * span.as_secs_f64() / f64::from(rounds);
    let what = "wake-ups of a waiting, uninvolved session, no questions (polls every 2 s)";
    table.line(&Line::number(what, "/s", idle_rate));
    let what = format!(
        "wake-ups of a waiting, uninvolved session, {:.0} questions/s of others",
        f64::from(rounds) / span.as_secs_f64()
    );
    table.line(&Line::number(what, "/s", busy_rate));
    let line = Line::number(
        "wake-ups of a waiting, uninvolved session, for each question of others",
        "",
        (each * 100.0).round() / 100.0,
    );
    table.line(&line.goal(Goal::AtMost(0.0)));
}

fn library(table: &mut Table, lower_bounds: &LowerBounds, pin: Pin, rounds: usize) {
    for whole in [true, false] {
        let mut alone = None;
        for asker_count in ASKER_COUNTS {
            let samples = between_members(pin, asker_count, rounds, whole);
            let (what, baseline) = if whole {
                (
                    "answer",
                    ("1 hop + SQL", lower_bounds.far + lower_bounds.sql),
                )
            } else {
                (
                    "commit",
                    (
                        "1 hop + SQL after it",
                        lower_bounds.far + lower_bounds.after,
                    ),
                )
            };
            let what = format!("{what} to result, library, {asker_count} waiting");
            let line = Line::times(what, &samples).baseline(baseline.0, baseline.1);
            table.line(&line.goal(Goal::Times(2.5)));
            let one = *alone.get_or_insert(samples.p50());
            if asker_count == 64 {
                let line = Line::times("    compared with 1 waiting", &samples)
                    .baseline("the same with 1 waiting", one);
                table.line(&line.goal(Goal::Times(1.5)));
            }
        }
    }
}

/// Returns the times until the wait of the asker has returned: from the call of `Member::answer`, or from the commit of an
/// answer that the benchmark stores itself before it writes the doorbell, since the time inside the library is not visible.
fn between_members(pin: Pin, asker_count: usize, rounds: usize, whole: bool) -> Samples {
    let world = BenchWorld::new(pin);
    let mut peer = join(
        &world.database().to_string_lossy(),
        &world.project("bo").to_string_lossy(),
    );
    let mut askers: Vec<MemberProcess> = (0..asker_count)
        .map(|number| MemberProcess::start(&world, number))
        .collect();
    let mut sql = world.sql();
    let mut samples = Samples::default();
    for round in 0..rounds.max(asker_count) + asker_count {
        let asker = &mut askers[round % asker_count];
        let question = asker.asked();
        let (session, mailbox): (String, String) = sql
            .prepare_cached("SELECT asker_session, asker_peer FROM question WHERE id = ?1")
            .and_then(|mut found| {
                found.query_row([&question], |row| Ok((row.get(0)?, row.get(1)?)))
            })
            .unwrap();
        std::thread::sleep(PAUSE);
        let began = if whole {
            let began = now_ns();
            let question = question.parse().unwrap();
            peer.answer(question, "5433, since the move").unwrap();
            began
        } else {
            baseline::store(&mut sql, &question, &mailbox);
            let began = now_ns();
            peer.mesh()
                .doorbells()
                .write_doorbell(session.parse().unwrap());
            began
        };
        let ended = asker.ended_at();
        if round >= asker_count {
            samples.add((ended - began) as f64 / 1000.0);
        }
    }
    samples
}

fn join(database: &str, project: &str) -> Member {
    let mesh = Mesh::open(database.as_ref(), Arc::new(SystemClock::new())).unwrap();
    mesh.join(&JoinRequest::here(project.as_ref()).unwrap())
        .unwrap()
}

/// A process that asks and waits repeatedly. It reports the id of each question and when its wait returned.
pub(crate) fn member(arguments: &[String]) {
    let [database, project] = arguments else {
        panic!("a database and a project are wanted")
    };
    let mut me = join(database, project);
    let mut out = std::io::stdout().lock();
    let to = Address::parse("bo").unwrap();
    for number in 0_u64.. {
        let question = format!("which port does service {number} use?");
        let (asked, wait) = me.ask(&to, &question, None).unwrap();
        let said = writeln!(out, "{}", asked.question).and_then(|()| out.flush());
        if said.is_err() {
            return;
        }
        let (waited, _) = me
            .wait(&wait.unwrap(), Duration::from_secs(3600), |_| true)
            .unwrap();
        let at = now_ns();
        assert!(matches!(waited, WaitOutcome::Done(_)), "{waited:?}");
        if writeln!(out, "{at}").is_err() {
            return;
        }
    }
}

/// A child process as the benchmark sees it.
struct MemberProcess {
    child: Child,
    _stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl MemberProcess {
    fn start(world: &BenchWorld, number: usize) -> Self {
        let project = world.project(&format!("ada-{number}"));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg("--part-of-member")
            .args([&world.database(), &project])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = world.pin.on(Side::Far, || command.spawn().unwrap());
        Self {
            _stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the other process has ended");
        line.trim().to_owned()
    }

    fn asked(&mut self) -> String {
        self.line()
    }

    fn ended_at(&mut self) -> i64 {
        self.line().parse().unwrap()
    }
}

impl Drop for MemberProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A clock that all processes of the machine share.
fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
