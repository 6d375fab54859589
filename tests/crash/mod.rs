//! Crash run: sessions ask, answer, post, claim, compare and set, create tasks and remember, while their programs are killed at
//! random times and at named points. Afterwards the results that every caller got are compared with the file.
//!
//! It lasts some seconds. `CLAUDE_MESH_TEST_CRASH_SECONDS` and `CLAUDE_MESH_TEST_CRASH_SESSIONS` make it longer and wider:
//! `CLAUDE_MESH_TEST_CRASH_SECONDS=3600 CLAUDE_MESH_TEST_CRASH_SESSIONS=64 cargo test --test suite crash::`.
mod check;
mod history;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::{World, print_to_stderr};

use self::history::History;
use self::worker::Worker;

/// `NAME/N`: of N programs that pass the point, about one is killed there.
const POINTS: [&str; 6] = [
    "before-markers/150",
    "before-commit/150",
    "before-doorbells/150",
    "before-marker-is-named/60",
    "after-marker-is-named/60",
    "before-checkpoint/3",
];
/// The time between two kills of a random process.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// What all threads of a run share.
struct Run {
    world: World,
    history: History,
    ends: Instant,
    is_over: AtomicBool,
    kills: AtomicU32,
}

impl Run {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || Instant::now() >= self.ends
    }

    /// Kills one random server or client after another.
    fn kill_programs(&self, workers: &[Worker]) {
        while !self.is_over() {
            std::thread::sleep(KILL_INTERVAL);
            let pids: Vec<i32> = workers.iter().filter_map(Worker::victim).collect();
            if let Some(pid) = fastrand::choice(pids).and_then(rustix::process::Pid::from_raw) {
                let killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                self.kills
                    .fetch_add(u32::from(killed.is_ok()), Ordering::Relaxed);
            }
        }
    }
}

// Requirement: Mesh 18, Beyond 3
#[test]
fn no_kill_loses_or_repeats_a_reported_result() {
    let number = |name: &str| Some(std::env::var(name).ok()?.parse().unwrap());
    let seconds = number("CLAUDE_MESH_TEST_CRASH_SECONDS").unwrap_or(12);
    let sessions = number("CLAUDE_MESH_TEST_CRASH_SESSIONS").unwrap_or(12);
    let mut world = World::new();
    world.cli(&world.project("w0"), &["peers"]);
    world.set("CLAUDE_MESH_KILL_AT", &POINTS.join(","));
    let mut run = Run {
        world,
        history: History::new(),
        ends: Instant::now() + Duration::from_secs(seconds),
        is_over: AtomicBool::new(false),
        kills: AtomicU32::new(0),
    };
    let workers: Vec<Worker> = (0..sessions)
        .map(|number| Worker::new(usize::try_from(number).unwrap(), sessions))
        .collect();
    std::thread::scope(|scope| {
        for worker in &workers {
            scope.spawn(|| worker.work(&run));
        }
        scope.spawn(|| run.kill_programs(&workers));
    });
    run.world.environment.remove("CLAUDE_MESH_KILL_AT");
    let counts = check::check(&run);
    let kills = run.kills.into_inner();
    assert!(kills > 20, "only {kills} processes were killed");
    print_to_stderr(&format!(
        "{kills} kill -9 and those at named points; {counts}\n"
    ));
}
