//! `claude-mesh peers`: lists peers, those that need the person first; frees names.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::{Attribute, Cell, Color, Table};
use serde_json::{Value, json};

use super::format::ellipsize;
use super::{print, table};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, SessionGuard};
use crate::cli::error::{CliError, Failure};
use crate::mesh::{Mesh, PeerScope, PeerView, RankedPeer};
use crate::model::activity_summary::ActivitySummary;
use crate::model::elapsed::{format_ago, format_duration};
use crate::model::expertise::ExpertiseQuery;
use crate::model::peer::nearest;
use crate::model::throttle::{ThrottleReason, Throttled};
use crate::model::{Activity, Error, Liveness, PeerKind, PeerName, Refusal};
use crate::platform::clock::rfc3339;
use crate::platform::host_path::host_of;
use crate::platform::text;
use crate::tools::output;

/// List the peers: what they do, what waits for them, which need you
///
/// Sorted by need: first sessions that wait at a dialog, then those whose questions wait until you type there, then those
/// that must be restarted to be asked, then others that are held.
#[derive(Debug, Args)]
#[command(after_help = "\
Activity: idle (at its prompt), busy (in a turn), waiting (a dialog waits for you), needs_restart (it was opened before
the install, or its server was stopped: restart it), offline, unknown.
Turns, if there are any: how many turns peers have started, of how many they may until you type there; and how often the
newest turn was continued for a question.

Examples:
  claude-mesh peers
  claude-mesh peers --watch
  claude-mesh peers --about \"database migrations\"
  claude-mesh peers --all --scope repo
  claude-mesh peers --forget old-project")]
pub(super) struct PeersArgs {
    /// Redraw after each change, until Ctrl-C.
    #[arg(long, conflicts_with = "forget")]
    watch: bool,
    /// Also list mailboxes without a session.
    #[arg(long, conflicts_with = "forget")]
    all: bool,
    /// Which peers: of the whole mesh, of this machine, of this repository, or of this folder and below.
    #[arg(long, value_enum, default_value = "mesh")]
    scope: PeerScopeArg,
    /// Rank by who most likely knows about this, with the reason; nobody is asked.
    #[arg(long, value_name = "TEXT", conflicts_with = "forget")]
    about: Option<String>,
    /// Free a name: remove a mailbox without a session, and its questions. For the person only.
    #[arg(long, value_name = "NAME")]
    forget: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PeerScopeArg {
    Mesh,
    Machine,
    Repo,
    Directory,
}

/// How often a watched list is read.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Lists peers, watches them, or frees a name.
pub(super) fn peers(context: &CliContext, args: &PeersArgs) -> CommandResult {
    if let Some(name) = &args.forget {
        return forget(context, name);
    }
    if args.watch {
        return watch(context, args);
    }
    match context.open_existing()? {
        Some(mut mesh) => show(&PeersSnapshot::of(context, &mut mesh, args)?, context)?,
        None => return context.report_no_mesh(&json!({ "peers": [] })),
    }
    Ok(CommandStatus::Done)
}

/// Returns the peers that can be asked: of the whole mesh, or of this repository only.
pub(super) fn askable(
    context: &CliContext,
    mesh: &mut Mesh,
    repo: bool,
) -> Result<Vec<PeerName>, Failure> {
    let scope = if repo {
        PeerScopeArg::Repo
    } else {
        PeerScopeArg::Mesh
    };
    Ok(mesh
        .peers(None, PeerScope::Mesh, false)?
        .into_iter()
        .filter(|view| view.askable && view.peer.kind != PeerKind::Person)
        .filter(|view| is_in_scope(scope, context, view))
        .map(|view| view.peer.name)
        .collect())
}

/// Adds to the refusal of an unknown name the nearest names.
pub(super) fn with_peer_suggestions(mesh: &mut Mesh, error: Error) -> Result<Failure, Failure> {
    let Error::Refused(Refusal::UnknownPeer { name, .. }) = &error else {
        return Ok(error.into());
    };
    let mut views = mesh.peers(None, PeerScope::Mesh, true)?;
    views.retain(|view| view.peer.kind == PeerKind::Session);
    let names: Vec<String> = views
        .iter()
        .map(|view| view.peer.name.to_string())
        .collect();
    let present = views.iter().filter(|view| view.liveness == Liveness::Alive);
    Ok(Refusal::UnknownPeer {
        nearest: nearest(name, &names),
        present: present.map(|view| view.peer.name.to_string()).collect(),
        name: name.clone(),
    }
    .into())
}

/// Redraws on a terminal; elsewhere prints the list again after each change.
fn watch(context: &CliContext, args: &PeersArgs) -> CommandResult {
    let redraws = print::is_terminal() && !context.json;
    let mut mesh = None;
    let mut last = String::new();
    loop {
        if mesh.is_none() {
            mesh = context.open_existing()?;
        }
        let rendered = match &mut mesh {
            Some(mesh) => {
                let snapshot = PeersSnapshot::of(context, mesh, args)?;
                if context.json {
                    format!("{}\n", snapshot.json())
                } else {
                    snapshot.rendered(context)
                }
            }
            None if context.json => format!("{}\n", json!({ "peers": [] })),
            None => format!(
                "no mesh here yet: {}\n",
                context.shown(&context.location.database)
            ),
        };
        if rendered != last {
            if redraws {
                print::redraw(&format!("{rendered}\nCtrl-C ends this\n"))?;
            } else {
                print::raw(rendered.as_bytes())?;
            }
            last = rendered;
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn forget(context: &CliContext, name: &str) -> CommandResult {
    let Some(mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "forgotten": false }));
    };
    let SessionGuard { mesh, me, .. } = &mut context.register(mesh)?;
    let name = name.trim().to_lowercase();
    let forgotten = mesh.forget_peer(me, &name).map_err(|error| match error {
        Error::Refused(Refusal::Conflict { problem }) => {
            let hint = "it can be removed after that session has ended; nothing was changed";
            CliError::new("conflict", problem, hint).into()
        }
        other => Failure::from(other),
    });
    if !forgotten? {
        let message = format!("no mailbox called {name:?} in this mesh");
        let hint = "`claude-mesh peers --all` lists them; nothing was changed";
        return Err(CliError::new("unknown_peer", message, hint).into());
    }
    if context.json {
        print::json(&json!({ "forgotten": true, "peer": name }))?;
    } else {
        print::line(&format!(
            "removed the mailbox {name} with its questions; the name is free"
        ))?;
    }
    Ok(CommandStatus::Done)
}

fn show(snapshot: &PeersSnapshot, context: &CliContext) -> Result<(), Failure> {
    if context.json {
        print::json(&snapshot.json())?;
    } else {
        print::raw(snapshot.rendered(context).as_bytes())?;
    }
    Ok(())
}

/// The peers at one time.
struct PeersSnapshot {
    you: Option<PeerName>,
    peers: Vec<RankedPeer>,
    about: bool,
    wake_budget: u32,
    now_ms: i64,
}

impl PeersSnapshot {
    fn of(context: &CliContext, mesh: &mut Mesh, args: &PeersArgs) -> Result<Self, Failure> {
        let mut views = mesh.peers(None, PeerScope::Mesh, args.all)?;
        views.retain(|view| is_in_scope(args.scope, context, view));
        views.sort_by_key(|view| (urgency(view), view.peer.name.clone()));
        let subject = args
            .about
            .as_deref()
            .map(ExpertiseQuery::parse)
            .transpose()?;
        Ok(Self {
            you: context.speaker_name(mesh)?,
            about: subject.is_some(),
            wake_budget: context.settings.wake_budget,
            peers: match subject {
                Some(subject) => mesh.rank_by_expertise(&subject, views)?,
                None => views
                    .into_iter()
                    .map(|view| RankedPeer { view, why: None })
                    .collect(),
            },
            now_ms: mesh.now().wall_ms,
        })
    }

    fn json(&self) -> Value {
        let shape = |peer: &RankedPeer| {
            if self.about {
                output::ranked(peer, self.now_ms)
            } else {
                output::peer(&peer.view, self.now_ms)
            }
        };
        let peers: Vec<Value> = self.peers.iter().map(shape).collect();
        let mut value = json!({ "peers": peers });
        if let Some(you) = &self.you {
            value["you"] = json!(you);
        }
        value
    }

    fn rendered(&self, context: &CliContext) -> String {
        let mesh = format!(
            "mesh {} ({})",
            context.location.name,
            context.shown(&context.location.database)
        );
        let you = match &self.you {
            Some(you) => format!(", you are {you}"),
            None => String::new(),
        };
        if self.peers.is_empty() {
            return format!(
                "{mesh}{you}\nno session is here now; --all also lists mailboxes without one\n"
            );
        }
        let widths = self.table(context, None).column_max_content_widths();
        let table = self.table(context, Some(last_column_width(&widths)));
        format!("{mesh}{you}\n{}\n", table::text(&table))
    }

    /// Returns the table. With a `width_budget` it has a last column, if there is a text for it, cut to that width.
    fn table(&self, context: &CliContext, width_budget: Option<usize>) -> Table {
        let header = ["NAME", "ACTIVITY", "ROLE", "PROJECT", "WAITING", "ASKABLE"];
        let last = if self.about { "WHY" } else { "DOING" };
        let width_budget =
            width_budget.filter(|_| self.peers.iter().any(|peer| self.last(peer).is_some()));
        let shows_turns = self
            .peers
            .iter()
            .any(|peer| self.turns(&peer.view).is_some());
        let header = header
            .into_iter()
            .chain(shows_turns.then_some("TURNS"))
            .chain(width_budget.map(|_| last));
        let mut table = table::with_header(header);
        for peer in &self.peers {
            let view = &peer.view;
            let mut row = vec![
                Cell::new(view.peer.name.as_str()),
                activity_cell(&self.activity(view), view),
                Cell::new(text::one_line(view.peer.role.as_deref().unwrap_or("-"))),
                Cell::new(project_text(view, context)),
                Cell::new(view.questions_waiting),
                Cell::new(if view.askable { "yes" } else { "no" }),
            ];
            if shows_turns {
                row.push(Cell::new(self.turns(view).unwrap_or_default()));
            }
            if let Some(width_budget) = width_budget {
                let last = self.last(peer).unwrap_or_default();
                row.push(Cell::new(ellipsize(
                    &context.sanitize_foreign(&text::one_line(&last)),
                    width_budget,
                )));
            }
            table.add_row(row);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        table
    }

    /// Returns how many turns peers have started, of how many they may, and how often the newest turn was continued, and
    /// how many questions forks have answered; `None` if there are none.
    fn turns(&self, view: &PeerView) -> Option<String> {
        let session = view.session.as_ref()?;
        let (turns, stops) = (session.posted_turns, session.stop_streak);
        let posted = (turns > 0).then(|| format!("{turns} of {}", self.wake_budget));
        let kept = (stops > 0).then(|| format!("kept {stops}"));
        let answers = view.forks.answers;
        let by_forks = (answers > 0).then(|| format!("{answers} by forks"));
        let parts: Vec<String> = posted.into_iter().chain(kept).chain(by_forks).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn last(&self, peer: &RankedPeer) -> Option<String> {
        if self.about {
            return peer.why.clone();
        }
        peer.view
            .activity_summary
            .as_ref()
            .and_then(ActivitySummary::line)
    }

    /// Returns what it does, since when it is idle, and its throttle.
    fn activity(&self, view: &PeerView) -> String {
        let activity = match (view.activity, view.idle_ms) {
            _ if view
                .reachable_by
                .as_ref()
                .is_some_and(|ways| !ways.is_empty()) =>
            {
                let ways = view.reachable_by.iter().flatten();
                let ways: Vec<&str> = ways.map(|way| way.as_str()).collect();
                format!("by {}", ways.join(", "))
            }
            (Activity::Offline, _) => format!(
                "offline, seen {}",
                format_ago(self.now_ms - view.peer.last_seen_at_ms)
            ),
            // With seconds a watched list would change at each read.
            (Activity::Idle, Some(idle_ms @ 100_000..)) => {
                format!("idle for {}", format_duration(idle_ms))
            }
            (other, _) => other.as_str().to_owned(),
        };
        match view.held {
            Some(held) => format!("{activity}, {}", describe_throttle(held)),
            None => activity,
        }
    }
}

/// Returns the width that is left for a last column; without a terminal it is unlimited.
fn last_column_width(widths: &[u16]) -> usize {
    const MIN_WIDTH: usize = 24;
    const PADDING: usize = 2;
    let used_width: usize = widths
        .iter()
        .map(|width| usize::from(*width) + PADDING)
        .sum();
    print::columns(std::io::stdout()).map_or(usize::MAX, |columns| {
        columns.saturating_sub(used_width + PADDING).max(MIN_WIDTH)
    })
}

/// Describes a throttle, to follow the name or the activity of a peer.
pub(super) fn describe_throttle(held: Throttled) -> String {
    let until = held.ends_at_ms.map(rfc3339);
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    match held.reason {
        ThrottleReason::Quiet => format!("is quiet{until}"),
        ThrottleReason::Paused => format!("is paused{until}"),
        ThrottleReason::WakeBudget => "has answered enough until you type".into(),
        ThrottleReason::PersonBudget => format!("has been asked enough{until}"),
    }
}

fn is_in_scope(scope: PeerScopeArg, context: &CliContext, view: &PeerView) -> bool {
    let own = &context.project;
    match scope {
        PeerScopeArg::Mesh => true,
        PeerScopeArg::Machine => view.peer.project.as_deref().and_then(host_of).is_none(),
        PeerScopeArg::Repo => match (&own.git_common, &view.peer.git_common) {
            (Some(own), Some(other)) => own == Path::new(other),
            _ => false,
        },
        PeerScopeArg::Directory => view
            .peer
            .project
            .as_ref()
            .is_some_and(|project| Path::new(project).starts_with(&own.path)),
    }
}

/// Returns the sort key: 0 for a dialog, which needs the person most.
pub(super) fn urgency(view: &PeerView) -> u8 {
    let held = view.held.map(|held| held.reason);
    let waits = view.questions_waiting > 0;
    match (view.activity, held) {
        (Activity::Waiting, _) => 0,
        (_, Some(ThrottleReason::WakeBudget)) if waits => 1,
        (Activity::NeedsRestart, _) => 2,
        (_, Some(ThrottleReason::WakeBudget)) => 3,
        (_, Some(_)) if waits => 3,
        _ if view.liveness == Liveness::Dead => 5,
        _ => 4,
    }
}

/// Returns the folder and the branch of a peer.
pub(super) fn project_text(view: &PeerView, context: &CliContext) -> String {
    let Some(project) = &view.peer.project else {
        return "-".into();
    };
    let folder = context.shown(Path::new(project));
    match view.peer.branch.as_ref().or(view.peer.git_branch.as_ref()) {
        Some(branch) => format!("{folder} ({})", text::one_line(branch)),
        None => folder,
    }
}

fn activity_cell(words: &str, view: &PeerView) -> Cell {
    let cell = Cell::new(words);
    match view.activity {
        _ if urgency(view) < 2 => cell.fg(Color::Yellow).add_attribute(Attribute::Bold),
        Activity::NeedsRestart => cell.fg(Color::Red),
        Activity::Busy => cell.fg(Color::Cyan),
        Activity::Idle => cell.fg(Color::Green),
        Activity::Offline | Activity::Unknown | Activity::Waiting => cell.fg(Color::DarkGrey),
    }
}
