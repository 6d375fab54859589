//! The stories that two real, interactive Claude Code sessions play; each tells what the mesh has recorded and what the models were sent.
use std::fs;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use serde_json::{Value, json};

use super::claude::{self, Claude, Client};
use crate::cli::claude_sandbox::scripted_api::{Request, ScriptedApi};
use crate::cli::claude_sandbox::scripted_response::{Block, call, say};
use crate::cli::demo::reporter::Told;
use crate::cli::demo::sandbox;
use crate::cli::demo::sandbox::{LOOK, Stage};
use crate::mesh::{Mesh, Opening, Scope};
use crate::model::Activity;
use crate::platform::SystemClock;
use crate::store::Question;

/// A client, and the model behind it.
struct Player {
    client: Client,
    model: ScriptedApi,
}

/// Both players, and how a person looks at their mesh.
struct Play<'a> {
    stage: &'a Stage,
    frontend: Player,
    backend: Player,
}

/// Plays them.
pub(super) fn play(stage: &Stage, claude: &Claude, told: &mut Told) -> anyhow::Result<()> {
    told.say(&format!(
        "Claude Code {} plays here, in two terminals nobody sees; its models are scripts on this machine.\n\
         claude-mesh is installed for it in a temporary home.",
        claude.version
    ))?;
    claude::set_up(stage)?;
    let play = Play {
        frontend: Player::open(stage, claude, "frontend", asking)?,
        backend: Player::open(stage, claude, "backend", |it| Ok(answering(it)))?,
        stage,
    };
    let played = play.stories(told);
    play.write_down()?;
    if stage.patience().is_over() {
        return played;
    }
    played.map_err(|problem| {
        let [one, other] = play.players().map(|player| {
            let (name, words) = (player.client.name, player.client.last_words());
            format!("\n{name}'s screen ends with: {words}")
        });
        anyhow!("{problem:#}{one}{other}")
    })
}

/// The model of the one who asks: it asks what its person tells it to ask, and reports what came of it.
fn asking(request: &Request) -> Result<Vec<Block>, String> {
    if let Some(result) = request.tool_results().first() {
        let result: Value = serde_json::from_str(result).map_err(|_| result.clone())?;
        return Ok(say(match result["answer"].as_str() {
            Some(answer) => format!("backend says: {answer}"),
            None => format!("no answer yet: {}", result["status"]),
        }));
    }
    let news = request.news();
    match news
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

/// The model of the one who is asked: it answers.
fn answering(request: &Request) -> Vec<Block> {
    let Some(id) = request.peer_question() else {
        return say("Nothing else to do.");
    };
    let answer = if request.news().contains("port") {
        "5433"
    } else {
        "yes, tomorrow"
    };
    let reply = json!({ "question_id": id, "answer": answer });
    call("mcp__claude-mesh__reply_to_peer", reply)
}

impl Play<'_> {
    fn stories(&self, told: &mut Told) -> anyhow::Result<()> {
        let mut mesh = self.mesh()?;
        self.wait_until_both_are_idle(&mut mesh)?;
        self.one_wakes(&mut mesh, told)?;
        self.wait_until_both_are_idle(&mut mesh)?;
        self.one_is_left_alone(&mut mesh, told)
    }

    fn one_wakes(&self, mesh: &mut Mesh, told: &mut Told) -> anyhow::Result<()> {
        told.story("backend sits idle at its prompt; a question wakes it")?;
        ensure!(
            self.backend.model.conversation().is_empty(),
            "backend is at work already"
        );
        let asked = self.person_has_it_ask(mesh, told, "which port does the API use?")?;
        let id = asked.id.to_string();
        let woken_at_ms = self.sent(&self.backend, "the question", |it| {
            (it.peer_question()? == id).then_some(it.came_at_ms)
        })?;
        let wake_ms = woken_at_ms - asked.asked_at_ms;
        told.step(&format!(
            "backend starts a turn by itself: its model is sent the question ({} after it was asked)",
            sandbox::span(wake_ms)
        ))?;
        let (result, result_ms) = self.result(&asked)?;
        let record = recorded(mesh, &asked)?;
        ensure!(
            result["status"] == "answered",
            "it is not answered: {result}"
        );
        told.step(&format!(
            "backend's Claude calls reply_to_peer: {}",
            record.answer.unwrap_or_default()
        ))?;
        told.step(&format!(
            "frontend's Claude has {} as the result of its call ({} after it asked)",
            result["answer"],
            sandbox::span(result_ms)
        ))?;
        told.times(&json!({ "ask_to_turn_ms": wake_ms, "ask_to_result_ms": result_ms }));
        Ok(())
    }

    fn one_is_left_alone(&self, mesh: &mut Mesh, told: &mut Told) -> anyhow::Result<()> {
        told.story("You want backend left alone; its asker is told, and nothing is lost")?;
        self.stage.person(&["quiet", "backend"])?;
        told.step("you: claude-mesh quiet backend")?;
        let heard = self.backend.model.conversation().len();
        let asked = self.person_has_it_ask(mesh, told, "may I rename the table?")?;
        let (result, held_ms) = self.result(&asked)?;
        ensure!(result["status"] == "held", "it is not held: {result}");
        told.step(&format!(
            "frontend's Claude has {} at once as the result of its call, reason {} ({})",
            result["status"],
            result["reason"],
            sandbox::span(held_ms)
        ))?;
        self.wait_until_both_are_idle(mesh)?;
        ensure!(
            self.backend.model.conversation().len() == heard,
            "backend was disturbed"
        );
        self.stage.person(&["quiet", "backend", "--off"])?;
        told.step("backend's model has been sent nothing; you: claude-mesh quiet backend --off")?;
        let id = asked.id.to_string();
        let answer = format!("<peer-answer id=\"{id}\"");
        self.sent(&self.frontend, "the late answer", |it| {
            it.news().contains(&answer).then_some(())
        })?;
        let record = recorded(mesh, &asked)?;
        told.step(&format!(
            "backend is rung and answers: {}; frontend, at its prompt again, is woken by it",
            record.answer.context("it has no answer")?
        ))?;
        told.times(&json!({ "held_ms": held_ms }));
        Ok(())
    }

    /// Types into frontend's terminal and returns what is in the mesh then.
    fn person_has_it_ask(
        &self,
        mesh: &mut Mesh,
        told: &mut Told,
        question: &str,
    ) -> anyhow::Result<Question> {
        let prompt = format!("ask backend: {question}");
        self.frontend.client.types(&prompt)?;
        told.step(&format!("frontend's person types: {prompt}"))?;
        let asked = self.wait("frontend's Claude to ask", || {
            let newest = mesh.questions(Some("backend"), 1)?.into_iter().next();
            let newest = newest.map(|(it, ..)| it);
            Ok(newest.filter(|it| it.question == question).or_else(pause))
        })?;
        told.step(&format!(
            "frontend's Claude calls ask_peer: {}",
            asked.question
        ))?;
        Ok(asked)
    }

    /// Returns what frontend's model was sent as the result of its call, and how long after the question.
    fn result(&self, asked: &Question) -> anyhow::Result<(Value, i64)> {
        let id = asked.id.to_string();
        self.sent(&self.frontend, "a result", |it| {
            let results = it.tool_results().into_iter();
            let mut results = results.filter_map(|it| serde_json::from_str::<Value>(&it).ok());
            let result = results.find(|it| it["question_id"] == id)?;
            Some((result, it.came_at_ms - asked.asked_at_ms))
        })
    }

    /// Waits until two sessions sit at their prompts and can be asked.
    fn wait_until_both_are_idle(&self, mesh: &mut Mesh) -> anyhow::Result<()> {
        self.wait("both sessions to sit at their prompts", || {
            let peers = mesh.peers(None, Scope::Machine, false)?;
            let idle = peers
                .iter()
                .filter(|it| it.askable && it.activity == Activity::Idle);
            let mut players = self.players().into_iter();
            let ready = idle.count() == 2 && players.all(|it| it.client.reads_input());
            Ok(ready.then_some(()).or_else(pause))
        })
    }

    /// Waits until a model is sent something.
    fn sent<T>(
        &self,
        player: &Player,
        what: &str,
        found: impl Fn(&Request) -> Option<T>,
    ) -> anyhow::Result<T> {
        let what = format!("{}'s model to be sent {what}", player.client.name);
        self.wait(&what, || {
            let heard = |requests: &[Request]| requests.iter().find_map(&found);
            let answer = player.model.wait_until(LOOK, heard);
            answer.map_err(|reason| anyhow!("its model did not expect {reason}"))
        })
    }

    /// Waits until `look` sees something, while both clients run.
    fn wait<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let waited = self.stage.patience().wait(|| {
            for player in self.players() {
                let client = &player.client;
                ensure!(client.runs(), "{}'s Claude Code has ended", client.name);
            }
            look()
        });
        waited.with_context(|| format!("waiting for {what}"))
    }

    fn players(&self) -> [&Player; 2] {
        [&self.frontend, &self.backend]
    }

    fn mesh(&self) -> anyhow::Result<Mesh> {
        let opening = Opening {
            registry: Some(self.stage.home().join(".claude")),
            ..Opening::default()
        };
        let opened = Mesh::open_with(
            &self.stage.database(),
            Arc::new(SystemClock::new()),
            &opening,
        );
        opened.map_err(|fault| anyhow!("{}", fault.message))
    }

    /// Puts what the models were sent beside what the terminals showed.
    fn write_down(&self) -> anyhow::Result<()> {
        for player in self.players() {
            let sent = player.model.conversation().into_iter();
            let lines: Vec<_> = sent.map(|it| it.body.to_string() + "\n").collect();
            let file = format!("{}.requests.jsonl", player.client.name);
            fs::write(self.stage.home().join(file), lines.concat())?;
        }
        Ok(())
    }
}

impl Player {
    fn open(
        stage: &Stage,
        claude: &Claude,
        name: &'static str,
        script: fn(&Request) -> Result<Vec<Block>, String>,
    ) -> anyhow::Result<Self> {
        let model = ScriptedApi::listen(script).context("cannot listen on 127.0.0.1")?;
        let client = claude.open(stage, name, &model)?;
        Ok(Self { client, model })
    }
}

/// Nothing rings for somebody who only looks.
fn pause<T>() -> Option<T> {
    std::thread::sleep(LOOK);
    None
}

/// Returns what has become of a question, as the mesh has it.
fn recorded(mesh: &mut Mesh, asked: &Question) -> anyhow::Result<Question> {
    let told = mesh.question_told(asked.id)?;
    Ok(told.context("the question is lost")?.0)
}
