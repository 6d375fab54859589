//! What prompt and Stop hooks deliver: the server of the session has it from its open database, and records it once the hook has
//! printed it. Without an answer the hook opens the database itself.
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{InFlight, Session, World, open_question_delivery, start_ask, wait_until};

/// Two sessions whose servers answer hooks.
fn sessions(world: &World) -> (Session, Session) {
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    wait_until("its server answers hooks", || bo.delivery_socket().exists());
    (ada, bo)
}

/// Asks `bo` a question, and returns the call once it is stored.
fn ask(ada: &Session) -> InFlight<'_> {
    let ask = start_ask(ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    ask
}

/// Returns a request of a hook at a prompt.
fn request(database: &Path) -> Vec<u8> {
    let event =
        json!({ "hook_event_name": "UserPromptSubmit", "prompt": "go on", "prompt_id": "t1" });
    let (database, event) = (database.display().to_string(), event.to_string());
    format!(
        "deliver {} {}\n{database}{event}",
        database.len(),
        event.len()
    )
    .into_bytes()
}

/// Sends bytes to the server of a session. Returns the connection.
fn send(session: &Session, request: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(session.delivery_socket()).unwrap();
    // A server that has seen enough may have closed it.
    let _ = stream.write_all(request);
    stream
}

/// Returns all that the server still sends.
fn rest(mut stream: UnixStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest
}

/// Returns the output that the server sends first.
fn output(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let length = String::from_utf8(line).unwrap().trim_end().parse().unwrap();
    let mut output = vec![0; length];
    stream.read_exact(&mut output).unwrap();
    String::from_utf8(output).unwrap()
}

// Requirement: Ask 4
#[test]
fn deliveries_by_the_server_count_as_shown() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let ask = ask(&ada);
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    assert_eq!(open_question_delivery(&world)["shown_times"], 1);
    let reader = world.session("cy");
    let peers = reader.call("list_peers", json!({}))["peers"].clone();
    let peers = peers.as_array().unwrap();
    let seen = peers.iter().find(|peer| peer["peer"] == "bo").unwrap();
    assert_eq!(seen["doing"], "asked: go on", "its server records it");
    let kept = bo.stop("t1", false).unwrap();
    assert!(kept.contains("which port?"), "{kept}");
    assert_eq!(open_question_delivery(&world)["shown_times"], 2);
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn hook_prints_what_its_server_sends_and_confirms_it() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    bo.remove_delivery_socket();
    let server = UnixListener::bind(bo.delivery_socket()).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(b"10\n{\"a\": \"b\"}").unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).unwrap();
        request
    });
    let said = bo.hook("Stop", json!({ "prompt_id": "t1" }));
    assert_eq!(said, json!({ "a": "b" }));
    let request = String::from_utf8(serving.join().unwrap()).unwrap();
    let database = world.database().display().to_string();
    let (head, event) = request.split_once(&database).unwrap();
    let event = event.strip_suffix('\u{1}').expect("the confirmation");
    assert_eq!(
        head,
        format!("deliver {} {}\n", database.len(), event.len())
    );
    assert!(event.contains("\"Stop\""), "{event}");
}

#[test]
fn hook_does_not_wait_until_its_server_gets_the_lock() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    assert_eq!(open_question_delivery(&world)["shown_times"], 0);
    holder.execute_batch("ROLLBACK").unwrap();
    wait_until("the delivery is recorded", || {
        open_question_delivery(&world)["shown_times"] == 1
    });
}

#[test]
fn delivery_that_no_hook_confirms_is_repeated() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    for _ in 0..2 {
        let mut stream = send(&bo, &request(&world.database()));
        assert!(output(&mut stream).contains("which port?"));
        drop(stream);
        assert_eq!(open_question_delivery(&world)["shown_times"], 0);
    }
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    assert_eq!(open_question_delivery(&world)["shown_times"], 1);
}

#[test]
fn next_hook_waits_until_a_delivery_is_recorded() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    let mut first = send(&bo, &request(&world.database()));
    assert!(output(&mut first).contains("which port?"));
    let mut second = send(&bo, &request(&world.database()));
    first.write_all(&[1]).unwrap();
    let said = output(&mut second);
    assert!(said.contains("which port?"), "{said}");
    assert_eq!(open_question_delivery(&world)["shown_times"], 1);
}

#[test]
fn hook_of_a_stopped_server_opens_the_database() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    // One that is stopped in a write keeps the lock.
    bo.wait_until_idle();
    let server = Pid::from_raw(bo.server_pid().unwrap()).unwrap();
    kill_process(server, Signal::STOP).unwrap();
    let said = bo.prompt("t1");
    kill_process(server, Signal::CONT).unwrap();
    assert!(said.unwrap().contains("which port?"));
    assert_eq!(open_question_delivery(&world)["shown_times"], 1);
}

#[test]
fn server_leaves_out_a_hook_that_has_given_up() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    bo.wait_until_idle();
    let server = Pid::from_raw(bo.server_pid().unwrap()).unwrap();
    kill_process(server, Signal::STOP).unwrap();
    let said = [bo.prompt("t1"), bo.stop("t1", false)];
    kill_process(server, Signal::CONT).unwrap();
    assert!(
        said.iter()
            .flatten()
            .all(|text| text.contains("which port?"))
    );
    assert_eq!(rest(send(&bo, b"\n")), b"", "it is done with these hooks");
    let streak: i64 = world
        .rows()
        .query_row(
            "SELECT stop_streak FROM session WHERE pid = ?1",
            [bo.pid()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        streak, 1,
        "the prompt before the Stop hook has not come late"
    );
}

#[test]
fn hook_opens_the_database_if_others_may_listen_for_it() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    let folder = bo.delivery_socket().parent().unwrap().to_path_buf();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    let unopenable = world.make_unopenable();
    let said = bo.hook_with_fault("UserPromptSubmit", json!({ "prompt": "go on" }));
    assert_eq!(said, "");
    drop(unopenable);
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
}

#[test]
fn server_of_another_database_delivers_nothing() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    assert_eq!(
        rest(send(&bo, &request(&world.home().join("other.db")))),
        b""
    );
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
}

#[test]
fn malformed_delivery_requests_are_not_answered() {
    let world = World::new();
    let (ada, bo) = sessions(&world);
    let _ask = ask(&ada);
    let huge = format!("deliver 4 {}\n", u64::MAX);
    let requests: [&[u8]; 7] = [
        b"\n",
        b"deliver 1\n",
        b"deliver -1 4\nabcd",
        b"deliver 999999999 4\n",
        huge.as_bytes(),
        &[b'x'; 200],
        b"deliver 1 2\n/[]",
    ];
    for request in requests {
        assert_eq!(rest(send(&bo, request)), b"", "{request:?}");
    }
    let mut cut = request(&world.database());
    cut.truncate(40);
    drop(send(&bo, &cut));
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
}
