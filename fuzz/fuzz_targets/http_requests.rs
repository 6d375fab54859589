//! A REST request of the hub becomes an operation with arguments, or is refused with a status of the client and an error object;
//! a parameter that the route does not know is never taken.
//!
//! The first line of the input is the method and the target, the rest is the body.
#![no_main]

use claude_mesh::hub::fuzz_entry::read_request;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let end = input
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(input.len());
    let Ok(head) = std::str::from_utf8(&input[..end]) else {
        return;
    };
    let body = input.get(end + 1..).unwrap_or_default();
    let Some((method, target)) = head.split_once(' ') else {
        return;
    };
    // Its response has no body.
    if method == "HEAD" {
        return;
    }
    let Some(read) = read_request(method, target, body) else {
        return;
    };
    match read.status {
        200 => assert!(
            read.body["operation"].is_string() && read.body["arguments"].is_object(),
            "{:?}",
            read.body
        ),
        400..=499 if read.body.is_null() => {
            assert!(matches!(read.status, 404 | 405), "{head}: {}", read.status)
        }
        400..=499 => check_error(&read.body),
        status => panic!("{head}: status {status}: {}", read.body),
    }
    if let Ok(Value::Object(mut extended)) = serde_json::from_slice(body)
        && read.status == 200
        && matches!(method, "POST" | "PUT" | "PATCH")
    {
        extended.insert("parameter_of_nothing".into(), 1.into());
        let read = read_request(
            method,
            target,
            Value::Object(extended).to_string().as_bytes(),
        );
        assert_eq!(read.map(|it| it.status), Some(400), "{head}");
    }
});

fn check_error(body: &Value) {
    let error = &body["error"];
    assert!(
        error["code"].is_string() && error["message"].is_string(),
        "{body}"
    );
}
