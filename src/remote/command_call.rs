//! The tool calls of commands in the shell of the session: they come by the socket of the hooks, and the program of the session
//! carries them out as calls of the session.
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::remote::call::ToolCall;
use crate::remote::link::Link;
use crate::remote::{arguments, tool_result};
use crate::tools::{self, JsonObject};

/// The first line of a request for a call.
pub(super) const FIRST_LINE: &str = "call";
/// How an agent is called that a command registers, because its server has not done so yet.
const AGENT: &str = "claude-code";
/// The largest call, in bytes.
const CALL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The call of a command, one line of JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct CommandCall {
    pub(super) tool: String,
    pub(super) arguments: JsonObject,
}

/// What came of it, one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CommandAnswer {
    Result(Value),
    /// The error object.
    Refused(Value),
}

/// Carries out the call that a command sends, and sends what came of it. A command that goes away ends the wait of its call.
pub(super) async fn answer(link: &Link, stream: &mut BufReader<UnixStream>) {
    let mut request = String::new();
    let mut limited = (&mut *stream).take(CALL_BYTES_MAX);
    if limited.read_line(&mut request).await.is_err() {
        return;
    }
    let Ok(call) = serde_json::from_str::<CommandCall>(&request) else {
        return;
    };
    let gone = async {
        // A command sends one call.
        let _ = stream.read(&mut [0]).await;
    };
    let Some(answer) = run(link, AGENT, call, gone).await else {
        return;
    };
    let mut text = serde_json::to_string(&answer).unwrap_or_default();
    text.push('\n');
    let _ = stream.write_all(text.as_bytes()).await;
}

/// Carries out a call until `stopped` ends, which ends the wait of the call; then returns `None`. A question that was asked stays
/// open, whether or not it was seen: who stops a command does not withdraw what it has asked. A place in a queue is given up.
pub(super) async fn run(
    link: &Link,
    agent: &str,
    call: CommandCall,
    stopped: impl Future<Output = ()>,
) -> Option<CommandAnswer> {
    let Some(tool) = tools::find(&call.tool) else {
        let problem = format!("no tool called {:?}", call.tool);
        return Some(refused(&crate::model::Refusal::argument(problem).into()));
    };
    let folder = link.project().path;
    let arguments = match arguments::localized(tool.name, call.arguments, Path::new(&folder)) {
        Ok(arguments) => arguments,
        Err(error) => return Some(refused(&error)),
    };
    let call = ToolCall {
        link,
        agent,
        tool,
        arguments: &arguments,
        key: &ulid::Ulid::generate().to_string(),
        is_repeated: false,
    };
    let mut running = std::pin::pin!(tool_result::run(&call));
    tokio::select! {
        result = &mut running => Some(match result {
            Ok(body) => CommandAnswer::Result(body),
            Err(body) => CommandAnswer::Refused(body),
        }),
        () = stopped => {
            if tool.name != "ask_peer" {
                call.cancel().await;
            }
            None
        }
    }
}

fn refused(error: &crate::model::Error) -> CommandAnswer {
    CommandAnswer::Refused(tools::error_body(error))
}
