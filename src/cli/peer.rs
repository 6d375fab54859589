//! `claude-mesh peers`: who is here, who needs the person first.
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::{Attribute, Cell, Color, Table};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::{Ending, Outcome, print, table};
use crate::cli::context::{Desk, Seat};
use crate::cli::error::{Failure, Wrong};
use crate::mesh::{Mesh, PeerView, Ranked, Scope};
use crate::model::activity::Doing;
use crate::model::expertise::Subject;
use crate::model::peer::nearest;
use crate::model::question::ago;
use crate::model::throttle::{Held, HoldReason};
use crate::model::{Activity, Error, Liveness, PeerKind, PeerName, Refusal};
use crate::platform::clock::rfc3339;
use crate::platform::text;
use crate::tools::output;

/// List who is here: what they do, what waits for them, who needs you
///
/// Sorted by who needs you: first sessions that wait at a dialog, then those whose questions wait until you type there, then
/// those that must be restarted to be asked, then others that are held.
#[derive(Debug, Args)]
#[command(after_help = "\
Activity: idle (at its prompt), busy (in a turn), waiting (a dialog waits for you), needs_restart (it was opened before
the install, or its server was stopped: restart it), offline, unknown.
Turns, where there are any: how many peers have started of how many they may until you type there, and how often the newest
one was kept going for a question.

Examples:
  claude-mesh peers
  claude-mesh peers --watch
  claude-mesh peers --about \"database migrations\"
  claude-mesh peers --all --scope repo
  claude-mesh peers --forget old-project")]
pub(super) struct Peers {
    /// Draw again whenever something changes, until Ctrl-C.
    #[arg(long, conflicts_with = "forget")]
    watch: bool,
    /// Also list mailboxes nobody sits at.
    #[arg(long, conflicts_with = "forget")]
    all: bool,
    /// Which peers: of the whole mesh, of this repository, or of this folder and below.
    #[arg(long, value_enum, default_value = "machine")]
    scope: Around,
    /// Who most likely knows about this comes first, with why; nobody is asked.
    #[arg(long, value_name = "TEXT", conflicts_with = "forget")]
    about: Option<String>,
    /// Free a name: remove a mailbox nobody sits at, with its questions. For the person only.
    #[arg(long, value_name = "NAME")]
    forget: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Around {
    Machine,
    Repo,
    Directory,
}

/// How often a watched list is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Lists peers, watches them, or frees a name.
pub(super) fn peers(desk: &Desk, args: &Peers) -> Outcome {
    if let Some(name) = &args.forget {
        return forget(desk, name);
    }
    if args.watch {
        return watch(desk, args);
    }
    match desk.open_existing()? {
        Some(mut mesh) => show(&Picture::of(desk, &mut mesh, args)?, desk)?,
        None => return desk.no_mesh(&json!({ "peers": [] })),
    }
    Ok(Ending::Done)
}

/// Returns the peers that can be asked: of the whole mesh, or of this repository only.
pub(super) fn askable(desk: &Desk, mesh: &mut Mesh, repo: bool) -> Result<Vec<PeerName>, Failure> {
    let scope = if repo { Around::Repo } else { Around::Machine };
    Ok(mesh
        .peers(None, Scope::Machine, false)?
        .into_iter()
        .filter(|view| view.askable && is_in(scope, desk, view))
        .map(|view| view.peer.name)
        .collect())
}

/// Returns an error as it is told; a name that fits nobody with the names that are like it.
pub(super) fn explained(mesh: &mut Mesh, error: Error) -> Result<Failure, Failure> {
    let Error::Refused(Refusal::UnknownPeer { name, .. }) = &error else {
        return Ok(error.into());
    };
    let mut views = mesh.peers(None, Scope::Machine, true)?;
    views.retain(|view| view.peer.kind == PeerKind::Session);
    let names: Vec<String> = views
        .iter()
        .map(|view| view.peer.name.to_string())
        .collect();
    let here = views.iter().filter(|view| view.liveness == Liveness::Alive);
    Ok(Refusal::UnknownPeer {
        nearest: nearest(name, &names),
        here: here.map(|view| view.peer.name.to_string()).collect(),
        name: name.clone(),
    }
    .into())
}

/// Redraws on a terminal; elsewhere prints again what has changed.
fn watch(desk: &Desk, args: &Peers) -> Outcome {
    let live = print::is_terminal() && !desk.json;
    let mut mesh = None;
    let mut last = String::new();
    loop {
        if mesh.is_none() {
            mesh = desk.open_existing()?;
        }
        let drawn = match &mut mesh {
            Some(mesh) => {
                let picture = Picture::of(desk, mesh, args)?;
                if desk.json {
                    format!("{}\n", picture.json())
                } else {
                    picture.drawn(desk)
                }
            }
            None if desk.json => format!("{}\n", json!({ "peers": [] })),
            None => format!("no mesh here yet: {}\n", desk.shown(&desk.place.database)),
        };
        if drawn != last {
            if live {
                print::raw(format!("\x1b[H\x1b[2J{drawn}\nCtrl-C ends this\n").as_bytes())?;
            } else {
                print::raw(drawn.as_bytes())?;
            }
            last = drawn;
        }
        std::thread::sleep(EVERY);
    }
}

fn forget(desk: &Desk, name: &str) -> Outcome {
    let Some(mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "forgotten": false }));
    };
    let Seat { mesh, me, .. } = &mut desk.sit(mesh)?;
    let name = name.trim().to_lowercase();
    let forgotten = mesh.forget_peer(me, &name).map_err(|error| match error {
        Error::Refused(Refusal::Conflict { problem }) => {
            let hint = "it can be forgotten once that session has ended; nothing was changed";
            Wrong::new("conflict", problem, hint).into()
        }
        other => Failure::from(other),
    });
    if !forgotten? {
        let message = format!("no mailbox called {name:?} in this mesh");
        let hint = "`claude-mesh peers --all` lists them; nothing was changed";
        return Err(Wrong::new("unknown_peer", message, hint).into());
    }
    if desk.json {
        print::json(&json!({ "forgotten": true, "peer": name }))?;
    } else {
        print::line(&format!(
            "removed the mailbox {name} with its questions; the name is free"
        ))?;
    }
    Ok(Ending::Done)
}

fn show(picture: &Picture, desk: &Desk) -> Result<(), Failure> {
    if desk.json {
        print::json(&picture.json())?;
    } else {
        print::raw(picture.drawn(desk).as_bytes())?;
    }
    Ok(())
}

/// One look at the mesh.
struct Picture {
    you: Option<PeerName>,
    peers: Vec<Ranked>,
    about: bool,
    wake_budget: u32,
    now_ms: i64,
}

impl Picture {
    fn of(desk: &Desk, mesh: &mut Mesh, args: &Peers) -> Result<Self, Failure> {
        let mut views = mesh.peers(None, Scope::Machine, args.all)?;
        views.retain(|view| is_in(args.scope, desk, view));
        views.sort_by_key(|view| (urgency(view), view.peer.name.clone()));
        let subject = args.about.as_deref().map(Subject::parse).transpose()?;
        Ok(Self {
            you: desk.own_name(mesh)?,
            about: subject.is_some(),
            wake_budget: desk.settings.wake_budget,
            peers: match subject {
                Some(subject) => mesh.who_knows(&subject, views)?,
                None => views
                    .into_iter()
                    .map(|view| Ranked { view, why: None })
                    .collect(),
            },
            now_ms: mesh.now().wall_ms,
        })
    }

    fn json(&self) -> Value {
        let shape = |peer: &Ranked| {
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

    fn drawn(&self, desk: &Desk) -> String {
        let mesh = format!(
            "mesh {} ({})",
            desk.place.name,
            desk.shown(&desk.place.database)
        );
        let you = match &self.you {
            Some(you) => format!(", you are {you}"),
            None => String::new(),
        };
        if self.peers.is_empty() {
            return format!("{mesh}{you}\nnobody is here now; --all also lists empty mailboxes\n");
        }
        let widths = self.table(desk, None).column_max_content_widths();
        let table = self.table(desk, Some(room_beside(&widths)));
        format!("{mesh}{you}\n{}\n", table::text(&table))
    }

    /// The table; with a last column, where there is something for it, whose text is cut to the room there is.
    fn table(&self, desk: &Desk, room: Option<usize>) -> Table {
        let header = ["NAME", "ACTIVITY", "ROLE", "PROJECT", "WAITING", "ASKABLE"];
        let last = if self.about { "WHY" } else { "DOING" };
        let room = room.filter(|_| self.peers.iter().any(|peer| self.last(peer).is_some()));
        let counted = self
            .peers
            .iter()
            .any(|peer| self.turns(&peer.view).is_some());
        let header = header
            .into_iter()
            .chain(counted.then_some("TURNS"))
            .chain(room.map(|_| last));
        let mut table = table::headed(header);
        for peer in &self.peers {
            let view = &peer.view;
            let mut row = vec![
                Cell::new(view.peer.name.as_str()),
                coloured(&self.activity(view), view),
                Cell::new(text::one_line(view.peer.role.as_deref().unwrap_or("-"))),
                Cell::new(project(view, desk)),
                Cell::new(view.questions_waiting),
                Cell::new(if view.askable { "yes" } else { "no" }),
            ];
            if counted {
                row.push(Cell::new(self.turns(view).unwrap_or_default()));
            }
            if let Some(room) = room {
                let last = self.last(peer).unwrap_or_default();
                row.push(Cell::new(ended(
                    &desk.foreign(&text::one_line(&last)),
                    room,
                )));
            }
            table.add_row(row);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        table
    }

    /// How many turns peers have started of how many they may, and how often its newest turn was kept going; `None` when
    /// there is nothing of that to tell.
    fn turns(&self, view: &PeerView) -> Option<String> {
        let session = view.session.as_ref()?;
        let (turns, stops) = (session.posted_turns, session.stop_streak);
        let posted = (turns > 0).then(|| format!("{turns} of {}", self.wake_budget));
        let kept = (stops > 0).then(|| format!("kept {stops}"));
        let told: Vec<String> = posted.into_iter().chain(kept).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn last(&self, peer: &Ranked) -> Option<String> {
        if self.about {
            return peer.why.clone();
        }
        peer.view.doing.as_ref().and_then(Doing::line)
    }

    /// What it does, since when it is idle, and which brake is on.
    fn activity(&self, view: &PeerView) -> String {
        let activity = match (view.activity, view.idle_ms) {
            (Activity::Offline, _) => format!(
                "offline, seen {}",
                ago(self.now_ms - view.peer.last_seen_at_ms)
            ),
            // Seconds would draw a watched list anew each time.
            (Activity::Idle, Some(idle_ms @ 100_000..)) => {
                format!("idle for {}", ago(idle_ms).trim_end_matches(" ago"))
            }
            (other, _) => other.as_str().to_owned(),
        };
        match view.held {
            Some(held) => format!("{activity}, {}", held_words(held)),
            None => activity,
        }
    }
}

/// Returns how many characters a last column may have beside others of these widths; off a terminal as many as it likes.
fn room_beside(widths: &[u16]) -> usize {
    const LEAST: usize = 24;
    const PADDING: usize = 2;
    let taken: usize = widths
        .iter()
        .map(|width| usize::from(*width) + PADDING)
        .sum();
    print::columns(std::io::stdout()).map_or(usize::MAX, |columns| {
        columns.saturating_sub(taken + PADDING).max(LEAST)
    })
}

/// Returns a text of at most `chars` characters, with a sign where it was cut.
fn ended(text: &str, chars: usize) -> String {
    let cut = text::cut_chars(text, chars);
    if cut.len() == text.len() {
        return cut.to_owned();
    }
    format!("{}…", text::cut_chars(text, chars.saturating_sub(1)))
}

/// How a brake is told beside what a session does.
pub(super) fn held_words(held: Held) -> String {
    let until = held.until_ms.map(rfc3339);
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    match held.reason {
        HoldReason::Quiet => format!("is quiet{until}"),
        HoldReason::Paused => format!("is paused{until}"),
        HoldReason::WakeBudget => "has answered enough until you type".into(),
    }
}

fn is_in(scope: Around, desk: &Desk, view: &PeerView) -> bool {
    let own = &desk.project;
    match scope {
        Around::Machine => true,
        Around::Repo => match (&own.git_common, &view.peer.git_common) {
            (Some(own), Some(other)) => own == Path::new(other),
            _ => false,
        },
        Around::Directory => view
            .peer
            .project
            .as_ref()
            .is_some_and(|project| Path::new(project).starts_with(&own.path)),
    }
}

/// Who needs the person comes first: a dialog, then what waits until the person types.
fn urgency(view: &PeerView) -> u8 {
    let held = view.held.map(|held| held.reason);
    let waits = view.questions_waiting > 0;
    match (view.activity, held) {
        (Activity::Waiting, _) => 0,
        (_, Some(HoldReason::WakeBudget)) if waits => 1,
        (Activity::NeedsRestart, _) => 2,
        (_, Some(HoldReason::WakeBudget)) => 3,
        (_, Some(_)) if waits => 3,
        _ if view.liveness == Liveness::Dead => 5,
        _ => 4,
    }
}

fn project(view: &PeerView, desk: &Desk) -> String {
    let Some(project) = &view.peer.project else {
        return "-".into();
    };
    let folder = desk.shown(Path::new(project));
    match view.peer.branch.as_ref().or(view.peer.git_branch.as_ref()) {
        Some(branch) => format!("{folder} ({})", text::one_line(branch)),
        None => folder,
    }
}

fn coloured(words: &str, view: &PeerView) -> Cell {
    let cell = Cell::new(words);
    match view.activity {
        _ if urgency(view) < 2 => cell.fg(Color::Yellow).add_attribute(Attribute::Bold),
        Activity::NeedsRestart => cell.fg(Color::Red),
        Activity::Busy => cell.fg(Color::Cyan),
        Activity::Idle => cell.fg(Color::Green),
        Activity::Offline | Activity::Unknown | Activity::Waiting => cell.fg(Color::DarkGrey),
    }
}

/// Returns a name as it stands out in text.
pub(super) fn strong(name: &str) -> String {
    name.bold().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_for_its_column_ends_with_a_sign() {
        assert_eq!(ended("asked: x", 8), "asked: x");
        assert_eq!(ended("asked: xy", 8), "asked: …");
        assert_eq!(ended("äöü", 2), "ä…");
    }
}
