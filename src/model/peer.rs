//! Defines the names and addresses of peers, and when a session counts as alive or busy.
use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// The longest name in characters.
pub const NAME_MAX: usize = 64;

/// The name of a peer: 1–64 of `a-z 0-9 . _ -`; of a person `person@host`, of a headless run `project/p-123`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerName(String);

impl PeerName {
    /// Makes a name of the text of a file or folder: letters are transliterated and put in lower case, other characters
    /// become `-`. If nothing is left, the name is `project`.
    pub fn fold(text: &str) -> Self {
        Self::from_ascii(&transliterate(text))
    }

    /// Parses a name that a caller chose.
    pub fn parse_chosen(text: &str) -> Result<Self, Refusal> {
        let ascii = transliterate(text);
        if !ascii.contains(|c: char| c.is_ascii_alphanumeric()) {
            return Err(Refusal::argument(format!(
                "\"name\" needs a letter or a digit, got {:?}; a name has 1 to {NAME_MAX} characters of a-z, 0-9, \".\", \"_\" and \"-\"; other letters are transliterated",
                crate::platform::text::cut_chars(text, 80)
            )));
        }
        Ok(Self::from_ascii(&ascii))
    }

    /// Returns whether a caller may have chosen this name: it is not one of a person or of a headless run.
    pub fn is_chosen(&self) -> bool {
        !self.0.contains(['@', '/'])
    }

    /// Folds as the first versions did, which kept ASCII letters only. Peers that got such a name keep it.
    pub(crate) fn fold_ascii_only(text: &str) -> Self {
        Self::from_ascii(text)
    }

    fn from_ascii(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_') {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(NAME_MAX);
        let name = name.trim_matches(['-', '.']);
        Self(if name.is_empty() {
            "project".into()
        } else {
            name.into()
        })
    }

    /// Returns the name of a headless run of a project; it cannot be addressed.
    pub fn for_run(project: &Self, pid: i32) -> Self {
        Self(format!("{project}/p-{pid}"))
    }

    /// Returns the name of the person at a machine.
    pub fn for_person(host: &str) -> Self {
        Self(format!("person@{}", Self::from_ascii(host)))
    }

    /// Returns whether it is the name of a person; no other peer gets a name with `@`.
    pub fn is_person(&self) -> bool {
        self.0.starts_with("person@")
    }

    /// Returns a name that was read from the store.
    pub(crate) fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// Returns the names that a new peer may get, best first: its own, then with the names of parent folders, then numbered.
    ///
    /// From `seat` 2 on, all of them end in `-2` and so on, so that a name without such an end always means seat 1.
    pub fn candidates(
        base: &Self,
        seat: u32,
        parent_folders: &[String],
    ) -> impl Iterator<Item = Self> + use<> {
        let end = if seat > 1 {
            format!("-{seat}")
        } else {
            String::new()
        };
        let with_folders = (1..=parent_folders.len()).map({
            let (base, end, folders) = (base.0.clone(), end.clone(), parent_folders.to_vec());
            move |count| {
                let folders: Vec<String> = folders[..count]
                    .iter()
                    .map(|folder| Self::fold(folder).0)
                    .collect();
                Self::with_suffix(&format!("{base}.{}", folders.join(".")), &end)
            }
        });
        let numbered = (2_u64..).map({
            let (base, end) = (base.0.clone(), end.clone());
            move |number| Self::with_suffix(&base, &format!(".{number}{end}"))
        });
        std::iter::once(Self::with_suffix(&base.0, &end))
            .chain(with_folders)
            .chain(numbered)
    }

    fn with_suffix(base: &str, end: &str) -> Self {
        Self(format!(
            "{}{end}",
            crate::platform::text::cut_chars(base, NAME_MAX - end.len())
        ))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn transliterate(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    deunicode::deunicode_with_tofu_cow(text, "-")
}

/// What kind of participant a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerKind {
    /// The interactive sessions of a project, each with a seat of its own.
    Session,
    /// One `claude -p` run without a mailbox.
    Run,
    /// The person at this machine.
    Person,
}

impl PeerKind {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Run => "run",
            Self::Person => "person",
        }
    }

    /// Returns the kind of a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "run" => Self::Run,
            "person" => Self::Person,
            _ => Self::Session,
        }
    }
}

/// Whether the process of a session exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// The client process runs, or was last seen within its time to live.
    Alive,
    /// Last seen longer ago than its time to live, but within the grace; or not seen since the clock was set back.
    Stale,
    /// The process has ended.
    Dead,
}

/// How long after its time to live a session that cannot be looked up counts as stale, in milliseconds.
pub const STALE_GRACE_MS: i64 = 30_000;

impl Liveness {
    /// Returns the liveness of a session whose process cannot be looked up. If it was last seen far ahead of now, the clock
    /// was set back: it counts as stale until it is seen again.
    pub fn from_last_seen(last_seen_at_ms: i64, ttl_ms: i64, now_ms: i64) -> Self {
        match now_ms - last_seen_at_ms {
            ago_ms if ago_ms < -(ttl_ms + STALE_GRACE_MS) => Self::Stale,
            ago_ms if ago_ms <= ttl_ms => Self::Alive,
            ago_ms if ago_ms <= ttl_ms + STALE_GRACE_MS => Self::Stale,
            _ => Self::Dead,
        }
    }
}

/// The activity of a session, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// At its prompt.
    Idle,
    /// In a turn.
    Busy,
    /// A dialog in it waits for its person.
    Waiting,
    /// Its server does not run: it cannot be asked until its person restarts it.
    NeedsRestart,
    /// No session is registered at the peer.
    Offline,
    /// It is not known.
    Unknown,
}

impl Activity {
    /// Returns the activity of a word that the registry of Claude Code or a hook has written.
    pub fn of(word: &str) -> Self {
        match word {
            "idle" => Self::Idle,
            "busy" => Self::Busy,
            "waiting" => Self::Waiting,
            _ => Self::Unknown,
        }
    }

    /// Returns the word that results show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Waiting => "waiting",
            Self::NeedsRestart => "needs_restart",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

/// The address of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A name, an alias or the beginning of a peer id.
    Peer(String),
    /// Any live session of the project of that peer.
    AnyOf(String),
}

impl Address {
    /// Parses the parameter `to` of a question.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Self::parse_as("to", text)
    }

    /// Parses an address that was given as `parameter`.
    pub fn parse_as(parameter: &str, text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let (name, any) = text
            .strip_suffix("/any")
            .map_or((text, false), |name| (name, true));
        let is_valid = !name.is_empty()
            && name.chars().count() <= 100
            && !name.chars().any(|c| c.is_whitespace() || c.is_control());
        match (is_valid, any) {
            (false, _) => Err(Refusal::argument(format!(
                "\"{parameter}\" must be the name of a peer such as \"backend\" or \"backend/any\", got {:?}",
                crate::platform::text::cut_chars(text, 80)
            ))),
            (true, true) => Ok(Self::AnyOf(name.to_lowercase())),
            (true, false) => Ok(Self::Peer(name.to_lowercase())),
        }
    }

    /// Returns the name without `/any`.
    pub fn name(&self) -> &str {
        let (Self::Peer(name) | Self::AnyOf(name)) = self;
        name
    }
}

/// Returns at most three names that are most similar to `name`, best first.
pub fn nearest(name: &str, names: &[String]) -> Vec<String> {
    let mut ranked: Vec<(usize, &String)> = names
        .iter()
        .map(|other| {
            let edit_distance = if other.contains(name) || name.contains(other.as_str()) {
                1
            } else {
                levenshtein_distance(name, other)
            };
            (edit_distance, other)
        })
        .filter(|(edit_distance, other)| {
            *edit_distance == 1 || *edit_distance * 2 <= name.len().max(other.len())
        })
        .collect();
    ranked.sort();
    ranked
        .into_iter()
        .take(3)
        .map(|(_, name)| name.clone())
        .collect()
}

/// Returns how many insertions, deletions and substitutions of a letter turn one word into the other.
fn levenshtein_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            let best = substituted.min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_name_is_transliterated_to_ascii() {
        for (text, name) in [
            ("Backend API", "backend-api"),
            ("数据", "shu-ju"),
            ("Проект №2", "proekt-no2"),
            ("…", "project"),
            ("../etc", "etc"),
            ("a__b.c", "a__b.c"),
            ("Über", "uber"),
            ("U\u{308}-x", "u-x"),
            ("straße", "strasse"),
            ("-", "project"),
        ] {
            assert_eq!(PeerName::fold(text).as_str(), name, "{text}");
        }
        assert_eq!(PeerName::fold(&"x".repeat(200)).as_str().len(), NAME_MAX);
    }

    #[test]
    fn taken_peer_name_gets_parent_folders_then_a_number() {
        let above = ["work".to_owned(), "Home Dir".to_owned()];
        let names: Vec<String> = PeerName::candidates(&PeerName::fold("api"), 1, &above)
            .take(4)
            .map(|name| name.to_string())
            .collect();
        assert_eq!(names, ["api", "api.work", "api.work.home-dir", "api.2"]);
        let second: Vec<String> = PeerName::candidates(&PeerName::fold("api"), 2, &above)
            .take(2)
            .map(|name| name.to_string())
            .collect();
        assert_eq!(second, ["api-2", "api.work-2"]);
        let long = PeerName::candidates(&PeerName::fold(&"y".repeat(64)), 12, &[])
            .next()
            .unwrap();
        assert_eq!(long.as_str().len(), NAME_MAX);
        assert!(long.as_str().ends_with("y-12"));
    }

    #[test]
    fn session_is_stale_for_thirty_seconds_before_it_is_dead() {
        assert_eq!(Liveness::from_last_seen(0, 60_000, 60_000), Liveness::Alive);
        assert_eq!(Liveness::from_last_seen(0, 60_000, 60_001), Liveness::Stale);
        assert_eq!(Liveness::from_last_seen(0, 60_000, 90_000), Liveness::Stale);
        assert_eq!(Liveness::from_last_seen(0, 60_000, 90_001), Liveness::Dead);
        assert_eq!(Liveness::from_last_seen(90_000, 60_000, 0), Liveness::Alive);
        assert_eq!(Liveness::from_last_seen(90_001, 60_000, 0), Liveness::Stale);
    }

    #[test]
    fn mistyped_name_yields_similar_names() {
        let names: Vec<String> = ["backend", "backend-2", "frontend", "docs"]
            .map(str::to_owned)
            .into();
        assert_eq!(nearest("bakend", &names), ["backend", "backend-2"]);
        assert_eq!(nearest("end", &names).len(), 3);
        assert_eq!(nearest("zzz", &names), Vec::<String>::new());
    }

    #[test]
    fn an_address_names_a_peer_or_any_session_of_its_project() {
        assert_eq!(
            Address::parse(" Backend ").unwrap(),
            Address::Peer("backend".into())
        );
        assert_eq!(
            Address::parse("backend/any").unwrap(),
            Address::AnyOf("backend".into())
        );
        assert!(Address::parse("/any").is_err());
        assert!(Address::parse("two words").is_err());
    }
}
