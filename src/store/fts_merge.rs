//! Merges the segments of the full-text indexes, a part at a time.
//!
//! FTS5 looks for a deleted text in each segment of its index. Among 100,000 memories in ten segments that takes 25 ms, in one
//! segment 5 ms. By itself FTS5 merges small segments only.
use super::engine;
use super::transaction::Tx;

/// A full-text index of memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FtsIndex {
    /// Of words.
    Words,
    /// Of trigrams.
    Parts,
}

/// An index is merged when its smaller segments together have more than this part of the pages of the largest. Then a memory is
/// written again only after the index has grown by as much.
const SMALLER_SEGMENTS_PART_MAX: i64 = 8;
/// Searching a smaller index takes no time.
const PAGES_MIN: i64 = 64;

impl FtsIndex {
    pub(crate) const ALL: [Self; 2] = [Self::Words, Self::Parts];

    fn table(self) -> &'static str {
        match self {
            Self::Words => "memory_words",
            Self::Parts => "memory_parts",
        }
    }
}

impl Tx<'_> {
    /// Returns whether a merge would make deletions from an index clearly faster.
    pub(crate) fn needs_fts_merge(&self, index: FtsIndex) -> engine::Result<bool> {
        if !self.schema_at_least(3) || self.sql.file().is_none() {
            return Ok(false);
        }
        // The table that leads to the pages has about a row for each.
        let (all, largest): (i64, i64) = self
            .sql
            .prepare_cached(&format!(
                "SELECT coalesce(sum(pages), 0) AS pages, coalesce(max(pages), 0) AS largest
                 FROM (SELECT count(*) AS pages FROM {}_idx GROUP BY segid) s",
                index.table()
            ))?
            .query_row([], |row| Ok((row.get("pages")?, row.get("largest")?)))?;
        Ok(all >= PAGES_MIN && (all - largest) * SMALLER_SEGMENTS_PART_MAX > largest)
    }

    /// Merges all segments into one, at most this many pages of it, and goes on where the last call ended.
    pub(crate) fn merge_fts(&self, index: FtsIndex, pages: i64) -> engine::Result<()> {
        let table = index.table();
        self.sql.run(
            &format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?1)"),
            [-pages],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock::SystemClock;
    use crate::platform::{Clock, Moment};
    use crate::store::{NewMemory, Options, Store};

    const TEXTS: u32 = 300;

    fn text(number: u32) -> String {
        let word = |part: u32| {
            format!(
                "w{:07}",
                (number * 100 + part).wrapping_mul(7_919) % 9_999_991
            )
        };
        (0..100).map(word).collect::<Vec<_>>().join(" ")
    }

    fn remember(store: &mut Store, now: &Moment, number: u32) {
        let text = text(number);
        let new = NewMemory {
            scope: "*",
            key: None,
            version: 1,
            by: "ada",
            expires_at_ms: None,
            tags: &[],
            text: &text,
        };
        store
            .write(now.clone(), |tx| Ok(tx.insert_memory(&new)?))
            .unwrap();
    }

    fn count_segments(store: &mut Store, index: FtsIndex) -> i64 {
        let sql = format!("SELECT count(DISTINCT segid) FROM {}_idx", index.table());
        let count = store.connection().query_row(&sql, [], |row| row.get(0));
        count.unwrap()
    }

    #[test]
    fn merged_indexes_have_one_segment_and_find_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("mesh.db"), Options::default()).unwrap();
        let now = SystemClock::new().now();
        for number in 0..TEXTS {
            remember(&mut store, &now, number);
        }
        for index in FtsIndex::ALL {
            let needs_merge =
                |store: &mut Store| store.read(now.clone(), |tx| Ok(tx.needs_fts_merge(index)?));
            assert!(count_segments(&mut store, index) > 1);
            let mut steps = 0;
            while needs_merge(&mut store).unwrap() {
                steps += 1;
                assert!(steps < 10_000, "{index:?} is never merged");
                store
                    .write(now.clone(), |tx| Ok(tx.merge_fts(index, 10)?))
                    .unwrap();
            }
            assert!(steps > 2, "{index:?}: {steps}");
            let word = text(TEXTS / 2)[..8].to_owned();
            let found = store.connection().query_row(
                &format!("SELECT count(*) FROM {0} WHERE {0} MATCH ?1", index.table()),
                [word],
                |row| row.get::<_, i64>(0),
            );
            assert!(found.unwrap() >= 1);
        }
        let check = "INSERT INTO memory_words (memory_words, rank) VALUES ('integrity-check', 1)";
        store.connection().execute(check, []).unwrap();
    }
}
