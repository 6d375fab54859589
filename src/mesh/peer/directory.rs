//! Lists the peers of the mesh, each with its session, its claims and its task.
use std::path::Path;

use crate::claude_code::RegistryEntry;
use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::activity_summary::activity_summary;
use crate::mesh::peer::address::unknown_peer_refusal;
use crate::mesh::peer::person::{askable_sessions, reachable_by};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::throttle::{throttled_for_observer, throttled_for_person};
use crate::model::activity_summary::ActivitySummary;
use crate::model::fork::ForkTotals;
use crate::model::person::ReachableBy;
use crate::model::throttle::Throttled;
use crate::model::{Activity, Liveness, PeerKind, PeerName, Refusal, Result};
use crate::platform::host_path::host_of;
use crate::platform::id::PeerId;
use crate::store::{Claim, Peer, Session, Task};

/// How many peers are read together.
const EXPECTED_VIEWS: usize = 16;

/// Which peers to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerScope {
    /// All peers of the mesh.
    #[default]
    Mesh,
    /// Those on the same machine.
    Machine,
    /// Those of all worktrees of the same repository.
    Repo,
    /// Those of the same project folder and of folders below it.
    Directory,
}

/// A peer with its session and what is known of both.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct PeerView {
    pub peer: Peer,
    /// Its earlier names and the name that its person gave it.
    pub aliases: Vec<String>,
    pub session: Option<Session>,
    /// Whether the session lives.
    pub liveness: Liveness,
    /// What the session does.
    pub activity: Activity,
    /// What its hooks have seen it doing.
    pub activity_summary: Option<ActivitySummary>,
    /// How long it has been idle, in milliseconds; `None` if it is busy, or if that is unknown.
    pub idle_ms: Option<i64>,
    /// Whether it can be asked now.
    pub askable: bool,
    /// By what a person is reachable now; `None` for other peers.
    pub reachable_by: Option<Vec<ReachableBy>>,
    /// How many questions are pending for it.
    pub questions_waiting: u32,
    /// Why questions to it are held.
    pub held: Option<Throttled>,
    /// What forks of the session have answered.
    pub forks: ForkTotals,
    pub claims: Vec<Claim>,
    /// The task it works on.
    pub current_task: Option<Task>,
}

impl Mesh {
    /// Returns the peers of a scope, by name. Peers without a live session are listed only with `include_dead`.
    pub fn peers(
        &mut self,
        me: Option<&SessionHandle>,
        scope: PeerScope,
        include_dead: bool,
    ) -> Result<Vec<PeerView>> {
        self.settle_queues_if_unlocked();
        let views = self.read_and_wake_unnotified(|read| {
            let own = me.map(|me| read.tx.peer(me.peer)).transpose()?.flatten();
            let mut views = Vec::new();
            let mut peers = if include_dead {
                let mut all = read.tx.addressable_peers()?;
                all.extend(read.tx.live_runs()?);
                all
            } else {
                let mut peers = read.tx.peers_with_live_session()?;
                add_person_to_notify(read, &mut peers)?;
                peers
            };
            if let Some(own) = &own {
                peers.retain(|peer| is_in_scope(scope, own, peer));
            }
            for chunk in peers.chunks(EXPECTED_VIEWS) {
                expect_views(read, chunk)?;
                for peer in chunk {
                    views.push(build_view(read, peer.clone())?);
                }
            }
            Ok(views)
        })?;
        if views
            .iter()
            .any(|view| view.session.is_some() && view.liveness == Liveness::Dead)
        {
            // If it fails now, the next read records the deaths.
            let _ = self.record_dead_sessions();
        }
        let wanted = |view: &PeerView| {
            view.liveness != Liveness::Dead
                || (include_dead && view.peer.kind == PeerKind::Session)
                || (view.peer.kind == PeerKind::Person && view.askable)
        };
        Ok(views.into_iter().filter(wanted).collect())
    }

    /// Returns the folder of the project of the peer with this name or alias; `None` without such a peer or project.
    pub fn project_of_peer(&mut self, name: &PeerName) -> Result<Option<String>> {
        self.read(|read| {
            let peer = read.tx.find_peer_by_name(name.as_str())?;
            Ok(peer.and_then(|peer| peer.project))
        })
    }

    /// Returns the refusal of a name that no peer has, with similar names.
    pub fn unknown_peer(&mut self, me: &SessionHandle, name: &str) -> Result<Refusal> {
        self.read(|read| unknown_peer_refusal(read, Some(me), name))
    }

    /// Returns one peer as it is now.
    pub fn peer_view(&mut self, id: PeerId) -> Result<Option<PeerView>> {
        self.read(|read| {
            read.tx
                .peer(id)?
                .map(|peer| build_view(read, peer))
                .transpose()
        })
    }
}

/// Adds the person of this machine, who may be reachable without a session.
fn add_person_to_notify(read: ReadContext, peers: &mut Vec<Peer>) -> Result<()> {
    if read.host.person_notifier.is_none() {
        return Ok(());
    }
    let name = PeerName::for_person(&read.host.own.host);
    if peers.iter().all(|peer| peer.name != name)
        && let Some(person) = read.tx.find_peer_by_name(name.as_str())?
    {
        let at = peers.partition_point(|peer| peer.kind != PeerKind::Run && peer.name < name);
        peers.insert(at, person);
    }
    Ok(())
}

/// Says what the views of these peers read, first by the peers, then by their sessions.
fn expect_views(read: ReadContext, peers: &[Peer]) -> Result<()> {
    read.tx.expect(|tx| {
        for peer in peers {
            drop(tx.live_sessions_at(peer.id));
            drop(tx.aliases(peer.id));
            drop(tx.count_pending_questions(peer.id));
            drop(tx.claims_held_by(peer.id));
            drop(tx.current_task(peer.id));
        }
    })?;
    Ok(read.tx.expect(|tx| {
        let sessions = peers.iter().map(|peer| read.tx.live_sessions_at(peer.id));
        for session in sessions.flat_map(std::result::Result::unwrap_or_default) {
            drop(tx.activity_summary(session.id));
            drop(tx.fork_totals(Some(session.id)));
        }
    })?)
}

pub(in crate::mesh) fn build_view(read: ReadContext, peer: Peer) -> Result<PeerView> {
    let is_person = peer.kind == PeerKind::Person;
    let session = session_to_show(read, &peer)?;
    let liveness_of = |session: &Session| read.liveness(session, peer.ttl_ms);
    let reachable_by = is_person.then(|| reachable_by(read, &peer)).transpose()?;
    let mut aliases = read.tx.aliases(peer.id)?;
    let registry_entry = session
        .as_ref()
        .and_then(|session| read.host.registry_entry(session));
    let activity = match &session {
        // A command that shows no questions needs no restart.
        Some(session) if !is_person || read.is_askable(session) => read.activity(session),
        _ => Activity::Offline,
    };
    let activity_summary = match &session {
        Some(session) => activity_summary(read, session)?,
        None => None,
    };
    let idle_ms = (activity == Activity::Idle)
        .then(|| idle_since_ms(registry_entry.as_ref(), activity_summary.as_ref()))
        .flatten()
        .map(|since_ms| (read.tx.now.wall_ms - since_ms).max(0));
    aliases.extend(registry_entry.and_then(|registry_entry| registry_entry.given_name));
    Ok(PeerView {
        liveness: session.as_ref().map_or(Liveness::Dead, liveness_of),
        activity,
        activity_summary,
        idle_ms,
        askable: match &reachable_by {
            Some(ways) => !ways.is_empty(),
            None => {
                peer.kind != PeerKind::Run
                    && session
                        .as_ref()
                        .is_some_and(|session| read.is_askable(session))
            }
        },
        reachable_by,
        questions_waiting: read.tx.count_pending_questions(peer.id)?,
        held: match &session {
            _ if is_person => throttled_for_person(read, &peer)?,
            Some(session) => throttled_for_observer(read, &peer, session)?,
            None => None,
        },
        forks: match &session {
            Some(session) => read.tx.fork_totals(Some(session.id))?,
            None => ForkTotals::default(),
        },
        claims: claims_held_by(read, peer.id)?,
        current_task: read.tx.current_task(peer.id)?,
        aliases,
        session,
        peer,
    })
}

/// Returns the session that a peer is described by: of a person one that shows questions, else one that lives, else one
/// whose death is not recorded.
fn session_to_show(read: ReadContext, peer: &Peer) -> Result<Option<Session>> {
    if peer.kind == PeerKind::Person
        && let Some(session) = askable_sessions(read, peer)?.into_iter().next()
    {
        return Ok(Some(session));
    }
    let sessions = read.tx.live_sessions_at(peer.id)?;
    let lives = |session: &&Session| read.liveness(session, peer.ttl_ms) != Liveness::Dead;
    Ok(sessions.iter().find(lives).or(sessions.first()).cloned())
}

/// The registry of Claude Code is the most accurate; without it, the end of the last turn counts.
fn idle_since_ms(
    registry_entry: Option<&RegistryEntry>,
    activity_summary: Option<&ActivitySummary>,
) -> Option<i64> {
    let reported_ms = registry_entry.and_then(|registry_entry| registry_entry.status_since_ms);
    reported_ms.or_else(|| activity_summary?.stopped_at_ms)
}

/// Returns the claims of a peer that have not expired, whether or not the expired ones could be removed.
fn claims_held_by(read: ReadContext, peer: PeerId) -> Result<Vec<Claim>> {
    let mut held = Vec::new();
    for claim in read.tx.claims_held_by(peer)? {
        if expiry_reason(read, &claim)?.is_none() {
            held.push(claim);
        }
    }
    Ok(held)
}

fn is_in_scope(scope: PeerScope, own: &Peer, other: &Peer) -> bool {
    match scope {
        PeerScope::Mesh => true,
        PeerScope::Machine => host_of_peer(own) == host_of_peer(other),
        PeerScope::Repo => {
            other.id == own.id || (own.git_common.is_some() && own.git_common == other.git_common)
        }
        // Paths of different hosts are never equal, although `//host/a` begins with the components of `/host/a`.
        PeerScope::Directory => match (&own.project, &other.project) {
            (Some(own), Some(other)) => {
                host_of(own) == host_of(other) && Path::new(other).starts_with(own)
            }
            _ => own.id == other.id,
        },
    }
}

/// Returns the host of a peer; `None` for one on the machine of the mesh.
fn host_of_peer(peer: &Peer) -> Option<&str> {
    peer.project.as_deref().and_then(host_of)
}
