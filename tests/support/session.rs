//! A session: a client process, the real server below it, and the real hooks run with its process number.
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::shared::{register, request_metadata, result};
use super::{InFlight, WAIT_TIMEOUT, World, has_ended, merged, wait_until};
use serde_json::{Value, json};

mod hooks;

/// A client process, its server, and the lines of the server.
pub(crate) struct Session {
    client: Child,
    stdin: Mutex<Option<ChildStdin>>,
    pub(super) output: Arc<ServerOutput>,
    next_id: AtomicI64,
    pub(crate) folder: PathBuf,
    home: PathBuf,
    environment: HashMap<String, String>,
    hooks: PathBuf,
    pub(crate) client_session: Mutex<String>,
}

/// The shell that is the client, and its script, which starts `$SERVER`.
pub(super) struct Shell<'a> {
    pub(super) program: &'a str,
    pub(super) script: &'a str,
}

#[derive(Default)]
pub(super) struct ServerOutput {
    pub(super) lines: Mutex<(Vec<Value>, bool)>,
    more: Condvar,
}

impl Session {
    pub(super) fn open(
        world: &World,
        folder: &Path,
        environment: &[(&str, &str)],
        shell: Shell<'_>,
    ) -> Self {
        let id = format!("00000000-0000-4000-8000-{:012x}", next_session_number());
        let mut own = world.environment.clone();
        own.insert("CLAUDE_CODE_ENTRYPOINT".into(), "cli".into());
        own.insert("CLAUDE_CODE_SESSION_ID".into(), id.clone());
        own.insert(
            "CLAUDE_PROJECT_DIR".into(),
            folder.to_string_lossy().into_owned(),
        );
        own.extend(
            environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut client = world
            .command(shell.program, folder)
            .envs(&own)
            .env("SERVER", world.servers.join("claude-mesh-server"))
            .args(["-c", shell.script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(ServerOutput::default());
        let stdout = client.stdout.take().unwrap();
        let stdin = client.stdin.take();
        let reader = Arc::clone(&output);
        std::thread::spawn(move || reader.collect_lines(BufReader::new(stdout)));
        Self {
            client,
            stdin: Mutex::new(stdin),
            output,
            next_id: 1.into(),
            folder: folder.into(),
            home: world.home(),
            environment: own,
            hooks: world.hooks.clone(),
            client_session: Mutex::new(id),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.client.id()
    }

    /// Writes the file by which Claude Code registers a session.
    pub(crate) fn register(&self, status: &str) {
        self.register_with(status, json!({}));
    }

    /// Writes that file with further fields.
    pub(crate) fn register_with(&self, status: &str, more: Value) {
        let fields = json!({
            "status": status, "entrypoint": "cli", "version": "2.1.329",
            "sessionId": *self.client_session.lock().unwrap(), "cwd": self.folder,
        });
        register(&self.home, self.pid(), &merged(fields, more));
    }

    /// Sends a discover request and no handshake, as Claude Code does.
    pub(crate) fn discover(&self) -> Value {
        self.request("server/discover", json!({}))
    }

    /// Calls a tool and returns the JSON object in its result.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        self.start(tool, arguments).result()
    }

    /// Starts a call of a tool.
    pub(crate) fn start(&self, tool: &str, arguments: Value) -> InFlight<'_> {
        let id = self.send(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        );
        InFlight { session: self, id }
    }

    /// Calls a tool as a plugin inside Claude Code does, and returns the JSON object in its result.
    #[track_caller]
    pub(crate) fn call_from_plugin(&self, tool: &str, arguments: Value) -> Value {
        let id = self.send(
            "tools/call",
            json!({
                "name": tool, "arguments": arguments,
                "_meta": { "claudecode/toolUseId": "toolu_plugin_00ff" },
            }),
        );
        InFlight { session: self, id }.result()
    }

    /// Calls a tool. Returns nothing if the server ends before it answers.
    pub(crate) fn try_call(&self, tool: &str, arguments: Value) -> Option<Value> {
        let id = self.start(tool, arguments).id;
        let answer = self.output.wait_for(|line| line["id"] == id).ok()?;
        Some(result(&answer))
    }

    #[track_caller]
    pub(crate) fn request(&self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    fn send(&self, method: &str, mut params: Value) -> i64 {
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let more = params["_meta"].take();
        params["_meta"] = request_metadata();
        if more.is_object() {
            params["_meta"] = merged(params["_meta"].take(), more);
        }
        params["_meta"]["progressToken"] = id.into();
        self.line(
            &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
        );
        id
    }

    /// Writes one line to the server as it is.
    pub(crate) fn line(&self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes());
    }

    /// Writes bytes to the server as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().unwrap();
        let stdin = stdin.as_mut().expect("the server's stdin is open");
        let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
    }

    /// Closes the stdin of the server, as a client that exits does.
    pub(crate) fn close_stdin(&self) {
        self.stdin.lock().unwrap().take();
    }

    #[track_caller]
    pub(super) fn answer(&self, id: i64) -> Value {
        self.wait_for(|line| line["id"] == id)
    }

    /// Waits for a line of the server.
    #[track_caller]
    pub(crate) fn wait_for(&self, predicate: impl Fn(&Value) -> bool) -> Value {
        self.output
            .wait_for(predicate)
            .unwrap_or_else(|lines| panic!("the server did not send it; it sent {lines:#?}"))
    }

    /// Waits for the line of the server that follows `count` others.
    pub(crate) fn line_after(&self, count: usize) -> Option<Value> {
        let lines = self.output.lines.lock().unwrap();
        let (lines, _) = self
            .output
            .more
            .wait_timeout_while(lines, WAIT_TIMEOUT, |(lines, ended)| {
                !*ended && lines.len() <= count
            })
            .unwrap();
        lines.0.get(count).cloned()
    }

    /// Waits until the server has closed its stdout.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) {
        let lines = self.output.lines.lock().unwrap();
        let (lines, _) = self
            .output
            .more
            .wait_timeout_while(lines, WAIT_TIMEOUT, |(_, ended)| !*ended)
            .unwrap();
        assert!(lines.1, "the server is still running");
    }

    /// Returns the progress notices of a call so far.
    pub(crate) fn progress(&self, id: i64) -> Vec<String> {
        let lines = self.output.lines.lock().unwrap();
        let of_call = |line: &&Value| {
            line["method"] == "notifications/progress" && line["params"]["progressToken"] == id
        };
        lines
            .0
            .iter()
            .filter(of_call)
            .map(|line| line["params"]["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Runs the hook before a tool call. Returns the reason if it denies the call.
    #[track_caller]
    pub(crate) fn denial(&self, tool: &str, input: &Value) -> Option<String> {
        let said = self.hook(
            "PreToolUse",
            json!({
                "tool_name": tool,
                "tool_input": input,
                "tool_use_id": "toolu_1",
                "cwd": self.folder,
            }),
        );
        let output = said.get("hookSpecificOutput")?;
        assert_eq!(output["hookEventName"], "PreToolUse");
        assert_eq!(output["permissionDecision"], "deny");
        assert_eq!(output.get("updatedInput"), None, "it rewrites nothing");
        let reason = output["permissionDecisionReason"].as_str();
        Some(reason.unwrap().to_owned())
    }

    /// Returns the name of this session in the mesh.
    #[track_caller]
    pub(crate) fn name(&self) -> String {
        self.call("list_peers", json!({}))["you"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Returns the pending questions of this session.
    #[track_caller]
    pub(crate) fn questions(&self) -> Vec<Value> {
        self.call("poll_inbox", json!({}))["questions"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Waits until a question is pending and returns its id.
    #[track_caller]
    pub(crate) fn next_question(&self) -> String {
        let until = Instant::now() + WAIT_TIMEOUT;
        while Instant::now() < until {
            if let Some(question) = self.questions().first() {
                return question["question_id"].as_str().unwrap().to_owned();
            }
        }
        panic!("no question came");
    }

    #[track_caller]
    pub(crate) fn send_reply(&self, question: &str, answer: &str) -> Value {
        self.call(
            "reply_to_peer",
            json!({ "question_id": question, "answer": answer }),
        )
    }

    /// Kills the client and the server at once, so that neither can unregister.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    /// Returns the process number of the server.
    pub(crate) fn server_pid(&self) -> Option<i32> {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        std::fs::read_to_string(children)
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    }

    /// Returns how often the threads of the server have been woken.
    pub(crate) fn count_wakeups(&self) -> u64 {
        count_wakeups_of(self.server_pid().unwrap())
    }

    /// Waits until the server has finished its start and sleeps.
    #[track_caller]
    pub(crate) fn wait_until_idle(&self) {
        wait_until("the server is idle", || {
            let before = self.count_wakeups();
            std::thread::sleep(Duration::from_millis(600));
            self.count_wakeups() == before
        });
    }

    /// Kills the client alone; its server's stdin stays open.
    pub(crate) fn kill_client(&mut self) {
        self.client.kill().unwrap();
        self.client.wait().unwrap();
    }

    fn kill_now(&mut self) {
        let server = self.server_pid();
        let signal_server = |signal| {
            if let Some(pid) = server.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        };
        // A stopped server does not notice the end of its client, and a killed client starts no other server.
        signal_server(rustix::process::Signal::STOP);
        let _ = self.client.kill();
        let _ = self.client.wait();
        signal_server(rustix::process::Signal::KILL);
        // Its lock is free only when it has ended.
        if let Some(pid) = server {
            wait_until("the killed server has ended", || has_ended(pid));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill_now();
    }
}

impl ServerOutput {
    fn collect_lines(&self, stdout: impl BufRead) {
        for line in stdout.lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line)
                .unwrap_or_else(|error| json!({ "not_json": line, "error": error.to_string() }));
            self.lines.lock().unwrap().0.push(line);
            self.more.notify_all();
        }
        self.lines.lock().unwrap().1 = true;
        self.more.notify_all();
    }

    fn wait_for(&self, predicate: impl Fn(&Value) -> bool) -> Result<Value, Vec<Value>> {
        let find = |lines: &Vec<Value>| lines.iter().find(|line| predicate(line)).cloned();
        let lines = self.lines.lock().unwrap();
        let (lines, _) = self
            .more
            .wait_timeout_while(lines, WAIT_TIMEOUT, |(lines, ended)| {
                !*ended && find(lines).is_none()
            })
            .unwrap();
        find(&lines.0).ok_or_else(|| lines.0.clone())
    }
}

fn next_session_number() -> i64 {
    static NUMBER: AtomicI64 = AtomicI64::new(1);
    NUMBER.fetch_add(1, Ordering::SeqCst)
}

/// Returns how often the threads of a process have been woken.
pub(crate) fn count_wakeups_of(pid: i32) -> u64 {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))
            .unwrap();
        sum += line
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap();
    }
    sum
}
