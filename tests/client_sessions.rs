//! Sessions of the real Codex CLI and Gemini CLI, with a scripted model: what they ask, and what they are asked.
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client_install::{CODEX, GEMINI};
use crate::other_clients::{Package, node};
use crate::support::{ProcessOutput, Session, World, start_ask};

mod scripted_model;
mod window;

use scripted_model::{Reply, Request, ScriptedModel};
use window::Window;

/// A client that runs one prompt and prints the last words of its model.
struct Client {
    package: &'static Package,
    /// Its name for `claude-mesh install`.
    name: &'static str,
    /// What runs a prompt without a terminal; the prompt follows.
    arguments: &'static [&'static str],
}

const CLIENTS: [Client; 2] = [
    Client {
        package: &CODEX,
        name: "codex",
        // Without a terminal nobody can be asked whether to trust hooks.
        arguments: &[
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-hook-trust",
        ],
    },
    Client {
        package: &GEMINI,
        name: "gemini",
        arguments: &["--model", "gemini-2.5-flash", "--yolo", "--prompt"],
    },
];

/// A home with a client that is set up as far as a first start, and claude-mesh installed for it.
struct Setup<'a> {
    world: &'a World,
    client: &'a Client,
    program: PathBuf,
    model: &'a ScriptedModel,
    project: PathBuf,
}

impl<'a> Setup<'a> {
    /// Returns `None` after a line on what is missing.
    fn of(world: &'a World, client: &'a Client, model: &'a ScriptedModel) -> Option<Self> {
        let program = client.package.get()?;
        let project = world.project("shop");
        let folder = project.to_str().unwrap();
        if client.name == "codex" {
            let config = format!(
                "model = \"scripted\"\nmodel_provider = \"scripted\"\ncheck_for_update_on_startup = false\n\n\
                 [analytics]\nenabled = false\n\n[projects.\"{folder}\"]\ntrust_level = \"trusted\"\n\n\
                 [model_providers.scripted]\nname = \"scripted\"\nbase_url = \"{}/v1\"\nwire_api = \"responses\"\n",
                model.url
            );
            world.write(".codex/config.toml", &config);
        } else {
            let settings = json!({
                "security": { "auth": { "selectedType": "gemini-api-key" } },
                "privacy": { "usageStatisticsEnabled": false },
                "general": { "enableAutoUpdate": false },
            });
            world.write(".gemini/settings.json", &settings.to_string());
            let trusted = json!({ folder: "TRUST_FOLDER" });
            world.write(".gemini/trustedFolders.json", &trusted.to_string());
        }
        let installed = world.cli(&world.home(), &["install", "--client", client.name]);
        assert_eq!(installed.code, Some(0), "{installed:?}");
        Some(Self {
            world,
            client,
            program,
            model,
            project,
        })
    }

    /// Returns the client with the environment that it needs.
    fn command(&self, program: &str) -> Command {
        let mut path = node().unwrap().parent().unwrap().as_os_str().to_owned();
        path.push(":/usr/local/bin:/usr/bin:/bin");
        let mut command = self.world.command(program, &self.project);
        // Whatever the client sends elsewhere, such as a search for updates, stays on this machine and is refused.
        command
            .envs([
                ("HTTPS_PROXY", "http://127.0.0.1:9"),
                ("NO_PROXY", "127.0.0.1"),
            ])
            .envs([
                ("GEMINI_API_KEY", "any"),
                ("GOOGLE_GEMINI_BASE_URL", self.model.url.as_str()),
            ])
            .env("PATH", path)
            .stdin(Stdio::null());
        command
    }

    /// Starts the client with a prompt.
    fn start(&self, prompt: &str) -> Child {
        self.command(self.program.to_str().unwrap())
            .args(self.client.arguments)
            .arg(prompt)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn finish(client: Child) -> ProcessOutput {
    let ran = ProcessOutput::of(&client.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// Long enough for a loaded machine; a healthy client begins to ask after two seconds, or after ten.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// Waits until a question of the client is pending for the peer, and returns its id.
#[track_caller]
fn next_question(peer: &Session, client: &mut Child, model: &ScriptedModel) -> String {
    let until = Instant::now() + START_TIMEOUT;
    loop {
        if let Some(question) = peer.questions().first() {
            return question["question_id"].as_str().unwrap().to_owned();
        }
        let ended = client.try_wait().unwrap();
        assert!(
            ended.is_none() && Instant::now() < until,
            "no question: {ended:?} {:#?}",
            model.requests()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask_bo(question: &str) -> Reply {
    let arguments = json!({ "to": "bo", "question": question, "timeout_seconds": 60 });
    Reply::Call("ask_peer", arguments)
}

/// Returns the id of the question in the result of an interrupted call.
fn incoming_question(request: &Request) -> Option<String> {
    let json = &request.results[request.results.find('{')?..=request.results.rfind('}')?];
    let result: Value = serde_json::from_str(json).ok()?;
    let question = &result["questions"][0]["question_id"];
    question.as_str().map(str::to_owned)
}

#[test]
fn other_client_asks_a_peer_and_prints_the_answer() {
    for client in &CLIENTS {
        let world = World::new();
        let bo = world.session("bo");
        let model = ScriptedModel::listen(|request| match request.results.as_str() {
            "" => ask_bo("which port?"),
            results => Reply::Say(format!("got {results}")),
        });
        let Some(setup) = Setup::of(&world, client, &model) else {
            continue;
        };
        let mut running = setup.start("ask bo");
        bo.send_reply(&next_question(&bo, &mut running, &model), "5433");
        let ran = finish(running);
        assert!(model.requests()[0].new_text.contains("ask bo"), "{ran:?}");
        assert!(ran.out.contains("got "), "{ran:?}");
        assert!(ran.out.contains("\"answer\":\"5433\""), "{ran:?}");
    }
}

#[test]
fn other_client_that_waits_answers_a_question_meanwhile() {
    for client in &CLIENTS {
        let world = World::new();
        let bo = world.session("bo");
        let model = ScriptedModel::listen(|request| {
            if let Some(id) = incoming_question(request) {
                let answer = json!({ "question_id": id, "answer": "5433" });
                return Reply::Call("reply_to_peer", answer);
            }
            match request.results.as_str() {
                "" => ask_bo("what shall I do?"),
                _ => Reply::Say("done".to_owned()),
            }
        });
        let Some(setup) = Setup::of(&world, client, &model) else {
            continue;
        };
        let mut running = setup.start("ask bo");
        next_question(&bo, &mut running, &model);
        let asked = start_ask(&bo, "shop", "which port?").result();
        // bo is interrupted too if its question comes while the other one is open for it.
        let answer = match asked["status"].as_str() {
            Some("answered") => asked,
            _ => bo.call(
                "await_reply",
                json!({ "question_id": asked["question_id"] }),
            ),
        };
        assert_eq!(answer["answer"], "5433", "{answer} {:#?}", model.requests());
        let ran = finish(running);
        assert!(ran.out.contains("done"), "{ran:?}");
    }
}

/// Checks that a question was answered by a client, which has printed this and whose model got these requests.
#[track_caller]
fn assert_answered(asker: &Session, asked: &Value, (ran, model): (&ProcessOutput, &ScriptedModel)) {
    let wait = json!({ "question_id": asked["question_id"], "timeout_seconds": 1 });
    let answer = asker.call("await_reply", wait);
    let requests = model.requests();
    assert_eq!(answer["answer"], "5433", "{answer} {ran:?} {requests:#?}");
}

/// Returns the reply to the question that a hook has put before the model.
fn reply_to_question(request: &Request) -> Option<Reply> {
    let (_, rest) = request.new_text.split_once("peer-question id=\"")?;
    let arguments = json!({ "question_id": rest.get(..26)?, "answer": "5433" });
    Some(Reply::Call("reply_to_peer", arguments))
}

#[test]
fn prompt_of_another_client_shows_what_waits() {
    for client in &CLIENTS {
        let world = World::new();
        let bo = world.session("bo");
        let model = ScriptedModel::listen(|request| {
            reply_to_question(request).unwrap_or_else(|| Reply::Say("done".to_owned()))
        });
        let Some(setup) = Setup::of(&world, client, &model) else {
            continue;
        };
        finish(setup.start("be here once"));
        let started = &model.requests()[0].new_text;
        assert!(
            started.contains("claude-mesh: you are \"shop\""),
            "{started}"
        );
        let asked = start_ask(&bo, "shop", "which port?").result();
        assert_eq!(asked["status"], "offline", "{asked}");
        let ran = finish(setup.start("and now?"));
        assert_answered(&bo, &asked, (&ran, &model));
    }
}

#[test]
fn question_during_a_turn_of_another_client_continues_it() {
    for client in &CLIENTS {
        let world = World::new();
        let bo = world.session("bo");
        let (begun, at_work) = mpsc::channel();
        let (finish_work, finished) = mpsc::channel();
        let finished = Mutex::new(finished);
        let model = ScriptedModel::listen(move |request| {
            if let Some(reply) = reply_to_question(request) {
                return reply;
            }
            if begun.send(()).is_ok() {
                // The first turn goes on until the question is there; the test drops the channel then.
                let _ = finished.lock().unwrap().recv();
            }
            Reply::Say("done".to_owned())
        });
        let Some(setup) = Setup::of(&world, client, &model) else {
            continue;
        };
        let running = setup.start("work");
        at_work.recv_timeout(START_TIMEOUT).unwrap();
        let asked = start_ask(&bo, "shop", "which port?").result();
        drop(at_work);
        finish_work.send(()).unwrap();
        let ran = finish(running);
        assert_answered(&bo, &asked, (&ran, &model));
    }
}

#[test]
fn idle_window_of_codex_is_woken_by_a_question() {
    let world = World::new();
    let bo = world.session("bo");
    let model = ScriptedModel::listen(|request| {
        if let Some(reply) = reply_to_question(request) {
            return reply;
        }
        match request.results.as_str() {
            // The first call of a tool lets others ask this session.
            "" => Reply::Call("list_peers", json!({})),
            _ => Reply::Say("that is all".to_owned()),
        }
    });
    let Some(setup) = Setup::of(&world, &CLIENTS[0], &model) else {
        return;
    };
    let Some(window) = Window::open(&setup) else {
        return;
    };
    window.wait_for("Ask Codex");
    window.keys(&["-l", "hello"]);
    window.wait_for("hello");
    window.keys(&["Enter"]);
    window.wait_for("that is all");
    let asked = start_ask(&bo, "shop", "which port?").result();
    assert_eq!(asked["answer"], "5433", "{asked} {}", window.screen());
}
