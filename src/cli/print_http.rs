//! `claude-mesh install --print http`: prints the entry by which an MCP client uses the hub over HTTP, with a new key.
use clap::Args;
use clap::error::ErrorKind;
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::{Failure, UsageError};
use crate::hub;
use crate::mesh::KeyDraft;
use crate::model::PeerName;
use crate::model::access_key::{KeyHolder, KeyScope};

/// The name of this kind of client for `--print`.
pub(super) const CLIENT: &str = "http";
/// Where a hub listens if it is started without options.
const DEFAULT_URL: &str = "http://127.0.0.1:3456";

/// The options of `--print http`.
#[derive(Debug, Args)]
pub(super) struct HttpEntryArgs {
    /// With `--print http`: the peer that the client acts as; the project's name and -http by default.
    #[arg(long, value_name = "NAME", requires = "print")]
    peer: Option<String>,
    /// With `--print http`: the address of the hub's /mcp; that of the hub that runs by default.
    #[arg(long, value_name = "URL", requires = "print")]
    url: Option<String>,
}

impl HttpEntryArgs {
    /// Prints the entry if `--print` names this kind of client. Refuses these options for another one.
    pub(super) fn print_if_wanted(
        &self,
        client: Option<&str>,
        json: bool,
    ) -> Option<CommandResult> {
        if client == Some(CLIENT) {
            return Some(CliContext::resolve(json).and_then(|context| self.print(&context)));
        }
        (self.peer.is_some() || self.url.is_some()).then(|| {
            Err(Failure::from(UsageError {
                command: Some("install"),
                kind: ErrorKind::ArgumentConflict,
                message: "--peer and --url are for --print http".into(),
            }))
        })
    }

    fn print(&self, context: &CliContext) -> CommandResult {
        context.require_person("creating a key")?;
        let peer = match &self.peer {
            Some(name) => PeerName::parse_chosen(name)?,
            None => PeerName::fold(&format!("{}-http", context.project.name)),
        };
        let url = self.url.clone().unwrap_or_else(|| default_url(context));
        let draft = KeyDraft {
            holder: KeyHolder::Peer(peer),
            scope: KeyScope::Write,
            project: Some(context.project.path.to_string_lossy().into_owned()),
            lifetime: None,
        };
        let (text, key) = context.open()?.create_key(&draft)?;
        let entry = json!({
            "type": "http",
            "url": url,
            "headers": { "Authorization": format!("Bearer {text}") },
        });
        let (place, note) = notes(key.holder.name());
        if context.json {
            print::json(&json!({
                "client": CLIENT,
                "place": place,
                "note": note,
                "configuration": entry,
                "peer": key.holder.name(),
                "key_id": key.id.to_string(),
            }))?;
            return Ok(CommandStatus::Done);
        }
        print::raw(format!("{entry:#}\n").as_bytes())?;
        print::err(&format!("goes into {place}\n{note}\n"))?;
        Ok(CommandStatus::Done)
    }
}

fn default_url(context: &CliContext) -> String {
    let running = hub::find_running_hub(&context.settings.mesh_home);
    let hub = running.map_or_else(|| DEFAULT_URL.to_owned(), |hub| hub.url);
    format!("{}/mcp", hub.trim_end_matches('/'))
}

/// Returns where the entry goes, and what its user has to know.
fn notes(peer: &str) -> (&'static str, String) {
    let place = "the list of MCP servers of the client, under the name claude-mesh; for Claude Code: claude mcp add-json claude-mesh \"$(claude-mesh install --print http)\"";
    let note = format!(
        "a key of the peer {peer} was created, which is not shown again; `claude-mesh key revoke {peer}` revokes it"
    );
    (place, note)
}
