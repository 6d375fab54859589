//! Where this server stands: whose client it is, which mesh is open, which seat it holds.
//!
//! The client's name comes with whichever request brings it first. Claude's environment counts only for a client that
//! names itself `claude-code`: another client started from a session's shell inherits it.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::claude_code::client;
use crate::mesh::{Arrival, Mesh, Opening, Sitting};
use crate::model::{Error, PeerKind, Refusal, Result};
use crate::platform::id::WaitId;
use crate::platform::isolation::Place;
use crate::platform::lock;
use crate::platform::lock::Held;
use crate::platform::process;
use crate::platform::process::{ProcessKey, ProcessStat};
use crate::platform::project::Project;
use crate::platform::{Clock, FaultKind, Moment, Settings, SystemClock};
use crate::store::Options;
use crate::wake::Listener;

/// A write waits this long on the thread itself; longer waits go on without blocking the other calls.
const PATIENCE: Duration = Duration::from_millis(20);
/// All of it: a lock held longer than this is a fault.
const PATIENCE_IN_ALL: Duration = Duration::from_secs(15);
/// How long a server looks for its client's registry file before it leaves it to the first tool call.
const SETTLE_STEPS_MS: [u64; 10] = [0, 15, 30, 60, 120, 250, 500, 1_000, 2_000, 5_000];

/// What all calls of one server share.
pub(super) struct Shared {
    settings: Settings,
    clock: Arc<SystemClock>,
    started: Moment,
    station: Mutex<Station>,
    rings: watch::Sender<u64>,
    seated: watch::Sender<Option<ProcessKey>>,
    stdin_closed: watch::Sender<bool>,
    calls_waiting: watch::Sender<u32>,
    /// Waits that are over but could not be ended: a full disk, a busy file.
    waits_over: Mutex<Vec<WaitId>>,
}

/// A call of this server that waits, for as long as it does.
pub(super) struct CallWaiting<'a>(&'a Shared);

impl Drop for CallWaiting<'_> {
    fn drop(&mut self) {
        self.0.calls_waiting.send_modify(|count| *count -= 1);
    }
}

/// What the server holds.
#[derive(Default)]
pub(super) struct Station {
    mesh: Option<Mesh>,
    place: Option<Place>,
    project: Option<Project>,
    seat: Option<Seat>,
}

struct Seat {
    sitting: Sitting,
    listener: Box<dyn Listener>,
    /// `None` when somebody else owns it: another server of the same client, or one who looked and was stopped meanwhile.
    lock: Option<Held>,
}

/// What one call works with.
pub(super) struct At<'a> {
    pub(super) mesh: &'a mut Mesh,
    pub(super) me: Sitting,
    pub(super) place: &'a Place,
    pub(super) project: &'a Project,
    pub(super) wake: &'static str,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self {
            started: clock.now(),
            settings,
            clock,
            station: Mutex::default(),
            rings: watch::Sender::new(0),
            seated: watch::Sender::new(None),
            stdin_closed: watch::Sender::new(false),
            calls_waiting: watch::Sender::new(0),
            waits_over: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Returns how long this server runs, in seconds.
    pub(super) fn uptime_seconds(&self) -> i64 {
        (self.now().monotonic_ms - self.started.monotonic_ms) / 1000
    }

    pub(super) fn station(&self) -> MutexGuard<'_, Station> {
        self.station.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the bell of this session, for one waiting call.
    pub(super) fn rings(&self) -> watch::Receiver<u64> {
        self.rings.subscribe()
    }

    /// Returns where it is told that the client has closed stdin.
    pub(super) fn stdin_closed(&self) -> watch::Sender<bool> {
        self.stdin_closed.clone()
    }

    /// Notes that a call begins to wait.
    pub(super) fn begin_wait(&self) -> CallWaiting<'_> {
        self.calls_waiting.send_modify(|count| *count += 1);
        CallWaiting(self)
    }

    /// Returns how many calls wait.
    pub(super) fn calls_waiting(&self) -> watch::Receiver<u32> {
        self.calls_waiting.subscribe()
    }

    /// Ends a wait however it came to its end; one that cannot be ended now is ended later.
    pub(super) async fn end_wait(&self, client: &str, wait: WaitId) {
        self.waits_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wait);
        self.end_waits(client).await;
    }

    /// Ends the waits that are over: a session with one left would count as waiting, and not be rung.
    pub(super) async fn end_waits(&self, client: &str) {
        let over = || {
            self.waits_over
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let next = || over().last().copied();
        while let Some(wait) = next() {
            let ended = self.same_seat(client, |at| at.mesh.end_wait(wait)).await;
            if ended.is_err() {
                return;
            }
            over().retain(|it| *it != wait);
        }
    }

    /// Returns whether the server sits: then its project takes part.
    pub(super) fn is_seated(&self) -> bool {
        self.seated.borrow().is_some()
    }

    /// Returns the client process once the server has sat down.
    pub(super) fn seated(&self) -> watch::Receiver<Option<ProcessKey>> {
        self.seated.subscribe()
    }

    /// Returns how often to look without a ring while a call waits.
    pub(super) fn pace(&self) -> Duration {
        let pace = self
            .station()
            .seat
            .as_ref()
            .and_then(|seat| seat.listener.pace(true));
        pace.unwrap_or(Duration::from_secs(2))
    }

    /// Returns whether the mesh is switched off for this session, and why.
    pub(super) fn switched_off(&self, client: &str) -> Option<String> {
        if self.settings.off {
            return Some("claude-mesh is switched off here (CLAUDE_MESH=off)".into());
        }
        let project = Project::of(
            &self.settings.project_folder(is_claude(client)),
            &self.settings,
        )
        .ok()?;
        (!project.is_enabled())
            .then(|| "claude-mesh is switched off for this project (.claude-mesh.json)".into())
    }

    /// Runs a verb as this server's session; sits down first if need be. While another program holds the write lock the
    /// other calls of this server go on.
    pub(super) async fn verb<T>(
        &self,
        client: &str,
        verb: impl FnMut(At<'_>) -> Result<T>,
    ) -> Result<T> {
        self.patiently(client, false, verb).await
    }

    /// Runs one step of a waiting call, in the seat the call began in.
    pub(super) async fn same_seat<T>(
        &self,
        client: &str,
        verb: impl FnMut(At<'_>) -> Result<T>,
    ) -> Result<T> {
        self.patiently(client, true, verb).await
    }

    async fn patiently<T>(
        &self,
        client: &str,
        same_seat: bool,
        mut verb: impl FnMut(At<'_>) -> Result<T>,
    ) -> Result<T> {
        let began = self.now().monotonic_ms;
        let patience_ms = i64::try_from(PATIENCE_IN_ALL.as_millis()).unwrap_or(i64::MAX);
        loop {
            let outcome = self
                .station()
                .sit(self, client, same_seat)
                .and_then(&mut verb);
            match outcome {
                Err(Error::Fault(fault))
                    if fault.kind == FaultKind::Busy
                        && self.now().monotonic_ms - began < patience_ms =>
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Sits down as soon as the client is known to be a session. Gives up after some seconds: what is still unknown then
    /// is no session, and the first tool call settles it anyway.
    pub(super) async fn settle(self: Arc<Self>, client: String) {
        if !is_claude(&client) || self.is_run() || self.switched_off(&client).is_some() {
            return;
        }
        for step in SETTLE_STEPS_MS {
            tokio::time::sleep(Duration::from_millis(step)).await;
            let known = self.station().find_session(&self, &client).is_some();
            if known && self.verb(&client, |_| Ok(())).await.is_ok() {
                return;
            }
        }
    }

    /// Returns whether the client is a `claude -p` run without a mailbox.
    fn is_run(&self) -> bool {
        self.settings.is_headless() && !self.settings.answer
    }
}

impl Station {
    /// Returns the mesh and the seat; takes the seat when there is none, or when the file was replaced or the seat lost.
    fn sit(&mut self, shared: &Shared, client: &str, same_seat: bool) -> Result<At<'_>> {
        if !same_seat || self.seat.is_none() {
            self.open(shared, client)?;
            self.check_seat()?;
        }
        if self.seat.is_none() {
            self.take_seat(shared, client)?;
        }
        self.take_lock()?;
        let (Some(mesh), Some(seat), Some(place), Some(project)) =
            (&mut self.mesh, &self.seat, &self.place, &self.project)
        else {
            unreachable!("mesh and seat were just taken")
        };
        Ok(At {
            mesh,
            me: seat.sitting.clone(),
            place,
            project,
            wake: seat.listener.kind(),
        })
    }

    fn open(&mut self, shared: &Shared, client: &str) -> Result<()> {
        if self.mesh.is_some() {
            return Ok(());
        }
        let settings = &shared.settings;
        let project = Project::of(&settings.project_folder(is_claude(client)), settings)?;
        let place = project.place(settings)?;
        let opening = Opening {
            store: Options {
                sync_full: settings.sync_full,
                patience: PATIENCE,
                hook: false,
            },
            registry: Some(settings.claude.config_dir.clone()),
            wake_budget: settings.wake_budget,
            keep_ms: settings.keep_ms,
            faults: Some(settings.mesh_home.clone()),
        };
        self.mesh = Some(Mesh::open_with(
            &place.database,
            shared.clock.clone(),
            &opening,
        )?);
        self.place = Some(place);
        self.project = Some(project);
        Ok(())
    }

    /// Gives up a seat that is none any more: the file was replaced, or somebody ended the session.
    fn check_seat(&mut self) -> Result<()> {
        let mesh = self.mesh.as_mut().expect("the mesh is open");
        if mesh.reopen_if_replaced()? {
            self.seat = None;
        }
        if let Some(seat) = &mut self.seat {
            match mesh.refresh(&seat.sitting)? {
                Some(sitting) => seat.sitting = sitting,
                None => self.seat = None,
            }
        }
        Ok(())
    }

    fn take_seat(&mut self, shared: &Shared, client: &str) -> Result<()> {
        let process = self
            .find_session(shared, client)
            .or_else(|| {
                process::ancestors(process::own_pid())
                    .next()
                    .map(|parent| parent.key)
            })
            .ok_or_else(|| Refusal::Unsupported {
                problem: "the client of this server is gone".into(),
            })?;
        let claude = is_claude(client);
        let kind = if claude && shared.is_run() {
            PeerKind::Run
        } else {
            PeerKind::Session
        };
        let mut arrival = Arrival::of(process, kind, self.project.clone());
        arrival.agent = Some(client.to_owned());
        arrival.headless = claude && shared.settings.is_headless();
        arrival.has_server = true;
        if claude {
            arrival.complete(client::registered(
                &shared.settings.claude.config_dir,
                process,
            ));
            let told = shared.settings.claude.session_id.clone();
            arrival.client_session = arrival.client_session.or(told);
        }
        let mesh = self.mesh.as_mut().expect("the mesh is open");
        // Claude Code is one session; another client may run servers for several projects, each a member of its own.
        while !claude && mesh.is_taken(&arrival)? {
            arrival.instance += 1;
        }
        let sitting = mesh.sit(&arrival)?;
        mesh.end_dead_waits(&sitting)?;
        let rings = shared.rings.clone();
        let listener =
            mesh.bells()
                .listen(sitting.session, shared.settings.polling, move || {
                    rings.send_modify(|count| *count += 1);
                })?;
        self.seat = Some(Seat {
            sitting,
            listener,
            lock: None,
        });
        shared.seated.send_replace(Some(process));
        Ok(())
    }

    /// Takes the lock by which others see that this session can be asked. One that cannot be had is tried for again at the
    /// next verb.
    fn take_lock(&mut self) -> Result<()> {
        if let (Some(mesh), Some(seat)) = (&self.mesh, &mut self.seat)
            && seat.lock.is_none()
        {
            seat.lock = lock::own(&mesh.bells().lock_path(seat.sitting.session))?;
        }
        Ok(())
    }

    /// Returns the session this server belongs to: the nearest ancestor that Claude Code registered or a hook reported.
    fn find_session(&mut self, shared: &Shared, client: &str) -> Option<ProcessKey> {
        if !is_claude(client) {
            return None;
        }
        let ancestors: Vec<ProcessStat> = process::ancestors(process::own_pid()).collect();
        let sessions: Vec<ProcessKey> = ancestors
            .iter()
            .map(|found| found.key)
            .filter(|key| self.is_session(shared, client, *key))
            .collect();
        client::session_above(process::own_pid(), |found| sessions.contains(&found.key))
    }

    fn is_session(&mut self, shared: &Shared, client: &str, process: ProcessKey) -> bool {
        if client::registered(&shared.settings.claude.config_dir, process).is_some() {
            return true;
        }
        let settings = &shared.settings;
        let exists = || {
            let project =
                Project::of(&settings.project_folder(is_claude(client)), settings).ok()?;
            let place = project.place(settings).ok()?;
            place.database.exists().then_some(())
        };
        if self.mesh.is_none() && (exists().is_none() || self.open(shared, client).is_err()) {
            return false;
        }
        self.mesh
            .as_mut()
            .is_some_and(|mesh| mesh.knows_process(process).unwrap_or(false))
    }

    /// Ends the session.
    pub(super) fn leave(&mut self, reason: &str, patience: Duration) {
        if let (Some(mesh), Some(seat)) = (&mut self.mesh, self.seat.take()) {
            mesh.set_patience(patience);
            let _ = mesh.leave(seat.sitting.session, reason);
            let _ = mesh.tidy();
        }
    }
}

/// Returns whether a client names itself Claude Code.
pub(super) fn is_claude(client: &str) -> bool {
    client == "claude-code" || client.starts_with("claude-code ")
}
