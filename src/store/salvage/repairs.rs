//! What a salvaged file gets beside the rows: counters and fencing tokens that continue, and the full-text index.
use std::path::Path;

use rusqlite::types::Value;

use super::source_file::SourceFile;
use crate::platform::{Fault, FaultKind};
use crate::store::memory_index::IndexedText;
use crate::store::message::LAST_MESSAGE_KEY;
use crate::store::transaction::{LAST_ID_KEY, Tx};
use crate::store::{engine, schema};

/// What `meta` says of the schema, which a new file has of its own.
pub(super) const OWN_META_KEYS: [&str; 2] = [MIN_READER, SCHEMA];
const MIN_READER: &str = "min_reader";
const SCHEMA: &str = "schema";
/// Tables whose ids are all larger than earlier ones.
const TABLES_WITH_IDS: [&str; 7] = [
    "peer", "session", "question", "message", "claim", "memory", "task",
];

/// Refuses a file of which this program does not know everything.
pub(super) fn check_version(source: &SourceFile, database: &Path) -> Result<(), Fault> {
    let found = meta_number(source, MIN_READER).max(meta_number(source, SCHEMA));
    let known = schema::version();
    if found <= i64::from(known) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::NewerSchema,
        format!(
            "{} has schema {found}, this program knows up to {known}",
            database.display()
        ),
        "update claude-mesh; nothing was changed",
    ))
}

fn meta_number(source: &SourceFile, key: &str) -> i64 {
    let rows = source.rows("meta").rows;
    let numbers = rows.iter().filter_map(|row| match &row.values[..] {
        [Value::Text(found), Value::Text(value)] if found == key => value.parse().ok(),
        _ => None,
    });
    numbers.max().unwrap_or(0)
}

/// Makes all counters of the new file continue those of the old one.
pub(super) fn continue_counters(tx: &Tx, source: &SourceFile) -> engine::Result<()> {
    let min_reader = meta_number(source, MIN_READER);
    if min_reader > i64::from(schema::CURRENT.min_reader) {
        tx.set_meta(MIN_READER, &min_reader.to_string())?;
    }
    for table in TABLES_WITH_IDS {
        raise_id(tx, LAST_ID_KEY, table)?;
    }
    raise_id(tx, LAST_MESSAGE_KEY, "message")?;
    continue_fences(tx)?;
    let last_event: i64 = tx.sql.query_row(
        "SELECT coalesce(max(seq), 0) AS last FROM event",
        [],
        |row| row.get("last"),
    )?;
    set_counter(tx, "event", last_event.max(last_known_event(source)))?;
    for state in ["answered", "declined", "expired", "withdrawn"] {
        let sql = "SELECT count(*) AS count FROM question WHERE state = ?1";
        let count = tx.sql.query_row(sql, [state], |row| row.get("count"))?;
        set_counter(tx, &format!("tally.question.{state}"), count)?;
    }
    for (name, rows) in [
        ("message", "message"),
        ("peer", "peer WHERE kind = 'session'"),
        ("memory", "memory WHERE superseded_at_ms IS NULL"),
    ] {
        let sql = format!("SELECT count(*) AS count FROM {rows}");
        let count = tx.sql.query_row(&sql, [], |row| row.get("count"))?;
        set_counter(tx, &format!("tally.{name}"), count)?;
    }
    Ok(())
}

fn raise_id(tx: &Tx, key: &str, table: &str) -> engine::Result<()> {
    let sql = format!("SELECT coalesce(max(id), '') AS last FROM {table} WHERE length(id) = 26");
    let last: String = tx.sql.query_row(&sql, [], |row| row.get("last"))?;
    if tx.meta(key)?.unwrap_or_default() < last {
        tx.set_meta(key, &last)?;
    }
    Ok(())
}

/// Raises fencing tokens to those that claims and the event log name.
fn continue_fences(tx: &Tx) -> engine::Result<()> {
    tx.sql.execute_batch(
        "INSERT INTO fence (resource, last)
            SELECT resource, max(token) FROM (
                SELECT resource, fence AS token FROM claim WHERE fence IS NOT NULL
                UNION ALL
                SELECT subject, json_extract(data, '$.fence') FROM event WHERE type = 'claim.granted' AND json_valid(data)
            ) WHERE typeof(token) = 'integer' GROUP BY resource
            ON CONFLICT (resource) DO UPDATE SET last = excluded.last WHERE excluded.last > fence.last",
    )
}

/// Returns the number of the last event that the counter or an index of the old file names.
fn last_known_event(source: &SourceFile) -> i64 {
    let counters = source.rows("sqlite_sequence").rows;
    let counted = counters.iter().filter_map(|row| match &row.values[..] {
        [Value::Text(name), Value::Integer(last)] if name == "event" => Some(*last),
        _ => None,
    });
    let indexed = source.rows("event_time").rows;
    let indexed = indexed.iter().filter_map(|row| match row.values.last() {
        Some(Value::Integer(seq)) => Some(*seq),
        _ => None,
    });
    counted.chain(indexed).max().unwrap_or(0)
}

fn set_counter(tx: &Tx, name: &str, number: i64) -> engine::Result<()> {
    tx.sql
        .execute("DELETE FROM sqlite_sequence WHERE name = ?1", [name])?;
    tx.sql.run(
        "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, CAST(?2 AS INTEGER))",
        [name, &number.to_string()],
    )
}

/// Adds the memories that are not replaced to the full-text index.
pub(super) fn index_memories(tx: &Tx) -> engine::Result<()> {
    let sql = "SELECT number, key, tags, text FROM memory WHERE superseded_at_ms IS NULL";
    let mut statement = tx.sql.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, tags): (Option<String>, String) = (row.get("key")?, row.get("tags")?);
        let text: String = row.get("text")?;
        let tags: Vec<String> = serde_json::from_str(&tags).unwrap_or_default();
        tx.add_to_index(IndexedText {
            number: row.get("number")?,
            key: key.as_deref(),
            tags: &tags,
            text: &text,
        })?;
    }
    Ok(())
}
