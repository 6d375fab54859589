//! The lines of the board: each part has a heading and a line for each item, with what the keys can do there.
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};

use super::needs::{Need, needs};
use super::snapshot::{OpenQuestion, Snapshot};
use crate::cli::claim_format;
use crate::cli::context::CliContext;
use crate::cli::format::ellipsize;
use crate::cli::peer::{describe_throttle, project_text};
use crate::mesh::{ClaimQueue, PeerView, PendingQuestion, lease_expires_at_ms};
use crate::model::activity_summary::ActivitySummary;
use crate::model::throttle::{FOREVER_MS, Throttled};
use crate::model::{Activity, TaskStatus, WakeState};
use crate::platform::clock::rfc3339;
use crate::platform::id::{ClaimId, QuestionId};
use crate::platform::text::one_line;
use crate::store::{Claim, Task};

/// The width of the first column.
const NAME_CHARS: usize = 20;
/// The width of the second column.
const STATE_CHARS: usize = 14;

/// A line of the board.
#[derive(Debug)]
pub(super) struct Row {
    /// Names the item, so that it stays selected while others come and go.
    pub(super) key: String,
    pub(super) line: Line<'static>,
    pub(super) is_heading: bool,
    pub(super) target: Target,
}

/// What the keys act on.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    /// The open question to answer or decline, and who asks.
    pub(super) question: Option<(QuestionId, String)>,
    /// The session to make quiet, and whether it is.
    pub(super) peer: Option<(String, bool)>,
    /// The claim to release, and its resource.
    pub(super) claim: Option<(ClaimId, String)>,
    /// The whole text of the item.
    pub(super) detail: String,
}

/// Makes the lines of a snapshot.
pub(super) struct RowMaker<'a> {
    pub(super) context: &'a CliContext,
    pub(super) snapshot: &'a Snapshot,
}

impl RowMaker<'_> {
    /// Returns all lines. A part without items is left out, except the first two.
    pub(super) fn rows(&self) -> Vec<Row> {
        let Snapshot {
            peers,
            questions,
            claims,
            tasks,
            ..
        } = self.snapshot;
        let open = |task: &&Task| !matches!(task.status, TaskStatus::Done | TaskStatus::Cancelled);
        let needs = needs(self.snapshot);
        let parts = [
            (
                "NEEDS YOU",
                needs.iter().map(|need| self.need(need)).collect(),
            ),
            (
                "SESSIONS",
                peers.iter().map(|view| self.peer(view)).collect(),
            ),
            (
                "QUESTIONS",
                questions.iter().map(|open| self.question(open)).collect(),
            ),
            (
                "CLAIMS",
                claims.iter().flat_map(|queue| self.claims(queue)).collect(),
            ),
            (
                "TASKS",
                tasks
                    .tasks
                    .iter()
                    .filter(open)
                    .map(|task| self.task(task))
                    .collect(),
            ),
        ];
        let mut rows = Vec::new();
        for (index, (title, items)) in parts.into_iter().enumerate() {
            let items: Vec<Row> = items;
            if items.is_empty() && index > 1 {
                continue;
            }
            rows.push(heading(title, items.len()));
            rows.extend(items);
        }
        rows
    }

    fn need(&self, need: &Need<'_>) -> Row {
        match need {
            Need::Question(pending) => self.question_to_you(pending),
            Need::Dialog(view) => {
                let mut row = self.peer(view);
                row.key = format!("need/{}", row.key);
                let doing = view
                    .activity_summary
                    .as_ref()
                    .and_then(ActivitySummary::line);
                let text = doing.unwrap_or_else(|| "answer it in its terminal".into());
                row.line = self.line(view.peer.name.as_str(), ("dialog", Color::Yellow), &text);
                row
            }
            Need::NotWoken(open) => {
                let problem = open.status.delivery.wake_problem.as_deref();
                let problem = problem.unwrap_or("no wake-up reached it");
                self.held(open, "not woken", problem)
            }
            Need::Held(open) => {
                let why = open.status.held.map(describe_throttle).unwrap_or_default();
                self.held(open, "held", &why)
            }
            Need::Review(task) => {
                let mut row = self.task(task);
                row.key = format!("need/{}", row.key);
                row
            }
            Need::Queue(queue) => {
                let count = queue.queue.len();
                let holders = claim_format::holder_names(&queue.holders);
                let text = format!("{count} wait for what {holders} holds");
                let target = queue.holders.first();
                Row {
                    key: format!("need/claim/{}", queue.resource),
                    line: self.line(
                        &self.resource(&queue.resource),
                        ("queue", Color::Yellow),
                        &text,
                    ),
                    is_heading: false,
                    target: target
                        .map(|claim| self.claim_target(claim))
                        .unwrap_or_default(),
                }
            }
        }
    }

    fn question_to_you(&self, pending: &PendingQuestion) -> Row {
        let question = &pending.delivery.question;
        let mut detail = format!("{} asks you: {}", pending.from, question.question);
        if let Some(more) = question.context.as_deref().filter(|more| !more.is_empty()) {
            detail.push_str("\ncontext: ");
            detail.push_str(more);
        }
        Row {
            key: format!("need/question/{}", question.id),
            line: self.line(
                pending.from.as_str(),
                ("asks you", Color::Yellow),
                &question.question,
            ),
            is_heading: false,
            target: Target {
                question: Some((question.id, pending.from.to_string())),
                detail: self.context.sanitize_foreign(&detail),
                ..Target::default()
            },
        }
    }

    fn held(&self, open: &OpenQuestion, state: &str, why: &str) -> Row {
        let mut row = self.question(open);
        row.key = format!("need/{}", row.key);
        let names = format!("{} → {}", open.from, open.to);
        let text = format!("{why} · {}", open.status.question.question);
        row.line = self.line(&names, (state, Color::Yellow), &text);
        row
    }

    fn peer(&self, view: &PeerView) -> Row {
        let doing = view
            .activity_summary
            .as_ref()
            .and_then(ActivitySummary::line);
        let mut parts = Vec::new();
        parts.extend(view.held.map(describe_throttle));
        match view.questions_waiting {
            0 => {}
            1 => parts.push("1 question waits".into()),
            count => parts.push(format!("{count} questions wait")),
        }
        parts.extend(doing);
        let folder = project_text(view, self.context);
        if parts.is_empty() {
            parts.push(folder.clone());
        }
        let color = match view.activity {
            Activity::Waiting => Color::Yellow,
            Activity::NeedsRestart => Color::Red,
            Activity::Busy => Color::Cyan,
            Activity::Idle => Color::Green,
            Activity::Offline | Activity::Unknown => Color::DarkGray,
        };
        let name = view.peer.name.to_string();
        let is_quiet = view
            .peer
            .quiet_until_ms
            .is_some_and(|until_ms| until_ms > self.snapshot.now.wall_ms);
        let detail = format!("{name} in {folder}\n{}", parts.join("\n"));
        Row {
            key: format!("peer/{name}"),
            line: self.line(&name, (view.activity.as_str(), color), &parts.join(" · ")),
            is_heading: false,
            target: Target {
                detail: self.context.sanitize_foreign(&detail),
                peer: Some((name, is_quiet)),
                ..Target::default()
            },
        }
    }

    fn question(&self, open: &OpenQuestion) -> Row {
        let question = &open.status.question;
        let (state, color) = state_of(open);
        let way = way(open);
        let names = format!("{} → {}", open.from, open.to);
        let text = format!("{way} · {}", question.question);
        let detail = format!("{names}: {}\nway: {way}", question.question);
        Row {
            key: format!("question/{}", question.id),
            line: self.line(&names, (state, color), &text),
            is_heading: false,
            target: Target {
                question: Some((question.id, open.from.clone())),
                detail: self.context.sanitize_foreign(&detail),
                ..Target::default()
            },
        }
    }

    fn claims(&self, queue: &ClaimQueue) -> Vec<Row> {
        let resource = self.resource(&queue.resource);
        let held = queue.holders.iter().map(|claim| {
            let until = clock_time(lease_expires_at_ms(claim, &self.snapshot.now));
            let text = format!("{} until {until}", claim.mode.as_str());
            (claim, "held", Color::Cyan, text)
        });
        let queued = queue.queue.iter().enumerate().map(|(position, claim)| {
            let text = format!("position {} in the queue", position + 1);
            (claim, "queued", Color::Yellow, text)
        });
        let row = |(claim, state, color, text): (&Claim, &str, Color, String)| {
            let note = claim.note.as_deref().map(|note| format!(" · {note}"));
            let text = format!("{} {text}{}", claim.peer_name, note.unwrap_or_default());
            Row {
                key: format!("claim/{}", claim.id),
                line: self.line(&resource, (state, color), &text),
                is_heading: false,
                target: self.claim_target(claim),
            }
        };
        held.chain(queued).map(row).collect()
    }

    fn claim_target(&self, claim: &Claim) -> Target {
        let resource = self.resource(&claim.resource);
        let note = claim.note.as_deref().unwrap_or_default();
        let detail = format!("{resource}\n{}: {note}", claim.peer_name);
        Target {
            claim: Some((claim.id, resource)),
            detail: self.context.sanitize_foreign(&detail),
            ..Target::default()
        }
    }

    fn task(&self, task: &Task) -> Row {
        let color = match task.status {
            TaskStatus::InReview => Color::Yellow,
            TaskStatus::InProgress => Color::Cyan,
            TaskStatus::Todo | TaskStatus::Done | TaskStatus::Cancelled => Color::DarkGray,
        };
        let who = task.assigned_name.as_deref().unwrap_or("-");
        let detail = format!("{}\n{}", task.title, task.description);
        Row {
            key: format!("task/{}", task.id),
            line: self.line(who, (task.status.as_str(), color), &task.title),
            is_heading: false,
            target: Target {
                detail: self.context.sanitize_foreign(&detail),
                ..Target::default()
            },
        }
    }

    fn resource(&self, resource: &str) -> String {
        claim_format::shown(self.context, resource)
    }

    fn line(&self, name: &str, (state, color): (&str, Color), text: &str) -> Line<'static> {
        let clean = |text: &str| one_line(&self.context.sanitize_foreign(text));
        let name = ellipsize(&clean(name), NAME_CHARS);
        Line::from(vec![
            Span::raw(format!("{name:<NAME_CHARS$} ")),
            Span::styled(format!("{state:<STATE_CHARS$}"), Style::new().fg(color)),
            Span::raw(clean(text)),
        ])
    }
}

fn heading(title: &str, count: usize) -> Row {
    let line = Line::from(vec![
        Span::raw(title.to_owned()).bold(),
        Span::raw(format!(" {count}")).dim(),
    ]);
    Row {
        key: title.to_owned(),
        line,
        is_heading: true,
        target: Target::default(),
    }
}

fn state_of(open: &OpenQuestion) -> (&'static str, Color) {
    let delivery = &open.status.delivery;
    if open.status.held.is_some() {
        ("held", Color::Yellow)
    } else if delivery.shown_at_ms.is_some() {
        ("shown", Color::Cyan)
    } else if delivery.wake != WakeState::Failed && delivery.woken_at_ms.is_some() {
        ("woken", Color::Cyan)
    } else {
        ("stored", Color::DarkGray)
    }
}

/// Returns the steps of a question with their times, which stay true while nothing is redrawn.
fn way(open: &OpenQuestion) -> String {
    let delivery = &open.status.delivery;
    let mut steps = vec![format!("stored {}", clock_time(delivery.stored_at_ms))];
    if delivery.wake == WakeState::Failed {
        steps.push("not woken".into());
    } else if let Some(at_ms) = delivery.woken_at_ms {
        let way = delivery.wake.as_str();
        steps.push(format!("woken {} ({way})", clock_time(at_ms)));
    }
    if let Some(at_ms) = delivery.shown_at_ms {
        steps.push(format!("shown {}", clock_time(at_ms)));
    }
    let held: Option<Throttled> = open.status.held;
    steps.extend(held.map(|held| format!("{} {}", open.to, describe_throttle(held))));
    steps.join(", ")
}

/// Returns the time of a day in UTC, as in `14:32:05Z`; with the date if it is far away.
pub(super) fn clock_time(wall_ms: i64) -> String {
    if wall_ms == FOREVER_MS {
        return "you end it".into();
    }
    let text = rfc3339(wall_ms);
    let time = text.split_once('T').map_or(text.as_str(), |(_, time)| time);
    let seconds = time.split('.').next().unwrap_or(time);
    format!("{seconds}Z")
}
