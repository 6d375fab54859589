//! What several fuzz targets share: a mesh in a temporary folder with two registered sessions.
use std::path::PathBuf;
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Mesh, SessionHandle};
use claude_mesh::platform::SystemClock;
use claude_mesh::platform::isolation::MeshLocation;
use claude_mesh::platform::project::Project;
use claude_mesh::platform::settings::Settings;
use claude_mesh::tools::CallContext;

/// A mesh, and the session `ada` that calls; `bo` is another one.
pub struct OpenMesh {
    pub mesh: Mesh,
    pub me: SessionHandle,
    project: Project,
    location: MeshLocation,
    _folder: tempfile::TempDir,
}

impl OpenMesh {
    #[expect(clippy::new_without_default, reason = "it is no value")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = folder.path().join("mesh.db");
        let mut mesh = Mesh::open(&database, Arc::new(SystemClock::new())).expect("a new mesh");
        let project = |name: &str| -> PathBuf {
            let project = folder.path().join(name);
            std::fs::create_dir(&project).expect("a new folder");
            project
        };
        let (ada, bo) = (project("ada"), project("bo"));
        let settings = Settings::read(&|_| None, folder.path().into(), None, ada.clone());
        let settings = settings.expect("there are no settings");
        let mut register = |project: &PathBuf, instance| {
            let request = JoinRequest::here(project).expect("the folder is there");
            mesh.register(&request.instance(instance))
                .expect("it is new")
        };
        let me = register(&ada, 1);
        register(&bo, 2);
        Self {
            me,
            project: Project::of(&ada, &settings).expect("the folder is there"),
            location: MeshLocation {
                name: "default".into(),
                database,
                decided_by: "the default".into(),
            },
            mesh,
            _folder: folder,
        }
    }

    /// Returns what a step of a call works with.
    pub fn call(&mut self) -> CallContext<'_> {
        CallContext {
            mesh: &mut self.mesh,
            me: self.me.clone(),
            location: &self.location,
            project: &self.project,
            wake: "polling",
            uptime_seconds: 1,
            from_plugin: false,
            guard_socket: None,
        }
    }
}
