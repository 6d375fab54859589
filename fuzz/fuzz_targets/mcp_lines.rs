//! Every line of an MCP client is a message, needs no reply, or gets an error reply with the id of its request, however the
//! bytes arrive.
//!
//! The first byte of the input chooses the size of the pieces, the rest is what the client writes.
#![no_main]

use claude_mesh::mcp::fuzz_entry::{
    ReadLine, find_id, read_input, read_input_of_session, read_line, replace_lone_surrogates,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The server repeats no longer id.
const ID_BYTES_MAX: usize = 250;

fuzz_target!(|input: &[u8]| {
    let Some((piece_bytes, written)) = input.split_first() else {
        return;
    };
    let piece_bytes = usize::from(*piece_bytes) + 1;
    // A last line without its end is dropped.
    let end = written.iter().rposition(|byte| *byte == b'\n');
    let lines = written[..end.map_or(0, |end| end + 1)].split_inclusive(|byte| *byte == b'\n');
    let (mut messages, mut replies) = (Vec::new(), 0);
    for line in lines {
        check_id(line, piece_bytes);
        check_surrogates(line);
        match read_line(line) {
            ReadLine::Message(message) => messages.push(message),
            ReadLine::NoReply => {}
            ReadLine::ErrorReply(_) => replies += 1,
        }
    }
    let read = read_input(written, piece_bytes);
    assert_eq!(read.messages, messages);
    check_replies(&read.replies, replies);
    check_session(
        &messages,
        read_input_of_session(written, piece_bytes).messages,
    );
});

/// A request with a plain id keeps it, whether the line is valid or not.
fn check_id(line: &[u8], piece_bytes: usize) {
    let found = find_id(line, line.len());
    assert_eq!(
        find_id(line, piece_bytes),
        found,
        "the size of the pieces matters"
    );
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(line) else {
        return;
    };
    let is_response = object.contains_key("result") || object.contains_key("error");
    let id = object.get("id").filter(|id| id.is_i64() || id.is_string());
    let Some(id) = id.filter(|id| id.to_string().len() < ID_BYTES_MAX) else {
        return;
    };
    // A key or an id may be written with escapes, which only a valid message needs to have read.
    if is_response || line.contains(&b'\\') {
        return;
    }
    match read_line(line) {
        ReadLine::Message(message) => {
            assert!(message.get("id").is_none_or(|kept| kept == id), "{message}");
        }
        ReadLine::ErrorReply(replied) => assert_eq!(replied.as_ref(), Some(id)),
        ReadLine::NoReply => panic!("a request gets no reply"),
    }
}

fn check_surrogates(line: &[u8]) {
    if let Some(replaced) = replace_lone_surrogates(line) {
        assert_eq!(replace_lone_surrogates(&replaced), None, "one is left");
    }
}

fn check_replies(written: &[u8], expected: usize) {
    let mut count = 0;
    for line in written.split_inclusive(|byte| *byte == b'\n') {
        let reply: Value = serde_json::from_slice(line).expect("a reply is one line of JSON");
        assert!(reply["error"]["code"].is_i64(), "{reply}");
        count += 1;
    }
    assert_eq!(count, expected, "replies to invalid lines");
}

/// Before a protocol session is open, only requests come through; nothing is dropped after it.
fn check_session(messages: &[Value], of_session: Vec<Value>) {
    let is_request = |message: &Value| message["method"].is_string() && message.get("id").is_some();
    let dropped = messages.len() - of_session.len();
    assert!(of_session.first().is_none_or(is_request));
    let mut rest = messages.iter();
    for kept in &of_session {
        let before = rest.by_ref().take_while(|message| *message != kept);
        assert!(
            before.filter(|message| is_request(message)).count() == 0,
            "a request is dropped"
        );
    }
    let requests = messages
        .iter()
        .filter(|message| is_request(message))
        .count();
    assert!(dropped <= messages.len() - requests);
}
