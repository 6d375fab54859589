//! The `PostgreSQL` server of a run: that of `CLAUDE_MESH_TEST_POSTGRES`, else one of its own, which ends with the run.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use claude_mesh::mesh::PostgresPlace;
use claude_mesh::store::PostgresLocation;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

const START: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/start");

/// A server.
pub(crate) struct DatabaseServer {
    url: String,
    own: Option<TempDir>,
}

impl DatabaseServer {
    /// Returns the server; `None` if none is named and none can be started.
    pub(crate) fn find() -> Option<Self> {
        if let Ok(url) = std::env::var("CLAUDE_MESH_TEST_POSTGRES") {
            return Some(Self { url, own: None });
        }
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new(START)
            .arg(folder.path().join("server"))
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let url = String::from_utf8(started.stdout).unwrap();
        started.status.success().then(|| Self {
            url: url.trim().to_owned(),
            own: Some(folder),
        })
    }

    /// Returns a connection without the library.
    pub(crate) fn connect(&self) -> BareConnection {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        BareConnection { runtime, client }
    }

    /// Returns a schema that does not exist yet.
    pub(crate) fn schema(&self) -> MeshSchema<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        MeshSchema {
            server: self,
            name: format!("bench_{}_{number}", std::process::id()),
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        if let Some(folder) = &self.own {
            let stop = Command::new(START)
                .arg("--stop")
                .arg(folder.path().join("server"))
                .stderr(Stdio::null())
                .status();
            drop(stop);
        }
    }
}

/// A connection without the library.
pub(crate) struct BareConnection {
    runtime: Runtime,
    client: Client,
}

impl BareConnection {
    pub(crate) fn run(&self, sql: &str) {
        self.runtime
            .block_on(self.client.batch_execute(sql))
            .unwrap();
    }
}

/// The schema of one mesh, which is dropped at its end.
pub(crate) struct MeshSchema<'s> {
    server: &'s DatabaseServer,
    name: String,
}

impl MeshSchema<'_> {
    /// Returns the location of its mesh, as `--store` takes it.
    pub(crate) fn url(&self) -> String {
        format!("{}?schema={}", self.server.url, self.name)
    }

    /// Returns its mesh; what is kept on this machine is beside `path`.
    pub(crate) fn place(&self, path: &Path) -> PostgresPlace {
        let location = PostgresLocation::parse(&self.url()).unwrap();
        PostgresPlace::new(location, PathBuf::from(path))
    }
}

impl Drop for MeshSchema<'_> {
    fn drop(&mut self) {
        self.server.connect().run(&format!(
            "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS {} CASCADE",
            self.name
        ));
    }
}
