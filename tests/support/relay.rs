//! A network between two programs: relays TCP connections, delays what goes through, and can be cut.
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// It relays.
    Up,
    /// Connections break, and new ones are closed at once.
    Cut,
    /// Nothing goes through, and nobody is told.
    Silent,
}

/// A relay. It ends with the process of the test.
#[derive(Clone)]
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: Mutex<Option<SocketAddr>>,
    network: Mutex<Network>,
    changed: Condvar,
    /// How long a byte is under way in one direction.
    delay: Mutex<Duration>,
    /// Both ends of each connection.
    connections: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Starts a relay that leads nowhere yet.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            target: Mutex::new(None),
            network: Mutex::new(Network::Up),
            changed: Condvar::new(),
            delay: Mutex::default(),
            connections: Mutex::default(),
        });
        let relay = Self { address, state };
        let accepting = relay.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                accepting.connect(stream);
            }
        });
        relay
    }

    /// Returns the URL of the relay.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads to the program at this URL or address from now on.
    pub(crate) fn lead_to(&self, url: &str) {
        let address = url.trim_start_matches("http://").parse().unwrap();
        *self.state.target.lock().unwrap() = Some(address);
    }

    /// Sets the time from one end to the other and back.
    pub(crate) fn set_ping(&self, ping: Duration) {
        *self.state.delay.lock().unwrap() = ping / 2;
    }

    /// Changes what the network does.
    pub(crate) fn set(&self, network: Network) {
        *self.state.network.lock().unwrap() = network;
        if network == Network::Cut {
            for stream in self.state.connections.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.state.changed.notify_all();
    }

    fn connect(&self, near: TcpStream) {
        let target = *self.state.target.lock().unwrap();
        if *self.state.network.lock().unwrap() == Network::Cut {
            return;
        }
        let Some(far) = target.and_then(|target| TcpStream::connect(target).ok()) else {
            return;
        };
        for stream in [&near, &far] {
            stream.set_nodelay(true).unwrap();
            let kept = stream.try_clone().unwrap();
            self.state.connections.lock().unwrap().push(kept);
        }
        self.relay(near.try_clone().unwrap(), far.try_clone().unwrap());
        self.relay(far, near);
    }

    /// Relays one direction of a connection.
    fn relay(&self, mut from: TcpStream, to: TcpStream) {
        let (chunks, received) = channel();
        let (reading, writing) = (Arc::clone(&self.state), Arc::clone(&self.state));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let due = Instant::now() + *reading.delay.lock().unwrap();
                if chunks.send((due, buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        std::thread::spawn(move || deliver(&writing, &received, to));
    }
}

fn deliver(state: &State, chunks: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    while let Ok((due, chunk)) = chunks.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let network = state.network.lock().unwrap();
        let waits = |network: &mut Network| *network == Network::Silent;
        drop(state.changed.wait_while(network, waits).unwrap());
        if to.write_all(&chunk).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
