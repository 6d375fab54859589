//! Splits texts into the words by which they are compared, for prior answers and the expertise ranking: without stop words,
//! reduced to their stems, identifiers split at their parts.
use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

/// Words that say nothing about the subject of a sentence, including those of which questions are made.
const STOP_WORDS: &str = "\
 a about above after again all already also always am an and another any anybody anyone anything are around as ask asked at away \
 back be because been before being below best between both but by came can cannot come could did didn do does doesn doing don done \
 down during each either else ever every exactly few for from further gave get gets getting give given go goes going gone good got \
 had has have haven having he hello help her here hey hi him his how however i if in instead into is isn it its itself just keep kind \
 know knows known let like look looking made make makes many may maybe me mean means might mine more most much must my need needed needs \
 neither never no nor not now of off ok okay on once one only or other our ours out over own perhaps please possible put quick quickly \
 really right same say says see seem shall she should show since so some somebody someone something somewhere sort still such sure \
 take tell than thank thanks that the their them then there these they thing things think this those though through to today too \
 took toward try trying under until up upon us use used uses using very via want wants was we well went were what whatever when \
 where whether which while who whom whose why will with within without won would yes yet you your yours currently actually \
 correct supposed anyway ve ll re s t d m ";

/// Returns whether a word in lower case says nothing about the subject of a sentence.
pub fn is_stop_word(word: &str) -> bool {
    static SET: OnceLock<HashSet<&str>> = OnceLock::new();
    let set = SET.get_or_init(|| STOP_WORDS.split_whitespace().collect());
    set.contains(word)
}

/// Returns whether a character belongs to a script without spaces between words.
pub fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '\u{0e00}'..='\u{0eff}')
}

/// A meaningful word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The form by which words are compared.
    pub stem: String,
    /// The form in the text.
    pub surface_form: String,
}

/// Returns the meaningful words of a text by stem, each with its first form in the text.
pub fn words_by_stem(text: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for Word { stem, surface_form } in tokenize(text) {
        words.entry(stem).or_insert(surface_form);
    }
    words
}

/// Returns the meaningful words of a text in order.
pub fn tokenize(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut add = |surface_form: &str| {
        let lower = fold_case_and_accents(surface_form);
        let counts = lower.chars().count() > 1 || lower.contains(|c: char| c.is_ascii_digit());
        if counts && !is_stop_word(&lower) {
            words.push(Word {
                stem: stem(&lower),
                surface_form: surface_form.to_owned(),
            });
        }
    };
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if word.is_empty() {
            continue;
        }
        if word.contains(is_unspaced) {
            for pair in character_bigrams(word) {
                add(&pair);
            }
            continue;
        }
        add(word);
        let parts = split_camel_case(word);
        if parts.len() > 1 {
            for part in parts {
                add(part);
            }
        }
    }
    words
}

/// Returns each pair of adjacent characters, as the words of a script without spaces.
fn character_bigrams(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    if chars.len() < 2 {
        return vec![word.to_owned()];
    }
    chars.windows(2).map(|pair| pair.iter().collect()).collect()
}

/// Splits an identifier before capital letters: `resolveUserPath` has three parts.
fn split_camel_case(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut was_lower = false;
    for (at, c) in word.char_indices() {
        if was_lower && c.is_uppercase() {
            parts.push(&word[start..at]);
            start = at;
        }
        was_lower = c.is_lowercase();
    }
    parts.push(&word[start..]);
    parts
}

/// Returns a word in lower case, Latin letters without their accents. Other scripts stay as they are.
pub fn fold_case_and_accents(word: &str) -> String {
    let lower = word.to_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    let mut folded = String::with_capacity(lower.len());
    for c in lower.chars() {
        match c {
            '\u{300}'..='\u{36f}' => {}
            '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => {
                folded.push_str(deunicode::deunicode_char(c).unwrap_or_default());
            }
            c => folded.push(c),
        }
    }
    folded
}

/// Returns the words of a text as a full-text index has them: letters and digits, folded, without English endings. They are
/// in the order of the text, and none is longer than an index can store.
pub fn index_words(text: &str) -> Vec<String> {
    const WORD_CHARS_MAX: usize = 256;
    text.split(|c: char| !c.is_alphanumeric())
        .map(fold_case_and_accents)
        // Folding can make an apostrophe of a letter.
        .map(|word| {
            word.chars()
                .filter(|c| c.is_alphanumeric())
                .take(WORD_CHARS_MAX)
                .collect::<String>()
        })
        .filter(|word| !word.is_empty())
        .map(|word| stem(&word))
        .collect()
}

/// Returns a word without its English ending. Words with digits or non-ASCII letters stay as they are.
fn stem(word: &str) -> String {
    if !word.is_ascii() || word.contains(|c: char| c.is_ascii_digit()) {
        return word.to_owned();
    }
    stemmer().stem(word).into_owned()
}

fn stemmer() -> rust_stemmers::Stemmer {
    rust_stemmers::Stemmer::create(rust_stemmers::Algorithm::English)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        words_by_stem(text)
            .into_keys()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn stop_words_are_not_meaningful() {
        assert_eq!(of("Which port does the API use, please?"), "api port");
        assert_eq!(of("Could you tell me what it is?"), "");
        assert_eq!(of("HTTP 404 on /v2"), "404 http v2");
    }

    #[test]
    fn word_forms_share_one_stem() {
        assert_eq!(of("deploying deployed deploys"), of("deploy"));
        assert_eq!(of("migrations"), of("migration"));
        assert_eq!(of("Café"), of("cafe"));
        assert_eq!(of("Łódź straße Ærø cafe\u{301}"), "aero cafe lodz strass");
    }

    #[test]
    fn identifiers_are_split_into_words_and_kept_whole() {
        assert_eq!(of("MESH_DB_PATH"), "db mesh path");
        assert_eq!(of("resolveUserPath"), "path resolv resolveuserpath user");
        assert_eq!(of("数据库"), "据库 数据");
    }
}
