//! A mesh in the test process with a manual clock, and members whose host is simulated.
use std::path::PathBuf;
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Member, Mesh, MeshOptions};
use claude_mesh::model::Event;
use claude_mesh::model::event::EventFilter;
use claude_mesh::model::peer::Address;
use claude_mesh::platform::Clock;
use claude_mesh::platform::clock::ManualClock;

pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// A mesh of members of this process, whose clock is set by hand.
pub(crate) struct MeshFixture {
    pub(crate) place: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl MeshFixture {
    pub(crate) fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(1_800_000_000_000)),
        }
    }

    pub(crate) fn member(&self, name: &str, instance: u32) -> Member {
        self.member_with(name, instance, None)
    }

    /// Seats a member whose client has a registry.
    pub(crate) fn member_with(
        &self,
        name: &str,
        instance: u32,
        registry: Option<PathBuf>,
    ) -> Member {
        let project = self.place.path().join(name);
        std::fs::create_dir_all(&project).unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let opening = MeshOptions {
            registry,
            ..MeshOptions::default()
        };
        let database = self.place.path().join("mesh.db");
        let mesh = Mesh::open_with(&database, clock, &opening).unwrap();
        mesh.join(&JoinRequest::here(&project).unwrap().instance(instance))
            .unwrap()
    }

    /// Returns all that has happened.
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

/// A hook tells what a session does.
pub(crate) fn set_session_activity(member: &mut Member, activity: &str) {
    let me = member.handle().clone();
    member.mesh().set_activity(&me, activity).unwrap();
}
