//! Search among a hundred thousand memories of one repository, each kind of query beside a rare word; and search in the
//! earlier answers of a peer.
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use claude_mesh::mesh::{
    JoinRequest, MemorySelector, Mesh, PriorAnswerQuery, QuestionDraft, Recall, Remember, Reply,
    SessionHandle,
};
use claude_mesh::model::memory::MemoryScope;
use claude_mesh::model::peer::Address;
use claude_mesh::platform::SystemClock;
use claude_mesh::platform::git_checkout::head_commit;
use rusqlite::Connection;

use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchWorld, micros};

/// Memories in the file.
const MEMORIES: u32 = 100_000;
/// No query may take longer.
const GOAL_MICROS: f64 = 10_000.0;
/// The repository of all of them.
const MEMORY_SCOPE: &str = "/projects/shop/.git";

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("recall", pin);
    pin.on(Side::Near, || {
        let world = BenchWorld::new(pin);
        let path = world.project("far").join("mesh.db");
        let open = || Mesh::open(&path, Arc::new(SystemClock::new())).unwrap();
        let mut mesh = open();
        let request = JoinRequest::here(&world.project("ada")).unwrap();
        let me = mesh.register(&request).unwrap();
        for number in 0..1_000 {
            mesh.remember(&me, MEMORY_SCOPE, remembered(&text(MEMORIES + number)))
                .unwrap();
        }
        table.note("1000 memories");
        measure_writes(table, &mut mesh, &me, rounds.min(100));
        let began = Instant::now();
        fill(&path, &mut mesh, &me);
        let bytes = path.metadata().unwrap().len() as f64;
        table.note(&format!(
            "{MEMORIES} memories, {:.0} MB, filled in {:.0} s",
            bytes / 1e6,
            began.elapsed().as_secs_f64()
        ));
        let rounds = rounds.min(100);
        let mut rare = None;
        for (name, query, least) in [
            ("a rare word", "zebrafish", 1),
            ("three common words", "deploy database server", 10),
            ("one common word", "deploy", 10),
            ("a prefix of words", "depl*", 10),
            ("two letters of a beginning", "de*", 10),
            ("a phrase of common words", "\"database server\"", 10),
            ("part of an identifier", "QuaggaPath", 1),
            ("part of a path", "quagga/inner", 1),
            ("four signs of Chinese", "数据迁移", 1),
            ("two signs of Chinese", "数据", 1),
            ("a common word without another", "deploy -database", 10),
            ("what no text has in full", "zebrafish deploy unheardof", 1),
            ("what nothing has", "xqzvkwj", 0),
        ] {
            let mut samples = Samples::default();
            for round in 0..rounds + 3 {
                let recall = Recall {
                    query: Some(query),
                    limit: 10,
                    ..Recall::default()
                };
                let began = Instant::now();
                let found = mesh.recall(MEMORY_SCOPE, recall).unwrap();
                let span = micros(began.elapsed());
                assert!(found.len() >= least, "{name}: {}", found.len());
                if round >= 3 {
                    samples.add(span);
                }
            }
            let p50 = samples.p50();
            let baseline = *rare.get_or_insert(p50);
            let line = Line::times(name, &samples).baseline("a rare word", baseline);
            table.line(&line.goal(Goal::Times(GOAL_MICROS / baseline)));
        }
        measure_writes(table, &mut mesh, &me, rounds);
        let mut samples = Samples::default();
        for _ in 0..rounds {
            let began = Instant::now();
            let count = mesh.count_memories(MEMORY_SCOPE).unwrap();
            samples.add(micros(began.elapsed()));
            assert!(count > 0);
        }
        table.line(&Line::times(
            "the count at the start of a session",
            &samples,
        ));
        prior_answers(table, &world, rounds);
    });
}

/// Memories as teams write them: common words, rare ones, identifiers, paths, and every tenth with some Chinese.
pub(crate) fn text(number: u32) -> String {
    const COMMON: [&str; 10] = [
        "deploy", "database", "server", "config", "error", "service", "branch", "test", "port",
        "build",
    ];
    let mut seed = number.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = |below: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed % below
    };
    let syllables = [
        "ka", "ro", "mi", "ten", "sol", "var", "pex", "lin", "dor", "qua", "bre", "ist", "um",
        "eth", "ogy", "ing", "er", "tion",
    ];
    let mut words: Vec<String> = Vec::new();
    for _ in 0..10 {
        words.push(COMMON[next(10) as usize].into());
    }
    for _ in 0..24 {
        let length = 2 + next(3);
        words.push((0..length).map(|_| syllables[next(18) as usize]).collect());
    }
    let (one, two) = (words[12].clone(), words[13].clone());
    words.push(format!("{one}_{two}Handler"));
    words.push(format!("src/{two}/{one}.rs"));
    if number.is_multiple_of(10) {
        let signs: String = (0..20)
            .map(|_| char::from_u32(0x4e00 + next(3_000)).unwrap())
            .collect();
        words.push(signs);
    }
    if number == MEMORIES / 2 {
        words.push("zebrafish resolveQuaggaPath src/quagga/inner/mod.rs 我们的数据迁移脚本".into());
    }
    words.join(" ")
}

/// How long storing, replacing and erasing a memory hold the write lock, and reading a commit beside them.
fn measure_writes(table: &mut Table, mesh: &mut Mesh, me: &SessionHandle, rounds: usize) {
    for (name, key) in [
        ("remember, something new", None),
        ("remember, replacing a key", Some("bench")),
    ] {
        let mut samples = Samples::default();
        for number in (0..MEMORIES).take(rounds) {
            let text = text(2 * MEMORIES + number);
            let new = Remember {
                key,
                ..remembered(&text)
            };
            let began = Instant::now();
            mesh.remember(me, MEMORY_SCOPE, new).unwrap();
            samples.add(micros(began.elapsed()));
        }
        table.line(&Line::times(name, &samples));
    }
    let mut samples = Samples::default();
    for number in (0..MEMORIES).take(rounds.min(20)) {
        let text = text(3 * MEMORIES + number);
        let kept = mesh.remember(me, MEMORY_SCOPE, remembered(&text)).unwrap();
        let began = Instant::now();
        mesh.forget(me, MEMORY_SCOPE, MemorySelector::Id(kept.id))
            .unwrap();
        samples.add(micros(began.elapsed()));
    }
    table.line(&Line::times("forget", &samples));
    let mut samples = Samples::default();
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    for _ in 0..rounds {
        let began = Instant::now();
        let commit = head_commit(&here);
        samples.add(micros(began.elapsed()));
        drop(commit);
    }
    table.line(&Line::times(
        "the commit of a checkout, for an answer",
        &samples,
    ));
}

fn remembered(text: &str) -> Remember<'_> {
    Remember {
        text,
        key: None,
        tags: &[],
        ttl_seconds: None,
        scope: MemoryScope::Project,
        force: false,
    }
}

/// The first is stored by the operation; the others by the same statements in few transactions.
fn fill(path: &std::path::Path, mesh: &mut Mesh, me: &SessionHandle) {
    mesh.remember(me, MEMORY_SCOPE, remembered(&text(0)))
        .unwrap();
    let sql = Connection::open(path).unwrap();
    sql.execute_batch("PRAGMA synchronous = OFF").unwrap();
    insert_memories(&sql, MEMORY_SCOPE, 1..MEMORIES);
    sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

/// Stores texts as memories of a scope in one transaction.
pub(crate) fn insert_memories(sql: &Connection, scope: &str, texts: Range<u32>) {
    sql.execute_batch("BEGIN").unwrap();
    let first: i64 = sql
        .query_row("SELECT coalesce(max(number), 0) FROM memory", [], |row| {
            row.get(0)
        })
        .unwrap();
    for number in texts {
        let row = first + i64::from(number);
        let text = text(number);
        sql.prepare_cached(
            "INSERT INTO memory (number, id, scope, version, by_name, at_ms, tags, text) VALUES (?1, printf('01A%023d', ?1), ?2, 1, 'ada', 0, '[]', ?3)",
        )
        .unwrap()
        .execute((row, scope, &text))
        .unwrap();
        sql.prepare_cached(
            "INSERT INTO memory_words (rowid, text, key, tags) VALUES (?1, ?2, NULL, '[]')",
        )
        .unwrap()
        .execute((row, &text))
        .unwrap();
        sql.prepare_cached("INSERT INTO memory_parts (rowid, text) VALUES (?1, ?2)")
            .unwrap()
            .execute((row, format!("\n[]\n{text}\n\n\n")))
            .unwrap();
    }
    sql.execute_batch("COMMIT").unwrap();
}

/// A peer with a thousand answers, and with five thousand.
fn prior_answers(table: &mut Table, world: &BenchWorld, rounds: usize) {
    for answers in [1_000_u32, 5_000] {
        let path = world.project(&format!("known-{answers}")).join("mesh.db");
        let mut mesh = Mesh::open(&path, Arc::new(SystemClock::new())).unwrap();
        let ada = mesh
            .register(&JoinRequest::here(&world.project("ada")).unwrap())
            .unwrap();
        let bo = mesh
            .register(&JoinRequest::here(&world.project("bo")).unwrap().instance(1))
            .unwrap();
        let to = [Address::parse("bo").unwrap()];
        let question = "which port does the orders service use?";
        let outcome = mesh.ask(&ada, &to, &QuestionDraft::of(question)).unwrap();
        let reply = Reply {
            question: outcome.asked[0].question,
            text: "it listens on 5433",
            decline: false,
            corrects: false,
            force: false,
            fork: None,
        };
        mesh.reply(&bo, reply).unwrap();
        let sql = rusqlite::Connection::open(&path).unwrap();
        sql.execute_batch("BEGIN").unwrap();
        let columns = "asker_peer, asker_session, target_peer, state, asked_at_ms, expires_at_ms, answered_by, answered_session, closed_at_ms, context";
        for number in 1..answers {
            sql.prepare_cached(&format!(
                "INSERT INTO question (id, question, answer, answered_at_ms, {columns})
                 SELECT printf('01A%023d', ?1), ?2, ?3, answered_at_ms - ?1, {columns} FROM question WHERE rowid = 1"
            ))
            .unwrap()
            .execute((number, text(number)[..90].to_owned(), text(number * 7)))
            .unwrap();
        }
        sql.execute_batch("COMMIT").unwrap();
        let mut samples = Samples::default();
        for round in 0..rounds.min(30) + 2 {
            let asking = PriorAnswerQuery {
                peer: outcome.asked[0].peer,
                question: "on what port is the orders service?",
                id: None,
            };
            let began = Instant::now();
            let prior_answers = mesh.prior_answers(&ada, asking).unwrap();
            let span = micros(began.elapsed());
            assert_eq!(prior_answers.len(), 1);
            if round >= 2 {
                samples.add(span);
            }
        }
        table.line(&Line::times(
            format!("prior answers among {answers} of one peer"),
            &samples,
        ));
    }
}
