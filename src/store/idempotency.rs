//! Statements on requests that named an idempotency key.
use rusqlite::params;

use super::engine::{self, OptionalExtension};
use super::transaction::Tx;
use crate::platform::id::KeyId;

/// A request that was made before with the same idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct StoredRequest {
    pub(crate) request_hash: Vec<u8>,
    /// The status and the body of its result; `None` if it has none yet.
    pub(crate) response: Option<(u16, String)>,
    pub(crate) at_ms: i64,
}

impl Tx<'_> {
    pub(crate) fn find_request(
        &self,
        key: KeyId,
        idempotency_key: &str,
    ) -> engine::Result<Option<StoredRequest>> {
        self.sql
            .prepare_cached(
                "SELECT request_hash, status, response, at_ms FROM idempotency WHERE key_id = ?1 AND idempotency_key = ?2",
            )?
            .query_row(params![key, idempotency_key], |row| {
                let (status, response): (Option<u16>, Option<String>) =
                    (row.get("status")?, row.get("response")?);
                Ok(StoredRequest {
                    request_hash: row.get("request_hash")?,
                    response: status.zip(response),
                    at_ms: row.get("at_ms")?,
                })
            })
            .optional()
    }

    /// Stores a request without a result; replaces an earlier one with the same idempotency key.
    pub(crate) fn insert_request(
        &self,
        key: KeyId,
        idempotency_key: &str,
        request_hash: &[u8],
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO idempotency (key_id, idempotency_key, request_hash, at_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key_id, idempotency_key) DO UPDATE SET request_hash = excluded.request_hash, status = NULL, response = NULL,
                    at_ms = excluded.at_ms",
            )?
            .run(params![key, idempotency_key, request_hash, self.now.wall_ms])
    }

    /// Stores the result of a request.
    pub(crate) fn complete_request(
        &self,
        key: KeyId,
        idempotency_key: &str,
        (status, response): (u16, &str),
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE idempotency SET status = ?3, response = ?4 WHERE key_id = ?1 AND idempotency_key = ?2 AND status IS NULL",
            )?
            .run(params![key, idempotency_key, status, response])
    }

    /// Records with which events a request without a result was carried out: the number of the last event before it, and that
    /// of its last.
    pub(crate) fn set_request_events(
        &self,
        key: KeyId,
        idempotency_key: &str,
        events: &str,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE idempotency SET response = ?3 WHERE key_id = ?1 AND idempotency_key = ?2",
            )?
            .run(params![key, idempotency_key, events])
    }

    /// Returns with which events a request without a result was carried out: those after the first number, up to the second.
    pub(crate) fn request_events(
        &self,
        key: KeyId,
        idempotency_key: &str,
    ) -> engine::Result<(i64, i64)> {
        let events: Option<String> = self
            .sql
            .prepare_cached(
                "SELECT response FROM idempotency WHERE key_id = ?1 AND idempotency_key = ?2 AND status IS NULL",
            )?
            .query_row(params![key, idempotency_key], |row| row.get(0))
            .optional()?
            .flatten();
        let range = events.as_deref().and_then(|events| {
            let (after, last) = events.split_once(' ')?;
            Some((after.parse().ok()?, last.parse().ok()?))
        });
        Ok(range.unwrap_or_default())
    }
}
