//! The plans of what the store really runs, pinned: a partial index is only used by the very term it was made with, and a
//! scan of a million rows shows first in a hook.
//!
//! Nothing is copied here: each look of the store is taken over a new file, and the plan of every statement it ran is asked
//! for. What it does not reach in an empty file is not seen.
use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use ulid::Ulid;

use super::{Listing, NewMessage, NewQuestion, Options, ProcessPlace, Store, Target, TaskListing};
use super::{MemoryRange, Tx};
use crate::model::event::{Filter, Patterns};
use crate::model::state::Namespace;
use crate::model::{EventKind, MessageType, Topic};
use crate::platform::clock::{Clock, SetClock};
use crate::platform::id::{PeerId, QuestionId, SessionId};
use crate::platform::process::ProcessKey;

type Look<'a> = &'a dyn Fn(&Tx) -> rusqlite::Result<()>;

/// A statement that was run, and the steps of its plan.
struct Ran {
    sql: String,
    plan: Vec<String>,
}

/// Takes a look over a new file, and returns what it ran.
fn run(look: Look) -> Vec<Ran> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mesh.db");
    let mut store = Store::open(&path, Options::default()).unwrap();
    let statements = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&statements);
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, sql) = event {
            heard.lock().unwrap().push(sql.to_owned());
        }
    };
    let codes = TraceEventCodes::SQLITE_TRACE_STMT;
    store.connection.trace_v2(codes, Some(note)).unwrap();
    let now = SetClock::at(1_800_000_000_000).now();
    store.write(now, |tx| Ok(look(tx)?)).unwrap();
    let nobody: Option<fn(TraceEvent<'_>)> = None;
    store.connection.trace_v2(codes, nobody).unwrap();
    let statements = std::mem::take(&mut *statements.lock().unwrap());
    let is_query = |sql: &String| {
        let first = sql.split_whitespace().next().unwrap_or_default();
        ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&first)
    };
    let queries = statements.into_iter().filter(is_query);
    queries
        .map(|sql| Ran {
            plan: plan(&store, &sql),
            sql,
        })
        .collect()
}

fn plan(store: &Store, sql: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let mut statement = store.connection.prepare(&explain).unwrap();
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
        to: Target::Peer(peer()),
        kind: MessageType::Text,
        subject: None,
        body: "b",
        in_reply_to: None,
        idempotency_key: None,
        ttl_ms: None,
    }
}

/// What may be read from end to end, by the beginning of the step, with the reason why that takes no time.
const SMALL: &[(&str, &str)] = &[
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
        "gone a month after their end",
    ),
    (
        "SCAN memory USING COVERING INDEX memory_key",
        "what sessions chose to keep: never a million",
    ),
    ("SCAN sqlite_sequence", "the tallies"),
    ("SCAN claim", "what is held and waited for now"),
    ("SCAN peer", "the mailboxes"),
    ("SCAN p", "the mailboxes"),
    ("SCAN alias", "the names of mailboxes"),
    ("SCAN session", "the sessions of a month"),
    ("SCAN v", "the messages of one page"),
];

/// What is read in its own order up to a limit, without sorting.
const ORDERED: [&str; 2] = ["SCAN event", "SCAN message"];

/// Looks that a hook, a call or a sweep takes, whatever the size of the file.
const EVERYDAY: &[(&str, Look)] = &[
    ("the signs of a hook", &|tx| {
        tx.signs(peer(), session()).map(drop)
    }),
    ("what waits", &|tx| {
        tx.pending(peer(), session())?;
        tx.unseen(peer(), session(), true)?;
        tx.count_pending(peer())?;
        tx.open_answers(peer(), 1).map(drop)
    }),
    ("a question", &|tx| {
        tx.same_open_question(&question())?;
        tx.has_pending(peer())?;
        tx.has_held(peer(), "quiet")?;
        tx.depth_shown_to(session())?;
        tx.take_unheard().map(drop)
    }),
    ("the turns of a session", &|tx| {
        tx.count_stops(QuestionId::from(Ulid::nil()))?;
        tx.forget_showings(session(), Some(["2", "3"]))
    }),
    ("mail", &|tx| {
        let topics = [Topic::parse("ops").unwrap()];
        let listing = Listing {
            topics: &topics,
            limit: 9,
            ..Listing::default()
        };
        tx.messages(peer(), &listing)?;
        tx.count_unread(peer(), &topics)?;
        tx.unmentioned(peer(), 9)?;
        tx.count_unmentioned(peer())?;
        tx.waking_senders(peer())?;
        tx.message_keyed(&message(), "key")?;
        tx.nth_broadcast(peer(), 1, 60).map(drop)
    }),
    ("claims", &|tx| {
        tx.claims_on("it")?;
        tx.claims_of_session(session())?;
        tx.claims_untold(session())?;
        tx.held_at(peer())?;
        tx.resources_claimed("file:", 9)?;
        tx.tickets_waited_with(session())?;
        tx.last_fence("it").map(drop)
    }),
    ("the log", &|tx| {
        for _ in 0..3 {
            let kind = EventKind::MessagePosted;
            tx.append(kind, None, "it", &serde_json::Value::Null)?;
        }
        tx.events(&Filter {
            after: Some(1),
            limit: 9,
            ..Filter::default()
        })?;
        tx.events(&Filter {
            since_ms: Some(tx.now.wall_ms + 1),
            limit: 9,
            ..Filter::default()
        })?;
        tx.events(&Filter {
            types: Patterns::default(),
            limit: 9,
            ..Filter::default()
        })
        .map(drop)
    }),
    ("state", &|tx| {
        let place = Namespace::of(std::path::Path::new("/shop"), None).unwrap();
        tx.entry(&place, "key")?;
        tx.entries(&place, "prefix", "", 9, 9).map(drop)
    }),
    ("memories", &|tx| {
        tx.count_memories("/shop", 3)?;
        tx.memory_versions("/shop", "key")?;
        tx.newest_memories(MemoryRange { first: 1, last: 2 }, 9)
            .map(drop)
    }),
    ("earlier answers", &|tx| {
        tx.beginnings_of_answers(peer(), 1, 3, 9)?;
        tx.answered_texts(peer(), 300).map(drop)
    }),
    ("tasks", &|tx| {
        tx.open_task_like("/shop", "title")?;
        tx.tasks_left_alone("/shop", 1, 9)?;
        tx.tasks_waiting_for(peer())?;
        tx.current_task(peer())?;
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
        let (host, boot, pid_namespace) = ("h".to_owned(), "b".to_owned(), "n".to_owned());
        tx.live_session_of(&ProcessPlace {
            host,
            boot,
            pid_namespace,
            process: ProcessKey { pid: 1, started: 1 },
            instance: 1,
        })?;
        tx.live_sessions_at(peer())?;
        tx.live_sessions()?;
        tx.newest_wait(session())?;
        tx.seated()?;
        tx.live_runs()?;
        tx.mailboxes().map(drop)
    }),
    ("status", &STATUS),
    ("gc", &SWEEP),
];

const STATUS: fn(&Tx) -> rusqlite::Result<()> = |tx| {
    tx.count_questions()?;
    tx.count_held()?;
    tx.count_messages()?;
    tx.count_claims()?;
    tx.count_all_memories()?;
    tx.count_open_tasks()?;
    tx.count_events().map(drop)
};

const SWEEP: fn(&Tx) -> rusqlite::Result<()> = |tx| {
    tx.expire_questions()?;
    tx.expire_entries()?;
    tx.sweep(1)?;
    tx.sweep_runs(1).map(drop)
};

#[test]
fn nothing_that_grows_is_read_from_end_to_end() {
    let mut wrong = Vec::new();
    let mut unused: Vec<&str> = SMALL.iter().map(|small| small.0).chain(ORDERED).collect();
    for (what, look) in EVERYDAY {
        let ran = run(look);
        assert!(!ran.is_empty(), "{what} runs nothing");
        for Ran { sql, plan } in ran {
            let limited = sql.contains("LIMIT ?") && !plan.iter().any(|step| sorts(step));
            for step in plan.iter().filter(|step| step.starts_with("SCAN ")) {
                let begins = |with: &str| {
                    let rest = step.strip_prefix(with);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                };
                let small = SMALL.iter().map(|small| small.0).find(|with| begins(with));
                let ordered = ORDERED.into_iter().find(|with| limited && step == with);
                match small.or(ordered) {
                    Some(known) => unused.retain(|one| *one != known),
                    None if is_made(step) => {}
                    None => wrong.push(format!("{what}: {step} in {sql}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "read no more: {unused:?}");
}

fn sorts(step: &str) -> bool {
    step.contains("TEMP B-TREE")
}

/// What is read from end to end was put together by the query itself, or is the list that a caller gives.
fn is_made(step: &str) -> bool {
    let made = ["CONSTANT ROW", "json_each", "(subquery", "VIRTUAL TABLE"];
    made.iter().any(|made| step.contains(made))
}

/// Whether each of the indexes is used by what a look runs.
#[track_caller]
fn uses(look: Look, indexes: &[&str]) {
    let ran = run(look);
    for index in indexes {
        let named = |step: &String| {
            let words: Vec<&str> = step.split_whitespace().collect();
            words.windows(2).any(|two| two == ["INDEX", index])
        };
        let plans: Vec<&Vec<String>> = ran.iter().map(|one| &one.plan).collect();
        assert!(
            plans.iter().any(|plan| plan.iter().any(named)),
            "{index}: {plans:?}"
        );
    }
}

#[test]
fn the_hot_looks_use_their_indexes() {
    for (what, indexes) in [
        (
            "the signs of a hook",
            &["question_pending", "question_answers", "claim_untold"][..],
        ),
        ("what waits", &["question_pending", "question_answers"]),
        ("the turns of a session", &["showing_of_session"]),
        (
            "a question",
            &["question_pending", "question_unheard", "showing_of_session"],
        ),
        (
            "mail",
            &[
                "message_to",
                "message_topic",
                "message_key",
                "message_broadcast",
            ],
        ),
        (
            "claims",
            &[
                "claim_resource",
                "claim_session",
                "claim_peer",
                "wait_of_session",
            ],
        ),
        ("the log", &["event_time"]),
        ("memories", &["memory_key"]),
        ("earlier answers", &["question_target"]),
        ("tasks", &["task_open", "task_assigned", "task_of_project"]),
        (
            "sessions",
            &[
                "session_live_process",
                "session_live_peer",
                "wait_of_session",
            ],
        ),
        ("status", &["question_expiry", "task_open"]),
        (
            "gc",
            &[
                "question_expiry",
                "question_closed",
                "state_expiry",
                "state_gone",
                "memory_expiry",
                "message_expiry",
            ],
        ),
    ] {
        let (_, look) = EVERYDAY.iter().find(|(name, _)| *name == what).unwrap();
        uses(*look, indexes);
    }
}

/// Reads the log by its own order, never in another and never all of it, and earlier answers by theirs.
#[test]
fn what_is_long_is_read_in_its_order_and_not_sorted() {
    let first = |look: Look| run(look)[0].plan.clone();
    let after = Filter {
        after: Some(1),
        limit: 9,
        ..Filter::default()
    };
    let plan = first(&|tx| tx.events(&after).map(drop));
    assert_eq!(plan[0], "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)");
    assert!(!plan.iter().any(|step| sorts(step)), "{plan:?}");
    for look in [
        &(|tx: &Tx| tx.answered_texts(peer(), 300).map(drop)) as Look,
        &|tx| tx.beginnings_of_answers(peer(), 1, 300, 9).map(drop),
        &|tx| tx.last_event().map(drop),
        &|tx| tx.tasks_waiting_for(peer()).map(drop),
    ] {
        let plan = first(look);
        assert!(plan[0].starts_with("SEARCH "), "{plan:?}");
    }
    for look in [
        &(|tx: &Tx| tx.answered_texts(peer(), 300).map(drop)) as Look,
        &|tx| tx.beginnings_of_answers(peer(), 1, 300, 9).map(drop),
    ] {
        let plan = first(look);
        assert_eq!(plan.len(), 1, "nothing is sorted: {plan:?}");
    }
}
