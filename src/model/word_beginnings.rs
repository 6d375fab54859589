//! Finds out quickly which words a text cannot have, so that most answers are not taken apart when they are compared.

/// Where words may begin, by their stems. A stem has the first two letters of its words, except that a `y` can be an `i`.
#[derive(Debug)]
pub(super) struct Beginnings {
    /// The words by the codes of two letters; a word is a bit, see [`position_bit`].
    words: Vec<u64>,
}

/// The number of codes of a letter.
const LETTER_CODES: usize = 32;

impl Default for Beginnings {
    fn default() -> Self {
        Self {
            words: vec![0; LETTER_CODES * LETTER_CODES],
        }
    }
}

impl Beginnings {
    /// Adds the stem of a word of the question.
    pub(super) fn add(&mut self, position: usize, stem: &str) {
        let bit = position_bit(position);
        match *stem.as_bytes() {
            // No word of ASCII letters has such a stem.
            _ if !stem.is_ascii() => {}
            [] => {}
            [only] => {
                let first = letter_code(only) * LETTER_CODES;
                for words in &mut self.words[first..first + LETTER_CODES] {
                    *words |= bit;
                }
            }
            [first, second, ..] => {
                self.words[letter_code(first) * LETTER_CODES + letter_code(second)] |= bit;
            }
        }
    }

    /// Returns the bits of the words that a text may have; all if it has letters other than ASCII.
    pub(super) fn found_in(&self, text: &str) -> u64 {
        if !text.is_ascii() {
            return u64::MAX;
        }
        let mut found = 0;
        let mut first = 0;
        // A word of one letter at the end is followed by anything.
        for byte in text.bytes().chain([b' ']) {
            let second = letter_code(byte);
            found |= self.words[first * LETTER_CODES + second];
            first = second;
        }
        found
    }
}

/// Returns the bit of a word of the question; several share one if the question is long.
pub(super) fn position_bit(position: usize) -> u64 {
    1 << (position % 64)
}

/// Returns a number that is the same for a letter in both cases, and for `i` and `y`. Other characters share these numbers.
fn letter_code(byte: u8) -> usize {
    match byte.to_ascii_lowercase() {
        b'y' => letter_code(b'i'),
        lower => usize::from(lower) % LETTER_CODES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tokenize::tokenize;

    #[test]
    fn stems_begin_like_their_words() {
        for word in [
            "orders",
            "Dying",
            "lying",
            "tying",
            "skies",
            "skis",
            "idly",
            "gently",
            "ugly",
            "early",
            "only",
            "singly",
            "yes",
            "youth",
            "dyed",
            "eyed",
            "flies",
            "ties",
            "hopping",
            "E42",
            "7",
            "getOrders",
            "deploy_target",
            "i",
            "ab",
            "being",
            "ions",
            "oxen",
            "aging",
            "ying",
        ] {
            for one in tokenize(word) {
                let mut beginnings = Beginnings::default();
                beginnings.add(70, &one.stem);
                for text in [
                    word.to_owned(),
                    format!("the {word}"),
                    format!("{word}, so"),
                ] {
                    assert_ne!(
                        beginnings.found_in(&text) & position_bit(70),
                        0,
                        "{} in {text}",
                        one.stem
                    );
                }
            }
        }
        let mut beginnings = Beginnings::default();
        beginnings.add(0, "order");
        assert_eq!(beginnings.found_in("service 12 listens on 5012"), 0);
        assert_ne!(beginnings.found_in("día"), 0);
    }
}
