//! Searches memories by words (stemmed) and by parts of words, each at a bounded cost.
//!
//! Ranking reads every match, and a common word matches a third of all texts. So only the newest [`RANKED_MAX`] matches of a
//! scope are ranked. What differs between the engines is in `memory_index.rs` and `search_syntax.rs`.
use super::engine;
use super::memory::{Memory, MemoryRange};
use super::transaction::Tx;
use crate::model::memory::{Query, Term, same_tag};

/// The number of newest matches that are ranked.
const RANKED_MAX: u32 = 300;

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

/// Expressions of terms by the index that they are searched in.
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
        let (query, syntax) = (search.query, self.search_syntax());
        let unwanted = syntax.any_term(&query.unwanted);
        let wanted = query.wanted.iter().map(|term| syntax.term(term));
        let all = syntax.with_tags(syntax.all(wanted), search.tags);
        let mut found = self.search_by_words(range, &syntax.excluding(&all, &unwanted), search)?;
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
        let syntax = self.search_syntax();
        let distinctive_terms = search.query.distinctive_terms();
        // Texts with a rare word fit better than the newest texts with a common one.
        let mut rare = Vec::new();
        for term in &distinctive_terms {
            let matches = self.matching_numbers(range, &syntax.term(term), RANKED_MAX)?;
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
        let any = syntax.any(chosen.iter().map(|term| syntax.term(term)));
        let unwanted = syntax.any_term(&search.query.unwanted);
        let any = syntax.with_tags(any, search.tags);
        self.search_by_words(range, &syntax.excluding(&any, &unwanted), search)
    }

    /// Returns the memories of a scope with these tags, newest first.
    pub(crate) fn memories_with_tags(
        &self,
        range: MemoryRange,
        tags: &[String],
        limit: usize,
    ) -> engine::Result<Vec<MemoryMatch>> {
        let mut found = Vec::new();
        let tagged = self.search_syntax().with_tags(String::new(), tags);
        for number in self.matching_numbers(range, &tagged, RANKED_MAX)? {
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
        let mut ranked = self.ranked_numbers(range, expression, RANKED_MAX)?;
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        let mut found = Vec::new();
        for (number, rank) in ranked {
            self.push_if_current(number, rank, search.tags, &mut found)?;
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
        let syntax = self.search_syntax();
        let words = syntax.with_tags(syntax.all(terms.words), search.tags);
        let numbers = self.numbers_with_parts(range, &terms.partials, [&words, unwanted])?;
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
            let word = self.search_syntax().term(term);
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
