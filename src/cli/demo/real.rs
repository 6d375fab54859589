//! The scenarios of `demo --real`: two interactive Claude Code sessions, reported by what the mesh recorded and what the
//! models received.
use std::fs;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use serde_json::{Value, json};

use super::claude::{self, ClaudeProgram, TerminalSession};
use crate::cli::claude_sandbox::scripted_api::{Request, ScriptedApi};
use crate::cli::claude_sandbox::scripted_response::{Block, call, say};
use crate::cli::demo::reporter::Reporter;
use crate::cli::demo::sandbox::{POLL_INTERVAL, Sandbox};
use crate::cli::duration::format_elapsed_ms;
use crate::mesh::{Mesh, MeshOptions, PeerScope};
use crate::model::Activity;
use crate::platform::{Clock, SystemClock};
use crate::store::Question;

/// A client and its model.
struct ScriptedSession {
    client: TerminalSession,
    model: ScriptedApi,
}

/// Both sessions in their sandbox.
struct DemoRun<'a> {
    sandbox: &'a Sandbox,
    frontend: ScriptedSession,
    backend: ScriptedSession,
}

/// Plays all scenarios.
pub(super) fn run(
    sandbox: &Sandbox,
    claude: &ClaudeProgram,
    reporter: &mut Reporter,
) -> anyhow::Result<()> {
    reporter.say(&format!(
        "Claude Code {} runs here in two hidden terminals; its models are scripts on this machine.\n\
         claude-mesh is installed for it in a temporary home.",
        claude.version
    ))?;
    claude::set_up(sandbox)?;
    let run = DemoRun {
        frontend: ScriptedSession::open(sandbox, claude, "frontend", asker_script)?,
        backend: ScriptedSession::open(sandbox, claude, "backend", |it| Ok(answerer_script(it)))?,
        sandbox,
    };
    let played = run.scenarios(reporter);
    run.write_requests()?;
    if sandbox.wait_limit().is_stopped() {
        return played;
    }
    played.map_err(|problem| {
        let [one, other] = run.sessions().map(|session| {
            let (name, words) = (session.client.name, session.client.last_screen_words());
            format!("\nthe screen of {name} ends with: {words}")
        });
        anyhow!("{problem:#}{one}{other}")
    })
}

/// The model of the asker: it asks what its user types, and reports the result.
fn asker_script(request: &Request) -> Result<Vec<Block>, String> {
    if let Some(result) = request.tool_results().first() {
        let result: Value = serde_json::from_str(result).map_err(|_| result.clone())?;
        return Ok(say(match result["answer"].as_str() {
            Some(answer) => format!("backend says: {answer}"),
            None => format!("no answer yet: {}", result["status"]),
        }));
    }
    let new_text = request.new_text();
    match new_text
        .lines()
        .find_map(|line| line.strip_prefix("ask backend: "))
    {
        Some(question) => Ok(call(
            "mcp__claude-mesh__ask_peer",
            json!({ "to": "backend", "question": question }),
        )),
        None => Ok(say("I see.")),
    }
}

/// The model of the peer that is asked: it answers.
fn answerer_script(request: &Request) -> Vec<Block> {
    let Some(id) = request.peer_question_id() else {
        return say("Nothing else to do.");
    };
    let answer = if request.new_text().contains("port") {
        "5433"
    } else {
        "yes, tomorrow"
    };
    let reply = json!({ "question_id": id, "answer": answer });
    call("mcp__claude-mesh__reply_to_peer", reply)
}

impl DemoRun<'_> {
    fn scenarios(&self, reporter: &mut Reporter) -> anyhow::Result<()> {
        let mut mesh = self.mesh()?;
        self.wait_until_both_are_idle(&mut mesh)?;
        self.run_wake_scenario(&mut mesh, reporter)?;
        self.wait_until_both_are_idle(&mut mesh)?;
        self.run_quiet_scenario(&mut mesh, reporter)
    }

    fn run_wake_scenario(&self, mesh: &mut Mesh, reporter: &mut Reporter) -> anyhow::Result<()> {
        reporter.scenario("backend is idle; a question wakes it")?;
        ensure!(
            self.backend.model.conversation().is_empty(),
            "backend is busy already"
        );
        let asked = self.type_question(mesh, reporter, "which port does the API use?")?;
        let id = asked.id.to_string();
        let woken_at_ms = self.sent_request(&self.backend, "the question", |it| {
            (it.peer_question_id()? == id).then_some(it.received_at_ms)
        })?;
        let wake_ms = woken_at_ms - asked.asked_at_ms;
        reporter.step(&format!(
            "backend starts a turn by itself: its model gets the question ({} after it was asked)",
            format_elapsed_ms(wake_ms)
        ))?;
        let (result, result_ms) = self.result(&asked)?;
        let record = stored_question(mesh, &asked)?;
        ensure!(
            result["status"] == "answered",
            "it was not answered: {result}"
        );
        reporter.step(&format!(
            "backend's Claude calls reply_to_peer: {}",
            record.answer.unwrap_or_default()
        ))?;
        reporter.step(&format!(
            "frontend's Claude gets {} as the result of its call ({} after it asked)",
            result["answer"],
            format_elapsed_ms(result_ms)
        ))?;
        reporter.times(&json!({ "ask_to_turn_ms": wake_ms, "ask_to_result_ms": result_ms }));
        Ok(())
    }

    fn run_quiet_scenario(&self, mesh: &mut Mesh, reporter: &mut Reporter) -> anyhow::Result<()> {
        reporter.scenario(
            "backend is quiet and is not woken; its asker gets `held`, and the question is kept",
        )?;
        self.sandbox.run_as_person(&["quiet", "backend"])?;
        reporter.step("you: claude-mesh quiet backend")?;
        let received = self.backend.model.conversation().len();
        let asked = self.type_question(mesh, reporter, "may I rename the table?")?;
        let (result, held_ms) = self.result(&asked)?;
        ensure!(result["status"] == "held", "it is not held: {result}");
        reporter.step(&format!(
            "frontend's Claude gets {} at once as the result of its call, reason {} ({})",
            result["status"],
            result["reason"],
            format_elapsed_ms(held_ms)
        ))?;
        self.wait_until_both_are_idle(mesh)?;
        ensure!(
            self.backend.model.conversation().len() == received,
            "backend was woken"
        );
        self.sandbox.run_as_person(&["quiet", "backend", "--off"])?;
        reporter.step("backend's model got nothing; you: claude-mesh quiet backend --off")?;
        let id = asked.id.to_string();
        let answer = format!("<peer-answer id=\"{id}\"");
        self.sent_request(&self.frontend, "the late answer", |it| {
            it.new_text().contains(&answer).then_some(())
        })?;
        let record = stored_question(mesh, &asked)?;
        reporter.step(&format!(
            "backend is woken and answers: {}; the late answer wakes frontend, which is idle again",
            record.answer.context("it has no answer")?
        ))?;
        reporter.times(&json!({ "held_ms": held_ms }));
        Ok(())
    }

    /// Types a prompt into frontend's terminal and returns the question that it asks.
    fn type_question(
        &self,
        mesh: &mut Mesh,
        reporter: &mut Reporter,
        question: &str,
    ) -> anyhow::Result<Question> {
        let prompt = format!("ask backend: {question}");
        self.frontend.client.type_prompt(&prompt)?;
        reporter.step(&format!("frontend's user types: {prompt}"))?;
        let asked = self.wait("frontend's Claude to ask", || {
            let newest = mesh.questions(Some("backend"), 1)?.into_iter().next();
            let newest = newest.map(|(it, ..)| it);
            Ok(newest
                .filter(|it| it.question == question)
                .or_else(sleep_then_none))
        })?;
        reporter.step(&format!(
            "frontend's Claude calls ask_peer: {}",
            asked.question
        ))?;
        Ok(asked)
    }

    /// Returns the result of frontend's call as its model got it, and how long after the question.
    fn result(&self, asked: &Question) -> anyhow::Result<(Value, i64)> {
        let id = asked.id.to_string();
        self.sent_request(&self.frontend, "a result", |it| {
            let results = it.tool_results().into_iter();
            let mut results = results.filter_map(|it| serde_json::from_str::<Value>(&it).ok());
            let result = results.find(|it| it["question_id"] == id)?;
            Some((result, it.received_at_ms - asked.asked_at_ms))
        })
    }

    /// Waits until both sessions are idle and can be asked.
    fn wait_until_both_are_idle(&self, mesh: &mut Mesh) -> anyhow::Result<()> {
        self.wait("both sessions to be idle", || {
            let peers = mesh.peers(None, PeerScope::Mesh, false)?;
            let idle = peers
                .iter()
                .filter(|it| it.askable && it.activity == Activity::Idle);
            let mut sessions = self.sessions().into_iter();
            let ready = idle.count() == 2 && sessions.all(|it| it.client.reads_input());
            Ok(ready.then_some(()).or_else(sleep_then_none))
        })
    }

    /// Waits until a model gets a request for which `found` returns something.
    fn sent_request<T>(
        &self,
        session: &ScriptedSession,
        what: &str,
        found: impl Fn(&Request) -> Option<T>,
    ) -> anyhow::Result<T> {
        let what = format!("the model of {} to get {what}", session.client.name);
        self.wait(&what, || {
            let received = |requests: &[Request]| requests.iter().find_map(&found);
            let answer = session.model.wait_until(POLL_INTERVAL, received);
            answer.map_err(|reason| anyhow!("its model did not expect {reason}"))
        })
    }

    /// Waits until `check` returns something; fails if a client ends.
    fn wait<T>(
        &self,
        what: &str,
        mut check: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let waited = self.sandbox.wait_limit().wait(|| {
            for session in self.sessions() {
                let client = &session.client;
                ensure!(
                    client.is_running(),
                    "the Claude Code of {} has ended",
                    client.name
                );
            }
            check()
        });
        waited.with_context(|| format!("waiting for {what}"))
    }

    fn sessions(&self) -> [&ScriptedSession; 2] {
        [&self.frontend, &self.backend]
    }

    fn mesh(&self) -> anyhow::Result<Mesh> {
        let opening = MeshOptions {
            registry: Some(self.sandbox.home().join(".claude")),
            ..MeshOptions::default()
        };
        let opened = Mesh::open_with(
            &self.sandbox.database(),
            Arc::new(SystemClock::new()),
            &opening,
        );
        opened.map_err(|fault| anyhow!("{}", fault.message))
    }

    /// Writes the requests to the models into the folder of the demo.
    fn write_requests(&self) -> anyhow::Result<()> {
        for session in self.sessions() {
            let sent_request = session.model.conversation().into_iter();
            let lines: Vec<_> = sent_request.map(|it| it.body.to_string() + "\n").collect();
            let file = format!("{}.requests.jsonl", session.client.name);
            fs::write(self.sandbox.home().join(file), lines.concat())?;
        }
        Ok(())
    }
}

impl ScriptedSession {
    fn open(
        sandbox: &Sandbox,
        claude: &ClaudeProgram,
        name: &'static str,
        script: fn(&Request) -> Result<Vec<Block>, String>,
    ) -> anyhow::Result<Self> {
        let model = ScriptedApi::listen(script, || SystemClock::new().now().wall_ms)
            .context("cannot listen on 127.0.0.1")?;
        let client = claude.open(sandbox, name, &model)?;
        Ok(Self { client, model })
    }
}

/// Sleeps between two reads of the mesh, because a reader has no doorbell.
fn sleep_then_none<T>() -> Option<T> {
    std::thread::sleep(POLL_INTERVAL);
    None
}

/// Returns the question as it is stored now.
fn stored_question(mesh: &mut Mesh, asked: &Question) -> anyhow::Result<Question> {
    let stored = mesh.question_with_names(asked.id)?;
    Ok(stored.context("the question is lost")?.0)
}
