//! Statements on claims: the holders of a resource and its claim queue. A claim that has ended has no row.
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::engine::{self, Params, Row};
use super::sql_types::json_list;
use super::transaction::{NewPending, Tx};
use crate::model::claim::Lease;
use crate::model::{ClaimMode, ClaimState, PeerKind, PeerName};
use crate::platform::id::{ClaimId, PeerId, SessionId};

/// A claim that is held, or a ticket in the claim queue, with its peer.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// Its id; the claim queue is in the order of the ids.
    pub id: ClaimId,
    pub resource: String,
    pub mode: ClaimMode,
    pub state: ClaimState,
    pub peer: PeerId,
    pub peer_name: PeerName,
    /// The kind of its peer.
    pub kind: PeerKind,
    /// The time to live of its peer.
    pub ttl_ms: i64,
    pub session: SessionId,
    /// What it is for, as the claimant wrote it.
    pub note: Option<String>,
    /// The fencing token of the grant; none of a ticket.
    pub fencing_token: Option<i64>,
    /// The boot whose monotonic clock the lease is measured by.
    pub boot: String,
    /// Its lease; of a ticket the lease it would have.
    pub lease: Lease,
    pub claimed_at_ms: i64,
    /// When the lease began: at the claim, or at the grant if that was later.
    pub lease_began_at_ms: i64,
}

/// The values of a new ticket.
#[expect(missing_docs, reason = "the fields are those of Claim")]
#[derive(Debug, Clone, Copy)]
pub struct NewClaim<'a> {
    pub resource: &'a str,
    pub mode: ClaimMode,
    pub peer: PeerId,
    pub session: SessionId,
    pub note: Option<&'a str>,
    pub lease_ms: i64,
}

const CLAIM_COLUMNS: &str = "c.id, c.resource, c.mode, c.state, c.peer_id, p.name AS peer_name, p.kind AS peer_kind, p.ttl_ms, c.session_id, c.note, c.fence, c.boot, c.claimed_monotonic_ms, c.lease_ms, c.lease_until_monotonic_ms, c.claimed_at_ms, c.granted_at_ms";

impl Claim {
    fn from_row(row: &Row) -> engine::Result<Self> {
        let claimed_monotonic_ms = row.get("claimed_monotonic_ms")?;
        let lease_ms = row.get("lease_ms")?;
        let expires_at_monotonic_ms: Option<i64> = row.get("lease_until_monotonic_ms")?;
        let claimed_at_ms: i64 = row.get("claimed_at_ms")?;
        let granted_at_ms: Option<i64> = row.get("granted_at_ms")?;
        Ok(Self {
            id: row.get("id")?,
            resource: row.get("resource")?,
            mode: ClaimMode::of(row.get_ref("mode")?.as_str()?),
            state: ClaimState::of(row.get_ref("state")?.as_str()?),
            peer: row.get("peer_id")?,
            peer_name: PeerName::from_stored(row.get("peer_name")?),
            kind: PeerKind::of(row.get_ref("peer_kind")?.as_str()?),
            ttl_ms: row.get("ttl_ms")?,
            session: row.get("session_id")?,
            note: row.get("note")?,
            fencing_token: row.get("fence")?,
            boot: row.get("boot")?,
            lease: Lease {
                claimed_monotonic_ms,
                lease_ms,
                expires_at_monotonic_ms: expires_at_monotonic_ms
                    .unwrap_or(claimed_monotonic_ms + lease_ms),
            },
            claimed_at_ms,
            lease_began_at_ms: granted_at_ms
                .map_or(claimed_at_ms, |at_ms| at_ms.max(claimed_at_ms)),
        })
    }
}

impl Tx<'_> {
    fn claims_where(&self, condition: &str, values: impl Params) -> engine::Result<Vec<Claim>> {
        if !self.schema_at_least(2) {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {CLAIM_COLUMNS} FROM claim c JOIN peer p ON p.id = c.peer_id WHERE {condition}"
        );
        self.sql
            .prepare_cached(&sql)?
            .query_map(values, Claim::from_row)?
            .collect()
    }

    /// Returns the claims and tickets on a resource, in the order of the claim queue.
    pub(crate) fn claims_on(&self, resource: &str) -> engine::Result<Vec<Claim>> {
        self.claims_where("c.resource = ?1 ORDER BY c.id", [resource])
    }

    /// Returns the claims and tickets on resources whose names begin with `folder` and a slash, by resource.
    pub(crate) fn claims_below(&self, folder: &str) -> engine::Result<Vec<Claim>> {
        let (first, end) = (format!("{folder}/"), format!("{folder}0"));
        self.claims_where(
            "c.resource >= ?1 AND c.resource < ?2 ORDER BY c.resource, c.id",
            params![first, end],
        )
    }

    pub(crate) fn claim(&self, id: ClaimId) -> engine::Result<Option<Claim>> {
        Ok(self.claims_where("c.id = ?1", [id])?.pop())
    }

    /// Returns the claims and tickets of a session.
    pub(crate) fn claims_of_session(&self, session: SessionId) -> engine::Result<Vec<Claim>> {
        self.claims_where("c.session_id = ?1 ORDER BY c.id", [session])
    }

    /// Returns the granted claims that a session has not been notified of, in the order of the claim queue, at most a hundred.
    pub(crate) fn unnotified_grants(&self, session: SessionId) -> engine::Result<Vec<Claim>> {
        self.claims_where(
            "c.session_id = ?1 AND c.told = 0 AND c.state = 'held' ORDER BY c.id LIMIT 100",
            [session],
        )
    }

    /// Returns the claims that these peers hold, by resource.
    pub(crate) fn claims_held_by(&self, peers: &[PeerId]) -> engine::Result<Vec<Claim>> {
        self.claims_where(
            "c.peer_id IN (SELECT value FROM json_each(?1)) AND c.state = 'held' ORDER BY c.resource",
            [json_list(peers)],
        )
    }

    /// Returns up to `limit` resources with a claim or a ticket whose name begins with `prefix`.
    pub(crate) fn claimed_resources(
        &self,
        prefix: &str,
        limit: usize,
    ) -> engine::Result<Vec<String>> {
        if !self.schema_at_least(2) {
            return Ok(Vec::new());
        }
        self.sql
            .prepare_cached(
                "SELECT DISTINCT resource FROM claim WHERE resource >= ?1 AND substr(resource, 1, length(?1)) = ?1
                 ORDER BY resource LIMIT ?2",
            )?
            .query_map(
                params![prefix, i64::try_from(limit).unwrap_or(i64::MAX)],
                |row| row.get(0),
            )?
            .collect()
    }

    /// Adds a ticket at the end of the claim queue.
    pub(crate) fn insert_ticket(&self, new: &NewClaim) -> engine::Result<ClaimId> {
        let id = ClaimId::from(self.next_id()?);
        self.sql
            .prepare_cached(
                "INSERT INTO claim (id, resource, mode, state, peer_id, session_id, note, lease_ms, boot, claimed_monotonic_ms, claimed_at_ms)
                 VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .run(params![
                id, new.resource, new.mode.as_str(), new.peer, new.session, new.note, new.lease_ms,
                &*self.now.boot, self.now.monotonic_ms, self.now.wall_ms,
            ])?;
        Ok(id)
    }

    /// Renews a claim or a ticket with the mode, the lease and, if there is one, the note of `new`.
    pub(crate) fn renew_claim(&self, id: ClaimId, new: &NewClaim) -> engine::Result<()> {
        self.note_new_pending(NewPending::Session(new.session));
        self.sql
            .prepare_cached(
                "UPDATE claim SET mode = ?2, session_id = ?3, note = coalesce(?4, note), lease_ms = ?5, boot = ?6,
                     claimed_monotonic_ms = ?7, claimed_at_ms = ?8,
                     lease_until_monotonic_ms = CASE state WHEN 'held' THEN CAST(?7 AS INTEGER) + ?5 END
                 WHERE id = ?1",
            )?
            .run(params![
                id, new.mode.as_str(), new.session, new.note, new.lease_ms,
                &*self.now.boot, self.now.monotonic_ms, self.now.wall_ms,
            ])
    }

    /// Grants a claim with the next fencing token of its resource; its lease begins now. `notified` says that the session
    /// learns of it by the call that does this.
    pub(crate) fn grant_ticket(&self, claim: &Claim, notified: bool) -> engine::Result<i64> {
        if !notified {
            self.note_new_pending(NewPending::Session(claim.session));
        }
        let fencing_token = self.next_fencing_token(&claim.resource)?;
        self.sql
            .prepare_cached(
                "UPDATE claim SET state = 'held', fence = ?2, boot = ?3, claimed_monotonic_ms = ?4,
                     lease_until_monotonic_ms = ?4 + lease_ms, granted_at_ms = ?5, told = ?6
                 WHERE id = ?1",
            )?
            .run(params![
                claim.id,
                fencing_token,
                &*self.now.boot,
                self.now.monotonic_ms,
                self.now.wall_ms,
                notified
            ])?;
        Ok(fencing_token)
    }

    /// Notes that a session was notified of a grant.
    pub(crate) fn mark_grant_notified(&self, id: ClaimId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE claim SET told = 1 WHERE id = ?1 AND told = 0")?
            .run([id])
    }

    /// Replaces the note of a claim.
    pub(crate) fn set_claim_note(&self, id: ClaimId, note: &str) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE claim SET note = ?2 WHERE id = ?1")?
            .run(params![id, note])
    }

    /// Deletes a claim or a ticket.
    pub(crate) fn delete_claim(&self, id: ClaimId) -> engine::Result<()> {
        self.sql
            .prepare_cached("DELETE FROM claim WHERE id = ?1")?
            .run([id])
    }

    /// Returns the number of held claims in the mesh.
    pub(crate) fn count_claims(&self) -> engine::Result<i64> {
        if !self.schema_at_least(2) {
            return Ok(0);
        }
        self.sql
            .prepare_cached("SELECT count(*) FROM claim WHERE state = 'held'")?
            .query_row([], |row| row.get(0))
    }

    /// Returns the live sessions of its peer in which a call waits with this ticket.
    pub(crate) fn sessions_waiting_with_ticket(
        &self,
        ticket: &Claim,
    ) -> engine::Result<Vec<SessionId>> {
        self.sql
            .prepare_cached(
                "SELECT DISTINCT w.session_id FROM session s JOIN wait w ON w.session_id = s.id
                 WHERE s.peer_id = ?1 AND s.ended_at_ms IS NULL AND w.claim_id = ?2",
            )?
            .query_map(params![ticket.peer, ticket.id], |row| row.get(0))?
            .collect()
    }

    /// Returns the tickets with which calls of a session wait.
    pub(crate) fn tickets_awaited_by(&self, session: SessionId) -> engine::Result<Vec<Claim>> {
        self.claims_where(
            "c.id IN (SELECT claim_id FROM wait WHERE session_id = ?1) AND c.state = 'queued'",
            [session],
        )
    }

    /// Moves a ticket to another session of its peer.
    pub(crate) fn transfer_ticket(&self, id: ClaimId, session: SessionId) -> engine::Result<()> {
        self.note_new_pending(NewPending::Session(session));
        self.sql
            .prepare_cached("UPDATE claim SET session_id = ?2 WHERE id = ?1")?
            .run(params![id, session])
    }

    /// Returns the tickets with which calls of a peer wait: id, resource and the session of the call.
    pub(crate) fn tickets_awaited_at(
        &self,
        peer: PeerId,
    ) -> engine::Result<Vec<(ClaimId, String, SessionId)>> {
        if !self.schema_at_least(2) {
            return Ok(Vec::new());
        }
        self.sql
            .prepare_cached(
                "SELECT c.id, c.resource, w.session_id FROM session s JOIN wait w ON w.session_id = s.id
                 JOIN claim c ON c.id = w.claim_id
                 WHERE s.peer_id = ?1 AND s.ended_at_ms IS NULL AND c.state = 'queued'",
            )?
            .query_map([peer], |row| {
                Ok((row.get("id")?, row.get("resource")?, row.get("session_id")?))
            })?
            .collect()
    }
}
