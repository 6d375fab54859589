//! The five scenarios of the demo without Claude Code: a wake-up, a Stop hook, two asks at once, quiet, a killed asker.
use owo_colors::OwoColorize;
use serde_json::json;

use crate::cli::demo::fake_session;
use crate::cli::demo::fake_session::FakeSession;
use crate::cli::demo::reporter::Reporter;
use crate::cli::demo::sandbox;
use crate::cli::demo::sandbox::Sandbox;
use crate::cli::duration::format_elapsed_ms;

/// Plays all scenarios with two fake sessions, frontend and backend.
pub(super) fn run(sandbox: &Sandbox, reporter: &mut Reporter) -> anyhow::Result<()> {
    reporter.say(
        "Two plain processes act as Claude Code sessions; servers, hooks and the mesh are real.",
    )?;
    let frontend = FakeSession::open(sandbox, "frontend")?;
    let backend = FakeSession::open(sandbox, "backend")?;
    reporter.say(&format!(
        "At its start backend's model gets: {}",
        backend
            .session_start_text
            .lines()
            .next()
            .unwrap_or_default()
            .italic()
    ))?;
    run_wake_scenario(reporter, &frontend, &backend)?;
    backend.set_status("busy")?;
    run_stop_hook_scenario(reporter, &frontend, &backend)?;
    run_mutual_ask_scenario(reporter, &frontend, &backend)?;
    backend.set_status("idle")?;
    run_quiet_scenario(sandbox, reporter, &frontend, &backend)?;
    run_killed_asker_scenario(sandbox, reporter, frontend, &backend)
}

fn run_wake_scenario(
    reporter: &mut Reporter,
    frontend: &FakeSession,
    backend: &FakeSession,
) -> anyhow::Result<()> {
    const QUESTION: &str = "is the database up?";
    reporter.scenario("An idle session is woken by a question")?;
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let ask = frontend.start_ask("backend", QUESTION)?;
    reporter.step(&format!("frontend asks backend: {QUESTION}"))?;
    let wake_line = backend.next_wake_line()?;
    let wake_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    reporter.step(&format!(
        "a line in backend's inbox starts a turn ({})",
        format_elapsed_ms(wake_ms)
    ))?;
    let hook_text = backend.hook(
        "UserPromptSubmit",
        &json!({ "prompt": wake_line, "prompt_id": "turn-0" }),
    )?;
    anyhow::ensure!(
        hook_text.contains(QUESTION),
        "the hook did not attach the question: {hook_text}"
    );
    let id = fake_session::question_id(&hook_text)?;
    backend.reply_to(&json!(id), "yes, since noon")?;
    let result = frontend.result(ask)?;
    let total_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    fake_session::expect(&result, "answered", "yes, since noon")?;
    reporter.step(&format!(
        "the hook attaches the question; backend answers ({} in total)",
        format_elapsed_ms(total_ms)
    ))?;
    reporter.times(&json!({ "ask_to_doorbell_ms": wake_ms, "ask_to_result_ms": total_ms }));
    Ok(())
}

fn run_quiet_scenario(
    sandbox: &Sandbox,
    reporter: &mut Reporter,
    frontend: &FakeSession,
    backend: &FakeSession,
) -> anyhow::Result<()> {
    const QUESTION: &str = "may I rename the table?";
    reporter.scenario(
        "A quiet session is not woken; its asker gets `held`, and the question is kept",
    )?;
    sandbox.run_as_person(&["quiet", "backend"])?;
    reporter.step("you: claude-mesh quiet backend")?;
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let ask = json!({ "to": "backend", "question": QUESTION });
    let held = frontend.call("ask_peer", &ask)?;
    let held_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    anyhow::ensure!(held["status"] == "held", "expected held: {held}");
    reporter.step(&format!(
        "frontend asks backend: {QUESTION} The result is `held` at once, because backend is {} ({})",
        held["reason"].as_str().unwrap_or_default(),
        format_elapsed_ms(held_ms)
    ))?;
    while backend.pending_wake_line().is_some() {}
    sandbox.run_as_person(&["quiet", "backend", "--off"])?;
    let wake_line = backend.next_wake_line()?;
    let hook_text = backend.hook(
        "UserPromptSubmit",
        &json!({ "prompt": wake_line, "prompt_id": "turn-2" }),
    )?;
    anyhow::ensure!(
        hook_text.contains(QUESTION),
        "the held question was not shown: {hook_text}"
    );
    let id = fake_session::question_id(&hook_text)?;
    backend.reply_to(&json!(id), "tomorrow")?;
    let result = frontend.call(
        "await_reply",
        &json!({ "question_id": held["question_id"] }),
    )?;
    fake_session::expect(&result, "answered", "tomorrow")?;
    reporter.step("you: claude-mesh quiet backend --off; backend is woken and answers")?;
    reporter.times(&json!({ "held_ms": held_ms }));
    Ok(())
}

fn run_stop_hook_scenario(
    reporter: &mut Reporter,
    frontend: &FakeSession,
    backend: &FakeSession,
) -> anyhow::Result<()> {
    const QUESTION: &str = "which port does the API use?";
    reporter.scenario("A session about to go idle answers first")?;
    let ask = frontend.start_ask("backend", QUESTION)?;
    frontend.wait_for_progress(ask, "stored")?;
    reporter.step(&format!("frontend asks backend: {QUESTION}"))?;

    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let stop_hook_text = backend.hook(
        "Stop",
        &json!({ "prompt_id": "turn-1", "stop_hook_active": false }),
    )?;
    let hook_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    anyhow::ensure!(
        stop_hook_text.contains(QUESTION),
        "the Stop hook did not show the question: {stop_hook_text}"
    );
    reporter.step(&format!(
        "backend is about to end its turn; the Stop hook gives the question to its model ({})",
        format_elapsed_ms(hook_ms)
    ))?;

    let id = fake_session::question_id(&stop_hook_text)?;
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    backend.reply_to(&json!(id), "5433")?;
    let result = frontend.result(ask)?;
    let answer_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    fake_session::expect(&result, "answered", "5433")?;
    reporter.step(&format!(
        "backend answers; frontend gets \"5433\" as the result of its call ({})",
        format_elapsed_ms(answer_ms)
    ))?;
    let after = backend.hook(
        "Stop",
        &json!({ "prompt_id": "turn-1", "stop_hook_active": true }),
    )?;
    anyhow::ensure!(
        after.is_empty(),
        "the Stop hook continued the turn again: {after}"
    );
    reporter.step("backend ends its turn: no question is left")?;
    reporter.times(&json!({ "stop_hook_ms": hook_ms, "answer_to_result_ms": answer_ms }));
    Ok(())
}

fn run_mutual_ask_scenario(
    reporter: &mut Reporter,
    frontend: &FakeSession,
    backend: &FakeSession,
) -> anyhow::Result<()> {
    reporter.scenario("Two sessions ask each other at once, and neither hangs")?;
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let asks = [
        (frontend, "backend", "is the schema final?"),
        (backend, "frontend", "do you still call /v1?"),
    ];
    let mut calls = Vec::new();
    for (session, to, question) in asks {
        reporter.step(&format!("{} asks {to}: {question}", session.name()))?;
        calls.push(session.start_ask(to, question)?);
    }
    let mut interrupted = Vec::new();
    for ((session, ..), call) in asks.iter().zip(calls) {
        let result = session.result(call)?;
        anyhow::ensure!(
            result["status"] == "interrupted",
            "expected an interruption: {result}"
        );
        interrupted.push(result);
    }
    for ((session, ..), result) in asks.iter().zip(&interrupted) {
        let question = &result["questions"][0]["question_id"];
        let answer = format!("yes, says {}", session.name());
        session.reply_to(question, &answer)?;
    }
    reporter
        .step("the question of the other interrupts each wait; each session answers it first")?;
    for ((session, to, _), question) in asks.iter().zip(&interrupted) {
        let own = json!({ "question_id": question["question_id"] });
        let result = session.call("await_reply", &own)?;
        fake_session::expect(&result, "answered", &format!("yes, says {to}"))?;
    }
    let both_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    reporter.step(&format!(
        "both get their answers ({})",
        format_elapsed_ms(both_ms)
    ))?;
    reporter.times(&json!({ "both_answered_ms": both_ms }));
    Ok(())
}

fn run_killed_asker_scenario(
    sandbox: &Sandbox,
    reporter: &mut Reporter,
    frontend: FakeSession,
    backend: &FakeSession,
) -> anyhow::Result<()> {
    const QUESTION: &str = "which branch do we release?";
    reporter.scenario("The asker is killed; the next session there gets the late answer")?;
    let ask = frontend.start_ask("backend", QUESTION)?;
    frontend.wait_for_progress(ask, "stored")?;
    reporter.step(&format!("frontend asks backend: {QUESTION}"))?;
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    frontend.kill()?;
    let ended_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    reporter.step(&format!(
        "frontend is killed (kill -9); its server notices and ends ({})",
        format_elapsed_ms(ended_ms)
    ))?;
    let inbox = backend.call("poll_inbox", &json!({}))?;
    let id = &inbox["questions"][0]["question_id"];
    anyhow::ensure!(id.is_string(), "the question is lost: {inbox}");
    backend.reply_to(&json!(id), "release/2")?;
    reporter.step("the question is still open; backend answers: release/2")?;
    let successor = FakeSession::open(sandbox, "frontend")?;
    let prompt = json!({ "prompt": "go on", "prompt_id": "turn-1" });
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let hook_text = successor.hook("UserPromptSubmit", &prompt)?;
    let hook_ms = sandbox::now_monotonic_ms() - started_monotonic_ms;
    anyhow::ensure!(
        hook_text.contains("release/2"),
        "the late answer was not shown: {hook_text}"
    );
    reporter.step(&format!(
        "a new session starts in frontend; with its first prompt its model gets the answer ({})",
        format_elapsed_ms(hook_ms)
    ))?;
    reporter.times(&json!({ "server_gone_ms": ended_ms, "prompt_hook_ms": hook_ms }));
    Ok(())
}
