//! Where the mesh of a hub under test is: in the file of its home, or on the PostgreSQL server that
//! `CLAUDE_MESH_TEST_POSTGRES` names, if `CLAUDE_MESH_TEST_HUB_STORE` is `postgres`.
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claude_mesh::mesh::Mesh;
#[cfg(feature = "postgres")]
use claude_mesh::mesh::{MeshOptions, PostgresPlace};
use claude_mesh::platform::SystemClock;
#[cfg(feature = "postgres")]
use claude_mesh::store::PostgresLocation;

/// The store of one hub, and of those that follow it in the same home.
pub(crate) enum HubStore {
    File(PathBuf),
    /// The URL of a schema.
    Server(String),
}

/// Returns whether hubs under test have their meshes on a server.
pub(crate) fn hubs_use_a_server() -> bool {
    std::env::var("CLAUDE_MESH_TEST_HUB_STORE").is_ok_and(|store| store == "postgres")
}

impl HubStore {
    pub(crate) fn of(home: &Path) -> Self {
        if !hubs_use_a_server() {
            return Self::File(home.join(".claude-mesh/mesh.db"));
        }
        let server = std::env::var("CLAUDE_MESH_TEST_POSTGRES").expect("the URL of a server");
        // Each home has a schema of its own; a temporary name is unique only with its case.
        let name = home.to_string_lossy();
        let mut schema = String::new();
        for byte in name.bytes() {
            write!(schema, "{byte:x}").unwrap();
        }
        let schema = &schema[schema.len().saturating_sub(40)..];
        Self::Server(format!("{server}?schema=hub_{schema}"))
    }

    /// Returns the options of `claude-mesh` for this store.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Server(url) => vec!["--store", url],
        }
    }

    /// Opens the mesh in this process.
    pub(crate) fn open(&self) -> Mesh {
        match self {
            Self::File(path) => Mesh::open(path, Arc::new(SystemClock::new())).unwrap(),
            #[cfg(feature = "postgres")]
            Self::Server(url) => {
                let location = PostgresLocation::parse(url).unwrap();
                let place = PostgresPlace::new(location, std::env::temp_dir().join("hub-store"));
                Mesh::connect(&place, &MeshOptions::default().by_leases()).unwrap()
            }
            #[cfg(not(feature = "postgres"))]
            Self::Server(_) => unreachable!("this build has no PostgreSQL"),
        }
    }

    /// Returns the number of rows of a table.
    pub(crate) fn count_rows(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        match self {
            Self::File(path) => {
                let rows = rusqlite::Connection::open(path).unwrap();
                rows.query_row(&count, [], |row| row.get(0)).unwrap()
            }
            Self::Server(url) => {
                let (server, schema) = url.split_once("?schema=").unwrap();
                let output = std::process::Command::new("psql")
                    .args(["-At", server, "-c"])
                    .arg(count.replace("FROM ", &format!("FROM {schema}.")))
                    .output()
                    .unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                text.trim().parse().expect("psql prints a number")
            }
        }
    }
}
