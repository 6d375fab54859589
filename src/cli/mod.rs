//! The command line for people: each command runs one operation of the mesh and prints a table, a line, or JSON.
//!
//! A person acts as `person@host`. In the shell of a session the same commands act as that session (`context`), so that
//! a command of a model never counts as its user's. Commands that only read do not create a database.
//! All output goes through `print`, and all refusals through `error`. The doc comments on arguments are the help text.

mod ask;
mod ask_many;
mod backup;
mod board;
mod claim;
mod claim_format;
mod claim_wait;
mod claude_sandbox;
mod command_status;
mod completions_man;
mod context;
mod demo;
mod desktop_notification;
mod doctor;
mod doctor_claude_code;
mod doctor_hub;
mod doctor_salvage;
#[cfg(feature = "remote")]
mod doctor_spool;
#[cfg(feature = "postgres")]
mod doctor_store;
mod duration;
mod erase_residue;
mod error;
mod event_format;
mod events;
mod finding;
mod format;
mod gc;
#[cfg(feature = "hub")]
mod hub_board;
#[cfg(feature = "remote")]
mod hub_context;
mod hub_credentials;
#[cfg(feature = "remote")]
mod hub_output;
#[cfg(feature = "hub")]
mod hub_service;
mod hub_wall;
mod inbox;
mod inbox_follow;
mod inbox_format;
mod install;
#[cfg(feature = "hub")]
mod key;
mod log;
mod memory;
mod message;
#[cfg(feature = "postgres")]
mod move_mesh;
mod multi_ask_output;
mod peer;
mod pending_ask;
mod poll;
mod print;
mod print_config;
#[cfg(feature = "hub")]
mod print_http;
mod prior_answers;
mod progress;
mod question_json;
mod reply;
mod restore;
#[cfg(feature = "hub")]
mod serve;
mod staged_files;
mod state;
mod status;
#[cfg(feature = "remote")]
mod status_hub;
#[cfg(feature = "postgres")]
mod store_args;
mod table;
mod task;
mod task_args;
mod task_bulk;
mod task_format;
mod text_input;
mod throttle;
#[cfg(feature = "top")]
mod top;
mod uninstall;
mod versions;
mod wall;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder};
use crate::cli::error::{Failure, UsageError};
#[cfg(feature = "remote")]
use crate::cli::hub_context::HubContext;
#[cfg(feature = "remote")]
use crate::platform::isolation::MeshAddress;

const AFTER_HELP: &str = "\
Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 asked, but there is no answer (timed out, offline, stopped).
In the shell of a Claude Code session the commands act as that session, anywhere else as person@host.
Colours appear on a terminal only; NO_COLOR=1 turns them off.

Examples:
  claude-mesh peers                                   who is here, and who needs you
  claude-mesh ask backend 'which port does the API use?'
  claude-mesh inbox                                   what waits for you
  claude-mesh doctor                                  what is wrong, and how to fix it";

/// Claude Code sessions ask each other, and get the answer as the result of the call.
#[derive(Debug, Parser)]
#[command(name = "claude-mesh", version, after_help = AFTER_HELP, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of text; a refusal is {"error":{"code","message","hint"}}.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Peers(peer::PeersArgs),
    Ask(ask::AskArgs),
    Inbox(inbox::InboxArgs),
    Reply(reply::ReplyArgs),
    Post(message::PostArgs),
    Messages(message::MessagesArgs),
    Claim(claim::ClaimArgs),
    Release(claim::ReleaseArgs),
    Claims(claim::ClaimsArgs),
    Memory(memory::MemoryArgs),
    Log(log::LogArgs),
    State(state::StateArgs),
    Task(task::TaskArgs),
    Events(events::EventsArgs),
    Status(status::StatusArgs),
    #[cfg(feature = "top")]
    Top(top::TopArgs),
    #[cfg(feature = "hub")]
    Serve(Box<serve::ServeArgs>),
    #[cfg(feature = "hub")]
    Board(hub_board::BoardArgs),
    #[cfg(feature = "hub")]
    Key(key::KeyArgs),
    Quiet(throttle::QuietArgs),
    Pause(throttle::PauseArgs),
    Wall(wall::WallArgs),
    Join(hub_wall::JoinArgs),
    Leave(hub_wall::LeaveArgs),
    Gc(gc::GcArgs),
    #[cfg(feature = "postgres")]
    Move(move_mesh::MoveArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Install(install::InstallArgs),
    Uninstall(uninstall::UninstallArgs),
    Doctor(doctor::DoctorArgs),
    Demo(demo::DemoArgs),
    Bench(demo::BenchArgs),
    #[command(hide = true)]
    Notify(desktop_notification::NotifyArgs),
    #[command(hide = true)]
    DemoClient(demo::DemoClientArgs),
    Completions(completions_man::CompletionsArgs),
    Man(completions_man::ManArgs),
}

/// Runs the program `claude-mesh` with the arguments of this process. Returns its exit status.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_clap_error(&error),
    };
    let json = cli.json;
    exit_code(dispatch(cli), json)
}

fn exit_code(outcome: CommandResult, json: bool) -> ExitCode {
    match outcome {
        Ok(status) => status.exit_code(),
        Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => report_clap_error(&with_usage(error)),
        Err(Failure::CliError(error)) => {
            error.report(json);
            CommandStatus::Refused.exit_code()
        }
    }
}

/// Adds the usage line of the command to the error.
fn with_usage(error: UsageError) -> clap::Error {
    let mut program = Cli::command();
    let Some(name) = error.command else {
        return program.error(error.kind, error.message);
    };
    program.build();
    let command = program
        .find_subcommand_mut(name)
        .expect("it is one of the commands");
    command.error(error.kind, error.message)
}

/// Runs a command on the mesh of the folder: in a file, or at a hub.
macro_rules! at_mesh {
    ($json:expr, $args:expr, $module:ident, $in_file:ident, $at_hub:ident) => {{
        let folder = CommandFolder::resolve()?;
        match folder.address.clone() {
            #[cfg(feature = "remote")]
            MeshAddress::Hub(hub) => {
                let hub = HubContext::open(folder, &hub, $json)?;
                $module::at_hub::$at_hub(&hub, $args)
            }
            _ => $module::$in_file(&folder.into_context($json)?, $args),
        }
    }};
}

fn dispatch(cli: Cli) -> CommandResult {
    let json = cli.json;
    match cli.command {
        Command::Completions(args) => completions_man::completions(&args, Cli::command()),
        Command::Man(args) => completions_man::man(&args, Cli::command()),
        Command::Wall(args) => wall::wall(&args, json),
        Command::Join(args) => hub_wall::join(&args, json),
        Command::Leave(_) => hub_wall::leave(json),
        Command::Install(args) => install::install(&args, json),
        Command::Uninstall(args) => uninstall::uninstall(&args, json),
        #[cfg(feature = "hub")]
        Command::Serve(args) => serve::serve(&args, json),
        #[cfg(feature = "hub")]
        Command::Board(args) => hub_board::board(&CliContext::resolve(json)?, &args),
        #[cfg(feature = "hub")]
        Command::Key(args) => key::key(&args, json),
        #[cfg(feature = "postgres")]
        Command::Move(args) => move_mesh::move_mesh(&args, json),
        Command::Backup(args) => backup::back_up(&args, json),
        Command::Restore(args) => restore::restore(&args, json),
        Command::Doctor(args) => doctor::doctor(&args, json),
        Command::Demo(args) => demo::demo(&args, json),
        Command::Bench(args) => demo::bench(&args, json),
        Command::Notify(args) => desktop_notification::notify(&args, json),
        Command::DemoClient(_) => demo::client(),
        Command::Peers(args) => at_mesh!(json, &args, peer, peers, run),
        Command::Ask(args) => at_mesh!(json, &args, ask, ask, run),
        Command::Inbox(args) => at_mesh!(json, &args, inbox, inbox, run),
        Command::Reply(args) => at_mesh!(json, &args, reply, reply, run),
        Command::Post(args) => at_mesh!(json, &args, message, post, post),
        Command::Messages(args) => at_mesh!(json, &args, message, messages, messages),
        Command::Claim(args) => at_mesh!(json, &args, claim, claim, claim),
        Command::Release(args) => at_mesh!(json, &args, claim, release, release),
        Command::Claims(args) => at_mesh!(json, &args, claim, claims, claims),
        Command::Quiet(args) => throttle::quiet(&CliContext::resolve(json)?, &args),
        Command::Pause(args) => throttle::pause(&CliContext::resolve(json)?, &args),
        Command::Memory(args) => at_mesh!(json, &args, memory, memory, run),
        Command::Log(args) => log::log(&CliContext::resolve(json)?, &args),
        Command::State(args) => at_mesh!(json, &args, state, state, run),
        Command::Task(args) => at_mesh!(json, &args, task, task, run),
        Command::Events(args) => at_mesh!(json, &args, events, events, run),
        Command::Status(_) => status::status(json),
        #[cfg(feature = "top")]
        Command::Top(_) => top::top(&CliContext::resolve(json)?),
        Command::Gc(_) => gc::gc(&CliContext::resolve(json)?),
    }
}

/// Prints what clap returns instead of arguments: help and version are results, the rest is wrong usage.
fn report_clap_error(error: &clap::Error) -> ExitCode {
    let text = error.render();
    let is_help_or_version = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if is_help_or_version {
        let printed = print::raw(text.ansi().to_string().as_bytes());
        exit_code(
            printed.map(|()| CommandStatus::Done).map_err(Failure::from),
            false,
        )
    } else {
        let _ = print::err(&text.ansi().to_string());
        ExitCode::from(2)
    }
}
