//! Sessions post through their MCP servers, beside clients that post the same to a broker: one process with HTTP and `SQLite`,
//! which is how several other programs of this kind connect their sessions.
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::hub_client::BenchClient;
use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Table};
use crate::world::{BenchSession, BenchWorld, micros};

const CLIENTS: [usize; 3] = [1, 8, 32];
const MESSAGES: usize = 16_000;
const RATIO_MIN: f64 = 1.3;

pub(crate) fn measure(table: &mut Table, pin: Pin) {
    table.group(&format!("broker, {MESSAGES} messages"), pin);
    let bun = find_bun();
    if bun.is_none() {
        table.note("SKIPPED: no broker, because there is no bun in PATH; `npm install bun` has it in node_modules/.bin");
    }
    for clients in CLIENTS {
        let broker = bun.as_deref().map(|bun| broker(pin, bun, clients));
        let sessions = sessions(pin, clients);
        let unit = "/s";
        if let Some(broker) = &broker {
            let what = format!("baseline: a broker in Bun, {clients} clients");
            table.line(&Line::number(what, unit, broker.rate));
        }
        let what = format!("messages through MCP, {clients} sessions");
        let mut line = Line::number(what, unit, sessions.rate);
        if let Some(broker) = &broker {
            line = line
                .baseline("the broker", broker.rate)
                .goal(Goal::AtLeast(RATIO_MIN * broker.rate));
        }
        table.line(&line);
        let longest = Line::number("    longest call", "ms", sessions.longest_ms);
        table.line(&match broker {
            Some(broker) => longest.baseline("the broker", broker.longest_ms),
            None => longest,
        });
    }
}

struct Figures {
    rate: f64,
    longest_ms: f64,
}

/// Returns Bun, as `PATH` has it.
fn find_bun() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("bun"))
        .find(|program| program.is_file())
}

fn sessions(pin: Pin, clients: usize) -> Figures {
    let world = BenchWorld::new(pin);
    let mut sessions: Vec<BenchSession> = (0..clients.max(2))
        .map(|number| world.session(&format!("p{number}"), Side::Far))
        .collect();
    let figures = run(&mut sessions[..clients], |session, number, body| {
        let to = format!("p{}", (number + 1) % clients.max(2));
        session.call("post", &json!({ "to": to, "body": body }));
    });
    let stored: i64 = world
        .sql()
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, i64::try_from(MESSAGES).unwrap());
    figures
}

fn broker(pin: Pin, bun: &Path, clients: usize) -> Figures {
    let world = BenchWorld::new(pin);
    let broker = Broker::start(&world, bun);
    let mut connections: Vec<BenchClient> = (0..clients)
        .map(|_| BenchClient::connect(&broker.address, "none"))
        .collect();
    run(&mut connections, |connection, number, body| {
        let to = format!("p{}", (number + 1) % clients.max(2));
        let message = json!({ "from_id": format!("p{number}"), "to_id": to, "text": body });
        connection.call("POST", "/send-message", Some(&message));
    })
}

/// Posts all messages, each client its share in a thread of its own.
fn run<C: Send>(clients: &mut [C], post: impl Fn(&mut C, usize, &str) + Sync) -> Figures {
    let each = MESSAGES / clients.len();
    let began = Instant::now();
    let longest = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let post = &post;
                scope.spawn(move || {
                    let times = (0..each).map(|count| {
                        let began = Instant::now();
                        let body = format!("the build is green again, number {count}");
                        post(client, number, &body);
                        micros(began.elapsed())
                    });
                    times.fold(0.0, f64::max)
                })
            })
            .collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        ends.fold(0.0, f64::max)
    });
    Figures {
        rate: MESSAGES as f64 / began.elapsed().as_secs_f64(),
        longest_ms: longest / 1000.0,
    }
}

struct Broker {
    process: Child,
    address: String,
}

impl Broker {
    fn start(world: &BenchWorld, bun: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/broker.ts");
        let mut command = world.command(bun, &world.home());
        command
            .arg(script)
            .arg(world.home().join("broker.db"))
            .stdout(Stdio::piped());
        let mut process = world.pin.on(Side::Far, || command.spawn().unwrap());
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        assert!(!port.is_empty(), "the broker has not started");
        let address = format!("127.0.0.1:{}", port.trim());
        Self { process, address }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
