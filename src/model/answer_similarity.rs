//! Finds the earlier answers of a peer that fit a new question, as prior answers for a caller who cannot be answered now.
//! Answers below a minimal similarity are left out, so that no answer is better than a wrong one.
use std::collections::HashMap;

use crate::model::tokenize::{tokenize, words_by_stem};

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
}

/// An earlier answer that fits the new question.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerMatch {
    /// Its index in the list of earlier answers.
    pub index: usize,
    /// The words of the new question that were found, in the form they have there.
    pub matched: Vec<String>,
    /// How well it fits, at most 1.
    pub score: f64,
}

/// Returns the earlier answers that fit a question, best first. `earlier` is sorted newest first, which also decides between
/// equal scores.
pub fn find_similar_answers(question: &str, earlier: &[AnsweredQuestion]) -> Vec<AnswerMatch> {
    let mut stems = StemIds::default();
    let question: Vec<QuestionWord> = words_by_stem(question)
        .into_iter()
        .map(|(stem, surface_form)| QuestionWord {
            id: stems.id_of_stem(&stem),
            surface_form,
        })
        .collect();
    if question.is_empty() {
        return Vec::new();
    }
    let earlier_ids: Vec<Vec<StemId>> = earlier
        .iter()
        .map(|one| stems.ids_of_text(one.question))
        .collect();
    let weights = TermWeights::of(&earlier_ids, stems.count());
    let mut fits: Vec<AnswerMatch> = earlier_ids
        .iter()
        .enumerate()
        .filter_map(|(index, words)| {
            let candidate = Candidate {
                index,
                words,
                answer: earlier[index].answer,
            };
            answer_match(&question, &candidate, &weights, &mut stems)
        })
        .collect();
    fits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    let mut distinct: Vec<AnswerMatch> = Vec::new();
    for one in fits {
        let has_same_answer =
            |other: &AnswerMatch| earlier[other.index].answer == earlier[one.index].answer;
        if !distinct.iter().any(has_same_answer) {
            distinct.push(one);
        }
        if distinct.len() == ANSWERS_MAX {
            break;
        }
    }
    distinct
}

/// The number of a stem.
type StemId = u32;

/// A word of the new question.
struct QuestionWord {
    id: StemId,
    surface_form: String,
}

/// Numbers the stems of words, so that thousands of texts are compared by numbers and each word is stemmed once.
#[derive(Default)]
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

/// An earlier question with its answer, as it is compared.
struct Candidate<'a> {
    index: usize,
    /// Its stems, in order.
    words: &'a [StemId],
    answer: &'a str,
}

fn answer_match(
    question: &[QuestionWord],
    candidate: &Candidate,
    weights: &TermWeights,
    stems: &mut StemIds,
) -> Option<AnswerMatch> {
    let &Candidate {
        index,
        words,
        answer,
    } = candidate;
    let is_asked = |word: &QuestionWord| words.binary_search(&word.id).is_ok();
    let weight_of = |word: &QuestionWord| weights.weight_of(word.id);
    let common = question.iter().filter(|word| is_asked(word)).count();
    // One common word is enough only if both questions have hardly any other.
    let enough = common >= 2 || (common == 1 && question.len() == 1 && words.len() <= 2);
    if !enough {
        return None;
    }
    let candidate_weight: f64 = words.iter().map(|word| weights.weight_of(*word)).sum();
    let common_weight: f64 = question
        .iter()
        .filter(|word| is_asked(word))
        .map(weight_of)
        .sum();
    if common_weight < CANDIDATE_COVERAGE_MIN * candidate_weight {
        return None;
    }
    let answer = stems.ids_of_text(crate::platform::text::cut_bytes(
        answer,
        ANSWER_BYTES_SCANNED,
    ));
    let is_answered = |word: &QuestionWord| answer.binary_search(&word.id).is_ok();
    let answer_weight: f64 = question
        .iter()
        .filter(|word| !is_asked(word) && is_answered(word))
        .map(weight_of)
        .sum();
    let all: f64 = question.iter().map(weight_of).sum();
    let coverage = (common_weight + ANSWER_WORD_WEIGHT * answer_weight) / all;
    if coverage < QUESTION_COVERAGE_MIN {
        return None;
    }
    let matched = question
        .iter()
        .filter(|word| is_asked(word) || is_answered(word))
        .map(|word| word.surface_form.clone())
        .collect();
    // Of two that cover the question equally, the one with fewer other words is nearer.
    let nearness = common_weight / candidate_weight;
    Some(AnswerMatch {
        index,
        matched,
        score: 0.75 * coverage + 0.25 * nearness,
    })
}

/// The weights of words: the more questions have a word, the lower its weight.
struct TermWeights {
    of_known: Vec<f64>,
    of_unknown: f64,
}

impl TermWeights {
    /// Returns the weights of the first `count` stems in these questions.
    fn of(questions: &[Vec<StemId>], count: usize) -> Self {
        let mut counts = vec![0_u32; count];
        for word in questions.iter().flatten() {
            counts[*word as usize] += 1;
        }
        let all = f64::from(u32::try_from(questions.len()).unwrap_or(u32::MAX));
        // A word that no earlier question has may be a synonym or another subject, so it counts half.
        let of_unknown = 0.5 * (1.0 + all).ln().max(0.7);
        let weight = |count: u32| match count {
            0 => of_unknown,
            count => (1.0 + all / f64::from(count)).ln().max(0.7),
        };
        Self {
            of_known: counts.into_iter().map(weight).collect(),
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

    fn answers(question: &str) -> Vec<&'static str> {
        let earlier = EARLIER.map(|(question, answer)| AnsweredQuestion { question, answer });
        find_similar_answers(question, &earlier)
            .iter()
            .map(|answer_match| EARLIER[answer_match.index].1)
            .collect()
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
        ]
        .map(|(question, answer)| AnsweredQuestion { question, answer });
        let found = find_similar_answers("which port does the api have?", &earlier);
        let indexes: Vec<usize> = found
            .iter()
            .map(|answer_match| answer_match.index)
            .collect();
        assert_eq!(indexes, [0, 1]);
        assert_eq!(found[0].matched, ["api", "port"]);
    }
}
