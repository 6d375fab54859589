//! Follows the stream of the session: takes each snapshot, and wakes the session when the hub says so.
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use crate::mesh::{SessionSnapshot, SnapshotClock};
use crate::platform::id::SessionId;
use crate::remote::hub_client::{HubRequest, REQUEST_TIMEOUT};
use crate::remote::hub_error::HubError;
use crate::remote::link::{Link, next_pause, pause_after};
use crate::remote::{registration, wake};

/// After this time without anything, not even a comment, the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The largest frame, in bytes.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Follows the stream for as long as the program runs, from the first registration on.
pub(super) async fn follow(link: Arc<Link>, agent: String) {
    let mut session = link.session();
    if session.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let mut failures = 0;
    loop {
        match follow_once(&link, &agent).await {
            // The hub ends, or wants the stream to begin again.
            Ok(()) => {
                failures = 0;
                tokio::time::sleep(next_pause(failures)).await;
            }
            Err(error) => {
                link.not_reached(&error);
                failures += 1;
                tokio::time::sleep(pause_after(&error, failures)).await;
            }
        }
    }
}

/// Registers if that is needed, and follows one stream to its end.
async fn follow_once(link: &Arc<Link>, agent: &str) -> Result<(), HubError> {
    let session = registration::ensure_registered(link, agent).await?;
    let client = link.client()?;
    let path = format!("/v1/remote/sessions/{session}/stream");
    let request = HubRequest {
        method: Method::GET,
        path: &path,
        body: None,
        headers: &[],
        within: REQUEST_TIMEOUT,
    };
    let response = client.open(&request).await;
    let response = response.inspect_err(|error| {
        if error.is_session_ended() {
            link.session_ended(session);
        } else if !error.is_transient() {
            link.forget_client();
        }
    })?;
    link.reached();
    let mut frames = Frames {
        body: response.into_body(),
        buffer: Vec::new(),
    };
    while let Some((event, data)) = frames.next(client.url()).await? {
        link.mirror().record_contact();
        link.reached();
        handle(link, session, &event, &data);
    }
    Ok(())
}

/// The data of the event `snapshot`.
#[derive(Deserialize)]
pub(super) struct SnapshotData {
    clock: SnapshotClock,
    /// How many calls of the session it includes.
    #[serde(default)]
    calls: u64,
    snapshot: SessionSnapshot,
}

fn handle(link: &Arc<Link>, session: SessionId, event: &str, data: &str) {
    match event {
        "snapshot" => {
            if let Ok(SnapshotData {
                clock,
                calls,
                snapshot,
            }) = serde_json::from_str(data)
                && snapshot.session.id == session
            {
                link.mirror().take(snapshot, clock, calls);
                link.snapshot_taken();
            }
        }
        "wake" => {
            if let Ok(action) = serde_json::from_str(data) {
                tokio::spawn(wake::post(Arc::clone(link), action));
            }
        }
        "rewake" => link.waiting_hook.wake(),
        "alert" => {
            let reason = serde_json::from_str::<Value>(data).unwrap_or_default();
            wake::notify_person(link, reason["reason"].as_str());
        }
        _ => {}
    }
}

/// The frames of one response.
struct Frames {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Frames {
    /// Returns the next event with its data, empty for a comment; `None` at the end of the response.
    async fn next(&mut self, url: &str) -> Result<Option<(String, String)>, HubError> {
        let broken = |problem: &str| HubError::Broken {
            url: url.to_owned(),
            problem: problem.to_owned(),
            source: None,
        };
        loop {
            if let Some(end) = find(&self.buffer, b"\n\n") {
                let frame: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(Some(parse(&String::from_utf8_lossy(&frame))));
            }
            if self.buffer.len() > FRAME_BYTES_MAX {
                return Err(broken("a frame of the stream is too large"));
            }
            let read = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match read.map_err(|_| broken("nothing came for 30 s"))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error.to_string())),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

/// Returns the event and the data of a frame.
pub(super) fn parse(frame: &str) -> (String, String) {
    let field = |name: &str| {
        let line = frame.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_start().to_owned()
    };
    (field("event:"), field("data:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_parsed_and_a_comment_is_empty() {
        let frame = "event: wake\ndata: {\"a\":1}\n\n";
        assert_eq!(parse(frame), ("wake".into(), "{\"a\":1}".into()));
        assert_eq!(parse(":\n\n"), (String::new(), String::new()));
        assert_eq!(find(b"ab\n\ncd\n\n", b"\n\n"), Some(2));
    }
}
