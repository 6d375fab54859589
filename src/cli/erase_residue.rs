//! What may be left of something that was forgotten, as it is told: in the files of the database, and in old copies of it.
use std::path::PathBuf;

use serde_json::Value;

use super::print;
use crate::cli::context::CliContext;
use crate::cli::error::Failure;

/// What may be left.
#[derive(Debug)]
pub(super) struct EraseResidue {
    /// Somebody looks at the files as they were.
    pub(super) in_database_files: bool,
    /// Copies from before an update.
    pub(super) copies: Vec<PathBuf>,
}

impl EraseResidue {
    /// Adds it to the answer for programs.
    pub(super) fn add_to(&self, body: &mut Value) {
        body["traces_left"] = self.in_database_files.into();
        body["copies"] = serde_json::json!(self.copies);
    }

    /// Tells a person.
    pub(super) fn report(&self, context: &CliContext) -> Result<(), Failure> {
        if self.in_database_files {
            print::line(
                "traces stay in the files of the database until no other program looks at them as they were; \
                 `claude-mesh gc` tries again, and so does whatever is done in this mesh",
            )?;
        }
        for copy in &self.copies {
            print::line(&format!(
                "this copy from before an update may still hold it: {}",
                context.shown(copy)
            ))?;
        }
        Ok(())
    }
}
