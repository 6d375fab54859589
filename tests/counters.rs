//! Counters: status and gc report exactly what is stored, after any operations, without counting rows.
mod random_steps;

use claude_mesh::mesh::{JoinRequest, Member, NewValue, ProjectEvent};
use claude_mesh::model::PeerKind;
use claude_mesh::model::event::EventFilter;
use claude_mesh::model::state::{EntryKey, EntryRange, Namespace};
use claude_mesh::platform::Clock;
use serde_json::{Value, json};

use self::random_steps::RandomSteps;
use crate::support::{DAY_MS, MeshFixture, skip};
use crate::support::{Session, World};

/// Returns the number that a statement counts.
fn count(fixture: &MeshFixture, sql: &str) -> i64 {
    fixture.rows().number(sql)
}

/// Checks every counter against the rows.
#[track_caller]
fn assert_counters_match(fixture: &MeshFixture) {
    let status = fixture.mesh().status().unwrap();
    let of = |states: &str| {
        count(
            fixture,
            &format!("SELECT count(*) FROM question WHERE state IN ({states})"),
        )
    };
    let questions = [of("'open'"), of("'answered', 'declined'"), of("'expired'")];
    assert_eq!(status.questions, questions);
    assert_eq!(
        status.messages,
        count(fixture, "SELECT count(*) FROM message")
    );
    assert_eq!(status.claims, count(fixture, "SELECT count(*) FROM claim"));
    assert_eq!(status.events, count(fixture, "SELECT count(*) FROM event"));
    let current = "SELECT count(*) FROM memory WHERE superseded_at_ms IS NULL";
    assert_eq!(status.memories, count(fixture, current));
    let open = "SELECT count(*) FROM task WHERE ended_at_ms IS NULL";
    assert_eq!(status.tasks, count(fixture, open));
    let miscounted = "SELECT count(*) FROM task_count c WHERE c.tasks <> (SELECT count(*) FROM task t WHERE t.project = c.project AND t.status = c.status)";
    assert_eq!(count(fixture, miscounted), 0);
    let counted = "SELECT coalesce(sum(tasks), 0) - (SELECT count(*) FROM task) FROM task_count";
    assert_eq!(count(fixture, counted), 0);
    let peers = "SELECT count(*) FROM peer WHERE kind = 'session'";
    let peer_count: usize = status.peers.iter().sum();
    assert_eq!(i64::try_from(peer_count).unwrap(), count(fixture, peers));
    let counters = fixture.rows().counters_table();
    let withdrawn = format!(
        "SELECT seq = (SELECT count(*) FROM question WHERE state = 'withdrawn') FROM {counters} WHERE name = 'tally.question.withdrawn'"
    );
    assert_eq!(count(fixture, &withdrawn), 1);
}

// Requirement: Sharing 8, Tasks 14
#[test]
fn status_counters_match_the_rows_after_random_steps() {
    let mut steps = RandomSteps::new();
    for number in 0..400 {
        steps.take(number);
        if number % 30 == 0 {
            assert_counters_match(&steps.fixture);
        }
    }
    let RandomSteps {
        fixture, ada, bo, ..
    } = steps;
    let now = fixture.mesh().status().unwrap();
    assert!(now.questions.iter().all(|count| *count > 0), "{now:?}");
    assert!(now.memories > 1 && now.tasks > 1, "{now:?}");
    assert_counters_match(&fixture);
    drop((ada, bo));
    let mut mesh = fixture.mesh();
    let process = JoinRequest::here(fixture.place.path()).unwrap().process;
    let person = mesh
        .register(&JoinRequest::of(process, PeerKind::Person, None))
        .unwrap();
    assert!(
        mesh.forget_peer(&person, "bo").unwrap(),
        "the peer is removed, and its questions with it"
    );
    assert_counters_match(&fixture);
}

#[test]
fn message_counter_follows_insert_delete_and_peer_removal() {
    let fixture = MeshFixture::new();
    drop((fixture.member("ada", 1), fixture.member("bo", 2)));
    drop(fixture.mesh());
    let rows = fixture.rows();
    for number in 0..20 {
        let to = if number % 4 == 0 { "ada" } else { "bo" };
        rows.execute(&format!(
            "INSERT INTO message (id, from_peer, from_name, to_peer, type, body, posted_at_ms)
             SELECT '{number}', 'x', 'x', id, 'text', 'b', 1 FROM peer WHERE name = '{to}'"
        ));
    }
    assert_counters_match(&fixture);
    rows.execute("DELETE FROM message WHERE id IN ('1', '2')");
    assert_counters_match(&fixture);
    rows.execute("DELETE FROM peer WHERE name = 'ada'");
    assert_counters_match(&fixture);
    assert_eq!(fixture.mesh().status().unwrap().messages, 13);
}

#[test]
fn event_log_is_swept_from_its_start_despite_clock_jumps() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 1);
    let emit = |ada: &mut Member, number: i64| {
        let me = ada.handle().clone();
        let project = fixture.place.path();
        ada.mesh()
            .emit(
                &me,
                &ProjectEvent::of(project, "project.step", &json!(number)),
            )
            .unwrap();
    };
    for number in 0..10 {
        emit(&mut ada, number);
    }
    fixture.clock.jump_wall_ms(20 * DAY_MS);
    emit(&mut ada, 10);
    fixture.clock.jump_wall_ms(-20 * DAY_MS);
    for number in 11..20 {
        emit(&mut ada, number);
    }
    let since = |ada: &mut Member, since_ms: i64| -> Vec<Value> {
        let filter = EventFilter {
            since_ms: Some(since_ms),
            limit: 500,
            ..EventFilter::default()
        };
        let page = ada.mesh().events(&filter).unwrap();
        page.events.into_iter().map(|event| event.data).collect()
    };
    let now_ms = fixture.clock.now().wall_ms;
    assert_eq!(
        since(&mut ada, now_ms + 1),
        [10],
        "the event is found between older ones"
    );
    fixture.clock.advance_ms(31 * DAY_MS);
    emit(&mut ada, 20);
    ada.mesh().sweep().unwrap();
    assert_counters_match(&fixture);
    assert_eq!(
        since(&mut ada, 0).len(),
        11,
        "old events are removed up to the first recent one"
    );
    fixture.clock.advance_ms(20 * DAY_MS);
    ada.mesh().sweep().unwrap();
    assert_counters_match(&fixture);
    assert_eq!(since(&mut ada, 0), [20]);
}

// Requirement: Mesh 16
#[test]
fn expired_state_entry_keeps_its_version_for_thirty_days() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 1);
    let me = ada.handle().clone();
    let place = Namespace::of(fixture.place.path(), None).unwrap();
    let set = |ada: &mut Member, ttl_seconds| {
        let value = json!("v");
        let new = NewValue {
            value: &value,
            expected_version: Some(0),
            ttl_seconds,
        };
        ada.mesh()
            .set_entry(&me, EntryKey::of(&place, "k"), &new)
            .unwrap()
            .version
    };
    assert_eq!(set(&mut ada, Some(60)), 1);
    fixture.clock.advance_ms(59_999);
    assert!(ada.mesh().entry(&place, "k").unwrap().exists());
    fixture.clock.advance_ms(1);
    assert!(!ada.mesh().entry(&place, "k").unwrap().exists());
    let all = EntryRange {
        prefix: "",
        after: "",
        bytes_max: 1_000,
    };
    assert_eq!(ada.mesh().entries(&place, &all).unwrap().0, []);
    assert_eq!(set(&mut ada, Some(60)), 2, "the version continues");
    fixture.clock.advance_ms(60_000);
    assert_eq!(ada.mesh().sweep().unwrap().state, 1);
    let filter = EventFilter {
        limit: 1,
        ..EventFilter::default()
    };
    let reported = ada.mesh().events(&filter).unwrap().events.remove(0);
    assert_eq!(
        (reported.kind.as_str(), &reported.data["deleted"]),
        ("state.changed", &json!(true))
    );
    assert_eq!(reported.data["version"], 3);
    fixture.clock.advance_ms(29 * DAY_MS);
    ada.mesh().sweep().unwrap();
    assert_eq!(set(&mut ada, Some(1)), 4, "the version continues");
    fixture.clock.advance_ms(1_000);
    ada.mesh().sweep().unwrap();
    fixture.clock.advance_ms(30 * DAY_MS + 1);
    assert_eq!(ada.mesh().sweep().unwrap().state, 1);
    assert_eq!(
        count(&fixture, "SELECT count(*) FROM state"),
        0,
        "the row itself is removed"
    );
}

#[test]
fn migrated_first_schema_file_has_correct_counters() {
    use claude_mesh::store::{Migration, Options, Schema, Store};
    const FIRST: Schema = Schema {
        migrations: &[Migration {
            sql: include_str!("../src/store/schema/0001_questions.sql"),
        }],
        min_reader: 1,
    };
    let fixture = MeshFixture::new();
    if fixture.is_served() {
        return skip("migration of the first schema", "PostgreSQL never had it");
    }
    let path = fixture.place.path().join("mesh.db");
    drop(Store::open_with(&path, Options::default(), &FIRST).unwrap());
    let rows = rusqlite::Connection::open(&path).unwrap();
    rows.execute_batch(
        "INSERT INTO peer (id, kind, name, wanted, created_at_ms, last_seen_at_ms) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'session', 'p', 'p', 1, 1);
         INSERT INTO question (id, asker_peer, asker_session, target_peer, question, state, asked_at_ms, expires_at_ms, closed_at_ms)
         SELECT value, p.id, 's', p.id, 'q', CASE value % 3 WHEN 0 THEN 'answered' WHEN 1 THEN 'expired' ELSE 'open' END, 1, 9999999999999, iif(value % 3 < 2, 1, NULL)
         FROM json_each('[1,2,3,4,5,6,7,8,9,10]') AS number, peer AS p;",
    )
    .unwrap();
    assert_counters_match(&fixture);
    assert_eq!(fixture.mesh().status().unwrap().questions, [3, 3, 4]);
    rows.execute(
        "UPDATE question SET state = 'answered', closed_at_ms = 2 WHERE state = 'open'",
        [],
    )
    .unwrap();
    assert_eq!(
        fixture.mesh().status().unwrap().questions,
        [0, 6, 4],
        "changes of an older program are counted"
    );
    assert_counters_match(&fixture);
}

// Requirement: Sharing 8, Tasks 14
#[test]
fn status_tool_reports_a_counter_of_each_kind() {
    let world = World::new();
    let (ada, _bo) = sessions_with_rows_of_each_kind(&world);
    let seen = ada.call("mesh_status", json!({}));
    assert_eq!(
        seen["questions"],
        json!({ "open": 0, "answered": 1, "expired": 0 })
    );
    assert_eq!(seen["peers"], json!({ "alive": 2, "stale": 0, "dead": 0 }));
    for (kind, count) in [
        ("messages", 1),
        ("claims", 1),
        ("tasks", 2),
        ("memories", 3),
    ] {
        assert_eq!(seen[kind], count, "{kind}");
    }
    let rows = world.rows();
    let events: i64 = rows
        .query_row("SELECT count(*) FROM event", [], |row| row.get(0))
        .unwrap();
    assert_eq!(seen["events"], events);
}

// Requirement: Sharing 8, Tasks 14
#[test]
fn status_tool_and_status_command_report_the_same_counters() {
    let world = World::new();
    let (ada, _bo) = sessions_with_rows_of_each_kind(&world);
    let seen = ada.call("mesh_status", json!({}));
    let keys: Vec<&str> = seen
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "status",
            "version",
            "schema",
            "path",
            "mesh",
            "bytes",
            "wal_bytes",
            "uptime_seconds",
            "pid",
            "wake",
            "peers",
            "questions",
            "messages",
            "claims",
            "tasks",
            "memories",
            "events",
            "engine",
            "brakes",
            "forks"
        ]
    );
    let person = world.cli(&world.home(), &["status", "--json"]).json();
    for key in keys
        .iter()
        .filter(|key| !["uptime_seconds", "pid", "wal_bytes", "bytes"].contains(key))
    {
        assert_eq!(person[key], seen[key], "{key}");
    }
}

/// Opens two sessions and stores an answered question, a message, a claim, tasks and memories.
fn sessions_with_rows_of_each_kind(world: &World) -> (Session, Session) {
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    bo.send_reply(&bo.next_question(), "5433");
    ask.result();
    ada.call(
        "post",
        json!({ "to": "bo", "body": "the port is 5433 now" }),
    );
    ada.call("claim", json!({ "resource": "deploy" }));
    ada.call("create_task", json!({ "title": "one" }));
    ada.call("create_task", json!({ "title": "two" }));
    for text in ["the port is 5433", "and was 5432", "until May"] {
        ada.call("remember", json!({ "text": text }));
    }
    (ada, bo)
}

// Requirement: Mesh 15
#[test]
fn gc_reports_the_removed_rows_of_each_kind() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    for question in ["which port?", "which host?"] {
        let ask = ada.start("ask_peer", json!({ "to": "bo", "question": question }));
        bo.send_reply(&bo.next_question(), "5433");
        ask.result();
    }
    for _ in 0..3 {
        ada.call("post", json!({ "to": "bo", "body": "y".repeat(60_000) }));
    }
    for (key, text) in [("a", "one"), ("b", "two")] {
        ada.call("remember", json!({ "key": key, "text": text }));
    }
    ada.call("state", json!({ "action": "set", "key": "k", "value": 1 }));
    let task = ada.call("create_task", json!({ "title": "one" }))["task"]["task_id"].clone();
    ada.call(
        "update_task",
        json!({ "task_id": task, "status": "cancelled" }),
    );
    bo.call("claim", json!({ "resource": "deploy" }));
    bo.call("claim", json!({ "resource": "docs" }));
    cy.close_stdin();
    cy.wait_for_end();
    bo.kill();
    // All rows are old, and the last sweep was a moment ago.
    world
        .rows()
        .execute_batch(
            "UPDATE question SET closed_at_ms = 1;
             UPDATE message SET expires_at_ms = 1;
             UPDATE memory SET expires_at_ms = 1;
             UPDATE state SET expires_at_ms = 1;
             UPDATE task SET ended_at_ms = 1;
             UPDATE session SET ended_at_ms = 1 WHERE ended_at_ms IS NOT NULL;
             UPDATE event SET at_ms = 1 WHERE seq <= 4;",
        )
        .unwrap();
    let gone = world.cli(&world.home(), &["gc", "--json"]).json()["reclaimed"].clone();
    for (kind, count) in [
        ("questions", 2),
        ("messages", 3),
        ("memories", 2),
        ("state", 1),
        ("tasks", 1),
        ("sessions", 1),
        ("claims", 2),
        ("events", 4),
    ] {
        assert_eq!(gone[kind], count, "{kind} in {gone}");
    }
    assert!(gone["bytes"].as_u64().unwrap() > 100_000, "{gone}");
    let again = world.cli(&world.home(), &["gc"]).out;
    assert_eq!(
        again,
        "removed: 0 questions, 0 memories, 0 events, 0 sessions, 0 messages, 0 state, 0 claims, 0 tasks, 0 mailboxes, 0 keys, 0 requests; \
         0 bytes freed\n"
    );
}
