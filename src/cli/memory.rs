//! `claude-mesh memory`: adds, finds and erases the memories of this repository and of the mesh.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use clap::{Args, Subcommand, ValueEnum};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::format::bold_name;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, SessionGuard};
use crate::cli::erase_residue::EraseResidue;
use crate::cli::error::{CliError, Failure};
use crate::cli::{duration, print, text_input};
use crate::mesh;
use crate::mesh::{EraseOutcome, MemorySelector};
use crate::model::elapsed::format_ago;
use crate::model::memory::{MemoryScope, Query};
use crate::store;
use crate::tools::output;

/// Find, add and erase what sessions remember
///
/// Memories belong to this repository, with all its worktrees, or to the whole mesh.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh memory recall deploy staging
  claude-mesh memory recall '\"deploy steps\" migrat* -production'
  claude-mesh memory recall --key deploy --history
  claude-mesh memory remember --key deploy 'make deploy ENV=staging, then watch the log'
  git log -5 | claude-mesh memory remember --tag release -
  claude-mesh memory forget deploy")]
pub(super) struct MemoryArgs {
    #[command(subcommand)]
    action: MemoryAction,
}

#[derive(Debug, Subcommand)]
enum MemoryAction {
    Remember(RememberArgs),
    Recall(RecallArgs),
    Forget(ForgetArgs),
    List(ListArgs),
}

/// Remember a text; the same key again replaces it
#[derive(Debug, Args)]
struct RememberArgs {
    /// What to remember; `-` reads stdin.
    text: String,
    /// A key by which it is replaced and found.
    #[arg(long)]
    key: Option<String>,
    /// A word to find it by; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// When it is removed, for example after 12h, 30d.
    #[arg(long, value_name = "SPAN", value_parser = duration::span)]
    ttl: Option<std::time::Duration>,
    /// For this repository or for the whole mesh.
    #[arg(long, value_enum, default_value = "project")]
    scope: MemoryScopeArg,
    /// Keep a text that looks like a secret; only a person may.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MemoryScopeArg {
    Project,
    Mesh,
}

/// Find memories: words, "phrases", beginnings*, -exclusions
#[derive(Debug, Args)]
struct RecallArgs {
    /// What to search for; with -exclusions in quotes as one argument.
    query: Vec<String>,
    #[command(flatten)]
    filter: MemoryFilterArgs,
    /// The memory of this key.
    #[arg(long)]
    key: Option<String>,
    /// All versions of the key, with who replaced them and when.
    #[arg(long, requires = "key", conflicts_with_all = ["query", "tags"])]
    history: bool,
}

/// List the newest memories
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    filter: MemoryFilterArgs,
}

#[derive(Debug, Args)]
struct MemoryFilterArgs {
    /// Only with this tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only those of this repository, or only those of the mesh.
    #[arg(long, value_enum)]
    scope: Option<MemoryScopeArg>,
    /// The maximum number.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    limit: u32,
}

/// Erase a memory with all its versions
#[derive(Debug, Args)]
struct ForgetArgs {
    /// The key, of this repository or else of the mesh.
    #[arg(required_unless_present_any = ["named", "id"], conflicts_with_all = ["named", "id"])]
    key: Option<String>,
    /// The key, as an option like that of the other commands.
    #[arg(long = "key", value_name = "KEY", conflicts_with = "id")]
    named: Option<String>,
    /// The id of the memory.
    #[arg(long, value_name = "MEMORY_ID")]
    id: Option<String>,
}

pub(super) fn memory(context: &CliContext, args: &MemoryArgs) -> CommandResult {
    match &args.action {
        MemoryAction::Remember(args) => remember(context, args),
        MemoryAction::Recall(args) if args.history => history(context, args),
        MemoryAction::Recall(args) => {
            let words = args.query.join(" ");
            let query = (!args.query.is_empty()).then_some(words.as_str());
            recall(context, query, args.key.as_deref(), &args.filter)
        }
        MemoryAction::List(args) => recall(context, None, None, &args.filter),
        MemoryAction::Forget(args) => forget(context, args),
    }
}

fn remember(context: &CliContext, args: &RememberArgs) -> CommandResult {
    let text = memory_text(args)?;
    let SessionGuard { mesh, me, .. } = &mut context.register(context.open()?)?;
    let seconds = args
        .ttl
        .map(|ttl| u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX));
    let new = mesh::Remember {
        text: &text,
        key: args.key.as_deref(),
        tags: &args.tags,
        ttl_seconds: seconds,
        scope: args.scope.into(),
        force: args.force,
    };
    let home = mesh.project_memory_scope(&context.project)?;
    let remembered = mesh.remember(me, &home, new)?;
    if context.json {
        print::json(&output::remembered(&remembered))?;
        return Ok(CommandStatus::Done);
    }
    let what = match (&remembered.key, remembered.version) {
        (Some(key), 1) => format!("{key:?} is remembered"),
        (Some(key), version) => format!("{key:?} is replaced; this is version {version}"),
        (None, _) => "remembered".into(),
    };
    print::line(&format!("{what}  {}", remembered.id.dimmed()))?;
    Ok(CommandStatus::Done)
}

/// Returns the text to remember, which may come from stdin.
fn memory_text(args: &RememberArgs) -> Result<String, Failure> {
    match args.text.as_str() {
        "-" => text_input::read("text", "-"),
        text => Ok(text.to_owned()),
    }
}

fn recall(
    context: &CliContext,
    query: Option<&str>,
    key: Option<&str>,
    filter: &MemoryFilterArgs,
) -> CommandResult {
    let parsed = query.map(Query::parse).transpose()?;
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "memories": [] }));
    };
    let wanted = mesh::Recall {
        query,
        key,
        tags: &filter.tags,
        scope: filter.scope.map(MemoryScope::from),
        limit: filter.limit as usize,
    };
    let home = mesh.project_memory_scope(&context.project)?;
    let found = mesh.recall(&home, wanted)?;
    if context.json {
        let memories: Vec<Value> = found
            .iter()
            .map(|one| output::memory(one, parsed.as_ref()))
            .collect();
        print::json(&json!({ "memories": memories }))?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    for one in &found {
        print_memory(context, &one.memory, now_ms)?;
    }
    if found.is_empty() {
        print::line("no such memory here")?;
    }
    Ok(CommandStatus::Done)
}

fn history(context: &CliContext, args: &RecallArgs) -> CommandResult {
    let key = args.key.as_deref().unwrap_or_default();
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "versions": [] }));
    };
    let scope = args.filter.scope.map(MemoryScope::from);
    let home = mesh.project_memory_scope(&context.project)?;
    let versions = mesh.memory_history(&home, key, scope)?;
    if context.json {
        let versions: Vec<Value> = versions.iter().map(output::version).collect();
        print::json(&json!({ "key": key, "versions": versions }))?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    for version in &versions {
        print_memory(context, version, now_ms)?;
        if let Some((by, at_ms)) = &version.superseded {
            let by = context.sanitize_foreign(by);
            let line = format!("  replaced by {by} {}", format_ago(now_ms - at_ms));
            print::line(&line.dimmed().to_string())?;
        }
    }
    if versions.is_empty() {
        print::line("no memory with that key here")?;
    }
    Ok(CommandStatus::Done)
}

fn print_memory(context: &CliContext, memory: &store::Memory, now_ms: i64) -> Result<(), Failure> {
    let mut head = String::new();
    if let Some(key) = &memory.key {
        let version = if memory.version > 1 {
            format!(" (version {})", memory.version)
        } else {
            String::new()
        };
        head = format!("{}{version}  ", bold_name(&context.sanitize_foreign(key)));
    }
    let tags: Vec<String> = memory
        .tags
        .iter()
        .map(|tag| format!("#{}", context.sanitize_foreign(tag)))
        .collect();
    let scope_note = if memory.scope_kind() == MemoryScope::Mesh {
        ", mesh"
    } else {
        ""
    };
    let details = format!(
        "{}, {}{scope_note}  {}  {}",
        context.sanitize_foreign(&memory.by),
        format_ago(now_ms - memory.at_ms),
        tags.join(" "),
        memory.id
    );
    print::line(&format!("{head}{}", details.dimmed()))?;
    for line in context.sanitize_foreign(&memory.text).lines() {
        print::line(&format!("  {line}"))?;
    }
    Ok(())
}

fn forget(context: &CliContext, args: &ForgetArgs) -> CommandResult {
    let which = match (args.key.as_ref().or(args.named.as_ref()), &args.id) {
        (_, Some(id)) => MemorySelector::Id(id.trim().parse().map_err(|_| invalid_id_error(id))?),
        (key, None) => MemorySelector::Key(key.map_or("", String::as_str)),
    };
    let Some(mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "forgotten": 0 }));
    };
    let SessionGuard { mesh, me, .. } = &mut context.register(mesh)?;
    let home = mesh.project_memory_scope(&context.project)?;
    let forgotten = mesh.forget(me, &home, which)?;
    if forgotten == EraseOutcome::NotFound {
        if context.json {
            print::json(&json!({ "forgotten": 0 }))?;
        } else {
            print::line("no such memory; nothing was changed")?;
        }
        return Ok(CommandStatus::Done);
    }
    let erase_residue = EraseResidue {
        in_database_files: forgotten == EraseOutcome::PartiallyErased,
        copies: mesh.backups_with_memories(),
    };
    if context.json {
        let mut body = json!({ "forgotten": 1 });
        erase_residue.add_to(&mut body);
        print::json(&body)?;
    } else {
        print::line(
            "erased, with its earlier versions; the event log keeps its events, without the text",
        )?;
        erase_residue.report(context)?;
    }
    Ok(CommandStatus::Done)
}

fn invalid_id_error(id: &str) -> Failure {
    let message = format!(
        "{:?} is not the id of a memory",
        crate::platform::text::one_line(id)
    );
    let hint = "`claude-mesh memory recall` shows the ids; nothing was changed";
    CliError::new("invalid_argument", message, hint).into()
}

impl From<MemoryScopeArg> for MemoryScope {
    fn from(scope_arg: MemoryScopeArg) -> Self {
        match scope_arg {
            MemoryScopeArg::Project => Self::Project,
            MemoryScopeArg::Mesh => Self::Mesh,
        }
    }
}
