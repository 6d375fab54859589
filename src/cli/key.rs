//! `claude-mesh key`: creates, lists, rotates and revokes the keys of the hub. Only a person may.
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder};
use crate::cli::error::{CliError, Failure};
#[cfg(feature = "postgres")]
use crate::cli::store_args::StoreArgs;
use crate::cli::{duration, print, table};
use crate::hub::HTTP_LOCAL_PEER;
use crate::mesh::{KeyDraft, Mesh};
#[cfg(feature = "postgres")]
use crate::mesh::{MeshOptions, PostgresPlace};
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope};
use crate::model::{Error, PeerName, elapsed};
use crate::platform::clock::rfc3339;
#[cfg(feature = "postgres")]
use crate::platform::isolation::MeshLocation;
use crate::platform::text;

/// Create, list, rotate and revoke the keys of the hub
///
/// A key belongs to the mesh of this folder and acts as one peer, or as the peers of one host. It is shown once and
/// stored as a hash.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh key create --peer ci                      a key that acts as the peer ci
  claude-mesh key create --peer watch --scope read --expires 30d
  claude-mesh key list
  claude-mesh key rotate ci                             another text for the same key, the old one is revoked
  claude-mesh key revoke ci                             all keys of ci")]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    action: KeyAction,
    /// The mesh; that of this folder by default.
    #[arg(long, value_name = "NAME", global = true)]
    #[cfg_attr(feature = "postgres", arg(conflicts_with = "store"))]
    mesh: Option<String>,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    store: StoreArgs,
}

/// The mesh whose keys are managed.
struct KeyMesh {
    context: CliContext,
    /// The mesh on a database server, instead of the file of the context.
    #[cfg(feature = "postgres")]
    place: Option<PostgresPlace>,
}

impl KeyMesh {
    fn resolve(args: &KeyArgs, json: bool) -> Result<Self, Failure> {
        let folder = CommandFolder::resolve()?;
        #[cfg(feature = "postgres")]
        if let Some(location) = args.store.location()? {
            // Before and behind the action, clap does not compare them.
            if args.mesh.is_some() {
                let hint = "--mesh names a mesh in a file, --store one on a server";
                return Err(Failure::argument(
                    "--mesh cannot be used with --store",
                    hint,
                ));
            }
            let place = PostgresPlace::of_home(location, &folder.settings.mesh_home);
            let shown = MeshLocation {
                name: place.location.schema().to_owned(),
                database: place.path.clone(),
                decided_by: "--store".into(),
            };
            return Ok(Self {
                context: folder.into_context_of(shown, json),
                place: Some(place),
            });
        }
        let context = folder.into_context_of_mesh(args.mesh.as_deref(), json)?;
        Ok(Self {
            context,
            #[cfg(feature = "postgres")]
            place: None,
        })
    }

    /// Opens the mesh, and creates it if there is none.
    fn open(&self) -> Result<Mesh, Failure> {
        #[cfg(feature = "postgres")]
        if let Some(place) = &self.place {
            let options = MeshOptions::from_settings(&self.context.settings);
            return Ok(Mesh::connect(place, &options)?);
        }
        Ok(self.context.open()?)
    }

    /// Opens the mesh if there is one.
    fn open_existing(&self) -> Result<Option<Mesh>, Failure> {
        #[cfg(feature = "postgres")]
        if self.place.is_some() {
            return self.open().map(Some);
        }
        Ok(self.context.open_existing()?)
    }
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Create a key and print it, once.
    Create(KeyCreateArgs),
    /// List the keys, with their last use; never their text.
    List {
        /// Also those that have expired or were revoked.
        #[arg(long)]
        all: bool,
    },
    /// Replace a key by one with another text, and revoke it.
    Rotate {
        /// The id of a key, or the name of its peer or host.
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
    /// Revoke a key, or all keys of a name; `board` signs all boards out.
    Revoke {
        /// The id of a key, or the name of its peer or host.
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("holder").required(true).args(["peer", "host"])))]
struct KeyCreateArgs {
    /// The peer that its requests act as. It need not exist.
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// The host whose peers its requests act as.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// What it may do: read; write, as a session; admin, as a person.
    #[arg(long, value_enum, default_value_t = ScopeArg::Write)]
    scope: ScopeArg,
    /// How long it is valid, for example 30d; until it is revoked by default.
    #[arg(long, value_name = "SPAN", value_parser = duration::span)]
    expires: Option<Duration>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    Read,
    Write,
    Admin,
}

impl From<ScopeArg> for KeyScope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Read => Self::Read,
            ScopeArg::Write => Self::Write,
            ScopeArg::Admin => Self::Admin,
        }
    }
}

/// Runs `claude-mesh key`.
pub(super) fn key(args: &KeyArgs, json: bool) -> CommandResult {
    let mesh = KeyMesh::resolve(args, json)?;
    let context = &mesh.context;
    context.require_person("managing keys")?;
    match &args.action {
        KeyAction::Create(args) => create(&mesh, args),
        KeyAction::List { all } => list(&mesh, *all),
        KeyAction::Rotate { key } => {
            let rotated = mesh.open()?.rotate_key(key);
            let (text, key) = rotated.map_err(with_list_hint)?;
            print_new_key(context, &text, &key)
        }
        KeyAction::Revoke { key } => revoke(&mesh, key),
    }
}

/// Returns the failure of an operation on a key that was named.
fn with_list_hint(error: Error) -> Failure {
    match error {
        Error::Refused(refusal) => {
            let hint = "`claude-mesh key list` lists the keys; nothing was changed";
            CliError::new(refusal.code(), refusal.to_string(), hint).into()
        }
        Error::Fault(fault) => fault.into(),
    }
}

fn create(mesh: &KeyMesh, args: &KeyCreateArgs) -> CommandResult {
    let context = &mesh.context;
    let draft = KeyDraft {
        holder: holder(args)?,
        scope: args.scope.into(),
        project: Some(context.project.path.to_string_lossy().into_owned()),
        lifetime: lifetime(args.expires)?,
    };
    let (text, key) = mesh.open()?.create_key(&draft)?;
    print_new_key(context, &text, &key)
}

fn lifetime(expires: Option<Duration>) -> Result<Option<Duration>, Failure> {
    if expires.is_some_and(|span| span.is_zero()) {
        let hint = "omit it for a key that is valid until it is revoked; nothing was changed";
        return Err(Failure::argument("--expires must be 1s or more", hint));
    }
    Ok(expires)
}

fn holder(args: &KeyCreateArgs) -> Result<KeyHolder, Failure> {
    match (&args.peer, &args.host) {
        (Some(name), _) => {
            let name = PeerName::parse_chosen(name)?;
            if name.as_str() == HTTP_LOCAL_PEER {
                let message = format!("{HTTP_LOCAL_PEER:?} is the peer of the hub's own key");
                let hint = "choose another name; nothing was changed";
                return Err(Failure::argument(message, hint));
            }
            Ok(KeyHolder::Peer(name))
        }
        (None, host) => Ok(KeyHolder::parse_host(host.as_deref().unwrap_or_default())?),
    }
}

fn print_new_key(context: &CliContext, text: &str, key: &AccessKey) -> CommandResult {
    if context.json {
        let mut body = json!({ "key": text });
        for (name, value) in key_fields(key) {
            body[name] = value;
        }
        print::json(&body)?;
        return Ok(CommandStatus::Done);
    }
    print::line(text)?;
    let expires = match key.expires_at_ms {
        Some(at_ms) => format!("until {}", rfc3339(at_ms)),
        None => "until it is revoked".into(),
    };
    print::notice(
        &format!(
            "key {} of {} {}, scope {}, valid {expires}",
            key.id,
            key.holder.kind(),
            key.holder.name(),
            key.scope
        ),
        "keep it now, it is not shown again; send it as `Authorization: Bearer KEY`",
    )?;
    Ok(CommandStatus::Done)
}

/// Returns what is printed of a new key: id, holder, scope and expiry.
fn key_fields(key: &AccessKey) -> [(&'static str, Value); 4] {
    [
        ("id", key.id.to_string().into()),
        (key.holder.kind(), key.holder.name().into()),
        ("scope", key.scope.as_str().into()),
        ("expires_at", key.expires_at_ms.map(rfc3339).into()),
    ]
}

/// Returns a key as it is listed.
fn listed_key(key: &AccessKey) -> Value {
    let mut body = json!({});
    for (name, value) in key_fields(key) {
        body[name] = value;
    }
    body["project"] = key.project.clone().into();
    body["created_at"] = rfc3339(key.created_at_ms).into();
    body["last_used_at"] = key.last_used_at_ms.map(rfc3339).into();
    body["revoked_at"] = key.revoked_at_ms.map(rfc3339).into();
    body
}

fn list(mesh: &KeyMesh, all: bool) -> CommandResult {
    let context = &mesh.context;
    let (mut keys, mut now_ms) = (Vec::new(), 0);
    if let Some(mut mesh) = mesh.open_existing()? {
        now_ms = mesh.now().wall_ms;
        keys = mesh.keys()?;
    }
    keys.retain(|key| all || key.problem(now_ms).is_none());
    if context.json {
        let keys: Vec<_> = keys.iter().map(listed_key).collect();
        print::json(&json!({ "keys": keys }))?;
    } else if keys.is_empty() {
        print::line("no keys; `claude-mesh key create --peer NAME` creates one")?;
    } else {
        print_table(&keys, now_ms)?;
    }
    Ok(CommandStatus::Done)
}

fn print_table(keys: &[AccessKey], now_ms: i64) -> Result<(), Failure> {
    let mut rows = table::with_header(["ID", "HOLDER", "SCOPE", "LAST USED", "STATE"]);
    for key in keys {
        let ago = |at_ms| elapsed::format_ago(now_ms - at_ms);
        let state = match (key.problem(now_ms), key.expires_at_ms) {
            (Some(problem), _) => problem.to_string(),
            (None, Some(at_ms)) => format!("expires {}", rfc3339(at_ms)),
            (None, None) => "valid".into(),
        };
        let holder = match &key.holder {
            KeyHolder::Board => "board".into(),
            holder => format!("{} {}", holder.kind(), holder.name()),
        };
        rows.add_row([
            key.id.to_string(),
            text::strip_terminal_controls(&holder),
            key.scope.to_string(),
            key.last_used_at_ms.map_or_else(|| "never".into(), ago),
            state,
        ]);
    }
    print::line(&table::text(&rows))?;
    Ok(())
}

fn revoke(mesh: &KeyMesh, name_or_id: &str) -> CommandResult {
    let context = &mesh.context;
    let revoked = match mesh.open_existing()? {
        Some(mut mesh) => mesh.revoke_keys(name_or_id)?,
        None => Vec::new(),
    };
    if revoked.is_empty() {
        let message = format!(
            "{name_or_id:?} has no key in the mesh {} that could be revoked",
            context.location.name
        );
        let hint = "`claude-mesh key list --all` lists them; nothing was changed";
        return Err(CliError::new("not_found", message, hint).into());
    }
    if context.json {
        let ids: Vec<_> = revoked.iter().map(|key| key.id.to_string()).collect();
        print::json(&json!({ "revoked": ids }))?;
        return Ok(CommandStatus::Done);
    }
    for key in revoked {
        print::line(&format!(
            "revoked {} of {}",
            key.id,
            text::strip_terminal_controls(key.holder.name())
        ))?;
    }
    Ok(CommandStatus::Done)
}
