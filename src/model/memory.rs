//! Checks memories and parses search queries. A query is data: no character in it is an operator of the full-text search.
use super::{Refusal, Result};
use crate::model::text_checks::check_length;

/// The longest key in characters.
pub const KEY_CHARS_MAX: usize = 256;
/// The largest number of tags of a memory.
pub const TAGS_MAX: usize = 16;
/// The longest tag in characters.
pub const TAG_CHARS_MAX: usize = 64;
/// How many versions of a key are kept, including the newest.
pub const VERSIONS_MAX: u32 = 20;
/// The largest number of words and phrases in a query.
pub const TERMS_MAX: usize = 32;
/// The largest query in bytes.
pub const QUERY_BYTES_MAX: usize = 2_048;

/// Who shares a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryScope {
    /// The sessions of one repository, with all its worktrees.
    Project,
    /// All sessions of the mesh.
    Mesh,
}

impl MemoryScope {
    /// Returns the word that results use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Mesh => "mesh",
        }
    }
}

/// A parsed search query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The terms that a text must have.
    pub wanted: Vec<Term>,
    /// The terms that a text must not have.
    pub unwanted: Vec<Term>,
}

/// A word, a phrase, or a prefix of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The text: at least one letter or digit, no quotation mark, no control character.
    pub text: String,
    /// Whether it is only a prefix of a word.
    pub prefix: bool,
}

impl Query {
    /// Parses a query: words, "phrases", prefixes* and -exclusions. Every other character is part of a word.
    pub fn parse(typed: &str) -> Result<Self> {
        check_length("query", typed, QUERY_BYTES_MAX)?;
        let mut query = Self::default();
        for token in query_tokens(typed) {
            let Some(term) = Term::of(&token) else {
                continue;
            };
            let list = if token.excluded {
                &mut query.unwanted
            } else {
                &mut query.wanted
            };
            if !list.contains(&term) {
                list.push(term);
            }
        }
        let terms = query.wanted.len() + query.unwanted.len();
        let problem = if terms > TERMS_MAX {
            format!("\"query\" has {terms} words; at most {TERMS_MAX} can be searched for at once")
        } else if !query.wanted.is_empty() {
            return Ok(query);
        } else if query.unwanted.is_empty() {
            "\"query\" has no letter or digit to search for".into()
        } else {
            "\"query\" only has exclusions; add a word to search for".into()
        };
        Err(Refusal::argument(problem).into())
    }

    /// Returns the terms without stop words, for a second search when no text has all terms. Phrases stay whole.
    pub fn distinctive_terms(&self) -> Vec<&Term> {
        let distinctive_terms =
            |term: &&Term| !crate::model::tokenize::is_stop_word(&term.text.to_lowercase());
        self.wanted.iter().filter(distinctive_terms).collect()
    }
}

impl Term {
    fn of(token: &QueryToken) -> Option<Self> {
        let prefix = !token.quoted && token.text.ends_with('*');
        let text = if token.quoted {
            token.text.as_str()
        } else {
            token.text.trim_end_matches('*')
        };
        // A prefix of one letter would match half of all texts, so it is searched as a word, except in scripts where a single
        // character can be a word.
        let prefix = prefix
            && text.ends_with(char::is_alphanumeric)
            && (text.chars().count() > 1 || !text.is_ascii());
        text.contains(char::is_alphanumeric).then(|| Self {
            text: text.to_owned(),
            prefix,
        })
    }

    /// Returns whether it is one or two characters of a script without spaces between words.
    pub fn is_short_and_unspaced(&self) -> bool {
        let mut chars = self.text.chars();
        self.text.chars().count() <= 2 && chars.all(crate::model::tokenize::is_unspaced)
    }
}

/// A run of characters between spaces, or between quotation marks.
struct QueryToken {
    text: String,
    quoted: bool,
    excluded: bool,
}

fn query_tokens(typed: &str) -> Vec<QueryToken> {
    let typed: Vec<char> = typed
        .chars()
        .map(|c| match c {
            '“' | '”' | '„' | '«' | '»' => '"',
            '−' | '–' | '—' => '-',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let mut query_tokens = Vec::new();
    let mut at = 0;
    while at < typed.len() {
        if typed[at].is_whitespace() {
            at += 1;
            continue;
        }
        let excluded = typed[at] == '-'
            && typed
                .get(at + 1)
                .is_some_and(|next| *next == '"' || next.is_alphanumeric());
        let start = at + usize::from(excluded);
        let close = (typed[start] == '"')
            .then(|| typed[start + 1..].iter().position(|c| *c == '"'))
            .flatten();
        let (from, to, next) = if let Some(length) = close {
            (start + 1, start + 1 + length, start + length + 2)
        } else {
            // A quotation mark without a closing one is a character like any other.
            let end = typed[start + 1..]
                .iter()
                .position(|c| c.is_whitespace() || *c == '"')
                .map_or(typed.len(), |length| start + 1 + length);
            (start, end, end)
        };
        let text: String = typed[from..to].iter().collect();
        query_tokens.push(QueryToken {
            text: text.replace('"', " ").trim().to_owned(),
            quoted: close.is_some(),
            excluded,
        });
        at = next;
    }
    query_tokens
}

/// Checks the tags of a memory or of a search. Returns them trimmed and without duplicates.
pub fn tags(given: &[String]) -> Result<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    for tag in given {
        let tag = tag.trim();
        if !tag.contains(char::is_alphanumeric) || tag.contains(char::is_control) {
            return Err(Refusal::argument(
                "a tag in \"tags\" must be one line with a letter or digit",
            )
            .into());
        }
        if tag.chars().count() > TAG_CHARS_MAX {
            let problem = format!("a tag in \"tags\" has more than {TAG_CHARS_MAX} characters");
            return Err(Refusal::argument(problem).into());
        }
        if !tags.iter().any(|other| same_tag(other, tag)) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > TAGS_MAX {
        let problem = format!("\"tags\" has {} tags; at most {TAGS_MAX}", tags.len());
        return Err(Refusal::argument(problem).into());
    }
    Ok(tags)
}

/// Checks a key. Returns it trimmed.
pub fn key(given: &str) -> Result<&str> {
    let key = given.trim();
    if key.is_empty() || key.contains(char::is_control) {
        return Err(Refusal::argument("\"key\" must be one line of text").into());
    }
    if key.chars().count() > KEY_CHARS_MAX {
        let problem = format!("\"key\" has more than {KEY_CHARS_MAX} characters");
        return Err(Refusal::argument(problem).into());
    }
    Ok(key)
}

/// Returns whether two tags are equal, ignoring case.
pub fn same_tag(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Returns the part of a text around the first match, on one line.
pub fn snippet(text: &str, query: Option<&Query>) -> String {
    const CHARS: usize = 160;
    const BEFORE: usize = 40;
    let line: Vec<char> = crate::platform::text::one_line(text).chars().collect();
    let lower: Vec<char> = line
        .iter()
        .map(|c| c.to_lowercase().next().unwrap_or(*c))
        .collect();
    let wanted = query
        .map(|query| query.wanted.as_slice())
        .unwrap_or_default();
    let at = wanted
        .iter()
        .filter_map(|term| find(&lower, &search_stem(term)))
        .min()
        .unwrap_or(0);
    let from = if line.len() <= CHARS {
        0
    } else {
        at.saturating_sub(BEFORE).min(line.len() - CHARS)
    };
    let to = line.len().min(from + CHARS);
    let middle: String = line[from..to].iter().collect();
    let (before, after) = (from > 0, to < line.len());
    format!(
        "{}{}{}",
        if before { "…" } else { "" },
        middle.trim(),
        if after { "…" } else { "" }
    )
}

/// Returns the part of a term that other forms of the word have too: `deploying` is found as `deploy`.
fn search_stem(term: &Term) -> Vec<char> {
    let word: Vec<char> = term.text.to_lowercase().chars().collect();
    let keep = if term.prefix || word.len() < 6 || term.text.contains(' ') {
        word.len()
    } else {
        word.len() - 3
    };
    word[..keep].to_vec()
}

fn find(text: &[char], part: &[char]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed_form(typed: &str) -> String {
        let query = match Query::parse(typed) {
            Ok(query) => query,
            Err(error) => return format!("refused: {error}"),
        };
        let term = |sign: &str, term: &Term| {
            format!("{sign}{}{}", term.text, if term.prefix { "*" } else { "" })
        };
        let wanted = query.wanted.iter().map(|it| term("", it));
        let unwanted = query.unwanted.iter().map(|it| term("-", it));
        wanted.chain(unwanted).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn query_parser_reads_words_phrases_prefixes_and_exclusions() {
        for (typed, means) in [
            ("port of api", "port|of|api"),
            ("\"deploy steps\" staging", "deploy steps|staging"),
            ("depl* -staging", "depl*|-staging"),
            ("deploy −staging -\"old way\"", "deploy|-staging|-old way"),
            ("“deploy steps”", "deploy steps"),
            ("re-run the e2e-tests", "re-run|the|e2e-tests"),
            ("src/store/mod.rs", "src/store/mod.rs"),
            ("port port", "port"),
            ("数据 迁移*", "数据|迁移*"),
        ] {
            assert_eq!(parsed_form(typed), means, "{typed}");
        }
    }

    #[test]
    fn fts_operators_are_parsed_as_plain_words() {
        for (typed, means) in [
            ("a AND b", "a|AND|b"),
            ("NEAR(a b, 5)", "NEAR(a|b,|5)"),
            ("text:port", "text:port"),
            ("^port", "^port"),
            ("{text key}: port", "{text|key}:|port"),
            ("port*", "port*"),
            ("p*", "p"),
            ("*port", "*port"),
            ("don't", "don't"),
            ("say \"hi", "say|hi"),
            ("a\"b\"c", "a|b|c"),
            ("a\0b", "a|b"),
            ("-- port", "port"),
            ("(port", "(port"),
        ] {
            assert_eq!(parsed_form(typed), means, "{typed:?}");
        }
    }

    #[test]
    fn query_without_search_terms_is_refused_with_a_reason() {
        for typed in [
            "",
            " ",
            "*",
            "\"\"",
            "\"",
            "-",
            "()",
            "-\"\"",
            "\0",
            "*** ^^ ::",
            "🙂",
        ] {
            assert_eq!(
                parsed_form(typed),
                "refused: \"query\" has no letter or digit to search for",
                "{typed:?}"
            );
        }
        assert!(parsed_form("-port").contains("only has exclusions"));
        assert!(parsed_form(&"w ".repeat(3)).starts_with('w'));
        let many: Vec<String> = (0..40).map(|number| format!("w{number}")).collect();
        assert!(parsed_form(&many.join(" ")).contains("has 40 words"));
        assert!(parsed_form(&"x".repeat(3_000)).contains("3000 bytes"));
    }

    #[test]
    fn snippet_shows_the_matched_text() {
        let text = format!(
            "{} we are Deploying on fridays {}",
            "x ".repeat(200),
            "y ".repeat(200)
        );
        let query = Query::parse("deployed").unwrap();
        let snippet = snippet(&text, Some(&query));
        assert!(snippet.contains("Deploying on fridays"), "{snippet}");
        assert!(
            snippet.starts_with('…') && snippet.ends_with('…'),
            "{snippet}"
        );
        assert!(snippet.chars().count() <= 162);
        assert_eq!(super::snippet("short\ntext", None), "short text");
    }
}
