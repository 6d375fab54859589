//! Replaces the server by the program `claude-mesh-remote`, which is the server of a session whose mesh is at a hub.
//!
//! So this program links no network client, and the client keeps the process and the pipes that it has started.
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::platform::hub_location::HubLocation;
use crate::platform::isolation::MeshAddress;
use crate::platform::project::Project;
use crate::platform::{Fault, FaultKind, Settings};

const PROGRAM: &str = "claude-mesh-remote";

/// Replaces this process if the mesh of its folder is at a hub. Returns only if it is not, or with why that failed.
pub(super) fn replace_this_process(settings: &Settings) -> Result<(), Fault> {
    match find_hub(settings) {
        Some(hub) => Err(replace(&hub)),
        None => Ok(()),
    }
}

/// Returns the hub of this session. What cannot be read is reported later, to the client.
///
/// The client has not said its name yet, so it is unknown whether the folder of Claude Code counts. Where that and the working
/// directory have different meshes, a call finds out.
fn find_hub(settings: &Settings) -> Option<HubLocation> {
    if settings.disabled {
        return None;
    }
    let [of_claude, of_other] = [true, false].map(|from_claude| {
        let project = Project::of(&settings.project_folder(from_claude), settings).ok()?;
        if !project.is_enabled() {
            return None;
        }
        match project.mesh_address(settings).ok()? {
            MeshAddress::Hub(hub) => Some(hub),
            MeshAddress::File(_) => None,
        }
    });
    of_claude.filter(|hub| of_other.is_some_and(|other| other.url == hub.url))
}

fn replace(hub: &HubLocation) -> Fault {
    let program = std::env::current_exe().map_or_else(
        |_| PathBuf::from(PROGRAM),
        |this| this.with_file_name(PROGRAM),
    );
    let error = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .exec();
    let problem = match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be started ({error})"),
    };
    let message = format!(
        "the mesh of this folder is at {} ({}), and {}, which connects to it, {problem}",
        hub.url,
        hub.decided_by,
        program.display()
    );
    let hint = "install all programs of claude-mesh into one folder, as `cargo install` does";
    Fault::new(FaultKind::AtHub, message, hint).with_source(error)
}
