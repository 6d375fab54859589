//! The options by which a command names a mesh on a PostgreSQL server.
use std::path::PathBuf;

use clap::Args;

use crate::cli::error::Failure;
use crate::hub::{HubStore, StoreRecord};
use crate::mesh::PostgresPlace;
use crate::platform::Settings;
use crate::store::{Options, PasswordSource, PostgresLocation, Store};

/// A mesh on a database server.
#[derive(Debug, Clone, Args)]
pub(super) struct StoreArgs {
    /// The mesh on a PostgreSQL server: `postgres://user@host/database?schema=name`. Without a schema it is `claude_mesh`.
    #[arg(long, value_name = "URL", global = true)]
    store: Option<String>,
    /// A file with the password of the user at the server; by default that of PGPASSFILE or ~/.pgpass.
    #[arg(long, value_name = "FILE", requires = "store", global = true)]
    password_file: Option<PathBuf>,
}

impl StoreArgs {
    /// Returns the location, with the password of its user; `None` if none is named.
    pub(super) fn location(&self) -> Result<Option<PostgresLocation>, Failure> {
        let url = self.store.as_deref();
        url.map(|url| location(url, self.password_file.as_ref()))
            .transpose()
    }

    /// Returns the mesh that a hub serves; `None` if none is named.
    pub(super) fn hub_store(&self, settings: &Settings) -> Result<Option<HubStore>, Failure> {
        let Some(url) = self.store.clone() else {
            return Ok(None);
        };
        let file = self.password_file.as_ref();
        let record = StoreRecord {
            url,
            password_file: file.map(|file| settings.working_directory.join(file)),
            pass_file: settings.pass_file.clone(),
        };
        let location = recorded_location(&record)?;
        Ok(Some(HubStore { location, record }))
    }

    /// Returns the options for a service, which has another working directory.
    pub(super) fn for_service(&self, settings: &Settings) -> Vec<String> {
        let store = self.store.iter().map(|url| format!("--store={url}"));
        let file = self.password_file.iter().map(|file| {
            let file = settings.working_directory.join(file);
            format!("--password-file={}", file.display())
        });
        store.chain(file).collect()
    }
}

/// Returns the location of a URL, with the password of its user.
pub(super) fn location(
    url: &str,
    password_file: Option<&PathBuf>,
) -> Result<PostgresLocation, Failure> {
    recorded_location(&StoreRecord {
        url: url.to_owned(),
        password_file: password_file.cloned(),
        pass_file: Settings::of_this_process()?.pass_file,
    })
}

/// Returns the location that a hub has recorded, with the password of its user.
pub(super) fn recorded_location(record: &StoreRecord) -> Result<PostgresLocation, Failure> {
    let source = match &record.password_file {
        Some(file) => PasswordSource::File(file.clone()),
        None => PasswordSource::PassFile(record.pass_file.clone()),
    };
    Ok(PostgresLocation::parse(&record.url)?.with_password(&source)?)
}

/// Opens the mesh at a location; creates it if there is none.
pub(super) fn connect(location: PostgresLocation, settings: &Settings) -> Result<Store, Failure> {
    let place = PostgresPlace::of_home(location, &settings.mesh_home);
    let shared = (place.clock, place.changes);
    let options = Options::default();
    Ok(Store::connect_postgres(
        place.location,
        &place.path,
        shared,
        options,
    )?)
}
