//! Decides about tasks: which state follows which, when two titles mean the same work, and which texts are valid.
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::model::text_checks::{check_secret, check_size};
use crate::platform::clock::rfc3339;

/// The longest title in characters.
pub const TITLE_CHARS_MAX: usize = 500;
/// The largest description in bytes, as given.
pub const DESCRIPTION_BYTES_MAX: usize = crate::model::question::TEXT_BYTES_MAX;
/// The budget for reasons after the largest description, in bytes.
const REASONS_BYTES_MAX: usize = 16_384;
/// The longest reason in bytes.
pub const REASON_BYTES_MAX: usize = 4_096;
/// The largest number of files of a task.
pub const FILES_MAX: usize = 64;
/// The largest number of tasks that a task waits for.
pub const DEPENDENCIES_MAX: usize = 64;
/// The largest number of tasks that one call changes.
pub const BULK_MAX: usize = 100;
/// The length of a fingerprint in characters.
const FINGERPRINT_CHARS: usize = 120;

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Todo,
    /// In work.
    InProgress,
    /// Done and being reviewed.
    InReview,
    /// Completed.
    Done,
    /// Given up.
    Cancelled,
}

impl TaskStatus {
    /// All states, in their usual order.
    pub const ALL: [Self; 5] = [
        Self::Todo,
        Self::InProgress,
        Self::InReview,
        Self::Done,
        Self::Cancelled,
    ];

    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::InProgress => "in_progress",
            Self::InReview => "in_review",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the status of a word, or `None` if there is no such status.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Returns whether no state follows it.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }

    /// Returns the states that may follow it.
    pub fn allowed_next(self) -> &'static [Self] {
        match self {
            Self::Todo => &[Self::InProgress, Self::Cancelled],
            Self::InProgress => &[Self::InReview, Self::Todo, Self::Cancelled],
            Self::InReview => &[Self::Done, Self::Todo, Self::Cancelled],
            Self::Done | Self::Cancelled => &[],
        }
    }

    /// Checks a change of state; a rejection needs a reason.
    pub fn check_transition(self, to: Self, has_reason: bool) -> Result<(), Refusal> {
        if !self.allowed_next().contains(&to) {
            let words: Vec<&str> = self.allowed_next().iter().map(|one| one.as_str()).collect();
            let allowed = match words.as_slice() {
                [] => "no state follows it".to_owned(),
                [most @ .., last] => format!("it can become {} or {last}", most.join(", ")),
            };
            return Err(Refusal::TaskConflict {
                problem: format!(
                    "the task is {}, so it cannot become {}; {allowed}",
                    self.as_str(),
                    to.as_str()
                ),
            });
        }
        if self.is_rejection(to) && !has_reason {
            return Err(Refusal::argument(
                "\"reason\" is missing: a task goes from in_review back to todo only with a reason",
            ));
        }
        Ok(())
    }

    /// Returns whether the change sends work back from review.
    pub fn is_rejection(self, to: Self) -> bool {
        self == Self::InReview && to == Self::Todo
    }
}

/// The priority of a task; a greater one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Can wait.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before most others.
    High,
    /// At once.
    Urgent,
}

impl Priority {
    /// All priorities, the lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// Returns the priority of a word, or `None` if there is no such priority.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Returns the stored rank.
    pub(crate) fn rank(self) -> i64 {
        self as i64
    }

    /// Returns the priority of a stored rank.
    pub(crate) fn of_rank(rank: i64) -> Self {
        let has_rank = |one: &Self| one.rank() == rank;
        Self::ALL.into_iter().find(has_rank).unwrap_or_default()
    }
}

/// The reason of a change of state.
#[derive(Debug, Clone, Copy)]
pub struct TransitionReason<'a> {
    /// The state before.
    pub from: TaskStatus,
    /// The state after.
    pub to: TaskStatus,
    /// The name of the peer that made the change.
    pub by: &'a str,
    /// When it was made, in wall milliseconds.
    pub at_ms: i64,
    /// The reason as given.
    pub text: &'a str,
}

impl TransitionReason<'_> {
    fn entry(&self) -> String {
        let (from, to) = (self.from.as_str(), self.to.as_str());
        let Self { by, text, .. } = self;
        format!(
            "[{} {by}, {from} -> {to}] {}",
            rfc3339(self.at_ms),
            text.trim()
        )
    }
}

/// Returns the fingerprint of a title; two titles with one fingerprint mean the same work. It is the first 120 characters of
/// the title in lower case, with each run of other characters than letters and digits as one space.
pub fn fingerprint(title: &str) -> String {
    let lower = title.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let folded = words.join(" ");
    // A title without letters and digits is equal to itself only.
    let folded = if folded.is_empty() { lower } else { folded };
    folded.trim().chars().take(FINGERPRINT_CHARS).collect()
}

/// Checks a title. Returns its stored form.
pub fn check_title(title: &str) -> Result<String, Refusal> {
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    match title.chars().count() {
        1..=TITLE_CHARS_MAX => {}
        length => {
            return Err(Refusal::argument(format!(
                "\"title\" must have 1 to {TITLE_CHARS_MAX} characters, got {length}"
            )));
        }
    }
    if title.chars().any(char::is_control) {
        return Err(Refusal::argument(
            "\"title\" must have no control characters",
        ));
    }
    check_secret("title", &title)?;
    Ok(title)
}

/// Refuses a description that is too large or looks like a secret.
pub fn check_description(description: &str) -> Result<(), Refusal> {
    check_size("description", description, DESCRIPTION_BYTES_MAX)?;
    check_secret("description", description)
}

/// Refuses a reason that is empty, too large or looks like a secret.
pub fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::argument("\"reason\" is empty"));
    }
    check_size("reason", reason, REASON_BYTES_MAX)?;
    check_secret("reason", reason)
}

/// Checks the number of entries of a list.
pub fn check_count(parameter: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    Err(Refusal::argument(format!(
        "\"{parameter}\" may have {most} entries at most, got {count}"
    )))
}

/// Returns a description with the reason of a change of state appended, with author and time. If the budget for reasons is
/// exceeded, the oldest reasons are cut, and a line gives their number.
pub fn append_reason(description: &str, reason: &TransitionReason) -> String {
    let entry = reason.entry();
    let (given, cut_before, reasons) = description_parts(description);
    let with_reasons_after = |cut_now: usize| {
        let cut = match cut_before + cut_now {
            0 => String::new(),
            count => format!("{CUT_REASONS_PREFIX}{count}]"),
        };
        let description_parts =
            [&[given, &cut][..], &reasons[cut_now..], &[entry.as_str()]].concat();
        let description_parts: Vec<&str> = description_parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        description_parts.join(PART_SEPARATOR)
    };
    (0..reasons.len())
        .map(with_reasons_after)
        .find(|longer| longer.len() <= DESCRIPTION_BYTES_MAX + REASONS_BYTES_MAX)
        .unwrap_or_else(|| with_reasons_after(reasons.len()))
}

/// The separator between the parts of a description.
const PART_SEPARATOR: &str = "\n\n";
/// The beginning of the line about reasons that were cut; their number follows.
const CUT_REASONS_PREFIX: &str = "[earlier reasons cut: ";

/// Splits a description into its text without reasons, the number of reasons cut before, and its reasons.
fn description_parts(description: &str) -> (&str, usize, Vec<&str>) {
    let begins_a_reason = |at: &usize| {
        let (before, rest) = description.split_at(*at);
        (before.is_empty() || before.ends_with(PART_SEPARATOR)) && is_reason_entry(rest)
    };
    let mut bounds = vec![0];
    bounds.extend(
        description
            .match_indices('[')
            .map(|(at, _)| at)
            .filter(begins_a_reason),
    );
    bounds.push(description.len());
    let mut pieces = bounds.windows(2).map(|bounds| {
        let piece = &description[bounds[0]..bounds[1]];
        piece.strip_suffix(PART_SEPARATOR).unwrap_or(piece)
    });
    let given = pieces.next().unwrap_or_default();
    let (before, last) = given.rsplit_once(PART_SEPARATOR).unwrap_or(("", given));
    let cut_before = last
        .strip_prefix(CUT_REASONS_PREFIX)
        .and_then(|count| count.strip_suffix(']')?.parse().ok());
    let given = if cut_before.is_some() { before } else { given };
    (given, cut_before.unwrap_or_default(), pieces.collect())
}

fn is_reason_entry(text: &str) -> bool {
    let step = || {
        let (head, text) = text.strip_prefix('[')?.split_once(']')?;
        text.starts_with(' ').then_some(())?;
        let (from, to) = head.rsplit_once(", ")?.1.split_once(" -> ")?;
        TaskStatus::of(from).and(TaskStatus::of(to))
    };
    step().is_some()
}

#[cfg(test)]
mod tests {
    use super::TaskStatus::{Cancelled, Done, InProgress, InReview, Todo};
    use super::*;

    fn rejection(text: &str) -> TransitionReason<'_> {
        TransitionReason {
            from: InReview,
            to: Todo,
            by: "ada",
            at_ms: 0,
            text,
        }
    }

    #[test]
    fn task_status_allows_only_the_defined_transitions() {
        let allowed: Vec<(TaskStatus, TaskStatus)> = TaskStatus::ALL
            .into_iter()
            .flat_map(|from| TaskStatus::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from.check_transition(*to, true).is_ok())
            .collect();
        assert_eq!(
            allowed,
            [
                (Todo, InProgress),
                (Todo, Cancelled),
                (InProgress, Todo),
                (InProgress, InReview),
                (InProgress, Cancelled),
                (InReview, Todo),
                (InReview, Done),
                (InReview, Cancelled),
            ]
        );
    }

    #[test]
    fn refused_status_transition_lists_the_allowed_ones() {
        let refused =
            |from: TaskStatus, to| from.check_transition(to, true).unwrap_err().to_string();
        assert_eq!(
            refused(Todo, Done),
            "the task is todo, so it cannot become done; it can become in_progress or cancelled"
        );
        assert_eq!(
            refused(InReview, InProgress),
            "the task is in_review, so it cannot become in_progress; it can become done, todo or cancelled"
        );
        assert_eq!(
            refused(Done, Todo),
            "the task is done, so it cannot become todo; no state follows it"
        );
    }

    #[test]
    fn only_a_rejection_needs_a_reason() {
        for from in TaskStatus::ALL {
            for to in from.allowed_next() {
                let needs = from == InReview && *to == Todo;
                assert_eq!(from.check_transition(*to, false).is_err(), needs);
            }
        }
    }

    // Requirement: Tasks 8
    #[test]
    fn title_fingerprint_ignores_case_spacing_signs_and_long_tails() {
        let same = |a: &str, b: &str| fingerprint(a) == fingerprint(b);
        assert!(same("Fix the login-form!", "  fix THE login   form"));
        let long = "x".repeat(120);
        assert!(same(&long, &format!("{long}, but otherwise")));
        assert!(!same(&long[1..], &format!("{}y", &long[1..])));
        assert!(!same("fix 1", "fix 2"));
        assert!(!same("!!!", "???"));
        assert!(!fingerprint("…").is_empty());
    }

    #[test]
    fn task_title_is_one_line_within_its_size_limit() {
        assert_eq!(check_title("  a \n b ").unwrap(), "a b");
        for title in ["", "  \n", "a\u{1b}b", &"x".repeat(501)] {
            assert!(check_title(title).is_err(), "{title:?}");
        }
        assert!(check_title(&"ü".repeat(500)).is_ok());
    }

    #[test]
    fn task_reason_is_appended_with_author_and_time() {
        let entry = "[1970-01-01T00:00:00.000Z ada, in_review -> todo] no";
        assert_eq!(append_reason("", &rejection("no")), entry);
        assert_eq!(
            append_reason("Do it.", &rejection(" no \n")),
            format!("Do it.\n\n{entry}")
        );
    }

    #[test]
    fn oldest_task_reasons_are_cut_but_the_description_stays() {
        let given = format!("[1] {}", "x".repeat(DESCRIPTION_BYTES_MAX - 4));
        let long = "n\n\n[o]".repeat(REASON_BYTES_MAX / 6);
        let mut description = given.clone();
        for round in 1..=20 {
            let reason = format!("{round}: {long}");
            description = append_reason(&description, &rejection(&reason));
            assert!(description.len() <= DESCRIPTION_BYTES_MAX + REASONS_BYTES_MAX);
            assert!(description.ends_with(&reason));
        }
        let (kept, cut, reasons) = description_parts(&description);
        assert!(kept == given, "what was given is cut");
        assert_eq!(cut + reasons.len(), 20);
        assert!(reasons.len() > 1);
        let words = format!("\n\n[earlier reasons cut: {cut}]\n\n[1970");
        assert!(description[given.len()..].starts_with(&words));
    }

    #[test]
    fn task_status_and_priority_names_round_trip() {
        for status in TaskStatus::ALL {
            assert_eq!(TaskStatus::of(status.as_str()), Some(status));
        }
        for priority in Priority::ALL {
            assert_eq!(Priority::of(priority.as_str()), Some(priority));
            assert_eq!(Priority::of_rank(priority.rank()), priority);
        }
        assert!(Priority::Urgent > Priority::High);
    }
}
