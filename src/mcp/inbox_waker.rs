//! What a server does for its session: it rings the session's own inbox for questions while no call waits, and for mail
//! that wakes and claims whose turn has come.
//!
//! Nothing runs here while nothing waits: the bell wakes it, and a timer is set only while a ring is out.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::claude_code::client;
use crate::claude_code::client::Allowance;
use crate::mcp::session_state::Shared;
use crate::mesh::{Attention, Letterbox};
use crate::platform::fault_log;

/// How long a call that waits is left to itself after a ring, which is most often for what it waits for.
const CALL_FIRST: Duration = Duration::from_millis(200);
/// What the session is asked to do with a doorbell; the hook attaches the text itself.
const TEXT: &str = "Answer now with reply_to_peer; SendMessage does not reach the asker. If no question follows here, call poll_inbox.";
/// The same when it is mail.
const MAIL: &str = "If none follows here, call list_messages.";
/// The same when it is a claim.
const CLAIM: &str = "If none is named here, call poll_inbox.";

/// Why no line can be posted where there is no socket.
const NO_SOCKET: &str =
    "its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)";

/// Attends to the session for as long as the server runs.
pub(super) async fn attend(shared: Arc<Shared>, client: String) {
    let mut rings = shared.rings();
    let mut seated = shared.seated();
    let mut calls_waiting = shared.calls_waiting();
    let mut allowance = Allowance::default();
    let mut told = None;
    loop {
        // A call that waits takes the questions itself; and what it returns goes out before we look.
        let call_waits = calls_have_ended(&mut calls_waiting, CALL_FIRST)
            .await
            .is_err();
        tokio::task::yield_now().await;
        rings.borrow_and_update();
        if seated.borrow_and_update().is_none() {
            if seated.changed().await.is_err() {
                return;
            }
            continue;
        }
        shared.end_waits(&client).await;
        let letterbox = || letterbox(&shared, &allowance);
        let attention = shared.same_seat(&client, |at| {
            at.mesh.end_dead_waits(&at.me)?;
            at.mesh.attend(&at.me, letterbox)
        });
        let pause = match attention.await {
            Ok(Attention::Post {
                nonce,
                from,
                answers,
                mail,
                granted,
            }) => {
                let (sender, words) = words(&from, answers, &mail, granted);
                allowance.spend(shared.now().monotonic_ms);
                if let Err(problem) = post(&shared, &nonce, &sender, &words).await {
                    let _ = shared
                        .same_seat(&client, |at| at.mesh.ring_failed(&at.me, &problem))
                        .await;
                    None
                } else {
                    Some(Duration::from_millis(10))
                }
            }
            Ok(Attention::Rest {
                after_ms,
                needs_person,
            }) => {
                if let Some(needs) = needs_person.filter(|_| needs_person != told) {
                    tell_person(&shared, &client, needs.words()).await;
                    told = needs_person;
                }
                let after = after_ms.map(|ms| u64::try_from(ms.max(10)).unwrap_or(10));
                after.map(Duration::from_millis)
            }
            Err(error) => {
                fault_log::write(
                    &shared.settings().mesh_home,
                    "claude-mesh-server",
                    &error.to_string(),
                );
                None
            }
        };
        if let Some(needs) = told {
            let still = shared
                .same_seat(&client, |at| at.mesh.still_needs_person(&at.me, needs))
                .await;
            told = still.unwrap_or(false).then_some(needs);
        }
        tokio::select! {
            changed = rings.changed() => if changed.is_err() { return },
            changed = seated.changed() => if changed.is_err() { return },
            () = ended(&mut calls_waiting), if call_waits => {}
            () = rest(pause) => {}
        }
    }
}

/// Waits until no call waits; fails after `at_most`.
async fn calls_have_ended(
    calls_waiting: &mut watch::Receiver<u32>,
    at_most: Duration,
) -> Result<(), tokio::time::error::Elapsed> {
    if *calls_waiting.borrow_and_update() == 0 {
        return Ok(());
    }
    tokio::time::timeout(at_most, ended(calls_waiting)).await
}

async fn ended(calls_waiting: &mut watch::Receiver<u32>) {
    let _ = calls_waiting.wait_for(|count| *count == 0).await;
}

async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Returns in whose name a doorbell is posted, and its words. A question comes before an answer, that before mail.
fn words(from: &[String], answers: usize, mail: &[String], granted: usize) -> (String, String) {
    let (what, then) = match (from, answers, mail, granted) {
        ([one], ..) => (format!("a question from \"{one}\" waits for you."), TEXT),
        ([_, ..], ..) => (
            format!("{} questions from other sessions wait for you.", from.len()),
            TEXT,
        ),
        ([], 1.., ..) => ("the reply to a question of yours has come.".into(), TEXT),
        ([], 0, [one], _) => (format!("a message from \"{one}\" waits for you."), MAIL),
        ([], 0, [_, ..], _) => (
            format!("{} messages from other sessions wait for you.", mail.len()),
            MAIL,
        ),
        ([], 0, [], 0..=1) => ("a claim you stood in line for is yours now.".into(), CLAIM),
        ([], 0, [], _) => (
            format!("{granted} claims you stood in line for are yours now."),
            CLAIM,
        ),
    };
    let sender = from.first().or(mail.first().filter(|_| answers == 0));
    let sender = sender.map_or("claude-mesh", String::as_str);
    (sender.to_owned(), format!("{what} {then}"))
}

/// Returns what the inbox would do with a line now.
fn letterbox(shared: &Shared, allowance: &Allowance) -> Letterbox {
    if socket(shared).is_none() {
        return Letterbox::Missing(NO_SOCKET.into());
    }
    match allowance.wait_ms(shared.now().monotonic_ms) {
        0 => Letterbox::Open,
        for_ms => Letterbox::Full { for_ms },
    }
}

/// Posts the doorbell. The problem of a failure is told to those who asked.
async fn post(shared: &Shared, nonce: &str, sender: &str, words: &str) -> Result<(), String> {
    let socket = socket(shared).ok_or(NO_SOCKET)?;
    let lines = client::doorbell(
        shared.settings().claude.socket_token.as_deref(),
        nonce,
        sender,
        words,
    );
    let posting = async {
        let mut stream = UnixStream::connect(&socket).await?;
        stream.write_all(lines.as_bytes()).await?;
        stream.shutdown().await
    };
    let patience = Duration::from_secs(2);
    match tokio::time::timeout(patience, posting).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("its inbox socket refused the line: {error}")),
        Err(_) => Err("its inbox socket does not take anything".into()),
    }
}

/// The socket stays the same for the life of the client; the registry knows it where the environment does not.
fn socket(shared: &Shared) -> Option<PathBuf> {
    let told = shared.settings().claude.socket.clone();
    told.or_else(|| {
        let process = (*shared.seated().borrow())?;
        let registered = client::registered(&shared.settings().claude.config_dir, process)?;
        registered.socket.map(PathBuf::from)
    })
}

/// Runs the person's own program; what it is about stands in its environment, never in its arguments.
async fn tell_person(shared: &Shared, client: &str, reason: &str) {
    let Some(program) = shared.settings().notify.clone() else {
        return;
    };
    let name = shared
        .same_seat(client, |at| Ok(at.me.name.to_string()))
        .await
        .unwrap_or_default();
    let started = Command::new(&program)
        .env("CLAUDE_MESH_REASON", reason)
        .env("CLAUDE_MESH_PEER", name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        // Somebody must fetch the end of the child, or it stays as a zombie.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => fault_log::write(
            &shared.settings().mesh_home,
            "claude-mesh-server",
            &format!("cannot run {}: {error}", program.display()),
        ),
    }
}
