//! Finds the earlier answers of a peer that fit a new question, as prior answers for a caller who cannot be answered now.
//! Answers below a minimal similarity are left out, so that no answer is better than a wrong one.
use std::collections::HashMap;
use std::hash::BuildHasher;

use crate::model::tokenize::{tokenize, words_by_stem};
use crate::model::word_beginnings::{Beginnings, position_bit};

/// The largest number of prior answers in a result.
pub const ANSWERS_MAX: usize = 3;
/// Their largest total size in bytes of JSON.
pub const BYTES_MAX: usize = 4_000;
/// How many answers of a peer are compared, the newest first.
pub const CANDIDATES_MAX: u32 = 5_000;
/// About how many bytes of questions and answers are compared; the oldest are left out.
pub const CANDIDATE_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// The part of the weight of the new question that must be found in an earlier one and its answer.
const QUESTION_COVERAGE_MIN: f64 = 0.4;
/// The part of the weight of the earlier question that must be in the new one. Below it they are different questions.
const CANDIDATE_COVERAGE_MIN: f64 = 0.34;
/// The weight of a word that is only in the answer, relative to one in the question.
const ANSWER_WORD_WEIGHT: f64 = 0.4;
/// How much of an answer is compared.
const ANSWER_BYTES_SCANNED: usize = 2_048;

/// An answered question of the peer.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the field names say it")]
pub struct AnsweredQuestion<'a> {
    pub question: &'a str,
    pub answer: &'a str,
    pub answered_at_ms: i64,
}

/// An earlier answer that fits the new question.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerMatch {
    /// How many were added before it.
    pub index: usize,
    /// The words of the new question that were found, in the form they have there.
    pub matched: Vec<String>,
    /// How well it fits, at most 1.
    pub score: f64,
}

/// A question that is compared with earlier ones, one after the other. Of an earlier one it keeps numbers only, and only if it
/// has words in common, so that thousands are compared in a few milliseconds.
#[derive(Debug)]
pub struct SimilarAnswers {
    question: Vec<QuestionWord>,
    beginnings: Beginnings,
    stems: StemIds,
    /// How many earlier questions have a stem, by its number.
    counts: Vec<u32>,
    compared: usize,
    candidates: Vec<Candidate>,
}

impl SimilarAnswers {
    /// Returns a comparison without earlier questions.
    pub fn new(question: &str) -> Self {
        let mut stems = StemIds::default();
        let mut beginnings = Beginnings::default();
        let words = words_by_stem(question).into_iter().enumerate();
        let question = words
            .map(|(position, (stem, surface_form))| {
                beginnings.add(position, &stem);
                QuestionWord {
                    id: stems.id_of_stem(&stem),
                    surface_form,
                }
            })
            .collect();
        Self {
            question,
            beginnings,
            stems,
            counts: Vec::new(),
            compared: 0,
            candidates: Vec::new(),
        }
    }

    /// Compares an earlier question. They are added from the newest to the oldest.
    pub fn add(&mut self, earlier: AnsweredQuestion) {
        let index = self.compared;
        self.compared += 1;
        if self.question.is_empty() {
            return;
        }
        let words = self.stems.ids_of_text(earlier.question);
        self.counts.resize(self.stems.count(), 0);
        for word in &words {
            self.counts[*word as usize] += 1;
        }
        let is_asked = |word: &QuestionWord| words.binary_search(&word.id).is_ok();
        let asked: Vec<bool> = self.question.iter().map(is_asked).collect();
        let common = asked.iter().filter(|is_asked| **is_asked).count();
        // One common word is enough only if both questions have hardly any other.
        let enough = common >= 2 || (common == 1 && asked.len() == 1 && words.len() <= 2);
        if enough {
            let answered = self.answered(&asked, earlier.answer);
            self.candidates.push(Candidate {
                index,
                answered_at_ms: earlier.answered_at_ms,
                answer_hash: self.stems.of_stem.hasher().hash_one(earlier.answer),
                answered,
                asked,
                words,
            });
        }
    }

    /// Returns the positions of the words of the new question that only the answer has.
    fn answered(&mut self, asked: &[bool], answer: &str) -> Vec<usize> {
        let answer = crate::platform::text::cut_bytes(answer, ANSWER_BYTES_SCANNED);
        let missing = || (0..asked.len()).filter(|position| !asked[*position]);
        let possible = self.beginnings.found_in(answer);
        if !missing().any(|position| possible & position_bit(position) != 0) {
            return Vec::new();
        }
        let words = self.stems.ids_of_text(answer);
        missing()
            .filter(|position| words.binary_search(&self.question[*position].id).is_ok())
            .collect()
    }

    /// Returns the earlier answers that fit, best first, and of equal ones the newest; each answer once.
    pub fn best(&self) -> Vec<AnswerMatch> {
        let weights = TermWeights::of(&self.counts, self.compared);
        let mut fits: Vec<(AnswerMatch, &Candidate)> = self
            .candidates
            .iter()
            .filter_map(|candidate| Some((self.answer_match(candidate, &weights)?, candidate)))
            .collect();
        fits.sort_by(|(a, of_a), (b, of_b)| {
            let newer = of_b.answered_at_ms.cmp(&of_a.answered_at_ms);
            let score = b.score.total_cmp(&a.score);
            score.then(newer).then(a.index.cmp(&b.index))
        });
        let mut answers = Vec::new();
        let mut distinct = Vec::new();
        for (one, candidate) in fits {
            if !answers.contains(&candidate.answer_hash) {
                answers.push(candidate.answer_hash);
                distinct.push(one);
            }
            if distinct.len() == ANSWERS_MAX {
                break;
            }
        }
        distinct
    }

    fn answer_match(&self, candidate: &Candidate, weights: &TermWeights) -> Option<AnswerMatch> {
        let question = || self.question.iter().enumerate();
        let is_asked = |position: usize| candidate.asked[position];
        let is_answered = |position: usize| candidate.answered.contains(&position);
        let weight_of = |word: &QuestionWord| weights.weight_of(word.id);
        let words = candidate.words.iter();
        let candidate_weight: f64 = words.map(|word| weights.weight_of(*word)).sum();
        let common_weight: f64 = question()
            .filter(|(position, _)| is_asked(*position))
            .map(|(_, word)| weight_of(word))
            .sum();
        if common_weight < CANDIDATE_COVERAGE_MIN * candidate_weight {
            return None;
        }
        let answer_weight: f64 = question()
            .filter(|(position, _)| is_answered(*position))
            .map(|(_, word)| weight_of(word))
            .sum();
        let all: f64 = self.question.iter().map(weight_of).sum();
        let coverage = (common_weight + ANSWER_WORD_WEIGHT * answer_weight) / all;
        if coverage < QUESTION_COVERAGE_MIN {
            return None;
        }
        let matched = question()
            .filter(|(position, _)| is_asked(*position) || is_answered(*position))
            .map(|(_, word)| word.surface_form.clone())
            .collect();
        // Of two that cover the question equally, the one with fewer other words is nearer.
        let nearness = common_weight / candidate_weight;
        Some(AnswerMatch {
            index: candidate.index,
            matched,
            score: 0.75 * coverage + 0.25 * nearness,
        })
    }
}

/// The number of a stem.
type StemId = u32;

/// A word of the new question.
#[derive(Debug)]
struct QuestionWord {
    id: StemId,
    surface_form: String,
}

/// Numbers the stems of words, so that thousands of texts are compared by numbers and each word is stemmed once.
#[derive(Debug, Default)]
struct StemIds {
    of_stem: HashMap<String, StemId>,
    /// What a run of letters and digits is counted as: nothing, a word, or several words.
    of_run: HashMap<String, Vec<StemId>>,
}

impl StemIds {
    fn count(&self) -> usize {
        self.of_stem.len()
    }

    fn id_of_stem(&mut self, stem: &str) -> StemId {
        if let Some(id) = self.of_stem.get(stem) {
            return *id;
        }
        let id = StemId::try_from(self.of_stem.len()).unwrap_or(StemId::MAX);
        self.of_stem.insert(stem.to_owned(), id);
        id
    }

    /// Returns the stems of the meaningful words of a text, each once, in order.
    fn ids_of_text(&mut self, text: &str) -> Vec<StemId> {
        let mut ids = Vec::new();
        for run in text.split(|c: char| !c.is_alphanumeric()) {
            if !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit()) {
                // Numbers, of which most differ, are words as they are.
                ids.push(self.id_of_stem(run));
                continue;
            }
            if let Some(known) = self.of_run.get(run) {
                ids.extend_from_slice(known);
                continue;
            }
            let words = tokenize(run).into_iter();
            let new: Vec<StemId> = words.map(|word| self.id_of_stem(&word.stem)).collect();
            ids.extend_from_slice(&new);
            self.of_run.insert(run.to_owned(), new);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// An earlier question that has words in common with the new one.
#[derive(Debug)]
struct Candidate {
    index: usize,
    answered_at_ms: i64,
    /// Equal for equal answers.
    answer_hash: u64,
    /// Its stems, in order.
    words: Vec<StemId>,
    /// Which words of the new question it has.
    asked: Vec<bool>,
    /// The positions of those that only its answer has.
    answered: Vec<usize>,
}

/// The weights of words: the more questions have a word, the lower its weight.
struct TermWeights {
    of_known: Vec<f64>,
    of_unknown: f64,
}

impl TermWeights {
    /// Returns the weights of stems by the numbers of questions that have each, of all questions.
    fn of(counts: &[u32], questions: usize) -> Self {
        let all = f64::from(u32::try_from(questions).unwrap_or(u32::MAX));
        // A word that no earlier question has may be a synonym or another subject, so it counts half.
        let of_unknown = 0.5 * (1.0 + all).ln().max(0.7);
        let weight = |count: u32| match count {
            0 => of_unknown,
            count => (1.0 + all / f64::from(count)).ln().max(0.7),
        };
        Self {
            of_known: counts.iter().copied().map(weight).collect(),
            of_unknown,
        }
    }

    fn weight_of(&self, word: StemId) -> f64 {
        let known = self.of_known.get(word as usize);
        known.copied().unwrap_or(self.of_unknown)
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

    fn find(question: &str, earlier: &[(&str, &str)]) -> Vec<AnswerMatch> {
        let mut similar = SimilarAnswers::new(question);
        for (question, answer) in earlier {
            similar.add(AnsweredQuestion {
                question,
                answer,
                answered_at_ms: 1,
            });
        }
        similar.best()
    }

    fn answers(question: &str) -> Vec<&'static str> {
        let found = find(question, &EARLIER);
        let answers = found
            .iter()
            .map(|answer_match| EARLIER[answer_match.index].1);
        answers.collect()
    }

    #[test]
    fn reworded_questions_match_with_the_best_first() {
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
    fn loosely_related_questions_do_not_match() {
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
    fn equal_matches_are_newest_first_without_duplicate_answers() {
        let earlier = [
            ("which port has the api?", "5434"),
            ("which port has the api?", "5433"),
            ("the api has which port?", "5434"),
        ];
        let found = find("which port does the api have?", &earlier);
        let indexes: Vec<usize> = found
            .iter()
            .map(|answer_match| answer_match.index)
            .collect();
        assert_eq!(indexes, [0, 1]);
        assert_eq!(found[0].matched, ["api", "port"]);
    }

    #[test]
    fn equal_matches_are_ordered_by_the_time_of_their_answers() {
        let mut similar = SimilarAnswers::new("which port has the api?");
        for (answer, answered_at_ms) in [("5433", 1), ("5434", 3), ("5435", 2)] {
            similar.add(AnsweredQuestion {
                question: "which port has the api?",
                answer,
                answered_at_ms,
            });
        }
        let order: Vec<usize> = similar.best().iter().map(|found| found.index).collect();
        assert_eq!(order, [1, 2, 0]);
    }

    #[test]
    fn words_that_only_the_answer_has_count() {
        let earlier = [
            (
                "which port is open at the hub?",
                "5433 is the port of Orders",
            ),
            (
                "which port is open at the hub?",
                "getOrders() has port 5434",
            ),
            ("which port is open at the hub?", "none of the commands, 7"),
        ];
        let found = find(
            "which open port of the hub has the orders service?",
            &earlier,
        );
        let matched: Vec<bool> = found
            .iter()
            .map(|found| found.matched.iter().any(|word| word == "orders"))
            .collect();
        assert_eq!(matched, [true, true, false], "{found:?}");
    }
}
