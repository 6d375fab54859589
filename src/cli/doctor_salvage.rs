//! `claude-mesh doctor --salvage FILE`: saves what can be read of a damaged mesh file into a new one. Only a person may: the file
//! has everything that was ever said.
use std::path::Path;

use serde_json::json;

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CommandFolder, shown};
use crate::cli::restore::describe;
use crate::cli::{print, table};
use crate::platform::{Clock, SystemClock};
use crate::setup::Finding;
use crate::store::{self, Salvaged, SalvagedTable};

/// Saves the mesh of this folder into `file` and prints what was read and what was not.
pub(super) fn salvage(file: &Path, json: bool) -> CommandResult {
    let folder = CommandFolder::resolve()?;
    let file = folder.settings.working_directory.join(file);
    let context = folder.into_context_of_mesh(None, json)?;
    context.require_person("salvaging a mesh")?;
    let database = &context.location.database;
    let now = SystemClock::new().now();
    let salvaged = store::salvage(database, &file, now).map_err(describe)?;
    if json {
        print_json(&file, &salvaged)?;
    } else {
        print_text((&file, database), &context.settings.home, &salvaged)?;
    }
    Ok(if salvaged.is_complete() {
        CommandStatus::Done
    } else {
        CommandStatus::Refused
    })
}

/// Adds to what is said of a damaged file which parts of it are damaged.
pub(super) fn with_damaged_parts(mut finding: Finding, database: &Path) -> Finding {
    let parts = store::damaged_parts(database);
    if !parts.is_empty() {
        finding.text = format!("{}; damaged: {}", finding.text, parts.join(", "));
    }
    finding
}

fn print_json(file: &Path, salvaged: &Salvaged) -> std::io::Result<()> {
    let tables = salvaged.tables.iter().map(|table| {
        json!({
            "table": table.name,
            "rows": table.rows,
            "lost": table.lost,
            "lost_pages": table.lost_pages,
        })
    });
    print::json(&json!({
        "status": if salvaged.is_complete() { "done" } else { "rows_lost" },
        "file": file,
        "bytes": salvaged.bytes,
        "tables": tables.collect::<Vec<_>>(),
        "restored_peers": salvaged.restored_peers,
    }))
}

fn print_text(
    (file, database): (&Path, &Path),
    home: &Path,
    salvaged: &Salvaged,
) -> std::io::Result<()> {
    let mut rows = table::with_header(["TABLE", "ROWS SAVED", "ROWS LOST"]);
    for table in &salvaged.tables {
        rows.add_row([table.name.clone(), table.rows.to_string(), lost(table)]);
    }
    print::line(&table::text(&rows))?;
    if salvaged.restored_peers > 0 {
        print::line(&format!(
            "of {} lost peers the name is known from elsewhere; they are in the new file without role and settings",
            salvaged.restored_peers
        ))?;
    }
    let (file, database) = (shown(file, home), shown(database, home));
    print::line(&format!(
        "saved into {file} ({} bytes); {database} was not changed",
        salvaged.bytes
    ))?;
    if !salvaged.is_complete() {
        print::notice(
            "rows were lost, see above",
            "look for a newer backup, before you use the new file",
        )?;
    }
    print::line(&format!(
        "`claude-mesh restore {file}` puts it in the place of {database}, which is kept beside it"
    ))
}

/// Returns how many rows of a table are lost, as far as it is known.
fn lost(table: &SalvagedTable) -> String {
    match (table.lost, table.lost_pages) {
        (0, 0) => "0".into(),
        (0, pages) => format!("those of {pages} damaged pages"),
        (lost, 0) => lost.to_string(),
        (lost, _) => format!("at least {lost}"),
    }
}
