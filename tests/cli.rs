//! The program for people, run as they run it, beside peers that sit in the same database.
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use claude_mesh::mesh::{JoinRequest, Member, Mesh, Reply, WaitOutcome};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::clock::{Clock, ManualClock, SystemClock};
use claude_mesh::platform::id::QuestionId;
use serde_json::{Value, json};

use crate::event::CONSECUTIVE_EVENTS;
use crate::world::{ProcessOutput, WAIT_TIMEOUT, World, program};

/// A home with a project folder of the person's own and peers made of this process.
struct CliFixture {
    world: World,
    folder: PathBuf,
}

impl CliFixture {
    fn new() -> Self {
        let world = World::new();
        let folder = world.project("own");
        Self { world, folder }
    }

    fn database(&self) -> PathBuf {
        self.world.database()
    }

    fn open(&self) -> Mesh {
        Mesh::open(&self.database(), Arc::new(SystemClock::new())).unwrap()
    }

    /// Seats a peer; it can be asked as long as it is kept.
    fn peer(&self, name: &str) -> Member {
        static INSTANCE: AtomicU32 = AtomicU32::new(1);
        let folder = self.world.project(name);
        let request = JoinRequest::here(&folder).unwrap();
        let request = request.instance(INSTANCE.fetch_add(1, Ordering::SeqCst));
        self.open().join(&request).unwrap()
    }

    /// Runs a command in the person's own folder.
    fn run(&self, arguments: &[&str]) -> ProcessOutput {
        self.world.cli(&self.folder, arguments)
    }

    /// Runs a command that must succeed. Returns what it printed.
    #[track_caller]
    fn run_ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        ran.out
    }

    /// Runs a command that must be refused. Returns the code of its JSON error and what it says as text.
    #[track_caller]
    fn run_refused(&self, arguments: &[&str]) -> (String, String) {
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

    /// Starts a command and goes on.
    fn start(&self, arguments: &[&str]) -> Child {
        self.world
            .command(program("claude-mesh"), &self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Has a peer ask another without waiting. Returns the question's id.
    fn question(from: &mut Member, to: &str, text: &str) -> QuestionId {
        let (asked, wait) = from.ask(&Address::parse(to).unwrap(), text, None).unwrap();
        let me = from.handle().clone();
        from.mesh().abandon_wait(&me, &wait.unwrap(), &[]).unwrap();
        asked.question
    }

    /// Writes the registry file of a Claude Code session.
    fn register(&self, pid: u32, folder: &Path) {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = &stat[stat.rfind(')').unwrap()..];
        let started = fields.split_whitespace().nth(20).unwrap();
        let entry = json!({
            "pid": pid, "procStart": started, "status": "busy", "entrypoint": "cli",
            "sessionId": "s", "cwd": folder,
        });
        self.world
            .write(&format!(".claude/sessions/{pid}.json"), &entry.to_string());
    }
}

/// The text with `*` for every number, so that a slow machine says the same.
fn mask_numbers(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if number { "*" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Lets a peer answer the next question with a text.
fn answers(mut peer: Member, text: &'static str) -> JoinHandle<Member> {
    std::thread::spawn(move || {
        let inbox = peer.next_questions(WAIT_TIMEOUT).unwrap();
        let question = inbox.questions[0].pending.question.id;
        peer.answer(question, text).unwrap();
        peer
    })
}

fn declines(mut peer: Member, reason: &'static str) -> JoinHandle<Member> {
    std::thread::spawn(move || {
        let inbox = peer.next_questions(WAIT_TIMEOUT).unwrap();
        let me = peer.handle().clone();
        let reply = Reply {
            question: inbox.questions[0].pending.question.id,
            text: reason,
            decline: true,
            corrects: false,
            force: false,
        };
        peer.mesh().reply(&me, reply).unwrap();
        peer
    })
}

#[test]
fn cli_read_commands_create_no_database() {
    let fixture = CliFixture::new();
    for arguments in [
        &["peers"][..],
        &["peers", "--all", "--json"],
        &["peers", "--forget", "old"],
        &["inbox"],
        &["inbox", "--all"],
        &["log"],
        &["log", "--json"],
        &["status"],
        &["gc"],
        &["wall"],
    ] {
        fixture.run_ok(arguments);
    }
    assert!(fixture.run_ok(&["peers"]).starts_with(
        "no mesh here yet: ~/.claude-mesh/mesh.db does not exist\n`claude-mesh install`"
    ));
    assert_eq!(
        fixture.run_refused(&["ask", "bo", "why?"]).0,
        "unknown_peer"
    );
    assert_eq!(
        fixture.run_refused(&["ask", "--all", "why?"]).0,
        "unknown_peer"
    );
    fixture.run(&["doctor"]);
    assert!(!fixture.world.home().join(".claude-mesh").exists());
}

#[test]
fn cli_peers_prints_a_table_headed_by_mesh_and_own_name() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(&mut ada, "bo", "which port?");
    let table = fixture.run_ok(&["peers"]);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        table.starts_with("mesh default (~/.claude-mesh/mesh.db), you are person@"),
        "{table}"
    );
    assert_eq!(
        lines[1..],
        [
            vec!["NAME", "ACTIVITY", "ROLE", "PROJECT", "WAITING", "ASKABLE"],
            vec!["ada", "unknown", "-", "~/ada", "0", "yes"],
            vec!["bo", "unknown", "-", "~/bo", "1", "yes"],
        ]
    );
    assert!(!table.contains('\u{1b}'), "no colours off a terminal");
    let json: Value = serde_json::from_str(&fixture.run_ok(&["peers", "--json"])).unwrap();
    assert_eq!(json["peers"][1]["peer"], "bo");
    assert_eq!(json["peers"][1]["questions_waiting"], 1);
    assert!(json["you"].as_str().unwrap().starts_with("person@"));
    drop(bo);
    assert!(!fixture.run_ok(&["peers"]).contains("bo"));
    assert!(
        fixture
            .run_ok(&["peers", "--all"])
            .contains("offline, seen ")
    );
}

#[test]
fn cli_peers_sorts_waiting_then_needs_restart_then_busy() {
    let fixture = CliFixture::new();
    let ada = fixture.world.session("ada");
    ada.register("busy");
    let request = JoinRequest::here(&fixture.world.project("moe")).unwrap();
    fixture.open().register(&request.instance(99)).unwrap();
    let zoe = fixture.world.session("zoe");
    zoe.register("waiting");
    let table = fixture.run_ok(&["peers"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .filter(|row: &Vec<&str>| ["ada", "moe", "zoe"].contains(row.first().unwrap_or(&"")))
        .collect();
    assert_eq!(
        rows,
        [
            ["zoe", "waiting"],
            ["moe", "needs_restart"],
            ["ada", "busy"]
        ],
        "{table}"
    );
}

#[test]
fn cli_peers_scope_filters_by_repository_and_directory() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write("shop/.git/HEAD", "ref: refs/heads/main\n");
    let (_ada, _api) = (fixture.peer("ada"), fixture.peer("shop/api"));
    let shop = fixture.world.home().join("shop");
    let names = |scope| {
        let ran = fixture
            .world
            .cli(&shop, &["peers", "--json", "--scope", scope]);
        let peers = ran.json()["peers"].as_array().unwrap().clone();
        peers
            .iter()
            .map(|peer| peer["peer"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("machine"), ["ada", "api"]);
    assert_eq!(names("repo"), ["api"]);
    assert_eq!(names("directory"), ["api"]);
}

#[test]
fn cli_ask_prints_only_the_answer_on_stdout() {
    let fixture = CliFixture::new();
    let bo = answers(fixture.peer("bo"), "5433\nor 5434");
    let ran = fixture.run(&["ask", "bo", "which port?"]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "5433\nor 5434\n", "")
    );
    let bo = answers(bo.join().unwrap(), "again");
    let json = fixture.run(&["ask", "bo", "and now?", "--json"]).json();
    assert_eq!(json["status"], "answered");
    assert_eq!(json["answer"], "again");
    assert_eq!(json["from"], "bo");
    assert_eq!(json["by"], "session");
    bo.join().unwrap();
}

#[test]
fn cli_ask_prints_the_decline_reason_and_fails() {
    let fixture = CliFixture::new();
    let bo = declines(fixture.peer("bo"), "ask cy");
    let ran = fixture.run(&["ask", "bo", "which port?"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(ran.err, "claude-mesh: bo declined: ask cy\n");
    bo.join().unwrap();
}

#[test]
fn cli_ask_delivers_a_context_file() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let context = fixture.world.write("build.log", "error: no port\n");
    let asking = fixture.start(&["ask", "bo", "why?", "--context", context.to_str().unwrap()]);
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    let question = &inbox.questions[0].pending.question;
    assert_eq!(question.context.as_deref(), Some("error: no port\n"));
    assert!(inbox.questions[0].from.as_str().starts_with("person@"));
    bo.answer(question.id, "because").unwrap();
    assert_eq!(asking.wait_with_output().unwrap().stdout, b"because\n");
}

#[test]
fn cli_ask_refuses_an_invalid_context_before_asking() {
    let fixture = CliFixture::new();
    let _bo = fixture.peer("bo");
    let large = fixture.world.write("large", &"x".repeat(70_000));
    let bytes = fixture.world.home().join("bytes");
    std::fs::write(&bytes, [0xff, 0xfe]).unwrap();
    let refused = |path: &Path| {
        fixture.run_refused(&["ask", "bo", "why?", "--context", path.to_str().unwrap()])
    };
    assert_eq!(refused(&large).0, "too_large");
    assert!(refused(&bytes).1.contains("is not UTF-8"));
    assert!(refused(Path::new("/nowhere")).1.contains("No such file"));
    assert_eq!(
        fixture.run_refused(&["ask", "bo", " "]).0,
        "invalid_argument"
    );
    assert_eq!(
        fixture.run_refused(&["ask", "two words", "why?"]).0,
        "invalid_argument"
    );
    assert_eq!(fixture.run_ok(&["inbox", "--all"]), "no open questions\n");
}

#[test]
fn cli_ask_suggests_the_nearest_peer_name() {
    let fixture = CliFixture::new();
    let (_ada, _backend) = (fixture.peer("ada"), fixture.peer("backend"));
    let (code, reported) = fixture.run_refused(&["ask", "bakend", "why?"]);
    assert_eq!(code, "unknown_peer");
    assert_eq!(
        reported,
        "claude-mesh: no peer called \"bakend\" in this mesh\nhint: nearest: backend; here now: ada, backend\n"
    );
    assert_eq!(
        fixture.run_refused(&["inbox", "--peer", "bakend"]).1,
        reported
    );
}

#[test]
fn cli_inbox_shows_the_late_answer_of_an_offline_peer() {
    let fixture = CliFixture::new();
    drop(fixture.peer("bo"));
    let ran = fixture.run(&["ask", "bo", "which port?"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(
        ran.err
            .starts_with("claude-mesh: nobody at bo can be asked now"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("`claude-mesh inbox` shows the answer"),
        "{}",
        ran.err
    );
    assert!(
        fixture
            .run_ok(&["inbox"])
            .contains("you asked bo: which port?")
    );
    answers(fixture.peer("bo"), "5433\u{1b}[31m")
        .join()
        .unwrap();
    let inbox = fixture.run_ok(&["inbox"]);
    assert!(
        mask_numbers(&inbox).contains("bo answered, * s ago (to: which port?)\n  5433\n"),
        "{inbox}"
    );
    let json: Value = serde_json::from_str(&fixture.run_ok(&["inbox", "--json"])).unwrap();
    assert_eq!(json["answers"][0]["from"], "bo");
    assert_eq!(json["answers"][0]["late"], true);
    assert_eq!(json["questions"], json!([]));
}

#[test]
fn cli_ask_timeout_reports_delivery_and_keeps_the_question_open() {
    let fixture = CliFixture::new();
    let _bo = fixture.peer("bo");
    let ran = fixture.run(&["ask", "bo", "which port?", "--timeout", "1s"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("no answer within "), "{}", ran.err);
    assert!(
        mask_numbers(&ran.err).contains("bo: stored * s ago, not shown yet"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("stays open"), "{}", ran.err);
    let json = fixture.run(&["ask", "bo", "and now?", "--timeout", "1s", "--json"]);
    assert_eq!(json.code, Some(3));
    assert_eq!(json.json()["status"], "timed_out");
    assert_eq!(json.json()["delivery"]["wake"], "none");
}

#[test]
fn cli_ask_interrupt_exits_and_names_the_open_question() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let asking = fixture.start(&["ask", "bo", "which port?"]);
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    let id = inbox.questions[0].pending.question.id;
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.err.starts_with("claude-mesh: stopped; bo: shown"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains(&format!("question {id} stays open")),
        "{ran:?}"
    );
    bo.answer(id, "5433").unwrap();
    assert!(fixture.run_ok(&["inbox"]).contains("5433"));

    let asking = fixture.start(&["ask", "bo", "which host?", "--json"]);
    bo.next_questions(WAIT_TIMEOUT).unwrap();
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.json()["status"], "cancelled");
    assert_eq!(ran.json()["withdrawn"], false);
}

#[test]
fn cli_ask_all_lists_the_peers_before_their_answers() {
    let fixture = CliFixture::new();
    let (ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let (ada, bo) = (answers(ada, "yes"), declines(bo, "not my\nbranch"));
    let ran = fixture.run(&["ask", "--all", "may I push?"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let mut lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.remove(0), "asking 2: ada, bo");
    assert!(lines.pop().unwrap().starts_with("2 of 2 replied after"));
    lines.sort_unstable();
    assert_eq!(lines, ["     branch", "ada  yes", "bo   declined: not my"]);
    let (ada, _bo) = (ada.join().unwrap(), bo.join().unwrap());
    let ada = answers(ada, "no");
    let ran = fixture.run(&["ask", "--all", "and now?", "--timeout", "2s", "--json"]);
    assert_eq!(ran.code, Some(3));
    let json = ran.json();
    assert_eq!(json["status"], "partial");
    assert_eq!(json["answers"][0]["answer"], "no");
    assert_eq!(json["answers"][1]["status"], "timed_out");
    ada.join().unwrap();
}

#[test]
fn cli_ask_repo_asks_only_peers_of_the_repository() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write("shop/.git/HEAD", "ref: refs/heads/main\n");
    let (_ada, api) = (
        fixture.peer("ada"),
        answers(fixture.peer("shop/api"), "yes"),
    );
    let ran = fixture.world.cli(
        &fixture.world.home().join("shop"),
        &["ask", "--repo", "may I push?"],
    );
    assert!(ran.out.starts_with("asking 1: api\napi  yes\n"), "{ran:?}");
    api.join().unwrap();
    assert_eq!(
        fixture.run_refused(&["ask", "--repo", "may I?"]).0,
        "unknown_peer"
    );
}

#[test]
fn cli_reply_is_marked_as_given_by_a_person() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "which port?");
    let open = fixture.run_ok(&["inbox", "--peer", "bo"]);
    assert!(
        mask_numbers(&open).contains(&format!(
            "{id}  ada asks bo, * s ago\n  which port?\n  bo: stored * s ago, not shown yet, "
        )),
        "{open}"
    );
    let open = fixture.run(&["inbox", "--all", "--json"]).json();
    assert_eq!(open["questions"][0]["delivery"]["wake"], "none", "{open}");
    let id = id.to_string();
    let reported = fixture.run_ok(&["reply", &id, "5433"]);
    assert!(
        reported.starts_with("answered ada: it no longer waits"),
        "{reported}"
    );
    assert_eq!(
        fixture.run_ok(&["reply", &id, "5433"]),
        reported,
        "the same text again changes nothing"
    );
    let (code, refused) = fixture.run_refused(&["reply", &id, "5434"]);
    assert_eq!(code, "conflict");
    assert!(
        refused.contains("hint: `claude-mesh reply --corrects"),
        "{refused}"
    );
    fixture.run_ok(&["reply", &id, "5434", "--corrects"]);
    let me = ada.handle().clone();
    let late = &ada.mesh().inbox(&me).unwrap().answers[0].question;
    assert_eq!(late.answer.as_deref(), Some("5434"));
    assert_eq!(
        late.answered_by,
        Some(claude_mesh::model::AnsweredBy::Person)
    );
}

#[test]
fn cli_reply_explains_why_it_is_refused() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "which token?").to_string();
    assert_eq!(
        fixture.run_refused(&["reply", "nonsense", "x"]).0,
        "not_found"
    );
    assert_eq!(
        fixture.run_refused(&["reply", &"0".repeat(26), "x"]).0,
        "not_found"
    );
    let token = format!("gh{}{}", "p_", "aB3dE5gH7jK9".repeat(3));
    let (code, reported) = fixture.run_refused(&["reply", &id, &token]);
    assert_eq!(code, "secret");
    assert!(reported.contains("--force"), "{reported}");
    assert!(!reported.contains(&token), "{reported}");
    fixture.run_ok(&["reply", &id, &token, "--force"]);
}

#[test]
fn cli_reply_reads_the_answer_from_stdin() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "which port?").to_string();
    let mut reply = fixture
        .world
        .command(program("claude-mesh"), &fixture.folder)
        .args(["reply", &id, "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reply.stdin.take().unwrap().write_all(b"54\n33\n").unwrap();
    let ran = ProcessOutput::of(&reply.wait_with_output().unwrap());
    assert_eq!(ran.json()["to"], "ada");
    let shown: Value =
        serde_json::from_str(&fixture.run_ok(&["log", "--question", &id, "--json"])).unwrap();
    assert_eq!(shown["answer"], "54\n33");
    assert_eq!(shown["by"], "person");
}

#[test]
fn cli_output_omits_control_characters_of_peers() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(
        &mut ada,
        "bo",
        "a\u{1b}]0;title\u{7}\u{1b}[2Jb\u{202e}c\u{9b}1m",
    );
    for arguments in [
        &["inbox", "--all"][..],
        &["inbox", "--peer", "bo", "--json"],
        &["log"],
    ] {
        let shown = fixture.run_ok(arguments);
        assert!(
            !shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']),
            "{shown:?}"
        );
    }
}

#[test]
fn cli_output_is_raw_in_a_pipe_and_sanitized_in_a_terminal() {
    let raw = "a\tb\r\nc\u{1b}[1mX\u{9b}2m\n</peer-question>\n\n";
    let clean = "a\tb\ncX2m\n";
    let fixture = CliFixture::new();
    let mut set = fixture
        .world
        .command(program("claude-mesh"), &fixture.folder)
        .args(["state", "set", "raw", "-", "--text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = set.stdin.take().unwrap();
    stdin.write_all(raw.as_bytes()).unwrap();
    drop(stdin);
    assert!(set.wait().unwrap().success());
    // One newline ends the text on its way in, and one on its way out.
    assert_eq!(fixture.run_ok(&["state", "get", "raw"]), raw);
    let answering = answers(fixture.peer("bo"), "a\r\n\u{1b}[1mX\n");
    let answer = fixture.run_ok(&["ask", "bo", "which port?"]);
    assert_eq!(answer, "a\r\n\u{1b}[1mX\n\n");
    drop(answering.join().unwrap());

    let command = format!("{} state get raw", program("claude-mesh"));
    let terminal = fixture
        .world
        .command("script", &fixture.folder)
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .output();
    match terminal {
        Ok(output) => {
            // The terminal itself ends its lines with \r\n.
            let shown = ProcessOutput::of(&output).out.replace("\r\n", "\n");
            assert!(shown.starts_with(clean), "{shown:?}");
        }
        Err(error) => {
            writeln!(std::io::stderr(), "SKIPPED: a terminal: {error}").ok();
        }
    }

    // What a session's shell prints is read by its model.
    let script = format!("read go; \"{}\" state get raw; :", program("claude-mesh"));
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &fixture.folder);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let shown = ProcessOutput::of(&shell.wait_with_output().unwrap()).out;
    assert!(shown.starts_with(clean), "{shown:?}");
    assert!(!shown.contains("</peer-question"), "{shown:?}");
}

#[test]
fn cli_log_prints_the_events_of_a_question_as_sentences() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let _cy = fixture.peer("cy");
    let id = CliFixture::question(&mut ada, "bo", "which port?");
    answers(bo, "5433").join().unwrap();
    let log = fixture.run_ok(&["log", "--peer", "bo"]);
    let said: Vec<&str> = log.lines().map(|line| &line[22..]).collect();
    assert_eq!(
        said,
        [
            "bo joined".to_owned(),
            format!("ada asked bo: which port?  {id}"),
            format!("bo was shown the question of ada (call)  {id}"),
            format!("bo answered ada (late): 5433  {id}"),
            "bo left (left)".to_owned(),
        ]
    );
    let lines = fixture.run_ok(&["log", "--json", "--since", "1h"]);
    let kinds: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds.len(), 7, "{lines}");
    assert_eq!(kinds[3], "question.asked");
    let none = fixture.run_ok(&["log", "--since", "2999-01-01T00:00:00Z"]);
    assert!(none.starts_with("nothing happened since then"), "{none}");
    assert_eq!(
        fixture.run_refused(&["log", "--peer", "bob"]).0,
        "unknown_peer"
    );
    assert_eq!(fixture.run(&["log", "--since", "soon"]).code, Some(2));
}

#[test]
fn cli_log_follow_is_woken_by_the_doorbell() {
    let fixture = CliFixture::new();
    let mut following = fixture.start(&["log", "-f", "--json"]);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let mut ada = fixture.peer("ada");
    let first = next();
    assert_eq!(
        (&first["seq"], &first["type"], &first["by"]),
        (&json!(1), &json!("peer.joined"), &json!("ada"))
    );
    let (me, project) = (ada.handle().clone(), fixture.world.project("ada"));
    let began = Instant::now();
    for number in 1..=CONSECUTIVE_EVENTS {
        let reported = ada
            .mesh()
            .emit(&me, &project, "project.step", &json!(number))
            .unwrap();
        // Before the first of them the follower itself comes in.
        let line = (0..2)
            .map(|_| next())
            .find(|line| line["type"] == "project.step");
        let line = line.unwrap();
        assert_eq!(
            (&line["seq"], &line["data"]),
            (&json!(reported), &json!(number))
        );
    }
    assert!(began.elapsed() < WAIT_TIMEOUT, "no bell rang");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn cli_log_forget_erases_the_question_from_all_files() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "is the-leaked-word right?").to_string();
    answers(bo, "the-leaked-word it is").join().unwrap();
    let reported = fixture.run_ok(&["log", "--forget", &id]);
    assert!(
        reported.starts_with("removed from ~/.claude-mesh/mesh.db: the question of ada to bo with its text, its answer"),
        "{reported}"
    );
    drop(ada);
    let folder = fixture.database().parent().unwrap().to_path_buf();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        if file.path().is_file() {
            let content = std::fs::read(file.path()).unwrap();
            let found = content.windows(15).any(|bytes| bytes == b"the-leaked-word");
            assert!(!found, "{}", file.path().display());
        }
    }
    assert!(
        fixture
            .run_ok(&["log"])
            .contains("ada asked somebody (forgotten)  ")
    );
    assert_eq!(
        fixture.run_refused(&["log", "--forget", &id]).0,
        "not_found"
    );
}

#[test]
fn cli_wall_isolates_a_folder_in_its_own_mesh() {
    let fixture = CliFixture::new();
    let _ada = fixture.peer("ada");
    let secret = fixture.world.project("acme/api");
    let built = fixture.run_ok(&["wall", "../acme", "acme"]);
    assert!(
        built.starts_with("~/acme and all below: mesh acme\n"),
        "{built}"
    );
    assert!(
        fixture
            .run_ok(&["wall"])
            .starts_with("~/acme/**  acme\nhere: mesh default")
    );
    let inside_wall = fixture.world.cli(&secret, &["peers"]);
    assert!(
        inside_wall
            .out
            .starts_with("no mesh here yet: ~/.claude-mesh/meshes/acme/mesh.db"),
        "{inside_wall:?}"
    );
    assert_eq!(
        fixture.world.cli(&secret, &["ask", "ada", "hello?"]).code,
        Some(1),
        "nobody is found across the wall"
    );
    assert!(
        fixture
            .run_ok(&["wall", "../acme", "default"])
            .contains("(it was acme)")
    );
    assert!(fixture.world.cli(&secret, &["peers"]).out.contains("ada"));
    assert_eq!(
        fixture.run_refused(&["wall", "../a*", "acme"]).0,
        "invalid_argument"
    );
    assert_eq!(
        fixture.run_refused(&["wall", "../acme", "A B"]).0,
        "storage"
    );
    assert_eq!(fixture.run(&["wall", "../acme"]).code, Some(2));
}

#[test]
fn cli_refuses_an_invalid_mesh_config() {
    let fixture = CliFixture::new();
    let _ada = fixture.peer("ada");
    let misspelled = "{\"meshs\": {\"/proj/**\": \"a\"}}";
    for broken in ["{", misspelled, "{\"walls\": 5}"] {
        fixture.world.write(".claude-mesh/config.json", broken);
        let (code, reported) = fixture.run_refused(&["peers"]);
        assert_eq!(code, "storage");
        assert!(
            reported.contains("config.json cannot be used"),
            "{reported}"
        );
    }
}

#[test]
fn cli_and_doctor_report_the_line_of_a_project_file_error() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write("own/.claude-mesh.json", "{\n \"name\": 7 }");
    let (code, reported) = fixture.run_refused(&["peers"]);
    assert_eq!(code, "storage");
    assert!(
        reported.contains("own/.claude-mesh.json cannot be used") && reported.contains("line 2"),
        "{reported}"
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, ".claude-mesh.json cannot be used")["severity"],
        "problem"
    );
}

#[test]
fn cli_status_and_gc_report_counts() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(&mut ada, "bo", "which port?");
    drop(bo);
    let status: Value = serde_json::from_str(&fixture.run_ok(&["status", "--json"])).unwrap();
    assert_eq!(status["status"], "ok");
    assert_eq!(
        status["peers"],
        json!({ "alive": 1, "stale": 0, "dead": 1 })
    );
    assert_eq!(status["questions"]["open"], 1);
    assert!(
        fixture
            .run_ok(&["status"])
            .contains("questions  1 open, 0 answered, 0 expired")
    );
    let text = fixture.run_ok(&["status"]);
    let in_one_row = [
        "status",
        "path",
        "bytes",
        "wal_bytes",
        "schema",
        "paused_until",
    ];
    for key in status.as_object().unwrap().keys() {
        let row = |line: &str| line.split_whitespace().next() == Some(key);
        let is_told = text.lines().any(row) || in_one_row.contains(&key.as_str());
        assert!(is_told, "{key} is not in {text}");
    }
    let reclaimed: Value = serde_json::from_str(&fixture.run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(reclaimed["reclaimed"]["questions"], 0);
    let nothing: Value =
        serde_json::from_str(&CliFixture::new().run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(nothing, reclaimed, "without a mesh the same keys");
    assert!(
        fixture.run_ok(&["inbox", "--all"]).contains("which port?"),
        "open questions stay"
    );
}

#[test]
fn cli_gc_removes_expired_questions_and_shrinks_the_file() {
    let fixture = CliFixture::new();
    let now_ms = SystemClock::new().now().wall_ms;
    let clock = Arc::new(ManualClock::at(now_ms - 60 * 24 * 3600 * 1000));
    let mesh = || Mesh::open(&fixture.database(), clock.clone()).unwrap();
    let request = |name: &str, number| {
        let request = JoinRequest::here(&fixture.world.project(name)).unwrap();
        request.instance(number)
    };
    let mut ada = mesh().join(&request("ada", 901)).unwrap();
    let mut bo = mesh().join(&request("bo", 902)).unwrap();
    for number in 0..40 {
        let text = format!("{number} {}", "x".repeat(60_000));
        let id = CliFixture::question(&mut ada, "bo", &text);
        bo.answer(id, "yes").unwrap();
    }
    drop((ada, bo));
    let reclaimed: Value = serde_json::from_str(&fixture.run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(reclaimed["reclaimed"]["questions"], 40);
    assert!(
        reclaimed["reclaimed"]["bytes"].as_u64().unwrap() > 2_000_000,
        "{reclaimed}"
    );
    assert!(fixture.database().metadata().unwrap().len() < 400_000);
}

#[test]
fn cli_peers_forget_frees_only_an_unoccupied_name() {
    let fixture = CliFixture::new();
    let ada = fixture.peer("ada");
    assert_eq!(
        fixture.run_refused(&["peers", "--forget", "ada"]).0,
        "conflict"
    );
    drop(ada);
    assert!(
        fixture
            .run_ok(&["peers", "--forget", "Ada"])
            .contains("the name is free")
    );
    assert_eq!(
        fixture.run_refused(&["peers", "--forget", "ada"]).0,
        "unknown_peer"
    );
}

#[test]
fn cli_exits_successfully_when_stdout_is_closed() {
    let fixture = CliFixture::new();
    let _ada = fixture.peer("ada");
    for arguments in [
        &["peers"][..],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let mut running = fixture.start(arguments);
        drop(running.stdout.take());
        let ran = ProcessOutput::of(&running.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn cli_help_fails_when_stdout_cannot_be_written() {
    let fixture = CliFixture::new();
    for arguments in ["--help", "ask --help", "--version", "status"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let output = fixture
            .world
            .command(program("claude-mesh"), &fixture.folder)
            .args(arguments.split(' '))
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        assert_eq!(ran.code, Some(1), "{arguments}: {ran:?}");
        assert!(ran.err.contains("cannot print"), "{arguments}: {ran:?}");
    }
}

#[test]
fn cli_in_a_session_shell_asks_as_that_session() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let folder = fixture.world.project("ada");
    let script = format!(
        "read go; \"{}\" ask bo 'which port?' --timeout 20s; :",
        program("claude-mesh")
    );
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &folder);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    assert_eq!(inbox.questions[0].from.as_str(), "ada");
    bo.answer(inbox.questions[0].pending.question.id, "5433")
        .unwrap();
    assert_eq!(shell.wait_with_output().unwrap().stdout, b"5433\n");
}

#[test]
fn cli_in_a_session_shell_refuses_person_only_commands() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "the-private-word");
    let script = format!(
        "read go; for words in 'inbox --all' 'inbox --peer bo' 'log --question {id}' 'reply --force {id} x' 'log'; do \"{}\" $words; done; :",
        program("claude-mesh")
    );
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &fixture.world.project("cy"));
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let ran = ProcessOutput::of(&shell.wait_with_output().unwrap());
    assert_eq!(ran.err.matches("is for the person").count(), 4, "{ran:?}");
    assert!(!ran.out.contains("the-private-word"), "{ran:?}");
    assert!(ran.out.contains("ada asked bo"), "{ran:?}");
}

#[test]
fn cli_ask_keeps_waiting_when_a_question_arrives() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let asking = fixture.start(&["ask", "bo", "which port?"]);
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    let person = inbox.questions[0].from.clone();
    let to = Address::parse(person.as_str()).unwrap();
    let (back, wait) = bo.ask(&to, "which host?", None).unwrap();
    let wait = wait.expect("the person can be asked while it waits");
    fixture.run_ok(&["reply", &back.question.to_string(), "this one"]);
    let (waited, _) = bo.wait(&wait, WAIT_TIMEOUT, |_| true).unwrap();
    assert!(matches!(waited, WaitOutcome::Done(_)), "{waited:?}");
    bo.answer(inbox.questions[0].pending.question.id, "5433")
        .unwrap();
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5433\n"), "{ran:?}");
}

#[test]
fn cli_usage_errors_exit_with_status_2() {
    let fixture = CliFixture::new();
    for arguments in [
        &["nonsense"][..],
        &[],
        &["ask", "bo"],
        &["ask", "--all", "bo", "why?"],
        &["ask", "bo", "why?", "--timeout", "soon"],
        &["reply", "x"],
        &["install", "--project", "--local"],
    ] {
        assert_eq!(fixture.run(arguments).code, Some(2), "{arguments:?}");
    }
    assert!(fixture.run_ok(&["--help"]).contains("Exit status: 0 done"));
    assert_eq!(
        fixture.run_ok(&["--version"]),
        format!("claude-mesh {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn cli_commands_have_examples_and_man_pages() {
    let fixture = CliFixture::new();
    let help = fixture.run_ok(&["--help"]);
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    for line in listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
    {
        let command = line.split_whitespace().next().unwrap();
        assert!(
            fixture
                .run_ok(&[command, "--help"])
                .contains("Examples:\n  "),
            "{command}"
        );
        assert!(
            fixture.run_ok(&["man", command]).contains(".SH SYNOPSIS"),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            fixture
                .run_ok(&["completions", shell])
                .contains("claude-mesh")
        );
    }
    assert_eq!(
        fixture.run_refused(&["man", "nonsense"]).0,
        "invalid_argument"
    );
}

#[test]
fn cli_install_prints_its_diff_and_is_idempotent() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write(".claude/settings.json", "{\n  \"model\": \"opus\"\n}\n");
    let settings =
        || std::fs::read_to_string(fixture.world.home().join(".claude/settings.json")).unwrap();
    let before = settings();
    let dry = fixture.run_ok(&["install", "--dry-run"]);
    assert!(
        dry.contains("+      \"mcp__claude-mesh\"") && dry.contains("--- ~/.claude.json"),
        "{dry}"
    );
    assert!(dry.ends_with("nothing was written (--dry-run)\n"), "{dry}");
    assert_eq!(settings(), before);

    let mut client = Command::new("sleep").arg("60").spawn().unwrap();
    fixture.register(client.id(), &fixture.folder);
    let reported = fixture.run_ok(&["install"]);
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(
        reported.contains("wrote ~/.claude/settings.json (before: ~/.claude/settings.json"),
        "{reported}"
    );
    assert!(
        reported
            .ends_with("1 session is open now: it joins after a restart (`claude --continue`)\n"),
        "{reported}"
    );
    assert!(settings().contains("claude-mesh-inbox-poll") && settings().contains("\"opus\""));
    assert_eq!(
        fixture.run_ok(&["install"]),
        "nothing to do: claude-mesh is installed already\n"
    );

    let out: Value = serde_json::from_str(&fixture.run_ok(&["uninstall", "--json"])).unwrap();
    assert_eq!(out["written"].as_array().unwrap().len(), 2, "{out}");
    assert_eq!(settings(), before);
}

#[test]
fn cli_install_adds_the_rewake_hook_on_request() {
    let fixture = CliFixture::new();
    let reported = fixture.run_ok(&["install", "--wake", "rewake"]);
    assert!(
        reported.contains("+            \"asyncRewake\": true"),
        "{reported}"
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "claude-mesh-inbox-wait 0.")["severity"],
        "ok"
    );
    let wake = finding(&found, "wake: a hook waits");
    assert_eq!(wake["severity"], "ok");
    let reported = fixture.run_ok(&["install", "--wake", "inbox"]);
    assert!(
        reported.contains("-            \"asyncRewake\": true"),
        "{reported}"
    );
    let ran = fixture.run(&["install", "--wake", "sometimes"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn cli_install_keeps_an_unparsable_settings_file_unchanged() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write(".claude/settings.json", "{\n  \"model\": opus\n}\n");
    let (code, reported) = fixture.run_refused(&["install"]);
    assert_eq!(code, "storage");
    assert!(
        reported.contains("line 2, column 12") && reported.contains("untouched"),
        "{reported}"
    );
    assert!(!fixture.world.home().join(".claude.json").exists());
}

#[test]
fn cli_install_project_writes_project_files() {
    let fixture = CliFixture::new();
    let reported = fixture.run_ok(&["install", "--project"]);
    assert!(
        reported.contains("wrote ~/own/.mcp.json") && reported.contains("is not on your PATH"),
        "{reported}"
    );
    let entry = std::fs::read_to_string(fixture.folder.join(".mcp.json")).unwrap();
    assert!(
        entry.contains("CLAUDE_MESH_PROJECT_PATH") && !entry.contains("/claude-mesh-server"),
        "{entry}"
    );
    fixture.run_ok(&["uninstall", "--project"]);
    assert!(!fixture.folder.join(".mcp.json").exists());
    let ran = fixture
        .world
        .cli(&fixture.world.home(), &["install", "--project"]);
    assert!(
        ran.err.contains("the home folder is not a project"),
        "{ran:?}"
    );
}

#[test]
fn cli_install_fails_without_its_sibling_programs() {
    let fixture = CliFixture::new();
    let own = std::fs::read(program("claude-mesh")).unwrap();
    let alone = fixture.world.executable("bin/claude-mesh", &own);
    let output = fixture
        .world
        .command(alone.to_str().unwrap(), &fixture.folder)
        .arg("install")
        .output()
        .unwrap();
    let ran = ProcessOutput::of(&output);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("claude-mesh-server, claude-mesh-session-start"),
        "{ran:?}"
    );
    assert!(!fixture.world.home().join(".claude.json").exists());
}

#[track_caller]
fn finding(findings: &Value, text: &str) -> Value {
    let all = findings["findings"].as_array().unwrap();
    let found = all
        .iter()
        .find(|finding| finding["text"].as_str().unwrap().contains(text));
    found
        .unwrap_or_else(|| panic!("nothing of {text:?} in {findings:#}"))
        .clone()
}

#[test]
fn doctor_reports_problems_with_their_fix() {
    let fixture = CliFixture::new();
    let ran = fixture.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(1));
    let found = ran.json();
    assert_eq!(found["ok"], false);
    let unwired = finding(&found, "no server entry is wired");
    assert_eq!(
        (&unwired["severity"], &unwired["mend"]),
        (&json!("problem"), &json!("claude-mesh install"))
    );
    assert_eq!(finding(&found, "no database yet")["severity"], "note");
    assert_eq!(
        finding(&found, "claude-mesh-inbox-poll 0.")["severity"],
        "ok"
    );
    fixture.run_ok(&["install"]);
    let _ada = fixture.peer("ada");
    let ran = fixture.run(&["doctor", "--json"]);
    let found = ran.json();
    assert_eq!(
        (ran.code, &found["ok"]),
        (Some(0), &json!(true)),
        "{found:#}"
    );
    assert_eq!(finding(&found, "claude-mesh-server 0.")["severity"], "ok");
    assert_eq!(finding(&found, "hooks: 4 wired")["severity"], "ok");
    assert_eq!(finding(&found, "database: schema")["severity"], "ok");
    assert_eq!(finding(&found, "mesh default here")["severity"], "ok");
    let text = fixture.run(&["doctor"]).out;
    assert!(
        text.contains("ok       hooks: 4 wired (~/.claude/settings.json)"),
        "{text}"
    );
}

#[test]
fn doctor_notes_a_database_path_set_only_in_this_shell() {
    let mut fixture = CliFixture::new();
    let other = fixture.world.home().join("other.db");
    fixture.world.set("MESH_DB_PATH", other.to_str().unwrap());
    let found = fixture.run(&["doctor", "--json"]).json();
    let apart = finding(&found, "this shell uses ~/other.db");
    assert_eq!(apart["severity"], "note");
    assert!(
        apart["mend"]
            .as_str()
            .unwrap()
            .contains("~/.claude-mesh/.env")
    );
}

#[test]
fn doctor_reports_silently_ignored_settings() {
    let fixture = CliFixture::new();
    fixture.world.write(
        ".claude-mesh/.env",
        "\u{feff}CLAUDE_MESH_SYNC=full\nCLAUDE_MESH_NAME=front\n",
    );
    fixture.world.write(
        "own/.claude-mesh.json",
        "\u{feff}{ \"topics\": [\"ops\", \"two words\"] }",
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    let misplaced = finding(
        &found,
        "CLAUDE_MESH_NAME in ~/.claude-mesh/.env has no effect",
    );
    assert_eq!(misplaced["severity"], "note");
    assert!(!found.to_string().contains("CLAUDE_MESH_SYNC"));
    let topic = finding(&found, "a topic in ~/own/.claude-mesh.json is passed over");
    assert!(
        topic["text"]
            .as_str()
            .unwrap()
            .ends_with("got \"two words\"")
    );
}

#[test]
fn cli_reports_a_database_path_that_is_not_a_file() {
    let mut fixture = CliFixture::new();
    fixture.world.set("MESH_DB_PATH", "/dev/null");
    let ran = fixture.run(&["state", "set", "a", "1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("hint: "), "{ran:?}");
    assert!(!ran.err.contains("chmod"), "{ran:?}");
    if rustix::process::geteuid().is_root() {
        assert!(ran.err.contains("/dev/null: it is not a file"), "{ran:?}");
    }
}

#[test]
fn doctor_reports_foreign_database_recent_fault_and_old_client() {
    let mut fixture = CliFixture::new();
    fixture.world.write(
        ".claude-mesh/mesh.db",
        "not a database at all, but a note of some length: milk, bread, butter, eggs",
    );
    fixture.world.write(
        ".claude-mesh/faults.log",
        "2999-01-01T00:00:00.000Z claude-mesh-inbox-poll disk is full\n2001-01-01T00:00:00.000Z old\n",
    );
    let old = b"#!/bin/sh\necho '2.1.100 (Claude Code)'\n";
    fixture.world.executable("bin/claude", old);
    let path = format!(
        "{}:/usr/bin:/bin",
        fixture.world.home().join("bin").display()
    );
    fixture.world.set("PATH", &path);
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "file is not a database")["severity"],
        "problem"
    );
    assert_eq!(finding(&found, "disk is full")["severity"], "note");
    assert_eq!(finding(&found, "2.1.100")["mend"], "claude update");
    assert!(!found.to_string().contains("2001-01-01"));
    fixture.run_ok(&["install", "--wake", "rewake"]);
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "2.1.100")["severity"], "ok");
    let ran = fixture.run(&["peers"]);
    let hint = "file is not a database\nhint: nothing was changed. Close all sessions, then `mv ";
    assert!(ran.err.contains(hint), "{ran:?}");
}

#[test]
fn doctor_explains_how_to_recover_a_damaged_database() {
    let fixture = CliFixture::new();
    let path = fixture.world.database();
    let copy = "mesh.db.schema-2-20260101T000000000Z.bak";
    fixture
        .world
        .write(&format!(".claude-mesh/{copy}"), "a copy");
    let ada = fixture.peer("ada");
    drop(ada);
    let whole = std::fs::read(&path).unwrap();
    let cases = [
        (
            &b"garbage of more than some bytes "[..],
            "file is not a database",
        ),
        (&whole[..10_000], "damaged"),
        (&whole[..5_000], "damaged"),
    ];
    for (content, says) in cases {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
        std::fs::write(&path, content).unwrap();
        let found = fixture.run(&["doctor", "--json"]).json();
        let broken = finding(&found, says);
        assert_eq!(broken["severity"], "problem");
        let mend = broken["mend"].as_str().expect("what to do");
        let command = format!("`mv {0} {0}.damaged`", path.display());
        for part in [command.as_str(), copy, "Settings and walls"] {
            assert!(mend.contains(part), "{part:?} is not in {mend:?}");
        }
        assert!(!mend.contains("doctor"), "{mend:?}");
    }
    std::fs::rename(&path, path.with_extension("db.damaged")).unwrap();
    fixture.run_ok(&["state", "set", "a", "1"]);
}

#[test]
fn doctor_reports_a_mesh_folder_writable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = CliFixture::new();
    let folder = fixture.world.project(".claude-mesh");
    let mode = |mode| {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o777);
    let found = fixture.run(&["doctor", "--json"]).json();
    let open = finding(&found, "can be written by others");
    assert_eq!(open["severity"], "problem");
    assert!(!found.to_string().contains("no database yet"), "{found:#}");
    mode(0o700);
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "no database yet")["severity"], "note");
    assert!(!folder.join("mesh.db").exists());
}

#[test]
fn cli_peers_watch_reprints_the_list_on_change() {
    let fixture = CliFixture::new();
    let mut watching = fixture.start(&["peers", "--watch", "--json"]);
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next(), json!({ "peers": [] }));
    let mut until = |names: &[&str]| {
        let mut seen = Value::Null;
        // What is printed on the way differs in other things: times, what a peer is at.
        for _ in 0..20 {
            seen = next()["peers"].clone();
            let peers = seen.as_array().unwrap().iter();
            if peers
                .map(|peer| peer["peer"].as_str().unwrap())
                .eq(names.iter().copied())
            {
                return;
            }
        }
        panic!("never just {names:?}: {seen}");
    };
    let ada = fixture.peer("ada");
    until(&["ada"]);
    let _bo = fixture.peer("bo");
    until(&["ada", "bo"]);
    drop(ada);
    until(&["bo"]);
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn demo_runs_its_scenarios_and_cleans_up() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let reported = fixture.run_ok(&["demo"]);
    assert!(
        reported.contains("1. An idle session") && reported.contains("5. The asker is killed"),
        "{reported}"
    );
    assert!(
        reported.contains("frontend gets \"5433\" as the result of its call ("),
        "{reported}"
    );
    assert!(!reported.contains('\u{1b}'), "{reported}");
    let json: Value = serde_json::from_str(&fixture.run_ok(&["demo", "--json"])).unwrap();
    assert_eq!(json["ok"], true);
    let times = json["stories"].as_array().unwrap();
    assert!(
        times[1]["times"]["answer_to_result_ms"].is_i64(),
        "{json:#}"
    );
    assert!(times[0]["times"]["ask_to_doorbell_ms"].is_i64(), "{json:#}");
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
    assert!(!fixture.world.home().join(".claude-mesh").exists());
}

#[test]
fn failed_demo_reports_the_cause_and_cleans_up() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let own = std::fs::read(program("claude-mesh")).unwrap();
    let alone = fixture.world.executable("bin/claude-mesh", &own);
    for name in [
        "server",
        "session-start",
        "session-end",
        "inbox-poll",
        "claim-guard",
        "inbox-wait",
    ] {
        let path = format!("bin/claude-mesh-{name}");
        fixture.world.executable(&path, b"#!/bin/sh\nexit 0\n");
    }
    let mut command = fixture
        .world
        .command(alone.to_str().unwrap(), &fixture.folder);
    let ran = ProcessOutput::of(&command.arg("demo").output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.starts_with("claude-mesh: the demo failed: "),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn real_demo_without_claude_code_explains_how_to_install_it() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    fixture.world.set("PATH", "");
    let ran = fixture.run(&["demo", "--real"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err
            .starts_with("claude-mesh: Claude Code is not installed: there is no `claude` on your PATH\nhint: `npm install"),
        "{ran:?}"
    );
    let ran = fixture.run(&["demo", "--real", "--claude", "nowhere/claude"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("there is no program nowhere/claude"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn real_demo_reports_the_screen_of_a_failed_claude_code() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let program = b"#!/bin/sh\n[ \"$1\" = --version ] && echo '9.9.9 (Claude Code)' && exit\necho 'please log in'\n";
    let fake = fixture.world.executable("bin/claude", program);
    let demo = ["demo", "--real", "--claude", fake.to_str().unwrap()];
    let ran = fixture.run(&demo);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.starts_with("Claude Code 9.9.9 runs here"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("end has ended\n") && ran.err.contains("end ends with: please log in\n"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    let ran = fixture.run(&[&demo[..], &["--keep"]].concat());
    let kept = std::fs::read_dir(&temporary)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(
        ran.err
            .contains(&format!("hint: its folder is {}", kept.display())),
        "{ran:?}"
    );
    let screens = ["frontend.screen", "backend.screen"];
    let screens = screens.map(|name| std::fs::read_to_string(kept.join(name)).unwrap());
    assert!(screens.contains(&"please log in\r\n".into()), "{screens:?}");
}
