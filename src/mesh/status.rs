//! Counts what is in a mesh, for the status of the mesh.
use crate::mesh::connection::Mesh;
use crate::mesh::peer::glance::PeerGlance;
use crate::model::fork::ForkTotals;
use crate::model::throttle::ThrottleReason;
use crate::model::{Liveness, PeerKind, Result};
use crate::store::MovedMark;

/// The figures of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What runs the database: `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Size of the database in bytes.
    pub bytes: u64,
    /// Size of its WAL in bytes.
    pub wal_bytes: u64,
    /// Version of its schema.
    pub schema: u32,
    /// Peers whose session is alive, may be alive, and that have none.
    pub peers: [usize; 3],
    /// Questions open, answered or declined, expired.
    pub questions: [i64; 3],
    /// Messages that are kept.
    pub messages: i64,
    /// Claims held.
    pub claims: i64,
    /// Memories, without the versions that were replaced.
    pub memories: i64,
    /// Tasks that have not ended.
    pub tasks: i64,
    /// Entries of the event log.
    pub events: i64,
    /// The wake budget in the settings of the caller.
    pub wake_budget: u32,
    /// How many turns peers have started, over all sessions.
    pub posted_turns: u32,
    /// How many sessions have spent their budget.
    pub over_budget: usize,
    /// Questions that are held.
    pub held: i64,
    /// How often Stop hooks have continued the newest turns, over all sessions.
    pub stops: u32,
    /// What forks have answered, over all sessions.
    pub forks: ForkTotals,
}

impl Mesh {
    /// Returns the figures. Liveness is looked up on this machine; the other figures are read from the store.
    pub fn status(&mut self) -> Result<Status> {
        let living = self.living_peers()?;
        let count = |wanted: Liveness| {
            let is_counted = |glance: &&PeerGlance| {
                glance.peer.kind == PeerKind::Session && glance.liveness == wanted
            };
            living.iter().filter(is_counted).count()
        };
        let (alive, stale) = (count(Liveness::Alive), count(Liveness::Stale));
        let sessions = || living.iter().filter_map(|glance| glance.session.as_ref());
        let posted_turns = sessions().map(|session| session.posted_turns).sum();
        let stops = sessions().map(|session| session.stop_streak).sum();
        let wake_budget = self.host.wake_budget;
        let is_spent = |glance: &&PeerGlance| {
            let turns = glance.session.as_ref().map(|session| session.posted_turns);
            let held_reason = glance.held.map(|held| held.reason);
            turns.is_some_and(|turns| turns >= wake_budget)
                || held_reason == Some(ThrottleReason::WakeBudget)
        };
        let over_budget = living.iter().filter(is_spent).count();
        let (bytes, wal_bytes) = self.store.sizes();
        let engine = match self.store.server() {
            None => "sqlite",
            Some(_) => "postgres",
        };
        self.read(|read| {
            Ok(Status {
                engine,
                wake_budget,
                posted_turns,
                over_budget,
                stops,
                forks: read.tx.fork_totals()?,
                held: read.tx.count_held_questions()?,
                bytes,
                wal_bytes,
                schema: crate::store::version(),
                peers: [
                    alive,
                    stale,
                    read.tx.count_session_peers()?.saturating_sub(alive + stale),
                ],
                questions: read.tx.count_questions()?,
                messages: read.tx.count_messages()?,
                claims: read.tx.count_claims()?,
                memories: read.tx.count_all_memories()?,
                tasks: read.tx.count_open_tasks()?,
                events: read.tx.count_events()?,
            })
        })
    }

    /// Returns where the mesh is: the path of its file, or the URL of its schema without user and password.
    pub fn place(&self) -> String {
        let server = self.store.server();
        server.unwrap_or_else(|| self.path().display().to_string())
    }

    /// Returns where the mesh was moved, if the file was left behind by `claude-mesh move`.
    pub fn moved_mark(&mut self) -> Result<Option<MovedMark>> {
        self.read(|read| Ok(read.tx.moved_mark()?))
    }

    /// Returns free pages to the file system. Returns how many bytes.
    pub fn shrink(&mut self) -> Result<u64> {
        let before = self.store.sizes().0;
        self.store.compact(crate::mesh::erase::READER_WAIT)?;
        Ok(before.saturating_sub(self.store.sizes().0))
    }
}
