//! The five stories that plain processes play instead of Claude Code: one wakes, one asks, both ask, one is left alone, one is killed.
use owo_colors::OwoColorize;
use serde_json::json;

use crate::cli::demo::fake_session;
use crate::cli::demo::fake_session::Session;
use crate::cli::demo::reporter::Told;
use crate::cli::demo::sandbox;
use crate::cli::demo::sandbox::Stage;

/// Plays them, with one frontend and one backend.
pub(super) fn play(stage: &Stage, told: &mut Told) -> anyhow::Result<()> {
    told.say("Two Claude Code sessions are played here by plain processes; servers, hooks and the mesh are real.")?;
    let frontend = Session::open(stage, "frontend")?;
    let backend = Session::open(stage, "backend")?;
    told.say(&format!(
        "backend's model is told at its start: {}",
        backend.welcome.lines().next().unwrap_or_default().italic()
    ))?;
    one_wakes(told, &frontend, &backend)?;
    backend.is_now("busy")?;
    one_asks(told, &frontend, &backend)?;
    both_ask(told, &frontend, &backend)?;
    backend.is_now("idle")?;
    one_is_left_alone(stage, told, &frontend, &backend)?;
    one_is_killed(stage, told, frontend, &backend)
}

fn one_wakes(told: &mut Told, frontend: &Session, backend: &Session) -> anyhow::Result<()> {
    const QUESTION: &str = "is the database up?";
    told.story("One sits idle at its prompt; a question wakes it")?;
    let began_ms = sandbox::now_ms();
    let ask = frontend.asks("backend", QUESTION)?;
    told.step(&format!("frontend asks backend: {QUESTION}"))?;
    let doorbell = backend.next_doorbell()?;
    let ring_ms = sandbox::now_ms() - began_ms;
    told.step(&format!(
        "a line comes into backend's inbox, which starts a turn ({})",
        sandbox::span(ring_ms)
    ))?;
    let shown = backend.hook(
        "UserPromptSubmit",
        &json!({ "prompt": doorbell, "prompt_id": "turn-0" }),
    )?;
    anyhow::ensure!(
        shown.contains(QUESTION),
        "the hook did not attach the question: {shown}"
    );
    let id = fake_session::question_id(&shown)?;
    backend.answers(&json!(id), "yes, since noon")?;
    let result = frontend.result(ask)?;
    let all_ms = sandbox::now_ms() - began_ms;
    fake_session::expect(&result, "answered", "yes, since noon")?;
    told.step(&format!(
        "the hook attaches the question; backend answers ({} in all)",
        sandbox::span(all_ms)
    ))?;
    told.times(&json!({ "ask_to_doorbell_ms": ring_ms, "ask_to_result_ms": all_ms }));
    Ok(())
}

fn one_is_left_alone(
    stage: &Stage,
    told: &mut Told,
    frontend: &Session,
    backend: &Session,
) -> anyhow::Result<()> {
    const QUESTION: &str = "may I rename the table?";
    told.story("You want one left alone; its asker is told, and nothing is lost")?;
    stage.person(&["quiet", "backend"])?;
    told.step("you: claude-mesh quiet backend")?;
    let began_ms = sandbox::now_ms();
    let ask = json!({ "to": "backend", "question": QUESTION });
    let held = frontend.call("ask_peer", &ask)?;
    let held_ms = sandbox::now_ms() - began_ms;
    anyhow::ensure!(held["status"] == "held", "expected held: {held}");
    told.step(&format!(
        "frontend asks backend: {QUESTION} It has `held` at once, because backend is {} ({})",
        held["reason"].as_str().unwrap_or_default(),
        sandbox::span(held_ms)
    ))?;
    while backend.waiting_doorbell().is_some() {}
    stage.person(&["quiet", "backend", "--off"])?;
    let doorbell = backend.next_doorbell()?;
    let shown = backend.hook(
        "UserPromptSubmit",
        &json!({ "prompt": doorbell, "prompt_id": "turn-2" }),
    )?;
    anyhow::ensure!(
        shown.contains(QUESTION),
        "the held question did not come: {shown}"
    );
    let id = fake_session::question_id(&shown)?;
    backend.answers(&json!(id), "tomorrow")?;
    let result = frontend.call(
        "await_reply",
        &json!({ "question_id": held["question_id"] }),
    )?;
    fake_session::expect(&result, "answered", "tomorrow")?;
    told.step("you: claude-mesh quiet backend --off; backend is rung and answers")?;
    told.times(&json!({ "held_ms": held_ms }));
    Ok(())
}

fn one_asks(told: &mut Told, frontend: &Session, backend: &Session) -> anyhow::Result<()> {
    const QUESTION: &str = "which port does the API use?";
    told.story("One asks; the other is kept from idling, and answers")?;
    let ask = frontend.asks("backend", QUESTION)?;
    frontend.wait_for_progress(ask, "stored")?;
    told.step(&format!("frontend asks backend: {QUESTION}"))?;

    let began_ms = sandbox::now_ms();
    let kept = backend.hook(
        "Stop",
        &json!({ "prompt_id": "turn-1", "stop_hook_active": false }),
    )?;
    let hook_ms = sandbox::now_ms() - began_ms;
    anyhow::ensure!(
        kept.contains(QUESTION),
        "the Stop hook did not show the question: {kept}"
    );
    told.step(&format!(
        "backend wants to end its turn; the Stop hook puts the question before its model ({})",
        sandbox::span(hook_ms)
    ))?;

    let id = fake_session::question_id(&kept)?;
    let began_ms = sandbox::now_ms();
    backend.answers(&json!(id), "5433")?;
    let result = frontend.result(ask)?;
    let answer_ms = sandbox::now_ms() - began_ms;
    fake_session::expect(&result, "answered", "5433")?;
    told.step(&format!(
        "backend answers; frontend has \"5433\" as the result of its call ({})",
        sandbox::span(answer_ms)
    ))?;
    let after = backend.hook(
        "Stop",
        &json!({ "prompt_id": "turn-1", "stop_hook_active": true }),
    )?;
    anyhow::ensure!(after.is_empty(), "the Stop hook did not let go: {after}");
    told.step("backend ends its turn: nothing waits any more")?;
    told.times(&json!({ "stop_hook_ms": hook_ms, "answer_to_result_ms": answer_ms }));
    Ok(())
}

fn both_ask(told: &mut Told, frontend: &Session, backend: &Session) -> anyhow::Result<()> {
    told.story("Both ask each other at once, and neither hangs")?;
    let began_ms = sandbox::now_ms();
    let asks = [
        (frontend, "backend", "is the schema final?"),
        (backend, "frontend", "do you still call /v1?"),
    ];
    let mut calls = Vec::new();
    for (session, to, question) in asks {
        told.step(&format!("{} asks {to}: {question}", session.name()))?;
        calls.push(session.asks(to, question)?);
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
        session.answers(question, &answer)?;
    }
    told.step("each wait is interrupted by the other's question; each answers it first")?;
    for ((session, to, _), question) in asks.iter().zip(&interrupted) {
        let own = json!({ "question_id": question["question_id"] });
        let result = session.call("await_reply", &own)?;
        fake_session::expect(&result, "answered", &format!("yes, says {to}"))?;
    }
    let both_ms = sandbox::now_ms() - began_ms;
    told.step(&format!(
        "both have their answers ({})",
        sandbox::span(both_ms)
    ))?;
    told.times(&json!({ "both_answered_ms": both_ms }));
    Ok(())
}

fn one_is_killed(
    stage: &Stage,
    told: &mut Told,
    frontend: Session,
    backend: &Session,
) -> anyhow::Result<()> {
    const QUESTION: &str = "which branch do we release?";
    told.story("The asker is killed; its successor finds the late answer")?;
    let ask = frontend.asks("backend", QUESTION)?;
    frontend.wait_for_progress(ask, "stored")?;
    told.step(&format!("frontend asks backend: {QUESTION}"))?;
    let began_ms = sandbox::now_ms();
    frontend.kill()?;
    let ended_ms = sandbox::now_ms() - began_ms;
    told.step(&format!(
        "frontend is killed (kill -9); its server notices and leaves ({})",
        sandbox::span(ended_ms)
    ))?;
    let inbox = backend.call("poll_inbox", &json!({}))?;
    let id = &inbox["questions"][0]["question_id"];
    anyhow::ensure!(id.is_string(), "the question is lost: {inbox}");
    backend.answers(&json!(id), "release/2")?;
    told.step("the question is still open; backend answers: release/2")?;
    let successor = Session::open(stage, "frontend")?;
    let prompt = json!({ "prompt": "go on", "prompt_id": "turn-1" });
    let began_ms = sandbox::now_ms();
    let shown = successor.hook("UserPromptSubmit", &prompt)?;
    let hook_ms = sandbox::now_ms() - began_ms;
    anyhow::ensure!(
        shown.contains("release/2"),
        "the late answer was not shown: {shown}"
    );
    told.step(&format!(
        "a new session opens in frontend; with its first prompt its model gets the answer ({})",
        sandbox::span(hook_ms)
    ))?;
    told.times(&json!({ "server_gone_ms": ended_ms, "prompt_hook_ms": hook_ms }));
    Ok(())
}
