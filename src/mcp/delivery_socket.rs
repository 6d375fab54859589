//! Delivers to the prompt and Stop hooks of the session from the open database, over a socket.
//!
//! What a hook has printed is recorded once the hook has confirmed it. Only then the next hook is answered, so that nothing is
//! delivered twice. Only programs of the same user are answered.
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::claude_code::{HookEvent, HookPayload};
use crate::hooks::{self, DeliveryHead, EVENT_BYTES_MAX, HookCall};
use crate::mcp::own_connection::{accept_own, listen_for_client};
use crate::mcp::server_faults;
use crate::mcp::session_state::Shared;
use crate::model::{PeerKind, Result};
use crate::platform::session_socket::delivery_socket_path;

const PATH_BYTES_MAX: usize = 16 * 1024;
const FIRST_LINE_BYTES_MAX: u64 = 64;
/// How long a hook may take to send its event, and to confirm what it has printed.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Answers hooks for as long as the server runs, from the time on that the client process is known.
pub(super) async fn answer_hooks(shared: Arc<Shared>, client: String) {
    let home = &shared.settings().mesh_home;
    let path = |process| delivery_socket_path(home, process);
    let (listener, _file) = match listen_for_client(shared.client_process(), path).await {
        Some(Ok(listening)) => listening,
        Some(Err(problem)) => return server_faults::log(home, &problem),
        None => return,
    };
    let hooks = Hooks {
        shared: &shared,
        client: &client,
    };
    loop {
        hooks
            .answer(BufReader::new(accept_own(&listener).await))
            .await;
    }
}

/// What is needed to answer the hooks of one session.
struct Hooks<'a> {
    shared: &'a Shared,
    client: &'a str,
}

impl Hooks<'_> {
    /// Answers a hook. Without an answer the hook opens the database itself.
    async fn answer(&self, mut stream: BufReader<UnixStream>) {
        let request = tokio::time::timeout(READ_TIMEOUT, read_request(&mut stream)).await;
        let Ok(Some(request)) = request else {
            return;
        };
        let Some((event_name, call)) = self.call_of(request.payload) else {
            return;
        };
        // A hook that has given up has opened the database itself, and more may have happened since.
        if has_ended(stream.get_ref()) {
            return;
        }
        let delivery = self.shared.attempt(self.client, false, |context| {
            if context.location.database != request.database || context.me.kind == PeerKind::Run {
                return Ok(None);
            }
            hooks::deliver(&call, context.mesh, &context.me).map(Some)
        });
        // After a fault, the hook finds it as well and reports it.
        let Ok(Some(delivery)) = delivery else {
            return;
        };
        let output = delivery.as_ref();
        let output = output.map_or_else(String::new, |it| it.output.to_json(&event_name));
        let answer = format!("{}\n{output}", output.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        let recorded = self.shared.attempt(self.client, true, |context| {
            hooks::record_activity(&call, context.mesh, &context.me);
            Ok(())
        });
        self.log_fault(recorded);
        let Some(delivery) = delivery else {
            // The next hook may end without any of this, and peers see the budget that a prompt resets.
            return self.shared.wake_background_tasks();
        };
        let confirmed = tokio::time::timeout(READ_TIMEOUT, stream.read_u8()).await;
        if matches!(confirmed, Ok(Ok(_))) {
            let recorded = self.shared.in_same_session(self.client, |context| {
                delivery.record(context.mesh, &context.me)
            });
            self.log_fault(recorded.await);
        }
    }

    /// Returns the name of an event and the call of the hook that handles it; `None` if no hook does.
    fn call_of(&self, payload: Vec<u8>) -> Option<(String, HookCall)> {
        let parsed = serde_json::from_slice::<HookPayload>(&payload).ok()?;
        let name = parsed.event_name.clone();
        let event = HookEvent::from_payload(parsed)?;
        let settings = self.shared.settings().clone();
        let call = HookCall {
            event,
            payload,
            settings,
            other_client: false,
            by_server: true,
        };
        Some((name, call))
    }

    fn log_fault(&self, recorded: Result<()>) {
        if let Err(error) = recorded {
            let home = &self.shared.settings().mesh_home;
            server_faults::log(home, &format!("shown, but not recorded: {error}"));
        }
    }
}

/// Returns whether the other end is closed now. The runtime may not have heard of it yet.
fn has_ended(stream: &UnixStream) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// What a hook asks.
struct Request {
    /// The database of its project.
    database: PathBuf,
    /// Its event.
    payload: Vec<u8>,
}

async fn read_request(stream: &mut BufReader<UnixStream>) -> Option<Request> {
    let mut line = String::new();
    let mut first_line = (&mut *stream).take(FIRST_LINE_BYTES_MAX);
    first_line.read_line(&mut line).await.ok()?;
    let head = DeliveryHead::parse(line.strip_suffix('\n')?)?;
    if head.database_bytes > PATH_BYTES_MAX || head.payload_bytes as u64 > EVENT_BYTES_MAX {
        return None;
    }
    let mut database = vec![0; head.database_bytes];
    stream.read_exact(&mut database).await.ok()?;
    let mut payload = vec![0; head.payload_bytes];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Request {
        database: OsString::from_vec(database).into(),
        payload,
    })
}
