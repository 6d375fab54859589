//! `claude-mesh top`: the board in a terminal, for a person: what needs you first, sessions, questions, claims, tasks.
//!
//! It reads by the operations that `peers`, `inbox`, `claims` and the board of the hub use, when its doorbell or a registry
//! file of Claude Code says that something has changed: at rest nothing runs.
mod actions;
mod board;
mod input;
mod needs;
mod rows;
mod screen;
mod snapshot;
mod view;

use std::io;
use std::time::Duration;

use clap::Args;

use self::board::{Board, Wish};
use self::input::Input;
use self::screen::Screen;
use self::snapshot::Snapshot;
use crate::claude_code::registry_folder;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::{CliError, Failure};
use crate::cli::print;
use crate::cli::progress::StopFlag;
use crate::mesh::Member;
use crate::model::event::EventFilter;
use crate::platform::clock::monotonic_ms;
use crate::wake::Watcher;

/// Between two reads at least this much time passes, so that a busy mesh does not keep the board reading.
const READ_PAUSE_MS: i64 = 100;

/// Show the board in the terminal: what needs you, sessions, questions, claims, tasks
///
/// It shows each change as it comes. Sessions can ask you while it is open. It works over ssh.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys: up, down, Page Up, Page Down, Home and End move, Tab goes to the next part; a answers the question, d declines it,
u makes the session quiet or ends that, r releases the claim, q ends.

Examples:
  claude-mesh top
  ssh -t build-machine claude-mesh top")]
pub(super) struct TopArgs {}

pub(super) fn top(context: &CliContext) -> CommandResult {
    context.require_person("the board in the terminal")?;
    if context.json || !print::is_terminal() {
        let hint =
            "`claude-mesh peers --json`, `inbox --all --json` and `claims --json` are for programs";
        return Err(CliError::new("unsupported", "the board needs a terminal", hint).into());
    }
    if context.open_existing()?.is_none() {
        return context.report_no_mesh(&serde_json::Value::Null);
    }
    let mut member = context.join_as_terminal()?;
    let stop = StopFlag::on_signals(member.signal())?;
    let screen = Screen::enter(io::stdin(), io::stdout())?;
    screen.restore_at_panic();
    let ended = follow(context, &mut member, &stop, &screen);
    drop(screen);
    ended.map(|()| CommandStatus::Done)
}

/// Draws the board, and again after each change and each key, until the person or a signal ends it.
fn follow(
    context: &CliContext,
    member: &mut Member,
    stop: &StopFlag,
    screen: &Screen,
) -> Result<(), Failure> {
    let signal = member.signal();
    let me = member.handle().clone();
    // Its row lets every event write the doorbell of this session.
    let every = EventFilter::default();
    member.mesh().begin_event_wait(&me, &every)?;
    let raiser = member.signal();
    let registry = registry_folder(&context.settings.claude.config_dir);
    // Without it what sessions do is read with the next event.
    let _registry = Watcher::on(&registry, move || raiser.raise());
    let mut terminal = screen.terminal()?;
    let input = Input::read(member.signal());
    let mut seen = signal.count();
    let mut reads = Reads::default();
    let mut board = Board::new(context, Snapshot::read(member)?);
    loop {
        board.mark_shown(member)?;
        terminal.draw(|frame| view::draw(frame, &mut board))?;
        signal.wait_until_raised(seen, reads.pause(&board, member));
        if stop.is_set() {
            return Ok(());
        }
        let count = signal.count();
        let Some(events) = input.take() else {
            return Ok(());
        };
        // Each key has raised the signal once; what is more was a change, and so is the end of the pause.
        reads.is_due |= count - seen > events.len() as u64 || (count == seen && events.is_empty());
        seen = count;
        for event in &events {
            match board.handle(event) {
                Some(Wish::End) => return Ok(()),
                Some(wish) => {
                    board.notify(actions::carry_out(member.mesh(), &me, &wish));
                    reads.is_due = true;
                }
                None => {}
            }
        }
        reads.read_if_due(&mut board, member);
    }
}

/// When the mesh was read last, and whether it has changed since.
struct Reads {
    at_monotonic_ms: i64,
    is_due: bool,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            at_monotonic_ms: monotonic_ms(),
            is_due: false,
        }
    }
}

impl Reads {
    fn since_ms(&self) -> i64 {
        monotonic_ms() - self.at_monotonic_ms
    }

    /// Returns how long to wait at most for the next key or change.
    fn pause(&self, board: &Board<'_>, member: &Member) -> Duration {
        if self.is_due {
            let rest_ms = READ_PAUSE_MS - self.since_ms();
            return Duration::from_millis(u64::try_from(rest_ms).unwrap_or(0));
        }
        let next_change = board.snapshot().next_change();
        next_change.min(member.poll_interval().unwrap_or(Duration::MAX))
    }

    fn read_if_due(&mut self, board: &mut Board<'_>, member: &mut Member) {
        if !self.is_due || self.since_ms() < READ_PAUSE_MS {
            return;
        }
        match Snapshot::read(member) {
            Ok(snapshot) => board.update(snapshot),
            Err(failure) => board.notify(actions::failure_text(&failure)),
        }
        *self = Self::default();
    }
}
