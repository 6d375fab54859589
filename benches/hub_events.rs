//! Live events of the hub: from the commit of an event to its receipt by the last of a thousand listeners, beside a bare
//! thread that writes the same bytes to as many loopback sockets; and the memory of a listener.
//!
//! Each round is one event, first to the listeners of the hub, then bytes for bytes to the bare sockets. One thread reads
//! both kinds of sockets in the same way, and says when the last one of a kind has the event.
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use claude_mesh::mesh::{JoinRequest, Mesh, ProjectEvent};
use claude_mesh::model::PeerKind;
use claude_mesh::platform::SystemClock;
use memchr::memmem;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::hub_client::{BenchHub, key};
use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchWorld, micros};

const LISTENERS: usize = 1_000;
/// The p99 from the commit to the last listener.
const P99_MS_MAX: f64 = 50.0;
const LISTENER_KB_MAX: f64 = 20.0;
/// Each event costs the hub a thousand writes; more rounds than this say nothing more.
const ROUNDS_MAX: usize = 100;
const WARM_UP_ROUNDS: usize = 3;
/// Before a round all threads sleep.
const PAUSE: Duration = Duration::from_millis(20);
/// An event that has not arrived by then was lost.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(30);
/// What is before the number of the round in an event of the benchmark.
const MARK: &[u8] = b"\"bench_round\":";

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    raise_descriptor_limit();
    let rounds = rounds.min(ROUNDS_MAX);
    table.group(
        &format!("hub_events, {LISTENERS} listeners, {rounds} events"),
        pin,
    );
    let figures = pin.on(Side::Near, || run(&BenchWorld::new(pin), rounds));
    table.line(&Line::times(
        "baseline: the same bytes to bare sockets, to the last one",
        &figures.bare,
    ));
    table.line(
        &Line::times("commit to the last listener", &figures.commit_to_last)
            .baseline("bare sockets", figures.bare.p50()),
    );
    let p99_ms = figures.commit_to_last.quantile(0.99) / 1000.0;
    let p99 = Line::number("    p99 of it", "ms", p99_ms);
    table.line(&p99.goal(Goal::AtMost(P99_MS_MAX)));
    table.line(&Line::times(
        "    with the call that commits it",
        &figures.call_to_last,
    ));
    let memory = Line::number("hub: resident memory a listener", "kB", figures.listener_kb);
    table.line(&memory.goal(Goal::AtMost(LISTENER_KB_MAX)));
}

/// Raises the limit of open files of this process: it has three sockets for each listener.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[derive(Default)]
struct EventFigures {
    bare: Samples,
    commit_to_last: Samples,
    call_to_last: Samples,
    listener_kb: f64,
}

fn run(world: &BenchWorld, rounds: usize) -> EventFigures {
    let hub = world.pin.on(Side::Far, || BenchHub::start(world));
    let key = key(world, "script");
    for _ in 0..40 {
        hub.client(&key).call("GET", "/v1/status", None);
    }
    let mut writer = EventWriter::open(world);
    let resident_before = hub.resident_kb();
    let listeners = (0..LISTENERS).map(|_| open_listener(&hub, &key)).collect();
    let (mut bare_sockets, bare_readers) = bare_pairs();
    let receipts = SocketReader::start(listeners, bare_readers);

    let mut figures = EventFigures::default();
    for round in 0..WARM_UP_ROUNDS + rounds {
        std::thread::sleep(PAUSE);
        let called = Instant::now();
        writer.emit(round);
        let committed = Instant::now();
        let last = receipts.of(SocketKind::Hub, round);

        std::thread::sleep(PAUSE);
        let began = Instant::now();
        for socket in &mut bare_sockets {
            socket.write_all(&last.bytes).unwrap();
        }
        let bare = receipts.of(SocketKind::Bare, round);
        if round >= WARM_UP_ROUNDS {
            figures.bare.add(micros(bare.at - began));
            // On two CPUs the listeners can have it before the call returns.
            let span = last.at.saturating_duration_since(committed);
            figures.commit_to_last.add(micros(span));
            figures.call_to_last.add(micros(last.at - called));
        }
    }
    figures.listener_kb = (hub.resident_kb() - resident_before) / LISTENERS as f64;
    drop(bare_sockets);
    receipts.end();
    figures
}

/// A session that appends events, in this process.
struct EventWriter {
    mesh: Mesh,
    me: claude_mesh::mesh::SessionHandle,
    project: std::path::PathBuf,
}

impl EventWriter {
    fn open(world: &BenchWorld) -> Self {
        let project = world.project("writer");
        let mut request = JoinRequest::here(&project).unwrap();
        request.kind = PeerKind::Session;
        let mut mesh = Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap();
        let me = mesh.register(&request).unwrap();
        Self { mesh, me, project }
    }

    /// Returns when the event is committed.
    fn emit(&mut self, round: usize) {
        let data = json!({ "state": "the build is green again", "bench_round": round });
        let event = ProjectEvent::of(&self.project, "project.built", &data);
        self.mesh.emit(&self.me, &event).unwrap();
    }
}

/// Returns a connection on which the hub sends events.
fn open_listener(hub: &BenchHub, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&hub.address).unwrap();
    let address = &hub.address;
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut received, mut buffer) = (Vec::new(), [0; 1024]);
    while memmem::find(&received, b"event: ready").is_none() {
        let count = stream.read(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&received);
        assert!(count > 0 && !text.contains("\"error\""), "{text}");
        received.extend_from_slice(&buffer[..count]);
    }
    stream
}

/// Returns connections of this process with itself: the ends that write, and those that read.
fn bare_pairs() -> (Vec<TcpStream>, Vec<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let pairs = (0..LISTENERS).map(|_| {
        let reader = TcpStream::connect(address).unwrap();
        let (writer, _) = listener.accept().unwrap();
        writer.set_nodelay(true).unwrap();
        (writer, reader)
    });
    pairs.unzip()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketKind {
    /// A listener of the hub.
    Hub,
    /// A socket to which a thread of the benchmark writes.
    Bare,
}

/// The last socket of a kind has received the event of a round.
struct Receipt {
    kind: SocketKind,
    round: usize,
    at: Instant,
    /// What that socket has received of it.
    bytes: Vec<u8>,
}

/// The receipts that the reader reports.
struct Receipts {
    receiver: Receiver<Receipt>,
    reader: JoinHandle<()>,
}

impl Receipts {
    /// Waits for the receipt by the last socket of a kind.
    fn of(&self, kind: SocketKind, round: usize) -> Receipt {
        let receipt = self.receiver.recv_timeout(RECEIPT_TIMEOUT);
        let receipt = receipt.expect("each socket receives each event");
        assert_eq!((receipt.kind, receipt.round), (kind, round));
        receipt
    }

    /// Ends the reader, which has seen that a socket was closed.
    fn end(self) {
        self.reader.join().unwrap();
    }
}

/// A connection that is read.
struct ReadSocket {
    stream: TcpStream,
    kind: SocketKind,
    /// What was received after the last event of the benchmark.
    received: Vec<u8>,
    /// How many events of the benchmark it has received.
    events: usize,
}

impl ReadSocket {
    /// Reads what is there. Returns whether the connection is open.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) => panic!("a listener cannot be read: {error}"),
            }
        }
    }

    /// Takes an event of the benchmark that has arrived as a whole. Returns its bytes.
    fn take_event(&mut self) -> Option<Vec<u8>> {
        let at = memmem::find(&self.received, MARK)? + MARK.len();
        // The frame ends with an empty line, its chunk with another end of a line.
        let end = at + memmem::find(&self.received[at..], b"\n\n\r\n")? + 4;
        let digits: String = self.received[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .map(|byte| char::from(*byte))
            .collect();
        assert_eq!(digits, self.events.to_string(), "an event is missing");
        self.events += 1;
        Some(self.received.drain(..end).collect())
    }
}

/// Reads all sockets in one thread.
struct SocketReader {
    epoll: OwnedFd,
    sockets: Vec<ReadSocket>,
    sender: Sender<Receipt>,
    /// How many events have arrived at the listeners of the hub, and at the bare sockets.
    arrived: [usize; 2],
}

impl SocketReader {
    /// Reads until a socket is closed.
    fn start(hub: Vec<TcpStream>, bare: Vec<TcpStream>) -> Receipts {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let hub = hub.into_iter().map(|stream| (stream, SocketKind::Hub));
        let bare = bare.into_iter().map(|stream| (stream, SocketKind::Bare));
        let mut sockets = Vec::new();
        for (number, (stream, kind)) in hub.chain(bare).enumerate() {
            stream.set_nonblocking(true).unwrap();
            let number = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, number, epoll::EventFlags::IN).unwrap();
            sockets.push(ReadSocket {
                stream,
                kind,
                received: Vec::new(),
                events: 0,
            });
        }
        let (sender, receiver) = channel();
        let mut reader = Self {
            epoll,
            sockets,
            sender,
            arrived: [0; 2],
        };
        let reader = std::thread::spawn(move || while reader.read_ready() {});
        Receipts { receiver, reader }
    }

    /// Waits for sockets with something to read, and reads them. Returns whether all are open.
    fn read_ready(&mut self) -> bool {
        let mut ready = Vec::with_capacity(LISTENERS);
        epoll::wait(&self.epoll, spare_capacity(&mut ready), None).unwrap();
        ready.into_iter().all(|event: epoll::Event| {
            let socket = usize::try_from(event.data.u64()).unwrap();
            self.read_socket(socket)
        })
    }

    fn read_socket(&mut self, number: usize) -> bool {
        let socket = &mut self.sockets[number];
        let is_open = socket.read();
        while let Some(bytes) = socket.take_event() {
            let (at, kind) = (Instant::now(), socket.kind);
            let arrived = &mut self.arrived[usize::from(kind == SocketKind::Bare)];
            *arrived += 1;
            if arrived.is_multiple_of(LISTENERS) {
                let round = *arrived / LISTENERS - 1;
                let receipt = Receipt {
                    kind,
                    round,
                    at,
                    bytes,
                };
                self.sender.send(receipt).unwrap();
            }
        }
        is_open
    }
}
