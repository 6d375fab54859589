//! The socket at which the program answers the hooks of its session, and commands in its shell. Only programs of the same user are answered.
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::hooks::{self, EVENT_BYTES_MAX, HookRequest};
use crate::mcp;
use crate::platform::fault_log;
use crate::platform::session_socket::hook_socket_path;
use crate::remote::command_call;
use crate::remote::hook_answer::RemoteHookCall;
use crate::remote::link::{self, Link};
use crate::remote::registration;

/// The longest first line of a request.
const FIRST_LINE_BYTES_MAX: u64 = 64;
/// How long a hook may take to send its event.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a hook waits for the snapshot that includes the calls before it: it must not show what they have settled. Most
/// often it is there.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_millis(150);
/// How long the text at the start of a conversation waits for the other sessions; the hook waits a little longer.
const START_TIMEOUT: Duration = Duration::from_millis(150);

/// Answers hooks for as long as the program runs, from the time on that the client process is known.
pub(super) async fn answer_hooks(link: Arc<Link>) {
    let home = &link.settings.mesh_home;
    let path = |process| hook_socket_path(home, process);
    let (listener, _file) = match mcp::listen_for_client(link.client_process(), path).await {
        Some(Ok(listening)) => listening,
        Some(Err(problem)) => return fault_log::append(home, link::PROGRAM, &problem),
        None => return,
    };
    loop {
        let stream = mcp::accept_own(&listener).await;
        tokio::spawn(serve(Arc::clone(&link), stream));
    }
}

async fn serve(link: Arc<Link>, stream: UnixStream) {
    let mut stream = BufReader::new(stream);
    let request = tokio::time::timeout(READ_TIMEOUT, read_request(&mut stream)).await;
    match request {
        Ok(Some(Request::Call)) => command_call::answer(&link, &mut stream).await,
        Ok(Some(Request::Hook(HookRequest::Run, payload))) => {
            if let Some(call) = RemoteHookCall::parse(&link, &payload) {
                run(&link, &call, stream.into_inner()).await;
            }
        }
        Ok(Some(Request::Hook(HookRequest::Wait, _))) => {
            let ended = async {
                // It sends nothing more.
                let _ = stream.read(&mut [0]).await;
            };
            let text = tokio::select! {
                text = wait_for_wake(&link) => text,
                () = ended => None,
            };
            let _ = stream.write_all(text.unwrap_or_default().as_bytes()).await;
            link.send_soon();
        }
        Ok(None) | Err(_) => {}
    }
}

/// What a program of this machine wants.
enum Request {
    /// A hook, with its event.
    Hook(HookRequest, Vec<u8>),
    /// A command that calls a tool, which it sends next.
    Call,
}

/// Reads the first line of a request and the event after it. A hook that waits sends no event.
async fn read_request(stream: &mut BufReader<UnixStream>) -> Option<Request> {
    let mut line = String::new();
    let mut limited = (&mut *stream).take(FIRST_LINE_BYTES_MAX);
    limited.read_line(&mut line).await.ok()?;
    let line = line.strip_suffix('\n')?;
    if line == command_call::FIRST_LINE {
        return Some(Request::Call);
    }
    let request = HookRequest::of_line(line)?;
    let mut payload = Vec::new();
    if request == HookRequest::Run {
        let mut limited = stream.take(EVENT_BYTES_MAX);
        limited.read_to_end(&mut payload).await.ok()?;
    }
    Some(Request::Hook(request, payload))
}

/// Runs a hook and sends its output. What a hook does not take, because it has given up, counts as not delivered.
async fn run(link: &Link, call: &RemoteHookCall, stream: UnixStream) {
    if call.starts() {
        let refresh = registration::refresh_start(link);
        let _ = tokio::time::timeout(START_TIMEOUT, refresh).await;
    } else if link.mirror().lacks_calls() {
        let _ = tokio::time::timeout(SNAPSHOT_TIMEOUT, link.wait_for_expected_calls()).await;
    }
    if stream.writable().await.is_err() {
        return;
    }
    let mut mirror = link.mirror();
    let before = mirror.clone();
    let output = call.answer(link, &mut mirror);
    let is_taken = output.is_empty()
        || matches!(stream.try_write(output.as_bytes()), Ok(sent) if sent == output.len());
    if !is_taken {
        *mirror = before;
    }
    drop(mirror);
    link.send_soon();
}

/// Waits until the session is to be woken and returns the text for it; `None` at once if another hook waits.
async fn wait_for_wake(link: &Link) -> Option<String> {
    let _place = link.waiting_hook.place.try_lock().ok()?;
    let _running = RunningHook::begin(link);
    loop {
        link.waiting_hook.due.notified().await;
        let mut mirror = link.mirror();
        if let Some(me) = mirror.addressable()
            && let Ok(Some(text)) = hooks::wake_text(&mut *mirror, &me)
        {
            mirror.set_activity("busy");
            return Some(text);
        }
    }
}

/// Tells the hub that a hook waits, and when it does no more.
struct RunningHook<'a>(&'a Link);

impl<'a> RunningHook<'a> {
    fn begin(link: &'a Link) -> Self {
        Self::report(link, true);
        Self(link)
    }

    fn report(link: &Link, runs: bool) {
        link.mirror().set_waiting_hook(runs);
        link.send_soon();
    }
}

impl Drop for RunningHook<'_> {
    fn drop(&mut self) {
        Self::report(self.0, false);
    }
}
