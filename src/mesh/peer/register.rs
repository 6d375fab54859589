//! Sitting down and leaving: which mailbox a client process gets, and what it is called.
//!
//! A mailbox belongs to a project folder and a seat number and outlives sessions. Hooks and server of one client both sit
//! down, either first; the second finds the session of the first.
use std::path::Path;

use serde_json::json;

use crate::claude_code::client::Registered;
use crate::mesh::claim::queue::end_claims;
use crate::mesh::peer::liveness::{Around, record_death, sitter};
use crate::mesh::topic::subscribe_named;
use crate::mesh::{Mesh, Rings};
use crate::model::{EventKind, Liveness, PeerKind, PeerName, Result};
use crate::platform::id::{PeerId, SessionId};
use crate::platform::process;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Fault, Settings};
use crate::store::{NewPeer, NewSession, Peer, Tx};

/// Who comes in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The client process.
    pub process: ProcessKey,
    /// Tells several members of one process apart; 0 for hooks and servers.
    pub instance: u32,
    /// What sits down. A run gets no mailbox.
    pub kind: PeerKind,
    /// The project; a person needs none.
    pub project: Option<Project>,
    /// The client, for example `claude-code 2.1.329`.
    pub agent: Option<String>,
    /// Claude Code's own id of the session.
    pub client_session: Option<String>,
    /// A name its person gave it.
    pub given_name: Option<String>,
    /// It is a `claude -p` run.
    pub headless: bool,
    /// A server sits down with it.
    pub has_server: bool,
}

impl Arrival {
    /// Returns this process as a member of a project, for programs that use the library alone.
    pub fn here(project: &Path) -> std::result::Result<Self, Fault> {
        let settings = Settings::read(&|_| None, project.into(), None, project.into())?;
        let project = Project::of(project, &settings)?;
        let process = process::stat(process::own_pid()).map_or(
            ProcessKey {
                pid: process::own_pid(),
                started: 0,
            },
            |found| found.key,
        );
        Ok(Self::of(process, PeerKind::Session, Some(project)))
    }

    /// Returns the plainest arrival of a process.
    pub fn of(process: ProcessKey, kind: PeerKind, project: Option<Project>) -> Self {
        Self {
            process,
            instance: 0,
            kind,
            project,
            agent: None,
            client_session: None,
            given_name: None,
            headless: false,
            has_server: false,
        }
    }

    /// Returns the arrival as a further member of the same process.
    #[must_use]
    pub fn instance(mut self, instance: u32) -> Self {
        self.instance = instance;
        self
    }

    /// Adds what Claude Code's registry knows and nobody has told yet.
    pub fn complete(&mut self, registered: Option<Registered>) {
        let Some(registered) = registered else { return };
        self.client_session = self.client_session.take().or(registered.session_id);
        self.given_name = self.given_name.take().or(registered.given_name);
        self.headless |= registered.headless;
    }
}

/// A session at its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sitting {
    /// The session.
    pub session: SessionId,
    /// The mailbox.
    pub peer: PeerId,
    /// Its name.
    pub name: PeerName,
    /// What sits there.
    pub kind: PeerKind,
    /// Its seat in the project.
    pub seat: Option<u32>,
    /// The project it belongs to.
    pub project: Option<String>,
    /// Rises each time somebody sits down after it was dead.
    pub epoch: i64,
    /// It sat down just now; false when it sat already.
    pub joined: bool,
}

impl Sitting {
    /// Returns whether others can ask it.
    pub fn has_mailbox(&self) -> bool {
        self.kind != PeerKind::Run
    }
}

impl Mesh {
    /// Seats a client process, or finds where it sits already.
    pub fn sit(&mut self, arrival: &Arrival) -> Result<Sitting> {
        let gone = self.folders_gone(arrival)?;
        self.write(|tx, around, rings| sit(tx, around, rings, arrival, &gone))
    }

    /// Returns which folders are gone of the mailbox that has the name which a newcomer wants. Folders are looked at before
    /// the transaction: one may lie on a disk that does not answer.
    fn folders_gone(&mut self, arrival: &Arrival) -> Result<Vec<String>> {
        let Some(project) = arrival
            .project
            .as_ref()
            .filter(|_| arrival.kind == PeerKind::Session)
        else {
            return Ok(Vec::new());
        };
        let folders = self.read(|tx, around| {
            if tx
                .live_session_of(&around.place(arrival.process, arrival.instance))?
                .is_some()
            {
                return Ok(Vec::new());
            }
            let (name, path) = (full_name(project), project.path.to_string_lossy());
            let mut folders = Vec::new();
            for name in [PeerName::fold(&name), PeerName::folded_before(&name)] {
                let owner = tx.peer_named(name.as_str())?;
                let owner = owner.filter(|owner| owner.project.as_deref() != Some(&path));
                folders.extend(owner.iter().flat_map(homes));
            }
            folders.sort_unstable();
            folders.dedup();
            Ok(folders)
        })?;
        Ok(folders
            .into_iter()
            .filter(|folder| is_gone(folder))
            .collect())
    }

    /// Returns where a client process sits, without writing anything.
    pub fn seat_of(&mut self, process: ProcessKey) -> Result<Option<Sitting>> {
        self.read(|tx, around| {
            let Some(session) = tx.live_session_of(&around.place(process, 0))? else {
                return Ok(None);
            };
            let peer = tx.peer(session.peer)?;
            Ok(peer.map(|peer| sitting(session.id, &peer, false)))
        })
    }

    /// Returns whether this place of its process is another member's: of another project, or with a server of its own.
    pub fn is_taken(&mut self, arrival: &Arrival) -> Result<bool> {
        self.read(|tx, around| {
            let place = around.place(arrival.process, arrival.instance);
            let Some(session) = tx.live_session_of(&place)? else {
                return Ok(false);
            };
            let project = tx.peer(session.peer)?.and_then(|peer| peer.project);
            let own = arrival.project.as_ref().map(|own| own.path.as_path());
            Ok(project.as_deref().map(Path::new) != own || around.bells.is_served(session.id))
        })
    }

    /// Returns the seat as it is now, for example under a new name; `None` when the session has ended.
    pub fn refresh(&mut self, me: &Sitting) -> Result<Option<Sitting>> {
        self.read(|tx, _| {
            let live = tx
                .session(me.session)?
                .filter(|session| session.ended_at_ms.is_none());
            let peer = live
                .map(|session| tx.peer(session.peer))
                .transpose()?
                .flatten();
            Ok(peer.map(|peer| sitting(me.session, &peer, false)))
        })
    }

    /// Returns whether a hook has reported this process as a session.
    pub fn knows_process(&mut self, process: ProcessKey) -> Result<bool> {
        self.read(|tx, _| Ok(tx.knows_process(process)?))
    }

    /// Ends a session; its mailbox stays. Those who wait for it are told.
    pub fn leave(&mut self, session: SessionId, reason: &str) -> Result<()> {
        self.write(|tx, _, rings| {
            let Some(found) = tx.session(session)? else {
                return Ok(());
            };
            rings.add(tx.sessions_waiting_for(found.peer)?);
            // Its waiting hook goes with it.
            rings.add([session]);
            let waited = tx.tickets_waited_with(session)?;
            if tx.end_session(session)? {
                let peer = tx.peer(found.peer)?;
                if let Some(peer) = &peer {
                    end_claims(tx, rings, session, peer.kind, waited, "left")?;
                }
                let name = peer.map(|peer| peer.name.to_string()).unwrap_or_default();
                tx.append(
                    EventKind::PeerLeft,
                    Some(found.peer),
                    &name,
                    &json!({ "session": session, "reason": reason }),
                )?;
            }
            rings.ended.push(session);
            Ok(())
        })
    }

    /// Takes Claude Code's own id off a session whose client goes on, as `/clear` does.
    pub fn detach(&mut self, session: SessionId) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.detach_session(session)?))
    }

    /// Frees a name: removes a mailbox nobody sits at, with its questions; a person's right. Returns whether there was one.
    pub fn forget_peer(&mut self, me: &Sitting, name: &str) -> Result<bool> {
        self.write(|tx, around, rings| {
            let Some(peer) = tx.peer_named(name)? else {
                return Ok(false);
            };
            if me.kind != PeerKind::Person {
                let problem = format!(
                    "the mailbox of \"{}\" is removed by a person only",
                    peer.name
                );
                return Err(crate::model::Refusal::NotYours { problem }.into());
            }
            if sitter(tx, around, rings, &peer)?.is_some() {
                return Err(crate::model::Refusal::conflict(format!(
                    "somebody sits at {:?} now",
                    peer.name.as_str()
                ))
                .into());
            }
            tx.delete_peer(peer.id)?;
            let kind = EventKind::PeerForgotten;
            tx.append(kind, Some(me.peer), peer.name.as_str(), &json!({}))?;
            Ok(true)
        })
    }
}

/// Returns whether a folder is gone for sure; one that cannot be looked at is not.
pub(in crate::mesh) fn is_gone(folder: &str) -> bool {
    matches!(Path::new(folder).try_exists(), Ok(false))
}

fn sitting(session: SessionId, peer: &Peer, joined: bool) -> Sitting {
    Sitting {
        session,
        peer: peer.id,
        name: peer.name.clone(),
        kind: peer.kind,
        seat: peer.seat,
        project: peer.project.clone(),
        epoch: peer.epoch,
        joined,
    }
}

fn sit(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    arrival: &Arrival,
    gone: &[String],
) -> Result<Sitting> {
    let place = around.place(arrival.process, arrival.instance);
    let known = tx.live_session_of(&place)?;
    let peer = match &known {
        Some(session) => tx.peer(session.peer)?.ok_or_else(|| {
            crate::model::Refusal::conflict("the mailbox of this session was removed")
        })?,
        None => find_mailbox(tx, around, rings, arrival, gone)?,
    };
    let newcomer = NewSession {
        peer: peer.id,
        place: &place,
        agent: arrival.agent.as_deref(),
        client_session: arrival.client_session.as_deref(),
        given_name: arrival.given_name.as_deref(),
        headless: arrival.headless,
        has_server: arrival.has_server,
    };
    if let Some(project) = arrival
        .project
        .as_ref()
        .filter(|_| peer.kind == PeerKind::Session)
    {
        follow_project(tx, &peer, project, known.is_none())?;
    }
    if known.is_none() && peer.kind == PeerKind::Session && tx.has_rooms() {
        let topics = arrival.project.as_ref().map(|it| it.file.topics.as_slice());
        subscribe_named(tx, peer.id, topics.unwrap_or_default())?;
    }
    let session = if let Some(session) = &known {
        tx.touch_session(session.id, &newcomer)?;
        session.id
    } else {
        let session = tx.insert_session(&newcomer)?;
        // What could not wake the session before may well wake this one.
        tx.forget_failed_wakes(peer.id)?;
        tx.append(
            EventKind::PeerJoined,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session, "agent": arrival.agent }),
        )?;
        session
    };
    let peer = tx.peer(peer.id)?.unwrap_or(peer);
    Ok(sitting(session, &peer, known.is_none()))
}

fn find_mailbox(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    arrival: &Arrival,
    gone: &[String],
) -> Result<Peer> {
    match (arrival.kind, &arrival.project) {
        (PeerKind::Session, Some(project)) => find_seat(tx, around, rings, arrival, project, gone),
        (PeerKind::Person, _) | (_, None) => {
            let name = PeerName::of_person(&around.own.host);
            match tx.peer_named(name.as_str())? {
                Some(peer) => Ok(peer),
                None => new_peer(tx, PeerKind::Person, &name, &name, None),
            }
        }
        (PeerKind::Run, Some(project)) => {
            let base = PeerName::of_run(&PeerName::fold(&project.name), arrival.process.pid);
            let name = first_free(tx, PeerName::candidates(&base, 1, &[]), None)?;
            new_peer(tx, PeerKind::Run, &name, &base, None)
        }
    }
}

/// The old seat of a resumed session if it is free, else the lowest free one.
fn find_seat(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    arrival: &Arrival,
    project: &Project,
    gone: &[String],
) -> Result<Peer> {
    let path = project.path.to_string_lossy();
    let seats = tx.seats(&path)?;
    let mut free = Vec::new();
    for peer in &seats {
        if sitter(tx, around, rings, peer)?.is_none() {
            free.push(peer);
        }
    }
    let earlier = arrival
        .client_session
        .as_deref()
        .map(|id| tx.last_seat_of(id))
        .transpose()?
        .flatten();
    if let Some(peer) = free.iter().find(|peer| Some(peer.id) == earlier) {
        return Ok((*peer).clone());
    }
    let taken = |seat: &u32| seats.iter().any(|peer| peer.seat == Some(*seat));
    let gap = (1..=u32::try_from(seats.len()).unwrap_or(u32::MAX - 1) + 1)
        .find(|seat| !taken(seat))
        .expect("one more number than seats");
    if let Some(peer) = free.first().filter(|peer| peer.seat < Some(gap)) {
        return Ok((*peer).clone());
    }
    let wanted = wanted_name(project, &seats);
    if gap == 1 {
        let moved = match take_over(tx, around, rings, &wanted, project, gone)? {
            None => take_over_before(tx, around, rings, project, gone)?,
            found => found,
        };
        if let Some(peer) = moved {
            return Ok(peer);
        }
    }
    let name = first_free(
        tx,
        PeerName::candidates(&wanted, gap, &folders_above(project)),
        None,
    )?;
    new_peer(tx, PeerKind::Session, &name, &wanted, Some((&path, gap)))
}

/// Returns the folders whose names the memories of a mailbox may go by: its project may have become a repository since.
fn homes(owner: &Peer) -> Vec<String> {
    let repository = owner
        .project
        .as_ref()
        .map(|folder| format!("{folder}/.git"));
    let homes = [owner.project.clone(), owner.git_common.clone(), repository];
    homes.into_iter().flatten().collect()
}

/// A project that was moved keeps its mailbox and what belongs to it: the old folder is gone, nobody sits there, and the name
/// is the same.
fn take_over(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    wanted: &PeerName,
    project: &Project,
    gone: &[String],
) -> Result<Option<Peer>> {
    let path = project.path.to_string_lossy();
    let Some(owner) = tx.peer_named(wanted.as_str())? else {
        return Ok(None);
    };
    let has_moved = owner
        .project
        .as_ref()
        .is_some_and(|folder| gone.contains(folder));
    let deserted = tx
        .live_sessions_at(owner.id)?
        .iter()
        .all(|session| around.liveness(session, owner.ttl_ms, &tx.now) == Liveness::Dead);
    if owner.kind != PeerKind::Session || owner.seat != Some(1) || !has_moved || !deserted {
        return Ok(None);
    }
    for session in tx.live_sessions_at(owner.id)? {
        record_death(tx, rings, &session, &owner)?;
    }
    tx.move_peer(owner.id, &path, 1)?;
    if let Some(old) = &owner.project {
        if tx.has_rooms() {
            tx.move_entries(old, &path)?;
        }
        if tx.has_tasks() {
            tx.move_tasks(old, &path)?;
            // A worktree that was moved leaves its repository, and with it the memories, where it is.
            for home in homes(&owner).iter().filter(|home| gone.contains(home)) {
                tx.move_memories(home, &project.home())?;
            }
        }
    }
    Ok(tx.peer(owner.id)?)
}

/// The same for a mailbox that was named before letters other than ASCII ones counted: many names fell together then, so the
/// folder's must be the same.
fn take_over_before(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    project: &Project,
    gone: &[String],
) -> Result<Option<Peer>> {
    let before = PeerName::folded_before(&full_name(project));
    let owner = tx.peer_named(before.as_str())?;
    let folder = owner.and_then(|owner| Some(Path::new(&owner.project?).file_name()?.to_owned()));
    if folder.as_deref() == project.path.file_name() {
        take_over(tx, around, rings, &before, project, gone)
    } else {
        Ok(None)
    }
}

/// Notes what the project says of itself. A new name in its file renames the mailbox; the old name stays an alias.
fn follow_project(tx: &Tx, peer: &Peer, project: &Project, fresh: bool) -> Result<()> {
    let wanted = wanted_name(project, std::slice::from_ref(peer));
    let text = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| path.to_string_lossy().into_owned())
    };
    let (root, common) = (text(&project.git_root), text(&project.git_common));
    let git = [
        root.as_deref(),
        common.as_deref(),
        project.git_branch.as_deref(),
    ];
    tx.describe_peer(
        peer.id,
        wanted.as_str(),
        project.file.role.as_deref(),
        git,
        fresh,
    )?;
    if peer.wanted == wanted.as_str() {
        return Ok(());
    }
    let candidates = PeerName::candidates(&wanted, peer.seat.unwrap_or(1), &folders_above(project));
    let name = first_free(tx, candidates, Some(peer.id))?;
    if name != peer.name {
        rename(tx, peer, &name)?;
    }
    Ok(())
}

/// Gives a mailbox another name, and says so; the old one stays an alias.
pub(in crate::mesh) fn rename(tx: &Tx, peer: &Peer, name: &PeerName) -> Result<()> {
    tx.rename_peer(peer, name)?;
    let was = json!({ "was": peer.name });
    Ok(tx.append(EventKind::PeerRenamed, Some(peer.id), name.as_str(), &was)?)
}

fn full_name(project: &Project) -> String {
    match &project.worktree {
        Some(worktree) => format!("{}.{worktree}", project.name),
        None => project.name.clone(),
    }
}

/// Returns what the mailboxes of a project are called. Where `there` has one that was named before letters other than ASCII
/// ones counted, it stays so.
fn wanted_name(project: &Project, there: &[Peer]) -> PeerName {
    let name = full_name(project);
    let before = PeerName::folded_before(&name);
    if there.iter().any(|peer| peer.wanted == before.as_str()) {
        before
    } else {
        PeerName::fold(&name)
    }
}

/// The names of the folders above a project, nearest first; at most four.
fn folders_above(project: &Project) -> Vec<String> {
    let above = project.path.ancestors().skip(1).filter_map(Path::file_name);
    above
        .map(|name| name.to_string_lossy().into_owned())
        .take(4)
        .collect()
}

/// Names given once, also earlier ones, belong to their mailbox for good.
fn first_free(
    tx: &Tx,
    candidates: impl Iterator<Item = PeerName>,
    own: Option<PeerId>,
) -> Result<PeerName> {
    for name in candidates {
        match tx.peer_named(name.as_str())? {
            Some(owner) if Some(owner.id) != own => {}
            _ => return Ok(name),
        }
    }
    unreachable!("the candidates are numbered without end")
}

fn new_peer(
    tx: &Tx,
    kind: PeerKind,
    name: &PeerName,
    wanted: &PeerName,
    seat: Option<(&str, u32)>,
) -> Result<Peer> {
    let id = tx.insert_peer(&NewPeer {
        kind,
        name,
        wanted: wanted.as_str(),
        project: seat.map(|(path, _)| path),
        seat: seat.map(|(_, seat)| seat),
    })?;
    Ok(tx.peer(id)?.expect("it was just inserted"))
}
