//! The state of the board: what is selected, what is typed, and what a key asks for.
use std::collections::HashSet;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::widgets::ListState;

use super::rows::{Row, RowMaker, Target};
use super::snapshot::Snapshot;
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::mesh::{Inbox, Member};
use crate::model::WakeState;
use crate::platform::id::{ClaimId, QuestionId};

/// What the person wants to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Answer a question, or decline it with the text as the reason.
    Reply {
        question: QuestionId,
        text: String,
        decline: bool,
    },
    /// Make a session quiet, or end that.
    Quiet { peer: String, on: bool },
    /// Release a claim or a ticket.
    Release { claim: ClaimId, resource: String },
    /// Close the board.
    End,
}

/// What keys do now.
#[derive(Debug)]
pub(super) enum Mode {
    /// They move and begin actions.
    Browse,
    /// They type a reply.
    Typing {
        question: QuestionId,
        from: String,
        decline: bool,
        text: String,
    },
    /// They confirm a release.
    Confirming { claim: ClaimId, resource: String },
}

/// The board of one person.
pub(super) struct Board<'a> {
    context: &'a CliContext,
    snapshot: Snapshot,
    pub(super) rows: Vec<Row>,
    pub(super) list: ListState,
    pub(super) mode: Mode,
    /// What came of the last action.
    pub(super) notice: Option<String>,
    /// How many lines the list has on the screen.
    pub(super) page_lines: usize,
    shown: HashSet<QuestionId>,
}

impl<'a> Board<'a> {
    pub(super) fn new(context: &'a CliContext, snapshot: Snapshot) -> Self {
        let mut board = Self {
            context,
            rows: Vec::new(),
            list: ListState::default(),
            mode: Mode::Browse,
            notice: None,
            page_lines: 10,
            shown: HashSet::new(),
            snapshot,
        };
        board.make_rows();
        board
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn mesh_name(&self) -> &str {
        &self.context.location.name
    }

    /// Shows a later snapshot. The selection stays at its item.
    pub(super) fn update(&mut self, snapshot: Snapshot) {
        self.snapshot = snapshot;
        self.make_rows();
    }

    pub(super) fn notify(&mut self, notice: String) {
        self.notice = Some(notice);
    }

    /// Returns what the keys act on.
    pub(super) fn target(&self) -> Option<&Target> {
        let row = self.rows.get(self.list.selected()?)?;
        Some(&row.target)
    }

    /// Records that the questions to the person are on the screen, each once.
    pub(super) fn mark_shown(&mut self, member: &mut Member) -> Result<(), Failure> {
        let mut new = self.snapshot.to_you.clone();
        new.retain(|pending| self.shown.insert(pending.delivery.question.id));
        if !new.is_empty() {
            let me = member.handle().clone();
            let shown = Inbox {
                questions: new,
                ..Inbox::default()
            };
            member
                .mesh()
                .mark_delivered(&me, &shown, None, WakeState::Call)?;
        }
        Ok(())
    }

    fn make_rows(&mut self) {
        let before = self.list.selected();
        let key = before
            .and_then(|at| self.rows.get(at))
            .map(|row| row.key.clone());
        let maker = RowMaker {
            context: self.context,
            snapshot: &self.snapshot,
        };
        self.rows = maker.rows();
        let kept = key.and_then(|key| self.rows.iter().position(|row| row.key == key));
        let at = kept.or(before).unwrap_or(0);
        self.select(at.min(self.rows.len().saturating_sub(1)), true);
    }

    /// Selects the line at `at`, or the nearest item after it, or before it if `down` is false.
    fn select(&mut self, at: usize, down: bool) {
        let is_item = |at: &usize| self.rows.get(*at).is_some_and(|row| !row.is_heading);
        let after = (at..self.rows.len()).find(is_item);
        let before = (0..=at).rev().find(is_item);
        let found = if down {
            after.or(before)
        } else {
            before.or(after)
        };
        self.list.select(found);
        // The heading of the first item stays in sight.
        if found.is_some_and(|found| found <= 1) {
            *self.list.offset_mut() = 0;
        }
    }

    /// Returns what an event of the terminal asks for.
    pub(super) fn handle(&mut self, event: &Event) -> Option<Wish> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            Event::Paste(pasted) => {
                if let Mode::Typing { text, .. } = &mut self.mode {
                    text.push_str(pasted);
                }
                None
            }
            _ => None,
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if with_control && key.code == KeyCode::Char('c') {
            return Some(Wish::End);
        }
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => self.browse(key.code),
            Mode::Confirming { claim, resource } => matches!(key.code, KeyCode::Char('y' | 'Y'))
                .then_some(Wish::Release { claim, resource }),
            Mode::Typing {
                question,
                from,
                decline,
                mut text,
            } => {
                match key.code {
                    KeyCode::Enter if !text.trim().is_empty() => {
                        return Some(Wish::Reply {
                            question,
                            text: text.trim().to_owned(),
                            decline,
                        });
                    }
                    KeyCode::Esc => return None,
                    KeyCode::Backspace => drop(text.pop()),
                    KeyCode::Char('u') if with_control => text.clear(),
                    KeyCode::Char(character) if !with_control => text.push(character),
                    _ => {}
                }
                self.mode = Mode::Typing {
                    question,
                    from,
                    decline,
                    text,
                };
                None
            }
        }
    }

    fn browse(&mut self, code: KeyCode) -> Option<Wish> {
        self.notice = None;
        let at = self.list.selected().unwrap_or(0);
        let last = self.rows.len().saturating_sub(1);
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Wish::End),
            KeyCode::Down | KeyCode::Char('j') => self.select((at + 1).min(last), true),
            KeyCode::Up | KeyCode::Char('k') => self.select(at.saturating_sub(1), false),
            KeyCode::PageDown => self.select((at + self.page_lines).min(last), false),
            KeyCode::PageUp => self.select(at.saturating_sub(self.page_lines), true),
            KeyCode::Home => self.select(0, true),
            KeyCode::End => self.select(last, false),
            KeyCode::Tab => self.next_part(at),
            KeyCode::Char('a') => self.type_reply(false),
            KeyCode::Char('d') => self.type_reply(true),
            KeyCode::Char('u') => {
                let (peer, is_quiet) = self.target()?.peer.clone()?;
                return Some(Wish::Quiet {
                    peer,
                    on: !is_quiet,
                });
            }
            KeyCode::Char('r') => {
                let (claim, resource) = self.target()?.claim.clone()?;
                self.mode = Mode::Confirming { claim, resource };
            }
            _ => {}
        }
        None
    }

    /// Goes to the first item of the next part that has one; after the last to the first.
    fn next_part(&mut self, at: usize) {
        let headings = (0..self.rows.len()).filter(|row| self.rows[*row].is_heading);
        let has_item = |row: &usize| self.rows.get(row + 1).is_some_and(|next| !next.is_heading);
        let mut with_items = headings.filter(has_item);
        let next = with_items.find(|row| *row > at);
        self.select(next.unwrap_or(0), true);
    }

    fn type_reply(&mut self, decline: bool) {
        if let Some((question, from)) = self.target().and_then(|target| target.question.clone()) {
            self.mode = Mode::Typing {
                question,
                from,
                decline,
                text: String::new(),
            };
        }
    }
}
