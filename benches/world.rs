//! A temporary home, and sessions: a client process and the real server below it.
//!
//! The benchmark itself reads and writes the pipes of the server, without a thread between, so that a time ends when the
//! line is read.
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde_json::{Value, json};

use crate::pin::{Pin, Side};
use crate::shared::{Home, register, request_metadata, result};

pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_claude-mesh-server");
pub(crate) const INBOX_POLL: &str = env!("CARGO_BIN_EXE_claude-mesh-inbox-poll");

/// A temporary home, and where its processes run.
pub(crate) struct BenchWorld {
    home: Home,
    pub(crate) pin: Pin,
}

impl BenchWorld {
    pub(crate) fn new(pin: Pin) -> Self {
        Self {
            home: Home::new(),
            pin,
        }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.database()
    }

    pub(crate) fn project(&self, name: &str) -> PathBuf {
        self.home.project(name)
    }

    /// Returns a command with this home and nothing else in its environment.
    pub(crate) fn command(&self, program: impl AsRef<Path>, folder: &Path) -> Command {
        self.home.command(program, folder)
    }

    /// Opens a session whose server has registered.
    pub(crate) fn session(&self, name: &str, side: Side) -> BenchSession {
        BenchSession::open(self, name, side, None)
    }

    /// Opens a session whose client has an inbox.
    pub(crate) fn session_with_inbox(&self, name: &str, side: Side, inbox: &Path) -> BenchSession {
        BenchSession::open(self, name, side, Some(inbox))
    }

    /// Opens the database without the library.
    pub(crate) fn sql(&self) -> Connection {
        let sql = Connection::open(self.database()).unwrap();
        sql.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
        // Without this, SQLite with STAT4 compiles a statement again whenever a value is bound.
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .unwrap();
        sql.set_prepared_statement_cache_capacity(64);
        sql
    }

    /// Returns the open question of an asker.
    pub(crate) fn open_question(sql: &Connection, asker: &str) -> String {
        sql.prepare_cached(
            "SELECT q.id FROM question q JOIN peer p ON p.id = q.asker_peer WHERE p.name = ?1 AND q.state = 'open'",
        )
        .unwrap()
        .query_row([asker], |row| row.get(0))
        .unwrap()
    }
}

/// A client, its server, and the pipes to it.
pub(crate) struct BenchSession {
    client: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next_id: i64,
    pub(crate) folder: PathBuf,
    pub(crate) id: String,
    pub(crate) server: i32,
}

impl BenchSession {
    fn open(world: &BenchWorld, name: &str, side: Side, inbox: Option<&Path>) -> Self {
        static NUMBER: AtomicI64 = AtomicI64::new(1);
        let folder = world.project(name);
        let id = format!(
            "00000000-0000-4000-8000-{:012x}",
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        // The shell stays the parent of the server, as Claude Code does; it waits until the session is registered.
        let script = format!("read -r go; \"{SERVER}\"; :");
        let mut command = world.command("/bin/sh", &folder);
        command
            .env("CLAUDE_CODE_ENTRYPOINT", "cli")
            .env("CLAUDE_CODE_SESSION_ID", &id)
            .env("CLAUDE_PROJECT_DIR", &folder)
            .envs(inbox.map(|inbox| ("CLAUDE_CODE_MESSAGING_SOCKET", inbox)))
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut client = world.pin.on(side, || command.spawn().unwrap());
        let pid = client.id();
        register_idle(world, pid, &id, &folder);
        let mut stdin = client.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let stdout = BufReader::new(client.stdout.take().unwrap());
        let mut session = Self {
            client,
            stdin: Some(stdin),
            stdout,
            next_id: 1,
            folder,
            id,
            server: 0,
        };
        session.request("server/discover", json!({}));
        let status = session.call("mesh_status", &json!({}));
        let wake = status["wake"].as_str().unwrap();
        assert_ne!(wake, "polling", "no watcher is left: {status}");
        session.server = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
        session
    }

    pub(crate) fn client_pid(&self) -> u32 {
        self.client.id()
    }

    /// Returns a request as a line, and its id.
    pub(crate) fn line(
        &mut self,
        method: &str,
        mut params: Value,
        progress: bool,
    ) -> (i64, String) {
        let id = self.next_id;
        self.next_id += 1;
        params["_meta"] = request_metadata();
        if progress {
            params["_meta"]["progressToken"] = id.into();
        }
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        (id, format!("{request}\n"))
    }

    /// Returns the call of a tool as a line, and its id.
    pub(crate) fn tool_line(&mut self, tool: &str, arguments: &Value) -> (i64, String) {
        self.line(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
            false,
        )
    }

    pub(crate) fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the server's stdin is open");
        stdin.write_all(line.as_bytes()).unwrap();
    }

    /// Reads lines until `wanted` is among them. Returns it and when it was read.
    pub(crate) fn read_until(&mut self, wanted: impl Fn(&Value) -> bool) -> (Value, Instant) {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.stdout.read_line(&mut line).unwrap();
            let at = Instant::now();
            assert!(read > 0, "the server has ended");
            let value: Value = serde_json::from_str(&line).unwrap();
            if wanted(&value) {
                return (value, at);
            }
        }
    }

    pub(crate) fn answer(&mut self, id: i64) -> (Value, Instant) {
        let (value, at) = self.read_until(|line| line["id"] == id);
        assert!(value["error"].is_null(), "{value}");
        (value, at)
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let (id, line) = self.line(method, params, false);
        self.write(&line);
        self.answer(id).0
    }

    /// Calls a tool and returns the JSON object in its result.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let (id, line) = self.tool_line(tool, arguments);
        self.write(&line);
        result(&self.answer(id).0)
    }

    /// Asks and returns as soon as the call waits: it has reported the delivery.
    pub(crate) fn ask(&mut self, to: &str, question: &str) -> i64 {
        let arguments = json!({ "to": to, "question": question, "timeout_seconds": 3600 });
        let (id, line) = self.line(
            "tools/call",
            json!({ "name": "ask_peer", "arguments": arguments }),
            true,
        );
        self.write(&line);
        self.read_until(|line| line["params"]["progressToken"] == id);
        id
    }
}

impl Drop for BenchSession {
    fn drop(&mut self) {
        // The server ends when its client has ended, also during a call; the pipe closes when it has ended.
        let _ = self.client.kill();
        let _ = self.client.wait();
        let mut rest = Vec::new();
        let _ = self.stdout.read_to_end(&mut rest);
    }
}

/// Registers a session that is idle.
pub(crate) fn register_idle(world: &BenchWorld, pid: u32, id: &str, folder: &Path) {
    let fields = json!({
        "status": "idle", "entrypoint": "cli", "sessionId": id, "cwd": folder, "version": "2.1.329",
    });
    register(&world.home(), pid, &fields);
}

/// Returns the number of context switches of all threads of a process, voluntary or not.
pub(crate) fn count_wake_ups(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            field(&status, "voluntary_ctxt_switches:")
                + field(&status, "nonvoluntary_ctxt_switches:")
        })
        .sum()
}

/// Returns the number after a name at the start of a line of a file in /proc.
pub(crate) fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no {name}"))
}

pub(crate) fn micros(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1000.0
}
