//! Wakes the session of the server: posts a wake line to its inbox for questions and late answers while no call waits,
//! for mail that wakes, and for claims that were granted. For the Codex CLI the line goes into the queue of its conversation.
//!
//! Nothing runs here while nothing is pending: the doorbell wakes it, and a timer is set only during a wake attempt.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::claude_code;
use crate::claude_code::InboxRateLimit;
use crate::mcp::codex_queue::{self, CodexQueue};
use crate::mcp::server_faults;
use crate::mcp::session_state::{self, Shared};
use crate::mcp::timer::sleep_or_wait_forever;
use crate::mesh::{InboxSocketState, WakeAction};
use crate::model::throttle::PersonAlert;
use crate::platform::Settings;
use crate::platform::process::ProcessKey;

/// How long the waker leaves a doorbell to a waiting call, which most often takes what the doorbell announces.
const WAITING_CALL_GRACE: Duration = Duration::from_millis(200);
/// What a wake line for a question or an answer asks the session to do; the prompt hook adds the text.
const QUESTION_INSTRUCTION: &str = "Answer now with reply_to_peer; SendMessage does not reach the asker. If no question follows here, call poll_inbox.";
/// What a wake line for mail adds to its first sentence.
const MAIL_INSTRUCTION: &str = "If none follows here, call list_messages.";
/// What a wake line for a granted claim adds to its first sentence.
const CLAIM_INSTRUCTION: &str = "If none is named here, call poll_inbox.";

/// Why no line can be posted without a socket.
pub(crate) const NO_SOCKET: &str =
    "its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)";

/// Why no prompt can be queued.
const NO_QUEUE: &str = "its Codex runs one prompt and ends, or has made no call yet";

/// Wakes the session when needed, for as long as the server runs.
pub(super) async fn run_inbox_waker(shared: Arc<Shared>, client: String) {
    let mut doorbell_signals = shared.doorbell_signals();
    let mut client_process = shared.client_process();
    let mut waiting_call_count = shared.waiting_call_count();
    let mut waker = Waker {
        shared: &shared,
        client: &client,
        rate_limit: InboxRateLimit::default(),
        reported: None,
    };
    loop {
        // A waiting call takes the questions itself; and its result is sent before the next poll.
        let call_still_waits =
            wait_until_no_call_waits(&mut waiting_call_count, WAITING_CALL_GRACE)
                .await
                .is_err();
        tokio::task::yield_now().await;
        doorbell_signals.borrow_and_update();
        if client_process.borrow_and_update().is_none() {
            if client_process.changed().await.is_err() {
                return;
            }
            continue;
        }
        shared.end_waits(&client).await;
        let calm_retry = if session_state::is_claude(&client) {
            shared.mark_calm().await
        } else {
            None
        };
        let inbox_socket_state = || waker.inbox_state();
        let wake_action = shared.in_same_session(&client, |call| {
            call.mesh.end_dead_waits(&call.me)?;
            call.mesh.next_wake_action(&call.me, inbox_socket_state)
        });
        let pause = match wake_action.await {
            Ok(action) => waker.perform(action).await,
            Err(error) => {
                server_faults::log(&shared.settings().mesh_home, &error.to_string());
                None
            }
        };
        waker.check_still_needs_person().await;
        let pause = [pause, calm_retry].into_iter().flatten().min();
        tokio::select! {
            changed = doorbell_signals.changed() => if changed.is_err() { return },
            changed = client_process.changed() => if changed.is_err() { return },
            () = until_no_call_waits(&mut waiting_call_count), if call_still_waits => {}
            () = sleep_or_wait_forever(pause) => {}
        }
    }
}

/// Performs wake actions, and remembers what was posted and reported.
struct Waker<'a> {
    shared: &'a Shared,
    client: &'a str,
    rate_limit: InboxRateLimit,
    /// Why the session needs its person, if that has been reported.
    reported: Option<PersonAlert>,
}

impl Waker<'_> {
    /// Performs an action. Returns when to poll again even if the doorbell is not written.
    async fn perform(&mut self, action: WakeAction) -> Option<Duration> {
        match action {
            WakeAction::Post {
                nonce,
                from,
                answers,
                mail,
                granted,
            } => {
                let (sender, text) = wake_text(&from, answers, &mail, granted);
                self.rate_limit.record_post(self.shared.now().monotonic_ms);
                let client = *self.shared.client_process().borrow();
                let line = WakeLine {
                    nonce: &nonce,
                    sender: &sender,
                    text: &text,
                };
                let posted = match self.codex_queue() {
                    Some(queue) => {
                        let prompt = claude_code::wake_line_text(&nonce, &sender, &text);
                        queue.post(prompt).await
                    }
                    None => post_wake_line(self.shared.settings(), client, &line).await,
                };
                let Err(problem) = posted else {
                    return Some(Duration::from_millis(10));
                };
                let _ = self
                    .shared
                    .in_same_session(self.client, |call| {
                        call.mesh.record_wake_failure(&call.me, &problem)
                    })
                    .await;
                None
            }
            WakeAction::Wait { after_ms, alert } => {
                if let Some(new_alert) = alert.filter(|_| alert != self.reported) {
                    notify_person(self.shared, self.client, new_alert.text()).await;
                    self.reported = alert;
                }
                let after = after_ms.map(|ms| u64::try_from(ms.max(10)).unwrap_or(10));
                after.map(Duration::from_millis)
            }
        }
    }

    /// Returns the queue of the session, if its client is the Codex CLI.
    fn codex_queue(&self) -> Option<CodexQueue> {
        let process = *self.shared.client_process().borrow();
        CodexQueue::of(self.client, process, self.shared.conversation())
    }

    /// Returns whether the session accepts a line now.
    fn inbox_state(&self) -> InboxSocketState {
        if codex_queue::is_codex(self.client) {
            if self.codex_queue().is_none() {
                return InboxSocketState::Missing(NO_QUEUE.into());
            }
        } else {
            let client = *self.shared.client_process().borrow();
            if inbox_socket(self.shared.settings(), client).is_none() {
                return InboxSocketState::Missing(NO_SOCKET.into());
            }
        }
        match self.rate_limit.wait_ms(self.shared.now().monotonic_ms) {
            0 => InboxSocketState::Open,
            for_ms => InboxSocketState::Full { for_ms },
        }
    }

    async fn check_still_needs_person(&mut self) {
        let Some(alert) = self.reported else {
            return;
        };
        let still_needed = self
            .shared
            .in_same_session(self.client, |call| {
                call.mesh.still_needs_person(&call.me, alert)
            })
            .await;
        self.reported = still_needed.unwrap_or(false).then_some(alert);
    }
}

/// Waits until no call waits; fails after `max_wait`.
async fn wait_until_no_call_waits(
    waiting_call_count: &mut watch::Receiver<u32>,
    max_wait: Duration,
) -> Result<(), tokio::time::error::Elapsed> {
    if *waiting_call_count.borrow_and_update() == 0 {
        return Ok(());
    }
    tokio::time::timeout(max_wait, until_no_call_waits(waiting_call_count)).await
}

async fn until_no_call_waits(waiting_call_count: &mut watch::Receiver<u32>) {
    let _ = waiting_call_count.wait_for(|count| *count == 0).await;
}

/// Returns the sender and the text of a wake line. A question has precedence over an answer, an answer over mail.
pub(crate) fn wake_text(
    from: &[String],
    answers: usize,
    mail: &[String],
    granted: usize,
) -> (String, String) {
    let (event_text, instruction) = match (from, answers, mail, granted) {
        ([one], ..) => (
            format!("a question from \"{one}\" waits for you."),
            QUESTION_INSTRUCTION,
        ),
        ([_, ..], ..) => (
            format!("{} questions from other sessions wait for you.", from.len()),
            QUESTION_INSTRUCTION,
        ),
        ([], 1.., ..) => (
            "the reply to a question of yours has come.".into(),
            QUESTION_INSTRUCTION,
        ),
        ([], 0, [one], _) => (
            format!("a message from \"{one}\" waits for you."),
            MAIL_INSTRUCTION,
        ),
        ([], 0, [_, ..], _) => (
            format!("{} messages from other sessions wait for you.", mail.len()),
            MAIL_INSTRUCTION,
        ),
        ([], 0, [], 0..=1) => (
            "a claim you queued for was granted.".into(),
            CLAIM_INSTRUCTION,
        ),
        ([], 0, [], _) => (
            format!("{granted} claims you queued for were granted."),
            CLAIM_INSTRUCTION,
        ),
    };
    let sender = from.first().or(mail.first().filter(|_| answers == 0));
    let sender = sender.map_or("claude-mesh", String::as_str);
    (sender.to_owned(), format!("{event_text} {instruction}"))
}

/// A line for the inbox of a session.
pub(crate) struct WakeLine<'a> {
    /// By which the prompt hook recognizes it.
    pub(crate) nonce: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) text: &'a str,
}

/// Posts a wake line. The reason of a failure is reported to the askers.
pub(crate) async fn post_wake_line(
    settings: &Settings,
    client: Option<ProcessKey>,
    line: &WakeLine<'_>,
) -> Result<(), String> {
    let socket = inbox_socket(settings, client).ok_or(NO_SOCKET)?;
    let token = settings.claude.socket_token.as_deref();
    let lines = claude_code::wake_line_frames(token, line.nonce, line.sender, line.text);
    let posting = async {
        let mut stream = UnixStream::connect(&socket).await?;
        stream.write_all(lines.as_bytes()).await?;
        stream.shutdown().await
    };
    let post_timeout = Duration::from_secs(2);
    match tokio::time::timeout(post_timeout, posting).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("its inbox socket refused the line: {error}")),
        Err(_) => Err("its inbox socket does not take anything".into()),
    }
}

/// Returns the inbox socket, which stays the same while the client runs: from the environment, or from the registry.
pub(crate) fn inbox_socket(settings: &Settings, client: Option<ProcessKey>) -> Option<PathBuf> {
    let reported = settings.claude.socket.clone();
    reported.or_else(|| {
        let registry_entry = claude_code::registry_entry(&settings.claude.config_dir, client?)?;
        registry_entry.socket.map(PathBuf::from)
    })
}

async fn notify_person(shared: &Shared, client: &str, reason: &str) {
    let name = shared
        .in_same_session(client, |call| Ok(call.me.name.to_string()))
        .await
        .unwrap_or_default();
    run_notify_program(shared.settings(), &name, reason);
}

/// Runs the notification program of the user. It gets the reason in its environment, never in its arguments.
pub(crate) fn run_notify_program(settings: &Settings, name: &str, reason: &str) {
    let Some(program) = settings.notify_command.clone() else {
        return;
    };
    let started = Command::new(&program)
        .env("CLAUDE_MESH_REASON", reason)
        .env("CLAUDE_MESH_PEER", name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        // The child must be waited for, or it stays as a zombie.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => server_faults::log(
            &settings.mesh_home,
            &format!("cannot run {}: {error}", program.display()),
        ),
    }
}
