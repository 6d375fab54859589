//! A mesh in the test process with a manual clock, and members whose host is simulated.
use std::path::PathBuf;
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Member, Mesh, MeshOptions};
use claude_mesh::model::Event;
use claude_mesh::model::event::EventFilter;
use claude_mesh::model::peer::Address;
use claude_mesh::platform::Clock;
use claude_mesh::platform::clock::ManualClock;

use super::engine::{FixtureRows, ServedMesh};

pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// A mesh with a manual clock.
pub(crate) struct MeshFixture {
    pub(crate) place: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    /// Where the mesh is, if it is not in a file.
    served: Option<ServedMesh>,
}

impl MeshFixture {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self {
            served: ServedMesh::for_this_run(&place.path().join("mesh.db")),
            place,
            clock: Arc::new(ManualClock::at(1_800_000_000_000)),
        }
    }

    /// Opens the mesh without joining it.
    pub(crate) fn mesh(&self) -> Mesh {
        self.mesh_with(&MeshOptions::default())
    }

    fn mesh_with(&self, options: &MeshOptions) -> Mesh {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        match &self.served {
            None => Mesh::open_with(&self.database(), clock, options).unwrap(),
            Some(served) => served.mesh(clock, options),
        }
    }

    /// Returns whether the mesh is on a database server. Tests of what only a file has are skipped then.
    pub(crate) fn is_served(&self) -> bool {
        self.served.is_some()
    }

    /// Reads and writes the tables without the library.
    pub(crate) fn rows(&self) -> FixtureRows {
        match &self.served {
            None => FixtureRows::of_file(&self.database()),
            Some(served) => served.rows(),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.place.path().join("mesh.db")
    }

    /// Creates the folder of a peer and returns the request to join from it.
    pub(crate) fn join_request(&self, name: &str, instance: u32) -> JoinRequest {
        let project = self.place.path().join(name);
        std::fs::create_dir_all(&project).unwrap();
        JoinRequest::here(&project).unwrap().instance(instance)
    }

    pub(crate) fn member(&self, name: &str, instance: u32) -> Member {
        self.member_with(name, instance, None)
    }

    /// Joins as a member whose client has a registry.
    pub(crate) fn member_with(
        &self,
        name: &str,
        instance: u32,
        registry: Option<PathBuf>,
    ) -> Member {
        let mesh = self.mesh_with(&MeshOptions {
            registry,
            ..MeshOptions::default()
        });
        mesh.join(&self.join_request(name, instance)).unwrap()
    }

    /// Returns all events.
    pub(crate) fn events(member: &mut Member) -> Vec<Event> {
        member.mesh().events(&all_events()).unwrap().events
    }

    pub(crate) fn kinds(member: &mut Member) -> Vec<String> {
        let events = Self::events(member).into_iter();
        events.map(|event| event.kind).collect()
    }
}

pub(crate) fn all_events() -> EventFilter {
    EventFilter {
        after: Some(0),
        limit: 10_000,
        ..EventFilter::default()
    }
}

pub(crate) fn bo() -> Address {
    Address::parse("bo").unwrap()
}

/// Sets what a session is doing, as its hook does.
pub(crate) fn set_session_activity(member: &mut Member, activity: &str) {
    let me = member.handle().clone();
    member.mesh().set_activity(&me, activity).unwrap();
}
