//! A session with an inbox: a socket of the test that reads the wake lines its server posts.
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Session, WAIT_TIMEOUT, World};

/// The script of a client that starts its server and waits for it.
const SERVER_SCRIPT: &str = "\"$SERVER\"; :";

/// A session with an inbox that the test reads.
pub(crate) struct InboxSession {
    pub(crate) session: Session,
    lines: Receiver<Value>,
}

/// The client of a session with an inbox.
pub(crate) struct InboxClient<'a> {
    pub(crate) project: &'a str,
    pub(crate) status: &'a str,
    /// Variables besides those of the world.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// The script of the shell that is the client; it starts `$SERVER`.
    pub(crate) script: &'a str,
}

impl<'a> InboxClient<'a> {
    pub(crate) fn new(project: &'a str, status: &'a str) -> Self {
        Self {
            project,
            status,
            environment: &[],
            script: SERVER_SCRIPT,
        }
    }
}

impl InboxSession {
    pub(crate) fn open(world: &World, project: &str, status: &str) -> Self {
        Self::open_client(world, &InboxClient::new(project, status), || true)
    }

    /// Opens the session of a client that drops a line silently if `accepts_line` returns false.
    pub(crate) fn open_client(
        world: &World,
        client: &InboxClient<'_>,
        mut accepts_line: impl FnMut() -> bool + Send + 'static,
    ) -> Self {
        let path = world
            .home()
            .join(format!("{}.sock", client.project.replace('/', "-")));
        let (say, lines) = channel();
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = accepts_line();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let line = serde_json::from_str(&line).unwrap();
                    let _ = taken.then(|| say.send(line));
                }
            }
        });
        let socket = path.to_string_lossy().into_owned();
        let inbox = [
            ("CLAUDE_CODE_MESSAGING_SOCKET", socket.as_str()),
            ("CLAUDE_CODE_MESSAGING_TOKEN", "word"),
        ];
        let environment = [&inbox, client.environment].concat();
        let session =
            world.bare_session_with_script(client.project, &environment, "/bin/sh", client.script);
        session.register(client.status);
        session.hook("SessionStart", json!({ "source": "startup" }));
        session.discover();
        session.call("mesh_status", json!({}));
        Self { session, lines }
    }

    /// Returns the text of the next line, after the token that opens the socket.
    #[track_caller]
    pub(crate) fn next_wake_line(&self) -> String {
        let auth = self
            .lines
            .recv_timeout(WAIT_TIMEOUT)
            .expect("a wake line comes");
        assert_eq!(auth, json!({ "type": "auth", "token": "word" }));
        let line = self.lines.recv_timeout(WAIT_TIMEOUT).unwrap();
        assert_eq!(line["priority"], "next");
        line["message"]["content"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_no_line(&self, duration: Duration) {
        assert_eq!(
            self.lines.recv_timeout(duration),
            Err(RecvTimeoutError::Timeout)
        );
    }

    /// Reads the line as Claude Code does: it becomes busy and runs the hook. Returns the output of the hook.
    #[track_caller]
    pub(crate) fn read_wake_line(&self, line: &str, turn: &str) -> Value {
        self.session.register("busy");
        self.session.hook(
            "UserPromptSubmit",
            json!({ "prompt": line, "prompt_id": turn }),
        )
    }
}
