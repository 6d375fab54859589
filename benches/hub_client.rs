//! A running hub and a connection to it, for the benchmarks of the hub.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use claude_mesh::mesh::{KeyDraft, Mesh};
use claude_mesh::model::PeerName;
use claude_mesh::model::access_key::{KeyHolder, KeyScope};
use claude_mesh::platform::SystemClock;
use serde_json::Value;

use crate::world::{BenchWorld, field, micros};

const CLI: &str = env!("CARGO_BIN_EXE_claude-mesh");
/// More requests than the rate limit of a key are made.
const RATE: &str = "1000000";

/// A running hub.
pub(crate) struct BenchHub {
    process: Child,
    pub(crate) address: String,
}

impl BenchHub {
    pub(crate) fn start(world: &BenchWorld) -> Self {
        Self::start_with(world, &[])
    }

    /// Starts a hub with further arguments of `claude-mesh serve`.
    pub(crate) fn start_with(world: &BenchWorld, arguments: &[&str]) -> Self {
        let folder = world.project("hub");
        let mut command: Command = world.command(CLI, &folder);
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--json", "--rate", RATE])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut started = String::new();
        for line in stdout.lines() {
            started += &line.unwrap();
            if serde_json::from_str::<Value>(&started).is_ok() {
                break;
            }
        }
        let started: Value = serde_json::from_str(&started).unwrap();
        let url = started["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        Self {
            address: address.to_owned(),
            process,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    /// Returns the resident memory of its process, in kB.
    pub(crate) fn resident_kb(&self) -> f64 {
        let path = format!("/proc/{}/status", self.pid());
        field(&std::fs::read_to_string(path).unwrap(), "VmRSS:") as f64
    }

    /// Returns a kept connection that sends the key of a peer.
    pub(crate) fn client(&self, key: &str) -> BenchClient {
        BenchClient::connect(&self.address, key)
    }
}

impl Drop for BenchHub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the key of a peer.
pub(crate) fn key(world: &BenchWorld, name: &str) -> String {
    key_of(world, KeyHolder::Peer(PeerName::fold(name)))
}

/// Returns the key of a holder.
pub(crate) fn key_of(world: &BenchWorld, holder: KeyHolder) -> String {
    let mut mesh = Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap();
    new_key(&mut mesh, world, holder)
}

/// Returns a new key of a holder.
pub(crate) fn new_key(mesh: &mut Mesh, world: &BenchWorld, holder: KeyHolder) -> String {
    let draft = KeyDraft {
        holder,
        scope: KeyScope::Write,
        project: Some(world.project("hub").to_string_lossy().into_owned()),
        lifetime: None,
    };
    mesh.create_key(&draft).unwrap().0
}

/// One HTTP connection.
pub(crate) struct BenchClient {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    address: String,
    key: String,
}

impl BenchClient {
    /// Connects to a server at `address`, `HOST:PORT`.
    pub(crate) fn connect(address: &str, key: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
            address: address.to_owned(),
            key: key.to_owned(),
        }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&Value>) {
        let (address, key) = (&self.address, &self.key);
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n"
        );
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            head += "Content-Type: application/json\r\nContent-Length: ";
            head += &body.len().to_string();
            head += "\r\n";
        }
        let request = format!("{head}\r\n{body}");
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Value {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            assert!(
                self.reader.read_line(&mut line).unwrap() > 0,
                "the hub has closed"
            );
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["error"].is_null(), "{body}");
        body
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.send(method, path, body);
        self.receive()
    }

    /// Returns how long one request takes, in microseconds.
    pub(crate) fn time(&mut self, method: &str, path: &str, body: Option<&Value>) -> f64 {
        let began = Instant::now();
        self.call(method, path, body);
        micros(began.elapsed())
    }
}
