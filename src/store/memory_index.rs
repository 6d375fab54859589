//! The full-text indexes of memories: their entries, and the matches of an expression. On SQLite they are two tables of FTS5, of
//! words and of trigrams; on PostgreSQL two columns, a `tsvector` and a text with an index of trigrams.
use std::fmt::Write;

use rusqlite::types::Value;
use rusqlite::{ToSql, params};

use super::engine;
use super::memory::MemoryRange;
use super::search_syntax::{SearchSyntax, quote_fts, ts_vector};
use super::transaction::Tx;
use crate::model::memory::Term;
use crate::model::tokenize::fold_case_and_accents;

/// Appended to each text in the trigram index of FTS5, so that its last two characters begin a trigram too.
const TRIGRAM_PADDING: &str = "\n\n";
/// The number of trigrams by which a term of one or two characters is searched.
const TRIGRAMS_MAX: u32 = 400;
/// The number of newest matches of parts of words.
const PART_MATCHES_MAX: u32 = 300;

/// What the indexes have of a memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedText<'a> {
    pub(super) number: i64,
    pub(super) key: Option<&'a str>,
    pub(super) tags: &'a [String],
    pub(super) text: &'a str,
}

impl IndexedText<'_> {
    pub(super) fn tags_json(&self) -> String {
        serde_json::to_string(self.tags).expect("texts can be written as JSON")
    }

    /// Returns the text in the trigram index. A change here requires a migration that rebuilds the index, because an entry of
    /// FTS5 is deleted by the text that was inserted.
    fn parts(&self) -> String {
        let (key, tags) = (self.key.unwrap_or_default(), self.tags_json());
        [key, &tags, self.text, TRIGRAM_PADDING].join("\n")
    }
}

impl Tx<'_> {
    /// Returns the language of the index of words.
    pub(super) fn search_syntax(&self) -> SearchSyntax {
        match self.sql.file() {
            Some(_) => SearchSyntax::Fts5,
            None => SearchSyntax::TsQuery,
        }
    }

    /// Adds a memory that is stored already.
    pub(super) fn add_to_index(&self, entry: IndexedText) -> engine::Result<()> {
        if self.search_syntax() == SearchSyntax::TsQuery {
            let vector = ts_vector(entry.key, entry.tags, entry.text);
            return self
                .sql
                .prepare_cached(
                    "UPDATE memory SET words = CAST(CAST(?2 AS TEXT) AS tsvector), parts = ?3 WHERE number = ?1",
                )?
                .run(params![entry.number, vector, fold_case_and_accents(&entry.parts())]);
        }
        self.sql
            .prepare_cached(
                "INSERT INTO memory_words (rowid, text, key, tags) VALUES (?1, ?2, ?3, ?4)",
            )?
            .run(params![
                entry.number,
                entry.text,
                entry.key,
                entry.tags_json()
            ])?;
        self.sql
            .prepare_cached("INSERT INTO memory_parts (rowid, text) VALUES (?1, ?2)")?
            .run(params![entry.number, entry.parts()])
    }

    /// Removes a memory. FTS5 stores no texts: to delete an entry, it must be given the text that was inserted.
    pub(super) fn remove_from_index(&self, entry: IndexedText) -> engine::Result<()> {
        if self.search_syntax() == SearchSyntax::TsQuery {
            return self
                .sql
                .prepare_cached("UPDATE memory SET words = NULL, parts = NULL WHERE number = ?1")?
                .run([entry.number]);
        }
        self.sql
            .prepare_cached(
                "INSERT INTO memory_words (memory_words, rowid, text, key, tags) VALUES ('delete', ?1, ?2, ?3, ?4)",
            )?
            .run(params![entry.number, entry.text, entry.key, entry.tags_json()])?;
        self.sql
            .prepare_cached(
                "INSERT INTO memory_parts (memory_parts, rowid, text) VALUES ('delete', ?1, ?2)",
            )?
            .run(params![entry.number, entry.parts()])
    }

    /// Returns the numbers of the newest matches in a scope.
    pub(super) fn matching_numbers(
        &self,
        range: MemoryRange,
        expression: &str,
        limit: u32,
    ) -> engine::Result<Vec<i64>> {
        if expression.is_empty() {
            return Ok(Vec::new());
        }
        let sql = match self.search_syntax() {
            SearchSyntax::Fts5 => {
                "SELECT rowid FROM memory_words WHERE memory_words MATCH ?1 AND rowid BETWEEN ?2 AND ?3
                 ORDER BY rowid DESC LIMIT ?4"
            }
            SearchSyntax::TsQuery => {
                "SELECT number FROM memory WHERE words @@ CAST(CAST(?1 AS TEXT) AS tsquery) AND number BETWEEN ?2 AND ?3
                 ORDER BY number DESC LIMIT ?4"
            }
        };
        self.sql
            .prepare_cached(sql)?
            .query_map(params![expression, range.first, range.last, limit], |row| {
                row.get(0)
            })?
            .collect()
    }

    /// Returns the numbers of the newest matches in a scope, each with its rank; greater is better.
    pub(super) fn ranked_numbers(
        &self,
        range: MemoryRange,
        expression: &str,
        limit: u32,
    ) -> engine::Result<Vec<(i64, f64)>> {
        if expression.is_empty() {
            return Ok(Vec::new());
        }
        let sql = match self.search_syntax() {
            SearchSyntax::Fts5 => {
                "SELECT rowid AS number, -bm25(memory_words, 1.0, 4.0, 2.0) AS rank FROM memory_words WHERE memory_words MATCH ?1
                 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC LIMIT ?4"
            }
            // The same weights, of text, tags and key; normalised by the length of the text, as BM25 is.
            SearchSyntax::TsQuery => {
                "SELECT number, ts_rank('{0.25, 0.25, 0.5, 1.0}', words, query, 1) AS rank
                 FROM memory, CAST(CAST(?1 AS TEXT) AS tsquery) AS query
                 WHERE words @@ query AND number BETWEEN ?2 AND ?3 ORDER BY number DESC LIMIT ?4"
            }
        };
        self.sql
            .prepare_cached(sql)?
            .query_map(params![expression, range.first, range.last, limit], |row| {
                Ok((row.get("number")?, row.get("rank")?))
            })?
            .collect()
    }

    /// Returns the numbers of the newest memories of a scope that have all these parts of words, all `words`, and not the
    /// `unwanted` ones; an empty expression excludes nothing.
    pub(super) fn numbers_with_parts(
        &self,
        range: MemoryRange,
        partials: &[String],
        [words, unwanted]: [&str; 2],
    ) -> engine::Result<Vec<i64>> {
        let syntax = self.search_syntax();
        let mut values: Vec<Value> = vec![range.first.into(), range.last.into()];
        let mut sql = match syntax {
            SearchSyntax::Fts5 => {
                values.push(partials.join(" AND ").into());
                "SELECT rowid FROM memory_parts WHERE memory_parts MATCH ?3 AND rowid BETWEEN ?1 AND ?2".to_owned()
            }
            SearchSyntax::TsQuery => {
                let mut sql = "SELECT number FROM memory WHERE number BETWEEN ?1 AND ?2 AND words IS NOT NULL".to_owned();
                for partial in partials {
                    values.push(partial.clone().into());
                    let _ = write!(sql, " AND parts LIKE ?{}", values.len());
                }
                sql
            }
        };
        for (is_wanted, expression) in [(true, words), (false, unwanted)] {
            if expression.is_empty() {
                continue;
            }
            values.push(expression.to_owned().into());
            let not = if is_wanted { "" } else { "NOT " };
            let value = values.len();
            let _ = match syntax {
                SearchSyntax::Fts5 => write!(
                    sql,
                    " AND rowid {not}IN (SELECT rowid FROM memory_words WHERE memory_words MATCH ?{value} AND rowid BETWEEN ?1 AND ?2)"
                ),
                SearchSyntax::TsQuery => write!(
                    sql,
                    " AND {not}(words @@ CAST(CAST(?{value} AS TEXT) AS tsquery))"
                ),
            };
        }
        let order = match syntax {
            SearchSyntax::Fts5 => "rowid",
            SearchSyntax::TsQuery => "number",
        };
        let _ = write!(sql, " ORDER BY {order} DESC LIMIT {PART_MATCHES_MAX}");
        let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        self.sql
            .prepare_cached(&sql)?
            .query_map(&*values, |row| row.get(0))?
            .collect()
    }

    /// Returns the expression that matches a term as part of a word; `None` if it is too short.
    pub(super) fn partial(&self, term: &Term) -> engine::Result<Option<String>> {
        let is_long = term.text.chars().count() >= 3;
        if !is_long && !term.is_short_and_unspaced() {
            return Ok(None);
        }
        if self.search_syntax() == SearchSyntax::TsQuery {
            let folded = fold_case_and_accents(&term.text);
            let escaped = folded
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_");
            return Ok(Some(format!("%{escaped}%")));
        }
        if is_long {
            return Ok(Some(quote_fts(&term.text)));
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
        let trigrams: Vec<String> = trigrams.iter().map(|trigram| quote_fts(trigram)).collect();
        Ok(Some(format!("({})", trigrams.join(" OR "))))
    }
}
