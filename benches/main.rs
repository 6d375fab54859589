//! What the mesh costs, each number beside a baseline of the same run: a lower bound of the cost of the same steps on this
//! machine. `cargo bench`, or `cargo bench -- ask hook --json --pin same --rounds 1000`.
//!
//! Read ratios, not times: other work on the machine changes both. Where two processes share a CPU a wake-up is many times
//! cheaper than across CPUs, and the scheduler chooses, so times without pinning have two peaks; `--pin` removes the choice.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark reads the real clock, prints for people, and stops where it cannot go on"
)]

/// Questions and answers: over real servers, and between processes that use the library alone.
#[cfg(target_os = "linux")]
mod ask;
/// The baselines: a pipe between two processes, the bare SQL, empty programs.
#[cfg(target_os = "linux")]
mod baseline;
/// Messages through MCP, beside a broker.
#[cfg(all(target_os = "linux", feature = "hub"))]
mod broker;
/// A `PostgreSQL` server.
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod database_server;
/// The hook of a prompt as a whole process.
#[cfg(target_os = "linux")]
mod hook;
/// The hub: its routes, an ask over HTTP, at rest.
#[cfg(all(target_os = "linux", feature = "hub"))]
mod hub;
/// A hub and its clients.
#[cfg(all(target_os = "linux", feature = "hub"))]
mod hub_client;
/// The live events of the hub: one event to a thousand listeners, the memory of a listener.
#[cfg(all(target_os = "linux", feature = "hub"))]
mod hub_events;
/// A thousand sessions at one hub over a `PostgreSQL` server.
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod many_sessions;
/// Many processes post messages at the same time.
#[cfg(target_os = "linux")]
mod message;
/// Reading the inbox beside a million old questions.
#[cfg(target_os = "linux")]
mod pending;
/// Which CPUs the processes of a run may use.
#[cfg(target_os = "linux")]
mod pin;
/// Writers on a `PostgreSQL` server.
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod postgres;
/// Search among a hundred thousand memories, and in earlier answers.
#[cfg(target_os = "linux")]
mod recall;
/// The network between a far session and its hub, which the tests use too.
#[cfg(all(target_os = "linux", feature = "remote"))]
#[path = "../tests/support/relay.rs"]
mod relay;
/// Questions between sessions of two other machines, through a hub at a distance.
#[cfg(all(target_os = "linux", feature = "remote"))]
mod remote;
/// The tools in a mesh with a million messages, beside an empty one.
#[cfg(target_os = "linux")]
mod scale;
/// The server: start, memory, idle.
#[cfg(target_os = "linux")]
mod server;
/// What the benchmark shares with the tests.
#[cfg(target_os = "linux")]
#[path = "../tests/support/shared/mod.rs"]
mod shared;
/// The table.
#[cfg(target_os = "linux")]
mod table;
/// Waking an idle session, beside the way back of its answer.
#[cfg(target_os = "linux")]
mod wake;
/// Temporary homes and the sessions in them.
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--part-of-pong") => baseline::pong(),
        Some("--part-of-member") => ask::member(&arguments[1..]),
        Some("--part-of-poster") => message::poster(&arguments[1..]),
        Some("--part-of-sql-poster") => message::sql_poster(&arguments[1..]),
        _ => run(&arguments),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the benchmark reads /proc and runs on Linux only");
}

/// What to measure and how.
#[cfg(target_os = "linux")]
struct Plan {
    groups: Vec<String>,
    json: bool,
    pins: Vec<pin::Pin>,
    rounds: usize,
    messages: usize,
}

#[cfg(target_os = "linux")]
const GROUPS: [&str; 14] = [
    "ask",
    "wake",
    "hook",
    "server",
    "hub",
    "hub_events",
    "remote",
    "pending",
    "message",
    "broker",
    "recall",
    "scale",
    "postgres",
    "many_sessions",
];

#[cfg(target_os = "linux")]
const USAGE: &str = "usage: cargo bench -- [ask] [wake] [hook] [server] [hub] [hub_events] [remote] [pending] [message] [broker] [recall] [scale] [postgres] [many_sessions] [--json] [--pin none|same|cross] [--rounds N] [--messages N]
  --pin      none: the scheduler chooses; same: all on one CPU; cross: the peer on another CPU than the rest
             (default: none, and for ask and wake also same)
  --rounds   measurements for each line (300); the noise of a machine needs some hundreds
  --messages messages posted in total (100000)";

#[cfg(target_os = "linux")]
fn plan(arguments: &[String]) -> Option<Plan> {
    let mut plan = Plan {
        groups: Vec::new(),
        json: false,
        pins: Vec::new(),
        rounds: 300,
        messages: 100_000,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => {}
            "--json" => plan.json = true,
            "--pin" => plan.pins = vec![pin::Pin::of(words.next()?)?],
            "--rounds" => {
                plan.rounds = words.next()?.parse().ok().filter(|rounds| *rounds >= 10)?;
            }
            "--messages" => {
                plan.messages = words.next()?.parse().ok().filter(|count| *count >= 32)?;
            }
            group if GROUPS.contains(&group) => plan.groups.push(group.to_owned()),
            _ => return None,
        }
    }
    if plan.groups.is_empty() {
        plan.groups = GROUPS.map(str::to_owned).to_vec();
    }
    Some(plan)
}

#[cfg(target_os = "linux")]
fn run(arguments: &[String]) {
    let Some(plan) = plan(arguments) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let mut table = table::Table::new(plan.json);
    for group in &plan.groups {
        for pin in pins(&plan, group) {
            measure(&mut table, group, (pin, &plan));
        }
    }
    table.end();
}

/// Returns the ways to pin that a group is measured with.
#[cfg(target_os = "linux")]
fn pins(plan: &Plan, group: &str) -> Vec<pin::Pin> {
    match group {
        _ if !plan.pins.is_empty() => plan.pins.clone(),
        "ask" | "wake" => vec![pin::Pin::None, pin::Pin::Same],
        _ => vec![pin::Pin::None],
    }
}

#[cfg(target_os = "linux")]
fn measure(table: &mut table::Table, group: &str, (pin, plan): (pin::Pin, &Plan)) {
    match group {
        "ask" => ask::measure(table, pin, plan.rounds),
        "wake" => wake::measure(table, pin, plan.rounds),
        "hook" => hook::measure(table, pin, plan.rounds),
        "server" => server::measure(table, pin, plan.rounds),
        #[cfg(feature = "hub")]
        "hub" => hub::measure(table, pin, plan.rounds),
        #[cfg(feature = "hub")]
        "hub_events" => hub_events::measure(table, pin, plan.rounds),
        #[cfg(feature = "remote")]
        "remote" => remote::measure(table, pin, plan.rounds),
        "pending" => pending::measure(table, pin, plan.rounds),
        "message" => message::measure(table, pin, plan.messages),
        #[cfg(feature = "hub")]
        "broker" => broker::measure(table, pin),
        "recall" => recall::measure(table, pin, plan.rounds),
        "scale" => scale::measure(table, pin, plan.rounds),
        #[cfg(feature = "postgres")]
        "postgres" => postgres::measure(table, pin),
        #[cfg(feature = "postgres")]
        "many_sessions" => many_sessions::measure(table, pin),
        _ => table.note(&format!("{group} is not in this build")),
    }
}
