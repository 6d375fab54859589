//! `claude-mesh top`, the board in a terminal: what it shows, what its keys do, how it gives the terminal back, and that it
//! sleeps while nothing changes.
use std::cmp::Ordering;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};

use pty_process::blocking::Pty;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use serde_json::json;

use crate::support::{PopulatedMesh, Session, World, count_wakeups_of, program, wait_until};

const ROWS: u16 = 40;
const COLUMNS: u16 = 110;

/// A terminal with the board in it. Both end when this is dropped.
struct Board {
    terminal: Arc<Pty>,
    child: Child,
    printed: Arc<Mutex<vt100::Parser>>,
    before: Termios,
}

impl Board {
    fn open(world: &World) -> Self {
        let (terminal, pty_end) = pty_process::blocking::open().unwrap();
        terminal
            .resize(pty_process::Size::new(ROWS, COLUMNS))
            .unwrap();
        let before = tcgetattr(&terminal).unwrap();
        let child = pty_process::blocking::Command::new(program("claude-mesh"))
            .arg("top")
            .env_clear()
            .env("HOME", world.home())
            .env("TERM", "xterm-256color")
            .current_dir(world.home())
            .spawn(pty_end)
            .unwrap();
        let terminal = Arc::new(terminal);
        let printed = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (reading, screen) = (Arc::clone(&terminal), Arc::clone(&printed));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = (&*reading).read(&mut bytes) {
                screen.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self {
            terminal,
            child,
            printed,
            before,
        }
    }

    fn press(&self, keys: &str) {
        (&*self.terminal).write_all(keys.as_bytes()).unwrap();
    }

    fn screen(&self) -> String {
        let screen = self.printed.lock().unwrap();
        let rows = screen.screen().rows(0, COLUMNS);
        rows.map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    /// Waits until the screen shows all these texts, and returns it.
    #[track_caller]
    fn wait_for(&self, words: &[&str]) -> String {
        let mut screen = String::new();
        let shows = |screen: &str| words.iter().all(|word| screen.contains(word));
        let all = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("the screen shows it", || {
                screen = self.screen();
                shows(&screen)
            });
        }));
        assert!(all.is_ok(), "no {words:?} on\n{screen}");
        screen
    }

    /// Moves the selection to the first line of the list with this text.
    #[track_caller]
    fn select(&self, text: &str) {
        self.wait_for(&[text]);
        loop {
            let (selected, wanted) = (self.selected_row(), self.row_of(text));
            match wanted.cmp(&selected) {
                Ordering::Equal => return,
                Ordering::Greater => self.press("j"),
                Ordering::Less => self.press("k"),
            }
            wait_until("the selection moves", || self.selected_row() != selected);
        }
    }

    fn row_of(&self, text: &str) -> Option<u16> {
        let screen = self.screen();
        let row = screen.lines().position(|line| line.contains(text));
        row.and_then(|row| u16::try_from(row).ok())
    }

    /// Returns the row that is drawn inverse.
    fn selected_row(&self) -> Option<u16> {
        let parser = self.printed.lock().unwrap();
        let screen = parser.screen();
        (0..ROWS).find(|row| screen.cell(*row, 2).is_some_and(vt100::Cell::inverse))
    }

    fn is_given_back(&self) -> bool {
        let now = tcgetattr(&self.terminal).unwrap();
        let modes = |of: &Termios| (of.input_modes, of.output_modes, of.local_modes);
        modes(&now) == modes(&self.before)
            && now.local_modes.contains(LocalModes::ICANON)
            && !self.printed.lock().unwrap().screen().alternate_screen()
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Replaces what differs from run to run: times, and the name of this machine.
fn without_times(screen: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in screen.split(' ') {
        let at = word.find("person@").map(|at| at + "person@".len());
        let named = at.map(|at| {
            let end = word[at..]
                .find([',', '\n', ':'])
                .map_or(word.len(), |end| at + end);
            format!("{}home{}", &word[..at], &word[end..])
        });
        words.push(named.unwrap_or_else(|| word.to_owned()));
    }
    let mut text = words.join(" ");
    while let Some(at) = text.match_indices('Z').map(|(at, _)| at).find(|at| {
        let time = at.checked_sub(8).map(|start| &text.as_bytes()[start..*at]);
        time.is_some_and(|time| time[2] == b':' && time[0].is_ascii_digit())
    }) {
        text.replace_range(at - 8..=at, "hh:mm:ss");
    }
    text
}

/// With `CLAUDE_MESH_TEST_PICTURES=1` this test writes the picture of the document again.
// Requirement: Beyond 24
#[test]
fn picture_in_the_document_is_what_the_board_shows() {
    let world = World::new();
    let populated = PopulatedMesh::open(&world);
    let _asked = populated.ask_person();
    let _open = populated.ask_idle_session();
    let board = Board::open(&world);
    let screen = board.wait_for(&[
        "NEEDS YOU 5",
        "SESSIONS 4",
        "2 busy",
        "QUESTIONS 1",
        "CLAIMS 5",
        "TASKS 4",
        "q end",
    ]);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/top.md");
    let document = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = document.split_once("```text\n").unwrap();
    let (picture, after) = rest.split_once("\n```").unwrap();
    if std::env::var_os("CLAUDE_MESH_TEST_PICTURES").is_some_and(|it| it == "1") {
        let shown = without_times(screen.trim_end());
        std::fs::write(&page, format!("{before}```text\n{shown}\n```{after}")).unwrap();
        return;
    }
    let mut shown = String::new();
    let is_shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until("the picture is shown", || {
            shown = without_times(board.screen().trim_end());
            shown == picture
        });
    }));
    assert!(is_shown.is_ok(), "the picture should be:\n{shown}");
}

#[test]
fn question_to_the_person_is_answered_at_the_board() {
    let world = World::new();
    let ada = world.session("ada");
    let board = Board::open(&world);
    board.wait_for(&["NEEDS YOU 0", "SESSIONS 1", "ada"]);
    let ask = |question: &str| {
        ada.start(
            "ask_peer",
            json!({ "to": "person", "question": question, "timeout_seconds": 60 }),
        )
    };
    let asked = ask("which branch?");
    board.wait_for(&["NEEDS YOU 1", "asks you", "which branch?"]);
    board.select("asks you");
    board.wait_for(&["a answer", "d decline"]);
    board.press("arelease/3\x7f2");
    board.wait_for(&["answer ada: release/2"]);
    board.press("\r");
    let answered = asked.result();
    assert_eq!(
        (&answered["answer"], &answered["by"]),
        (&json!("release/2"), &json!("person"))
    );
    board.wait_for(&[
        "NEEDS YOU 0",
        "answered ada: it waits and has the answer now",
    ]);

    let asked = ask("may I push?");
    board.select("may I push?");
    board.press("d");
    board.wait_for(&["decline ada, because:"]);
    board.press("\x1b");
    board.wait_for(&["d decline"]);
    board.press("dnot today\r");
    let declined = asked.result();
    assert_eq!(
        (&declined["status"], &declined["answer"]),
        (&json!("declined"), &json!("not today"))
    );
}

#[test]
fn session_is_made_quiet_and_its_claim_released() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ada.call("claim", json!({ "resource": "deploy", "note": "v2" }));
    let mut board = Board::open(&world);
    board.wait_for(&["SESSIONS 2", "CLAIMS 1", "ada exclusive until"]);
    board.select("~/ada");
    board.press("u");
    board.wait_for(&["ada is quiet until you end it", "unknown       is quiet"]);
    assert_eq!(ask_held(&bo), "held");
    board.press("u");
    board.wait_for(&["ada is no longer quiet"]);
    // Any other key than `y` keeps the claim.
    board.select("ada exclusive until");
    board.press("r");
    board.wait_for(&["release deploy? y"]);
    board.press("n");
    board.wait_for(&["r release", "CLAIMS 1"]);
    board.press("ry");
    board.wait_for(&["released: deploy"]);
    let claims = bo.call("claims", json!({}));
    assert_eq!(claims["claims"], json!([]));
    board.press("q");
    assert!(board.wait_for_end().success());
    assert!(board.is_given_back());
}

/// Returns the status of a question to ada.
fn ask_held(bo: &Session) -> String {
    let asked = bo.call(
        "ask_peer",
        json!({ "to": "ada", "question": "are you there?" }),
    );
    asked["status"].as_str().unwrap().to_owned()
}

#[test]
fn board_shows_what_a_session_does_when_its_client_says_so() {
    let world = World::new();
    let ada = world.session("ada");
    ada.register("idle");
    let board = Board::open(&world);
    board.wait_for(&["ada", "idle"]);
    ada.register("busy");
    board.wait_for(&["1 session, 1 busy"]);
    ada.register("waiting");
    board.wait_for(&["NEEDS YOU 1", "dialog"]);
    ada.kill();
    let _bo = world.session("bo");
    board.wait_for(&["SESSIONS 1", "NEEDS YOU 0", "bo"]);
}

#[test]
fn board_sleeps_while_nothing_changes() {
    let world = World::new();
    let ada = world.session("ada");
    let board = Board::open(&world);
    board.wait_for(&["SESSIONS 1"]);
    let pid = i32::try_from(board.child.id()).unwrap();
    let mut before = 0;
    wait_until("no thread of the board wakes for a second", || {
        before = count_wakeups_of(pid);
        std::thread::sleep(std::time::Duration::from_secs(1));
        count_wakeups_of(pid) == before
    });
    ada.call("claim", json!({ "resource": "deploy" }));
    board.wait_for(&["CLAIMS 1"]);
}

#[test]
fn terminal_is_given_back_after_each_signal() {
    let world = World::new();
    let _ada = world.session("ada");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut board = Board::open(&world);
        board.wait_for(&["SESSIONS 1"]);
        assert!(!board.is_given_back());
        kill_process(Pid::from_child(&board.child), signal).unwrap();
        assert!(board.wait_for_end().success(), "{signal:?}");
        wait_until("the terminal is as before", || board.is_given_back());
    }
    let mut board = Board::open(&world);
    board.wait_for(&["SESSIONS 1"]);
    board.press("\x03");
    assert!(board.wait_for_end().success());
}

#[test]
fn board_follows_the_size_and_draws_foreign_text_as_text() {
    let world = World::new();
    let ada = world.session("ada");
    let board = Board::open(&world);
    board.wait_for(&["SESSIONS 1"]);
    let claim = json!({ "resource": "x\u{202e}y", "note": "\u{9b}2J\u{1b}]0;x\u{7} evil" });
    assert_eq!(ada.call("claim", claim)["status"], "granted");
    let screen = board.wait_for(&["CLAIMS 1", "evil"]);
    assert!(!screen.contains(['\u{9b}', '\u{202e}']), "{screen}");
    board
        .terminal
        .resize(pty_process::Size::new(8, 40))
        .unwrap();
    board.printed.lock().unwrap().screen_mut().set_size(8, 40);
    kill_process(Pid::from_child(&board.child), Signal::WINCH).unwrap();
    board.wait_for(&["SESSIONS 1", "CLAIMS 1"]);
}

#[test]
fn board_needs_a_terminal_a_person_and_a_mesh() {
    let world = World::new();
    let folder = world.project("shop");
    let ran = world.cli(&folder, &["top"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("the board needs a terminal"), "{ran:?}");
    assert!(!world.database().exists());
}
