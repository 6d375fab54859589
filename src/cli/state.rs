//! `claude-mesh state`: reads and writes the values that sessions share, for people and scripts.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::borrow::Cow;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::{duration, print, table, text_input};
use crate::mesh::NewValue;
use crate::model::elapsed::format_ago;
use crate::model::state::{EntryKey, EntryRange, Namespace, StateEntry, TTL_SECONDS_MAX};
use crate::platform::text;
use crate::tools::output;

/// Read and write values that sessions share
///
/// A key belongs to the project of this folder, unless --namespace is given: `shared` is the whole mesh, any other name is
/// a namespace within the project.
#[derive(Debug, Args)]
#[command(after_help = "Exit status of get: 0 found; 3 there is no such entry.

Examples:
  claude-mesh state set port 5433                        a number, because it is JSON
  claude-mesh state set api 'up since noon'              not JSON, so it is a text
  claude-mesh state set api - --text < notes.md          stdin, always as a text
  claude-mesh state get port
  claude-mesh state set lock '\"me\"' --expected-version 0 --ttl 10m
  claude-mesh state list --prefix build/ --namespace shared
  claude-mesh state delete port")]
pub(super) struct StateArgs {
    #[command(subcommand)]
    action: StateAction,
}

#[derive(Debug, Subcommand)]
enum StateAction {
    /// Print a value; a text is printed without quotes.
    Get {
        /// The key.
        key: String,
        #[command(flatten)]
        place: NamespaceArgs,
    },
    /// Put a value under a key.
    Set {
        /// The key.
        key: String,
        /// The value: JSON if it parses, else a text; `-` reads stdin.
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// Store the value as a text, even if it is JSON.
        #[arg(long)]
        text: bool,
        /// When it is removed, for example after 10m.
        #[arg(long, value_name = "SPAN", value_parser = duration::span)]
        ttl: Option<Duration>,
        #[command(flatten)]
        expected: ExpectedVersionArgs,
        #[command(flatten)]
        place: NamespaceArgs,
    },
    /// List the entries, by key.
    List {
        /// Only keys that begin with this.
        #[arg(long, default_value = "")]
        prefix: String,
        /// Only keys after this one.
        #[arg(long, default_value = "", value_name = "KEY")]
        after: String,
        #[command(flatten)]
        place: NamespaceArgs,
    },
    /// Remove an entry.
    Delete {
        /// The key.
        key: String,
        #[command(flatten)]
        expected: ExpectedVersionArgs,
        #[command(flatten)]
        place: NamespaceArgs,
    },
}

#[derive(Debug, Args)]
struct NamespaceArgs {
    /// `shared` for the whole mesh, or a name within this project.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
}

#[derive(Debug, Args)]
struct ExpectedVersionArgs {
    /// Only if the entry has this version; 0: only if there is none.
    #[arg(long, value_name = "VERSION")]
    expected_version: Option<u32>,
}

/// How many bytes of values are listed at a time.
const LIST_BYTES_MAX: usize = 4_000_000;

/// Reads or writes the shared state.
pub(super) fn state(context: &CliContext, args: &StateArgs) -> CommandResult {
    match &args.action {
        StateAction::Get { key, place } => get(context, &place.of(context)?, key),
        StateAction::List {
            prefix,
            after,
            place,
        } => list(context, &place.of(context)?, prefix, after),
        StateAction::Delete {
            key,
            expected,
            place,
        } => delete(context, &place.of(context)?, key, expected),
        StateAction::Set {
            key,
            value,
            text,
            ttl,
            expected,
            place,
        } => {
            let namespace = place.of(context)?;
            let value = read_value(value, *text)?;
            let new = NewValue {
                value: &value,
                expected_version: expected.expected_version.map(i64::from),
                ttl_seconds: ttl.map(ttl_seconds).transpose()?,
            };
            let mut session = context.register(context.open()?)?;
            let entry = session
                .mesh
                .set_entry(&session.me, EntryKey::of(&namespace, key), &new)?;
            if context.json {
                print::json(&output::entry(&entry))?;
            } else {
                print::line(&format!(
                    "{} is set, version {}",
                    context.sanitize_foreign(key),
                    entry.version
                ))?;
            }
            Ok(CommandStatus::Done)
        }
    }
}

impl NamespaceArgs {
    fn of(&self, context: &CliContext) -> Result<Namespace, Failure> {
        Ok(Namespace::of(
            &context.project.path,
            self.namespace.as_deref(),
        )?)
    }
}

/// Parses a typed value as JSON. A value that is not JSON is a text, so that words need no quotes.
fn read_value(typed: &str, is_text: bool) -> Result<Value, Failure> {
    let stdin = if typed == "-" {
        Some(text_input::read("value", "-")?)
    } else {
        None
    };
    let text = match &stdin {
        Some(text) => text.strip_suffix('\n').unwrap_or(text),
        None => typed,
    };
    let json = serde_json::from_str(text).ok().filter(|_| !is_text);
    Ok(json.unwrap_or_else(|| Value::from(text)))
}

fn ttl_seconds(span: Duration) -> Result<u32, Failure> {
    u32::try_from(span.as_secs())
        .ok()
        .filter(|seconds| (1..=TTL_SECONDS_MAX).contains(seconds))
        .ok_or_else(|| {
            Failure::argument(
                "--ttl must be from 1s to 365d",
                "omit it for an entry that stays; nothing was changed",
            )
        })
}

fn get(context: &CliContext, namespace: &Namespace, key: &str) -> CommandResult {
    let entry = match context.open_existing()? {
        Some(mut mesh) => mesh.entry(namespace, key)?,
        None => StateEntry::absent(&namespace.name, key),
    };
    if context.json {
        print::json(&output::entry(&entry))?;
    } else if entry.exists() {
        context.print_foreign(&bare(&entry.value))?;
    } else {
        let (key, namespace) = (text::one_line(key), text::one_line(&namespace.name));
        print::notice(
            &format!("no entry {key:?} in namespace {namespace:?}"),
            "`claude-mesh state list` lists the entries",
        )?;
    }
    Ok(if entry.exists() {
        CommandStatus::Done
    } else {
        CommandStatus::NoAnswer
    })
}

fn delete(
    context: &CliContext,
    namespace: &Namespace,
    key: &str,
    expected: &ExpectedVersionArgs,
) -> CommandResult {
    let Some(mesh) = context.open_existing()? else {
        return context.report_no_mesh(&output::deletion(namespace, key, None));
    };
    let mut session = context.register(mesh)?;
    let expected = expected.expected_version.map(i64::from);
    let deleted_version =
        session
            .mesh
            .delete_entry(&session.me, EntryKey::of(namespace, key), expected)?;
    if context.json {
        print::json(&output::deletion(namespace, key, deleted_version))?;
    } else if deleted_version.is_some() {
        print::line(&format!("{} is deleted", context.sanitize_foreign(key)))?;
    } else {
        print::line(&format!("there was no {}", context.sanitize_foreign(key)))?;
    }
    Ok(CommandStatus::Done)
}

fn list(context: &CliContext, namespace: &Namespace, prefix: &str, after: &str) -> CommandResult {
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&output::entries(namespace, &[], false));
    };
    let (entries, more) = mesh.entries(
        namespace,
        &EntryRange {
            prefix,
            after,
            bytes_max: LIST_BYTES_MAX,
        },
    )?;
    if context.json {
        print::json(&output::entries(namespace, &entries, more))?;
        return Ok(CommandStatus::Done);
    }
    if entries.is_empty() {
        print::line("no entries; `claude-mesh state set KEY VALUE` creates one")?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    let mut table = table::with_header(["KEY", "VERSION", "SET", "VALUE"]);
    for entry in &entries {
        table.add_row([
            context.sanitize_foreign(&entry.key),
            entry.version.to_string(),
            set_by(entry, now_ms),
            text::cut_chars(
                &text::one_line(&context.sanitize_foreign(&bare(&entry.value))),
                120,
            )
            .to_owned(),
        ]);
    }
    print::line(&table::text(&table))?;
    if let (true, Some(last)) = (more, entries.last()) {
        print::line(&format!(
            "there are more; continue with `--after {}`",
            context.sanitize_foreign(&last.key)
        ))?;
    }
    Ok(CommandStatus::Done)
}

fn set_by(entry: &StateEntry, now_ms: i64) -> String {
    entry
        .updated
        .as_ref()
        .map_or_else(String::new, |(by, at_ms)| {
            format!("{} by {by}", format_ago(now_ms - at_ms))
        })
}

/// Returns a text without quotes, any other value as JSON.
fn bare(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        value => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_value_is_json_if_it_parses_and_text_otherwise() {
        let read = |typed: &str, text| read_value(typed, text).unwrap();
        assert_eq!(read("5433", false), 5433);
        assert_eq!(read("5433", true), "5433");
        assert_eq!(read("null", false), Value::Null);
        assert_eq!(read("up {since", false), "up {since");
        assert_eq!(read("", false), "");
    }
}
