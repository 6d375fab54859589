//! Tasks: which step follows which, when two titles mean the same work, and what a task must look like.
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::model::validate::{check_secret, check_size};

/// Longest title in characters.
pub const TITLE_CHARS_MAX: usize = 500;
/// Largest description in bytes, as it is given.
pub const DESCRIPTION_BYTES_MAX: usize = crate::model::question::TEXT_BYTES_MAX;
/// So many bytes of reasons find room behind the largest description.
const REASONS_BYTES_MAX: usize = 16_384;
/// Longest reason in bytes.
pub const REASON_BYTES_MAX: usize = 4_096;
/// Files of one task.
pub const FILES_MAX: usize = 64;
/// Tasks that one task waits for.
pub const DEPENDENCIES_MAX: usize = 64;
/// Tasks changed in one call.
pub const BULK_MAX: usize = 100;
/// So much of a title tells whether two tasks are the same.
const FINGERPRINT_CHARS: usize = 120;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Nobody has begun.
    Todo,
    /// Somebody works on it.
    InProgress,
    /// The work is done and somebody looks at it.
    InReview,
    /// It ended well.
    Done,
    /// It was given up.
    Cancelled,
}

impl TaskStatus {
    /// All of them, in the order of a task's life.
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

    /// Returns the status of a word, or `None` when there is none.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Returns whether nothing follows it.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }

    /// Returns what may follow it.
    pub fn allowed_next(self) -> &'static [Self] {
        match self {
            Self::Todo => &[Self::InProgress, Self::Cancelled],
            Self::InProgress => &[Self::InReview, Self::Todo, Self::Cancelled],
            Self::InReview => &[Self::Done, Self::Todo, Self::Cancelled],
            Self::Done | Self::Cancelled => &[],
        }
    }

    /// Checks a step; a reject needs its reason.
    pub fn check_transition(self, to: Self, has_reason: bool) -> Result<(), Refusal> {
        if !self.allowed_next().contains(&to) {
            let words: Vec<&str> = self.allowed_next().iter().map(|one| one.as_str()).collect();
            let allowed = match words.as_slice() {
                [] => "that is its end".to_owned(),
                [most @ .., last] => format!("from there it goes to {} or {last}", most.join(", ")),
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
                "\"reason\" is missing: whoever sends a task from in_review back to todo says why",
            ));
        }
        Ok(())
    }

    /// Returns whether a step sends finished work back.
    pub fn is_rejection(self, to: Self) -> bool {
        self == Self::InReview && to == Self::Todo
    }
}

/// How much a task matters; the greater the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// It can wait.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Before others.
    High,
    /// Now.
    Urgent,
}

impl Priority {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// Returns the priority of a word, or `None` when there is none.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Returns its stored rank.
    pub(crate) fn rank(self) -> i64 {
        self as i64
    }

    /// Returns the priority of a stored rank.
    pub(crate) fn of_rank(rank: i64) -> Self {
        let has_rank = |one: &Self| one.rank() == rank;
        Self::ALL.into_iter().find(has_rank).unwrap_or_default()
    }
}

/// Returns what tells whether two titles mean the same work: letters and digits in lower case, whatever stands between
/// them as one space, the first 120 characters of that.
pub fn fingerprint(title: &str) -> String {
    let lower = title.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let folded = words.join(" ");
    // A title of signs alone is only like itself.
    let folded = if folded.is_empty() { lower } else { folded };
    folded.trim().chars().take(FINGERPRINT_CHARS).collect()
}

/// Checks a title. Returns it as it is stored.
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

/// Checks a description.
pub fn check_description(description: &str) -> Result<(), Refusal> {
    check_size("description", description, DESCRIPTION_BYTES_MAX)?;
    check_secret("description", description)
}

/// Checks a reason.
pub fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::argument("\"reason\" is empty"));
    }
    check_size("reason", reason, REASON_BYTES_MAX)?;
    check_secret("reason", reason)
}

/// Checks how many there are of something.
pub fn check_count(parameter: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    Err(Refusal::argument(format!(
        "\"{parameter}\" may have {most} entries at most, got {count}"
    )))
}

/// Returns a description with the reason of a step at its end, with who took the step and when. A reason always finds its
/// room: where there is none left, the oldest ones go, and a line says how many have gone.
pub fn append_reason(
    description: &str,
    reason: &str,
    who: &str,
    when: &str,
    step: (TaskStatus, TaskStatus),
) -> String {
    let (from, to) = (step.0.as_str(), step.1.as_str());
    let entry = format!("[{when} {who}, {from} -> {to}] {}", reason.trim());
    let (given, cut_before, reasons) = description_parts(description);
    let with_reasons_after = |gone: usize| {
        let cut = match cut_before + gone {
            0 => String::new(),
            count => format!("{CUT_REASONS_PREFIX}{count}]"),
        };
        let description_parts = [&[given, &cut][..], &reasons[gone..], &[entry.as_str()]].concat();
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

/// What stands between the parts of a description.
const PART_SEPARATOR: &str = "\n\n";
/// What a description says of reasons that were cut; their number follows.
const CUT_REASONS_PREFIX: &str = "[earlier reasons cut: ";

/// Returns a description without its reasons, how many were cut from it before, and its reasons.
fn description_parts(description: &str) -> (&str, usize, Vec<&str>) {
    let begins_a_reason = |at: &usize| {
        let (before, behind) = description.split_at(*at);
        (before.is_empty() || before.ends_with(PART_SEPARATOR)) && is_reason_entry(behind)
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
            "the task is todo, so it cannot become done; from there it goes to in_progress or cancelled"
        );
        assert_eq!(
            refused(InReview, InProgress),
            "the task is in_review, so it cannot become in_progress; from there it goes to done, todo or cancelled"
        );
        assert_eq!(
            refused(Done, Todo),
            "the task is done, so it cannot become todo; that is its end"
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
        let with = |description: &str, reason: &str| {
            append_reason(description, reason, "ada", "noon", (InReview, Todo))
        };
        assert_eq!(with("", "no"), "[noon ada, in_review -> todo] no");
        assert_eq!(
            with("Do it.", " no \n"),
            "Do it.\n\n[noon ada, in_review -> todo] no"
        );
    }

    #[test]
    fn oldest_task_reasons_are_cut_but_the_description_stays() {
        let given = format!("[1] {}", "x".repeat(DESCRIPTION_BYTES_MAX - 4));
        let long = "n\n\n[o]".repeat(REASON_BYTES_MAX / 6);
        let mut description = given.clone();
        for round in 1..=20 {
            let reason = format!("{round}: {long}");
            description = append_reason(&description, &reason, "ada", "noon", (InReview, Todo));
            assert!(description.len() <= DESCRIPTION_BYTES_MAX + REASONS_BYTES_MAX);
            assert!(description.ends_with(&reason));
        }
        let (kept, cut, reasons) = description_parts(&description);
        assert!(kept == given, "what was given is cut");
        assert_eq!(cut + reasons.len(), 20);
        assert!(reasons.len() > 1);
        let words = format!("\n\n[earlier reasons cut: {cut}]\n\n[noon ada");
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
