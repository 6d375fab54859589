//! The languages of full-text search: that of FTS5, and `tsquery` of PostgreSQL. A text of a user arrives as a [`Term`] and is
//! quoted here, so none of its characters is an operator.
use std::fmt::Write;

use crate::model::memory::Term;
use crate::model::tokenize::index_words;

/// The last position that a `tsvector` stores.
const POSITION_MAX: usize = 16_383;
/// Positions between two columns, so that no phrase matches across them.
const COLUMN_GAP: usize = 8;

/// A language of full-text search. An empty expression means a missing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchSyntax {
    Fts5,
    TsQuery,
}

impl SearchSyntax {
    /// Returns the expression of a term: a word, a phrase or the beginning of a word.
    pub(super) fn term(self, term: &Term) -> String {
        match self {
            Self::Fts5 => {
                let prefix_marker = if term.prefix { " *" } else { "" };
                format!("{}{prefix_marker}", quote_fts(&term.text))
            }
            Self::TsQuery => phrase(&term.text, "", term.prefix),
        }
    }

    /// Returns the expression that all of these match.
    pub(super) fn all(self, expressions: impl IntoIterator<Item = String>) -> String {
        self.join(expressions, " AND ", " & ")
    }

    /// Returns the expression that one of these matches, in parentheses.
    pub(super) fn any(self, expressions: impl IntoIterator<Item = String>) -> String {
        let any = self.join(expressions, " OR ", " | ");
        if any.is_empty() {
            any
        } else {
            format!("({any})")
        }
    }

    /// Returns the expression that one of these terms matches; empty for no term.
    pub(super) fn any_term(self, terms: &[Term]) -> String {
        self.any(terms.iter().map(|term| self.term(term)))
    }

    /// Adds tags to an expression. A tag is found by its words; the caller compares whole tags.
    pub(super) fn with_tags(self, expression: String, tags: &[String]) -> String {
        let tags = tags.iter().map(|tag| match self {
            Self::Fts5 => format!("tags : {}", quote_fts(tag)),
            Self::TsQuery => phrase(tag, "B", false),
        });
        self.all(std::iter::once(expression).chain(tags))
    }

    /// Returns the expression that the first matches and the second does not.
    pub(super) fn excluding(self, expression: &str, unwanted: &str) -> String {
        match (self, unwanted) {
            (_, "") => expression.to_owned(),
            (Self::Fts5, _) => format!("({expression}) NOT {unwanted}"),
            (Self::TsQuery, _) => format!("({expression}) & !{unwanted}"),
        }
    }

    fn join(
        self,
        expressions: impl IntoIterator<Item = String>,
        fts5: &str,
        ts_query: &str,
    ) -> String {
        let expressions = expressions.into_iter().filter(|one| !one.is_empty());
        let separator = match self {
            Self::Fts5 => fts5,
            Self::TsQuery => ts_query,
        };
        expressions.collect::<Vec<_>>().join(separator)
    }
}

/// Returns a text as one of FTS5, in which no character is an operator.
pub(super) fn quote_fts(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Returns the `tsquery` of words that follow each other, in a column of this weight. Words have letters and digits only.
fn phrase(text: &str, weight: &str, is_prefix: bool) -> String {
    let words = index_words(text);
    let last = words.len().saturating_sub(1);
    let lexemes = words.iter().enumerate().map(|(at, word)| {
        let star = if is_prefix && at == last { "*" } else { "" };
        let colon = if weight.is_empty() && star.is_empty() {
            ""
        } else {
            ":"
        };
        format!("'{word}'{colon}{star}{weight}")
    });
    let phrase = lexemes.collect::<Vec<_>>().join(" <-> ");
    if last > 0 {
        format!("({phrase})")
    } else {
        phrase
    }
}

/// Returns the `tsvector` of a memory. The weights tell its key, its tags and its text apart.
pub(super) fn ts_vector(key: Option<&str>, tags: &[String], text: &str) -> String {
    let (mut vector, mut position) = (String::new(), 1);
    let tags = tags.iter().map(|tag| (tag.as_str(), "B"));
    let columns = key.map(|key| (key, "A")).into_iter().chain(tags);
    for (column, weight) in columns.chain([(text, "D")]) {
        for word in index_words(column) {
            let _ = write!(vector, "'{word}':{}{weight} ", position.min(POSITION_MAX));
            position += 1;
        }
        position += COLUMN_GAP;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(text: &str, prefix: bool) -> Term {
        Term {
            text: text.into(),
            prefix,
        }
    }

    #[test]
    fn terms_become_words_phrases_and_prefixes_of_a_tsquery() {
        let syntax = SearchSyntax::TsQuery;
        let wanted = [
            term("running tests", false),
            term("conf", true),
            term("!&|", false),
        ];
        let all = syntax.all(wanted.iter().map(|term| syntax.term(term)));
        assert_eq!(all, "('run' <-> 'test') & 'conf':*");
        let tagged = syntax.with_tags(all, &["big tag".into()]);
        let unwanted = syntax.any_term(&[term("old", false), term("gone", false)]);
        assert_eq!(
            syntax.excluding(&tagged, &unwanted),
            "(('run' <-> 'test') & 'conf':* & ('big':B <-> 'tag':B)) & !('old' | 'gone')"
        );
    }

    #[test]
    fn words_of_a_memory_have_the_weight_of_their_column() {
        let vector = ts_vector(Some("port"), &["api".into()], "Caf\u{e9}s");
        assert_eq!(vector, "'port':1A 'api':10B 'cafe':19D ");
    }
}
