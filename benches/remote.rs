//! Questions between sessions of two other machines, through a hub: from the line of the ask to that of its result, with an
//! asked session that answers at once. The distance is that of a delaying relay; the baseline is a ping through the same relay.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use claude_mesh::model::access_key::KeyHolder;
use serde_json::json;

use crate::hub_client::{BenchHub, key_of};
use crate::pin::{Pin, Side};
use crate::relay::{Network, Relay};
use crate::shared::{join_home, result};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchSession, BenchWorld, micros};

/// The distances: the time to the hub and back.
const PINGS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_micros(300),
    Duration::from_millis(5),
    Duration::from_millis(30),
];
/// What the programs may need besides three round trips, in microseconds.
const OWN_TIME: f64 = 5_000.0;
/// Rounds at a distance take long, and vary little.
const ROUNDS_MAX: usize = 100;

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("remote", pin);
    let rounds = rounds.min(ROUNDS_MAX);
    pin.on(Side::Near, || {
        for ping in PINGS {
            at_distance(table, pin, (ping, rounds));
        }
    });
}

fn at_distance(table: &mut Table, pin: Pin, (distance, rounds): (Duration, usize)) {
    let (world, relay) = (BenchWorld::new(pin), Relay::new());
    let hub = BenchHub::start_with(&world, &["--public-url", &relay.url()]);
    relay.lead_to(&hub.address);
    relay.set(Network::Up);
    relay.set_ping(distance);
    let ping = ping(distance, rounds);
    let hosts = ["laptop", "desk"].map(|name| {
        let host = BenchWorld::new(pin);
        let key = key_of(&world, KeyHolder::Host(name.into()));
        join_home(&host.home(), &relay.url(), &key);
        host
    });
    let mut ada = hosts[0].session("ada", Side::Near);
    let mut bo = hosts[1].session("bo", Side::Far);
    let mut samples = Samples::default();
    for round in 0..=rounds {
        let span = ask_and_answer(&mut ada, &mut bo, round);
        if round > 0 {
            samples.add(micros(span));
        }
    }
    let what = format!("{} ms", distance.as_secs_f64() * 1000.0);
    table.line(&Line::times(format!("baseline: ping, {what} away"), &ping));
    let allowed = 3.0 * ping.p50() + OWN_TIME;
    let line = Line::times(format!("ask to answer through a hub {what} away"), &samples)
        .baseline("3 pings + 5 ms", allowed);
    table.line(&line.goal(Goal::Times(1.0)));
    table.line(&Line::number(
        format!("the same without the pings it needs, {what} away"),
        "µs",
        samples.p50() - 2.0 * ping.p50(),
    ));
}

/// Measures the time of one byte there and back.
fn ping(distance: Duration, rounds: usize) -> Samples {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::new();
    relay.lead_to(&listener.local_addr().unwrap().to_string());
    relay.set_ping(distance);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
    });
    let address = relay.url();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut byte = [0];
    let round_trip = |_| {
        let began = Instant::now();
        stream.write_all(&[1]).unwrap();
        stream.read_exact(&mut byte).unwrap();
        micros(began.elapsed())
    };
    (0..rounds).map(round_trip).collect()
}

/// Asks a session that waits, which the question interrupts, and that answers at once.
fn ask_and_answer(ada: &mut BenchSession, bo: &mut BenchSession, round: usize) -> Duration {
    let never = json!({ "action": "wait", "types": ["project.never"], "timeout_seconds": 600 });
    let (waiting, line) = bo.tool_line("events", &never);
    bo.write(&line);
    // It must have begun to wait.
    std::thread::sleep(Duration::from_millis(150));
    let question = format!("which port does service {round} use?");
    let (asked, line) = ada.tool_line("ask_peer", &json!({ "to": "bo", "question": question }));
    let began = Instant::now();
    ada.write(&line);
    let interrupted = result(&bo.answer(waiting).0);
    let id = &interrupted["questions"][0]["question_id"];
    assert!(id.is_string(), "{interrupted}");
    let reply = json!({ "question_id": id, "answer": "5433" });
    let (replied, line) = bo.tool_line("reply_to_peer", &reply);
    bo.write(&line);
    let (answer, at) = ada.answer(asked);
    let span = at - began;
    assert_eq!(result(&answer)["answer"], "5433");
    bo.answer(replied);
    span
}
