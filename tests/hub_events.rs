//! Server-sent events of the hub, over real sockets.
use std::time::Duration;

use claude_mesh::mesh::{JoinRequest, KeyDraft, Mesh, ProjectEvent, SessionHandle};
use claude_mesh::model::access_key::{KeyHolder, KeyScope};
use claude_mesh::model::{PeerKind, PeerName};
use claude_mesh::platform::process;
use serde_json::{Value, json};

use crate::support::{EventStream, Hub, World, wait_until};

/// The path of a stream without the events of sessions that register.
const PROJECT_EVENTS: &str = "/events?types=project.*";

/// A session of this process that emits events.
struct Writer {
    mesh: Mesh,
    me: SessionHandle,
}

impl Writer {
    fn new(hub: &Hub) -> Self {
        let mut mesh = hub.mesh();
        let request = JoinRequest::of(process::this_process(), PeerKind::Session, None);
        let me = mesh.register(&request).unwrap();
        Self { mesh, me }
    }

    fn emit(&mut self, kind: &str, data: &Value) -> i64 {
        let event = ProjectEvent::of("/projects/shop".as_ref(), kind, data);
        self.mesh.emit(&self.me, &event).unwrap()
    }

    fn emit_numbers(&mut self, numbers: std::ops::Range<i64>) {
        for n in numbers {
            self.emit("project.step", &json!({ "n": n }));
        }
    }
}

/// Expects events with these numbers in their data, in this order.
#[track_caller]
fn expect_numbers(stream: &mut EventStream, numbers: std::ops::Range<i64>) {
    for n in numbers {
        assert_eq!(stream.expect("project.step")["data"]["n"], n);
    }
}

fn read_key(hub: &Hub) -> String {
    hub.key("reader", KeyScope::Read)
}

// Requirement: Tasks 10
#[test]
fn stream_begins_now_and_sends_what_is_committed() {
    let world = World::new();
    let hub = Hub::start(&world);
    let mut writer = Writer::new(&hub);
    writer.emit("project.before", &json!({}));
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &read_key(&hub));
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    let seq = writer.emit("project.built", &json!({ "ok": true, "text": "a\nb" }));
    let event = stream.expect("project.built");
    assert_eq!(event["seq"], seq);
    assert_eq!(event["subject"], "/projects/shop");
    assert_eq!(event["data"], json!({ "ok": true, "text": "a\nb" }));
    assert!(
        event["at"].is_string() && event["by"].is_string(),
        "{event}"
    );
}

// Requirement: Beyond 13
#[test]
fn stream_resumes_after_the_last_event_of_the_client() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut writer = Writer::new(&hub);
    writer.emit_numbers(0..1);
    let last = writer.emit("project.last", &json!({}));
    writer.emit_numbers(1..40);
    let mut stream = EventStream::resume(&hub, PROJECT_EVENTS, &key, last);
    expect_numbers(&mut stream, 1..40);
    writer.emit_numbers(40..45);
    expect_numbers(&mut stream, 40..45);
    for name in ["after", "last_event_id"] {
        let path = format!("{PROJECT_EVENTS}&{name}={last}");
        let mut stream = EventStream::open(&hub, &path, &key);
        expect_numbers(&mut stream, 1..45);
    }
    // The header is newer than the address.
    let path = format!("{PROJECT_EVENTS}&after=0");
    let mut stream = EventStream::resume(&hub, &path, &key, last);
    expect_numbers(&mut stream, 1..2);
}

#[test]
fn malformed_start_of_a_stream_is_refused() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    for last in ["", "-1", "+1", "x", "1.0", "99999999999999999999"] {
        let headers = [("Last-Event-ID", last.to_owned())];
        let stream = EventStream::request(&hub, "/events", &key, &headers);
        assert_eq!(stream.status, 400, "{last:?}");
    }
    for query in [
        "after=x",
        "last_event_id=-1",
        "types=",
        "since=now",
        "limit=3",
    ] {
        let (status, body) = hub.get(&format!("/events?{query}"), &key);
        assert_eq!(
            (status, &body["error"]["code"]),
            (400, &"invalid_argument".into()),
            "{query}"
        );
    }
    assert_eq!(
        EventStream::request(&hub, "/events", "cmk_x", &[]).status,
        401
    );
}

#[test]
fn stream_sends_only_the_types_that_were_asked_for() {
    let world = World::new();
    let hub = Hub::start(&world);
    let path = "/events?types=project.a*,project.b&types=project.c";
    let mut stream = EventStream::open(&hub, path, &read_key(&hub));
    let mut writer = Writer::new(&hub);
    for kind in ["a.one", "x", "b", "b.x", "c", "a"] {
        writer.emit(&format!("project.{kind}"), &json!({}));
    }
    for kind in ["a.one", "b", "c", "a"] {
        stream.expect(&format!("project.{kind}"));
    }
}

// Requirement: Beyond 13
#[test]
fn stream_tells_what_is_older_than_kept() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut writer = Writer::new(&hub);
    writer.emit_numbers(0..5);
    let last = writer.emit("project.last", &json!({}));
    writer.emit_numbers(5..8);
    let deleted = world
        .rows()
        .execute("DELETE FROM event WHERE seq <= ?1", [last]);
    assert!(deleted.unwrap() > 5);
    let mut stream = EventStream::resume(&hub, PROJECT_EVENTS, &key, last - 3);
    let gap = stream.next_event();
    assert_eq!(
        (gap.event.as_str(), gap.data),
        ("gap", json!({ "oldest": last + 1 }))
    );
    // A client that ends here resumes without the gap.
    assert_eq!(gap.id, Some(last));
    expect_numbers(&mut stream, 5..8);
    let mut exact = EventStream::resume(&hub, PROJECT_EVENTS, &key, last);
    expect_numbers(&mut exact, 5..8);
    // Nothing is kept, and nothing is missing to a client that has the last one.
    let last = writer.emit("project.last", &json!({}));
    stream.expect("project.last");
    world.rows().execute("DELETE FROM event", []).unwrap();
    let mut empty = EventStream::resume(&hub, PROJECT_EVENTS, &key, last);
    writer.emit_numbers(8..9);
    expect_numbers(&mut empty, 8..9);
    expect_numbers(&mut stream, 8..9);
}

// Requirement: Tasks 10
#[test]
fn fifty_listeners_each_receive_all_events_in_order() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let streams: Vec<_> = (0..50)
        .map(|_| EventStream::open(&hub, PROJECT_EVENTS, &key))
        .collect();
    let mut writer = Writer::new(&hub);
    std::thread::scope(|scope| {
        for mut stream in streams {
            scope.spawn(move || expect_numbers(&mut stream, 0..400));
        }
        writer.emit_numbers(0..400);
    });
    // All of them have gone, so writers write no doorbell any more.
    wait_until("the wait for events ends", || event_waits(&world) == 0);
    let mut again = EventStream::open(&hub, PROJECT_EVENTS, &key);
    writer.emit_numbers(0..2);
    expect_numbers(&mut again, 0..2);
    assert_eq!(event_waits(&world), 1);
}

fn event_waits(world: &World) -> i64 {
    let count = "SELECT count(*) FROM wait WHERE event_types IS NOT NULL";
    world.rows().query_row(count, [], |row| row.get(0)).unwrap()
}

// Requirement: Beyond 13
#[test]
fn killed_hub_is_resumed_at_the_next_one() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut writer = Writer::new(&hub);
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &key);
    writer.emit_numbers(0..10);
    expect_numbers(&mut stream, 0..9);
    let last = stream.next_event().id.unwrap();
    hub.kill();
    assert_eq!(stream.next(), None);
    writer.emit_numbers(10..20);
    let hub = Hub::start(&world);
    let mut stream = EventStream::resume(&hub, PROJECT_EVENTS, &key, last);
    writer.emit_numbers(20..30);
    expect_numbers(&mut stream, 10..30);
}

#[test]
fn stopping_hub_ends_its_streams() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut writer = Writer::new(&hub);
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &key);
    let mut resumed = EventStream::resume(&hub, PROJECT_EVENTS, &key, 0);
    let last = writer.emit("project.last", &json!({}));
    stream.expect("project.last");
    resumed.expect("project.last");
    assert!(hub.terminate());
    for mut stream in [stream, resumed] {
        assert!(stream.expect_end("stopping") >= last);
    }
}

#[test]
fn revoked_key_ends_its_streams_only() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (key, other) = (read_key(&hub), hub.key("other", KeyScope::Write));
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &key);
    let mut other_stream = EventStream::open(&hub, PROJECT_EVENTS, &other);
    let mut writer = Writer::new(&hub);
    writer.mesh.revoke_keys("reader").unwrap();
    writer.emit("project.secret", &json!({}));
    stream.expect_end("unauthorized");
    other_stream.expect("project.secret");
}

#[test]
fn expired_key_ends_its_streams_and_gets_no_more_events() {
    let world = World::new();
    let hub = Hub::start(&world);
    let mut writer = Writer::new(&hub);
    let draft = KeyDraft {
        holder: KeyHolder::Peer(PeerName::parse_chosen("reader").unwrap()),
        scope: KeyScope::Read,
        project: None,
        lifetime: Some(Duration::from_secs(2)),
    };
    let (key, _) = hub.mesh().create_key(&draft).unwrap();
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &key);
    writer.emit("project.public", &json!({}));
    stream.expect("project.public");
    wait_until("the key has expired", || {
        hub.get("/v1/peers", &key).0 == 401
    });
    writer.emit("project.secret", &json!({}));
    let frame = stream.next_event();
    assert_eq!(
        (frame.event.as_str(), &frame.data["reason"]),
        ("end", &json!("unauthorized"))
    );
    assert_eq!(stream.next(), None);
}

/// Returns whether the session of the person at the hub can be asked; `None` if there is none.
fn is_person_askable(world: &World, mesh: &Mesh) -> Option<bool> {
    let session = "SELECT id FROM session WHERE agent = 'board' AND ended_at_ms IS NULL";
    let session: Option<String> = world.rows().query_row(session, [], |row| row.get(0)).ok();
    Some(
        mesh.doorbells()
            .is_server_running(session?.parse().unwrap()),
    )
}

#[test]
fn person_can_be_asked_only_while_a_board_listens() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (key, board) = (read_key(&hub), hub.board_key());
    let mut writer = Writer::new(&hub);
    let askable = |expected| {
        let is = is_person_askable(&world, &hub.mesh());
        assert_eq!(is, expected);
    };
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &key);
    writer.emit_numbers(0..1);
    expect_numbers(&mut stream, 0..1);
    // The board is registered, and nothing is committed before it listens.
    for _ in 0..2 {
        assert_eq!(hub.get("/v1/status", &board).0, 200);
    }
    askable(Some(false));
    let boards = [(); 2].map(|()| EventStream::open(&hub, "/events", &board));
    askable(Some(true));
    let [first, second] = boards;
    drop(first);
    writer.emit_numbers(1..2);
    expect_numbers(&mut stream, 1..2);
    askable(Some(true));
    drop(second);
    wait_until("nobody can be asked", || {
        is_person_askable(&world, &hub.mesh()) == Some(false)
    });
}

#[test]
fn board_that_unregisters_keeps_one_session_for_its_stream() {
    let world = World::new();
    let hub = Hub::start(&world);
    let board = hub.board_key();
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &board);
    assert_eq!(hub.delete("/v1/peers/me", &board).1["unregistered"], true);
    assert_eq!(hub.get("/v1/status", &board).0, 200);
    Writer::new(&hub).emit_numbers(0..1);
    expect_numbers(&mut stream, 0..1);
    let live = "SELECT count(*) FROM session WHERE agent = 'board' AND ended_at_ms IS NULL";
    let live: u32 = world.rows().query_row(live, [], |row| row.get(0)).unwrap();
    assert_eq!(live, 1);
    assert_eq!(is_person_askable(&world, &hub.mesh()), Some(true));
}

/// Appends events without waking anybody, in one transaction.
fn insert_events(world: &World, count: u32) {
    let mut rows = world.rows();
    let transaction = rows.transaction().unwrap();
    for n in 0..count {
        let insert =
            "INSERT INTO event (type, at_ms, subject, data) VALUES ('project.filler', 0, '', ?1)";
        transaction
            .execute(insert, [json!({ "n": n }).to_string()])
            .unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn client_that_does_not_read_is_ended_and_delays_nobody() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut slow = EventStream::open(&hub, PROJECT_EVENTS, &key);
    let mut other = EventStream::open(&hub, PROJECT_EVENTS, &key);
    let mut writer = Writer::new(&hub);
    let large = json!({ "text": "x".repeat(60_000) });
    for _ in 0..80 {
        writer.emit("project.large", &large);
        other.expect("project.large");
    }
    insert_events(&world, 11_000);
    let last = writer.emit("project.last", &json!({}));
    for n in 0..11_000 {
        assert_eq!(other.expect("project.filler")["data"]["n"], n);
    }
    assert_eq!(other.next_event().id, Some(last));
    let resume_from = slow.expect_end("slow");
    assert!(resume_from < last - 10_000, "{resume_from} of {last}");
    let mut resumed = EventStream::resume(&hub, PROJECT_EVENTS, &key, resume_from);
    for seq in resume_from + 1..=last {
        assert_eq!(resumed.next_event().id, Some(seq));
    }
}

#[test]
fn stream_goes_on_with_a_replaced_database() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut writer = Writer::new(&hub);
    writer.emit_numbers(0..3);
    let mut stream = EventStream::open(&hub, PROJECT_EVENTS, &key);
    let copy = world.home().join("copy.db");
    world
        .rows()
        .execute("VACUUM INTO ?1", [copy.to_str()])
        .unwrap();
    writer.emit_numbers(3..5);
    expect_numbers(&mut stream, 3..5);
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(world.home().join(format!(".claude-mesh/mesh.db{suffix}")));
    }
    std::fs::rename(&copy, world.database()).unwrap();
    let gap = stream.next_event();
    assert_eq!(
        (gap.event.as_str(), gap.data),
        ("gap", json!({ "oldest": 1 }))
    );
    expect_numbers(&mut stream, 0..3);
    Writer::new(&hub).emit_numbers(3..6);
    expect_numbers(&mut stream, 3..6);
}

#[test]
fn accepted_type_decides_between_stream_and_list() {
    let world = World::new();
    let hub = Hub::start(&world);
    let key = read_key(&hub);
    let mut writer = Writer::new(&hub);
    let last = writer.emit("project.first", &json!({}));
    let path = "/v1/events?types=project.*";
    let (status, list) = hub.get(path, &key);
    assert_eq!(
        (status, &list["events"][0]["seq"]),
        (200, &last.into()),
        "{list}"
    );
    let mut stream = EventStream::resume(&hub, path, &key, last);
    let path = format!("/default{path}");
    let mut named = EventStream::resume(&hub, &path, &key, last);
    writer.emit_numbers(0..2);
    expect_numbers(&mut stream, 0..2);
    expect_numbers(&mut named, 0..2);
}
