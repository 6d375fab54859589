//! Calls tools for a command in a shell whose folder has its mesh at a hub.
//!
//! In the shell of a session the command acts as that session: it asks the program of the session. Anywhere else it acts as the
//! person at this machine, whom it registers for as long as it runs.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::platform::hub_location::HubLocation;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::session_socket::{hook_socket_path, sockets_folder};
use crate::platform::{Fault, FaultKind, Settings, permissions};
use crate::remote::command_call::{self, CommandAnswer, CommandCall};
use crate::remote::link::{LEAVE_TIMEOUT, Link};
use crate::tools::JsonObject;

const RESTART_HINT: &str =
    "`/mcp` in Claude Code starts claude-mesh again; a terminal of your own needs no session";
/// How the person introduces themselves.
const AGENT: &str = "terminal";

/// A command at the mesh of a hub.
pub struct HubCommand {
    runtime: Runtime,
    caller: Caller,
}

/// For whom a command calls tools.
enum Caller {
    /// For the session above the shell: the socket of its program.
    Session(PathBuf),
    /// For the person at this machine.
    Person(Arc<Link>),
}

/// What came of the call of a command.
#[derive(Debug)]
pub enum HubCommandOutcome {
    /// The result of the tool.
    Result(Value),
    /// The error object of a refusal or of a failure.
    Refused(Value),
    /// Ctrl-C, SIGTERM or a closed terminal ended it. A question that it asked stays open.
    Stopped,
}

impl HubCommand {
    /// Returns a command of the session with this client process. Refuses a session whose program does not run.
    pub fn of_session(settings: &Settings, client: ProcessKey) -> Result<Self, Fault> {
        let folder = sockets_folder(&settings.mesh_home);
        if folder.exists() {
            // Who owns the folder decides who may listen there.
            permissions::check_own_folder(&folder)?;
        }
        let socket = hook_socket_path(&settings.mesh_home, client);
        Self::new(Caller::Session(socket))
    }

    /// Returns a command of the person at this machine.
    pub fn of_person(
        settings: Settings,
        project: Project,
        hub: HubLocation,
    ) -> Result<Self, Fault> {
        let link = Link::of_person(settings, project, hub);
        Self::new(Caller::Person(Arc::new(link)))
    }

    fn new(caller: Caller) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| cannot_start(&error))?;
        Ok(Self { runtime, caller })
    }

    /// Calls a tool and blocks until there is a result or a signal ends the call.
    pub fn call(&self, tool: &str, arguments: JsonObject) -> Result<HubCommandOutcome, Fault> {
        let call = CommandCall {
            tool: tool.to_owned(),
            arguments,
        };
        self.runtime.block_on(async {
            let stopped = stop_signal().map_err(|error| cannot_start(&error))?;
            let answer = match &self.caller {
                Caller::Person(link) => command_call::run(link, AGENT, call, stopped).await,
                Caller::Session(socket) => {
                    tokio::select! {
                        answer = ask_program(socket, &call) => Some(answer?),
                        () = stopped => None,
                    }
                }
            };
            Ok(match answer {
                Some(CommandAnswer::Result(body)) => HubCommandOutcome::Result(body),
                Some(CommandAnswer::Refused(body)) => HubCommandOutcome::Refused(body),
                None => HubCommandOutcome::Stopped,
            })
        })
    }
}

impl Drop for HubCommand {
    /// Ends the session of the person.
    fn drop(&mut self) {
        if let Caller::Person(link) = &self.caller {
            let leaving = link.leave("left");
            let leaving = async { tokio::time::timeout(LEAVE_TIMEOUT, leaving).await };
            let _ = self.runtime.block_on(leaving);
        }
    }
}

/// Returns what ends with the first signal that ends the program.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut signals = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ];
    Ok(async move {
        let [interrupt, terminate, hangup] = &mut signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Lets the program of the session carry out a call.
async fn ask_program(socket: &Path, call: &CommandCall) -> Result<CommandAnswer, Fault> {
    let stream = UnixStream::connect(socket).await;
    let stream =
        stream.map_err(|error| no_answer(&format!("{error}; nothing was done"), RESTART_HINT))?;
    let mut stream = BufReader::new(stream);
    let text = serde_json::to_string(call).unwrap_or_default();
    let request = format!("{}\n{text}\n", command_call::FIRST_LINE);
    let mut line = String::new();
    let exchanged = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_line(&mut line).await
    };
    let unknown = || {
        let problem =
            "it has ended, or is of another version; it is not known whether this was done";
        no_answer(problem, "look at what there is before you repeat it")
    };
    exchanged.await.map_err(|_| unknown())?;
    serde_json::from_str(&line).map_err(|_| unknown())
}

fn no_answer(problem: &str, hint: &'static str) -> Fault {
    let message = format!("the server of this session does not answer: {problem}");
    Fault::new(FaultKind::Other, message, hint)
}

fn cannot_start(error: &std::io::Error) -> Fault {
    let message = format!("the command cannot start: {error}");
    Fault::new(
        FaultKind::Other,
        message,
        "`claude-mesh doctor` shows what is wrong",
    )
}
