//! Runs a hook as a program: reads the event, prints the output, and never fails Claude Code.
use std::io::{Read, Write};
use std::panic::UnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::call::HookCall;
use super::other_client;
use super::server_delivery::ServerDelivery;
use super::session_socket::{self, HookRequest};
use crate::claude_code::{HookEvent, HookOutput, HookPayload};
use crate::model::Error;
use crate::platform::{FaultKind, Settings, fault_log, version};

/// More of an event is not read. No event of Claude Code is nearly as large.
pub(crate) const EVENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A hook: returns its output for one event, if it has any.
pub type HookFn<T = HookOutput> = fn(&HookCall) -> Result<Option<T>, Error>;

/// The answer of a hook to its event.
#[derive(Debug)]
pub enum HookAnswer {
    /// It has made its output from the database.
    Output(HookOutput),
    /// The server of the session has made it from the database.
    FromServer(ServerDelivery),
}

impl From<HookOutput> for HookAnswer {
    fn from(output: HookOutput) -> Self {
        Self::Output(output)
    }
}

/// Runs a hook: event on stdin, at most one JSON object on stdout. The exit status is always 0.
pub fn run<T: Into<HookAnswer> + 'static>(hook: HookFn<T>) -> ExitCode {
    run_program(move || {
        match call_hook(hook, HookRequest::Run) {
            None => {}
            Some(Output::OfServer(output)) => print(&output).unwrap_or_default(),
            Some(Output::OfHook { event, output }) => match output.into() {
                HookAnswer::Output(output) => {
                    print(output.to_json(&event).as_bytes()).unwrap_or_default();
                }
                HookAnswer::FromServer(delivery) => {
                    if print(&delivery.output).is_ok() {
                        delivery.confirm();
                    }
                }
            },
        }
        ExitCode::SUCCESS
    })
}

fn print(output: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(output).and_then(|()| out.flush())
}

/// Runs a hook that waits: event on stdin. Text on stderr and exit status 2 wake the session; otherwise the status is 0.
#[cfg(feature = "watcher")]
pub fn wait(hook: HookFn<String>) -> ExitCode {
    run_program(move || {
        let text = match call_hook(hook, HookRequest::Wait) {
            None => return ExitCode::SUCCESS,
            Some(Output::OfHook { output, .. }) => output.into_bytes(),
            Some(Output::OfServer(output)) => output,
        };
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(&text).and_then(|()| err.flush());
        ExitCode::from(2)
    })
}

/// Answers `--version`, else runs `body`; a panic in it ends with status 0.
fn run_program(body: impl FnOnce() -> ExitCode + UnwindSafe) -> ExitCode {
    if let Some(line) = version::version_line_if_requested() {
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        return ExitCode::SUCCESS;
    }
    std::panic::catch_unwind(body).unwrap_or(ExitCode::SUCCESS)
}

/// The output of a hook.
enum Output<T> {
    /// The hook has it from the database.
    OfHook { event: String, output: T },
    /// The server of the session has made it, where the mesh is at a hub.
    OfServer(Vec<u8>),
}

/// Calls the hook with the event on stdin. Returns the output, if there is any.
fn call_hook<T>(hook: HookFn<T>, request: HookRequest) -> Option<Output<T>> {
    let settings = match Settings::of_this_process() {
        Ok(settings) => settings,
        Err(fault) => {
            report_fault(Settings::mesh_home_of_this_process(), &fault.message);
            return None;
        }
    };
    if settings.disabled {
        return None;
    }
    let (parsed, payload) = match read_payload() {
        Ok(read) => read,
        Err(problem) => {
            report_fault(Some(settings.mesh_home), &problem);
            return None;
        }
    };
    let name = parsed.event_name.clone();
    let event = HookEvent::from_payload(parsed)?;
    let call = HookCall {
        event,
        payload,
        settings,
        other_client: other_client::is_named_by_arguments(),
        by_server: false,
    };
    let error = match hook(&call) {
        Ok(output) => {
            return Some(Output::OfHook {
                event: name,
                output: output?,
            });
        }
        Err(error) => error,
    };
    let answered = match error {
        Error::Fault(fault) if fault.kind == FaultKind::AtHub => {
            session_socket::ask_server(&call, request)
        }
        error => Err(error),
    };
    match answered {
        Ok(output) => output.map(Output::OfServer),
        Err(error) => {
            report_fault(Some(call.settings.mesh_home), &error.to_string());
            None
        }
    }
}

/// Returns the event on stdin, and its text.
fn read_payload() -> Result<(HookPayload, Vec<u8>), String> {
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(EVENT_BYTES_MAX)
        .read_to_end(&mut input)
        .map_err(|error| format!("cannot read stdin: {error}"))?;
    let payload = serde_json::from_slice(&input)
        .map_err(|error| format!("stdin is not an event of Claude Code: {error}"))?;
    Ok((payload, input))
}

/// Writes a fault to the fault log and, for a person who runs the hook by hand, to stderr.
fn report_fault(mesh_home: Option<PathBuf>, message: &str) {
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program
        .as_deref()
        .and_then(Path::file_name)
        .map_or("hook".into(), |name| name.to_string_lossy().into_owned());
    let _ = writeln!(std::io::stderr(), "{program}: {message}");
    if let Some(mesh_home) = mesh_home {
        fault_log::append(&mesh_home, &program, message);
    }
}
