//! `claude-mesh demo`: the main job played with real servers and real hooks, without Claude Code, in seconds.
//!
//! Everything happens in a temporary folder with a mesh of its own; it goes when the demo ends, however it ends.

mod stage;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::install::{PROGRAMS, places};
use super::wrong::{Failure, Wrong};
use super::{Ending, Outcome, print};
use crate::ground::Settings;

use stage::{Session, Stage};

/// Play the main job with real programs, without Claude Code
///
/// Two sessions, each with a real server and real hooks, in a temporary folder. Takes a few seconds, needs no account,
/// touches nothing of yours and removes what it made.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh demo
  claude-mesh demo --json")]
pub(super) struct Demo {}

/// Stands for Claude Code in the demo: a process of its own whose child is the server
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  claude-mesh demo   starts it")]
pub(super) struct Client {}

/// Plays the stories.
pub(super) fn demo(json: bool) -> Outcome {
    let settings = Settings::of_this_process()?;
    let programs = places(&settings)?.programs;
    if let Some(missing) = PROGRAMS.iter().find(|name| !programs.join(name).is_file()) {
        let message = format!("{missing} is not beside claude-mesh");
        let hint = "install all programs into one folder (`cargo install` does)";
        return Err(Wrong::new("unsupported", message, hint).into());
    }
    let stage = Stage::set_up(programs)?;
    let mut told = Told::new(json);
    told.say("Two Claude Code sessions are played here by plain processes; servers, hooks and the mesh are real.")?;
    let began_ms = stage.now_ms();
    let played = play(&stage, &mut told);
    let took_ms = stage.now_ms() - began_ms;
    drop(stage);
    if json {
        print::json(&json!({
            "ok": played.is_ok(),
            "stories": told.stories,
            "took_ms": took_ms,
            "problem": played.as_ref().err().map(|problem| format!("{problem:#}")),
        }))?;
        return Ok(if played.is_ok() {
            Ending::Done
        } else {
            Ending::Refused
        });
    }
    match played {
        Ok(()) => {
            told.say(&format!(
                "\nAll of it took {}. Nothing is left of it.",
                stage::span(took_ms)
            ))?;
            told.say("Next: `claude-mesh install`, then open Claude Code in two projects and let one ask the other.")?;
            Ok(Ending::Done)
        }
        Err(problem) => {
            let message = format!("the demo stopped: {problem:#}");
            let hint = "nothing is left of it; `claude-mesh doctor` tells what is wrong here";
            Err(Wrong::new("storage", message, hint).into())
        }
    }
}

/// Starts the server as a child and waits for it, as Claude Code does.
pub(super) fn client() -> Outcome {
    let settings = Settings::of_this_process()?;
    let server = places(&settings)?.programs.join(PROGRAMS[0]);
    let ended = std::process::Command::new(&server)
        .status()
        .map_err(|error| {
            Wrong::new(
                "unsupported",
                format!("cannot start {}: {error}", server.display()),
                "",
            )
        })?;
    Ok(if ended.success() {
        Ending::Done
    } else {
        Ending::Refused
    })
}

fn play(stage: &Stage, told: &mut Told) -> anyhow::Result<()> {
    let frontend = stage.session("frontend")?;
    let backend = stage.session("backend")?;
    told.say(&format!(
        "backend's model is told at its start: {}",
        backend.welcome.lines().next().unwrap_or_default().italic()
    ))?;
    one_wakes(stage, told, &frontend, &backend)?;
    backend.is_now("busy")?;
    one_asks(stage, told, &frontend, &backend)?;
    both_ask(stage, told, &frontend, &backend)?;
    backend.is_now("idle")?;
    one_is_left_alone(stage, told, &frontend, &backend)?;
    one_is_killed(stage, told, frontend, &backend)
}

fn one_wakes(
    stage: &Stage,
    told: &mut Told,
    frontend: &Session,
    backend: &Session,
) -> anyhow::Result<()> {
    const QUESTION: &str = "is the database up?";
    told.story("One sits idle at its prompt; a question wakes it")?;
    let began_ms = stage.now_ms();
    let ask = frontend.asks("backend", QUESTION)?;
    told.step(&format!("frontend asks backend: {QUESTION}"))?;
    let doorbell = backend.next_doorbell()?;
    let ring_ms = stage.now_ms() - began_ms;
    told.step(&format!(
        "a line comes into backend's inbox, which starts a turn ({})",
        stage::span(ring_ms)
    ))?;
    let shown = backend.hook(
        "UserPromptSubmit",
        &json!({ "prompt": doorbell, "prompt_id": "turn-0" }),
    )?;
    anyhow::ensure!(
        shown.contains(QUESTION),
        "the hook did not attach the question: {shown}"
    );
    let id = stage::question_id(&shown)?;
    backend.answers(&json!(id), "yes, since noon")?;
    let result = frontend.result(ask)?;
    let all_ms = stage.now_ms() - began_ms;
    stage::expect(&result, "answered", "yes, since noon")?;
    told.step(&format!(
        "the hook attaches the question; backend answers ({} in all)",
        stage::span(all_ms)
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
    backend.person(&["quiet", "backend"])?;
    told.step("you: claude-mesh quiet backend")?;
    let began_ms = stage.now_ms();
    let ask = json!({ "to": "backend", "question": QUESTION });
    let held = frontend.call("ask_peer", &ask)?;
    let held_ms = stage.now_ms() - began_ms;
    anyhow::ensure!(held["status"] == "held", "expected held: {held}");
    told.step(&format!(
        "frontend asks backend: {QUESTION} It has `held` at once, because backend is {} ({})",
        held["reason"].as_str().unwrap_or_default(),
        stage::span(held_ms)
    ))?;
    while backend.waiting_doorbell().is_some() {}
    backend.person(&["quiet", "backend", "--off"])?;
    let doorbell = backend.next_doorbell()?;
    let shown = backend.hook(
        "UserPromptSubmit",
        &json!({ "prompt": doorbell, "prompt_id": "turn-2" }),
    )?;
    anyhow::ensure!(
        shown.contains(QUESTION),
        "the held question did not come: {shown}"
    );
    let id = stage::question_id(&shown)?;
    backend.answers(&json!(id), "tomorrow")?;
    let result = frontend.call(
        "await_reply",
        &json!({ "question_id": held["question_id"] }),
    )?;
    stage::expect(&result, "answered", "tomorrow")?;
    told.step("you: claude-mesh quiet backend --off; backend is rung and answers")?;
    told.times(&json!({ "held_ms": held_ms }));
    Ok(())
}

fn one_asks(
    stage: &Stage,
    told: &mut Told,
    frontend: &Session,
    backend: &Session,
) -> anyhow::Result<()> {
    const QUESTION: &str = "which port does the API use?";
    told.story("One asks; the other is kept from idling, and answers")?;
    let ask = frontend.asks("backend", QUESTION)?;
    frontend.wait_for_progress(ask, "stored")?;
    told.step(&format!("frontend asks backend: {QUESTION}"))?;

    let began_ms = stage.now_ms();
    let kept = backend.hook(
        "Stop",
        &json!({ "prompt_id": "turn-1", "stop_hook_active": false }),
    )?;
    let hook_ms = stage.now_ms() - began_ms;
    anyhow::ensure!(
        kept.contains(QUESTION),
        "the Stop hook did not show the question: {kept}"
    );
    told.step(&format!(
        "backend wants to end its turn; the Stop hook puts the question before its model ({})",
        stage::span(hook_ms)
    ))?;

    let id = stage::question_id(&kept)?;
    let began_ms = stage.now_ms();
    backend.answers(&json!(id), "5433")?;
    let result = frontend.result(ask)?;
    let answer_ms = stage.now_ms() - began_ms;
    stage::expect(&result, "answered", "5433")?;
    told.step(&format!(
        "backend answers; frontend has \"5433\" as the result of its call ({})",
        stage::span(answer_ms)
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

fn both_ask(
    stage: &Stage,
    told: &mut Told,
    frontend: &Session,
    backend: &Session,
) -> anyhow::Result<()> {
    told.story("Both ask each other at once, and neither hangs")?;
    let began_ms = stage.now_ms();
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
        stage::expect(&result, "answered", &format!("yes, says {to}"))?;
    }
    let both_ms = stage.now_ms() - began_ms;
    told.step(&format!(
        "both have their answers ({})",
        stage::span(both_ms)
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
    let began_ms = stage.now_ms();
    frontend.kill()?;
    let ended_ms = stage.now_ms() - began_ms;
    told.step(&format!(
        "frontend is killed (kill -9); its server notices and leaves ({})",
        stage::span(ended_ms)
    ))?;
    let inbox = backend.call("poll_inbox", &json!({}))?;
    let id = &inbox["questions"][0]["question_id"];
    anyhow::ensure!(id.is_string(), "the question is lost: {inbox}");
    backend.answers(&json!(id), "release/2")?;
    told.step("the question is still open; backend answers: release/2")?;
    let successor = stage.session("frontend")?;
    let prompt = json!({ "prompt": "go on", "prompt_id": "turn-1" });
    let began_ms = stage.now_ms();
    let shown = successor.hook("UserPromptSubmit", &prompt)?;
    let hook_ms = stage.now_ms() - began_ms;
    anyhow::ensure!(
        shown.contains("release/2"),
        "the late answer was not shown: {shown}"
    );
    told.step(&format!(
        "a new session opens in frontend; with its first prompt its model gets the answer ({})",
        stage::span(hook_ms)
    ))?;
    told.times(&json!({ "server_gone_ms": ended_ms, "prompt_hook_ms": hook_ms }));
    Ok(())
}

/// What is told: as text while it happens, or as JSON at the end.
struct Told {
    json: bool,
    stories: Vec<Value>,
}

impl Told {
    fn new(json: bool) -> Self {
        Self {
            json,
            stories: Vec::new(),
        }
    }

    fn say(&self, line: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        print::line(line)
    }

    fn story(&mut self, title: &str) -> std::io::Result<()> {
        self.stories
            .push(json!({ "story": title, "steps": [], "times": {} }));
        self.say(&format!("\n{}. {}", self.stories.len(), title.bold()))
    }

    fn step(&mut self, line: &str) -> std::io::Result<()> {
        if let Some(steps) = self
            .stories
            .last_mut()
            .and_then(|story| story["steps"].as_array_mut())
        {
            steps.push(line.into());
        }
        self.say(&format!("   {line}"))
    }

    fn times(&mut self, times: &Value) {
        if let Some(story) = self.stories.last_mut() {
            story["times"] = times.clone();
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Wrong::new("storage", format!("{error:#}"), "").into()
    }
}
