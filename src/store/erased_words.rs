//! What is known of the words of an erased text: enough to look for them in the full-text index, too little to read them.
use std::collections::BTreeSet;

use crate::model::tokenize::index_words;

/// How many letters of a word are kept at least.
const LETTERS_MIN: usize = 3;
/// How many letters of its end are left out: the index may have another ending.
const END_LETTERS: usize = 2;

/// The beginnings of words that were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErasedWords {
    /// Any word may have been erased.
    Unknown,
    /// Only words that begin like one of these.
    Beginnings(BTreeSet<String>),
}

impl ErasedWords {
    /// Returns that of a text of which the full-text index has nothing.
    pub(crate) fn none() -> Self {
        Self::Beginnings(BTreeSet::new())
    }

    /// Adds the words of a text. Letters other than the English ones are another letter in the index, so any word may be one of
    /// such a text.
    pub(crate) fn add(&mut self, text: &str) {
        let Self::Beginnings(beginnings) = self else {
            return;
        };
        if text.is_ascii() {
            beginnings.extend(index_words(text).iter().map(|word| {
                let kept = word.len().saturating_sub(END_LETTERS).max(LETTERS_MIN);
                comparable(&word[..kept.min(word.len())])
            }));
        } else {
            *self = Self::Unknown;
        }
    }

    /// Returns whether one of the words may begin with the prefix, which is not empty.
    pub(super) fn may_begin_with(&self, prefix: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::Beginnings(beginnings) => {
                let prefix = comparable(prefix);
                beginnings
                    .iter()
                    .any(|one| one.starts_with(&prefix) || prefix.starts_with(one.as_str()))
            }
        }
    }
}

/// Returns letters as they are compared: the ending of a word turns a `y` into an `i`.
fn comparable(letters: &str) -> String {
    letters.to_ascii_lowercase().replace('y', "i")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> ErasedWords {
        let mut words = ErasedWords::none();
        words.add(text);
        words
    }

    #[test]
    fn erased_words_may_begin_with_what_the_index_makes_of_them() {
        for (word, indexed) in [
            ("Any", "ani"),
            ("flies", "fli"),
            ("ties", "ti"),
            ("hopping", "hop"),
            ("rating", "rate"),
            ("deploy_target", "target"),
            ("deployment", "d"),
            ("E42", "e42"),
        ] {
            assert!(of(word).may_begin_with(indexed), "{word}: {indexed}");
        }
        assert!(!of("deployment of 5433").may_begin_with("server"));
        assert!(!of("database").may_begin_with("date"));
        assert!(!ErasedWords::none().may_begin_with("a"));
    }

    #[test]
    fn any_word_may_be_one_of_a_text_with_other_letters() {
        assert!(of("Übung").may_begin_with("server"));
    }
}
