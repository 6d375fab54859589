//! Puts a folder into the mesh of a hub and takes it out again: the entry in the map of walls, with key and certificate.
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::shown;
use crate::cli::error::{CliError, Failure};
use crate::cli::hub_credentials::{self, HubCredentials, StoredBefore};
use crate::cli::print;
use crate::platform::Settings;
use crate::platform::hub_location::{HubLocation, is_hub_url, normalize_url};
use crate::platform::isolation::{self, MeshAddress};
use crate::platform::process::{RunningProgram, find_programs};
use crate::platform::settings::HUB_URL;
#[cfg(feature = "remote")]
use crate::platform::text;
#[cfg(feature = "remote")]
use crate::remote;

/// The programs that hold a mesh for as long as a session lives.
const PROGRAMS_OF_SESSIONS: [&str; 3] = [
    "claude-mesh-server",
    "claude-mesh-remote",
    "claude-mesh-inbox-wait",
];

/// How to reach a hub.
#[derive(Debug, Args)]
pub(super) struct HubArgs {
    /// The file with the access key; `-` for the terminal or stdin. By default the key that is stored for this hub, else it is
    /// asked for.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The certificate that the hub must have, in PEM; by default one that the system trusts.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Allow http:// to another machine, inside a VPN: who can listen there reads key and texts.
    #[arg(long)]
    insecure_http: bool,
}

impl HubArgs {
    /// Returns whether an option was given.
    pub(super) fn any(&self) -> bool {
        self.key_file.is_some() || self.certificate.is_some() || self.insecure_http
    }
}

/// A change of the map of walls.
pub(super) struct WallChange {
    folder: PathBuf,
    before: Option<String>,
    place: MeshAddress,
    /// The programs that still have the former mesh.
    running: Vec<RunningProgram>,
    /// The keys and certificates that nothing uses any more.
    removed: Vec<PathBuf>,
    /// What the hub has said of itself.
    answer: Option<String>,
}

/// Puts a folder into the mesh of a hub.
pub(super) fn set_hub(
    settings: &Settings,
    folder: &Path,
    url: &str,
    args: &HubArgs,
) -> Result<WallChange, Failure> {
    let url = normalize_url(url, args.insecure_http)
        .map_err(|problem| Failure::argument(problem, "nothing was changed"))?;
    let hub = HubLocation::new(&settings.mesh_home, &url, String::new());
    let (key_file, certificate) = (args.key_file.as_deref(), args.certificate.as_deref());
    let credentials = HubCredentials::read(&hub, key_file, certificate)?;
    let answer = verify(&hub, &credentials, certificate)?;
    let stored_before = credentials.store(&hub, settings)?;
    let change = write_wall(settings, folder, &url, stored_before)?;
    Ok(WallChange {
        answer: Some(answer),
        ..change
    })
}

/// Puts a folder into the mesh of this name; `default` removes its wall.
pub(super) fn set_mesh(
    settings: &Settings,
    folder: &Path,
    name: &str,
) -> Result<WallChange, Failure> {
    write_wall(settings, folder, name, StoredBefore::default())
}

/// Checks that the hub answers and accepts the key. Nothing is written before it, and nothing if it fails. Returns what the hub
/// says of itself.
#[cfg(feature = "remote")]
fn verify(
    hub: &HubLocation,
    credentials: &HubCredentials,
    certificate: Option<&Path>,
) -> Result<String, Failure> {
    let stored = &hub.certificate_file;
    let pinned = certificate.or_else(|| stored.exists().then_some(stored));
    let described = remote::verify(&hub.url, &credentials.key, pinned).map_err(|error| {
        let hint = match error.hint().trim_end_matches('.') {
            "" => "nothing was changed".to_owned(),
            hint => format!("{hint}; nothing was changed"),
        };
        CliError::new(code_of(&error), error.to_string(), hint)
    })?;
    let printable = text::strip_terminal_controls;
    Ok(format!(
        "the hub answers: its mesh is {}, this machine is {} there",
        printable(&described.mesh),
        printable(&described.host)
    ))
}

/// Returns the code of a command that fails by a hub.
#[cfg(feature = "remote")]
pub(super) fn code_of(error: &remote::HubError) -> &'static str {
    if error.is_out_of_reach() {
        "storage"
    } else {
        "invalid_argument"
    }
}

#[cfg(not(feature = "remote"))]
fn verify(hub: &HubLocation, _: &HubCredentials, _: Option<&Path>) -> Result<String, Failure> {
    let message = format!("this build has no program that connects to {}", hub.url);
    let hint = "install claude-mesh with its default features; nothing was changed";
    Err(CliError::new("unsupported", message, hint).into())
}

/// Writes the entry of a folder, and removes the key that nothing uses any more. If the entry cannot be written, the former
/// key and certificate are put back.
fn write_wall(
    settings: &Settings,
    folder: &Path,
    mesh: &str,
    stored_before: StoredBefore,
) -> Result<WallChange, Failure> {
    let programs = find_programs(&PROGRAMS_OF_SESSIONS);
    let address =
        |program: &RunningProgram| isolation::mesh_address(settings, &program.folder).ok();
    let addresses: Vec<Option<MeshAddress>> = programs.iter().map(address).collect();
    let before = match isolation::set_mesh(settings, folder, mesh) {
        Ok(before) => before,
        Err(fault) => {
            stored_before.restore();
            return Err(fault.into());
        }
    };
    let has_changed = |(program, former): &(RunningProgram, Option<MeshAddress>)| {
        let now = address(program);
        matches!((former, now), (Some(former), Some(now)) if !former.is_same_mesh(&now))
    };
    let running = programs.into_iter().zip(addresses).filter(has_changed);
    let running = running.map(|(program, _)| program).collect();
    let former_url = before
        .as_deref()
        .and_then(|before| normalize_url(before, true).ok());
    let removed = match former_url {
        Some(url) => {
            let hub = HubLocation::new(&settings.mesh_home, &url, String::new());
            hub_credentials::remove_unused(settings, &hub)?
        }
        None => Vec::new(),
    };
    Ok(WallChange {
        folder: folder.to_owned(),
        place: isolation::mesh_address(settings, folder)?,
        before,
        running,
        removed,
        answer: None,
    })
}

impl WallChange {
    /// Prints what has changed.
    pub(super) fn report(&self, settings: &Settings, json: bool) -> CommandResult {
        if json {
            print::json(&self.json())?;
            return Ok(CommandStatus::Done);
        }
        let shown = |path: &Path| shown(path, &settings.home);
        let before = match &self.before {
            Some(before) if before != self.place.name() && !self.is_at(before) => {
                format!(" (it was {before})")
            }
            _ => String::new(),
        };
        let folder = shown(&self.folder);
        match &self.place {
            MeshAddress::File(location) => {
                print::line(&format!(
                    "{folder} and all below: mesh {}{before}",
                    location.name
                ))?;
                print::line(&format!("file: {}", shown(&location.database)))?;
            }
            MeshAddress::Hub(hub) => {
                print::line(&format!(
                    "{folder} and all below: the mesh at {}{before}",
                    hub.url
                ))?;
                if let Some(answer) = &self.answer {
                    print::line(answer)?;
                }
                print::line(&format!("key: {}", shown(&hub.key_file)))?;
                if hub.certificate_file.exists() {
                    print::line(&format!("certificate: {}", shown(&hub.certificate_file)))?;
                }
            }
        }
        for path in &self.removed {
            print::line(&format!(
                "removed {}, which nothing uses any more",
                shown(path)
            ))?;
        }
        if settings.database.is_some() {
            print::line("but MESH_DB_PATH is set and overrides every wall")?;
        }
        for program in &self.running {
            print::line(&format!(
                "runs with its former mesh until it is restarted: {} (process {}) in {}",
                program.name,
                program.key.pid,
                shown(&program.folder)
            ))?;
        }
        print::line("open sessions keep their mesh until they are restarted")?;
        Ok(CommandStatus::Done)
    }

    fn is_at(&self, url: &str) -> bool {
        matches!(&self.place, MeshAddress::Hub(hub) if hub.url == url)
    }

    fn json(&self) -> Value {
        let running: Vec<Value> = self
            .running
            .iter()
            .map(|program| {
                json!({ "program": program.name, "pid": program.key.pid, "folder": program.folder })
            })
            .collect();
        json!({
            "folder": self.folder,
            "before": self.before,
            "place": self.place,
            "running": running,
            "removed": self.removed,
        })
    }
}

/// Put all folders of this user into the mesh of a hub on another machine
///
/// The hub is `claude-mesh serve` there; a key for this machine is made there by `claude-mesh key create --host NAME`. Folders
/// with a wall of their own keep it. `claude-mesh wall FOLDER URL` does the same for one folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh join https://mesh.example:3456                      asks for the key
  claude-mesh join https://mesh.example:3456 --key-file key.txt --certificate hub.pem
  claude-mesh leave                                               back to the mesh in the file of this machine")]
pub(super) struct JoinArgs {
    /// The URL of the hub, with `https://`.
    url: String,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs `claude-mesh join`.
pub(super) fn join(args: &JoinArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let home = home_folder(&settings);
    set_hub(&settings, &home, &args.url, &args.hub)?.report(&settings, json)
}

/// Take the folders of this user out of the mesh of the hub that they joined
///
/// Removes what `claude-mesh join` has stored. Folders with a wall of their own keep it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh leave
  claude-mesh wall ~/work default     takes out one folder that has a wall of its own")]
pub(super) struct LeaveArgs {}

/// Runs `claude-mesh leave`.
pub(super) fn leave(json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let home = home_folder(&settings);
    let has_joined = isolation::mesh_folders(&settings)?
        .iter()
        .any(|(folder, mesh)| is_hub_url(mesh) && is_same_folder(folder, &home));
    if !has_joined {
        return Err(not_joined(&settings));
    }
    set_mesh(&settings, &home, "default")?.report(&settings, json)
}

fn not_joined(settings: &Settings) -> Failure {
    let hint = match &settings.hub {
        Some(hub) => format!("{HUB_URL} in {} names a hub: remove it there", hub.from),
        None => {
            "`claude-mesh wall` lists the folders with a mesh of their own; nothing was changed"
                .into()
        }
    };
    CliError::new("not_found", "the home folder has not joined a hub", hint).into()
}

fn home_folder(settings: &Settings) -> PathBuf {
    let home = &settings.home;
    home.canonicalize().unwrap_or_else(|_| home.clone())
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| one == *other) || one == other
}
