//! Recalling memories: words, phrases, prefixes, tags, and input that is no query.
use serde_json::json;

use crate::memory::{recall_texts, remember, texts};
use crate::support::World;
use crate::support::refused;

// Requirement: Peers 6
#[test]
fn recall_matches_words_phrases_prefixes_and_exclusions() {
    let world = World::new();
    let ada = world.session("ada");
    for text in [
        "Migrations are run by hand on staging",
        "the café opens resolveUserPath in src/ground/walls.rs",
        "staging database: MESH_DB_PATH must be absolute",
        "我们的数据库迁移脚本在这里",
        "the last two signs are 日本",
    ] {
        remember(&ada, text, json!({}));
    }
    for (query, begins) in [
        ("migration", "Migrations"),
        ("running by hand", "Migrations"),
        ("\"by hand\"", "Migrations"),
        ("\"hand by\"", ""),
        ("migr*", "Migrations"),
        ("staging -hand", "staging database"),
        ("staging −database", "Migrations"),
        ("cafe", "the café"),
        ("CAFÉ", "the café"),
        ("UserPath", "the café"),
        ("ground/wall", "the café"),
        ("UserPath opening", "the café"),
        ("DB_PATH", "staging database"),
        ("数据库", "我们"),
        ("迁移脚本", "我们"),
        ("数据", "我们"),
        ("日本", "the last"),
        ("xqzvk", ""),
    ] {
        let found = recall_texts(&ada, query);
        assert_eq!(found.is_empty(), begins.is_empty(), "{query}: {found}");
        assert!(found.starts_with(begins), "{query}: {found}");
        assert!(!found.contains('|'), "{query}: {found}");
    }
    let both = recall_texts(&ada, "staging nowhere-at-all");
    let mut both: Vec<&str> = both.split('|').collect();
    both.sort_unstable();
    assert_eq!(
        both,
        [
            "Migrations are run by hand on staging",
            "staging database: MESH_DB_PATH must be absolute"
        ],
        "memories with some of the words are found if none has all"
    );
    let some = recall_texts(&ada, "which migrations does kubernetes run");
    assert!(some.starts_with("Migrations"), "some of the words: {some}");
}

/// A memory with the operators of the full-text query language.
const TEXT_WITH_FTS_SYNTAX: &str = "it's NEAR the port AND \"quoted\" (text:port) a^b 100% {x} c*";

#[test]
fn recall_input_never_reaches_the_fts_query_language() {
    let world = World::new();
    let ada = world.session("ada");
    remember(&ada, TEXT_WITH_FTS_SYNTAX, json!({}));
    let signs = [
        "\"", "'", "*", "(", ")", "{", "}", ":", "^", "-", "+", ",", ";", "%", "\\", "NEAR", "AND",
        "OR", "NOT", "\0", "\u{2212}",
    ];
    let mut queries: Vec<String> = [
        "NEAR(port quoted, 5)",
        "text:port",
        "nothing : port",
        "{text key} : port",
        "- text : port",
        "^port",
        "port AND",
        "NOT port",
        "OR",
        "a AND OR b",
        "\"port",
        "port\"",
        "(port",
        "port)",
        "port*",
        "\"port\" *",
        "port + quoted",
        "'; DROP TABLE memory; --",
        "port -",
        "memory_words",
        "a\"\"b",
        "* port",
        "ﬁ ½ ² ﷺ",
        "\u{0903}",
        "e\u{301}",
        "日",
        "日本語",
        "-日",
    ]
    .map(str::to_owned)
    .into();
    for one in signs {
        for other in signs {
            queries.push(format!("{one}port{other}"));
            queries.push(format!("port {one}{other}"));
            queries.push(format!("{one} port {other} x"));
        }
    }
    for query in &queries {
        let result = ada.call("recall", json!({ "query": query }));
        if let Some(error) = result.get("error") {
            assert_eq!(error["code"], "invalid_argument", "{query:?}: {error}");
        } else {
            assert!(result["memories"].is_array(), "{query:?}: {result}");
        }
    }
}

#[test]
fn recall_finds_the_words_beside_fts_syntax() {
    let world = World::new();
    let ada = world.session("ada");
    remember(&ada, TEXT_WITH_FTS_SYNTAX, json!({}));
    for query in [
        "text:port",
        "NEAR(port quoted, 5)",
        "(port",
        "\"port",
        "^port",
        "port AND",
        "a^b",
        "text:po",
    ] {
        assert_ne!(recall_texts(&ada, query), "", "{query}");
    }
}

#[test]
fn recall_query_without_a_word_is_refused() {
    let world = World::new();
    let ada = world.session("ada");
    remember(&ada, TEXT_WITH_FTS_SYNTAX, json!({}));
    for query in ["", "*", "\"\"", "-port", "()", "🙂"] {
        assert_eq!(
            refused(&ada.call("recall", json!({ "query": query }))).0,
            "invalid_argument",
            "{query}"
        );
    }
}

// Requirement: Peers 6
#[test]
fn recall_filters_by_tags_and_respects_its_limit() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..12 {
        let tags = if number % 2 == 0 {
            json!(["release notes", "Ops"])
        } else {
            json!(["ops-two"])
        };
        remember(
            &ada,
            &format!("deploy number {number}"),
            json!({ "tags": tags }),
        );
    }
    let tagged = ada.call(
        "recall",
        json!({ "query": "deploy", "tags": ["RELEASE NOTES"] }),
    );
    assert_eq!(texts(&tagged).len(), 6);
    let tagged = ada.call("recall", json!({ "tags": ["ops"], "limit": 50 }));
    assert_eq!(
        texts(&tagged)[0],
        "deploy number 10",
        "the newest memory is first"
    );
    assert_eq!(texts(&tagged).len(), 6, "ops-two is a different tag");
    let ten = ada.call("recall", json!({ "query": "deploy" }));
    assert_eq!(texts(&ten).len(), 10);
    let two = ada.call("recall", json!({ "query": "deploy", "limit": 2 }));
    assert_eq!(texts(&two).len(), 2);
}
