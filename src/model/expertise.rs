//! Ranks peers by how likely they know a subject, for callers who do not know whom to ask. The words of the subject are
//! searched in what is stored about each peer; no peer is asked.
//!
//! Earlier answers, the role and the project folder have the highest weights. The fewer peers have a word, the more it counts.
use std::collections::BTreeSet;

use super::refusal::{Refusal, Result};
use crate::model::tokenize::{Word, tokenize};
use crate::platform::text::{cut_chars, one_line};

/// The longest subject in characters.
pub const SUBJECT_CHARS_MAX: usize = 500;
/// The number of words of a subject that count.
const WORDS_MAX: usize = 16;
/// The largest number of reasons in an explanation.
const REASONS_MAX: usize = 4;
/// The largest number of words in a reason.
const REASON_WORDS_MAX: usize = 5;

/// The subject that a caller wants to know about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpertiseQuery {
    words: Vec<Word>,
}

/// What is stored about one peer.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the field names say it")]
pub struct PeerProfile {
    pub name: String,
    pub role: Option<String>,
    /// Its own summary of its work.
    pub summary: Option<String>,
    /// The activity summary that its hooks recorded.
    pub activity_summary: Option<String>,
    pub folder: Option<String>,
    pub branch: Option<String>,
    pub claimed: Vec<String>,
    /// Questions it has answered, each with its answer.
    pub answered: Vec<String>,
    /// The memories it has stored.
    pub remembered: Vec<String>,
}

/// How well a peer fits the subject.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpertiseMatch {
    /// Higher is better; comparable only within one ranking.
    pub score: f64,
    /// The reasons, in a few words.
    pub why: String,
}

/// A source in which words of the subject were found. `weights` has a number for each word of the subject, 0 if not found.
struct Reason {
    weights: Vec<f64>,
    explanation: String,
}

impl ExpertiseQuery {
    /// Reads the subject as a caller wrote it.
    pub fn parse(text: &str) -> Result<Self> {
        let length = text.chars().count();
        if length > SUBJECT_CHARS_MAX {
            let problem =
                format!("\"about\" may have {SUBJECT_CHARS_MAX} characters at most, got {length}");
            return Err(Refusal::argument(problem).into());
        }
        let mut words: Vec<Word> = Vec::new();
        for word in tokenize(text) {
            if words.iter().all(|known| known.stem != word.stem) {
                let surface_form = word.surface_form.to_lowercase();
                words.push(Word {
                    surface_form,
                    ..word
                });
            }
        }
        words.truncate(WORDS_MAX);
        if words.is_empty() {
            let problem = format!(
                "\"about\" must have a word to look for that is neither very common nor a single letter, got {:?}",
                cut_chars(text, 60)
            );
            return Err(Refusal::argument(problem).into());
        }
        Ok(Self { words })
    }

    /// Returns the words that are searched for.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| word.surface_form.as_str())
    }

    /// Returns for each word of the subject whether a text has it.
    fn words_found_in(&self, text: &str) -> Vec<bool> {
        let mut found = vec![false; self.words.len()];
        for word in tokenize(text) {
            if let Some(at) = self.words.iter().position(|known| known.stem == word.stem) {
                found[at] = true;
            }
        }
        found
    }

    /// Returns the words whose weight is not 0, as text.
    fn explanation(&self, weights: &[f64]) -> String {
        let found = self.words.iter().zip(weights).filter(|(_, at)| **at > 0.0);
        let shown = found.map(|(word, _)| word.surface_form.as_str());
        shown.take(REASON_WORDS_MAX).collect::<Vec<_>>().join(", ")
    }
}

/// Returns how well each peer fits the subject; `None` if nothing was found.
pub fn rank_peers(subject: &ExpertiseQuery, peers: &[PeerProfile]) -> Vec<Option<ExpertiseMatch>> {
    let reasons: Vec<Vec<Reason>> = peers.iter().map(|known| reasons(subject, known)).collect();
    let rarity: Vec<f64> = (0..subject.words.len())
        .map(|word| {
            let has = |reasons: &&Vec<Reason>| reasons.iter().any(|it| it.weights[word] > 0.0);
            rarity(reasons.iter().filter(has).count(), peers.len())
        })
        .collect();
    reasons
        .into_iter()
        .map(|reasons| expertise_match(reasons, &rarity))
        .collect()
}

fn expertise_match(reasons: Vec<Reason>, rarity: &[f64]) -> Option<ExpertiseMatch> {
    let score = |reason: &Reason| -> f64 {
        let each = reason.weights.iter().zip(rarity);
        each.map(|(weight, rarity)| weight * rarity).sum()
    };
    let mut scored: Vec<(f64, String)> = reasons
        .into_iter()
        .map(|reason| (score(&reason), reason.explanation))
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    let all = scored.iter().map(|(score, _)| score).sum();
    let explanation: Vec<String> = scored
        .into_iter()
        .map(|(_, explanation)| explanation)
        .collect();
    (!explanation.is_empty()).then(|| ExpertiseMatch {
        score: all,
        why: explanation[..explanation.len().min(REASONS_MAX)].join("; "),
    })
}

/// The fewer peers have a word, the higher its value.
#[expect(clippy::cast_precision_loss, reason = "these count peers")]
fn rarity(peers_with_word: usize, all: usize) -> f64 {
    (1.0 + all as f64 / peers_with_word.max(1) as f64).ln()
}

/// Returns the sources about a peer in which a word of the subject was found.
fn reasons(subject: &ExpertiseQuery, known: &PeerProfile) -> Vec<Reason> {
    let folder = known.folder.as_deref().map(last_path_components);
    let place = format!("{} {}", known.name, folder.as_deref().unwrap_or_default());
    let location_text = match &folder {
        Some(folder) => format!("works in {folder}"),
        None => format!("named {}", known.name),
    };
    let role = known.role.as_deref().unwrap_or_default();
    let branch = known.branch.as_deref().unwrap_or_default();
    let explanation = |text: &str| cut_chars(&one_line(text), 64).to_owned();
    let with = |word: &'static str| move |words: &str| format!("{word} with: {words}");
    [
        reason(subject, 6.0, role, |_| {
            format!("role: {}", explanation(role))
        }),
        reason(subject, 4.0, &place, |_| explanation(&location_text)),
        reason(subject, 3.0, branch, |_| {
            format!("on branch {}", explanation(branch))
        }),
        reason(
            subject,
            4.0,
            known.summary.as_deref().unwrap_or_default(),
            with("summary"),
        ),
        reason(
            subject,
            3.0,
            known.activity_summary.as_deref().unwrap_or_default(),
            with("doing"),
        ),
        claimed(subject, &known.claimed),
        counted(subject, &known.answered, |count, words| match count {
            1 => format!("answered 1 question with: {words}"),
            many => format!("answered {many} questions with: {words}"),
        }),
        counted(subject, &known.remembered, |count, words| match count {
            1 => format!("remembered 1 thing with: {words}"),
            many => format!("remembered {many} things with: {words}"),
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns a reason in which each word found in `text` has this weight.
fn reason(
    subject: &ExpertiseQuery,
    weight: f64,
    text: &str,
    explanation: impl FnOnce(&str) -> String,
) -> Option<Reason> {
    let found = subject.words_found_in(text);
    let weights: Vec<f64> = found
        .iter()
        .map(|found| if *found { weight } else { 0.0 })
        .collect();
    found.contains(&true).then(|| Reason {
        explanation: explanation(&subject.explanation(&weights)),
        weights,
    })
}

fn claimed(subject: &ExpertiseQuery, resources: &[String]) -> Option<Reason> {
    let ends: BTreeSet<String> = resources
        .iter()
        .map(|it| last_path_components(it))
        .collect();
    let fits = |end: &&String| subject.words_found_in(end).contains(&true);
    let held: Vec<String> = ends.iter().filter(fits).cloned().collect();
    let explanation = held[..held.len().min(2)].join(", ");
    let explanation = format!("has claimed {}", one_line(&explanation));
    reason(subject, 4.0, &held.join(" "), |_| explanation)
}

/// Returns a reason for a list of texts. One text with a word counts half of the limit for very many. `explanation` gets the
/// number of texts found and the words.
fn counted(
    subject: &ExpertiseQuery,
    texts: &[String],
    explanation: impl FnOnce(usize, &str) -> String,
) -> Option<Reason> {
    let mut counts = vec![0_u32; subject.words.len()];
    let mut fitting = 0;
    for text in texts {
        let found = subject.words_found_in(text);
        fitting += usize::from(found.contains(&true));
        for (count, found) in counts.iter_mut().zip(found) {
            *count += u32::from(found);
        }
    }
    let weights: Vec<f64> = counts
        .into_iter()
        .map(|count| 6.0 * (1.0 - 1.0 / (1.0 + f64::from(count))))
        .collect();
    (fitting > 0).then(|| Reason {
        explanation: explanation(fitting, &subject.explanation(&weights)),
        weights,
    })
}

/// Returns the last two components of a path; those above are often equal for all peers of a machine.
fn last_path_components(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [.., above, last] => format!("…/{above}/{last}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> ExpertiseQuery {
        ExpertiseQuery::parse(text).unwrap()
    }

    fn why(text: &str, known: &PeerProfile) -> Option<String> {
        let fits = rank_peers(&subject(text), std::slice::from_ref(known));
        fits.into_iter()
            .next()
            .unwrap()
            .map(|expertise_match| expertise_match.why)
    }

    fn best(text: &str, peers: &[PeerProfile]) -> usize {
        let fits = rank_peers(&subject(text), peers);
        let score = |at: &usize| {
            fits[*at]
                .as_ref()
                .map_or(0.0, |expertise_match| expertise_match.score)
        };
        (0..peers.len())
            .max_by(|one, other| score(one).total_cmp(&score(other)))
            .unwrap()
    }

    fn named(name: &str) -> PeerProfile {
        PeerProfile {
            name: name.into(),
            ..PeerProfile::default()
        }
    }

    #[test]
    fn expertise_reason_names_each_source() {
        let known = PeerProfile {
            name: "ada".into(),
            role: Some("API and\ndatabase".into()),
            summary: Some("moves the schema".into()),
            activity_summary: Some("asked: which migration failed?".into()),
            folder: Some("/home/x/shop/backend".into()),
            branch: Some("fix-login".into()),
            claimed: vec!["file:/home/x/shop/src/auth.rs".into(), "deploy".into()],
            answered: vec![
                "which port has postgres?\n5433".into(),
                "is redis there?\nno, only postgres".into(),
                "who are you?\nada".into(),
            ],
            remembered: vec!["the seals are rotated by hand".into()],
        };
        for (about, explanation) in [
            ("databases", "role: API and database"),
            ("schema", "summary with: schema"),
            ("failed migrations", "doing with: failed, migrations"),
            ("the backend", "works in …/shop/backend"),
            ("login", "on branch fix-login"),
            ("sealed", "remembered 1 thing with: sealed"),
            ("auth.rs", "has claimed …/src/auth.rs"),
            ("deploying", "has claimed deploy"),
            (
                "port of postgres",
                "answered 2 questions with: port, postgres",
            ),
            ("redis", "answered 1 question with: redis"),
        ] {
            assert_eq!(why(about, &known).as_deref(), Some(explanation), "{about}");
        }
        assert_eq!(why("kubernetes", &known), None);
        assert_eq!(why("home", &known), None, "above the project all are alike");
    }

    #[test]
    fn rare_words_outweigh_common_words_in_expertise_ranking() {
        let with = |name: &str, answer: &str| PeerProfile {
            answered: vec![answer.into()],
            ..named(name)
        };
        let peers = [
            with("ada", "the api listens on a port"),
            with("bo", "the api uses stripe"),
            with("cy", "the api is old"),
            with("dee", "the api is slow, api, api"),
        ];
        assert_eq!(best("the api and stripe", &peers), 1);
        assert_eq!(best("port of the api", &peers), 0);
    }

    #[test]
    fn more_answers_rank_higher_but_a_role_outranks_one_answer() {
        let answers = |name: &str, count: usize| PeerProfile {
            answered: vec!["about postgres".into(); count],
            ..named(name)
        };
        assert_eq!(best("postgres", &[answers("ada", 1), answers("bo", 3)]), 1);
        let role = PeerProfile {
            role: Some("postgres".into()),
            ..named("cy")
        };
        assert_eq!(best("postgres", &[answers("ada", 1), role]), 1);
    }

    #[test]
    fn words_match_by_stem_and_unspaced_scripts_by_substring() {
        for (one, other) in [
            ("ports", "port"),
            ("queries", "query"),
            ("migrating", "migration"),
            ("cached", "caching"),
            ("Databases", "database"),
            ("postgres", "postgres"),
            ("数据库", "本数据库的"),
            ("config", "resolveConfigPath"),
            ("cafe", "the Café"),
            ("한국어", "한국어를"),
        ] {
            let known = PeerProfile {
                summary: Some(other.into()),
                ..named("ada")
            };
            assert!(why(one, &known).is_some(), "{one} {other}");
        }
        let bus = PeerProfile {
            summary: Some("bus class".into()),
            ..named("ada")
        };
        assert_eq!(why("bu", &bus), None);
    }

    #[test]
    fn wordless_or_overlong_expertise_subject_is_refused() {
        for text in ["", "  ", "?!", "who knows about the", "a", "please help me"] {
            let refused = ExpertiseQuery::parse(text).unwrap_err().to_string();
            assert!(
                refused.contains("must have a word to look for"),
                "{refused}"
            );
        }
        let refused = ExpertiseQuery::parse(&"x ".repeat(300))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("500 characters at most, got 600"),
            "{refused}"
        );
        assert_eq!(subject("ports port PORT").words.len(), 1);
    }
}
