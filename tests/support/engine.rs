//! The engine that a run of the tests uses: with `CLAUDE_MESH_TEST_ENGINE=postgres` each mesh of a test is a schema of the
//! server that `CLAUDE_MESH_TEST_POSTGRES` names, and is dropped afterwards.
use std::path::Path;

#[cfg(feature = "postgres")]
pub(crate) use self::served::{PostgresServer, ServedMesh};

/// Tables that are read and written without the library.
pub(crate) enum FixtureRows {
    File(rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Served(served::AdminConnection),
}

impl FixtureRows {
    pub(crate) fn of_file(path: &Path) -> Self {
        let rows = rusqlite::Connection::open(path).unwrap();
        rows.pragma_update(None, "foreign_keys", true).unwrap();
        Self::File(rows)
    }

    /// Returns the number or the truth value that a query of one row has.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match self {
            Self::File(rows) => rows.query_row(sql, [], |row| row.get(0)).unwrap(),
            #[cfg(feature = "postgres")]
            Self::Served(rows) => match &*rows.text(sql) {
                "t" => 1,
                "f" => 0,
                number => number.parse().unwrap(),
            },
        }
    }

    /// Runs statements.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        match self {
            Self::File(rows) => rows.execute_batch(sql).unwrap(),
            #[cfg(feature = "postgres")]
            Self::Served(rows) => rows.execute(sql),
        }
    }

    /// Returns a number that another commit changes.
    pub(crate) fn commit_mark(&self) -> i64 {
        match self {
            Self::File(_) => self.number("PRAGMA data_version"),
            #[cfg(feature = "postgres")]
            Self::Served(_) => self.number("SELECT commits FROM commit_mark"),
        }
    }

    /// Returns the table of the counters.
    pub(crate) fn counters_table(&self) -> &'static str {
        match self {
            Self::File(_) => "sqlite_sequence",
            #[cfg(feature = "postgres")]
            Self::Served(_) => "counter",
        }
    }
}

/// A build without PostgreSQL has meshes in files only.
#[cfg(not(feature = "postgres"))]
pub(crate) enum ServedMesh {}

#[cfg(not(feature = "postgres"))]
impl ServedMesh {
    pub(crate) fn for_this_run(_: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn mesh(
        &self,
        _: std::sync::Arc<dyn claude_mesh::platform::Clock>,
        _: &claude_mesh::mesh::MeshOptions,
    ) -> claude_mesh::mesh::Mesh {
        match *self {}
    }

    pub(crate) fn rows(&self) -> FixtureRows {
        match *self {}
    }
}

#[cfg(feature = "postgres")]
mod served {
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, OnceLock};

    use claude_mesh::mesh::{Mesh, MeshOptions, PostgresPlace};
    use claude_mesh::platform::Clock;
    use claude_mesh::store::{PostgresListener, PostgresLocation};
    use claude_mesh::wake::Doorbells;
    use tokio::runtime::Runtime;
    use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

    use super::FixtureRows;
    use crate::support::skip;

    /// The server that the tests use.
    #[derive(Debug, Clone)]
    pub(crate) struct PostgresServer {
        /// `postgres://user@host:port/database`
        pub(crate) url: String,
    }

    impl PostgresServer {
        /// Returns the server; without one the test is reported as skipped.
        pub(crate) fn find(what: &str) -> Option<Self> {
            let found = std::env::var("CLAUDE_MESH_TEST_POSTGRES").ok();
            let Some(url) = found.filter(|url| !url.is_empty()) else {
                let reason =
                    "CLAUDE_MESH_TEST_POSTGRES names no server; tests/postgres/start starts one";
                skip(what, reason);
                return None;
            };
            Some(Self { url })
        }

        /// Returns a name that no other test has.
        pub(crate) fn unique_schema() -> String {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            format!("test_{}_{number}", std::process::id())
        }

        /// Returns the location of a schema; `more` are further parameters, each after `&`.
        pub(crate) fn location(&self, schema: &str, more: &str) -> PostgresLocation {
            let text = format!("{}?schema={schema}{more}", self.url);
            PostgresLocation::parse(&text).unwrap()
        }

        pub(crate) fn admin(&self) -> AdminConnection {
            AdminConnection::open(&self.url)
        }
    }

    /// A connection of the tests themselves.
    pub(crate) struct AdminConnection {
        runtime: Runtime,
        client: Client,
    }

    impl AdminConnection {
        fn open(url: &str) -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let client = runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
                tokio::spawn(connection);
                client
            });
            Self { runtime, client }
        }

        #[track_caller]
        pub(crate) fn execute(&self, sql: &str) {
            self.runtime
                .block_on(self.client.batch_execute(sql))
                .unwrap();
        }

        /// Returns the first value that a query has.
        #[track_caller]
        pub(crate) fn text(&self, sql: &str) -> String {
            let answer = self.runtime.block_on(self.client.simple_query(sql));
            let value = answer
                .unwrap()
                .into_iter()
                .find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                    _ => None,
                });
            value.unwrap()
        }
    }

    /// A mesh in a schema of its own, which is dropped with it.
    pub(crate) struct ServedMesh {
        server: PostgresServer,
        pub(crate) place: PostgresPlace,
        /// Writes the doorbells of sessions that a commit wakes, as a hub wakes its own calls.
        listener: OnceLock<PostgresListener>,
    }

    impl ServedMesh {
        /// Returns a new mesh if this run of the tests uses PostgreSQL.
        pub(crate) fn for_this_run(path: &Path) -> Option<Self> {
            let engine = std::env::var("CLAUDE_MESH_TEST_ENGINE").unwrap_or_default();
            match engine.as_str() {
                "" | "file" => None,
                "postgres" => {
                    let server = PostgresServer::find("a mesh on PostgreSQL");
                    let server = server.expect("CLAUDE_MESH_TEST_ENGINE=postgres needs a server");
                    Some(Self::new(server, path))
                }
                other => panic!("CLAUDE_MESH_TEST_ENGINE is {other}, not file or postgres"),
            }
        }

        pub(crate) fn new(server: PostgresServer, path: &Path) -> Self {
            let location = server.location(&PostgresServer::unique_schema(), "");
            Self {
                server,
                place: PostgresPlace::new(location, path.to_owned()),
                listener: OnceLock::new(),
            }
        }

        /// Connects with the clock of a test.
        pub(crate) fn mesh(&self, clock: Arc<dyn Clock>, options: &MeshOptions) -> Mesh {
            let mut options = options.clone();
            options.store.callers_time = true;
            let mesh = Mesh::connect_with_clock(&self.place, clock, &options).unwrap();
            self.listener.get_or_init(|| {
                let doorbells = Doorbells::of(&self.place.path);
                let write = move |session| match session {
                    Some(session) => {
                        doorbells.write_doorbell(session);
                    }
                    None => {
                        for session in doorbells.list_sessions() {
                            doorbells.write_doorbell(session);
                        }
                    }
                };
                self.place.listen(write).unwrap()
            });
            mesh
        }

        pub(crate) fn rows(&self) -> FixtureRows {
            let admin = self.server.admin();
            admin.execute(&format!(
                "SET search_path TO {}",
                self.place.location.schema()
            ));
            FixtureRows::Served(admin)
        }
    }

    impl Drop for ServedMesh {
        fn drop(&mut self) {
            drop(self.listener.take());
            let schema = self.place.location.schema();
            let drop = format!(
                "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS {schema} CASCADE"
            );
            if !std::thread::panicking() {
                self.server.admin().execute(&drop);
            }
        }
    }
}
