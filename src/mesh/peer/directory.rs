//! Lists the peers of the mesh, each with its session, its claims and its task.
use std::path::Path;

use crate::claude_code::RegistryEntry;
use crate::mesh::claim::lease::expiry_reason;
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::activity_summary::activity_summary;
use crate::mesh::peer::address::unknown_peer_refusal;
use crate::mesh::peer::glance::{PeerGlance, glance_at};
use crate::mesh::peer::peer_details::PeerDetails;
use crate::mesh::peer::person::reachable_by;
use crate::mesh::session::SessionHandle;
use crate::model::activity_summary::ActivitySummary;
use crate::model::fork::ForkTotals;
use crate::model::person::ReachableBy;
use crate::model::throttle::Throttled;
use crate::model::{Activity, Liveness, PeerKind, PeerName, Refusal, Result};
use crate::platform::host_path::host_of;
use crate::platform::id::PeerId;
use crate::store::{Claim, Peer, Session, Task};

/// How many peers are read together.
const PEERS_TOGETHER: usize = 500;

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
        let read_views = |read: ReadContext| {
            let own = me.map(|me| read.tx.peer(me.peer)).transpose()?.flatten();
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
            let mut views = Vec::with_capacity(peers.len());
            while !peers.is_empty() {
                let rest = peers.split_off(peers.len().min(PEERS_TOGETHER));
                let glances = glance_at(read, std::mem::replace(&mut peers, rest))?;
                let mut details = PeerDetails::read(read, &glances)?;
                for glance in glances {
                    views.push(view_of(read, glance, &mut details)?);
                }
            }
            Ok(views)
        };
        let is_unrecorded_death =
            |view: &PeerView| view.session.is_some() && view.liveness == Liveness::Dead;
        let views = self.read_many_peers(read_views, is_unrecorded_death)?;
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

/// Returns the view of one peer.
pub(in crate::mesh) fn build_view(read: ReadContext, peer: Peer) -> Result<PeerView> {
    let glances = glance_at(read, vec![peer])?;
    let mut details = PeerDetails::read(read, &glances)?;
    let glance = glances.into_iter().next().expect("one of the one peer");
    view_of(read, glance, &mut details)
}

/// Returns the view of a peer, with what belongs to it moved out of `details`.
fn view_of(read: ReadContext, glance: PeerGlance, details: &mut PeerDetails) -> Result<PeerView> {
    let PeerGlance {
        peer,
        session,
        liveness,
        held,
    } = glance;
    let is_person = peer.kind == PeerKind::Person;
    let reachable_by = is_person.then(|| reachable_by(read, &peer)).transpose()?;
    let registry_entry = session
        .as_ref()
        .and_then(|session| read.host.registry_entry(session));
    let is_served = session
        .as_ref()
        .is_some_and(|session| read.is_askable(session));
    let activity = match &session {
        // A command that shows no questions needs no restart.
        Some(session) if !is_person || is_served => read.activity(session),
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
    let mut aliases = details.aliases.remove(&peer.id).unwrap_or_default();
    aliases.extend(registry_entry.and_then(|registry_entry| registry_entry.given_name));
    let forks = session
        .as_ref()
        .and_then(|session| details.forks.remove(&session.id));
    let claims = details.claims.remove(&peer.id).unwrap_or_default();
    Ok(PeerView {
        liveness,
        activity,
        activity_summary,
        idle_ms,
        askable: match &reachable_by {
            Some(ways) => !ways.is_empty(),
            None => peer.kind != PeerKind::Run && is_served,
        },
        reachable_by,
        questions_waiting: details.questions.remove(&peer.id).unwrap_or_default(),
        held,
        forks: forks.unwrap_or_default(),
        claims: without_expired(read, claims)?,
        current_task: details.current_tasks.remove(&peer.id),
        aliases,
        session,
        peer,
    })
}

/// The registry of Claude Code is the most accurate; without it, the end of the last turn counts.
fn idle_since_ms(
    registry_entry: Option<&RegistryEntry>,
    activity_summary: Option<&ActivitySummary>,
) -> Option<i64> {
    let reported_ms = registry_entry.and_then(|registry_entry| registry_entry.status_since_ms);
    reported_ms.or_else(|| activity_summary?.stopped_at_ms)
}

/// Returns the claims that have not expired, whether or not the expired ones could be removed.
fn without_expired(read: ReadContext, claims: Vec<Claim>) -> Result<Vec<Claim>> {
    let mut held = Vec::new();
    for claim in claims {
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
