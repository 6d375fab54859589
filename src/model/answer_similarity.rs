//! Known answers: which earlier answers of a peer fit a new question. Only what is alike enough is given; nothing is made up.
use std::collections::{BTreeMap, HashMap};

use crate::model::tokenize::meaningful;

/// How many earlier answers a result carries at most.
pub const ANSWERS_MAX: usize = 3;
/// How many bytes they have in all, as JSON.
pub const BYTES_MAX: usize = 4_000;
/// How many of a peer's answers are looked through, the newest first.
pub const LOOKED_THROUGH_MAX: u32 = 5_000;

/// How many bytes their questions and answers have in all, about; the oldest are left out.
pub const BYTES_LOOKED_THROUGH_MAX: i64 = 16 * 1024 * 1024;

/// How much of a question's weight must be found again.
const COVERED_MIN: f64 = 0.4;
/// How much of the earlier question's weight must be in the new one: what only brushes it is another question.
const COVERING_MIN: f64 = 0.34;
/// A word found in the answer only counts as this part of one found in the question.
const IN_ANSWER: f64 = 0.4;
/// So much of an answer is read.
const ANSWER_BYTES_READ: usize = 2_048;

/// A question that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// What was asked.
    pub question: &'a str,
    /// What was answered.
    pub answer: &'a str,
}

/// An earlier answer that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Its place in the list.
    pub index: usize,
    /// The words of the new question that were found, as they stand there.
    pub matched: Vec<String>,
    /// How well it fits; 1 is everything.
    pub score: f64,
}

/// Returns the earlier answers that fit a question, best first. `earlier` comes newest first, which also decides between equals.
pub fn best(question: &str, earlier: &[Earlier]) -> Vec<Fit> {
    let asked = meaningful(question);
    if asked.is_empty() {
        return Vec::new();
    }
    let questions: Vec<BTreeMap<String, String>> =
        earlier.iter().map(|one| meaningful(one.question)).collect();
    let weights = Weights::of(&questions);
    let mut fits: Vec<Fit> = questions
        .iter()
        .enumerate()
        .filter_map(|(index, words)| fit(&asked, words, earlier[index].answer, index, &weights))
        .collect();
    fits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    let mut distinct: Vec<Fit> = Vec::new();
    for one in fits {
        let told = |other: &Fit| earlier[other.index].answer == earlier[one.index].answer;
        if !distinct.iter().any(told) {
            distinct.push(one);
        }
        if distinct.len() == ANSWERS_MAX {
            break;
        }
    }
    distinct
}

fn fit(
    asked: &BTreeMap<String, String>,
    words: &BTreeMap<String, String>,
    answer: &str,
    index: usize,
    weights: &Weights,
) -> Option<Fit> {
    let common: Vec<&String> = asked
        .keys()
        .filter(|word| words.contains_key(*word))
        .collect();
    // One word in common is enough only where both questions have hardly another.
    let enough = common.len() >= 2 || (common.len() == 1 && asked.len() == 1 && words.len() <= 2);
    if !enough {
        return None;
    }
    let of_earlier: f64 = words.keys().map(|word| weights.of_word(word)).sum();
    let in_question: f64 = common.iter().map(|word| weights.of_word(word)).sum();
    if in_question < COVERING_MIN * of_earlier {
        return None;
    }
    let answer = meaningful(crate::platform::text::cut_bytes(answer, ANSWER_BYTES_READ));
    let only_answered = |word: &&String| !words.contains_key(*word) && answer.contains_key(*word);
    let in_answer: f64 = asked
        .keys()
        .filter(only_answered)
        .map(|word| weights.of_word(word))
        .sum();
    let all: f64 = asked.keys().map(|word| weights.of_word(word)).sum();
    let covered = (in_question + IN_ANSWER * in_answer) / all;
    if covered < COVERED_MIN {
        return None;
    }
    let matched = asked
        .iter()
        .filter(|(word, _)| words.contains_key(*word) || answer.contains_key(*word))
        .map(|(_, form)| form.clone())
        .collect();
    // Of two that cover the question equally the one with less beside it is nearer.
    let nearness = in_question / of_earlier;
    Some(Fit {
        index,
        matched,
        score: 0.75 * covered + 0.25 * nearness,
    })
}

/// How much a word tells: one that stands in every question tells little.
struct Weights {
    counts: HashMap<String, u32>,
    all: f64,
}

impl Weights {
    fn of(questions: &[BTreeMap<String, String>]) -> Self {
        let mut counts = HashMap::new();
        for word in questions.iter().flat_map(BTreeMap::keys) {
            *counts.entry(word.clone()).or_insert(0) += 1;
        }
        Self {
            counts,
            all: f64::from(u32::try_from(questions.len()).unwrap_or(u32::MAX)),
        }
    }

    fn of_word(&self, word: &str) -> f64 {
        match self.counts.get(word) {
            Some(count) => (1.0 + self.all / f64::from(*count)).ln().max(0.7),
            // A word this peer was never asked with is as likely another way to say it as another subject.
            None => 0.5 * (1.0 + self.all).ln().max(0.7),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: [(&str, &str); 5] = [
        ("Which port does the API listen on?", "5433"),
        ("What is the name of the staging database?", "shop_staging"),
        ("Which branch do releases come from?", "release/2.x"),
        (
            "How do I reset the staging database?",
            "make db-reset ENV=staging",
        ),
        (
            "What does error E42 of the importer mean?",
            "a missing column",
        ),
    ];

    fn answers(question: &str) -> Vec<&'static str> {
        let earlier = EARLIER.map(|(question, answer)| Earlier { question, answer });
        best(question, &earlier)
            .iter()
            .map(|fit| EARLIER[fit.index].1)
            .collect()
    }

    #[test]
    fn the_same_in_other_words_is_found_best_first() {
        assert_eq!(answers("on what port is the api listening?"), ["5433"]);
        assert_eq!(
            answers("how can the staging database be reset")[0],
            "make db-reset ENV=staging"
        );
        assert_eq!(
            answers("importer fails with E42, what does it mean?"),
            ["a missing column"]
        );
    }

    #[test]
    fn what_only_brushes_an_earlier_question_is_not_taken_for_it() {
        for question in [
            "Which port does Redis use?",
            "What is the API's rate limit for anonymous users?",
            "Who reviews the importer?",
            "what is it?",
            "",
            "Is the weather nice?",
        ] {
            assert_eq!(answers(question), [""; 0], "{question}");
        }
    }

    #[test]
    fn the_newest_of_equals_comes_first_and_one_answer_only_once() {
        let earlier = [
            ("which port has the api?", "5434"),
            ("which port has the api?", "5433"),
            ("the api has which port?", "5434"),
        ]
        .map(|(question, answer)| Earlier { question, answer });
        let found = best("which port does the api have?", &earlier);
        let indexes: Vec<usize> = found.iter().map(|fit| fit.index).collect();
        assert_eq!(indexes, [0, 1]);
        assert_eq!(found[0].matched, ["api", "port"]);
    }
}
