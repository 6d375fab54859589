//! The program for people, run as they run it, beside peers that sit in the same database.
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use claude_mesh::mesh::{Arrival, Member, Mesh, Reply, Waited};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::clock::{Clock, SetClock, SystemClock};
use claude_mesh::platform::id::QuestionId;
use serde_json::{Value, json};

use crate::event::IN_A_ROW;
use crate::world::{PATIENCE, Ran, World, program};

/// A home with a project folder of the person's own and peers made of this process.
struct Desk {
    world: World,
    folder: PathBuf,
}

impl Desk {
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
        let arrival = Arrival::here(&folder).unwrap();
        let arrival = arrival.instance(INSTANCE.fetch_add(1, Ordering::SeqCst));
        self.open().join(&arrival).unwrap()
    }

    /// Runs a command in the person's own folder.
    fn types(&self, arguments: &[&str]) -> Ran {
        self.world.cli(&self.folder, arguments)
    }

    /// Runs a command that must succeed. Returns what it printed.
    #[track_caller]
    fn sees(&self, arguments: &[&str]) -> String {
        let ran = self.types(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        ran.out
    }

    /// Runs a command that must be refused. Returns the code of its JSON error and what it says as text.
    #[track_caller]
    fn is_refused(&self, arguments: &[&str]) -> (String, String) {
        let ran = self.types(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        let told = self.types(&[arguments, &["--json"]].concat());
        assert_eq!((told.code, told.err.as_str()), (Some(1), ""), "{told:?}");
        let error = &told.json()["error"];
        assert!(ran.err.starts_with("claude-mesh: "), "{ran:?}");
        assert!(
            ran.err.contains(error["message"].as_str().unwrap()),
            "{ran:?} {error}"
        );
        (error["code"].as_str().unwrap().to_owned(), ran.err)
    }

    /// Starts a command and goes on.
    fn starts(&self, arguments: &[&str]) -> Child {
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
        let me = from.sitting().clone();
        from.mesh().abandon(&me, &wait.unwrap(), &[]).unwrap();
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
fn timeless(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if number { "*" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Lets a peer answer the next question with a text.
fn answers(mut peer: Member, text: &'static str) -> JoinHandle<Member> {
    std::thread::spawn(move || {
        let inbox = peer.next_questions(PATIENCE).unwrap();
        let question = inbox.questions[0].pending.question.id;
        peer.answer(question, text).unwrap();
        peer
    })
}

fn declines(mut peer: Member, reason: &'static str) -> JoinHandle<Member> {
    std::thread::spawn(move || {
        let inbox = peer.next_questions(PATIENCE).unwrap();
        let me = peer.sitting().clone();
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
fn looking_around_makes_no_database() {
    let desk = Desk::new();
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
        desk.sees(arguments);
    }
    assert!(desk.sees(&["peers"]).starts_with(
        "no mesh here yet: ~/.claude-mesh/mesh.db does not exist\n`claude-mesh install`"
    ));
    assert_eq!(desk.is_refused(&["ask", "bo", "why?"]).0, "unknown_peer");
    assert_eq!(desk.is_refused(&["ask", "--all", "why?"]).0, "unknown_peer");
    desk.types(&["doctor"]);
    assert!(!desk.world.home().join(".claude-mesh").exists());
}

#[test]
fn peers_are_a_table_that_begins_with_the_mesh_and_who_one_is() {
    let desk = Desk::new();
    let (mut ada, bo) = (desk.peer("ada"), desk.peer("bo"));
    Desk::question(&mut ada, "bo", "which port?");
    let table = desk.sees(&["peers"]);
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
    let json: Value = serde_json::from_str(&desk.sees(&["peers", "--json"])).unwrap();
    assert_eq!(json["peers"][1]["peer"], "bo");
    assert_eq!(json["peers"][1]["questions_waiting"], 1);
    assert!(json["you"].as_str().unwrap().starts_with("person@"));
    drop(bo);
    assert!(!desk.sees(&["peers"]).contains("bo"));
    assert!(desk.sees(&["peers", "--all"]).contains("offline, seen "));
}

#[test]
fn who_waits_for_its_person_stands_above_who_must_be_restarted_and_that_above_who_works() {
    let desk = Desk::new();
    let ada = desk.world.session("ada");
    ada.register("busy");
    let arrival = Arrival::here(&desk.world.project("moe")).unwrap();
    desk.open().sit(&arrival.instance(99)).unwrap();
    let zoe = desk.world.session("zoe");
    zoe.register("waiting");
    let table = desk.sees(&["peers"]);
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
fn a_scope_narrows_the_list() {
    let desk = Desk::new();
    desk.world.write("shop/.git/HEAD", "ref: refs/heads/main\n");
    let (_ada, _api) = (desk.peer("ada"), desk.peer("shop/api"));
    let shop = desk.world.home().join("shop");
    let names = |scope| {
        let ran = desk
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
fn the_answer_alone_stands_on_stdout() {
    let desk = Desk::new();
    let bo = answers(desk.peer("bo"), "5433\nor 5434");
    let ran = desk.types(&["ask", "bo", "which port?"]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "5433\nor 5434\n", "")
    );
    let bo = answers(bo.join().unwrap(), "again");
    let json = desk.types(&["ask", "bo", "and now?", "--json"]).json();
    assert_eq!(json["status"], "answered");
    assert_eq!(json["answer"], "again");
    assert_eq!(json["from"], "bo");
    assert_eq!(json["by"], "session");
    bo.join().unwrap();
}

#[test]
fn a_decline_is_told_with_its_reason_and_fails() {
    let desk = Desk::new();
    let bo = declines(desk.peer("bo"), "ask cy");
    let ran = desk.types(&["ask", "bo", "which port?"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(ran.err, "claude-mesh: bo declined: ask cy\n");
    bo.join().unwrap();
}

#[test]
fn the_context_of_a_file_reaches_the_peer() {
    let desk = Desk::new();
    let mut bo = desk.peer("bo");
    let context = desk.world.write("build.log", "error: no port\n");
    let asking = desk.starts(&["ask", "bo", "why?", "--context", context.to_str().unwrap()]);
    let inbox = bo.next_questions(PATIENCE).unwrap();
    let question = &inbox.questions[0].pending.question;
    assert_eq!(question.context.as_deref(), Some("error: no port\n"));
    assert!(inbox.questions[0].from.as_str().starts_with("person@"));
    bo.answer(question.id, "because").unwrap();
    assert_eq!(asking.wait_with_output().unwrap().stdout, b"because\n");
}

#[test]
fn a_context_that_cannot_be_carried_is_refused_before_anything_is_asked() {
    let desk = Desk::new();
    let _bo = desk.peer("bo");
    let large = desk.world.write("large", &"x".repeat(70_000));
    let bytes = desk.world.home().join("bytes");
    std::fs::write(&bytes, [0xff, 0xfe]).unwrap();
    let refused =
        |path: &Path| desk.is_refused(&["ask", "bo", "why?", "--context", path.to_str().unwrap()]);
    assert_eq!(refused(&large).0, "too_large");
    assert!(refused(&bytes).1.contains("is not UTF-8"));
    assert!(refused(Path::new("/nowhere")).1.contains("No such file"));
    assert_eq!(desk.is_refused(&["ask", "bo", " "]).0, "invalid_argument");
    assert_eq!(
        desk.is_refused(&["ask", "two words", "why?"]).0,
        "invalid_argument"
    );
    assert_eq!(desk.sees(&["inbox", "--all"]), "no open questions\n");
}

#[test]
fn a_name_that_fits_nobody_is_answered_with_the_nearest() {
    let desk = Desk::new();
    let (_ada, _backend) = (desk.peer("ada"), desk.peer("backend"));
    let (code, told) = desk.is_refused(&["ask", "bakend", "why?"]);
    assert_eq!(code, "unknown_peer");
    assert_eq!(
        told,
        "claude-mesh: no peer called \"bakend\" in this mesh\nhint: nearest: backend; here now: ada, backend\n"
    );
    assert_eq!(desk.is_refused(&["inbox", "--peer", "bakend"]).1, told);
}

#[test]
fn a_question_to_an_empty_seat_is_stored_and_its_answer_found_later() {
    let desk = Desk::new();
    drop(desk.peer("bo"));
    let ran = desk.types(&["ask", "bo", "which port?"]);
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
    assert!(desk.sees(&["inbox"]).contains("you asked bo: which port?"));
    answers(desk.peer("bo"), "5433\u{1b}[31m").join().unwrap();
    let inbox = desk.sees(&["inbox"]);
    assert!(
        timeless(&inbox).contains("bo answered, * s ago (to: which port?)\n  5433\n"),
        "{inbox}"
    );
    let json: Value = serde_json::from_str(&desk.sees(&["inbox", "--json"])).unwrap();
    assert_eq!(json["answers"][0]["from"], "bo");
    assert_eq!(json["answers"][0]["late"], true);
    assert_eq!(json["questions"], json!([]));
}

#[test]
fn a_timeout_leaves_the_question_open_and_says_how_far_it_came() {
    let desk = Desk::new();
    let _bo = desk.peer("bo");
    let ran = desk.types(&["ask", "bo", "which port?", "--timeout", "1s"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("no answer within "), "{}", ran.err);
    assert!(
        timeless(&ran.err).contains("bo: stored * s ago, not shown yet"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("stays open"), "{}", ran.err);
    let json = desk.types(&["ask", "bo", "and now?", "--timeout", "1s", "--json"]);
    assert_eq!(json.code, Some(3));
    assert_eq!(json.json()["status"], "timed_out");
    assert_eq!(json.json()["delivery"]["wake"], "none");
}

#[test]
fn ctrl_c_ends_the_wait_at_once_and_names_the_open_question() {
    let desk = Desk::new();
    let mut bo = desk.peer("bo");
    let asking = desk.starts(&["ask", "bo", "which port?"]);
    let inbox = bo.next_questions(PATIENCE).unwrap();
    let id = inbox.questions[0].pending.question.id;
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = Ran::of(&asking.wait_with_output().unwrap());
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
    assert!(desk.sees(&["inbox"]).contains("5433"));

    let asking = desk.starts(&["ask", "bo", "which host?", "--json"]);
    bo.next_questions(PATIENCE).unwrap();
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = Ran::of(&asking.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.json()["status"], "cancelled");
    assert_eq!(ran.json()["withdrawn"], false);
}

#[test]
fn everybody_is_asked_after_it_was_said_who_that_is() {
    let desk = Desk::new();
    let (ada, bo) = (desk.peer("ada"), desk.peer("bo"));
    let (ada, bo) = (answers(ada, "yes"), declines(bo, "not my\nbranch"));
    let ran = desk.types(&["ask", "--all", "may I push?"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let mut lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.remove(0), "asking 2: ada, bo");
    assert!(lines.pop().unwrap().starts_with("2 of 2 replied after"));
    lines.sort_unstable();
    assert_eq!(lines, ["     branch", "ada  yes", "bo   declined: not my"]);
    let (ada, _bo) = (ada.join().unwrap(), bo.join().unwrap());
    let ada = answers(ada, "no");
    let ran = desk.types(&["ask", "--all", "and now?", "--timeout", "2s", "--json"]);
    assert_eq!(ran.code, Some(3));
    let json = ran.json();
    assert_eq!(json["status"], "partial");
    assert_eq!(json["answers"][0]["answer"], "no");
    assert_eq!(json["answers"][1]["status"], "timed_out");
    ada.join().unwrap();
}

#[test]
fn a_repository_can_be_asked_alone() {
    let desk = Desk::new();
    desk.world.write("shop/.git/HEAD", "ref: refs/heads/main\n");
    let (_ada, api) = (desk.peer("ada"), answers(desk.peer("shop/api"), "yes"));
    let ran = desk.world.cli(
        &desk.world.home().join("shop"),
        &["ask", "--repo", "may I push?"],
    );
    assert!(ran.out.starts_with("asking 1: api\napi  yes\n"), "{ran:?}");
    api.join().unwrap();
    assert_eq!(
        desk.is_refused(&["ask", "--repo", "may I?"]).0,
        "unknown_peer"
    );
}

#[test]
fn a_person_answers_and_the_asker_sees_that_it_was_a_person() {
    let desk = Desk::new();
    let (mut ada, _bo) = (desk.peer("ada"), desk.peer("bo"));
    let id = Desk::question(&mut ada, "bo", "which port?");
    let open = desk.sees(&["inbox", "--peer", "bo"]);
    assert!(
        timeless(&open).contains(&format!(
            "{id}  ada asks bo, * s ago\n  which port?\n  bo: stored * s ago, not shown yet, "
        )),
        "{open}"
    );
    let open = desk.types(&["inbox", "--all", "--json"]).json();
    assert_eq!(open["questions"][0]["delivery"]["wake"], "none", "{open}");
    let id = id.to_string();
    let told = desk.sees(&["reply", &id, "5433"]);
    assert!(
        told.starts_with("answered ada: it does not wait any more"),
        "{told}"
    );
    assert_eq!(
        desk.sees(&["reply", &id, "5433"]),
        told,
        "the same text again changes nothing"
    );
    let (code, refused) = desk.is_refused(&["reply", &id, "5434"]);
    assert_eq!(code, "conflict");
    assert!(
        refused.contains("hint: `claude-mesh reply --corrects"),
        "{refused}"
    );
    desk.sees(&["reply", &id, "5434", "--corrects"]);
    let me = ada.sitting().clone();
    let late = &ada.mesh().inbox(&me).unwrap().answers[0].question;
    assert_eq!(late.answer.as_deref(), Some("5434"));
    assert_eq!(
        late.answered_by,
        Some(claude_mesh::model::AnsweredBy::Person)
    );
}

#[test]
fn a_reply_that_cannot_be_given_says_why() {
    let desk = Desk::new();
    let (mut ada, _bo) = (desk.peer("ada"), desk.peer("bo"));
    let id = Desk::question(&mut ada, "bo", "which token?").to_string();
    assert_eq!(desk.is_refused(&["reply", "nonsense", "x"]).0, "not_found");
    assert_eq!(
        desk.is_refused(&["reply", &"0".repeat(26), "x"]).0,
        "not_found"
    );
    let token = format!("gh{}{}", "p_", "aB3dE5gH7jK9".repeat(3));
    let (code, told) = desk.is_refused(&["reply", &id, &token]);
    assert_eq!(code, "secret");
    assert!(told.contains("--force"), "{told}");
    assert!(!told.contains(&token), "{told}");
    desk.sees(&["reply", &id, &token, "--force"]);
}

#[test]
fn an_answer_is_read_from_stdin() {
    let desk = Desk::new();
    let (mut ada, _bo) = (desk.peer("ada"), desk.peer("bo"));
    let id = Desk::question(&mut ada, "bo", "which port?").to_string();
    let mut reply = desk
        .world
        .command(program("claude-mesh"), &desk.folder)
        .args(["reply", &id, "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reply.stdin.take().unwrap().write_all(b"54\n33\n").unwrap();
    let ran = Ran::of(&reply.wait_with_output().unwrap());
    assert_eq!(ran.json()["to"], "ada");
    let shown: Value =
        serde_json::from_str(&desk.sees(&["log", "--question", &id, "--json"])).unwrap();
    assert_eq!(shown["answer"], "54\n33");
    assert_eq!(shown["by"], "person");
}

#[test]
fn foreign_text_cannot_steer_the_terminal() {
    let desk = Desk::new();
    let (mut ada, _bo) = (desk.peer("ada"), desk.peer("bo"));
    Desk::question(
        &mut ada,
        "bo",
        "a\u{1b}]0;title\u{7}\u{1b}[2Jb\u{202e}c\u{9b}1m",
    );
    for arguments in [
        &["inbox", "--all"][..],
        &["inbox", "--peer", "bo", "--json"],
        &["log"],
    ] {
        let shown = desk.sees(arguments);
        assert!(
            !shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']),
            "{shown:?}"
        );
    }
}

#[test]
fn a_pipe_gets_every_byte_and_a_terminal_a_clean_text() {
    let raw = "a\tb\r\nc\u{1b}[1mX\u{9b}2m\n</peer-question>\n\n";
    let clean = "a\tb\ncX2m\n";
    let desk = Desk::new();
    let mut set = desk
        .world
        .command(program("claude-mesh"), &desk.folder)
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
    assert_eq!(desk.sees(&["state", "get", "raw"]), raw);
    let answering = answers(desk.peer("bo"), "a\r\n\u{1b}[1mX\n");
    let answer = desk.sees(&["ask", "bo", "which port?"]);
    assert_eq!(answer, "a\r\n\u{1b}[1mX\n\n");
    drop(answering.join().unwrap());

    let command = format!("{} state get raw", program("claude-mesh"));
    let terminal = desk
        .world
        .command("script", &desk.folder)
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .output();
    match terminal {
        Ok(output) => {
            // The terminal itself ends its lines with \r\n.
            let shown = Ran::of(&output).out.replace("\r\n", "\n");
            assert!(shown.starts_with(clean), "{shown:?}");
        }
        Err(error) => {
            writeln!(std::io::stderr(), "SKIPPED: a terminal: {error}").ok();
        }
    }

    // What a session's shell prints is read by its model.
    let script = format!("read go; \"{}\" state get raw; :", program("claude-mesh"));
    let mut shell = desk
        .world
        .command("/bin/sh", &desk.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    desk.register(shell.id(), &desk.folder);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let shown = Ran::of(&shell.wait_with_output().unwrap()).out;
    assert!(shown.starts_with(clean), "{shown:?}");
    assert!(!shown.contains("</peer-question"), "{shown:?}");
}

#[test]
fn the_log_tells_the_way_of_a_question_in_sentences() {
    let desk = Desk::new();
    let (mut ada, bo) = (desk.peer("ada"), desk.peer("bo"));
    let _cy = desk.peer("cy");
    let id = Desk::question(&mut ada, "bo", "which port?");
    answers(bo, "5433").join().unwrap();
    let log = desk.sees(&["log", "--peer", "bo"]);
    let said: Vec<&str> = log.lines().map(|line| &line[22..]).collect();
    assert_eq!(
        said,
        [
            "bo sat down".to_owned(),
            format!("ada asked bo: which port?  {id}"),
            format!("bo was shown the question of ada (call)  {id}"),
            format!("bo answered ada (late): 5433  {id}"),
            "bo left (left)".to_owned(),
        ]
    );
    let lines = desk.sees(&["log", "--json", "--since", "1h"]);
    let kinds: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds.len(), 7, "{lines}");
    assert_eq!(kinds[3], "question.asked");
    let none = desk.sees(&["log", "--since", "2999-01-01T00:00:00Z"]);
    assert!(none.starts_with("nothing happened since then"), "{none}");
    assert_eq!(desk.is_refused(&["log", "--peer", "bob"]).0, "unknown_peer");
    assert_eq!(desk.types(&["log", "--since", "soon"]).code, Some(2));
}

#[test]
fn a_followed_log_goes_on_by_the_bell() {
    let desk = Desk::new();
    let mut following = desk.starts(&["log", "-f", "--json"]);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let mut ada = desk.peer("ada");
    let first = next();
    assert_eq!(
        (&first["seq"], &first["type"], &first["by"]),
        (&json!(1), &json!("peer.joined"), &json!("ada"))
    );
    let (me, project) = (ada.sitting().clone(), desk.world.project("ada"));
    let began = Instant::now();
    for number in 1..=IN_A_ROW {
        let told = ada
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
            (&json!(told), &json!(number))
        );
    }
    assert!(began.elapsed() < PATIENCE, "no bell rang");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_forgotten_question_is_nowhere_in_the_file() {
    let desk = Desk::new();
    let (mut ada, bo) = (desk.peer("ada"), desk.peer("bo"));
    let id = Desk::question(&mut ada, "bo", "is the-leaked-word right?").to_string();
    answers(bo, "the-leaked-word it is").join().unwrap();
    let told = desk.sees(&["log", "--forget", &id]);
    assert!(
        told.starts_with("removed from ~/.claude-mesh/mesh.db: the question of ada to bo with its text, its answer"),
        "{told}"
    );
    drop(ada);
    let folder = desk.database().parent().unwrap().to_path_buf();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        if file.path().is_file() {
            let content = std::fs::read(file.path()).unwrap();
            let found = content.windows(15).any(|bytes| bytes == b"the-leaked-word");
            assert!(!found, "{}", file.path().display());
        }
    }
    assert!(
        desk.sees(&["log"])
            .contains("ada asked somebody (forgotten)  ")
    );
    assert_eq!(desk.is_refused(&["log", "--forget", &id]).0, "not_found");
}

#[test]
fn a_wall_separates_what_lies_behind_it() {
    let desk = Desk::new();
    let _ada = desk.peer("ada");
    let secret = desk.world.project("acme/api");
    let built = desk.sees(&["wall", "../acme", "acme"]);
    assert!(
        built.starts_with("~/acme and all below: mesh acme\n"),
        "{built}"
    );
    assert!(
        desk.sees(&["wall"])
            .starts_with("~/acme/**  acme\nhere: mesh default")
    );
    let behind = desk.world.cli(&secret, &["peers"]);
    assert!(
        behind
            .out
            .starts_with("no mesh here yet: ~/.claude-mesh/meshes/acme/mesh.db"),
        "{behind:?}"
    );
    assert_eq!(
        desk.world.cli(&secret, &["ask", "ada", "hello?"]).code,
        Some(1),
        "nobody is found across the wall"
    );
    assert!(
        desk.sees(&["wall", "../acme", "default"])
            .contains("(it was acme)")
    );
    assert!(desk.world.cli(&secret, &["peers"]).out.contains("ada"));
    assert_eq!(
        desk.is_refused(&["wall", "../a*", "acme"]).0,
        "invalid_argument"
    );
    assert_eq!(desk.is_refused(&["wall", "../acme", "A B"]).0, "storage");
    assert_eq!(desk.types(&["wall", "../acme"]).code, Some(2));
}

#[test]
fn a_broken_map_of_walls_opens_no_mesh() {
    let desk = Desk::new();
    let _ada = desk.peer("ada");
    let misspelled = "{\"meshs\": {\"/proj/**\": \"a\"}}";
    for broken in ["{", misspelled, "{\"walls\": 5}"] {
        desk.world.write(".claude-mesh/config.json", broken);
        let (code, told) = desk.is_refused(&["peers"]);
        assert_eq!(code, "storage");
        assert!(told.contains("config.json cannot be used"), "{told}");
    }
}

#[test]
fn a_broken_project_file_is_named_with_its_line() {
    let desk = Desk::new();
    desk.world
        .write("own/.claude-mesh.json", "{\n \"name\": 7 }");
    let (code, told) = desk.is_refused(&["peers"]);
    assert_eq!(code, "storage");
    assert!(
        told.contains("own/.claude-mesh.json cannot be used") && told.contains("line 2"),
        "{told}"
    );
    let found = desk.types(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, ".claude-mesh.json cannot be used")["severity"],
        "problem"
    );
}

#[test]
fn status_and_gc_are_figures() {
    let desk = Desk::new();
    let (mut ada, bo) = (desk.peer("ada"), desk.peer("bo"));
    Desk::question(&mut ada, "bo", "which port?");
    drop(bo);
    let status: Value = serde_json::from_str(&desk.sees(&["status", "--json"])).unwrap();
    assert_eq!(status["status"], "ok");
    assert_eq!(
        status["peers"],
        json!({ "alive": 1, "stale": 0, "dead": 1 })
    );
    assert_eq!(status["questions"]["open"], 1);
    assert!(
        desk.sees(&["status"])
            .contains("questions  1 open, 0 answered, 0 expired")
    );
    let text = desk.sees(&["status"]);
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
    let gone: Value = serde_json::from_str(&desk.sees(&["gc", "--json"])).unwrap();
    assert_eq!(gone["reclaimed"]["questions"], 0);
    let nothing: Value = serde_json::from_str(&Desk::new().sees(&["gc", "--json"])).unwrap();
    assert_eq!(nothing, gone, "without a mesh the same keys");
    assert!(
        desk.sees(&["inbox", "--all"]).contains("which port?"),
        "open questions stay"
    );
}

#[test]
fn gc_removes_what_is_over_its_time_and_gives_the_space_back() {
    let desk = Desk::new();
    let now_ms = SystemClock::new().now().wall_ms;
    let clock = Arc::new(SetClock::at(now_ms - 60 * 24 * 3600 * 1000));
    let mesh = || Mesh::open(&desk.database(), clock.clone()).unwrap();
    let arrival = |name: &str, number| {
        let arrival = Arrival::here(&desk.world.project(name)).unwrap();
        arrival.instance(number)
    };
    let mut ada = mesh().join(&arrival("ada", 901)).unwrap();
    let mut bo = mesh().join(&arrival("bo", 902)).unwrap();
    for number in 0..40 {
        let text = format!("{number} {}", "x".repeat(60_000));
        let id = Desk::question(&mut ada, "bo", &text);
        bo.answer(id, "yes").unwrap();
    }
    drop((ada, bo));
    let gone: Value = serde_json::from_str(&desk.sees(&["gc", "--json"])).unwrap();
    assert_eq!(gone["reclaimed"]["questions"], 40);
    assert!(
        gone["reclaimed"]["bytes"].as_u64().unwrap() > 2_000_000,
        "{gone}"
    );
    assert!(desk.database().metadata().unwrap().len() < 400_000);
}

#[test]
fn a_name_is_freed_only_where_nobody_sits() {
    let desk = Desk::new();
    let ada = desk.peer("ada");
    assert_eq!(desk.is_refused(&["peers", "--forget", "ada"]).0, "conflict");
    drop(ada);
    assert!(
        desk.sees(&["peers", "--forget", "Ada"])
            .contains("the name is free")
    );
    assert_eq!(
        desk.is_refused(&["peers", "--forget", "ada"]).0,
        "unknown_peer"
    );
}

#[test]
fn a_closed_pipe_is_success() {
    let desk = Desk::new();
    let _ada = desk.peer("ada");
    for arguments in [
        &["peers"][..],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let mut running = desk.starts(arguments);
        drop(running.stdout.take());
        let ran = Ran::of(&running.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn help_that_cannot_be_printed_is_a_failure() {
    let desk = Desk::new();
    for arguments in ["--help", "ask --help", "--version", "status"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let output = desk
            .world
            .command(program("claude-mesh"), &desk.folder)
            .args(arguments.split(' '))
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let ran = Ran::of(&output);
        assert_eq!(ran.code, Some(1), "{arguments}: {ran:?}");
        assert!(ran.err.contains("cannot print"), "{arguments}: {ran:?}");
    }
}

#[test]
fn in_the_shell_of_a_session_the_session_speaks() {
    let desk = Desk::new();
    let mut bo = desk.peer("bo");
    let folder = desk.world.project("ada");
    let script = format!(
        "read go; \"{}\" ask bo 'which port?' --timeout 20s; :",
        program("claude-mesh")
    );
    let mut shell = desk
        .world
        .command("/bin/sh", &desk.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    desk.register(shell.id(), &folder);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let inbox = bo.next_questions(PATIENCE).unwrap();
    assert_eq!(inbox.questions[0].from.as_str(), "ada");
    bo.answer(inbox.questions[0].pending.question.id, "5433")
        .unwrap();
    assert_eq!(shell.wait_with_output().unwrap().stdout, b"5433\n");
}

#[test]
fn what_is_for_the_person_is_refused_to_a_session() {
    let desk = Desk::new();
    let (mut ada, _bo) = (desk.peer("ada"), desk.peer("bo"));
    let id = Desk::question(&mut ada, "bo", "the-private-word");
    let script = format!(
        "read go; for words in 'inbox --all' 'inbox --peer bo' 'log --question {id}' 'reply --force {id} x' 'log'; do \"{}\" $words; done; :",
        program("claude-mesh")
    );
    let mut shell = desk
        .world
        .command("/bin/sh", &desk.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    desk.register(shell.id(), &desk.world.project("cy"));
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let ran = Ran::of(&shell.wait_with_output().unwrap());
    assert_eq!(ran.err.matches("is for the person").count(), 4, "{ran:?}");
    assert!(!ran.out.contains("the-private-word"), "{ran:?}");
    assert!(ran.out.contains("ada asked bo"), "{ran:?}");
}

#[test]
fn a_person_who_waits_is_told_of_a_question_and_waits_on() {
    let desk = Desk::new();
    let mut bo = desk.peer("bo");
    let asking = desk.starts(&["ask", "bo", "which port?"]);
    let inbox = bo.next_questions(PATIENCE).unwrap();
    let person = inbox.questions[0].from.clone();
    let to = Address::parse(person.as_str()).unwrap();
    let (back, wait) = bo.ask(&to, "which host?", None).unwrap();
    let wait = wait.expect("the person can be asked while it waits");
    desk.sees(&["reply", &back.question.to_string(), "this one"]);
    let waited = bo.wait(&wait, PATIENCE, |_| true).unwrap();
    assert!(matches!(waited, Waited::Done(_)), "{waited:?}");
    bo.answer(inbox.questions[0].pending.question.id, "5433")
        .unwrap();
    let ran = Ran::of(&asking.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5433\n"), "{ran:?}");
}

#[test]
fn wrong_usage_is_told_apart_from_a_refusal() {
    let desk = Desk::new();
    for arguments in [
        &["nonsense"][..],
        &[],
        &["ask", "bo"],
        &["ask", "--all", "bo", "why?"],
        &["ask", "bo", "why?", "--timeout", "soon"],
        &["reply", "x"],
        &["install", "--project", "--local"],
    ] {
        assert_eq!(desk.types(arguments).code, Some(2), "{arguments:?}");
    }
    assert!(desk.sees(&["--help"]).contains("Exit status: 0 done"));
    assert_eq!(
        desk.sees(&["--version"]),
        format!("claude-mesh {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn every_command_has_examples_and_pages() {
    let desk = Desk::new();
    let help = desk.sees(&["--help"]);
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
            desk.sees(&[command, "--help"]).contains("Examples:\n  "),
            "{command}"
        );
        assert!(
            desk.sees(&["man", command]).contains(".SH SYNOPSIS"),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.sees(&["completions", shell]).contains("claude-mesh"));
    }
    assert_eq!(desk.is_refused(&["man", "nonsense"]).0, "invalid_argument");
}

#[test]
fn install_shows_its_change_and_does_it_once() {
    let desk = Desk::new();
    desk.world
        .write(".claude/settings.json", "{\n  \"model\": \"opus\"\n}\n");
    let settings =
        || std::fs::read_to_string(desk.world.home().join(".claude/settings.json")).unwrap();
    let before = settings();
    let dry = desk.sees(&["install", "--dry-run"]);
    assert!(
        dry.contains("+      \"mcp__claude-mesh\"") && dry.contains("--- ~/.claude.json"),
        "{dry}"
    );
    assert!(dry.ends_with("nothing was written (--dry-run)\n"), "{dry}");
    assert_eq!(settings(), before);

    let mut client = Command::new("sleep").arg("60").spawn().unwrap();
    desk.register(client.id(), &desk.folder);
    let told = desk.sees(&["install"]);
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(
        told.contains("wrote ~/.claude/settings.json (before: ~/.claude/settings.json"),
        "{told}"
    );
    assert!(
        told.ends_with("1 session is open now: it joins after a restart (`claude --continue`)\n"),
        "{told}"
    );
    assert!(settings().contains("claude-mesh-inbox-poll") && settings().contains("\"opus\""));
    assert_eq!(
        desk.sees(&["install"]),
        "nothing to do: claude-mesh is wired in already\n"
    );

    let out: Value = serde_json::from_str(&desk.sees(&["uninstall", "--json"])).unwrap();
    assert_eq!(out["written"].as_array().unwrap().len(), 2, "{out}");
    assert_eq!(settings(), before);
}

#[test]
fn the_hook_that_waits_is_installed_on_request() {
    let desk = Desk::new();
    let told = desk.sees(&["install", "--wake", "rewake"]);
    assert!(
        told.contains("+            \"asyncRewake\": true"),
        "{told}"
    );
    let found = desk.types(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "claude-mesh-inbox-wait 0.")["severity"],
        "ok"
    );
    let wake = finding(&found, "wake: a hook waits");
    assert_eq!(wake["severity"], "ok");
    let told = desk.sees(&["install", "--wake", "inbox"]);
    assert!(
        told.contains("-            \"asyncRewake\": true"),
        "{told}"
    );
    let ran = desk.types(&["install", "--wake", "sometimes"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_settings_file_that_does_not_parse_is_left_alone() {
    let desk = Desk::new();
    desk.world
        .write(".claude/settings.json", "{\n  \"model\": opus\n}\n");
    let (code, told) = desk.is_refused(&["install"]);
    assert_eq!(code, "storage");
    assert!(
        told.contains("line 2, column 12") && told.contains("untouched"),
        "{told}"
    );
    assert!(!desk.world.home().join(".claude.json").exists());
}

#[test]
fn install_is_for_a_project_when_told_so() {
    let desk = Desk::new();
    let told = desk.sees(&["install", "--project"]);
    assert!(
        told.contains("wrote ~/own/.mcp.json") && told.contains("is not on your PATH"),
        "{told}"
    );
    let entry = std::fs::read_to_string(desk.folder.join(".mcp.json")).unwrap();
    assert!(
        entry.contains("CLAUDE_MESH_PROJECT_PATH") && !entry.contains("/claude-mesh-server"),
        "{entry}"
    );
    desk.sees(&["uninstall", "--project"]);
    assert!(!desk.folder.join(".mcp.json").exists());
    let ran = desk
        .world
        .cli(&desk.world.home(), &["install", "--project"]);
    assert!(ran.err.contains("the home folder is no project"), "{ran:?}");
}

#[test]
fn a_program_without_its_siblings_wires_nothing() {
    let desk = Desk::new();
    let own = std::fs::read(program("claude-mesh")).unwrap();
    let alone = desk.world.executable("bin/claude-mesh", &own);
    let output = desk
        .world
        .command(alone.to_str().unwrap(), &desk.folder)
        .arg("install")
        .output()
        .unwrap();
    let ran = Ran::of(&output);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("claude-mesh-server, claude-mesh-session-start"),
        "{ran:?}"
    );
    assert!(!desk.world.home().join(".claude.json").exists());
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
fn doctor_names_what_is_wrong_and_what_mends_it() {
    let desk = Desk::new();
    let ran = desk.types(&["doctor", "--json"]);
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
    desk.sees(&["install"]);
    let _ada = desk.peer("ada");
    let ran = desk.types(&["doctor", "--json"]);
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
    let text = desk.types(&["doctor"]).out;
    assert!(
        text.contains("ok       hooks: 4 wired (~/.claude/settings.json)"),
        "{text}"
    );
}

#[test]
fn doctor_sees_a_database_that_only_this_shell_speaks_of() {
    let mut desk = Desk::new();
    let other = desk.world.home().join("other.db");
    desk.world.set("MESH_DB_PATH", other.to_str().unwrap());
    let found = desk.types(&["doctor", "--json"]).json();
    let apart = finding(&found, "this shell speaks of ~/other.db");
    assert_eq!(apart["severity"], "note");
    assert!(
        apart["mend"]
            .as_str()
            .unwrap()
            .contains("~/.claude-mesh/.env")
    );
}

#[test]
fn doctor_sees_what_is_passed_over_in_silence() {
    let desk = Desk::new();
    desk.world.write(
        ".claude-mesh/.env",
        "\u{feff}CLAUDE_MESH_SYNC=full\nCLAUDE_MESH_NAME=front\n",
    );
    desk.world.write(
        "own/.claude-mesh.json",
        "\u{feff}{ \"topics\": [\"ops\", \"two words\"] }",
    );
    let found = desk.types(&["doctor", "--json"]).json();
    let misplaced = finding(&found, "CLAUDE_MESH_NAME stands in ~/.claude-mesh/.env");
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
fn a_database_that_is_no_file_is_told_so_before_its_rights() {
    let mut desk = Desk::new();
    desk.world.set("MESH_DB_PATH", "/dev/null");
    let ran = desk.types(&["state", "set", "a", "1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("hint: "), "{ran:?}");
    assert!(!ran.err.contains("chmod"), "{ran:?}");
    if rustix::process::geteuid().is_root() {
        assert!(ran.err.contains("/dev/null: it is not a file"), "{ran:?}");
    }
}

#[test]
fn doctor_tells_a_foreign_file_a_fault_and_an_old_client() {
    let mut desk = Desk::new();
    desk.world.write(
        ".claude-mesh/mesh.db",
        "not a database at all, but a note of some length: milk, bread, butter, eggs",
    );
    desk.world.write(
        ".claude-mesh/faults.log",
        "2999-01-01T00:00:00.000Z claude-mesh-inbox-poll disk is full\n2001-01-01T00:00:00.000Z old\n",
    );
    let old = b"#!/bin/sh\necho '2.1.100 (Claude Code)'\n";
    desk.world.executable("bin/claude", old);
    let path = format!("{}:/usr/bin:/bin", desk.world.home().join("bin").display());
    desk.world.set("PATH", &path);
    let found = desk.types(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "file is not a database")["severity"],
        "problem"
    );
    assert_eq!(finding(&found, "disk is full")["severity"], "note");
    assert_eq!(finding(&found, "2.1.100")["mend"], "claude update");
    assert!(!found.to_string().contains("2001-01-01"));
    desk.sees(&["install", "--wake", "rewake"]);
    let found = desk.types(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "2.1.100")["severity"], "ok");
    let ran = desk.types(&["peers"]);
    let hint = "file is not a database\nhint: nothing was changed. Close all sessions, then `mv ";
    assert!(ran.err.contains(hint), "{ran:?}");
}

#[test]
fn doctor_says_what_to_do_with_a_broken_file_and_where_its_copies_are() {
    let desk = Desk::new();
    let path = desk.world.database();
    let copy = "mesh.db.schema-2-20260101T000000000Z.bak";
    desk.world.write(&format!(".claude-mesh/{copy}"), "a copy");
    let ada = desk.peer("ada");
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
        let found = desk.types(&["doctor", "--json"]).json();
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
    desk.sees(&["state", "set", "a", "1"]);
}

#[test]
fn doctor_sees_a_place_where_no_database_can_be_made() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let folder = desk.world.project(".claude-mesh");
    let mode = |mode| {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o777);
    let found = desk.types(&["doctor", "--json"]).json();
    let open = finding(&found, "can be written by others");
    assert_eq!(open["severity"], "problem");
    assert!(!found.to_string().contains("no database yet"), "{found:#}");
    mode(0o700);
    let found = desk.types(&["doctor", "--json"]).json();
    assert_eq!(finding(&found, "no database yet")["severity"], "note");
    assert!(!folder.join("mesh.db").exists());
}

#[test]
fn a_watched_list_is_printed_again_when_something_changes() {
    let desk = Desk::new();
    let mut watching = desk.starts(&["peers", "--watch", "--json"]);
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
    let ada = desk.peer("ada");
    until(&["ada"]);
    let _bo = desk.peer("bo");
    until(&["ada", "bo"]);
    drop(ada);
    until(&["bo"]);
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn the_demo_plays_its_stories_and_leaves_nothing() {
    let mut desk = Desk::new();
    let temporary = desk.world.project("tmp");
    desk.world.set("TMPDIR", temporary.to_str().unwrap());
    let told = desk.sees(&["demo"]);
    assert!(
        told.contains("1. One sits idle") && told.contains("5. The asker is killed"),
        "{told}"
    );
    assert!(
        told.contains("frontend has \"5433\" as the result of its call ("),
        "{told}"
    );
    assert!(!told.contains('\u{1b}'), "{told}");
    let json: Value = serde_json::from_str(&desk.sees(&["demo", "--json"])).unwrap();
    assert_eq!(json["ok"], true);
    let times = json["stories"].as_array().unwrap();
    assert!(
        times[1]["times"]["answer_to_result_ms"].is_i64(),
        "{json:#}"
    );
    assert!(times[0]["times"]["ask_to_doorbell_ms"].is_i64(), "{json:#}");
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
    assert!(!desk.world.home().join(".claude-mesh").exists());
}

#[test]
fn a_demo_that_fails_says_where_and_leaves_nothing() {
    let mut desk = Desk::new();
    let temporary = desk.world.project("tmp");
    desk.world.set("TMPDIR", temporary.to_str().unwrap());
    let own = std::fs::read(program("claude-mesh")).unwrap();
    let alone = desk.world.executable("bin/claude-mesh", &own);
    for name in [
        "server",
        "session-start",
        "session-end",
        "inbox-poll",
        "claim-guard",
        "inbox-wait",
    ] {
        let path = format!("bin/claude-mesh-{name}");
        desk.world.executable(&path, b"#!/bin/sh\nexit 0\n");
    }
    let mut command = desk.world.command(alone.to_str().unwrap(), &desk.folder);
    let ran = Ran::of(&command.arg("demo").output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.starts_with("claude-mesh: the demo stopped: "),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn a_real_demo_without_claude_code_says_how_to_get_it_and_makes_nothing() {
    let mut desk = Desk::new();
    let temporary = desk.world.project("tmp");
    desk.world.set("TMPDIR", temporary.to_str().unwrap());
    desk.world.set("PATH", "");
    let ran = desk.types(&["demo", "--real"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err
            .starts_with("claude-mesh: Claude Code is not installed: there is no `claude` on your PATH\nhint: `npm install"),
        "{ran:?}"
    );
    let ran = desk.types(&["demo", "--real", "--claude", "nowhere/claude"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("there is no program nowhere/claude"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn a_real_demo_whose_claude_code_gives_up_tells_what_its_screen_said_and_keeps_it_on_request() {
    let mut desk = Desk::new();
    let temporary = desk.world.project("tmp");
    desk.world.set("TMPDIR", temporary.to_str().unwrap());
    let program = b"#!/bin/sh\n[ \"$1\" = --version ] && echo '9.9.9 (Claude Code)' && exit\necho 'please log in'\n";
    let fake = desk.world.executable("bin/claude", program);
    let demo = ["demo", "--real", "--claude", fake.to_str().unwrap()];
    let ran = desk.types(&demo);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.starts_with("Claude Code 9.9.9 plays here"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("'s Claude Code has ended\n")
            && ran.err.contains("'s screen ends with: please log in\n"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    let ran = desk.types(&[&demo[..], &["--keep"]].concat());
    let kept = std::fs::read_dir(&temporary)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(
        ran.err.contains(&format!(
            "hint: what there was to see is in {}",
            kept.display()
        )),
        "{ran:?}"
    );
    let screens = ["frontend.screen", "backend.screen"];
    let screens = screens.map(|name| std::fs::read_to_string(kept.join(name)).unwrap());
    assert!(screens.contains(&"please log in\r\n".into()), "{screens:?}");
}
