//! What is known of the words of an erased text: enough to look for them in the full-text index, too little to read them.
use std::collections::BTreeSet;

/// How many letters of a word are kept. The index has words without their English endings, which begin later.
const LETTERS: usize = 3;

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
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            beginnings.extend(words.filter(|word| !word.is_empty()).map(beginning));
        } else {
            *self = Self::Unknown;
        }
    }

    /// Returns whether one of the words may begin with the prefix, which is not empty.
    pub(super) fn may_begin_with(&self, prefix: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::Beginnings(beginnings) => {
                let prefix = beginning(prefix);
                beginnings
                    .iter()
                    .any(|one| one.starts_with(&prefix) || prefix.starts_with(one.as_str()))
            }
        }
    }
}

/// Returns the first letters of a word. Its ending may turn a `y` into an `i`.
fn beginning(word: &str) -> String {
    let letters = word.chars().take(LETTERS);
    let letters = letters.map(|letter| match letter.to_ascii_lowercase() {
        'y' => 'i',
        letter => letter,
    });
    letters.collect()
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
        assert!(!ErasedWords::none().may_begin_with("a"));
    }

    #[test]
    fn any_word_may_be_one_of_a_text_with_other_letters() {
        assert!(of("Übung").may_begin_with("server"));
    }
}
