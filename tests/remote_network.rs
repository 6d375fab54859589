//! Sessions far from their mesh on a slow network, and on one that breaks: real programs, a relay between them, and network
//! namespaces whose cable is pulled.
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use claude_mesh::mesh::{ClaimOutcome, ClaimRequest, GitState, RemoteJoin, SESSION_LEASE_MS};
use claude_mesh::model::ClaimMode;
use claude_mesh::platform::project::Project;
use claude_mesh::platform::project_facts::ProjectFacts;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Hub, MeshFixture, Network, Relay, Session, TwoNetworks, World, far_host, far_host_at, far_key,
    join_home, program, wait_until,
};

/// How long a network is away.
const BREAK: Duration = Duration::from_secs(10);

/// Starts a hub that is reached by a relay.
fn hub_behind_relay(world: &World) -> (Hub, Relay) {
    let relay = Relay::new();
    let hub = Hub::start_with(world, &["--public-url", &relay.url()]);
    relay.lead_to(hub.url());
    (hub, relay)
}

fn ask(to: &str) -> Value {
    json!({ "to": to, "question": "which port?", "timeout_seconds": 60 })
}

#[test]
fn everything_works_at_each_distance() {
    for ping in [300, 5_000, 30_000].map(Duration::from_micros) {
        let world = World::new();
        let (hub, relay) = hub_behind_relay(&world);
        relay.set_ping(ping);
        let laptop = far_host_at(&hub, &relay.url(), "laptop");
        let desk = far_host_at(&hub, &relay.url(), "desk");
        let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
        let asked = ada.start("ask_peer", ask("bo"));
        bo.send_reply(&bo.next_question(), "5433");
        assert_eq!(asked.result()["answer"], "5433");
        let port = json!({ "resource": "port:1" });
        assert_eq!(ada.call("claim", port.clone())["status"], "granted");
        let queued = json!({ "resource": "port:1", "wait": "queue", "wait_seconds": 30 });
        let queued = bo.start("claim", queued);
        wait_until("it is queued", || {
            ada.call("claims", port.clone())["claims"][0]["queue"][0]["queue_position"] == 1
        });
        ada.call("release", port);
        assert_eq!(queued.result()["status"], "granted");
        ada.call("post", json!({ "to": "bo", "body": "the build is green" }));
        let mail = bo.call("list_messages", json!({}));
        assert_eq!(mail["messages"][0]["body"], "the build is green", "{mail}");
        let created = ada.call("create_task", json!({ "title": "fix the login" }));
        assert_eq!(created["created"], true, "{created}");
    }
}

#[test]
fn ask_goes_on_after_a_break_and_is_asked_once() {
    let world = World::new();
    let (hub, relay) = hub_behind_relay(&world);
    let laptop = far_host_at(&hub, &relay.url(), "laptop");
    let (ada, bo) = (laptop.session("ada"), world.session("bo"));
    let asked = ada.start("ask_peer", ask("bo"));
    let question = bo.next_question();
    relay.set(Network::Cut);
    asked.wait_for_progress("out of reach since");
    bo.send_reply(&question, "5433");
    relay.set(Network::Up);
    assert_eq!(asked.result()["answer"], "5433");
    assert_eq!(hub.count_rows("question"), 1);
}

#[test]
fn await_claim_and_event_waits_go_on_after_a_break() {
    let world = World::new();
    let (hub, relay) = hub_behind_relay(&world);
    let laptop = far_host_at(&hub, &relay.url(), "laptop");
    let (ada, bo) = (laptop.session("ada"), world.session("bo"));
    let port = json!({ "resource": "port:1" });
    assert_eq!(bo.call("claim", port.clone())["status"], "granted");
    let no_wait = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 });
    let question = ada.call("ask_peer", no_wait)["question_id"].clone();
    let awaited = ada.start("await_reply", json!({ "question_id": question }));
    let queued = json!({ "resource": "port:1", "wait": "queue", "wait_seconds": 60 });
    let queued = ada.start("claim", queued);
    let events = json!({ "action": "wait", "types": ["project.deployed"], "timeout_seconds": 60 });
    let events = ada.start("events", events);
    wait_until("the claim is queued", || {
        bo.call("claims", port.clone())["claims"][0]["queue"][0]["queue_position"] == 1
    });
    wait_until("all three wait", || hub.count_rows("wait") == 3);
    relay.set(Network::Cut);
    awaited.wait_for_progress("out of reach since");
    bo.send_reply(question.as_str().unwrap(), "5433");
    bo.call("release", port);
    let emitted = json!({ "action": "emit", "type": "project.deployed", "data": 1 });
    let emitted = bo.call("events", emitted);
    assert!(emitted["error"].is_null(), "{emitted}");
    relay.set(Network::Up);
    assert_eq!(awaited.result()["answer"], "5433");
    assert_eq!(queued.result()["status"], "granted");
    let events = events.result();
    assert_eq!(events["events"][0]["type"], "project.deployed", "{events}");
}

#[test]
fn hub_that_is_restarted_continues_what_waits() {
    let world = World::new();
    let hub = Hub::start(&world);
    let address = hub.url().trim_start_matches("http://").to_owned();
    let (laptop, local) = (far_host(&hub, "laptop"), world.session("bo"));
    let ada = laptop.session("ada");
    let asked = ada.start("ask_peer", ask("bo"));
    let question = local.next_question();
    assert!(hub.terminate());
    let hub = Hub::start_with(&world, &["--addr", &address]);
    wait_until("the session is back", || {
        hub.log().contains("POST /v1/remote/sessions 200")
    });
    assert!(asked.is_open(), "the end of a hub does not end a wait");
    local.send_reply(&question, "5433");
    assert_eq!(asked.result()["answer"], "5433");
    assert_eq!(hub.count_rows("question"), 1);
}

#[test]
fn cancelled_ask_of_a_far_session_is_withdrawn() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let (ada, bo) = (laptop.session("ada"), world.session("bo"));
    let asked = ada.start("ask_peer", ask("bo"));
    wait_until("it waits", || hub.count_rows("wait") == 1);
    asked.cancel();
    wait_until("the wait has ended", || hub.count_rows("wait") == 0);
    assert_eq!(bo.questions(), Vec::<Value>::new(), "nobody has seen it");
    assert_eq!(ada.call("mesh_status", json!({}))["error"], Value::Null);
}

#[test]
fn session_ends_at_the_hub_with_its_client() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let bo = world.session("bo");
    let mut ada = laptop.session("ada");
    let second = laptop.session("ada");
    let names = || {
        let peers = bo.call("list_peers", json!({ "scope": "mesh" }));
        let peers = peers["peers"].as_array().unwrap().clone();
        let names: Vec<String> = peers
            .iter()
            .map(|peer| peer["peer"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    assert_eq!(names().len(), 2, "two sessions of one host: {:?}", names());
    let pid = ada.server_pid().unwrap();
    ada.kill_client();
    wait_until("its program has ended", || crate::support::has_ended(pid));
    wait_until("it has left", || names() == [second.name()]);
}

#[test]
fn two_machines_with_the_key_of_one_host_are_two_sessions() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (one, other) = (far_host(&hub, "laptop"), far_host(&hub, "laptop"));
    let (ada, bo) = (one.session("work"), other.session("work"));
    let (ada_name, bo_name) = (ada.name(), bo.name());
    assert_ne!(ada_name, bo_name);
    let asked = ada.start("ask_peer", ask(&bo_name));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(asked.result()["answer"], "5433");
}

#[test]
fn stopped_program_loses_a_claim_only_by_its_lease() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let (ada, bo) = (laptop.session("ada"), world.session("bo"));
    let claimed = json!({ "resource": "port:1", "lease_seconds": 2 });
    let fence = ada.call("claim", claimed)["fence"].as_i64().unwrap();
    let program = Pid::from_raw(ada.server_pid().unwrap()).unwrap();
    kill_process(program, Signal::STOP).unwrap();
    let queued = json!({ "resource": "port:1", "wait": "queue", "wait_seconds": 30 });
    let taken = bo.call("claim", queued);
    assert_eq!(taken["status"], "granted", "{taken}");
    assert!(taken["fence"].as_i64().unwrap() > fence);
    kill_process(program, Signal::CONT).unwrap();
    let denied = ada.call("claim", json!({ "resource": "port:1" }));
    assert_eq!(
        denied["status"], "denied",
        "it wakes up and sees it: {denied}"
    );
}

#[test]
fn laptop_asleep_for_an_hour_loses_its_session_and_claim() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let folder = fixture.place.path().join("ada");
    std::fs::create_dir_all(&folder).unwrap();
    let settings = claude_mesh::platform::Settings::read(
        &|_| None,
        fixture.place.path().to_owned(),
        None,
        folder.clone(),
    );
    let project = Project::of(&folder, &settings.unwrap()).unwrap();
    let join = RemoteJoin {
        boot: "another boot".into(),
        pid_namespace: "1".into(),
        pid: 10,
        started: 10,
        instance: 0,
        project: ProjectFacts::of(&project),
        agent: None,
        client_session: None,
        given_name: None,
        inbox_problem: None,
        headless: false,
        person: false,
        has_mailbox: true,
    };
    let register = |mesh: &mut claude_mesh::mesh::Mesh| {
        let request = join.clone().into_request("laptop").unwrap();
        mesh.register_remote(&request, GitState::default())
            .unwrap()
            .0
    };
    let ada = register(&mut mesh);
    let claim = ClaimRequest {
        resource: "port:1",
        mode: ClaimMode::Exclusive,
        lease_ms: 24 * 3_600_000,
        note: None,
        queue: false,
        wait: false,
    };
    let granted = |outcome: ClaimOutcome| matches!(outcome, ClaimOutcome::Granted(_));
    assert!(granted(mesh.claim(&ada, &claim).unwrap()));
    let mut bo = fixture.member("bo", 0);
    let me = bo.handle().clone();
    fixture.clock.advance_ms(SESSION_LEASE_MS - 1);
    mesh.renew_leases(&[ada.session]).unwrap();
    assert!(!granted(bo.mesh().claim(&me, &claim).unwrap()), "it lives");
    fixture.clock.advance_ms(3_600_000);
    assert!(granted(bo.mesh().claim(&me, &claim).unwrap()));
    let again = register(&mut mesh);
    assert_eq!(again.peer, ada.peer, "it comes back to its mailbox");
    assert!(!granted(mesh.claim(&again, &claim).unwrap()));
}

/// Returns the script of a client whose server runs in the network of the laptop.
fn laptop_session(laptop: &World, networks: &TwoNetworks, project: &str) -> Session {
    let script = format!("{} \"$SERVER\"; :", networks.at_laptop().join(" "));
    let session = laptop.bare_session_with_script(project, &[], "/bin/sh", &script);
    session.hook("SessionStart", json!({ "source": "startup" }));
    session.discover();
    let status = session.call("mesh_status", json!({}));
    assert!(status["error"].is_null(), "{status}");
    session
}

#[test]
fn pulled_cable_delays_what_waits_and_keeps_what_is_written() {
    let test = "pulled_cable_delays_what_waits_and_keeps_what_is_written";
    let Some(networks) = TwoNetworks::new(test) else {
        return;
    };
    let world = World::new();
    let local = world.session("local");
    let mut command = Command::new(networks.at_hub()[0]);
    command.args(&networks.at_hub()[1..]);
    command.arg(program("claude-mesh"));
    command.env_clear().env("HOME", world.home());
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let address = format!("{}:3456", networks.hub_address());
    let hub = Hub::spawn(
        command,
        world.home(),
        &["--insecure-http", "--addr", &address],
    );
    let laptop = World::new();
    join_home(
        &laptop.home(),
        &format!("http://{address}"),
        &far_key(&hub, "laptop"),
    );
    let (ada, bo) = (
        laptop_session(&laptop, &networks, "ada"),
        laptop_session(&laptop, &networks, "bo"),
    );
    let asked = ada.start("ask_peer", ask("local"));
    let question = local.next_question();
    let other = world.session("other");
    let back = other.start("ask_peer", ask("bo"));
    let own_question = bo.next_question();
    bo.prompt("t1");
    networks.set_cable(false);
    let refused = bo.send_reply(&own_question, "5434");
    assert_eq!(refused["error"]["code"], "storage", "{refused}");
    local.send_reply(&question, "5433");
    assert_eq!(
        bo.prompt("t9"),
        None,
        "a hook does not wait for the network"
    );
    std::thread::sleep(BREAK);
    assert!(asked.is_open() && back.is_open());
    networks.set_cable(true);
    assert_eq!(asked.result()["answer"], "5433");
    assert_eq!(back.result()["answer"], "5434");
    assert_eq!(hub.count_rows("question"), 2);
    let spool: PathBuf = laptop.home().join(".claude-mesh/run/spool");
    wait_until("the reply has left the spool", || {
        let folders = std::fs::read_dir(&spool).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files
            .flatten()
            .all(|file| file.path().extension().is_none())
    });
}
