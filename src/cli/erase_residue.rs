//! Reports where an erased text may remain: in the files of the database, and in backups from before a migration.
use std::path::PathBuf;

use serde_json::Value;

use super::print;
use crate::cli::context::CliContext;
use crate::cli::error::Failure;

#[derive(Debug)]
pub(super) struct EraseResidue {
    /// Another program reads an older snapshot, so the old pages cannot be overwritten yet.
    pub(super) in_database_files: bool,
    /// Backups from before a migration.
    pub(super) copies: Vec<PathBuf>,
}

impl EraseResidue {
    /// Adds the residue to a JSON result.
    pub(super) fn add_to(&self, body: &mut Value) {
        body["traces_left"] = self.in_database_files.into();
        body["copies"] = serde_json::json!(self.copies);
    }

    /// Prints the residue for a person.
    pub(super) fn report(&self, context: &CliContext) -> Result<(), Failure> {
        if self.in_database_files {
            print::line(
                "the text remains in the database files while another program reads an older snapshot; \
                 `claude-mesh gc` and every later operation in this mesh try again to erase it",
            )?;
        }
        for copy in &self.copies {
            print::line(&format!(
                "this backup from before an update may still contain it: {}",
                context.shown(copy)
            ))?;
        }
        Ok(())
    }
}
