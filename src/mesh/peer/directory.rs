//! Looking around: who is here, who is meant by a name, what a session says of itself.
use crate::claude_code::RegistryEntry;
use crate::mesh::claim::queue::is_expired;
use crate::mesh::peer::activity::activity_summary;
use crate::mesh::peer::liveness::{HostView, find_live_session};
use crate::mesh::wake::throttle::throttled_for_observer;
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::activity::ActivitySummary;
use crate::model::peer::{Address, nearest};
use crate::model::throttle::Throttled;
use crate::model::{Activity, Liveness, PeerKind, PeerName, Refusal, Result};
use crate::platform::id::PeerId;
use crate::store::{Claim, Peer, Session, Task, Tx};

/// Which peers to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerScope {
    /// All of the mesh.
    #[default]
    Machine,
    /// All worktrees of the own repository.
    Repo,
    /// The own project folder and what lies below it.
    Directory,
}

/// What a session says of itself; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct PeerDescription {
    /// What it is for, at most 64 characters.
    pub role: Option<String>,
    /// What it is doing, at most 500 characters.
    pub summary: Option<String>,
    /// The branch it works on.
    pub branch: Option<String>,
    /// Where its prompt is, at most 500 characters.
    pub prompt_ptr: Option<String>,
    /// Time to live where no process can be looked up, in seconds.
    pub ttl_seconds: Option<u32>,
    /// Another name.
    pub name: Option<String>,
}

/// A mailbox and who sits there.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// The mailbox.
    pub peer: Peer,
    /// Its earlier and given names.
    pub aliases: Vec<String>,
    /// Who sits there.
    pub session: Option<Session>,
    /// Whether somebody sits there.
    pub liveness: Liveness,
    /// What it is doing.
    pub activity: Activity,
    /// What it is at, as its hooks have seen it.
    pub activity_summary: Option<ActivitySummary>,
    /// How long it has been idle, in milliseconds; `None` while it is busy or where that cannot be told.
    pub idle_ms: Option<i64>,
    /// It can be asked.
    pub askable: bool,
    /// How many questions wait there.
    pub questions_waiting: u32,
    /// What is asked is stored without ringing, and why.
    pub held: Option<Throttled>,
    /// What it has claimed.
    pub claims: Vec<Claim>,
    /// The task it works on.
    pub current_task: Option<Task>,
}

impl Mesh {
    /// Returns the peers of a scope, by name. Mailboxes nobody sits at come only with `include_dead`.
    pub fn peers(
        &mut self,
        me: Option<&SessionHandle>,
        scope: PeerScope,
        include_dead: bool,
    ) -> Result<Vec<PeerView>> {
        self.settle_queues_if_unlocked();
        let views = self.read_and_wake_unnotified(|tx, host| {
            let own = me.map(|me| tx.peer(me.peer)).transpose()?.flatten();
            let mut views = Vec::new();
            let peers = if include_dead {
                let mut all = tx.addressable_peers()?;
                all.extend(tx.live_runs()?);
                all
            } else {
                tx.peers_with_live_session()?
            };
            for peer in peers {
                if own
                    .as_ref()
                    .is_none_or(|own| is_in_scope(scope, own, &peer))
                {
                    views.push(view(tx, host, peer)?);
                }
            }
            Ok(views)
        })?;
        if views
            .iter()
            .any(|view| view.session.is_some() && view.liveness == Liveness::Dead)
        {
            // What cannot be recorded now, whoever looks next records.
            let _ = self.record_dead_sessions();
        }
        let wanted = |view: &PeerView| {
            view.liveness != Liveness::Dead || (include_dead && view.peer.kind == PeerKind::Session)
        };
        Ok(views.into_iter().filter(wanted).collect())
    }

    /// Returns one peer as it is now.
    pub fn peer_view(&mut self, id: PeerId) -> Result<Option<PeerView>> {
        self.read(|tx, host| tx.peer(id)?.map(|peer| view(tx, host, peer)).transpose())
    }

    /// Records every session whose process is gone.
    pub fn record_dead_sessions(&mut self) -> Result<()> {
        self.write(|tx, host, wakeups| {
            for session in tx.live_sessions()? {
                if let Some(peer) = tx.peer(session.peer)? {
                    find_live_session(tx, host, wakeups, &peer)?;
                }
            }
            Ok(())
        })
    }

    /// Notes what a session says of itself, and that it is there.
    pub fn describe(
        &mut self,
        me: &SessionHandle,
        description: &PeerDescription,
    ) -> Result<PeerView> {
        check_description(description)?;
        self.write(|tx, host, _| {
            if let Some(name) = &description.name {
                rename(tx, me, name)?;
            }
            let fields = [
                &description.role,
                &description.summary,
                &description.branch,
                &description.prompt_ptr,
            ]
            .map(|field| field.as_deref());
            tx.update_peer(
                me.peer,
                fields,
                description
                    .ttl_seconds
                    .map(|seconds| i64::from(seconds) * 1000),
            )?;
            tx.mark_session_seen(me.session)?;
            let peer = tx
                .peer(me.peer)?
                .ok_or_else(|| Refusal::conflict("the mailbox of this session was removed"))?;
            view(tx, host, peer)
        })
    }
}

fn view(tx: &Tx, host: &HostView, peer: Peer) -> Result<PeerView> {
    let sessions = tx.live_sessions_at(peer.id)?;
    let liveness_of = |session: &Session| host.liveness(session, peer.ttl_ms, &tx.now);
    let session = sessions
        .iter()
        .find(|session| liveness_of(session) != Liveness::Dead)
        .or(sessions.first())
        .cloned();
    let mut aliases = tx.aliases(peer.id)?;
    let registry_entry = session
        .as_ref()
        .and_then(|session| host.registry_entry(session));
    let activity = session
        .as_ref()
        .map_or(Activity::Offline, |session| host.activity(session, &tx.now));
    let activity_summary = session
        .as_ref()
        .and_then(|session| activity_summary(&host.doorbells, session.id));
    let idle_ms = (activity == Activity::Idle)
        .then(|| idle_since_ms(registry_entry.as_ref(), activity_summary.as_ref()))
        .flatten()
        .map(|since_ms| (tx.now.wall_ms - since_ms).max(0));
    aliases.extend(registry_entry.and_then(|registry_entry| registry_entry.given_name));
    Ok(PeerView {
        liveness: session.as_ref().map_or(Liveness::Dead, liveness_of),
        activity,
        activity_summary,
        idle_ms,
        askable: peer.kind != PeerKind::Run
            && session
                .as_ref()
                .is_some_and(|session| host.is_askable(session, &tx.now)),
        questions_waiting: tx.count_pending_questions(peer.id)?,
        held: match &session {
            Some(session) => throttled_for_observer(tx, host, &peer, session)?,
            None => None,
        },
        claims: claims_held_by(tx, host, peer.id)?,
        current_task: tx.current_task(peer.id)?,
        aliases,
        session,
        peer,
    })
}

/// Claude Code's registry knows best; where it does not tell, the end of the last turn counts.
fn idle_since_ms(
    registry_entry: Option<&RegistryEntry>,
    activity_summary: Option<&ActivitySummary>,
) -> Option<i64> {
    let reported_ms = registry_entry.and_then(|registry_entry| registry_entry.status_since_ms);
    reported_ms.or_else(|| activity_summary?.stopped_at_ms)
}

/// What is held at a mailbox; what is over counts no more, whether anybody could take it out or not.
fn claims_held_by(tx: &Tx, host: &HostView, peer: PeerId) -> Result<Vec<Claim>> {
    let mut held = Vec::new();
    for claim in tx.claims_held_by(peer)? {
        if is_expired(tx, host, &claim)?.is_none() {
            held.push(claim);
        }
    }
    Ok(held)
}

fn is_in_scope(scope: PeerScope, own: &Peer, other: &Peer) -> bool {
    match scope {
        PeerScope::Machine => true,
        PeerScope::Repo => {
            other.id == own.id || (own.git_common.is_some() && own.git_common == other.git_common)
        }
        PeerScope::Directory => match (&own.project, &other.project) {
            (Some(own), Some(other)) => std::path::Path::new(other).starts_with(own),
            _ => own.id == other.id,
        },
    }
}

/// Returns whom an address means; never the caller, never silently somebody else.
pub(in crate::mesh) fn resolve_address(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    address: &Address,
) -> Result<Peer> {
    let Some(named) = find(tx, address.name())? else {
        return Err(unknown_peer_refusal(tx, host, Some(me), address.name())?.into());
    };
    match address {
        Address::Peer(_) if named.id == me.peer => Err(Refusal::argument(format!(
            "\"{}\" is yourself; name somebody else, or another seat of your project",
            named.name
        ))
        .into()),
        Address::Peer(_) => Ok(named),
        Address::AnyOf(_) => pick_peer_of_project(tx, host, wakeups, me, named),
    }
}

pub(in crate::mesh) fn find(tx: &Tx, name: &str) -> Result<Option<Peer>> {
    if let Some(peer) = tx
        .find_peer_by_name(name)?
        .filter(|peer| peer.kind != PeerKind::Run)
    {
        return Ok(Some(peer));
    }
    let mut matching = tx.peers_with_given_name(name)?;
    if matching.is_empty() && name.len() >= 6 && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        matching = tx.peers_with_id_prefix(name)?;
    }
    match matching.len() {
        0 | 1 => Ok(matching.pop()),
        _ => {
            let matching = matching.iter().map(|peer| peer.name.to_string()).collect();
            Err(Refusal::AmbiguousPeer {
                name: name.into(),
                matching,
            }
            .into())
        }
    }
}

/// An askable session of the project, an idle one first, else the mailbox that was named.
fn pick_peer_of_project(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    named: Peer,
) -> Result<Peer> {
    let seats_of_project = match &named.project {
        Some(project) => tx.seats_of_project(project)?,
        None => vec![named.clone()],
    };
    let mut best: Option<(bool, Peer)> = None;
    for peer in seats_of_project.iter().filter(|peer| peer.id != me.peer) {
        let Some(session) = find_live_session(tx, host, wakeups, peer)?
            .filter(|session| host.is_askable(session, &tx.now))
        else {
            continue;
        };
        let idle = host.activity(&session, &tx.now) == Activity::Idle;
        if best
            .as_ref()
            .is_none_or(|(best_idle, _)| idle && !best_idle)
        {
            best = Some((idle, peer.clone()));
        }
    }
    let fallback = || {
        (named.id != me.peer)
            .then_some(named)
            .or_else(|| seats_of_project.into_iter().find(|peer| peer.id != me.peer))
    };
    best.map(|(_, peer)| peer)
        .or_else(fallback)
        .ok_or_else(|| Refusal::argument("that project has no other session than yourself").into())
}

/// Returns the refusal of a name that is nobody's, with those that are near and here.
pub(in crate::mesh) fn unknown_peer_refusal(
    tx: &Tx,
    host: &HostView,
    me: Option<&SessionHandle>,
    name: &str,
) -> Result<Refusal> {
    let mut names = Vec::new();
    let mut present = Vec::new();
    for peer in tx
        .addressable_peers()?
        .into_iter()
        .filter(|peer| me.is_none_or(|me| me.peer != peer.id) && peer.kind == PeerKind::Session)
    {
        names.push(peer.name.to_string());
        let alive =
            |session: &Session| host.liveness(session, peer.ttl_ms, &tx.now) == Liveness::Alive;
        if tx.live_sessions_at(peer.id)?.iter().any(alive) {
            present.push(peer.name.to_string());
        }
    }
    present.truncate(12);
    Ok(Refusal::UnknownPeer {
        name: name.into(),
        nearest: nearest(name, &names),
        present,
    })
}

fn check_description(description: &PeerDescription) -> Result<()> {
    let limits = [
        ("role", &description.role, 64),
        ("summary", &description.summary, 500),
        ("branch", &description.branch, 200),
        ("prompt_ptr", &description.prompt_ptr, 500),
    ];
    for (parameter, value, max_chars) in limits {
        let length = value.as_ref().map_or(0, |value| value.chars().count());
        if length > max_chars {
            return Err(Refusal::argument(format!(
                "\"{parameter}\" may have {max_chars} characters at most, got {length}"
            ))
            .into());
        }
    }
    if let Some(ttl) = description
        .ttl_seconds
        .filter(|ttl| !(5..=86_400).contains(ttl))
    {
        let problem = format!("\"ttl_seconds\" must be from 5 to 86400, got {ttl}");
        return Err(Refusal::argument(problem).into());
    }
    Ok(())
}

/// A session may name itself only while nothing else does and nobody knows it by its name.
fn rename(tx: &Tx, me: &SessionHandle, wanted: &str) -> Result<()> {
    let name = PeerName::parse_chosen(wanted)?;
    let peer = tx
        .peer(me.peer)?
        .ok_or_else(|| Refusal::conflict("the mailbox of this session was removed"))?;
    if name == peer.name {
        return Ok(());
    }
    if peer.kind != PeerKind::Session {
        return Err(
            Refusal::conflict("only a session with a mailbox has a name of its own").into(),
        );
    }
    if tx.has_correspondence(peer.id)? {
        return Err(Refusal::conflict(format!(
            "others know you as \"{}\" already; a name is changed in .claude-mesh.json",
            peer.name
        ))
        .into());
    }
    if tx
        .find_peer_by_name(name.as_str())?
        .is_some_and(|owner| owner.id != peer.id)
    {
        return Err(Refusal::conflict(format!("\"{name}\" belongs to another peer")).into());
    }
    crate::mesh::peer::register::rename(tx, &peer, &name)
}
