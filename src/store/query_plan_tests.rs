//! Regression tests of query plans: a partial index is used only by a statement that repeats its condition, and a scan of a
//! million rows is first noticed in a hook.
//!
//! The tests contain no copies of statements. They run methods of the store on a new database, trace the statements and ask
//! SQLite for their plans. A statement that a method does not reach on an empty database is not checked.
use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use ulid::Ulid;

use super::{AnswerRange, MemoryRange, Tx, engine};
use super::{
    MessageListing, MessageTarget, NewMessage, NewQuestion, Options, ProcessLocation, Store,
    TaskListing,
};
use crate::model::event::{EventFilter, EventPatterns};
use crate::model::state::{EntryRange, Namespace};
use crate::model::{EventKind, MessageType, Topic};
use crate::platform::clock::{Clock, ManualClock};
use crate::platform::id::{PeerId, QuestionId, SessionId};
use crate::platform::process::ProcessKey;

type StoreCall<'a> = &'a dyn Fn(&Tx) -> engine::Result<()>;

/// A statement that was run, and the steps of its plan.
struct TracedStatement {
    sql: String,
    plan: Vec<String>,
}

/// What `PRAGMA optimize` finds in the mesh of `benches/scale.rs`: table, index, rows and rows for each value. Tables without rows
/// are not among them.
const BIG_MESH_STATISTICS: &[(&str, &str, &str)] = &[
    ("memory", "memory_key", "100000 100000 100000 100000 100000"),
    ("memory", "sqlite_autoindex_memory_1", "100000 1"),
    ("message", "message", "1000000 1"),
    ("message", "message_to", "500000 200 1"),
    ("message", "message_topic", "500000 500000 1"),
    ("peer", "sqlite_autoindex_peer_1", "5002 1"),
    ("peer", "sqlite_autoindex_peer_2", "5002 1"),
    ("peer", "sqlite_autoindex_peer_3", "5002 1 1"),
    ("question", "question_asker", "200000 200000"),
    ("question", "question_closed", "200000 1 1"),
    ("question", "question_target", "200000 40"),
    ("question", "sqlite_autoindex_question_1", "200000 1"),
    ("task", "sqlite_autoindex_task_1", "10000 1"),
    ("task", "task_of_project", "10000 10000 5000"),
    ("task", "task_open", "200 200 1"),
];

/// Runs a call on a new database, without statistics and with those of a big mesh, and returns its statements.
fn trace_statements(store_call: StoreCall) -> Vec<TracedStatement> {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for is_big in [false, true] {
        let path = folder.path().join(format!("{is_big}.db"));
        let mut store = Store::open(&path, Options::default()).unwrap();
        if is_big {
            set_statistics(store.connection());
        }
        all.extend(trace_statements_of(&mut store, store_call));
    }
    all
}

fn set_statistics(connection: &rusqlite::Connection) {
    connection.execute_batch("ANALYZE").unwrap();
    for (table, index, statistics) in BIG_MESH_STATISTICS {
        connection
            .execute(
                "INSERT INTO sqlite_stat1 VALUES (?1, ?2, ?3)",
                (table, index, statistics),
            )
            .unwrap();
    }
    connection.execute_batch("ANALYZE sqlite_schema").unwrap();
}

fn trace_statements_of(store: &mut Store, store_call: StoreCall) -> Vec<TracedStatement> {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&statements);
    let record = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, sql) = event {
            recorded.lock().unwrap().push(sql.to_owned());
        }
    };
    let codes = TraceEventCodes::SQLITE_TRACE_STMT;
    store.connection().trace_v2(codes, Some(record)).unwrap();
    let now = ManualClock::at(1_800_000_000_000).now();
    store.write(now, |tx| Ok(store_call(tx)?)).unwrap();
    let no_tracer: Option<fn(TraceEvent<'_>)> = None;
    store.connection().trace_v2(codes, no_tracer).unwrap();
    let statements = std::mem::take(&mut *statements.lock().unwrap());
    let is_query = |sql: &String| {
        let first = sql.split_whitespace().next().unwrap_or_default();
        ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&first)
    };
    let queries = statements.into_iter().filter(is_query);
    queries
        .map(|sql| TracedStatement {
            plan: plan(store, &sql),
            sql,
        })
        .collect()
}

fn plan(store: &mut Store, sql: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let mut statement = store.connection().prepare(&explain).unwrap();
    // A value that is not bound is NULL, which changes no plan.
    let steps = statement.raw_query().mapped(|row| row.get(3));
    steps.map(Result::unwrap).collect()
}

fn peer() -> PeerId {
    PeerId::from(Ulid::nil())
}

fn session() -> SessionId {
    SessionId::from(Ulid::nil())
}

fn read_answer_excerpts(tx: &Tx, limit: u32) -> engine::Result<()> {
    tx.read_answer_excerpts(AnswerRange::of(peer(), limit), |_| ())
}

fn question() -> NewQuestion<'static> {
    NewQuestion {
        asker: peer(),
        asker_session: session(),
        target: peer(),
        question: "q",
        context: None,
        depth: 0,
    }
}

fn message() -> NewMessage<'static> {
    NewMessage {
        from: peer(),
        from_name: "ada",
        to: MessageTarget::Peer(peer()),
        kind: MessageType::Text,
        subject: None,
        body: "b",
        in_reply_to: None,
        idempotency_key: None,
        ttl_ms: None,
    }
}

/// Scans that are allowed, by the beginning of the plan's step, with the reason why they are fast.
const ALLOWED_SCANS: &[(&str, &str)] = &[
    (
        "SCAN question USING COVERING INDEX question_expiry",
        "that index has the open ones only",
    ),
    ("SCAN question USING INDEX question_expiry", "the same"),
    (
        "SCAN task USING INDEX task_open",
        "that index has the open ones only",
    ),
    (
        "SCAN task USING COVERING INDEX task_of_project",
        "deleted a month after their end",
    ),
    ("SCAN task", "the same"),
    (
        "SCAN memory USING COVERING INDEX memory_key",
        "memories that sessions chose to store: never a million",
    ),
    ("SCAN sqlite_sequence", "the counters"),
    ("SCAN claim", "held claims and tickets only"),
    ("SCAN peer", "one row for each peer"),
    ("SCAN p", "the same"),
    ("SCAN alias", "earlier names of peers"),
    ("SCAN session", "the sessions of a month"),
    ("SCAN access_key", "keys that persons created"),
    ("SCAN board_link", "the sign-in links of a day"),
    ("SCAN v", "the rows of one page"),
];

/// Tables that may be read in their own order up to a limit, without sorting.
const ALLOWED_ORDERED_SCANS: [&str; 2] = ["SCAN event", "SCAN message"];

/// Calls of hooks, tools and sweeps that must be fast at any size of the database.
const HOT_CALLS: &[(&str, StoreCall)] = &[
    ("the flags of a hook", &|tx| {
        tx.pending_flags(peer(), session()).map(drop)
    }),
    ("pending questions", &|tx| {
        tx.pending_questions(peer(), session())?;
        tx.undelivered_questions(peer(), session(), true)?;
        tx.count_pending_questions(&[peer()])?;
        tx.uncollected_replies(peer(), 1).map(drop)
    }),
    ("a question", &|tx| {
        tx.find_identical_open_question(&question())?;
        tx.has_pending_questions(peer())?;
        tx.has_question_held_for(peer(), "quiet")?;
        tx.max_delivered_depth(session())?;
        tx.take_peers_due_for_wake().map(drop)
    }),
    ("forks", &|tx| {
        let question = QuestionId::from(Ulid::nil());
        tx.fork_state(question)?;
        tx.is_fork_running(question, session())?;
        tx.fork_answer(question)?;
        tx.count_forks_since(session(), 1)?;
        tx.first_running_fork_at_ms(session())?;
        tx.fork_totals_of(&[session()])?;
        tx.unreported_fork_answers(session())?;
        tx.fail_forks_of_session(session())
    }),
    ("the turns of a session", &|tx| {
        tx.count_stop_blocks(QuestionId::from(Ulid::nil()))?;
        tx.delete_closed_deliveries(session(), Some(["2", "3"]))
    }),
    ("messages", &|tx| {
        let topics = [Topic::parse("ops").unwrap()];
        let listing = MessageListing {
            topics: &topics,
            limit: 9,
            ..MessageListing::default()
        };
        tx.messages(peer(), &listing)?;
        tx.count_unread(peer(), &topics)?;
        tx.unmentioned_messages(peer(), 9)?;
        tx.count_unmentioned(peer())?;
        tx.senders_of_waking_mail(peer())?;
        tx.find_message_by_idempotency_key(&message(), "key")?;
        tx.nth_newest_broadcast_at_ms(peer(), 1, 60).map(drop)
    }),
    ("claims", &|tx| {
        tx.claims_on("it")?;
        tx.claims_below("file:/nowhere")?;
        tx.claims_of_session(session())?;
        tx.unnotified_grants(session())?;
        tx.claims_held_by(&[peer()])?;
        tx.claimed_resources("file:", 9)?;
        tx.tickets_awaited_by(session())?;
        tx.last_fencing_token("it").map(drop)
    }),
    ("the event log", &|tx| {
        for _ in 0..3 {
            let kind = EventKind::MessagePosted;
            tx.append_event(kind, None, "it", &serde_json::Value::Null)?;
        }
        tx.events(&EventFilter {
            after: Some(1),
            limit: 9,
            ..EventFilter::default()
        })?;
        tx.events(&EventFilter {
            since_ms: Some(tx.now.wall_ms + 1),
            limit: 9,
            ..EventFilter::default()
        })?;
        tx.events(&EventFilter {
            types: EventPatterns::default(),
            limit: 9,
            ..EventFilter::default()
        })
        .map(drop)
    }),
    ("state", &|tx| {
        let namespace = Namespace::of(std::path::Path::new("/shop"), None).unwrap();
        tx.entry(&namespace, "key")?;
        let range = EntryRange {
            prefix: "prefix",
            after: "",
            bytes_max: 9,
        };
        tx.entries(&namespace, &range, 9).map(drop)
    }),
    ("memories", &|tx| {
        tx.count_memories("/shop", 3)?;
        tx.memory_versions("/shop", "key")?;
        tx.newest_memories(MemoryRange { first: 1, last: 2 }, 9)
            .map(drop)
    }),
    ("prior answers", &|tx| {
        read_answer_excerpts(tx, 3)?;
        tx.recent_answer_texts(peer(), 300).map(drop)
    }),
    #[cfg(feature = "hub")]
    ("the overview of a person", &|tx| {
        tx.tasks_of_mesh(9, 9)?;
        tx.count_tasks_of_mesh()?;
        tx.memory_scopes()?;
        tx.newest_messages(9).map(drop)
    }),
    ("tasks", &|tx| {
        tx.find_open_task_by_fingerprint("/shop", "title")?;
        tx.stale_todo_tasks("/shop", 1, 9)?;
        tx.todo_tasks_of(peer())?;
        tx.current_tasks(&[peer()])?;
        tx.count_tasks("/shop")?;
        tx.tasks(&TaskListing {
            project: "/shop",
            own: Some(peer()),
            status: None,
            assigned_to: None,
            words: &[],
            limit: 9,
        })
        .map(drop)
    }),
    ("sessions", &|tx| {
        tx.leased_sessions_of_host("laptop")?;
        tx.renew_session_leases(&[session()], 1)?;
        let (host, boot, pid_namespace) = ("h".to_owned(), "b".to_owned(), "n".to_owned());
        tx.find_live_session_of_process(&ProcessLocation {
            host,
            boot,
            pid_namespace,
            process: ProcessKey { pid: 1, started: 1 },
            instance: 1,
        })?;
        tx.live_sessions_at(peer())?;
        tx.live_sessions()?;
        tx.live_sessions_of(&[peer()])?;
        tx.aliases_of(&[peer()])?;
        tx.newest_wait(session())?;
        tx.peers_with_live_session()?;
        tx.session_peers_here(1)?;
        tx.count_session_peers_here()?;
        tx.live_runs()?;
        tx.addressable_peers().map(drop)
    }),
    ("status", &STATUS_CALLS),
    ("gc", &GC_CALLS),
];

const STATUS_CALLS: fn(&Tx) -> engine::Result<()> = |tx| {
    tx.count_questions()?;
    tx.count_held_questions()?;
    tx.count_messages()?;
    tx.count_claims()?;
    tx.count_all_memories()?;
    tx.count_open_tasks()?;
    tx.count_session_peers()?;
    tx.count_events().map(drop)
};

const GC_CALLS: fn(&Tx) -> engine::Result<()> = |tx| {
    tx.expire_questions()?;
    tx.expire_entries()?;
    tx.delete_expired_rows(1)?;
    tx.delete_unused_runs(1).map(drop)
};

#[test]
fn no_query_scans_a_growing_table() {
    let mut full_scans = Vec::new();
    let mut unused: Vec<&str> = ALLOWED_SCANS
        .iter()
        .map(|allowed| allowed.0)
        .chain(ALLOWED_ORDERED_SCANS)
        .collect();
    for (what, store_call) in HOT_CALLS {
        let traced = trace_statements(store_call);
        assert!(!traced.is_empty(), "{what} runs nothing");
        for TracedStatement { sql, plan } in traced {
            let limited = sql.contains("LIMIT ?") && !plan.iter().any(|step| uses_sorter(step));
            for step in plan.iter().filter(|step| reads_many_rows(step)) {
                let starts_step = |with: &str| {
                    let rest = step.strip_prefix(with);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                };
                let allowed = ALLOWED_SCANS
                    .iter()
                    .map(|allowed| allowed.0)
                    .find(|with| starts_step(with));
                let ordered = ALLOWED_ORDERED_SCANS
                    .into_iter()
                    .find(|with| limited && step == with);
                match allowed.or(ordered) {
                    Some(allowed_scan) => unused.retain(|one| *one != allowed_scan),
                    None if is_derived_table(step) => {}
                    None => full_scans.push(format!("{what}: {step} in {sql}")),
                }
            }
        }
    }
    assert!(full_scans.is_empty(), "{}", full_scans.join("\n"));
    assert!(
        unused.is_empty(),
        "allowed scans that no statement needs: {unused:?}"
    );
}

/// Returns whether a step reads a whole table, or all rows after one.
fn reads_many_rows(step: &str) -> bool {
    step.starts_with("SCAN ") || step.ends_with(" PRIMARY KEY (id>?)")
}

fn uses_sorter(step: &str) -> bool {
    step.contains("TEMP B-TREE")
}

/// Returns whether a scan reads a result of the query itself, or a list that the caller passed.
fn is_derived_table(step: &str) -> bool {
    let derived_markers = ["CONSTANT ROW", "json_each", "(subquery", "VIRTUAL TABLE"];
    derived_markers
        .iter()
        .any(|derived_markers| step.contains(derived_markers))
}

/// Checks that the statements of a call use each of the indexes.
#[track_caller]
fn assert_uses_indexes(store_call: StoreCall, indexes: &[&str]) {
    let traced = trace_statements(store_call);
    for index in indexes {
        let named = |step: &String| {
            let words: Vec<&str> = step.split_whitespace().collect();
            words.windows(2).any(|two| two == ["INDEX", index])
        };
        let plans: Vec<&Vec<String>> = traced.iter().map(|one| &one.plan).collect();
        assert!(
            plans.iter().any(|plan| plan.iter().any(named)),
            "{index}: {plans:?}"
        );
    }
}

/// The indexes that each of [`HOT_CALLS`] uses at least.
const NEEDED_INDEXES: &[(&str, &str)] = &[
    (
        "the flags of a hook",
        "question_pending question_answers claim_untold fork_unreported",
    ),
    ("pending questions", "question_pending question_answers"),
    ("forks", "fork_of_session fork_unreported fork_running"),
    ("the turns of a session", "showing_of_session"),
    (
        "a question",
        "question_pending question_unheard showing_of_session",
    ),
    (
        "messages",
        "message_to message_topic message_key message_broadcast",
    ),
    (
        "claims",
        "claim_resource claim_session claim_peer wait_of_session",
    ),
    ("the event log", "event_time"),
    ("memories", "memory_key"),
    ("prior answers", "question_target"),
    ("tasks", "task_open task_assigned task_of_project"),
    (
        "sessions",
        "session_live_process session_live_peer wait_of_session",
    ),
    ("status", "question_expiry task_open"),
    (
        "gc",
        "question_expiry question_closed state_expiry state_gone memory_expiry message_expiry",
    ),
];

#[test]
fn frequent_queries_use_their_indexes() {
    for (what, indexes) in NEEDED_INDEXES {
        let (_, store_call) = HOT_CALLS.iter().find(|(name, _)| name == what).unwrap();
        let indexes: Vec<&str> = indexes.split_whitespace().collect();
        assert_uses_indexes(*store_call, &indexes);
    }
}

/// The event log is read by its number and prior answers by their index, neither sorted nor read completely.
#[test]
fn long_tables_are_read_in_index_order_without_sorting() {
    let first = |store_call: StoreCall| trace_statements(store_call)[0].plan.clone();
    let after = EventFilter {
        after: Some(1),
        limit: 9,
        ..EventFilter::default()
    };
    let plan = first(&|tx| tx.events(&after).map(drop));
    assert_eq!(plan[0], "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)");
    assert!(!plan.iter().any(|step| uses_sorter(step)), "{plan:?}");
    for store_call in [
        &(|tx: &Tx| tx.recent_answer_texts(peer(), 300).map(drop)) as StoreCall,
        &|tx| read_answer_excerpts(tx, 300),
        &|tx| tx.last_event_seq().map(drop),
        &|tx| tx.todo_tasks_of(peer()).map(drop),
    ] {
        let plan = first(store_call);
        assert!(plan[0].starts_with("SEARCH "), "{plan:?}");
    }
    for store_call in [
        &(|tx: &Tx| tx.recent_answer_texts(peer(), 300).map(drop)) as StoreCall,
        &|tx| read_answer_excerpts(tx, 300),
    ] {
        let plan = first(store_call);
        assert_eq!(plan.len(), 1, "nothing is sorted: {plan:?}");
    }
}
