//! Decides about claims: who may hold a resource together, which tickets are granted next, and when a lease has expired.
//! Paths of files are resolved in `platform::path`, not here.
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::model::text_checks::{check_secret, check_size};

/// The longest name of a resource in bytes, as given.
pub const RESOURCE_BYTES_MAX: usize = 512;
/// The longest note in characters.
pub const NOTE_CHARS_MAX: usize = 500;
/// The default lease in seconds.
pub const LEASE_SECONDS: u32 = 120;
/// The longest lease in seconds.
pub const LEASE_SECONDS_MAX: u32 = 86_400;
/// A lapsed lease of a busy session is honoured until this many lease durations after the claim or its last renewal.
const GRACE_LEASES: i64 = 10;

/// The mode of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimMode {
    /// One holder only.
    Exclusive,
    /// Together with other shared claims.
    Shared,
}

impl ClaimMode {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }

    /// Returns the mode of a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "shared" => Self::Shared,
            _ => Self::Exclusive,
        }
    }
}

/// The state of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// It is granted.
    Held,
    /// It is a ticket in the claim queue.
    Queued,
}

impl ClaimState {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Queued => "queued",
        }
    }

    /// Returns the state of a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            _ => Self::Held,
        }
    }
}

/// A holder or a ticket, reduced to what decides about the order.
#[expect(missing_docs, reason = "the field names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueEntry<Owner> {
    pub owner: Owner,
    pub mode: ClaimMode,
}

/// Returns the indexes in `queue` of the tickets that can be granted now.
///
/// A sharing holder that wants the resource exclusively goes first as soon as no other holder shares it, because all tickets
/// before it wait for that holder. Otherwise it is the first ticket that is compatible with the holders, with the run of
/// shared tickets that begins there.
pub fn grantable_tickets<Owner: PartialEq + Copy>(
    holders: &[QueueEntry<Owner>],
    queue: &[QueueEntry<Owner>],
) -> Vec<usize> {
    if let [only] = holders {
        let is_upgrade = |ticket: &QueueEntry<Owner>| {
            ticket.owner == only.owner && ticket.mode == ClaimMode::Exclusive
        };
        if let Some(place) = queue.iter().position(is_upgrade) {
            return vec![place];
        }
    }
    let shared = |one: &QueueEntry<Owner>| one.mode == ClaimMode::Shared;
    if holders.is_empty() && queue.first().is_some_and(|first| !shared(first)) {
        return vec![0];
    }
    if !holders.iter().all(shared) {
        return Vec::new();
    }
    let run = queue.iter().take_while(|ticket| shared(ticket)).count();
    (0..run).collect()
}

/// Returns whom a ticket waits for: incompatible holders and earlier tickets. A sharing holder that wants the resource
/// exclusively waits for no ticket.
pub fn blocking_owners<Owner: PartialEq + Copy>(
    holders: &[QueueEntry<Owner>],
    earlier_tickets: &[QueueEntry<Owner>],
    ticket: QueueEntry<Owner>,
) -> Vec<Owner> {
    let already_shares = holders.iter().any(|holder| holder.owner == ticket.owner);
    let earlier_tickets = if already_shares { &[] } else { earlier_tickets };
    let is_compatible = |other: &QueueEntry<Owner>| {
        other.mode == ClaimMode::Shared && ticket.mode == ClaimMode::Shared
    };
    holders
        .iter()
        .chain(earlier_tickets)
        .filter(|other| other.owner != ticket.owner && !is_compatible(other))
        .map(|other| other.owner)
        .collect()
}

/// The time of a claim. The monotonic clock stops while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When it was granted or last renewed.
    pub claimed_monotonic_ms: i64,
    /// How long it lasts without renewal.
    pub lease_ms: i64,
    /// When it expires.
    pub expires_at_monotonic_ms: i64,
}

/// The state of a holder at the time of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderStatus {
    /// Whether its session is alive; always true for a claim of a person.
    pub alive: bool,
    /// Whether its session is in a turn.
    pub busy: bool,
}

impl Lease {
    /// Returns a lease that begins now.
    pub fn from(now_ms: i64, lease_ms: i64) -> Self {
        Self {
            claimed_monotonic_ms: now_ms,
            lease_ms,
            expires_at_monotonic_ms: now_ms + lease_ms,
        }
    }

    /// Returns whether the claim has expired: its holder is dead, or its lease has lapsed. A busy holder keeps a lapsed lease
    /// for ten lease durations at most: a build may take long, but a forgotten claim must not starve the queue.
    pub fn is_expired(self, holder: HolderStatus, now_ms: i64) -> bool {
        let in_grace = holder.busy && now_ms < self.grace_until_monotonic_ms();
        !holder.alive || (now_ms >= self.expires_at_monotonic_ms && !in_grace)
    }

    /// Returns when to check next whether it has expired.
    pub fn next_check_monotonic_ms(self, now_ms: i64) -> i64 {
        /// While a lapsed lease is honoured, nothing announces the end of the turn.
        const GRACE_CHECK_INTERVAL_MS: i64 = 2_000;
        if now_ms < self.expires_at_monotonic_ms {
            self.expires_at_monotonic_ms
        } else {
            now_ms + GRACE_CHECK_INTERVAL_MS
        }
    }

    fn grace_until_monotonic_ms(self) -> i64 {
        self.claimed_monotonic_ms + GRACE_LEASES * self.lease_ms
    }
}

/// The name of a resource: a file, a working tree, or any other name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceName<'a> {
    /// The path of `file:<path>`, not resolved.
    File(&'a str),
    /// The path of `git:<path>`, a folder of a git working tree, not resolved. It begins with `/` or `.`; `git:` before
    /// another text is a name like any other.
    WorkingTree(&'a str),
    /// Any other name, as given.
    Other(&'a str),
}

/// Reads the name of a resource, given as `parameter`.
pub fn parse_resource_name<'a>(
    parameter: &str,
    text: &'a str,
) -> Result<ResourceName<'a>, Refusal> {
    let text = text.trim();
    let refuse = |problem: &str| Err(Refusal::argument(format!("\"{parameter}\" {problem}")));
    if text.is_empty() {
        return refuse("is empty");
    }
    check_size(parameter, text, RESOURCE_BYTES_MAX)?;
    if text.chars().any(char::is_control) {
        return refuse("must have no control characters");
    }
    check_secret(parameter, text)?;
    match text.strip_prefix("file:") {
        Some(path) if path.trim().is_empty() => refuse("is \"file:\" without a path"),
        Some(path) => Ok(ResourceName::File(path)),
        None => Ok(match text.strip_prefix("git:") {
            Some(path) if path.starts_with(['/', '.']) => ResourceName::WorkingTree(path),
            _ => ResourceName::Other(text),
        }),
    }
}

/// Refuses a note that is too long or looks like a secret.
pub fn check_note(note: &str) -> Result<(), Refusal> {
    let length = note.chars().count();
    if length > NOTE_CHARS_MAX {
        return Err(Refusal::argument(format!(
            "\"note\" may have {NOTE_CHARS_MAX} characters at most, got {length}"
        )));
    }
    check_secret("note", note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<QueueEntry<char>> {
        let one = |word: &str| QueueEntry {
            owner: word.chars().next().unwrap(),
            mode: if word.ends_with('!') {
                ClaimMode::Exclusive
            } else {
                ClaimMode::Shared
            },
        };
        text.split_whitespace().map(one).collect()
    }

    fn turn(holders: &str, queue: &str) -> Vec<usize> {
        grantable_tickets(&entries(holders), &entries(queue))
    }

    #[test]
    fn first_ticket_is_promoted_alone_or_with_following_sharers() {
        assert_eq!(turn("", "a! b c!"), [0]);
        assert_eq!(turn("", "a b c! d"), [0, 1]);
        assert_eq!(turn("a", "b c d!"), [0, 1]);
        assert_eq!(turn("a!", "b c"), [0; 0]);
        assert_eq!(turn("a", "b! c"), [0; 0], "c may not pass b");
        assert_eq!(turn("", ""), [0; 0]);
    }

    #[test]
    fn sole_sharer_is_promoted_to_exclusive_before_others() {
        assert_eq!(turn("a b", "c! a!"), [0; 0]);
        assert_eq!(turn("a", "c! a!"), [1]);
        assert_eq!(turn("a", "a"), [0]);
    }

    #[test]
    fn ticket_waits_for_conflicting_holders_and_earlier_tickets() {
        let waits = |holders: &str, earlier_tickets: &str, ticket: &str| -> String {
            blocking_owners(
                &entries(holders),
                &entries(earlier_tickets),
                entries(ticket)[0],
            )
            .into_iter()
            .collect()
        };
        assert_eq!(waits("a b", "c!", "d"), "c");
        assert_eq!(waits("a b", "c!", "d!"), "abc");
        assert_eq!(waits("a b", "c!", "a!"), "b");
    }

    #[test]
    fn lease_of_an_idle_holder_expires_at_its_deadline() {
        let lease = Lease::from(1_000, 100);
        let idle = HolderStatus {
            alive: true,
            busy: false,
        };
        assert!(!lease.is_expired(idle, 1_099));
        assert!(lease.is_expired(idle, 1_100));
        assert!(lease.is_expired(
            HolderStatus {
                alive: false,
                ..idle
            },
            1_001
        ));
    }

    #[test]
    fn lapsed_lease_of_a_busy_holder_expires_after_ten_leases() {
        let lease = Lease::from(0, 100);
        let busy = HolderStatus {
            alive: true,
            busy: true,
        };
        assert!(!lease.is_expired(busy, 999));
        assert!(lease.is_expired(busy, 1_000));
        assert_eq!(lease.next_check_monotonic_ms(40), 100);
        assert!(lease.next_check_monotonic_ms(500) > 500);
    }

    #[test]
    fn resource_must_be_a_file_or_a_valid_name() {
        assert_eq!(
            parse_resource_name("x", " deploy "),
            Ok(ResourceName::Other("deploy"))
        );
        assert_eq!(
            parse_resource_name("x", "file:src/a.rs"),
            Ok(ResourceName::File("src/a.rs"))
        );
        assert_eq!(
            parse_resource_name("x", "File:x"),
            Ok(ResourceName::Other("File:x"))
        );
        assert_eq!(
            parse_resource_name("x", "git:."),
            Ok(ResourceName::WorkingTree("."))
        );
        assert_eq!(
            parse_resource_name("x", "git:main"),
            Ok(ResourceName::Other("git:main"))
        );
        let long = "x".repeat(RESOURCE_BYTES_MAX + 1);
        for text in ["", "  ", "a\nb", "file:", "file:  ", long.as_str()] {
            assert!(parse_resource_name("x", text).is_err(), "{text:?}");
        }
        assert!(parse_resource_name("x", &"x".repeat(RESOURCE_BYTES_MAX)).is_ok());
    }
}
