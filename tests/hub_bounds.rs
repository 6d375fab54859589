//! Clients that cost the hub more than they should: a body that never ends, very many wrong keys.
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use claude_mesh::model::access_key::KeyScope;

use crate::support::{Hub, World};

/// The wrong keys that are tried.
const WRONG_KEYS: usize = 10_000;
/// The clients that try them. A few of them wait for delayed answers.
const CLIENTS: usize = 16;
/// How much the memory of the hub may grow while all but the first tenth of them are tried, in kB.
const GROWTH_KB_MAX: u64 = 4 * 1024;

// Requirement: Sharing 11
#[test]
fn body_that_comes_too_slowly_is_cut_with_an_error() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Write);
    let address = hub.url().strip_prefix("http://").unwrap();
    let mut slow = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).unwrap();
    // A byte a second: a limit on the pause between two would never end it.
    slow.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut response = Vec::new();
    let mut bytes_sent = 0;
    while bytes_sent < 120 {
        if slow.write_all(b" ").is_err() {
            break;
        }
        bytes_sent += 1;
        assert_eq!(hub.request("GET", "/health").send().status, 200);
        match slow.read_to_end(&mut response) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break,
        }
    }
    assert!(bytes_sent < 120, "the connection was not closed");
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], "timeout", "{body}");
    assert!(body["error"]["hint"].is_string(), "{body}");
    assert_eq!(hub.count_rows("message"), 0);
}

#[cfg(target_os = "linux")]
fn resident_kb(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kb = line.unwrap().split_whitespace().nth(1).unwrap();
    kb.parse().unwrap()
}

#[cfg(not(target_os = "linux"))]
fn resident_kb(_: &Hub) -> u64 {
    0
}

#[test]
fn ten_thousand_wrong_keys_change_nothing_for_the_right_one() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = hub.key("ada", KeyScope::Read);
    let [tried, refused, too_many] = [const { AtomicUsize::new(0) }; 3];
    let resident_kb_begun = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = tried.fetch_add(1, Ordering::Relaxed);
                    if number >= WRONG_KEYS {
                        return;
                    }
                    if number == WRONG_KEYS / 10 {
                        let begun = usize::try_from(resident_kb(&hub)).unwrap();
                        resident_kb_begun.store(begun, Ordering::Relaxed);
                    }
                    let wrong = format!("{}{number:043}", &key[..31]);
                    match hub.get("/v1/status", &wrong).0 {
                        401 => refused.fetch_add(1, Ordering::Relaxed),
                        429 => too_many.fetch_add(1, Ordering::Relaxed),
                        status => panic!("{status}"),
                    };
                }
            });
        }
        while tried.load(Ordering::Relaxed) < WRONG_KEYS {
            assert_eq!(hub.get("/v1/status", &key).0, 200);
        }
    });
    let (refused, too_many) = (refused.into_inner(), too_many.into_inner());
    assert_eq!(refused + too_many, WRONG_KEYS);
    assert!(
        too_many > refused && refused > 0,
        "{refused} refused, {too_many} too many"
    );
    assert_eq!(hub.get("/v1/status", &key).0, 200);
    let begun = u64::try_from(resident_kb_begun.into_inner()).unwrap();
    let growth_kb = resident_kb(&hub).saturating_sub(begun);
    assert!(
        growth_kb <= GROWTH_KB_MAX,
        "{growth_kb} kB more than {begun} kB"
    );
    let lines = hub.log().lines().count();
    assert!(lines < 100, "{lines} lines are logged");
}
