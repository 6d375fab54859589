//! Draws the board: one line with figures, the list, the selected item in full, and what the keys do.
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, List, ListItem, Paragraph, Wrap};

use super::board::{Board, Mode};
use super::rows::{Target, clock_time};
use crate::model::Activity;

/// Smaller terminals show no details.
const DETAIL_LINES_FROM: u16 = 16;
const DETAIL_LINES: u16 = 6;

pub(super) fn draw(frame: &mut Frame, board: &mut Board<'_>) {
    let height = frame.area().height;
    let detail_lines = if height < DETAIL_LINES_FROM {
        0
    } else {
        DETAIL_LINES
    };
    let [head, list, detail, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(detail_lines),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(head_line(board), head);
    board.page_lines = usize::from(list.height.saturating_sub(1)).max(1);
    let items: Vec<ListItem> = board
        .rows
        .iter()
        .map(|row| {
            let mut line = row.line.clone();
            if !row.is_heading {
                line.spans.insert(0, Span::raw("  "));
            }
            ListItem::new(line)
        })
        .collect();
    let items = List::new(items).highlight_style(Style::new().reversed());
    frame.render_stateful_widget(items, list, &mut board.list);
    draw_detail(frame, board, detail);
    draw_foot(frame, board, foot);
}

fn head_line(board: &Board<'_>) -> Line<'static> {
    let snapshot = board.snapshot();
    let count = |activity| {
        let peers = snapshot.peers.iter();
        peers.filter(|view| view.activity == activity).count()
    };
    let mut spans = vec![
        Span::raw("claude-mesh").bold(),
        Span::raw(format!(
            "  mesh {}, you are {}  {} {}, {} busy",
            board.mesh_name(),
            snapshot.you,
            snapshot.peers.len(),
            if snapshot.peers.len() == 1 {
                "session"
            } else {
                "sessions"
            },
            count(Activity::Busy),
        )),
    ];
    if let Some(until_ms) = snapshot.paused_until_ms {
        let text = format!("  paused until {}", clock_time(until_ms));
        spans.push(Span::styled(text, Style::new().fg(Color::Yellow)));
    }
    Line::from(spans)
}

fn draw_detail(frame: &mut Frame, board: &Board<'_>, area: Rect) {
    let text = board.target().map_or("", |target| target.detail.as_str());
    let detail = Paragraph::new(text).wrap(Wrap { trim: false }).block(
        Block::new()
            .borders(Borders::TOP)
            .border_style(Style::new().dim()),
    );
    frame.render_widget(detail, area);
}

fn draw_foot(frame: &mut Frame, board: &Board<'_>, area: Rect) {
    match &board.mode {
        Mode::Typing {
            from,
            decline,
            text,
            ..
        } => {
            let prompt = if *decline {
                format!("decline {from}, because: ")
            } else {
                format!("answer {from}: ")
            };
            draw_typed(frame, &prompt, text, area);
        }
        Mode::Confirming { resource, .. } => {
            let text = format!("release {resource}? y releases it, any other key does not");
            frame.render_widget(Line::from(text).fg(Color::Yellow), area);
        }
        Mode::Browse => match &board.notice {
            Some(notice) => {
                let text = crate::platform::text::one_line(notice);
                frame.render_widget(Line::from(text).fg(Color::Green), area);
            }
            None => frame.render_widget(keys_line(board.target()), area),
        },
    }
}

/// Draws what is typed; of a text that is longer than the line its end.
fn draw_typed(frame: &mut Frame, prompt: &str, text: &str, area: Rect) {
    let shown = text.replace(['\n', '\r'], "⏎");
    let mut line = Line::from(vec![Span::raw(prompt.to_owned()).bold(), Span::raw(shown)]);
    let width = usize::from(area.width).saturating_sub(1);
    let typed = line.width();
    if typed > width {
        let rest: String = line.spans[1].content.chars().skip(typed - width).collect();
        line.spans[1] = Span::raw(rest);
    }
    let column = u16::try_from(line.width()).unwrap_or(u16::MAX);
    frame.set_cursor_position(Position::new(
        area.x
            .saturating_add(column)
            .min(area.right().saturating_sub(1)),
        area.y,
    ));
    frame.render_widget(line, area);
}

fn keys_line(target: Option<&Target>) -> Line<'static> {
    let mut keys = Vec::new();
    if let Some(target) = target {
        if target.question.is_some() {
            keys.extend([("a", "answer"), ("d", "decline")]);
        }
        match target.peer {
            Some((_, true)) => keys.push(("u", "end quiet")),
            Some((_, false)) => keys.push(("u", "make quiet")),
            None => {}
        }
        if target.claim.is_some() {
            keys.push(("r", "release"));
        }
    }
    keys.extend([("↑↓", "move"), ("Tab", "next part"), ("q", "end")]);
    let spans = keys.into_iter().flat_map(|(key, what)| {
        [
            Span::raw(key).bold(),
            Span::raw(format!(" {what}   ")).dim(),
        ]
    });
    Line::from(spans.collect::<Vec<_>>())
}
