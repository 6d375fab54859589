//! `claude-mesh board`: opens the page of the hub in a browser, signed in; starts a hub if none runs.
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::{CliError, Failure};
#[cfg(feature = "postgres")]
use crate::cli::store_args;
use crate::hub::{self, RunningHub, StoreRecord};
#[cfg(feature = "postgres")]
use crate::mesh::PostgresPlace;
use crate::mesh::{Mesh, MeshOptions};
use crate::platform::clock::monotonic_ms;
use crate::platform::{Fault, Settings, SystemClock, file, isolation, permissions};

/// Where a hub listens that this command starts, if the port is free.
const ADDRESS: &str = "127.0.0.1:3456";
/// A hub that this command starts ends after so long without a request or a listener.
const IDLE_EXIT: &str = "1h";
/// How long a hub may take to start, in milliseconds.
const START_TIMEOUT_MS: i64 = 10_000;
const START_POLL: Duration = Duration::from_millis(20);
/// How much of the log is read for the reason why a hub did not start.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Open the board: who is here, who waits for you, what happens
///
/// Uses the hub that runs (`claude-mesh serve`), else starts one in the background, which ends after an hour without use.
/// The link signs one browser in; it can be used once, within 60 seconds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh board
  claude-mesh board --print      the link, for a browser elsewhere")]
pub(super) struct BoardArgs {
    /// Print the link instead of opening a browser.
    #[arg(long)]
    print: bool,
}

/// Runs `claude-mesh board`.
pub(super) fn board(context: &CliContext, args: &BoardArgs) -> CommandResult {
    context.require_person("opening the board")?;
    let settings = &context.settings;
    let hub = match hub::find_running_hub(&settings.mesh_home) {
        Some(hub) => hub,
        None => start_hub(settings)?,
    };
    let link = format!(
        "{}/#token={}",
        hub.url,
        create_token(settings, hub.store.as_ref())?
    );
    if context.json {
        print::json(&json!({ "url": link }))?;
        return Ok(CommandStatus::Done);
    }
    let browser = if args.print { None } else { browser(settings) };
    let opened = match browser {
        Some(browser) => open_page(settings, browser, &link)?,
        None => false,
    };
    if opened {
        print::line(&format!("the board of {} opens in your browser", hub.url))?;
        print::line("`claude-mesh board --print` prints a link instead")?;
    } else {
        print::line(&link)?;
    }
    Ok(CommandStatus::Done)
}

/// Creates a sign-in link where the hub looks for it: in the default mesh, or in the one on a server that it serves. Returns
/// its token.
fn create_token(settings: &Settings, store: Option<&StoreRecord>) -> Result<String, Failure> {
    let options = MeshOptions::from_settings(settings);
    if let Some(store) = store {
        return create_token_on_server(settings, store, &options);
    }
    let location = isolation::all_meshes(settings)?.swap_remove(0);
    let clock = Arc::new(SystemClock::new());
    let mut mesh = Mesh::open_with(&location.database, clock, &options)?;
    Ok(mesh.create_board_link()?)
}

#[cfg(feature = "postgres")]
fn create_token_on_server(
    settings: &Settings,
    store: &StoreRecord,
    options: &MeshOptions,
) -> Result<String, Failure> {
    let location = store_args::recorded_location(store)?;
    let place = PostgresPlace::of_home(location, &settings.mesh_home);
    let mut mesh = Mesh::connect(&place, options)?;
    Ok(mesh.create_board_link()?)
}

#[cfg(not(feature = "postgres"))]
fn create_token_on_server(
    _: &Settings,
    store: &StoreRecord,
    _: &MeshOptions,
) -> Result<String, Failure> {
    let message = format!(
        "this claude-mesh is built without PostgreSQL, and the hub serves {}",
        store.url
    );
    Err(CliError::new(
        "unsupported",
        message,
        "use the claude-mesh that runs the hub",
    )
    .into())
}

/// Starts a hub in the background and waits until it answers.
fn start_hub(settings: &Settings) -> Result<RunningHub, Failure> {
    let log = hub::log_path(&settings.mesh_home);
    let mut child = spawn_hub(&log)?;
    let until_ms = monotonic_ms() + START_TIMEOUT_MS;
    loop {
        let has_ended = !matches!(child.try_wait(), Ok(None));
        if let Some(hub) = hub::find_running_hub(&settings.mesh_home) {
            return Ok(hub);
        }
        if has_ended || monotonic_ms() >= until_ms {
            return Err(not_started(settings, &log, has_ended));
        }
        std::thread::sleep(START_POLL);
    }
}

fn spawn_hub(log: &Path) -> Result<Child, Failure> {
    let open_log = || -> Result<File, Fault> {
        if let Some(folder) = log.parent() {
            permissions::create_folder(folder)?;
        }
        permissions::append_file(log).map_err(|error| Fault::io("open", log, error))
    };
    let program = std::env::current_exe()
        .map_err(|error| Fault::io("find", Path::new("claude-mesh"), error))?;
    // Another program may have the port; the link has the address that the hub then has.
    let address = match TcpListener::bind(ADDRESS) {
        Ok(_) => ADDRESS,
        Err(_) => "127.0.0.1:0",
    };
    let child = Command::new(&program)
        .args(["serve", "--detached", "--idle-exit", IDLE_EXIT])
        .args(["--addr", address])
        .stdin(Stdio::null())
        .stdout(open_log()?)
        .stderr(open_log()?)
        .spawn();
    Ok(child.map_err(|error| Fault::io("start", &program, error))?)
}

fn not_started(settings: &Settings, log: &Path, has_ended: bool) -> Failure {
    let shown = super::context::shown(log, &settings.home);
    let content = file::read(log, LOG_BYTES_MAX).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let last = content.lines().rfind(|line| line.contains("claude-mesh:"));
    let message = match (has_ended, last) {
        (true, Some(reason)) => format!("the hub did not start: {reason}"),
        (true, None) => "the hub did not start".to_owned(),
        (false, _) => "the hub did not answer within 10 s".to_owned(),
    };
    let hint = format!("{shown} has its log; `claude-mesh serve` starts a hub in this terminal");
    CliError::new("unsupported", message, hint).into()
}

/// Returns the command that opens a page; `None` if there is no browser.
fn browser(settings: &Settings) -> Option<Vec<String>> {
    if let Some(browser) = &settings.browser {
        // It may be a list of commands; the first one is used.
        let browser = browser.to_string_lossy();
        let command = shlex::split(browser.split(':').next()?)?;
        return Some(command).filter(|command| !command.is_empty());
    }
    if cfg!(target_os = "macos") {
        return Some(vec!["open".into()]);
    }
    let opener = "xdg-open";
    let is_installed = settings
        .search_path
        .iter()
        .any(|folder| folder.join(opener).is_file());
    (settings.has_display && is_installed).then(|| vec![opener.into()])
}

/// Opens the link by a file, so that it is in the arguments of no process. Returns whether the browser was started.
fn open_page(settings: &Settings, browser: Vec<String>, link: &str) -> Result<bool, Failure> {
    let page = write_page(settings, link)?;
    let mut command = browser.into_iter();
    let program = command.next().unwrap_or_default();
    let started = Command::new(program)
        .args(command.filter(|argument| argument != "%s"))
        .arg(&page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        hub::remove_board_pages(&settings.mesh_home);
    }
    Ok(started.is_ok())
}

/// Writes the page that leads to the link. The hub removes it when the link is used, and this command at its next start.
fn write_page(settings: &Settings, link: &str) -> Result<PathBuf, Fault> {
    hub::remove_board_pages(&settings.mesh_home);
    let path = hub::board_page_path(&settings.mesh_home);
    let content = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0;url={link}\">\n<title>claude-mesh</title>\n\
         <a href=\"{link}\">Open the board</a>\n"
    );
    let written =
        permissions::create_file(&path).and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(|error| Fault::io("write", &path, error))?;
    Ok(path)
}
