//! The plans of the hot queries, pinned: a partial index is only used by the very term it was made with, and a scan of a
//! million rows shows first in a hook.
use rusqlite::Connection;

/// Returns the steps of a query's plan.
fn plan(sql: &str) -> Vec<String> {
    let connection = Connection::open_in_memory().unwrap();
    for step in super::make::CURRENT.steps {
        connection.execute_batch(step.sql).unwrap();
    }
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, String>(3))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

#[track_caller]
fn uses(sql: &str, index: &str) {
    let plan = plan(sql);
    assert!(plan[0].contains(&format!("INDEX {index}")), "{plan:?}");
    assert!(
        !plan.iter().any(|step| step.starts_with("SCAN q")),
        "{plan:?}"
    );
}

#[test]
fn the_hot_queries_use_their_indexes() {
    uses(
        "SELECT id FROM question WHERE target_peer = '1' AND state = 'open' AND expires_at_ms > 2",
        "question_pending",
    );
    uses(
        "SELECT 1 FROM question WHERE target_peer = '1' AND state = 'open' AND expires_at_ms > 1",
        "question_pending",
    );
    uses(
        "SELECT q.id FROM question q LEFT JOIN showing s ON s.question_id = q.id AND s.session_id = '2'
         WHERE q.target_peer = '1' AND q.state = 'open' AND q.expires_at_ms > 3 ORDER BY q.id LIMIT 200",
        "question_pending",
    );
    uses(
        "SELECT id FROM question WHERE asker_peer = '1' AND target_peer = '2' AND state = 'open' AND expires_at_ms > 5
         AND question = '3' AND context IS NULL LIMIT 1",
        "question_",
    );
    uses(
        "SELECT q.id FROM question q WHERE q.asker_peer = '1' AND q.answer_open = 1
         AND (q.answer_shown_at_ms IS NULL OR q.answer_shown_at_ms >= 2) ORDER BY q.id LIMIT 200",
        "question_answers",
    );
    uses(
        "SELECT id FROM question WHERE state = 'open' AND expires_at_ms <= 1 ORDER BY expires_at_ms LIMIT 100",
        "question_expiry",
    );
    uses(
        "SELECT 1 FROM question WHERE state = 'open' AND wake = 'none' AND ring_again_at_ms <= 1",
        "question_unheard",
    );
    uses(
        "SELECT id, target_peer FROM question WHERE state = 'open' AND wake = 'none' AND ring_again_at_ms <= 1
         ORDER BY ring_again_at_ms LIMIT 8",
        "question_unheard",
    );
    uses(
        "SELECT id FROM question WHERE closed_at_ms IS NOT NULL AND closed_at_ms < 1 LIMIT 2",
        "question_closed",
    );
    uses(
        "SELECT state, count(*) FROM question WHERE closed_at_ms IS NOT NULL GROUP BY state",
        "question_closed",
    );
    uses(
        "SELECT id FROM session WHERE pid = 1 AND started = 2 AND boot = '3' AND host = '4' AND instance = 5 AND ended_at_ms IS NULL",
        "session_live_process",
    );
    uses(
        "SELECT id FROM session WHERE peer_id = '1' AND ended_at_ms IS NULL ORDER BY id DESC",
        "session_live_peer",
    );
    uses(
        "SELECT id FROM wait WHERE session_id = '1' ORDER BY id DESC LIMIT 1",
        "wait_of_session",
    );
    uses("SELECT seq FROM event WHERE at_ms < 1", "event_time");
    let newest = "SELECT question FROM question WHERE target_peer = '1' AND state = 'answered' AND answer IS NOT NULL
                  ORDER BY rowid DESC LIMIT 300";
    uses(newest, "question_target");
    assert_eq!(
        plan(newest).len(),
        1,
        "nothing is sorted: {:?}",
        plan(newest)
    );
    uses(
        "SELECT resource FROM claim WHERE peer_id = '1' AND state = 'held' LIMIT 100",
        "claim_peer",
    );
}
