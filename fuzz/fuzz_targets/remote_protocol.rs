//! What hub and programs on other hosts say to each other: verbs, joins, clocks and spooled replies are the same when they are
//! written and read again, and a frame of a stream is one line of data.
//!
//! The first byte of the input chooses the kind, the rest is the content.
#![no_main]

use claude_mesh::hub::fuzz_entry::{reads_call, reads_late_reply, reads_verbs};
use claude_mesh::mesh::{RemoteJoin, RemoteJoined, SessionVerb, SnapshotClock};
use claude_mesh::remote::fuzz_entry::{parse_frame, reads_snapshot, rewrite_spooled_reply};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = input.split_first() else {
        return;
    };
    match choice % 8 {
        0 => check_verb(content),
        1 => check_round_trip::<RemoteJoin>(content),
        2 => check_round_trip::<RemoteJoined>(content),
        3 => check_round_trip::<SnapshotClock>(content),
        4 => check_spool(content),
        5 => {
            reads_call(content);
            reads_late_reply(content);
            reads_verbs(content);
        }
        6 => {
            reads_snapshot(&String::from_utf8_lossy(content));
        }
        _ => check_frame(&String::from_utf8_lossy(content)),
    }
});

/// A verb alone is one in the body of a request, too.
fn check_verb(content: &[u8]) {
    check_round_trip::<SessionVerb>(content);
    if let Ok(verb) = serde_json::from_slice::<SessionVerb>(content) {
        let numbered = json!({ "number": 1, "verb": verb });
        let body = json!({ "activity": "idle", "verbs": [numbered] });
        let flat = {
            let mut flat = json!(verb);
            flat["number"] = 1.into();
            json!({ "activity": "idle", "verbs": [flat] })
        };
        let is_read = [body, flat]
            .iter()
            .any(|body| reads_verbs(body.to_string().as_bytes()));
        assert!(is_read, "{verb:?}");
    }
}

fn check_round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(content: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(content) {
        let text = serde_json::to_vec(&value).expect("it can be written");
        assert_eq!(
            serde_json::from_slice::<T>(&text).expect("it can be read"),
            value
        );
    }
}

fn check_spool(content: &[u8]) {
    if let Some(written) = rewrite_spooled_reply(content) {
        assert_eq!(rewrite_spooled_reply(&written), Some(written));
    }
}

fn check_frame(frame: &str) {
    let (event, data) = parse_frame(frame);
    assert!(!event.contains('\n') && !data.contains('\n'));
    let again = parse_frame(&format!("event: {event}\ndata: {data}\n\n"));
    assert_eq!(again, (event, data));
}
