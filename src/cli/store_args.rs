//! The options by which a command names a mesh on a PostgreSQL server.
use std::path::PathBuf;

use clap::Args;

use crate::cli::error::Failure;
use crate::platform::Settings;
use crate::store::{PasswordSource, PostgresLocation};

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
        let Some(url) = &self.store else {
            return Ok(None);
        };
        let source = match &self.password_file {
            Some(file) => PasswordSource::File(file.clone()),
            None => PasswordSource::PassFile(default_pass_file()?),
        };
        let location = PostgresLocation::parse(url)?.with_password(&source)?;
        Ok(Some(location))
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

/// Returns the file in which the programs of PostgreSQL look for passwords.
fn default_pass_file() -> Result<PathBuf, Failure> {
    let settings = Settings::of_this_process()?;
    Ok(settings.home.join(".pgpass"))
}
