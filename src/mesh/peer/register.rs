//! Sitting down and leaving: which mailbox a client process gets, and what it is called.
//!
//! A mailbox belongs to a project folder and a seat number and outlives sessions. Hooks and server of one client both sit
//! down, either first; the second finds the session of the first.
use std::path::Path;

use serde_json::json;

use crate::claude_code::client::RegistryEntry;
use crate::mesh::claim::queue::end_session_claims;
use crate::mesh::peer::liveness::{HostView, find_live_session, record_dead_session};
use crate::mesh::topic::subscribe_project_topics;
use crate::mesh::{Mesh, PendingWakeups};
use crate::model::{EventKind, Liveness, PeerKind, PeerName, Result};
use crate::platform::id::{PeerId, SessionId};
use crate::platform::process;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Fault, Settings};
use crate::store::{NewPeer, NewSession, Peer, Tx};

/// Who comes in.
#[derive(Debug, Clone)]
pub struct JoinRequest {
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

impl JoinRequest {
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
    pub fn fill_from_registry(&mut self, registry_entry: Option<RegistryEntry>) {
        let Some(registry_entry) = registry_entry else {
            return;
        };
        self.client_session = self.client_session.take().or(registry_entry.session_id);
        self.given_name = self.given_name.take().or(registry_entry.given_name);
        self.headless |= registry_entry.headless;
    }
}

/// A session at its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHandle {
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

impl SessionHandle {
    /// Returns whether others can ask it.
    pub fn is_addressable(&self) -> bool {
        self.kind != PeerKind::Run
    }
}

impl Mesh {
    /// Seats a client process, or finds where it sits already.
    pub fn register(&mut self, request: &JoinRequest) -> Result<SessionHandle> {
        let missing_folders = self.find_missing_folders(request)?;
        self.write(|tx, host, wakeups| register(tx, host, wakeups, request, &missing_folders))
    }

    /// Returns which folders are gone of the mailbox that has the name which a newcomer wants. Folders are looked at before
    /// the transaction: one may lie on a disk that does not answer.
    fn find_missing_folders(&mut self, request: &JoinRequest) -> Result<Vec<String>> {
        let Some(project) = request
            .project
            .as_ref()
            .filter(|_| request.kind == PeerKind::Session)
        else {
            return Ok(Vec::new());
        };
        let folders = self.read(|tx, host| {
            if tx
                .find_live_session_of_process(&host.location(request.process, request.instance))?
                .is_some()
            {
                return Ok(Vec::new());
            }
            let (name, path) = (qualified_name(project), project.path.to_string_lossy());
            let mut folders = Vec::new();
            for name in [PeerName::fold(&name), PeerName::fold_ascii_only(&name)] {
                let owner = tx.find_peer_by_name(name.as_str())?;
                let owner = owner.filter(|owner| owner.project.as_deref() != Some(&path));
                folders.extend(owner.iter().flat_map(memory_homes));
            }
            folders.sort_unstable();
            folders.dedup();
            Ok(folders)
        })?;
        Ok(folders
            .into_iter()
            .filter(|folder| is_missing_folder(folder))
            .collect())
    }

    /// Returns where a client process sits, without writing anything.
    pub fn find_session_of_process(
        &mut self,
        process: ProcessKey,
    ) -> Result<Option<SessionHandle>> {
        self.read(|tx, host| {
            let Some(session) = tx.find_live_session_of_process(&host.location(process, 0))? else {
                return Ok(None);
            };
            let peer = tx.peer(session.peer)?;
            Ok(peer.map(|peer| session_handle(session.id, &peer, false)))
        })
    }

    /// Returns whether this place of its process is another member's: of another project, or with a server of its own.
    pub fn is_location_taken(&mut self, request: &JoinRequest) -> Result<bool> {
        self.read(|tx, host| {
            let location = host.location(request.process, request.instance);
            let Some(session) = tx.find_live_session_of_process(&location)? else {
                return Ok(false);
            };
            let project = tx.peer(session.peer)?.and_then(|peer| peer.project);
            let own = request.project.as_ref().map(|own| own.path.as_path());
            Ok(project.as_deref().map(Path::new) != own
                || host.doorbells.is_server_running(session.id))
        })
    }

    /// Returns the seat as it is now, for example under a new name; `None` when the session has ended.
    pub fn refresh(&mut self, me: &SessionHandle) -> Result<Option<SessionHandle>> {
        self.read(|tx, _| {
            let live = tx
                .session(me.session)?
                .filter(|session| session.ended_at_ms.is_none());
            let peer = live
                .map(|session| tx.peer(session.peer))
                .transpose()?
                .flatten();
            Ok(peer.map(|peer| session_handle(me.session, &peer, false)))
        })
    }

    /// Returns whether a hook has reported this process as a session.
    pub fn has_session_of_process(&mut self, process: ProcessKey) -> Result<bool> {
        self.read(|tx, _| Ok(tx.has_session_of_process(process)?))
    }

    /// Ends a session; its mailbox stays. Those who wait for it are told.
    pub fn unregister(&mut self, session: SessionId, reason: &str) -> Result<()> {
        self.write(|tx, _, wakeups| {
            let Some(found) = tx.session(session)? else {
                return Ok(());
            };
            wakeups.add(tx.sessions_waiting_for_peer(found.peer)?);
            // Its waiting hook goes with it.
            wakeups.add([session]);
            let waited = tx.tickets_awaited_by(session)?;
            if tx.end_session(session)? {
                let peer = tx.peer(found.peer)?;
                if let Some(peer) = &peer {
                    end_session_claims(tx, wakeups, session, peer.kind, waited, "left")?;
                }
                let name = peer.map(|peer| peer.name.to_string()).unwrap_or_default();
                tx.append_event(
                    EventKind::PeerLeft,
                    Some(found.peer),
                    &name,
                    &json!({ "session": session, "reason": reason }),
                )?;
            }
            wakeups.ended.push(session);
            Ok(())
        })
    }

    /// Takes Claude Code's own id off a session whose client goes on, as `/clear` does.
    pub fn detach_client_session(&mut self, session: SessionId) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.clear_client_session(session)?))
    }

    /// Frees a name: removes a mailbox nobody sits at, with its questions; a person's right. Returns whether there was one.
    pub fn forget_peer(&mut self, me: &SessionHandle, name: &str) -> Result<bool> {
        self.write(|tx, host, wakeups| {
            let Some(peer) = tx.find_peer_by_name(name)? else {
                return Ok(false);
            };
            if me.kind != PeerKind::Person {
                let problem = format!(
                    "the mailbox of \"{}\" is removed by a person only",
                    peer.name
                );
                return Err(crate::model::Refusal::NotYours { problem }.into());
            }
            if find_live_session(tx, host, wakeups, &peer)?.is_some() {
                return Err(crate::model::Refusal::conflict(format!(
                    "somebody sits at {:?} now",
                    peer.name.as_str()
                ))
                .into());
            }
            tx.delete_peer(peer.id)?;
            let kind = EventKind::PeerForgotten;
            tx.append_event(kind, Some(me.peer), peer.name.as_str(), &json!({}))?;
            Ok(true)
        })
    }
}

/// Returns whether a folder is gone for sure; one that cannot be looked at is not.
pub(in crate::mesh) fn is_missing_folder(folder: &str) -> bool {
    matches!(Path::new(folder).try_exists(), Ok(false))
}

fn session_handle(session: SessionId, peer: &Peer, joined: bool) -> SessionHandle {
    SessionHandle {
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

fn register(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    request: &JoinRequest,
    missing_folders: &[String],
) -> Result<SessionHandle> {
    let location = host.location(request.process, request.instance);
    let existing_session = tx.find_live_session_of_process(&location)?;
    let peer = match &existing_session {
        Some(session) => tx.peer(session.peer)?.ok_or_else(|| {
            crate::model::Refusal::conflict("the mailbox of this session was removed")
        })?,
        None => find_or_create_peer(tx, host, wakeups, request, missing_folders)?,
    };
    let new_session = NewSession {
        peer: peer.id,
        location: &location,
        agent: request.agent.as_deref(),
        client_session: request.client_session.as_deref(),
        given_name: request.given_name.as_deref(),
        headless: request.headless,
        has_server: request.has_server,
    };
    if let Some(project) = request
        .project
        .as_ref()
        .filter(|_| peer.kind == PeerKind::Session)
    {
        sync_project_details(tx, &peer, project, existing_session.is_none())?;
    }
    if existing_session.is_none() && peer.kind == PeerKind::Session && tx.schema_at_least(2) {
        let topics = request
            .project
            .as_ref()
            .map(|project| project.file.topics.as_slice());
        subscribe_project_topics(tx, peer.id, topics.unwrap_or_default())?;
    }
    let session = if let Some(session) = &existing_session {
        tx.merge_session_details(session.id, &new_session)?;
        session.id
    } else {
        let session = tx.insert_session(&new_session)?;
        // What could not wake the session before may well wake this one.
        tx.reset_failed_wakes(peer.id)?;
        tx.append_event(
            EventKind::PeerJoined,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session, "agent": request.agent }),
        )?;
        session
    };
    let peer = tx.peer(peer.id)?.unwrap_or(peer);
    Ok(session_handle(session, &peer, existing_session.is_none()))
}

fn find_or_create_peer(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    request: &JoinRequest,
    missing_folders: &[String],
) -> Result<Peer> {
    match (request.kind, &request.project) {
        (PeerKind::Session, Some(project)) => {
            find_or_create_seat(tx, host, wakeups, request, project, missing_folders)
        }
        (PeerKind::Person, _) | (_, None) => {
            let name = PeerName::for_person(&host.own.host);
            match tx.find_peer_by_name(name.as_str())? {
                Some(peer) => Ok(peer),
                None => create_peer(tx, PeerKind::Person, &name, &name, None),
            }
        }
        (PeerKind::Run, Some(project)) => {
            let base = PeerName::for_run(&PeerName::fold(&project.name), request.process.pid);
            let name = first_free_name(tx, PeerName::candidates(&base, 1, &[]), None)?;
            create_peer(tx, PeerKind::Run, &name, &base, None)
        }
    }
}

/// The old seat of a resumed session if it is free, else the lowest free one.
fn find_or_create_seat(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    request: &JoinRequest,
    project: &Project,
    missing_folders: &[String],
) -> Result<Peer> {
    let path = project.path.to_string_lossy();
    let seats_of_project = tx.seats_of_project(&path)?;
    let mut free = Vec::new();
    for peer in &seats_of_project {
        if find_live_session(tx, host, wakeups, peer)?.is_none() {
            free.push(peer);
        }
    }
    let earlier_peer = request
        .client_session
        .as_deref()
        .map(|id| tx.last_peer_of_client_session(id))
        .transpose()?
        .flatten();
    if let Some(peer) = free.iter().find(|peer| Some(peer.id) == earlier_peer) {
        return Ok((*peer).clone());
    }
    let taken = |seat: &u32| seats_of_project.iter().any(|peer| peer.seat == Some(*seat));
    let free_seat = (1..=u32::try_from(seats_of_project.len()).unwrap_or(u32::MAX - 1) + 1)
        .find(|seat| !taken(seat))
        .expect("one more number than seats");
    if let Some(peer) = free.first().filter(|peer| peer.seat < Some(free_seat)) {
        return Ok((*peer).clone());
    }
    let requested_name = preferred_name(project, &seats_of_project);
    if free_seat == 1 {
        let moved = match adopt_moved_project(
            tx,
            host,
            wakeups,
            &requested_name,
            project,
            missing_folders,
        )? {
            None => adopt_moved_legacy_name(tx, host, wakeups, project, missing_folders)?,
            found => found,
        };
        if let Some(peer) = moved {
            return Ok(peer);
        }
    }
    let name = first_free_name(
        tx,
        PeerName::candidates(&requested_name, free_seat, &folders_above(project)),
        None,
    )?;
    create_peer(
        tx,
        PeerKind::Session,
        &name,
        &requested_name,
        Some((&path, free_seat)),
    )
}

/// Returns the folders whose names the memories of a mailbox may go by: its project may have become a repository since.
fn memory_homes(owner: &Peer) -> Vec<String> {
    let repository = owner
        .project
        .as_ref()
        .map(|folder| format!("{folder}/.git"));
    let memory_homes = [owner.project.clone(), owner.git_common.clone(), repository];
    memory_homes.into_iter().flatten().collect()
}

/// A project that was moved keeps its mailbox and what belongs to it: the old folder is gone, nobody sits there, and the name
/// is the same.
fn adopt_moved_project(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    requested_name: &PeerName,
    project: &Project,
    missing_folders: &[String],
) -> Result<Option<Peer>> {
    let path = project.path.to_string_lossy();
    let Some(owner) = tx.find_peer_by_name(requested_name.as_str())? else {
        return Ok(None);
    };
    let has_moved = owner
        .project
        .as_ref()
        .is_some_and(|folder| missing_folders.contains(folder));
    let is_unoccupied = tx
        .live_sessions_at(owner.id)?
        .iter()
        .all(|session| host.liveness(session, owner.ttl_ms, &tx.now) == Liveness::Dead);
    if owner.kind != PeerKind::Session || owner.seat != Some(1) || !has_moved || !is_unoccupied {
        return Ok(None);
    }
    for session in tx.live_sessions_at(owner.id)? {
        record_dead_session(tx, wakeups, &session, &owner)?;
    }
    tx.move_peer_to_project(owner.id, &path, 1)?;
    if let Some(old) = &owner.project {
        if tx.schema_at_least(2) {
            tx.move_entries(old, &path)?;
        }
        if tx.schema_at_least(3) {
            tx.move_tasks(old, &path)?;
            // A worktree that was moved leaves its repository, and with it the memories, where it is.
            for home in memory_homes(&owner)
                .iter()
                .filter(|home| missing_folders.contains(home))
            {
                tx.move_memories(home, &project.memory_scope_key())?;
            }
        }
    }
    Ok(tx.peer(owner.id)?)
}

/// The same for a mailbox that was named before letters other than ASCII ones counted: many names fell together then, so the
/// folder's must be the same.
fn adopt_moved_legacy_name(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    project: &Project,
    missing_folders: &[String],
) -> Result<Option<Peer>> {
    let legacy_name = PeerName::fold_ascii_only(&qualified_name(project));
    let owner = tx.find_peer_by_name(legacy_name.as_str())?;
    let folder = owner.and_then(|owner| Some(Path::new(&owner.project?).file_name()?.to_owned()));
    if folder.as_deref() == project.path.file_name() {
        adopt_moved_project(tx, host, wakeups, &legacy_name, project, missing_folders)
    } else {
        Ok(None)
    }
}

/// Notes what the project says of itself. A new name in its file renames the mailbox; the old name stays an alias.
fn sync_project_details(
    tx: &Tx,
    peer: &Peer,
    project: &Project,
    is_new_session: bool,
) -> Result<()> {
    let requested_name = preferred_name(project, std::slice::from_ref(peer));
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
    tx.set_project_details(
        peer.id,
        requested_name.as_str(),
        project.file.role.as_deref(),
        git,
        is_new_session,
    )?;
    if peer.requested_name == requested_name.as_str() {
        return Ok(());
    }
    let candidates = PeerName::candidates(
        &requested_name,
        peer.seat.unwrap_or(1),
        &folders_above(project),
    );
    let name = first_free_name(tx, candidates, Some(peer.id))?;
    if name != peer.name {
        rename(tx, peer, &name)?;
    }
    Ok(())
}

/// Gives a mailbox another name, and says so; the old one stays an alias.
pub(in crate::mesh) fn rename(tx: &Tx, peer: &Peer, name: &PeerName) -> Result<()> {
    tx.rename_peer(peer, name)?;
    let renamed_from = json!({ "was": peer.name });
    Ok(tx.append_event(
        EventKind::PeerRenamed,
        Some(peer.id),
        name.as_str(),
        &renamed_from,
    )?)
}

fn qualified_name(project: &Project) -> String {
    match &project.worktree {
        Some(worktree) => format!("{}.{worktree}", project.name),
        None => project.name.clone(),
    }
}

/// Returns what the mailboxes of a project are called. Where `there` has one that was named before letters other than ASCII
/// ones counted, it stays so.
fn preferred_name(project: &Project, existing: &[Peer]) -> PeerName {
    let name = qualified_name(project);
    let legacy_name = PeerName::fold_ascii_only(&name);
    if existing
        .iter()
        .any(|peer| peer.requested_name == legacy_name.as_str())
    {
        legacy_name
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
fn first_free_name(
    tx: &Tx,
    candidates: impl Iterator<Item = PeerName>,
    own: Option<PeerId>,
) -> Result<PeerName> {
    for name in candidates {
        match tx.find_peer_by_name(name.as_str())? {
            Some(owner) if Some(owner.id) != own => {}
            _ => return Ok(name),
        }
    }
    unreachable!("the candidates are numbered without end")
}

fn create_peer(
    tx: &Tx,
    kind: PeerKind,
    name: &PeerName,
    requested_name: &PeerName,
    seat: Option<(&str, u32)>,
) -> Result<Peer> {
    let id = tx.insert_peer(&NewPeer {
        kind,
        name,
        requested_name: requested_name.as_str(),
        project: seat.map(|(path, _)| path),
        seat: seat.map(|(_, seat)| seat),
    })?;
    Ok(tx.peer(id)?.expect("it was just inserted"))
}
