//! Searches memories by words (stemmed) and by parts of words, each at a bounded cost.
//!
//! Ranking reads every match, and a common word matches a third of all texts. So only the newest [`RANKED_MAX`] matches of a
//! scope are ranked. The text of a user arrives as [`Term`]s and is quoted here, so none of its characters is an operator of
//! FTS5.
use std::fmt::Write;

use rusqlite::types::Value;
use rusqlite::{ToSql, params};

use super::engine;
use super::memory::{Memory, MemoryRange};
use super::transaction::Tx;
use crate::model::memory::{Query, Term, same_tag};

/// The number of newest matches that are ranked.
const RANKED_MAX: u32 = 300;
/// The number of trigrams by which a term of one or two characters is searched.
const TRIGRAMS_MAX: u32 = 400;

/// A memory that was found, with its score; the score is 0 if only a part of a word matched.
#[expect(missing_docs, reason = "the field name says it")]
#[derive(Debug, Clone)]
pub struct MemoryMatch {
    pub memory: Memory,
    /// Greater is better.
    pub score: f64,
}

/// The parameters of one search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemorySearch<'a> {
    pub(crate) query: &'a Query,
    pub(crate) tags: &'a [String],
    pub(crate) limit: usize,
}

/// FTS5 expressions of terms by the index that they are searched in.
#[derive(Debug, Default)]
struct TermsByIndex {
    partials: Vec<String>,
    words: Vec<String>,
}

impl Tx<'_> {
    /// Returns the memories of a scope that have every word, best first, and after them those in which a word is part of
    /// another.
    pub(crate) fn search_memories(
        &self,
        range: MemoryRange,
        search: MemorySearch,
    ) -> engine::Result<Vec<MemoryMatch>> {
        let query = search.query;
        let unwanted = join_terms(&query.unwanted, " OR ");
        let all = with_tags(&join_terms(&query.wanted, " AND "), search.tags);
        let mut found = self.search_by_words(range, &excluding(&all, &unwanted), search)?;
        if found.len() < search.limit {
            let partials =
                self.search_by_substrings(range, search, &unwanted, !found.is_empty())?;
            for partial in partials {
                let is_same_memory =
                    |other: &MemoryMatch| other.memory.number == partial.memory.number;
                if found.len() < search.limit && !found.iter().any(is_same_memory) {
                    found.push(partial);
                }
            }
        }
        Ok(found)
    }

    /// Returns the memories of a scope that have any of the words, best first; used if none has all.
    pub(crate) fn search_memories_by_any_word(
        &self,
        range: MemoryRange,
        search: MemorySearch,
    ) -> engine::Result<Vec<MemoryMatch>> {
        let distinctive_terms = search.query.distinctive_terms();
        // Texts with a rare word fit better than the newest texts with a common one.
        let mut rare = Vec::new();
        for term in &distinctive_terms {
            let matches = self.matching_numbers(range, &expression(term), RANKED_MAX)?;
            if !matches.is_empty() && matches.len() < RANKED_MAX as usize {
                rare.push(*term);
            }
        }
        let chosen = if rare.is_empty() {
            distinctive_terms
        } else {
            rare
        };
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let any = join(chosen.iter().map(|term| expression(term)), " OR ");
        let unwanted = join_terms(&search.query.unwanted, " OR ");
        let any = with_tags(&format!("({any})"), search.tags);
        self.search_by_words(range, &excluding(&any, &unwanted), search)
    }

    /// Returns the memories of a scope with these tags, newest first.
    pub(crate) fn memories_with_tags(
        &self,
        range: MemoryRange,
        tags: &[String],
        limit: usize,
    ) -> engine::Result<Vec<MemoryMatch>> {
        let mut found = Vec::new();
        for number in self.matching_numbers(range, &with_tags("", tags), RANKED_MAX)? {
            self.push_if_current(number, 0.0, tags, &mut found)?;
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// Returns the score of one memory; `None` if it does not match.
    pub(crate) fn match_score(
        &self,
        memory: &Memory,
        query: &Query,
        tags: &[String],
    ) -> engine::Result<Option<f64>> {
        let range = MemoryRange {
            first: memory.number,
            last: memory.number,
        };
        let limit = 1;
        let found = self.search_memories(range, MemorySearch { query, tags, limit })?;
        Ok(found.first().map(|found| found.score))
    }

    fn search_by_words(
        &self,
        range: MemoryRange,
        expression: &str,
        search: MemorySearch,
    ) -> engine::Result<Vec<MemoryMatch>> {
        let mut ranked: Vec<(i64, f64)> = self
            .sql
            .prepare_cached(
                "SELECT rowid, bm25(memory_words, 1.0, 4.0, 2.0) AS bm25 FROM memory_words WHERE memory_words MATCH ?1
                 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC LIMIT ?4",
            )?
            .query_map(params![expression, range.first, range.last, RANKED_MAX], |row| {
                Ok((row.get("rowid")?, row.get("bm25")?))
            })?
            .collect::<engine::Result<_>>()?;
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let mut found = Vec::new();
        for (number, rank) in ranked {
            self.push_if_current(number, -rank, search.tags, &mut found)?;
            if found.len() == search.limit {
                break;
            }
        }
        Ok(found)
    }

    /// Searches for terms as parts of words, newest first. If no text has one of the terms as a word, only such terms are
    /// searched as parts and the others as words; otherwise all are searched as parts. `has_word_matches` says that texts with
    /// all the words were found already, so that each term is a word somewhere.
    fn search_by_substrings(
        &self,
        range: MemoryRange,
        search: MemorySearch,
        unwanted: &str,
        has_word_matches: bool,
    ) -> engine::Result<Vec<MemoryMatch>> {
        let terms = self.split_by_index(range, &search.query.wanted, has_word_matches)?;
        if terms.partials.is_empty() {
            return Ok(Vec::new());
        }
        let words = with_tags(&join(terms.words, " AND "), search.tags);
        let mut sql = "SELECT rowid FROM memory_parts WHERE memory_parts MATCH ?1 AND rowid BETWEEN ?2 AND ?3".to_owned();
        let partials = join(terms.partials, " AND ");
        let mut values: Vec<Value> = vec![partials.into(), range.first.into(), range.last.into()];
        for (operator, expression) in [("IN", words), ("NOT IN", unwanted.to_owned())] {
            if !expression.is_empty() {
                values.push(expression.into());
                let _ = write!(
                    sql,
                    " AND rowid {operator} (SELECT rowid FROM memory_words WHERE memory_words MATCH ?{} AND rowid BETWEEN ?2 AND ?3)",
                    values.len()
                );
            }
        }
        let _ = write!(sql, " ORDER BY rowid DESC LIMIT {RANKED_MAX}");
        let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        let numbers: Vec<i64> = self
            .sql
            .prepare_cached(&sql)?
            .query_map(&*values, |row| row.get(0))?
            .collect::<engine::Result<_>>()?;
        let mut found = Vec::new();
        for number in numbers {
            self.push_if_current(number, 0.0, search.tags, &mut found)?;
            if found.len() == search.limit * 2 {
                break;
            }
        }
        Ok(found)
    }

    /// Decides for each term whether it is searched in the trigram index or in the word index.
    fn split_by_index(
        &self,
        range: MemoryRange,
        terms: &[Term],
        has_word_matches: bool,
    ) -> engine::Result<TermsByIndex> {
        let mut split = TermsByIndex::default();
        let mut both = Vec::new();
        for term in terms {
            let word = expression(term);
            let Some(partial) = self.partial(term)? else {
                split.words.push(word);
                continue;
            };
            if has_word_matches || !self.matching_numbers(range, &word, 1)?.is_empty() {
                both.push((partial, word));
            } else {
                split.partials.push(partial);
            }
        }
        let (partials, words): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        if split.partials.is_empty() {
            split.partials = partials;
        } else {
            split.words.extend(words);
        }
        Ok(split)
    }

    /// Returns the expression that matches a term as part of a word; `None` if it is too short.
    fn partial(&self, term: &Term) -> engine::Result<Option<String>> {
        if term.text.chars().count() >= 3 {
            return Ok(Some(quote_fts(&term.text)));
        }
        if !term.is_short_and_unspaced() {
            return Ok(None);
        }
        // The index has trigrams only, so the term matches by all trigrams that begin with it.
        self.sql.execute_batch(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_runs USING fts5vocab ('main', 'memory_parts', 'row')",
        )?;
        let after = format!("{}\u{10ffff}", term.text);
        let trigrams: Vec<String> = self
            .sql
            .prepare_cached(
                "SELECT term FROM temp.memory_runs WHERE term >= ?1 AND term < ?2 LIMIT ?3",
            )?
            .query_map(params![term.text, after, TRIGRAMS_MAX], |row| row.get(0))?
            .collect::<engine::Result<_>>()?;
        if trigrams.is_empty() {
            return Ok(None);
        }
        let trigrams = join(trigrams.iter().map(|trigram| quote_fts(trigram)), " OR ");
        Ok(Some(format!("({trigrams})")))
    }

    /// Returns the rowids of the newest matches in a scope.
    fn matching_numbers(
        &self,
        range: MemoryRange,
        expression: &str,
        limit: u32,
    ) -> engine::Result<Vec<i64>> {
        self.sql
            .prepare_cached(
                "SELECT rowid FROM memory_words WHERE memory_words MATCH ?1 AND rowid BETWEEN ?2 AND ?3
                 ORDER BY rowid DESC LIMIT ?4",
            )?
            .query_map(params![expression, range.first, range.last, limit], |row| row.get(0))?
            .collect()
    }

    /// Adds a memory to `found` if it is current and has these tags.
    fn push_if_current(
        &self,
        number: i64,
        score: f64,
        tags: &[String],
        found: &mut Vec<MemoryMatch>,
    ) -> engine::Result<()> {
        let has =
            |memory: &Memory, wanted: &String| memory.tags.iter().any(|tag| same_tag(tag, wanted));
        let memory = self.memory_by_number(number)?.filter(|memory| {
            memory.is_current(self.now.wall_ms) && tags.iter().all(|tag| has(memory, tag))
        });
        found.extend(memory.map(|memory| MemoryMatch { memory, score }));
        Ok(())
    }
}

/// Returns the FTS5 expression of a term: a quoted text, in which no character is an operator.
fn expression(term: &Term) -> String {
    let prefix_marker = if term.prefix { " *" } else { "" };
    format!("{}{prefix_marker}", quote_fts(&term.text))
}

fn quote_fts(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn join_terms(terms: &[Term], word: &str) -> String {
    join(terms.iter().map(expression), word)
}

fn join(expressions: impl IntoIterator<Item = String>, word: &str) -> String {
    expressions.into_iter().collect::<Vec<_>>().join(word)
}

/// Adds tags to an expression. FTS5 finds a tag by its words; [`Tx::push_if_current`] compares whole tags.
fn with_tags(expression: &str, tags: &[String]) -> String {
    let tags = tags.iter().map(|tag| format!("tags : {}", quote_fts(tag)));
    let base_expression = (!expression.is_empty()).then(|| expression.to_owned());
    join(base_expression.into_iter().chain(tags), " AND ")
}

fn excluding(expression: &str, unwanted: &str) -> String {
    if unwanted.is_empty() {
        expression.to_owned()
    } else {
        format!("({expression}) NOT ({unwanted})")
    }
}
