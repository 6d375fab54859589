//! Questions between sessions of two other machines, through a hub: from the line of the ask to that of its result, with an
//! asked session that answers at once. The distance is that of a delaying relay; the baseline is a ping through the same relay.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[cfg(feature = "postgres")]
use claude_mesh::mesh::{Mesh, MeshOptions};
use claude_mesh::model::access_key::KeyHolder;
use serde_json::json;

#[cfg(feature = "postgres")]
use crate::database_server::DatabaseServer;
use crate::hook;
#[cfg(feature = "postgres")]
use crate::hub_client::new_key;
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
/// The goals on one machine, in microseconds.
const FILE_MICROS_MAX: f64 = 1_500.0;
#[cfg(feature = "postgres")]
const POSTGRES_MICROS_MAX: f64 = 4_000.0;
/// The distance of the hub from the hook.
const HOOK_PING: Duration = Duration::from_millis(5);
const HOSTS: [&str; 2] = ["laptop", "desk"];
/// Rounds at a distance take long, and vary little.
const ROUNDS_MAX: usize = 100;

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("remote", pin);
    let rounds = rounds.min(ROUNDS_MAX);
    pin.on(Side::Near, || {
        on_one_machine(table, pin, rounds);
        for ping in PINGS {
            at_distance(table, pin, (ping, rounds));
        }
    });
    prompt_hook(table, pin, rounds);
}

/// The hub is on the machine of the sessions, over a file and over a database server.
fn on_one_machine(table: &mut Table, pin: Pin, rounds: usize) {
    let ping = ping(None, rounds);
    table.line(&Line::times("baseline: ping on one machine", &ping));
    let mut line = |what: &str, samples: &Samples, goal| {
        let line = Line::times(format!("ask to answer through a hub over {what}"), samples);
        table.line(&line.baseline("ping", ping.p50()).goal(Goal::AtMost(goal)));
    };
    let world = BenchWorld::new(pin);
    let hub = BenchHub::start(&world);
    let keys = HOSTS.map(|name| key_of(&world, KeyHolder::Host(name.into())));
    let url = format!("http://{}", hub.address);
    line("a file", &asks(pin, (&url, keys), rounds), FILE_MICROS_MAX);
    drop(hub);
    #[cfg(feature = "postgres")]
    over_postgres(pin, rounds, line);
}

#[cfg(feature = "postgres")]
fn over_postgres(pin: Pin, rounds: usize, mut line: impl FnMut(&str, &Samples, f64)) {
    let Some(server) = DatabaseServer::find() else {
        println!("-- SKIPPED over PostgreSQL: no server is named, and none can be started");
        return;
    };
    let (world, schema) = (BenchWorld::new(pin), server.schema());
    let mut mesh =
        Mesh::connect(&schema.place(&world.database()), &MeshOptions::default()).unwrap();
    let keys = HOSTS.map(|name| new_key(&mut mesh, &world, KeyHolder::Host(name.into())));
    let hub = BenchHub::start_with(&world, &["--store", &schema.url()]);
    let url = format!("http://{}", hub.address);
    line(
        "PostgreSQL",
        &asks(pin, (&url, keys), rounds),
        POSTGRES_MICROS_MAX,
    );
}

fn at_distance(table: &mut Table, pin: Pin, (distance, rounds): (Duration, usize)) {
    let (world, relay) = (BenchWorld::new(pin), Relay::new());
    let hub = BenchHub::start_with(&world, &["--public-url", &relay.url()]);
    relay.lead_to(&hub.address);
    relay.set(Network::Up);
    relay.set_ping(distance);
    let ping = ping(Some(distance), rounds);
    let keys = HOSTS.map(|name| key_of(&world, KeyHolder::Host(name.into())));
    let samples = asks(pin, (&relay.url(), keys), rounds);
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

/// Measures questions between sessions of two hosts, with the URL of their hub and their keys.
fn asks(pin: Pin, (url, keys): (&str, [String; 2]), rounds: usize) -> Samples {
    let hosts = keys.map(|key| {
        let host = BenchWorld::new(pin);
        join_home(&host.home(), url, &key);
        host
    });
    let mut ada = hosts[0].session("ada", Side::Near);
    let mut bo = hosts[1].session("bo", Side::Far);
    let spans = (0..=rounds).map(|round| micros(ask_and_answer(&mut ada, &mut bo, round)));
    spans.skip(1).collect()
}

/// Measures the time of one byte there and back, through a relay if there is a distance.
fn ping(distance: Option<Duration>, rounds: usize) -> Samples {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut address = listener.local_addr().unwrap().to_string();
    if let Some(distance) = distance {
        let relay = Relay::new();
        relay.lead_to(&address);
        relay.set_ping(distance);
        relay
            .url()
            .trim_start_matches("http://")
            .clone_into(&mut address);
    }
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
    });
    let mut stream = TcpStream::connect(address).unwrap();
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

/// The hook of a prompt in a session whose mesh is at a hub 5 ms away: the server of the session answers it.
fn prompt_hook(table: &mut Table, pin: Pin, rounds: usize) {
    let (world, relay) = (BenchWorld::new(pin), Relay::new());
    let hub = BenchHub::start_with(&world, &["--public-url", &relay.url()]);
    relay.lead_to(&hub.address);
    relay.set_ping(HOOK_PING);
    let host = BenchWorld::new(pin);
    let key = key_of(&world, KeyHolder::Host(HOSTS[0].into()));
    join_home(&host.home(), &relay.url(), &key);
    let session = host.session("ada", Side::Far);
    let (mut bin_true, mut hook) = (Samples::default(), Samples::default());
    for round in 0..rounds + 10 {
        let nothing = hook::empty_run(&host, &session);
        let (span, said) = hook::prompt(&host, &session, round);
        // The first says who is there.
        assert!(said.is_empty() || round == 0, "{said}");
        if round >= 10 {
            bin_true.add(micros(nothing));
            hook.add(micros(span));
        }
    }
    table.line(&Line::times("baseline: /bin/true", &bin_true));
    let line = Line::times("inbox-poll at a prompt, its hub 5 ms away", &hook)
        .baseline("/bin/true", bin_true.p50());
    table.line(&line.goal(Goal::Times(2.0)));
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
