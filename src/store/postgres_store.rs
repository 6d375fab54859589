//! Connects to a mesh on a PostgreSQL server.
use std::path::Path;

use super::connect::Options;
use super::database::Store;
use super::engine::postgres::{ChangeCounter, DatabaseClock, PostgresConnection, PostgresLocation};
use crate::platform::Fault;

impl Store {
    /// Connects to the mesh at a location; creates it if there is none. `path` is the place of what is kept on this machine
    /// beside it, and no file is created there.
    pub fn connect_postgres(
        location: PostgresLocation,
        path: &Path,
        (clock, changes): (DatabaseClock, ChangeCounter),
        options: Options,
    ) -> Result<Self, Fault> {
        let connection = PostgresConnection::connect(location, clock, changes)?;
        Ok(Self::served(Box::new(connection), path, options))
    }
}
