//! No query is an error of SQL: it finds memories within its bounds, the same ones each time, or is refused.
//!
//! The first byte of the input chooses limit and tags, the rest is the query.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeSet;

use claude_mesh::mesh::{Recall, Remember};
use claude_mesh::model::Error;
use claude_mesh::model::memory::{MemoryScope, Query, snippet};
use claude_mesh::store::MemoryMatch;
use claude_mesh_fuzz::OpenMesh;
use libfuzzer_sys::fuzz_target;

/// No snippet is longer.
const SNIPPET_CHARS_MAX: usize = 162;

/// Texts with what a query may contain: quotes, operators, accents, parts of identifiers, scripts without blanks.
const TEXTS: [(&str, &[&str]); 10] = [
    (
        "The staging database listens on 5433; 5432 is the old one.",
        &["db", "staging"],
    ),
    (
        "PostgreSQL needs max_connections=200 in src/store/engine.rs",
        &["db"],
    ),
    ("Größe und Straße: die Prüfung läuft nachts", &["de"]),
    ("say \"AND\" or NOT, NEAR(a b) and column:value*", &["fts"]),
    ("データベースは東京にあります", &["ja"]),
    ("fooBarBaz calls foo_bar_baz and foo-bar-baz", &["code"]),
    ("é e\u{301} ﬁ ǅ İ ß ẞ", &["unicode"]),
    ("running runner runs ran", &["stems"]),
    ("a b c d e f g 1 2 3", &["short", "db"]),
    ("emoji 🦀 crab 👩‍👩‍👧 family", &["emoji"]),
];

thread_local! {
    static MESH: RefCell<OpenMesh> = RefCell::new(filled_mesh());
}

fn filled_mesh() -> OpenMesh {
    let mut open = OpenMesh::new();
    for (number, (text, tags)) in TEXTS.iter().enumerate() {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let new = Remember {
            text,
            key: None,
            tags: &tags,
            ttl_seconds: None,
            scope: if number % 2 == 0 {
                MemoryScope::Mesh
            } else {
                MemoryScope::Project
            },
            force: false,
        };
        open.mesh
            .remember(&open.me, "/project", new)
            .expect("the text can be stored");
    }
    open
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let tags: &[&str] = match choice >> 6 {
        0 | 1 => &[],
        2 => &["db"],
        _ => &["DB", "staging"],
    };
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    let recall = Recall {
        query: Some(text),
        tags: &tags,
        limit: usize::from(choice & 0x0f),
        ..Recall::default()
    };
    let found = MESH.with_borrow_mut(|open| {
        (
            open.mesh.recall("/project", recall),
            open.mesh.recall("/project", recall),
        )
    });
    let ids = match found {
        (Ok(found), Ok(again)) => {
            assert_eq!(ids(&found), ids(&again), "{text:?}");
            found.iter().for_each(|it| check(it, text, &tags));
            ids(&found)
        }
        (Err(Error::Refused(_)), Err(Error::Refused(_))) => return,
        (one, other) => panic!("{text:?}: {:?}, {:?}", one.err(), other.err()),
    };
    assert!(ids.len() <= recall.limit, "{text:?}");
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{text:?}: one memory twice");
});

fn ids(found: &[MemoryMatch]) -> Vec<String> {
    found.iter().map(|it| it.memory.id.to_string()).collect()
}

fn check(found: &MemoryMatch, query: &str, tags: &[String]) {
    assert!(found.score.is_finite(), "{query:?}");
    let has = |tag: &String| {
        let mut own = found.memory.tags.iter();
        own.any(|own| own.eq_ignore_ascii_case(tag))
    };
    assert!(tags.iter().all(has), "{query:?}");
    let parsed = Query::parse(query).expect("it was searched for");
    let snippet = snippet(&found.memory.text, Some(&parsed));
    assert!(snippet.chars().count() <= SNIPPET_CHARS_MAX, "{query:?}");
}
