//! The context of a command whose mesh is at a hub: the command calls the tools there, and prints their results.
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CommandFolder, print_foreign, sanitize_foreign};
use crate::cli::error::{CliError, Failure, hint_of_code};
use crate::cli::print;
use crate::mesh::HUB_ENDING;
use crate::platform::hub_location::HubLocation;
use crate::remote::{HubCommand, HubCommandOutcome};
use crate::tools::JsonObject;

/// The longest wait of a tool, in seconds.
const WAIT_SECONDS_MAX: u64 = 3600;

/// A command at a hub.
pub(super) struct HubContext {
    command: HubCommand,
    /// Print JSON.
    pub(super) json: bool,
    pub(super) working_directory: PathBuf,
    pub(super) is_person: bool,
}

/// A tool call, and what prints its result.
pub(super) struct HubCall {
    tool: &'static str,
    arguments: JsonObject,
    print: fn(&HubContext, &Value) -> CommandResult,
}

impl HubCall {
    /// Returns a call without arguments.
    pub(super) fn new(tool: &'static str, print: fn(&HubContext, &Value) -> CommandResult) -> Self {
        Self {
            tool,
            arguments: JsonObject::new(),
            print,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an argument if it is given.
    #[must_use]
    pub(super) fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds an argument if it is not empty.
    #[must_use]
    pub(super) fn with_all(self, name: &str, values: &[String]) -> Self {
        self.with_some(name, (!values.is_empty()).then(|| values.to_vec()))
    }
}

impl HubContext {
    /// Returns the context of a command of this folder. Connects to nothing.
    pub(super) fn open(
        folder: CommandFolder,
        hub: &HubLocation,
        json: bool,
    ) -> Result<Self, Failure> {
        let session = folder.session_process();
        let working_directory = folder.settings.working_directory.clone();
        let command = match session {
            Some(client) => HubCommand::of_session(&folder.settings, client),
            None => HubCommand::of_person(folder.settings, folder.project, hub.clone()),
        };
        Ok(Self {
            command: command?,
            json,
            working_directory,
            is_person: session.is_none(),
        })
    }

    /// Calls a tool and prints its result.
    pub(super) fn run(&self, call: HubCall) -> CommandResult {
        let print = call.print;
        match self.call(call)? {
            Some(result) => self.print(&result, print),
            None => Ok(CommandStatus::NoAnswer),
        }
    }

    /// Prints a result, as JSON or by `print`.
    pub(super) fn print(
        &self,
        result: &Value,
        print: fn(&Self, &Value) -> CommandResult,
    ) -> CommandResult {
        if self.json {
            print::json(result)?;
            return Ok(status_of(result));
        }
        print(self, result)
    }

    /// Calls a tool. Returns `None` if a signal ended the call, and says what that means.
    pub(super) fn call(&self, call: HubCall) -> Result<Option<Value>, Failure> {
        let HubCall {
            tool, arguments, ..
        } = call;
        match self.command.call(tool, arguments)? {
            HubCommandOutcome::Result(result) => Ok(Some(result)),
            HubCommandOutcome::Refused(body) => Err(failure_of(&body).into()),
            HubCommandOutcome::Stopped => {
                self.report_stopped(tool)?;
                Ok(None)
            }
        }
    }

    fn report_stopped(&self, tool: &str) -> io::Result<()> {
        if self.json {
            return print::json(&json!({ "status": "cancelled" }));
        }
        let hint = match tool {
            "ask_peer" => {
                "what was asked stays open; `claude-mesh inbox` shows the answer when it comes"
            }
            "claim" => {
                "the place in the queue is given up; `claude-mesh claims` shows who holds it"
            }
            _ => "`claude-mesh inbox` and `claude-mesh events` show what was done before",
        };
        print::notice("stopped", hint)
    }

    /// Makes foreign text safe to print.
    pub(super) fn sanitize_foreign(&self, text: &str) -> String {
        sanitize_foreign(self.is_person, text)
    }

    /// Prints foreign text alone.
    pub(super) fn print_foreign(&self, text: &str) -> io::Result<()> {
        print_foreign(self.is_person, text)
    }
}

/// Returns the failure for an option that needs the file of the mesh.
pub(super) fn not_at_hub(what: &str) -> Failure {
    CliError::new(
        "unsupported",
        format!("{what} does not work in a folder whose mesh is at a hub; nothing was changed"),
        "run it at the machine of the hub, or open the board there",
    )
    .into()
}

/// Returns the status of a command by the status in its result.
pub(super) fn status_of(result: &Value) -> CommandStatus {
    match result["status"].as_str() {
        Some("declined" | "denied") => CommandStatus::Refused,
        Some(
            "timed_out" | "offline" | "held" | "interrupted" | "partial" | "queued" | "cancelled",
        ) => CommandStatus::NoAnswer,
        _ => CommandStatus::Done,
    }
}

/// Returns how long a hub lets a call wait, in seconds; refuses more.
pub(super) fn wait_seconds(option: &str, wait: Duration) -> Result<u64, Failure> {
    let seconds = wait.as_secs().max(1);
    if seconds <= WAIT_SECONDS_MAX {
        return Ok(seconds);
    }
    let message = format!("{option} is an hour at most at a hub");
    Err(Failure::argument(
        message,
        "give 1h or less; nothing was changed",
    ))
}

/// Returns the failure of an error object. Its hint is for a model and names tools, apart from one about the hub itself.
fn failure_of(body: &Value) -> CliError {
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    let code = text("code");
    let hint = match code.as_str() {
        "storage" | "unauthorized" | "forbidden" | "outcome_unknown" | HUB_ENDING => text("hint"),
        code => hint_of_code(code).to_owned(),
    };
    CliError::new(code, text("message"), hint)
}
