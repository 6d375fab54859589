//! The state that all requests of one hub share: its settings and the meshes it has opened.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::hub::event_feed::EventFeed;
use crate::hub::hub_mesh::HubMesh;
use crate::hub::key_uses::KeyUses;
use crate::hub::mesh_pool::MeshSource;
use crate::hub::remote_calls::RemoteCalls;
use crate::hub::running_calls::RunningCalls;
use crate::hub::safety::Safety;
#[cfg(feature = "postgres")]
use crate::mesh::PostgresPlace;
use crate::model::Result;
use crate::platform::isolation::{self, MeshLocation};
use crate::platform::{Clock, Moment, Settings, SystemClock};
#[cfg(feature = "postgres")]
use crate::store::PostgresLocation;

/// One running hub.
pub(super) struct Hub {
    settings: Settings,
    clock: Arc<SystemClock>,
    meshes: Mutex<HashMap<String, Arc<HubMesh>>>,
    feeds: Mutex<HashMap<String, Arc<EventFeed>>>,
    stopping: watch::Sender<bool>,
    key_uses: KeyUses,
    running_calls: RunningCalls,
    remote_calls: Arc<RemoteCalls>,
    safety: Arc<Safety>,
    /// The mesh on a database server, if the hub serves one instead of the files of its user.
    #[cfg(feature = "postgres")]
    store: Option<PostgresPlace>,
}

impl Hub {
    /// Returns a hub of the files of its user.
    pub(super) fn new(settings: Settings, safety: Safety) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self {
            settings,
            clock,
            meshes: Mutex::default(),
            feeds: Mutex::default(),
            stopping: watch::Sender::new(false),
            key_uses: KeyUses::default(),
            running_calls: RunningCalls::default(),
            remote_calls: Arc::default(),
            safety: Arc::new(safety),
            #[cfg(feature = "postgres")]
            store: None,
        }
    }

    /// Returns the same hub, which serves one mesh on a database server instead.
    #[cfg(feature = "postgres")]
    pub(super) fn with_store(mut self, location: PostgresLocation) -> Self {
        let place = PostgresPlace::of_home(location, &self.settings.mesh_home);
        self.store = Some(place);
        self
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn safety(&self) -> &Arc<Safety> {
        &self.safety
    }

    pub(super) fn key_uses(&self) -> &KeyUses {
        &self.key_uses
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Returns the flag that is set when the hub stops: waiting calls and streams end then.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Returns the calls by MCP that run.
    pub(super) fn running_calls(&self) -> &RunningCalls {
        &self.running_calls
    }

    /// Returns the calls of sessions on other hosts that run.
    pub(super) fn remote_calls(&self) -> &Arc<RemoteCalls> {
        &self.remote_calls
    }

    /// Ends waiting calls and streams.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns the meshes of the user whose database exists, the default one first. It need not exist.
    pub(super) fn locations(&self) -> Result<Vec<MeshLocation>> {
        #[cfg(feature = "postgres")]
        if let Some(place) = &self.store {
            return Ok(vec![MeshLocation {
                name: place.location.schema().to_owned(),
                database: place.path.clone(),
                decided_by: "--store".into(),
            }]);
        }
        let mut locations = isolation::all_meshes(&self.settings)?;
        locations.retain(|location| location.name == "default" || location.database.exists());
        Ok(locations)
    }

    /// Returns the default mesh. Creates its file if it does not exist.
    pub(super) fn default_mesh(&self) -> Result<Arc<HubMesh>> {
        let location = self.locations()?.swap_remove(0);
        self.open(&location)
    }

    /// Returns the mesh of this name, if there is one.
    pub(super) fn mesh(&self, name: &str) -> Result<Option<Arc<HubMesh>>> {
        if let Some(mesh) = self.opened().get(name) {
            return Ok(Some(Arc::clone(mesh)));
        }
        let locations = self.locations()?;
        let location = locations.iter().find(|location| location.name == name);
        location.map(|location| self.open(location)).transpose()
    }

    /// Returns all meshes, the default one first. One that cannot be opened is left out.
    pub(super) fn meshes(&self) -> Result<Vec<Arc<HubMesh>>> {
        let locations = self.locations()?;
        Ok(locations
            .iter()
            .filter_map(|location| self.open(location).ok())
            .collect())
    }

    /// Returns the meshes that are open.
    pub(super) fn opened_meshes(&self) -> Vec<Arc<HubMesh>> {
        self.opened().values().cloned().collect()
    }

    fn source(&self, location: &MeshLocation) -> MeshSource {
        #[cfg(feature = "postgres")]
        if let Some(place) = &self.store {
            return MeshSource::Server(Box::new(place.clone()));
        }
        MeshSource::File(location.database.clone(), Arc::clone(&self.clock))
    }

    fn open(&self, location: &MeshLocation) -> Result<Arc<HubMesh>> {
        let mut meshes = self.opened();
        if let Some(mesh) = meshes.get(&location.name) {
            return Ok(Arc::clone(mesh));
        }
        let source = self.source(location);
        let mesh = HubMesh::open(location, &self.settings, source)?;
        meshes.insert(location.name.clone(), Arc::clone(&mesh));
        Ok(mesh)
    }

    /// Returns the feed of the events of a mesh.
    pub(super) fn event_feed(&self, mesh: &Arc<HubMesh>) -> Arc<EventFeed> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = feeds
            .entry(mesh.location.name.clone())
            .or_insert_with(|| EventFeed::new(Arc::clone(mesh), self.stopping()));
        Arc::clone(feed)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<String, Arc<HubMesh>>> {
        self.meshes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what goes on behind responses is done.
    pub(super) async fn background_work_done(&self) {
        let meshes: Vec<_> = self.opened().values().cloned().collect();
        for mesh in meshes {
            mesh.background_work().done().await;
        }
    }

    /// Ends the sessions of all callers, because the hub ends.
    pub(super) fn unregister_all(&self) {
        for mesh in self.opened().values() {
            mesh.unregister_all("the hub has ended");
        }
    }
}
