//! `claude-mesh bench`: measures on this machine what claude-mesh costs, each figure beside a floor of the same run.
//!
//! Plain processes act as the sessions, as in the demo; servers, hooks and the mesh are real.
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::fake_session::{FakeSession, question_id, request_metadata};
use super::sandbox::Sandbox;
use super::{FAILURE_HINT, program_folder};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::CliError;
use crate::cli::{print, table};
use crate::platform::clock::Stopwatch;

/// The first rounds of a measurement are not counted.
const WARM_UP: usize = 10;
/// How many sessions post at once.
const CLIENTS: [usize; 3] = [1, 8, 32];
/// How many messages all of them post together.
const MESSAGES: usize = 1_600;

/// Measure on this machine what hooks, answers and servers cost
///
/// Each figure stands beside a floor that is measured in the same run: an empty process, or one byte over a pipe. Runs in a
/// temporary folder, changes nothing of yours, and takes less than two minutes. Let nothing else run meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh bench
  claude-mesh bench --rounds 500 --json")]
pub(in crate::cli) struct BenchArgs {
    /// How often each time is measured.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=10_000))]
    rounds: u16,
}

/// One line of the result.
struct Figure {
    what: &'static str,
    unit: &'static str,
    median: f64,
    best: Option<f64>,
    floor: Option<(&'static str, f64)>,
}

/// Runs the measurements and prints them.
pub(in crate::cli) fn bench(args: &BenchArgs, json: bool) -> CommandResult {
    let sandbox = Sandbox::set_up(program_folder()?, Duration::from_secs(20))?;
    let figures = measure(&sandbox, usize::from(args.rounds));
    drop(sandbox);
    let figures = figures.map_err(|problem| {
        let message = format!("the measurement failed: {problem:#}");
        CliError::new("storage", message, FAILURE_HINT)
    })?;
    if json {
        print::json(&json!({ "figures": figures.iter().map(Figure::json).collect::<Vec<_>>() }))?;
    } else {
        let mut lines = table::with_header(["", "median", "best", "floor", "ratio"]);
        for figure in &figures {
            lines.add_row(figure.cells());
        }
        print::line(&table::text(&lines))?;
    }
    Ok(CommandStatus::Done)
}

fn measure(sandbox: &Sandbox, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let ada = FakeSession::open(sandbox, "ada")?;
    let bo = FakeSession::open(sandbox, "bo")?;
    let cy = FakeSession::open(sandbox, "cy")?;
    hooks([&ada, &bo, &cy], rounds, &mut figures)?;
    drop(cy);
    figures.push(replies(&ada, &bo, rounds)?);
    figures.push(server_start(sandbox, rounds)?);
    let server = ada.server().context("the server has ended")?;
    figures.push(Figure {
        what: "memory of a server (RSS)",
        unit: "kB",
        median: resident_kb(server)?,
        best: None,
        floor: None,
    });
    drop((ada, bo));
    for (clients, what) in CLIENTS.into_iter().zip([
        "messages through MCP, 1 session",
        "messages through MCP, 8 sessions",
        "messages through MCP, 32 sessions",
    ]) {
        figures.push(Figure {
            what,
            unit: "/s",
            median: messages(sandbox, clients)?,
            best: None,
            floor: None,
        });
    }
    Ok(figures)
}

/// The prompt hook without and with a question, the Stop hook with one, and an empty process, by turns.
fn hooks(
    [ada, bo, cy]: [&FakeSession; 3],
    rounds: usize,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<()> {
    const QUESTION: &str = "which port does the API use?";
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..WARM_UP + rounds {
        let turn = format!("turn-{round}");
        let prompt = json!({ "prompt": "go on", "prompt_id": turn });
        let stop = json!({ "prompt_id": turn, "stop_hook_active": false });
        // It ends what the last Stop hook has begun. A question continues only some turns, so each round has its own.
        bo.hook("UserPromptSubmit", &prompt)?;
        let asked = cy.start_ask("bo", QUESTION)?;
        cy.wait_for_progress(asked, "stored")?;
        let (empty, ()) = timed(empty_process)?;
        let (nothing, text) = timed(|| ada.hook("UserPromptSubmit", &prompt))?;
        ensure!(text.is_empty(), "the hook says {text:?}");
        let (question, text) = timed(|| bo.hook("UserPromptSubmit", &prompt))?;
        ensure!(text.contains(QUESTION), "the hook says {text:?}");
        let (stopping, text) = timed(|| bo.hook("Stop", &stop))?;
        ensure!(text.contains(QUESTION), "the hook says {text:?}");
        for (times, time) in times.iter_mut().zip([empty, nothing, question, stopping]) {
            if round >= WARM_UP {
                times.push(time);
            }
        }
        bo.reply_to(&json!(question_id(&text)?), "5433")?;
        cy.result(asked)?;
    }
    let [empty, nothing, question, stopping] = times;
    let floor = Some(("/bin/true", median(&empty)));
    for (what, times) in [
        ("prompt hook, nothing waits", nothing),
        ("prompt hook, one question waits", question),
        ("Stop hook, one question waits", stopping),
    ] {
        figures.push(Figure::of_times(what, &times, floor));
    }
    Ok(())
}

/// From the moment at which a session sends its reply until the asker has the result of its call.
fn replies(ada: &FakeSession, bo: &FakeSession, rounds: usize) -> anyhow::Result<Figure> {
    let mut times = Vec::new();
    for round in 0..WARM_UP + rounds {
        let asked = ada.start_ask("bo", &format!("question {round}?"))?;
        ada.wait_for_progress(asked, "stored")?;
        let inbox = bo.call("poll_inbox", &json!({}))?;
        let id = inbox["questions"][0]["question_id"].clone();
        let (time, result) = timed(|| {
            bo.reply_to(&id, "5433")?;
            ada.result(asked)
        })?;
        ensure!(result["answer"] == "5433", "not the answer: {result}");
        if round >= WARM_UP {
            times.push(time);
        }
    }
    let floor = pipe_hop(rounds)?;
    Ok(Figure::of_times(
        "reply until the asker has it",
        &times,
        Some(("a byte over a pipe", floor)),
    ))
}

/// From the start of a server until it has answered its first call.
fn server_start(sandbox: &Sandbox, rounds: usize) -> anyhow::Result<Figure> {
    let (mut empty, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(50) {
        empty.push(timed(empty_process)?.0);
        let server = ServerProcess::command(sandbox, "cy")?;
        times.push(timed(|| ServerProcess::start(server))?.0);
    }
    let floor = Some(("/bin/true", median(&empty)));
    Ok(Figure::of_times(
        "server start until its first answer",
        &times,
        floor,
    ))
}

/// A server without a session around it.
struct ServerProcess(Child);

impl ServerProcess {
    fn command(sandbox: &Sandbox, project: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(sandbox.programs().join("claude-mesh-server"));
        command
            .env_clear()
            .envs(sandbox.environment())
            .current_dir(sandbox.project(project)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Ok(command)
    }

    /// Starts it, and waits until it has answered a call.
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut server = command.spawn().context("cannot start a server")?;
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "mesh_status", "arguments": {}, "_meta": request_metadata(1) },
        });
        if let Some(stdin) = &mut server.stdin {
            writeln!(stdin, "{call}")?;
        }
        let stdout = server.stdout.take().context("the server has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.contains("\"id\":1"), "not an answer: {line}");
        Ok(Self(server))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The end of its stdin ends it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Returns how many messages a second this number of sessions posts to each other.
fn messages(sandbox: &Sandbox, clients: usize) -> anyhow::Result<f64> {
    let name = |number: usize| format!("p{number}");
    let sessions: Vec<FakeSession> = (0..clients.max(2))
        .map(|number| FakeSession::open(sandbox, &name(number)))
        .collect::<anyhow::Result<_>>()?;
    let each = MESSAGES / clients;
    let since = Stopwatch::start();
    std::thread::scope(|scope| {
        let posters: Vec<_> = sessions
            .into_iter()
            .enumerate()
            .map(|(number, session)| {
                scope.spawn(move || -> anyhow::Result<FakeSession> {
                    let to = name((number + 1) % clients.max(2));
                    for count in 0..if number < clients { each } else { 0 } {
                        let body = format!("message {count}");
                        session.call("post", &json!({ "to": to, "body": body }))?;
                    }
                    Ok(session)
                })
            })
            .collect();
        let posted: Vec<_> = posters
            .into_iter()
            .map(|poster| {
                poster
                    .join()
                    .unwrap_or_else(|_| anyhow::bail!("a poster has failed"))
            })
            .collect();
        let seconds = since.elapsed().as_secs_f64();
        posted.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand messages")]
        let count = (each * clients) as f64;
        Ok(count / seconds)
    })
}

/// Returns the time of a call in microseconds, and its result.
fn timed<T>(call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let since = Stopwatch::start();
    let result = call()?;
    Ok((since.elapsed().as_secs_f64() * 1e6, result))
}

/// Starts a program that does nothing, as a hook is started.
fn empty_process() -> anyhow::Result<()> {
    let pipes = || Stdio::piped();
    let mut command = Command::new("/bin/true");
    command
        .env_clear()
        .stdin(pipes())
        .stdout(pipes())
        .stderr(pipes());
    let output = command.spawn()?.wait_with_output()?;
    ensure!(output.status.success(), "/bin/true failed");
    Ok(())
}

/// Returns the time of one byte to another process over a pipe, in microseconds.
fn pipe_hop(rounds: usize) -> anyhow::Result<f64> {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cat")?;
    let (Some(mut stdin), Some(mut stdout)) = (cat.stdin.take(), cat.stdout.take()) else {
        anyhow::bail!("cat has no pipes");
    };
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (time, ()) = timed(|| {
            stdin.write_all(b"!")?;
            Ok(stdout.read_exact(&mut [0])?)
        })?;
        times.push(time / 2.0);
    }
    drop(stdin);
    cat.wait()?;
    Ok(median(&times))
}

fn resident_kb(server: i32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{server}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kb.context("no memory is stated")?.parse()?)
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl Figure {
    fn of_times(what: &'static str, times: &[f64], floor: Option<(&'static str, f64)>) -> Self {
        Self {
            what,
            unit: "µs",
            median: median(times),
            best: times.iter().copied().min_by(f64::total_cmp),
            floor,
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|(_, floor)| self.median / floor)
    }

    fn cells(&self) -> [String; 5] {
        let value = |value: f64| match self.unit {
            "µs" if value >= 1_000.0 => format!("{:.2} ms", value / 1_000.0),
            "kB" => format!("{:.1} MB", value / 1_000.0),
            unit => format!("{value:.0} {unit}"),
        };
        [
            self.what.to_owned(),
            value(self.median),
            self.best.map(value).unwrap_or_default(),
            self.floor
                .map(|(name, floor)| format!("{name}: {}", value(floor)))
                .unwrap_or_default(),
            self.ratio()
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "best": self.best,
            "floor": self.floor.map(|(name, value)| json!({ "what": name, "median": value })),
            "ratio": self.ratio(),
        })
    }
}
