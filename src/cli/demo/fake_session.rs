//! A session without Claude Code: an idle client process, the real server as its child, and the real hooks.
use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::cli::demo::sandbox::{POLL_INTERVAL, Sandbox, WaitLimit};
use crate::platform::process;

/// A client process and the server below it.
pub(super) struct FakeSession {
    /// What the `SessionStart` hook gives the model.
    pub(super) session_start_text: String,
    client: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    inbox: Receiver<Value>,
    next_id: Cell<i64>,
    session_id: String,
    folder: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
    programs: PathBuf,
    wait_limit: WaitLimit,
}

impl FakeSession {
    /// Starts a session in a project, as Claude Code does: client, server, `SessionStart`.
    pub(super) fn open(sandbox: &Sandbox, project: &str) -> anyhow::Result<Self> {
        let folder = sandbox.project(project)?;
        let socket = sandbox.home().join(format!("{project}.sock"));
        let mut environment = sandbox.environment();
        environment.push(("CLAUDE_CODE_MESSAGING_SOCKET", socket.clone()));
        let mut client = Command::new(sandbox.programs().join("claude-mesh"))
            .arg("demo-client")
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a client")?;
        let stdin = client.stdin.take();
        let stdout = client.stdout.take().context("the client has no stdout")?;
        let mut session = Self {
            session_start_text: String::new(),
            lines: read_lines(stdout),
            inbox: open_inbox(&socket)?,
            session_id: format!("demo-{}", client.id()),
            client,
            stdin,
            next_id: Cell::new(1),
            folder,
            environment,
            programs: sandbox.programs().to_path_buf(),
            wait_limit: sandbox.wait_limit().clone(),
        };
        session.set_status("idle")?;
        session.session_start_text =
            session.hook("SessionStart", &json!({ "source": "startup" }))?;
        session.request("server/discover", json!({}))?;
        let status = session.call("mesh_status", &json!({}))?;
        ensure!(
            status.get("error").is_none(),
            "the server refused: {status}"
        );
        Ok(session)
    }

    /// Returns the name of its project.
    pub(super) fn name(&self) -> std::borrow::Cow<'_, str> {
        self.folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
    }

    /// Writes the session into Claude Code's registry, `idle` at its prompt or `busy` in a turn.
    pub(super) fn set_status(&self, status: &str) -> anyhow::Result<()> {
        let pid = i32::try_from(self.client.id())?;
        let started = process::stat(pid)
            .context("the client has ended")?
            .key
            .started;
        let entry = json!({
            "pid": pid, "procStart": started.to_string(), "status": status, "entrypoint": "cli",
            "sessionId": self.session_id, "cwd": self.folder,
        });
        let home = self
            .folder
            .parent()
            .context("a project is in the home folder")?;
        let registry = home.join(".claude/sessions");
        std::fs::create_dir_all(&registry)?;
        std::fs::write(registry.join(format!("{pid}.json")), entry.to_string())?;
        Ok(())
    }

    /// Waits for a line in the inbox of the session, which starts a turn if the session is idle.
    pub(super) fn next_wake_line(&self) -> anyhow::Result<String> {
        let line = receive(&self.inbox, &self.wait_limit).context("waiting for a wake line")?;
        let text = line["message"]["content"].as_str();
        Ok(text.context("not a wake line")?.to_owned())
    }

    /// Returns the next line that is in the inbox already.
    pub(super) fn pending_wake_line(&self) -> Option<Value> {
        self.inbox.recv_timeout(POLL_INTERVAL).ok()
    }

    /// Calls a tool and returns the object in its result.
    pub(super) fn call(&self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
        let result = self.result(self.start(tool, arguments)?)?;
        ensure!(
            result.get("error").is_none(),
            "{tool} was refused: {result}"
        );
        Ok(result)
    }

    /// Starts to ask and returns the number of the call.
    pub(super) fn start_ask(&self, to: &str, question: &str) -> anyhow::Result<i64> {
        self.start("ask_peer", &json!({ "to": to, "question": question }))
    }

    pub(super) fn reply_to(&self, question_id: &Value, answer: &str) -> anyhow::Result<()> {
        let reply = json!({ "question_id": question_id, "answer": answer });
        self.call("reply_to_peer", &reply).map(drop)
    }

    /// Starts a call of a tool and returns its number.
    fn start(&self, tool: &str, arguments: &Value) -> anyhow::Result<i64> {
        self.send(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
    }

    /// Waits for the result of a call and returns the object in it.
    pub(super) fn result(&self, call: i64) -> anyhow::Result<Value> {
        let line = self.wait_for("a result", |line| line["id"] == call)?;
        let text = line["result"]["content"][0]["text"]
            .as_str()
            .with_context(|| format!("not a result: {line}"))?;
        serde_json::from_str(text).with_context(|| format!("not JSON: {text}"))
    }

    /// Waits for a progress notification of a call that contains `words`.
    pub(super) fn wait_for_progress(&self, call: i64, words: &str) -> anyhow::Result<()> {
        self.wait_for("a progress notification", |line| {
            line["method"] == "notifications/progress"
                && line["params"]["progressToken"] == call
                && line["params"]["message"]
                    .as_str()
                    .is_some_and(|message| message.contains(words))
        })
        .map(drop)
    }

    /// Runs a hook as Claude Code does. Returns its text for the model; empty if it has none.
    pub(super) fn hook(&self, event: &str, fields: &Value) -> anyhow::Result<String> {
        let program = match event {
            "SessionStart" => "claude-mesh-session-start",
            "SessionEnd" => "claude-mesh-session-end",
            _ => "claude-mesh-inbox-poll",
        };
        let mut input = fields.clone();
        input["hook_event_name"] = event.into();
        input["session_id"] = self.session_id.as_str().into();
        let mut hook = Command::new(self.programs.join(program))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("CLAUDE_PID", self.client.id().to_string())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        if let Some(mut stdin) = hook.stdin.take() {
            stdin.write_all(input.to_string().as_bytes())?;
        }
        let output = hook.wait_with_output()?;
        let stderr_text = String::from_utf8_lossy(&output.stderr);
        ensure!(stderr_text.is_empty(), "{program} failed: {stderr_text}");
        if output.stdout.is_empty() {
            return Ok(String::new());
        }
        let hook_output: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{program} did not print JSON"))?;
        let context = hook_output["hookSpecificOutput"]["additionalContext"].as_str();
        let text = context.or(hook_output["reason"].as_str());
        Ok(text.unwrap_or_default().to_owned())
    }

    /// Returns the process of its server, which is the child of its client.
    pub(super) fn server(&self) -> Option<i32> {
        process::children(i32::try_from(self.client.id()).ok()?)
            .first()
            .copied()
    }

    /// Kills the client as `kill -9` does, and waits for the end of its server.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.client.kill()?;
        self.client.wait()?;
        while let Ok(line) = self.next() {
            drop(line);
        }
        ensure!(
            matches!(
                self.lines.recv_timeout(Duration::ZERO),
                Err(RecvTimeoutError::Disconnected)
            ),
            "the server of a killed client did not end"
        );
        Ok(())
    }

    fn request(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.send(method, params)?;
        self.wait_for("an answer", |line| line["id"] == id)
    }

    fn send(&self, method: &str, mut params: Value) -> anyhow::Result<i64> {
        let id = self.next_id.replace(self.next_id.get() + 1);
        params["_meta"] = request_metadata(id);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let mut stdin = self
            .stdin
            .as_ref()
            .context("the server's stdin is closed")?;
        stdin
            .write_all(format!("{message}\n").as_bytes())
            .and_then(|()| stdin.flush())
            .context("the server has ended")?;
        Ok(id)
    }

    fn wait_for(&self, what: &str, predicate: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        loop {
            let line = self.next().with_context(|| format!("waiting for {what}"))?;
            if predicate(&line) {
                return Ok(line);
            }
        }
    }

    fn next(&self) -> anyhow::Result<Value> {
        receive(&self.lines, &self.wait_limit)
    }
}

/// Returns the metadata of a request, as Claude Code sends it.
pub(super) fn request_metadata(id: i64) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "claude-code", "version": env!("CARGO_PKG_VERSION") },
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": id,
    })
}

/// Waits for a line, unless the demo is interrupted.
fn receive(lines: &Receiver<Value>, wait_limit: &WaitLimit) -> anyhow::Result<Value> {
    wait_limit.wait(|| match lines.recv_timeout(POLL_INTERVAL) {
        Ok(line) => Ok(Some(line)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => bail!("the server has ended"),
    })
}

impl Drop for FakeSession {
    /// Closes the server's stdin, which ends server and client, and waits for both, so that none writes into the removed
    /// folder.
    fn drop(&mut self) {
        self.stdin.take();
        let ended = (0..200)
            .any(|_| self.lines.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Disconnected));
        if !ended {
            let _ = self.client.kill();
        }
        let _ = self.client.wait();
    }
}

/// Opens the inbox socket of a session, as Claude Code does, and returns the lines posted there.
fn open_inbox(path: &Path) -> anyhow::Result<Receiver<Value>> {
    let _ = std::fs::remove_file(path);
    let inbox = UnixListener::bind(path).context("cannot open an inbox")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in inbox.incoming().map_while(Result::ok) {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::Null);
                if sender.send(line).is_err() {
                    return;
                }
            }
        }
    });
    Ok(receiver)
}

/// Returns the lines that a server prints, until it ends.
fn read_lines(stdout: impl std::io::Read + Send + 'static) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::Null);
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Returns the id of the first question in a hook's text.
pub(super) fn question_id(text: &str) -> anyhow::Result<&str> {
    let rest = text.split("id=\"").nth(1);
    rest.and_then(|rest| rest.split('"').next())
        .context("the text of the hook names no question")
}

/// Checks status and answer of a result.
pub(super) fn expect(result: &Value, status: &str, answer: &str) -> anyhow::Result<()> {
    ensure!(
        result["status"] == status && result["answer"] == answer,
        "expected {status} with {answer:?}, got {result}"
    );
    Ok(())
}
