//! Compares the results that the callers got with the file, and with each other.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use serde_json::{Value, json};

use super::Run;
use super::history::{Record, What};
use super::worker::{granted_fence, is_refused};

/// Checks everything. Returns the counts of what was checked.
pub(super) fn check(run: &Run) -> String {
    let records = run.history.records();
    let rows = run.world.rows();
    let sound: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    check_stored_once(&rows, &records);
    check_answers(&rows, &records);
    check_claims(&records);
    check_compare_and_set(&rows, &records);
    check_events(&rows);
    check_nothing_is_hidden_or_left(run, &rows);
    let count = |of: fn(&What) -> bool| records.iter().filter(|it| of(&it.what)).count();
    format!(
        "{} asks, {} replies, {} posts, {} claims, {} compare-and-sets, {} tasks, {} memories; {} calls were killed",
        count(|it| matches!(it, What::Ask { .. })),
        count(|it| matches!(it, What::Reply { .. })),
        count(|it| matches!(it, What::Post { .. })),
        count(|it| matches!(it, What::Claim { .. })),
        count(|it| matches!(it, What::CompareAndSet { .. })),
        count(|it| matches!(it, What::CreateTask { .. })),
        count(|it| matches!(it, What::Remember { .. })),
        records.iter().filter(|it| it.result.is_none()).count(),
    )
}

/// Everything that a caller got as stored is stored once; what was killed is stored at most once.
fn check_stored_once(rows: &rusqlite::Connection, records: &[Record]) {
    let mut stored: HashMap<String, usize> = HashMap::new();
    let sql = "SELECT question FROM question UNION ALL SELECT body FROM message UNION ALL SELECT title FROM task
               UNION ALL SELECT text FROM memory";
    let mut statement = rows.prepare(sql).unwrap();
    for text in statement.query_map([], |row| row.get(0)).unwrap() {
        *stored.entry(text.unwrap()).or_default() += 1;
    }
    for record in records {
        let (What::Ask { question: text }
        | What::Post { body: text }
        | What::CreateTask { title: text }
        | What::Remember { text }) = &record.what
        else {
            continue;
        };
        let count = stored.get(text).copied().unwrap_or(0);
        match &record.result {
            Some(result) if is_refused(result) => assert_eq!(count, 0, "{result}: {text}"),
            Some(result) => assert_eq!(count, 1, "{result}: {text}"),
            None => assert!(count <= 1, "{text} is stored {count} times"),
        }
    }
}

/// Each question has the answer to itself, and every answer that was taken is stored.
fn check_answers(rows: &rusqlite::Connection, records: &[Record]) {
    let mut statement = rows
        .prepare("SELECT id, question, answer FROM question")
        .unwrap();
    let stored: HashMap<String, (String, Option<String>)> = statement
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (question, answer) in stored.values() {
        if let Some(answer) = answer {
            assert_eq!(*answer, format!("answer to {question}"));
        }
    }
    for record in records {
        match (&record.what, &record.result) {
            (What::Ask { question }, Some(result)) if result["answer"].is_string() => {
                assert_eq!(result["answer"], format!("answer to {question}"));
            }
            (
                What::Reply {
                    question_id,
                    answer,
                },
                Some(result),
            ) if !is_refused(result) => {
                assert_eq!(stored[question_id].1.as_ref(), Some(answer), "{result}");
            }
            _ => {}
        }
    }
}

/// A time in which a caller certainly held a resource.
struct Held {
    caller: usize,
    fence: i64,
    from: Instant,
    until: Instant,
}

/// Fencing tokens rise, and no two callers held a resource at the same time.
fn check_claims(records: &[Record]) {
    let mut held: BTreeMap<&str, Vec<Held>> = BTreeMap::new();
    for record in records {
        if let (What::Claim { resource }, Some(result)) = (&record.what, &record.result)
            && let Some(fence) = granted_fence(result)
        {
            let is_its_release = |other: &&Record| {
                matches!(&other.what, What::Release { resource: of, fence: it } if of == resource && *it == fence)
                    && other
                        .result
                        .as_ref()
                        .is_some_and(|result| !is_refused(result))
            };
            let released = records.iter().find(is_its_release);
            held.entry(resource).or_default().push(Held {
                caller: record.caller,
                fence,
                from: record.ended,
                until: released.map_or(record.ended, |release| release.began),
            });
        }
    }
    for (resource, mut grants) in held {
        grants.sort_by_key(|grant| grant.fence);
        for pair in grants.windows(2) {
            let [earlier, later] = pair else { continue };
            let who = (earlier.caller, later.caller);
            assert!(
                earlier.fence < later.fence || earlier.caller == later.caller,
                "{resource}: {who:?} have the same fencing token {}",
                later.fence
            );
            assert!(
                earlier.until <= later.from || earlier.caller == later.caller,
                "{resource}: {who:?} held it at the same time ({}, {})",
                earlier.fence,
                later.fence
            );
        }
    }
}

/// Each version was written by one caller, and no caller saw an older version than one that was known before its call.
fn check_compare_and_set(rows: &rusqlite::Connection, records: &[Record]) {
    let mut values: HashMap<i64, &str> = HashMap::new();
    let mut seen: Vec<(&Record, i64)> = Vec::new();
    for record in records {
        match (&record.what, &record.result) {
            (What::CompareAndSet { expected, value }, Some(result)) if !is_refused(result) => {
                let version = result["version"].as_i64().unwrap();
                assert_eq!(version, expected + 1);
                let other = values.insert(version, value);
                assert_eq!(other, None, "version {version} was written twice");
                seen.push((record, version));
            }
            (What::Read, Some(result)) if !is_refused(result) => {
                seen.push((record, result["version"].as_i64().unwrap()));
            }
            _ => {}
        }
    }
    for (record, version) in &seen {
        if let (What::Read, Some(value)) = (&record.what, values.get(version)) {
            assert_eq!(record.result.as_ref().unwrap()["value"], *value);
        }
    }
    seen.sort_by_key(|(record, _)| record.began);
    let mut by_end = seen.clone();
    by_end.sort_by_key(|(record, _)| record.ended);
    let (mut ended, mut newest) = (by_end.iter().peekable(), 0);
    for (record, version) in &seen {
        while let Some((_, known)) = ended.next_if(|(other, _)| other.ended < record.began) {
            newest = newest.max(*known);
        }
        assert!(*version >= newest, "{version} was seen after {newest}");
    }
    let sql = "SELECT coalesce(max(version), 0) FROM state WHERE key = 'leader'";
    let last: i64 = rows.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(last >= values.keys().copied().max().unwrap_or(0));
}

/// The event log has one event for each question and each message, in one order.
fn check_events(rows: &rusqlite::Connection) {
    let count = |sql: &str| -> i64 { rows.query_row(sql, [], |row| row.get(0)).unwrap() };
    for (table, event) in [
        ("question", "question.asked"),
        ("message", "message.posted"),
    ] {
        let stored = count(&format!("SELECT count(*) FROM {table}"));
        let logged = count(&format!(
            "SELECT count(DISTINCT subject) FROM event WHERE type = '{event}'"
        ));
        let all = count(&format!(
            "SELECT count(*) FROM event WHERE type = '{event}'"
        ));
        assert_eq!((logged, all), (stored, stored), "{event}");
    }
}

/// A hook of each session says what is pending for it, and killed programs have left no claims, tickets and waits.
fn check_nothing_is_hidden_or_left(run: &Run, rows: &rusqlite::Connection) {
    let sql = "SELECT DISTINCT p.name FROM question q JOIN peer p ON p.id = q.target_peer WHERE q.state = 'open'";
    let mut statement = rows.prepare(sql).unwrap();
    let asked: HashSet<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for name in &asked {
        let session = run.world.session(name);
        let said = session.prompt("t1").unwrap_or_default();
        assert!(
            said.contains("question"),
            "{name} has a question, and its hook says {said:?}"
        );
    }
    let observer = run.world.session("observer");
    assert_eq!(
        observer.call("claims", json!({}))["claims"],
        Value::Array(Vec::new())
    );
    let cleaned = run.world.cli(&run.world.home(), &["gc"]);
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    for table in ["wait", "claim"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let left: i64 = rows.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "rows are left in {table}");
    }
}
