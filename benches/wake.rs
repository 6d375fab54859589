//! From a question to the line in the inbox of an idle session, beside the way back: from its reply to the result of the
//! asker.
//!
//! Both ways have the same hops, client to server, server to server, server to client. One begins when `ask_peer` is written
//! and ends when the benchmark, as the Claude Code of the peer, has read the line; the other begins when `reply_to_peer` is
//! written and ends when the result of the asker is read. Each round is a complete question: asked, wake line, delivered by
//! the hook that runs with the line, answered; so no wake attempt is open when the next round begins.
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ask::{PAUSE, answered};
use crate::hook;
use crate::pin::{Pin, Side};
use crate::table::{Line, Samples, Table};
use crate::world::{BenchWorld, micros};

/// A server that has posted a line polls again soon after; both ways begin when every process sleeps.
const AFTER_LINE: Duration = Duration::from_millis(20);
/// An inbox takes this many lines in a row, then one every two seconds; the server posts no faster.
const LINES_IN_A_ROW: usize = 20;

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("wake (both ways alternating)", pin);
    pin.on(Side::Near, || {
        let world = BenchWorld::new(pin);
        let path = world.home().join("inbox.sock");
        let inbox = UnixListener::bind(&path).unwrap();
        let fresh = |round: usize| {
            let name = format!("bo{round}");
            let peer = world.session_with_inbox(&name, Side::Far, &path);
            (name, peer)
        };
        let (mut name, mut peer) = fresh(0);
        let mut asker = world.session("ada", Side::Near);
        let sql = world.sql();
        let (mut to_wake_line, mut to_result) = (Samples::default(), Samples::default());
        for round in 0..rounds + 10 {
            if round > 0 && round % LINES_IN_A_ROW == 0 {
                (name, peer) = fresh(round);
            }
            // Without a progress token: the asker waits silently, so that no output has to be read.
            let question = format!("which port does service {round} use?");
            let arguments = json!({ "to": name, "question": question });
            let (call, request) = asker.tool_line("ask_peer", &arguments);
            std::thread::sleep(PAUSE);
            let began = Instant::now();
            asker.write(&request);
            let (line, at) = next_line(&inbox);
            std::thread::sleep(AFTER_LINE);
            // One long turn, so that the wake budget is not spent.
            let (_, said) = hook::submit(&world, &peer, 0, &line);
            assert!(said.contains("which port"), "{said:?}");
            let question = BenchWorld::open_question(&sql, "ada");
            std::thread::sleep(PAUSE);
            let answer = answered(&mut peer, &mut asker, call, &question);
            if round >= 10 {
                to_wake_line.add(micros(at - began));
                to_result.add(micros(answer));
            }
        }
        table.line(&Line::times(
            "reply_to_peer to the asker's result, servers",
            &to_result,
        ));
        let to_wake_line = Line::times(
            "ask_peer to the line in an idle peer's inbox, servers",
            &to_wake_line,
        );
        table.line(&to_wake_line.baseline("reply_to_peer to result", to_result.p50()));
    });
}

/// Reads the next line that is posted. Returns its text and when it was read.
fn next_line(inbox: &UnixListener) -> (String, Instant) {
    let (stream, _) = inbox.accept().unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let at = Instant::now();
    let line: Value = serde_json::from_str(&line).unwrap();
    (line["message"]["content"].as_str().unwrap().to_owned(), at)
}
