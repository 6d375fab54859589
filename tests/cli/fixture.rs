//! What the command-line tests share: a project folder of a person, and peers in the test process.
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use claude_mesh::mesh::{JoinRequest, Member, Mesh, Reply};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::clock::SystemClock;
use claude_mesh::platform::id::QuestionId;
use serde_json::{Value, json};

use crate::support::register;
use crate::support::{ProcessOutput, WAIT_TIMEOUT, World, program};

/// A home with a project folder of the person, and peers in this process.
pub(super) struct CliFixture {
    pub(super) world: World,
    pub(super) folder: PathBuf,
}

impl CliFixture {
    pub(super) fn new() -> Self {
        let world = World::new();
        let folder = world.project("own");
        Self { world, folder }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.world.database()
    }

    pub(super) fn open(&self) -> Mesh {
        Mesh::open(&self.database(), Arc::new(SystemClock::new())).unwrap()
    }

    /// Registers a peer; it can be asked until it is dropped.
    pub(super) fn peer(&self, name: &str) -> Member {
        static INSTANCE: AtomicU32 = AtomicU32::new(1);
        let folder = self.world.project(name);
        let request = JoinRequest::here(&folder).unwrap();
        let request = request.instance(INSTANCE.fetch_add(1, Ordering::SeqCst));
        self.open().join(&request).unwrap()
    }

    /// Runs a command in the folder of the person.
    pub(super) fn run(&self, arguments: &[&str]) -> ProcessOutput {
        self.world.cli(&self.folder, arguments)
    }

    /// Runs a command that must succeed. Returns what it printed.
    #[track_caller]
    pub(super) fn run_ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        ran.out
    }

    /// Runs a command that must be refused. Returns the code of its JSON error and its text.
    #[track_caller]
    pub(super) fn run_refused(&self, arguments: &[&str]) -> (String, String) {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        let reported = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(
            (reported.code, reported.err.as_str()),
            (Some(1), ""),
            "{reported:?}"
        );
        let error = &reported.json()["error"];
        assert!(ran.err.starts_with("claude-mesh: "), "{ran:?}");
        assert!(
            ran.err.contains(error["message"].as_str().unwrap()),
            "{ran:?} {error}"
        );
        (error["code"].as_str().unwrap().to_owned(), ran.err)
    }

    /// Starts a command and returns at once.
    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        self.world
            .command(program("claude-mesh"), &self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// One peer asks another without waiting. Returns the id of the question.
    pub(super) fn question(from: &mut Member, to: &str, text: &str) -> QuestionId {
        let (asked, wait) = from.ask(&Address::parse(to).unwrap(), text, None).unwrap();
        let me = from.handle().clone();
        from.mesh().abandon_wait(&me, &wait.unwrap(), &[]).unwrap();
        asked.question
    }

    /// Registers a Claude Code session that is busy.
    pub(super) fn register(&self, pid: u32, folder: &Path) {
        let fields =
            json!({ "status": "busy", "entrypoint": "cli", "sessionId": "s", "cwd": folder });
        register(&self.world.home(), pid, &fields);
    }
}

/// Replaces every number by `*`, so that the text is the same on a slow machine.
pub(super) fn mask_numbers(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if number { "*" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Answers the next question of a peer in the background.
pub(super) fn answers(mut peer: Member, text: &'static str) -> JoinHandle<Member> {
    std::thread::spawn(move || {
        let inbox = peer.next_questions(WAIT_TIMEOUT).unwrap();
        let question = inbox.questions[0].delivery.question.id;
        peer.answer(question, text).unwrap();
        peer
    })
}

pub(super) fn declines(mut peer: Member, reason: &'static str) -> JoinHandle<Member> {
    std::thread::spawn(move || {
        let inbox = peer.next_questions(WAIT_TIMEOUT).unwrap();
        let me = peer.handle().clone();
        let reply = Reply {
            question: inbox.questions[0].delivery.question.id,
            text: reason,
            decline: true,
            corrects: false,
            force: false,
            fork: None,
        };
        peer.mesh().reply(&me, reply).unwrap();
        peer
    })
}

#[track_caller]
pub(super) fn finding(findings: &Value, text: &str) -> Value {
    let all = findings["findings"].as_array().unwrap();
    let found = all
        .iter()
        .find(|finding| finding["text"].as_str().unwrap().contains(text));
    found
        .unwrap_or_else(|| panic!("nothing of {text:?} in {findings:#}"))
        .clone()
}
