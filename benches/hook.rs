//! How long a person waits at every prompt: `claude-mesh-inbox-poll` as a whole process, from start to exit.
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::baseline;
use crate::pin::{Pin, Side};
use crate::shared::wait_for_deliveries;
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchSession, BenchWorld, INBOX_POLL, micros};

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("hook (all programs alternating)", pin);
    pin.on(Side::Near, || {
        let world = BenchWorld::new(pin);
        let mut asker = world.session("bo", Side::Far);
        let calm = world.session("ada", Side::Far);
        let target = world.session("cy", Side::Far);
        let stopping = world.session("dy", Side::Far);
        // Without a progress token: the asker waits silently, so that no output has to be read.
        let question = "which port does the API use?";
        let arguments = json!({ "to": ["cy", "dy"], "question": question, "timeout_seconds": 3600 });
        let (_, line) = asker.tool_line("ask_peer", &arguments);
        asker.write(&line);
        let empty = baseline::empty_program(&world.home());

        let sql = world.sql();
        let mut times: [Samples; 5] = std::array::from_fn(|_| Samples::default());
        for round in 0..rounds + 10 {
            let plain = |program: &Path| run(&mut world.command(program, &calm.folder), b"{}").0;
            let bin_true = empty_run(&world, &calm);
            let nothing = empty.as_deref().map(plain);
            for session in [&target, &stopping] {
                wait_for_deliveries(&world.home(), session.client_pid());
            }
            let (without_question, said) = prompt(&world, &calm, round);
            assert_eq!(said, "");
            let (with_question, said) = prompt(&world, &target, round);
            assert!(said.contains("which port"), "{said:?}");
            wait_for_deliveries(&world.home(), target.client_pid());
            let (stop, said) = stop(&world, &stopping, round);
            assert!(said.contains("which port"), "{said:?}");
            // A question continues only some turns.
            sql.execute_batch(
                "UPDATE showing SET stops = 0, stops_in_turn = 0; UPDATE session SET stop_streak = 0",
            )
            .unwrap();
            if round >= 10 {
                let spans = [
                    Some(bin_true),
                    nothing,
                    Some(without_question),
                    Some(with_question),
                    Some(stop),
                ];
                for (samples, span) in times.iter_mut().zip(spans) {
                    if let Some(span) = span {
                        samples.add(micros(span));
                    }
                }
            }
        }
        print(table, &times, empty.is_some());
    });
}

fn print(table: &mut Table, times: &[Samples; 5], has_empty_program: bool) {
    let [bin_true, nothing, without_question, with_question, stop] = times;
    table.line(&Line::times("baseline: /bin/true", bin_true));
    if has_empty_program {
        table.line(&Line::times("baseline: an empty Rust program", nothing));
    }
    for (what, samples, times) in [
        (
            "inbox-poll at a prompt, nothing pending",
            without_question,
            1.5,
        ),
        (
            "inbox-poll at a prompt, one question pending",
            with_question,
            2.0,
        ),
        ("inbox-poll at a Stop, one question pending", stop, 2.0),
    ] {
        let line = Line::times(what, samples).baseline("/bin/true", bin_true.p50());
        table.line(&line.goal(Goal::Times(times)));
    }
}

/// Runs `/bin/true` as a hook of a session. Returns its time.
pub(crate) fn empty_run(world: &BenchWorld, session: &BenchSession) -> Duration {
    run(&mut world.command("/bin/true", &session.folder), b"{}").0
}

/// Runs the hook of a typed prompt. Returns its time and output.
pub(crate) fn prompt(
    world: &BenchWorld,
    session: &BenchSession,
    turn: usize,
) -> (Duration, String) {
    submit(world, session, turn, "go on")
}

/// Runs the hook of a prompt, typed or not. Returns its time and output.
pub(crate) fn submit(
    world: &BenchWorld,
    session: &BenchSession,
    turn: usize,
    text: &str,
) -> (Duration, String) {
    let fields = json!({
        "hook_event_name": "UserPromptSubmit",
        "prompt": text,
        "prompt_id": format!("turn-{turn}"),
    });
    event(world, session, fields)
}

/// Runs the hook of the end of a turn. Returns its time and output.
fn stop(world: &BenchWorld, session: &BenchSession, turn: usize) -> (Duration, String) {
    let fields = json!({
        "hook_event_name": "Stop",
        "prompt_id": format!("turn-{turn}"),
        "stop_hook_active": false,
    });
    event(world, session, fields)
}

/// Runs the hook of an event. Returns its time and output.
fn event(world: &BenchWorld, session: &BenchSession, mut event: Value) -> (Duration, String) {
    event["session_id"] = session.id.as_str().into();
    event["cwd"] = session.folder.to_string_lossy().into();
    event["permission_mode"] = "default".into();
    event["transcript_path"] = world
        .home()
        .join("transcript.jsonl")
        .to_string_lossy()
        .into();
    let mut command = world.command(INBOX_POLL, &session.folder);
    command
        .env("CLAUDE_PID", session.client_pid().to_string())
        .env("CLAUDE_CODE_ENTRYPOINT", "cli")
        .env("CLAUDE_CODE_SESSION_ID", &session.id)
        .env("CLAUDE_PROJECT_DIR", &session.folder);
    run(&mut command, event.to_string().as_bytes())
}

/// Runs a program with an input. Returns the time from its start until it is reaped, and its output.
fn run(command: &mut Command, stdin: &[u8]) -> (Duration, String) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(stdin).unwrap();
    drop(writer);
    command.stdin(reader).stdout(Stdio::piped());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let status = child.wait().unwrap();
    let span = began.elapsed();
    assert!(status.success(), "{status}");
    (span, said)
}
