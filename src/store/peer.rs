//! Statements on peers and their earlier names.
use crate::store::columns::column;
use rusqlite::params;

use super::engine::{self, OptionalExtension, Params, Row};
use super::sql_types::json_list;
use super::transaction::{NewPending, Tx};
use crate::model::{PeerKind, PeerName};
use crate::platform::id::{PeerId, QuestionId};

/// A peer: the address that questions go to. It outlives its sessions.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct Peer {
    pub id: PeerId,
    pub kind: PeerKind,
    pub name: PeerName,
    /// The name that its project asked for at the last registration.
    pub requested_name: String,
    /// The path of its project.
    pub project: Option<String>,
    /// Its number among the peers of its project, from 1.
    pub seat: Option<u32>,
    pub role: Option<String>,
    /// What it is doing, as it wrote it.
    pub summary: Option<String>,
    /// The branch that it says it works on.
    pub branch: Option<String>,
    /// Where its prompt is.
    pub prompt_ptr: Option<String>,
    /// The top of the git checkout.
    pub git_root: Option<String>,
    /// The repository that all worktrees share.
    pub git_common: Option<String>,
    /// The branch that is checked out.
    pub git_branch: Option<String>,
    /// The commit that is checked out in a project on another host, as its last session reported it.
    pub git_head: Option<String>,
    /// How long it counts as alive without a sign of life, where its process cannot be looked up.
    pub ttl_ms: i64,
    /// It is not woken before this time.
    pub quiet_until_ms: Option<i64>,
    /// Grows each time a session registers after the last one died.
    pub epoch: i64,
    pub last_seen_at_ms: i64,
}

/// The values of a new peer.
#[expect(missing_docs, reason = "the fields are those of Peer")]
#[derive(Debug)]
pub struct NewPeer<'a> {
    pub kind: PeerKind,
    pub name: &'a PeerName,
    pub requested_name: &'a str,
    pub project: Option<&'a str>,
    pub seat: Option<u32>,
}

/// What a project is at a registration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProjectDetails<'a> {
    pub(crate) requested_name: &'a str,
    pub(crate) role: Option<&'a str>,
    pub(crate) git_root: Option<&'a str>,
    pub(crate) git_common: Option<&'a str>,
    pub(crate) git_branch: Option<&'a str>,
}

/// What a session says about itself; `None` keeps a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerChanges<'a> {
    pub(crate) role: Option<&'a str>,
    pub(crate) summary: Option<&'a str>,
    pub(crate) branch: Option<&'a str>,
    pub(crate) prompt_ptr: Option<&'a str>,
    pub(crate) ttl_ms: Option<i64>,
}

const PEER_COLUMNS: &str = "id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, epoch, last_seen_at_ms, quiet_until_ms, git_head";
/// The same columns of a database before schema 5.
const PEER_COLUMNS_BEFORE_5: &str = "id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, epoch, last_seen_at_ms, quiet_until_ms, NULL AS git_head";
/// `+name` keeps SQLite from reading all peers in the order of their names; it starts with the live sessions instead.
const WITH_LIVE_SESSION: &str =
    "id IN (SELECT peer_id FROM session WHERE ended_at_ms IS NULL) ORDER BY kind = 'run', +name";

impl Peer {
    fn from_row(row: &Row) -> engine::Result<Self> {
        Ok(Self {
            id: row.get(column!(PEER_COLUMNS, "id"))?,
            kind: PeerKind::of(row.get_ref(column!(PEER_COLUMNS, "kind"))?.as_str()?),
            name: PeerName::from_stored(row.get(column!(PEER_COLUMNS, "name"))?),
            requested_name: row.get(column!(PEER_COLUMNS, "wanted"))?,
            project: row.get(column!(PEER_COLUMNS, "project"))?,
            seat: row.get(column!(PEER_COLUMNS, "seat"))?,
            role: row.get(column!(PEER_COLUMNS, "role"))?,
            summary: row.get(column!(PEER_COLUMNS, "summary"))?,
            branch: row.get(column!(PEER_COLUMNS, "branch"))?,
            prompt_ptr: row.get(column!(PEER_COLUMNS, "prompt_ptr"))?,
            git_root: row.get(column!(PEER_COLUMNS, "git_root"))?,
            git_common: row.get(column!(PEER_COLUMNS, "git_common"))?,
            git_branch: row.get(column!(PEER_COLUMNS, "git_branch"))?,
            git_head: row.get(column!(PEER_COLUMNS, "git_head"))?,
            ttl_ms: row.get(column!(PEER_COLUMNS, "ttl_ms"))?,
            quiet_until_ms: row.get(column!(PEER_COLUMNS, "quiet_until_ms"))?,
            epoch: row.get(column!(PEER_COLUMNS, "epoch"))?,
            last_seen_at_ms: row.get(column!(PEER_COLUMNS, "last_seen_at_ms"))?,
        })
    }
}

impl Tx<'_> {
    fn peer_columns(&self) -> &'static str {
        if self.schema_at_least(5) {
            PEER_COLUMNS
        } else {
            PEER_COLUMNS_BEFORE_5
        }
    }

    fn find_peer_where(
        &self,
        condition: &str,
        values: impl Params,
    ) -> engine::Result<Option<Peer>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {} FROM peer WHERE {condition}",
                self.peer_columns()
            ))?
            .query_row(values, Peer::from_row)
            .optional()
    }

    pub(super) fn peers_where(
        &self,
        condition: &str,
        values: impl Params,
    ) -> engine::Result<Vec<Peer>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {} FROM peer WHERE {condition}",
                self.peer_columns()
            ))?
            .query_map(values, Peer::from_row)?
            .collect()
    }

    /// Returns the peer of an id.
    pub(crate) fn peer(&self, id: PeerId) -> engine::Result<Option<Peer>> {
        self.find_peer_where("id = ?1", [id])
    }

    /// Returns the peer that has asked a question.
    pub(crate) fn asker_of(&self, question: QuestionId) -> engine::Result<Option<Peer>> {
        self.find_peer_where(
            "id = (SELECT asker_peer FROM question WHERE id = ?1)",
            [question],
        )
    }

    /// Returns the peer of a name or of an earlier name.
    pub(crate) fn find_peer_by_name(&self, name: &str) -> engine::Result<Option<Peer>> {
        match self.find_peer_where("name = ?1", [name])? {
            Some(found) => Ok(Some(found)),
            None => {
                self.find_peer_where("id = (SELECT peer_id FROM alias WHERE name = ?1)", [name])
            }
        }
    }

    /// Returns the peers with a live session that was given this name by its person.
    pub(crate) fn peers_with_given_name(&self, name: &str) -> engine::Result<Vec<Peer>> {
        self.peers_where("kind = 'session' AND id IN (SELECT peer_id FROM session WHERE lower(given_name) = lower(?1) AND ended_at_ms IS NULL)", [name])
    }

    /// Returns the peers whose id begins with `prefix`, at most five.
    pub(crate) fn peers_with_id_prefix(&self, prefix: &str) -> engine::Result<Vec<Peer>> {
        let prefix = prefix.to_ascii_uppercase();
        self.peers_where(
            "id >= ?1 AND id < ?1 || '~' AND kind <> 'run' LIMIT 5",
            [prefix],
        )
    }

    /// Returns the peers of a project by their numbers.
    pub(crate) fn peers_of_project(&self, project: &str) -> engine::Result<Vec<Peer>> {
        self.peers_where("project = ?1 AND seat IS NOT NULL ORDER BY seat", [project])
    }

    /// Returns all peers that can be addressed, by name.
    pub(crate) fn addressable_peers(&self) -> engine::Result<Vec<Peer>> {
        self.peers_where("kind <> 'run' ORDER BY name", [])
    }

    /// Returns the peers of live sessions by name, runs last. The cost grows with the number of live sessions, not of peers.
    pub(crate) fn peers_with_live_session(&self) -> engine::Result<Vec<Peer>> {
        self.peers_where(WITH_LIVE_SESSION, [])
    }

    /// Returns the first peers by name that are sessions, no persons or runs, and have a live one.
    pub(crate) fn session_peers_here(&self, limit: usize) -> engine::Result<Vec<Peer>> {
        let condition = format!("kind = 'session' AND {WITH_LIVE_SESSION} LIMIT ?1");
        self.peers_where(&condition, [i64::try_from(limit).unwrap_or(i64::MAX)])
    }

    /// Returns the number of all those peers.
    pub(crate) fn count_session_peers_here(&self) -> engine::Result<usize> {
        let sql = "SELECT count(*) FROM peer WHERE kind = 'session' AND id IN (SELECT peer_id FROM session WHERE ended_at_ms IS NULL)";
        let count = self.sql.query_row(sql, [], |row| row.get::<_, i64>(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Returns the runs with a live session. Nobody can ask them.
    pub(crate) fn live_runs(&self) -> engine::Result<Vec<Peer>> {
        self.peers_where(&format!("kind = 'run' AND {WITH_LIVE_SESSION}"), [])
    }

    pub(crate) fn insert_peer(&self, new: &NewPeer) -> engine::Result<PeerId> {
        let id = PeerId::from(self.next_id()?);
        self.sql
            .prepare_cached(
                "INSERT INTO peer (id, kind, name, wanted, project, seat, created_at_ms, last_seen_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            )?
            .run(params![id, new.kind.as_str(), new.name.as_str(), new.requested_name, new.project, new.seat, self.now.wall_ms])?;
        Ok(id)
    }

    /// Renames a peer; the old name becomes an alias.
    pub(crate) fn rename_peer(&self, found: &Peer, name: &PeerName) -> engine::Result<()> {
        self.note_identity_change(true);
        self.sql
            .run("DELETE FROM alias WHERE name = ?1", [name.as_str()])?;
        self.sql.run(
            "INSERT INTO alias (name, peer_id) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET peer_id = excluded.peer_id",
            params![found.name.as_str(), found.id],
        )?;
        self.sql.run(
            "UPDATE peer SET name = ?2 WHERE id = ?1",
            params![found.id, name.as_str()],
        )?;
        Ok(())
    }

    /// Moves a peer to another project.
    pub(crate) fn move_peer_to_project(
        &self,
        id: PeerId,
        project: &str,
        seat: u32,
    ) -> engine::Result<()> {
        self.note_identity_change(true);
        self.note_new_pending(NewPending::Everyone);
        self.sql.run(
            "UPDATE peer SET project = ?2, seat = ?3 WHERE id = ?1",
            params![id, project, seat],
        )?;
        Ok(())
    }

    /// Returns the earlier names of these peers, by name.
    pub(crate) fn aliases_of(&self, peers: &[PeerId]) -> engine::Result<Vec<(PeerId, String)>> {
        self.sql
            .prepare_cached(
                "SELECT peer_id, name FROM alias WHERE peer_id IN (SELECT value FROM json_each(?1)) ORDER BY name",
            )?
            .query_map([json_list(peers)], |row| {
                Ok((row.get("peer_id")?, row.get("name")?))
            })?
            .collect()
    }

    /// Stores the details that a project has at a registration; a new session begins a new epoch.
    pub(crate) fn set_project_details(
        &self,
        id: PeerId,
        details: &ProjectDetails,
        is_new_session: bool,
    ) -> engine::Result<()> {
        self.note_identity_change(true);
        let ProjectDetails {
            requested_name,
            role,
            git_root,
            git_common,
            git_branch,
        } = details;
        self.sql
            .prepare_cached(
                "UPDATE peer SET wanted = ?2, role = coalesce(?3, role), git_root = ?4, git_common = ?5, git_branch = ?6,
                        epoch = epoch + ?7, last_seen_at_ms = ?8 WHERE id = ?1",
            )?
            .run(params![id, requested_name, role, git_root, git_common, git_branch, i64::from(is_new_session), self.now.wall_ms])
    }

    /// Stores what a session says about itself.
    pub(crate) fn update_peer(&self, id: PeerId, changes: &PeerChanges) -> engine::Result<()> {
        let PeerChanges {
            role,
            summary,
            branch,
            prompt_ptr,
            ttl_ms,
        } = changes;
        self.sql
            .prepare_cached(
                "UPDATE peer SET role = coalesce(?2, role), summary = coalesce(?3, summary), branch = coalesce(?4, branch),
                        prompt_ptr = coalesce(?5, prompt_ptr), ttl_ms = coalesce(?6, ttl_ms), last_seen_at_ms = ?7 WHERE id = ?1",
            )?
            .run(params![id, role, summary, branch, prompt_ptr, ttl_ms, self.now.wall_ms])
    }

    /// Deletes a peer with all that belongs to it.
    pub(crate) fn delete_peer(&self, id: PeerId) -> engine::Result<()> {
        self.note_new_pending(NewPending::Peer(id));
        self.note_identity_change(true);
        self.sql.run("DELETE FROM peer WHERE id = ?1", [id])
    }

    /// Returns whether a peer has sent or received a question or a message that is still stored.
    pub(crate) fn has_correspondence(&self, id: PeerId) -> engine::Result<bool> {
        // A message of a peer is younger than the peer, which bounds the search for it.
        self.sql.query_row(
            "SELECT EXISTS (SELECT 1 FROM question WHERE target_peer = ?1) OR EXISTS (SELECT 1 FROM question WHERE asker_peer = ?1)
                 OR EXISTS (SELECT 1 FROM message WHERE to_peer = ?1) OR EXISTS (SELECT 1 FROM message WHERE id > ?1 AND from_peer = ?1)",
            [id],
            |row| row.get(0),
        )
    }

    /// Sets until when a peer is not woken.
    pub(crate) fn set_quiet(&self, id: PeerId, until_ms: Option<i64>) -> engine::Result<()> {
        self.sql.run(
            "UPDATE peer SET quiet_until_ms = ?2 WHERE id = ?1",
            params![id, until_ms],
        )
    }
}
