//! The server of a session: how soon it answers, how much memory it uses, how often it wakes when idle.
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pin::{Pin, Side};
use crate::shared::request_metadata;
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchWorld, SERVER, count_wake_ups, field, micros, register_idle};

/// After this a server that has found its session has no timer.
const SETTLE_TIME: Duration = Duration::from_millis(500);
/// How long the idle server is observed.
const REST_DURATION: Duration = Duration::from_secs(5);

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("server", pin);
    pin.on(Side::Near, || {
        start(table, &BenchWorld::new(pin), rounds.min(100));
        rest(table, &BenchWorld::new(pin));
    });
}

/// From the start of the process to its first answers. The benchmark is the client here.
fn start(table: &mut Table, world: &BenchWorld, rounds: usize) {
    let folder = world.project("ada");
    let id = "00000000-0000-4000-8000-0000000000ff";
    register_idle(world, std::process::id(), id, &folder);
    let request = |id: i32, method: &str, mut params: Value| {
        params["_meta"] = request_metadata();
        format!(
            "{}\n",
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
        )
    };
    let discover = request(1, "server/discover", json!({}));
    let status = request(
        2,
        "tools/call",
        json!({ "name": "mesh_status", "arguments": {} }),
    );
    let (mut first, mut second) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let mut command = world.command(SERVER, &folder);
        command
            .env("CLAUDE_CODE_ENTRYPOINT", "cli")
            .env("CLAUDE_CODE_SESSION_ID", id)
            .env("CLAUDE_PROJECT_DIR", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().unwrap();
        let (mut stdin, mut stdout) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        let mut answer = |request: &str, wanted: &str| {
            stdin.write_all(request.as_bytes()).unwrap();
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let span = micros(began.elapsed());
            assert!(line.contains(wanted), "{line}");
            span
        };
        let spans = [
            answer(&discover, "supportedVersions"),
            answer(&status, "schema"),
        ];
        drop(stdin);
        assert!(child.wait().unwrap().success());
        // The first one creates the file.
        if round > 0 {
            first.add(spans[0]);
            second.add(spans[1]);
        }
    }
    let most = Goal::AtMost(10_000.0);
    table.line(&Line::times("server: start to the answer to server/discover", &first).goal(most));
    table.line(
        &Line::times(
            "server: start to discover and mesh_status, both answered",
            &second,
        )
        .goal(most),
    );
}

fn rest(table: &mut Table, world: &BenchWorld) {
    let mut ada = world.session("ada", Side::Near);
    let mut bo = world.session("bo", Side::Far);
    for number in 0..10 {
        ada.call("list_peers", &json!({}));
        ada.call("poll_inbox", &json!({}));
        let call = ada.ask("bo", &format!("question {number}"));
        let question = BenchWorld::open_question(&world.sql(), "ada");
        bo.call(
            "reply_to_peer",
            &json!({ "question_id": question, "answer": "5433" }),
        );
        ada.answer(call);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", ada.server)).unwrap();
    let shares = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", ada.server)).unwrap();
    let megabytes = |text: &str, name: &str| field(text, name) as f64 / 1024.0;
    let resident = Line::number(
        "server: resident memory after 40 calls",
        "MB",
        megabytes(&status, "VmRSS:"),
    );
    table.line(&resident.goal(Goal::AtMost(8.0)));
    table.line(&Line::number(
        "    its own share of it (Pss; two servers run)",
        "MB",
        megabytes(&shares, "Pss:"),
    ));
    table.line(&Line::number(
        "    of it changed by this process (Anonymous)",
        "MB",
        megabytes(&shares, "Anonymous:"),
    ));
    table.line(&Line::number(
        "server: threads",
        "",
        field(&status, "Threads:") as f64,
    ));

    std::thread::sleep(SETTLE_TIME);
    let (before, began) = (count_wake_ups(ada.server), Instant::now());
    std::thread::sleep(REST_DURATION);
    let woken = (count_wake_ups(ada.server) - before) as f64 / began.elapsed().as_secs_f64();
    table.line(&Line::number("server: wake-ups when idle", "/s", woken).goal(Goal::AtMost(0.0)));
}
