//! The plans of the hot queries, pinned: a partial index is only used by the very term it was made with, and a scan of a
//! million rows shows first in a hook.
use rusqlite::Connection;

/// Returns the steps of a query's plan. What values are bound changes nothing.
fn plan(sql: &str) -> Vec<String> {
    let connection = Connection::open_in_memory().unwrap();
    for step in super::make::CURRENT.steps {
        connection.execute_batch(step.sql).unwrap();
    }
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    // A value that is not bound is NULL, which changes no plan.
    statement
        .raw_query()
        .mapped(|row| row.get::<_, String>(3))
        .map(Result::unwrap)
        .collect()
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
fn looking_for_mail_reads_no_table_from_end_to_end() {
    for sql in super::message::hot::queries() {
        let plan = plan(&sql);
        for index in ["message_to", "message_topic"] {
            let uses = |step: &String| step.contains(&format!("INDEX {index} ("));
            assert!(plan.iter().any(uses), "{index}: {plan:?}");
        }
        let scans =
            |step: &&String| step.starts_with("SCAN ") && !step.contains(" t ") && !is_made(step);
        assert_eq!(plan.iter().find(scans), None, "{plan:?}");
    }
    let first = plan(super::message::hot::FIRST);
    for index in ["question_pending", "question_answers", "claim_untold"] {
        let uses = |step: &String| step.contains(&format!("INDEX {index} ("));
        assert!(first.iter().any(uses), "{index}: {first:?}");
    }
    uses(
        "SELECT id FROM message WHERE from_peer = '1' AND idempotency_key = '2'",
        "message_key",
    );
    uses(
        "SELECT posted_at_ms FROM message WHERE topic = '*' AND from_peer = '1' AND posted_at_ms > 2 AND posted_at_ms <= 3
         ORDER BY posted_at_ms DESC LIMIT 1 OFFSET 59",
        "message_broadcast",
    );
    uses(
        "SELECT id FROM message WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= 1 LIMIT 2",
        "message_expiry",
    );
    uses(
        "SELECT id FROM claim WHERE session_id = '1' AND told = 0 AND state = 'held'",
        "claim_untold",
    );
}

#[test]
fn the_depth_of_a_question_is_found_by_the_showings_of_its_session() {
    let plan = plan(super::ask::DEPTH_SHOWN);
    let showings = "SEARCH showing USING COVERING INDEX showing_of_session (session_id=?)";
    assert!(plan.iter().any(|step| step == showings), "{plan:?}");
    assert!(
        !plan.iter().any(|step| step.starts_with("SCAN q")),
        "{plan:?}"
    );
    uses(
        "SELECT 1 FROM showing s JOIN question q ON q.id = s.question_id WHERE s.session_id = '1' AND q.state <> 'open'",
        "showing_of_session",
    );
    uses(
        "DELETE FROM showing WHERE session_id = '1' AND turn NOT IN ('2', '3')
         AND (SELECT state FROM question WHERE id = question_id) <> 'open'",
        "showing_of_session",
    );
}

/// What is read from end to end was put together by the query itself, or is the list that a caller gives.
fn is_made(step: &str) -> bool {
    step.contains("CONSTANT ROW") || step.contains("json_each") || step.contains("(subquery")
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
    uses(
        "SELECT min(+seq) FROM event INDEXED BY event_time WHERE at_ms >= 1 AND +seq > 2",
        "event_time",
    );
    uses(
        "SELECT namespace, key FROM state WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= 1 ORDER BY expires_at_ms LIMIT 2",
        "state_expiry",
    );
    uses(
        "SELECT namespace, key FROM state WHERE value IS NULL AND updated_at_ms < 1 LIMIT 2",
        "state_gone",
    );
    let newest = "SELECT question FROM question WHERE target_peer = '1' AND state = 'answered' AND answer IS NOT NULL
                  ORDER BY rowid DESC LIMIT 300";
    uses(newest, "question_target");
    assert_eq!(
        plan(newest).len(),
        1,
        "nothing is sorted: {:?}",
        plan(newest)
    );
}

#[test]
fn the_answers_of_a_peer_are_read_by_its_index_and_their_texts_are_not_sorted() {
    use super::known::{BEGINNINGS, NEWEST_OF_PEER};
    let sql = format!("SELECT {BEGINNINGS} FROM question WHERE {NEWEST_OF_PEER}");
    uses(&sql, "question_target");
    assert_eq!(plan(&sql).len(), 1, "{:?}", plan(&sql));
}

#[test]
fn who_is_here_is_read_from_the_sessions_that_have_not_ended() {
    let plan = plan(&format!(
        "SELECT name FROM peer WHERE {}",
        super::peer::SEATED
    ));
    assert!(plan[0].starts_with("SEARCH peer USING INDEX"), "{plan:?}");
    assert!(plan[0].ends_with("(id=?)"), "{plan:?}");
    let sessions = "SCAN session USING INDEX session_live_peer";
    assert!(plan.iter().any(|step| step == sessions), "{plan:?}");
}

/// Reads the log by its own order, never in another and never all of it.
#[test]
fn the_log_is_read_in_its_order_and_nothing_closed_is_counted() {
    let first = |sql: &str| plan(sql)[0].clone();
    assert_eq!(
        first(
            "SELECT e.seq FROM event e LEFT JOIN peer p ON p.id = e.by_peer WHERE e.seq > 1 ORDER BY e.seq LIMIT 2"
        ),
        "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)"
    );
    assert_eq!(
        plan("SELECT count(*) FROM question WHERE state = 'open'"),
        ["SCAN question USING COVERING INDEX question_expiry"],
        "that index has the open ones only"
    );
    for end in ["min", "max"] {
        assert_eq!(
            first(&format!("SELECT {end}(seq) FROM event")),
            "SEARCH event"
        );
    }
    assert_eq!(
        first(
            "SELECT key FROM state WHERE namespace = '1' AND key >= '2' AND value IS NOT NULL AND (expires_at_ms IS NULL OR expires_at_ms > 3) ORDER BY key"
        ),
        "SEARCH state USING PRIMARY KEY (namespace=? AND key>?)"
    );
}

#[test]
fn the_line_of_a_resource_is_read_by_its_index() {
    uses(
        "SELECT c.id FROM claim c JOIN peer p ON p.id = c.peer_id WHERE c.resource = '1' ORDER BY c.id",
        "claim_resource",
    );
    uses(
        "SELECT c.id FROM claim c JOIN peer p ON p.id = c.peer_id WHERE c.session_id = '1' ORDER BY c.id",
        "claim_session",
    );
    uses(
        "SELECT DISTINCT resource FROM claim WHERE resource >= 'a' AND substr(resource, 1, length('a')) = 'a'
         ORDER BY resource LIMIT 2",
        "claim_resource",
    );
    uses(
        "SELECT claim_id FROM wait WHERE session_id = '1' AND claim_id IS NOT NULL",
        "wait_of_session",
    );
}

#[test]
fn looks_at_memories_use_their_indexes() {
    uses(
        "SELECT 1 FROM memory WHERE scope = '1' AND superseded_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > 2) LIMIT 3",
        "memory_key",
    );
    uses(
        "SELECT m.text FROM memory m WHERE m.scope = '1' AND m.key = '2' ORDER BY m.version DESC",
        "memory_key",
    );
    uses(
        "SELECT m.text FROM memory m WHERE m.expires_at_ms IS NOT NULL AND m.expires_at_ms <= 1 AND m.superseded_at_ms IS NULL LIMIT 2",
        "memory_expiry",
    );
}

#[test]
fn the_tasks_of_a_project_and_of_a_peer_are_read_by_their_indexes() {
    uses(
        "SELECT t.id FROM task t WHERE t.project = '1' AND t.fingerprint = '2' AND t.ended_at_ms IS NULL",
        "task_open",
    );
    uses(
        "SELECT t.id FROM task t WHERE t.assigned_to = '1' AND t.status = 'todo' ORDER BY t.priority LIMIT 50",
        "task_assigned",
    );
    uses(
        "SELECT status, count(*) FROM task WHERE project = '1' GROUP BY status",
        "task_of_project",
    );
    assert_eq!(
        plan("SELECT count(*) FROM task INDEXED BY task_open WHERE ended_at_ms IS NULL"),
        ["SCAN task USING INDEX task_open"],
        "that index has the open ones only"
    );
    assert_eq!(
        plan("SELECT rowid FROM task WHERE ended_at_ms < 1 LIMIT 2"),
        ["SCAN task USING COVERING INDEX task_of_project"]
    );
    let listed = plan(&super::task::listing());
    for index in ["task_of_project", "task_assigned"] {
        let uses = |step: &String| step.contains(&format!("INDEX {index} ("));
        assert!(listed.iter().any(uses), "{index}: {listed:?}");
    }
}
