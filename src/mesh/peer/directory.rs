//! Looking around: who is here, who is meant by a name, what a session says of itself.
use crate::claude_code::client::Registered;
use crate::mesh::claim::queue::is_over;
use crate::mesh::peer::activity::doing;
use crate::mesh::peer::liveness::{Around, sitter};
use crate::mesh::wake::throttle::hold_told;
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::activity::Doing;
use crate::model::peer::{Address, nearest};
use crate::model::throttle::Held;
use crate::model::{Activity, Liveness, PeerKind, PeerName, Refusal, Result};
use crate::platform::id::PeerId;
use crate::store::{Claim, Peer, Session, Task, Tx};

/// Which peers to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
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
pub struct About {
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
    pub doing: Option<Doing>,
    /// How long it has been idle, in milliseconds; `None` while it is busy or where that cannot be told.
    pub idle_ms: Option<i64>,
    /// It can be asked.
    pub askable: bool,
    /// How many questions wait there.
    pub questions_waiting: u32,
    /// What is asked is stored without ringing, and why.
    pub held: Option<Held>,
    /// What it has claimed.
    pub claims: Vec<Claim>,
    /// The task it works on.
    pub current_task: Option<Task>,
}

impl Mesh {
    /// Returns the peers of a scope, by name. Mailboxes nobody sits at come only with `include_dead`.
    pub fn peers(
        &mut self,
        me: Option<&Sitting>,
        scope: Scope,
        include_dead: bool,
    ) -> Result<Vec<PeerView>> {
        self.settle_lines_if_free();
        let views = self.look_around(|tx, around| {
            let own = me.map(|me| tx.peer(me.peer)).transpose()?.flatten();
            let mut views = Vec::new();
            let peers = if include_dead {
                let mut all = tx.mailboxes()?;
                all.extend(tx.live_runs()?);
                all
            } else {
                tx.seated()?
            };
            for peer in peers {
                if own.as_ref().is_none_or(|own| is_in(scope, own, &peer)) {
                    views.push(view(tx, around, peer)?);
                }
            }
            Ok(views)
        })?;
        if views
            .iter()
            .any(|view| view.session.is_some() && view.liveness == Liveness::Dead)
        {
            // What cannot be recorded now, whoever looks next records.
            let _ = self.record_deaths();
        }
        let wanted = |view: &PeerView| {
            view.liveness != Liveness::Dead || (include_dead && view.peer.kind == PeerKind::Session)
        };
        Ok(views.into_iter().filter(wanted).collect())
    }

    /// Returns one peer as it is now.
    pub fn peer_view(&mut self, id: PeerId) -> Result<Option<PeerView>> {
        self.read(|tx, around| tx.peer(id)?.map(|peer| view(tx, around, peer)).transpose())
    }

    /// Records every session whose process is gone.
    pub fn record_deaths(&mut self) -> Result<()> {
        self.write(|tx, around, rings| {
            for session in tx.live_sessions()? {
                if let Some(peer) = tx.peer(session.peer)? {
                    sitter(tx, around, rings, &peer)?;
                }
            }
            Ok(())
        })
    }

    /// Notes what a session says of itself, and that it is there.
    pub fn describe(&mut self, me: &Sitting, about: &About) -> Result<PeerView> {
        check(about)?;
        self.write(|tx, around, _| {
            if let Some(name) = &about.name {
                rename(tx, me, name)?;
            }
            let fields = [
                &about.role,
                &about.summary,
                &about.branch,
                &about.prompt_ptr,
            ]
            .map(|field| field.as_deref());
            tx.update_peer(
                me.peer,
                fields,
                about.ttl_seconds.map(|seconds| i64::from(seconds) * 1000),
            )?;
            tx.see_session(me.session)?;
            let peer = tx
                .peer(me.peer)?
                .ok_or_else(|| Refusal::conflict("the mailbox of this session was removed"))?;
            view(tx, around, peer)
        })
    }
}

fn view(tx: &Tx, around: &Around, peer: Peer) -> Result<PeerView> {
    let sessions = tx.live_sessions_at(peer.id)?;
    let lives = |session: &Session| around.liveness(session, peer.ttl_ms, &tx.now);
    let session = sessions
        .iter()
        .find(|session| lives(session) != Liveness::Dead)
        .or(sessions.first())
        .cloned();
    let mut aliases = tx.aliases(peer.id)?;
    let registered = session
        .as_ref()
        .and_then(|session| around.registered(session));
    let activity = session.as_ref().map_or(Activity::Offline, |session| {
        around.activity(session, &tx.now)
    });
    let doing = session
        .as_ref()
        .and_then(|session| doing(&around.bells, session.id));
    let idle_ms = (activity == Activity::Idle)
        .then(|| idle_since_ms(registered.as_ref(), doing.as_ref()))
        .flatten()
        .map(|since_ms| (tx.now.wall_ms - since_ms).max(0));
    aliases.extend(registered.and_then(|registered| registered.given_name));
    Ok(PeerView {
        liveness: session.as_ref().map_or(Liveness::Dead, lives),
        activity,
        doing,
        idle_ms,
        askable: peer.kind != PeerKind::Run
            && session
                .as_ref()
                .is_some_and(|session| around.is_askable(session, &tx.now)),
        questions_waiting: tx.count_pending(peer.id)?,
        held: match &session {
            Some(session) => hold_told(tx, around, &peer, session)?,
            None => None,
        },
        claims: held_at(tx, around, peer.id)?,
        current_task: tx.current_task(peer.id)?,
        aliases,
        session,
        peer,
    })
}

/// Claude Code's registry knows best; where it does not tell, the end of the last turn counts.
fn idle_since_ms(registered: Option<&Registered>, doing: Option<&Doing>) -> Option<i64> {
    let told = registered.and_then(|registered| registered.status_since_ms);
    told.or_else(|| doing?.stopped_at_ms)
}

/// What is held at a mailbox; what is over counts no more, whether anybody could take it out or not.
fn held_at(tx: &Tx, around: &Around, peer: PeerId) -> Result<Vec<Claim>> {
    let mut held = Vec::new();
    for claim in tx.held_at(peer)? {
        if is_over(tx, around, &claim)?.is_none() {
            held.push(claim);
        }
    }
    Ok(held)
}

fn is_in(scope: Scope, own: &Peer, other: &Peer) -> bool {
    match scope {
        Scope::Machine => true,
        Scope::Repo => {
            other.id == own.id || (own.git_common.is_some() && own.git_common == other.git_common)
        }
        Scope::Directory => match (&own.project, &other.project) {
            (Some(own), Some(other)) => std::path::Path::new(other).starts_with(own),
            _ => own.id == other.id,
        },
    }
}

/// Returns whom an address means; never the caller, never silently somebody else.
pub(in crate::mesh) fn resolve(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    me: &Sitting,
    address: &Address,
) -> Result<Peer> {
    let Some(named) = find(tx, address.name())? else {
        return Err(unknown(tx, around, Some(me), address.name())?.into());
    };
    match address {
        Address::Peer(_) if named.id == me.peer => Err(Refusal::argument(format!(
            "\"{}\" is yourself; name somebody else, or another seat of your project",
            named.name
        ))
        .into()),
        Address::Peer(_) => Ok(named),
        Address::AnyOf(_) => any_of(tx, around, rings, me, named),
    }
}

pub(in crate::mesh) fn find(tx: &Tx, name: &str) -> Result<Option<Peer>> {
    if let Some(peer) = tx
        .peer_named(name)?
        .filter(|peer| peer.kind != PeerKind::Run)
    {
        return Ok(Some(peer));
    }
    let mut fits = tx.peers_given(name)?;
    if fits.is_empty() && name.len() >= 6 && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        fits = tx.peers_with_id_prefix(name)?;
    }
    match fits.len() {
        0 | 1 => Ok(fits.pop()),
        _ => {
            let fits = fits.iter().map(|peer| peer.name.to_string()).collect();
            Err(Refusal::AmbiguousPeer {
                name: name.into(),
                fits,
            }
            .into())
        }
    }
}

/// An askable session of the project, an idle one first, else the mailbox that was named.
fn any_of(tx: &Tx, around: &Around, rings: &mut Rings, me: &Sitting, named: Peer) -> Result<Peer> {
    let seats = match &named.project {
        Some(project) => tx.seats(project)?,
        None => vec![named.clone()],
    };
    let mut best: Option<(bool, Peer)> = None;
    for peer in seats.iter().filter(|peer| peer.id != me.peer) {
        let Some(session) =
            sitter(tx, around, rings, peer)?.filter(|session| around.is_askable(session, &tx.now))
        else {
            continue;
        };
        let idle = around.activity(&session, &tx.now) == Activity::Idle;
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
            .or_else(|| seats.into_iter().find(|peer| peer.id != me.peer))
    };
    best.map(|(_, peer)| peer)
        .or_else(fallback)
        .ok_or_else(|| Refusal::argument("that project has no other session than yourself").into())
}

/// Returns the refusal of a name that is nobody's, with those that are near and here.
pub(in crate::mesh) fn unknown(
    tx: &Tx,
    around: &Around,
    me: Option<&Sitting>,
    name: &str,
) -> Result<Refusal> {
    let mut names = Vec::new();
    let mut here = Vec::new();
    for peer in tx
        .mailboxes()?
        .into_iter()
        .filter(|peer| me.is_none_or(|me| me.peer != peer.id) && peer.kind == PeerKind::Session)
    {
        names.push(peer.name.to_string());
        let alive =
            |session: &Session| around.liveness(session, peer.ttl_ms, &tx.now) == Liveness::Alive;
        if tx.live_sessions_at(peer.id)?.iter().any(alive) {
            here.push(peer.name.to_string());
        }
    }
    here.truncate(12);
    Ok(Refusal::UnknownPeer {
        name: name.into(),
        nearest: nearest(name, &names),
        here,
    })
}

fn check(about: &About) -> Result<()> {
    let limits = [
        ("role", &about.role, 64),
        ("summary", &about.summary, 500),
        ("branch", &about.branch, 200),
        ("prompt_ptr", &about.prompt_ptr, 500),
    ];
    for (parameter, value, most) in limits {
        let length = value.as_ref().map_or(0, |value| value.chars().count());
        if length > most {
            return Err(Refusal::argument(format!(
                "\"{parameter}\" may have {most} characters at most, got {length}"
            ))
            .into());
        }
    }
    if let Some(ttl) = about.ttl_seconds.filter(|ttl| !(5..=86_400).contains(ttl)) {
        let problem = format!("\"ttl_seconds\" must be from 5 to 86400, got {ttl}");
        return Err(Refusal::argument(problem).into());
    }
    Ok(())
}

/// A session may name itself only while nothing else does and nobody knows it by its name.
fn rename(tx: &Tx, me: &Sitting, wanted: &str) -> Result<()> {
    let name = PeerName::chosen(wanted)?;
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
    if tx.has_mail(peer.id)? {
        return Err(Refusal::conflict(format!(
            "others know you as \"{}\" already; a name is changed in .claude-mesh.json",
            peer.name
        ))
        .into());
    }
    if tx
        .peer_named(name.as_str())?
        .is_some_and(|owner| owner.id != peer.id)
    {
        return Err(Refusal::conflict(format!("\"{name}\" belongs to another peer")).into());
    }
    crate::mesh::peer::register::rename(tx, &peer, &name)
}
