//! Sends the replies of the spool when the hub answers again: each once, and those of a session in the order in which they were
//! written.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::clock::{Clock, rfc3339};
use crate::platform::{Fault, fault_log, lock, process};
use crate::remote::hub_client::{HubClient, HubRequest, REQUEST_TIMEOUT};
use crate::remote::hub_error::HubError;
use crate::remote::link::{Link, PROGRAM, next_pause};
use crate::remote::spool::{self, SpooledReply};

/// The pause before the next try after a refusal that somebody must end, or while another program sends.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// What is to be done after a try.
enum Sent {
    /// Nothing is left that this program sends.
    All,
    /// The hub is out of reach.
    OutOfReach,
    /// The hub refuses all of them, or another program sends them.
    Later,
}

/// Sends replies for as long as the program runs: once the session is registered, and after each time the hub was away.
pub(super) async fn send_spooled(link: Arc<Link>) {
    let mut session = link.session();
    if session.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let folder = spool::folder(&link.settings.mesh_home, &link.hub);
    let mut failures = 0;
    loop {
        let mut reachability = link.reachability();
        let answers = |problem: &Option<(i64, HubError)>| {
            problem
                .as_ref()
                .is_none_or(|(_, error)| !error.is_out_of_reach())
        };
        if reachability.wait_for(answers).await.is_err() {
            return;
        }
        match send_all(&link, &folder).await {
            Ok(Sent::All) => {
                failures = 0;
                link.spooled.notified().await;
            }
            Ok(Sent::OutOfReach) => {
                failures += 1;
                tokio::time::sleep(next_pause(failures)).await;
            }
            Ok(Sent::Later) => pause(&link).await,
            Err(fault) => {
                fault_log::append(&link.settings.mesh_home, PROGRAM, &fault.to_string());
                pause(&link).await;
            }
        }
    }
}

async fn pause(link: &Link) {
    let _ = tokio::time::timeout(LONG_PAUSE, link.spooled.notified()).await;
}

async fn send_all(link: &Link, folder: &Path) -> Result<Sent, Fault> {
    if spool::list(folder)?.is_empty() {
        return Ok(Sent::All);
    }
    let Some(_lock) = lock::acquire(&folder.join("lock"))? else {
        return Ok(Sent::Later);
    };
    let Ok(client) = link.client() else {
        return Ok(Sent::Later);
    };
    let mut left = Sent::All;
    for file in spool::list(folder)? {
        let Some(reply) = file.reply else { continue };
        if reply.url != link.hub.url || reply.key_id != client.key_id() {
            continue;
        }
        if is_written_by_another(link, &reply) {
            left = Sent::Later;
            continue;
        }
        if link.clock.now().wall_ms - reply.written_at_ms > spool::KEEP_MS {
            report(link, &reply, "is older than 7 days and was removed");
            remove(&file.path)?;
            continue;
        }
        match send(&client, &reply).await {
            Ok(answer) => {
                if answer.accepted {
                    report_to_session(link, &reply, "was delivered");
                } else {
                    report(link, &reply, &format!("was refused: {}", answer.result));
                    if let Some(question) = reply.question() {
                        link.mirror().show_refused(question);
                    }
                }
                remove(&file.path)?;
            }
            Err(error) if error.is_transient() => return Ok(Sent::OutOfReach),
            Err(error) => {
                spool::set_refusal(folder, Some(&error.to_string()));
                link.forget_client();
                return Ok(Sent::Later);
            }
        }
        spool::set_refusal(folder, None);
    }
    Ok(left)
}

/// Returns whether another program wrote it that runs and sends it itself.
fn is_written_by_another(link: &Link, reply: &SpooledReply) -> bool {
    reply.writer != process::this_process()
        && *reply.boot == *link.clock.now().boot
        && process::is_alive(reply.writer)
}

/// What became of a reply. One that is refused stays so: the question was withdrawn or has another answer, for example.
#[derive(Deserialize)]
struct ReplyAnswer {
    accepted: bool,
    result: Value,
}

async fn send(client: &HubClient, reply: &SpooledReply) -> Result<ReplyAnswer, HubError> {
    let body = json!({ "session": reply.session, "arguments": reply.arguments });
    let request = HubRequest {
        method: Method::POST,
        path: "/v1/remote/replies",
        body: Some(&body),
        headers: &[("idempotency-key", &reply.idempotency_key)],
        within: REQUEST_TIMEOUT,
    };
    client.read(&request).await
}

fn remove(path: &Path) -> Result<(), Fault> {
    std::fs::remove_file(path).map_err(|error| Fault::io("remove", path, error))
}

/// Reports what became of a reply where somebody looks: the fault log, and the next call of the session that wrote it.
fn report(link: &Link, reply: &SpooledReply, outcome: &str) {
    let what = text_of(reply, outcome);
    fault_log::append(&link.settings.mesh_home, PROGRAM, &what);
    report_to_session(link, reply, outcome);
}

fn report_to_session(link: &Link, reply: &SpooledReply, outcome: &str) {
    if reply.writer == process::this_process() {
        link.add_note(text_of(reply, outcome));
    }
}

fn text_of(reply: &SpooledReply, outcome: &str) -> String {
    format!(
        "the reply to question {} that was kept at {} {outcome}",
        reply
            .question()
            .map_or_else(|| "?".into(), |id| id.to_string()),
        rfc3339(reply.written_at_ms)
    )
}
