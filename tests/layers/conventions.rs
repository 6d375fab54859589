//! Checks conventions of `CONTRIBUTING.md` that no lint checks: sizes, parameters, unique type names, test names, terms,
//! phrases.
use std::collections::BTreeMap;

use super::{files, root, sources, syntax};

const FOLDERS: [&str; 5] = ["src", "hooks", "mcp", "tests", "benches"];

/// Functions of more than 60 lines, each with the length that it may not exceed and the reason.
const LONG_FUNCTIONS: &[(&str, &str, usize, &str)] = &[
    ("benches/pending.rs", "measure", 75, "one sequence of steps"),
    ("benches/recall.rs", "measure", 75, "one sequence of steps"),
    ("benches/server.rs", "start", 62, "one sequence of steps"),
    (
        "tests/claude_code/guard.rs",
        "edit_of_a_claimed_file_is_blocked_until_the_release",
        66,
        "one sequence of steps",
    ),
    (
        "tests/cli/message.rs",
        "person_posts_a_message_and_reads_the_reply",
        65,
        "one sequence of steps",
    ),
    (
        "tests/concurrency.rs",
        "contended_claim_has_one_holder_and_no_starvation",
        72,
        "one sequence of steps",
    ),
    (
        "tests/counters.rs",
        "gc_reports_the_removed_rows_of_each_kind",
        63,
        "one sequence of steps",
    ),
    (
        "tests/isolation.rs",
        "wall_withstands_a_thousand_attempts_to_cross_it",
        66,
        "one sequence of steps",
    ),
    ("tests/refusals/claim.rs", "refusals", 96, "it is a list"),
    ("tests/refusals/event.rs", "refusals", 138, "it is a list"),
    ("tests/refusals/memory.rs", "refusals", 160, "it is a list"),
    ("tests/refusals/message.rs", "refusals", 243, "it is a list"),
    ("tests/refusals/question.rs", "refusals", 96, "it is a list"),
    ("tests/refusals/state.rs", "refusals", 137, "it is a list"),
    ("tests/refusals/task.rs", "refusals", 117, "it is a list"),
    (
        "tests/result_budget.rs",
        "pending_items_are_listed_in_parts_until_all_were_shown",
        67,
        "one sequence of steps",
    ),
];

/// Old terms that have a standard one, as words of file names and identifiers.
const OLD_TERMS: &[(&str, &str)] = &[
    ("vigil", "blocking wait"),
    ("letterbox", "inbox state"),
    ("sitter", "peer"),
    ("humps", "split_camel_case"),
    ("signpost", "fts_erase"),
    ("rehearsal", "claude_sandbox"),
    ("stand_in", "fake_session"),
    ("lock_wait", "busy_handler"),
    ("brake", "throttle"),
    ("tally", "counters"),
    ("told", "reported"),
    ("room", "layer or budget"),
    ("attention", "wake action"),
    ("arrival", "join request"),
    ("sitting", "session handle"),
    ("station", "session state"),
    ("circle", "deadlock"),
    ("posed", "ask outcome"),
    ("why_deaf", "inbox_refusal_reason"),
    ("worth_of", "wake_line_status"),
    ("has_rooms", "schema_at_least"),
    ("around", "host view"),
    ("flaw", "parse error"),
    ("masked", "redact"),
    ("hurry", "busy handler"),
    ("floors", "layers"),
    ("bell", "doorbell"),
    ("traces", "residue"),
    ("heard", "received"),
    ("unheard", "undelivered"),
    ("deaf", "without inbox"),
    ("mend", "fix"),
    ("anew", "again"),
    ("crowd", "count"),
    ("ledger", "requirements"),
];

/// Phrases of an earlier style, which comments and texts in `src` do not use. Each stands between word boundaries.
const OLD_PHRASES: &[(&str, &str)] = &[
    ("is told", "is notified, gets"),
    ("are told", "are notified, get"),
    ("whoever", "the one that is meant"),
    ("anew", "again"),
    ("so many", "a number"),
    ("of ours", "of claude-mesh"),
    ("nobody's", "of no peer"),
    ("stands for", "means"),
    ("place in line", "position in the queue, ticket"),
    ("next in line", "the next ticket"),
    ("stand in line", "is queued"),
    ("stands in line", "is queued"),
    ("stood in line", "was queued"),
];

/// Lines with such a phrase, each a part of the line and the reason.
const PHRASES_ALLOWED: &[(&str, &str, &str)] = &[(
    "src/store/schema/0003_memory_tasks.sql",
    "Whoever created it",
    "the text of a released statement",
)];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 60;
const PARAMETERS_MAX: usize = 4;
const TEST_NAME_MAX: usize = 60;

#[test]
fn files_have_at_most_500_lines() {
    let long: Vec<String> = all_sources()
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(path, _)| path)
        .collect();
    assert!(
        long.is_empty(),
        "with more than {FILE_LINES_MAX} lines: {long:#?}"
    );
}

#[test]
fn functions_have_at_most_60_lines() {
    let mut longest = BTreeMap::<(String, String), usize>::new();
    for (path, function) in all_functions() {
        let lines = longest.entry((path, function.name)).or_default();
        *lines = function.lines.max(*lines);
    }
    let mut problems = Vec::new();
    for ((path, name), lines) in longest {
        let allowed = LONG_FUNCTIONS
            .iter()
            .find(|(file, long, ..)| *file == path && *long == name);
        let most = allowed.map_or(FUNCTION_LINES_MAX, |(.., most, _)| *most);
        if lines > most {
            problems.push(format!(
                "{path}: {name} has {lines} lines, at most {most} are allowed"
            ));
        }
        if allowed.is_some() && lines <= FUNCTION_LINES_MAX {
            problems.push(format!("{path}: take {name} out of LONG_FUNCTIONS"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Functions whose parameters a trait of a library defines.
const SIGNATURES_OF_LIBRARIES: [&str; 1] = ["verify_server_cert"];

#[test]
fn functions_have_at_most_four_parameters() {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (path, function) in all_functions() {
        let is_foreign = SIGNATURES_OF_LIBRARIES.contains(&function.name.as_str());
        if function.parameters > PARAMETERS_MAX && !is_foreign {
            found.entry(path).or_default().push(function.name);
        }
    }
    assert!(
        found.is_empty(),
        "with more than four parameters: {found:#?}"
    );
}

#[test]
fn public_types_have_unique_names() {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in sources("src") {
        for name in syntax::public_types(&syntax::parse_without_tests(&text)) {
            found.entry(name).or_default().push(path.clone());
        }
    }
    found.retain(|_, files| files.len() > 1);
    assert!(found.is_empty(), "types of one name: {found:#?}");
}

#[test]
fn test_names_have_at_most_60_characters() {
    let long: Vec<String> = all_functions()
        .into_iter()
        .filter(|(_, function)| function.is_test && function.name.len() > TEST_NAME_MAX)
        .map(|(path, function)| format!("{path}: {}", function.name))
        .collect();
    assert!(
        long.is_empty(),
        "test names of more than {TEST_NAME_MAX} characters: {long:#?}"
    );
}

#[test]
fn old_terms_do_not_come_back() {
    let mut problems = Vec::new();
    let mut check = |place: &str, name: &str| {
        let words = format!("_{}_", snake_case(name));
        for (old, standard) in OLD_TERMS {
            if words.contains(&format!("_{old}_")) {
                problems.push(format!("{place}: {name}, the standard term is {standard}"));
            }
        }
    };
    for folder in FOLDERS.iter().chain(&["config", "docs", "examples"]) {
        for path in files(&root().join(folder)) {
            let path = path.strip_prefix(root()).unwrap().display().to_string();
            check("file name", &path);
        }
    }
    for (path, text) in all_sources() {
        for identifier in syntax::identifiers(&syntax::parse(&text)) {
            check(&path, &identifier);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn old_phrases_do_not_come_back() {
    let mut problems = Vec::new();
    let mut unused: Vec<_> = PHRASES_ALLOWED.iter().collect();
    for path in files(&root().join("src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        for (number, line) in text.lines().enumerate() {
            let words = format!(" {} ", lower_case_words(line));
            for (old, standard) in OLD_PHRASES {
                if !words.contains(&format!(" {} ", lower_case_words(old))) {
                    continue;
                }
                let is_this =
                    |(file, part, _): &(&str, &str, &str)| *file == path && line.contains(part);
                unused.retain(|allowed| !is_this(allowed));
                if !PHRASES_ALLOWED.iter().any(is_this) {
                    let number = number + 1;
                    problems.push(format!("{path}:{number}: \"{old}\", write {standard}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(unused.is_empty(), "take out of PHRASES_ALLOWED: {unused:?}");
}

/// Returns the words of a line in lower case, with one space between them; an apostrophe is part of a word.
fn lower_case_words(line: &str) -> String {
    let words = line.split(|character: char| !character.is_alphanumeric() && character != '\'');
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join(" ")
}

/// Returns the words of a file name or an identifier, joined by `_`.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    let mut after_lower = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && after_lower) {
            words.push('_');
        }
        after_lower = character.is_lowercase();
        if character.is_alphanumeric() {
            words.extend(character.to_lowercase());
        }
    }
    words
}

#[test]
fn names_are_split_into_words() {
    let words = ["StandIn", "has_lock_wait", "tests/stand_in.rs", "LOCK_WAIT"].map(snake_case);
    assert_eq!(
        words,
        [
            "stand_in",
            "has_lock_wait",
            "tests_stand_in_rs",
            "lock_wait"
        ]
    );
}

#[test]
fn lines_are_split_into_words() {
    let line = "/// So many are (in line); `Nobody's` turn.";
    assert_eq!(lower_case_words(line), "so many are in line nobody's turn");
}

#[test]
fn functions_types_and_test_code_are_recognized() {
    let source = "
        pub struct A; pub(crate) enum B {} pub(super) struct C; struct D;
        impl A {
            fn four<F: Fn(u32, u32) -> u32>(&mut self, a: [u8; 2], b: Vec<(u8, u8)>, c: F, d: u8) {
                fn inner() {}
            }
        }
        #[test]
        fn t() {}
        #[cfg(test)]
        mod tests { pub struct E; }";
    let functions: Vec<_> = syntax::functions(&syntax::parse(source))
        .into_iter()
        .map(|found| (found.name, found.lines, found.parameters, found.is_test))
        .collect();
    let expected = [
        ("four", 3, 4, false),
        ("inner", 1, 0, false),
        ("t", 1, 0, true),
    ]
    .map(|(name, lines, parameters, is_test)| (name.to_owned(), lines, parameters, is_test));
    assert_eq!(functions, expected);
    let types = syntax::public_types(&syntax::parse_without_tests(source));
    assert_eq!(types, ["A", "B"]);
}

fn all_sources() -> impl Iterator<Item = (String, String)> {
    FOLDERS.into_iter().flat_map(|folder| {
        sources(folder)
            .into_iter()
            .map(move |(path, text)| (format!("{folder}/{path}"), text))
    })
}

fn all_functions() -> Vec<(String, syntax::Function)> {
    let functions = all_sources().flat_map(|(path, text)| {
        syntax::functions(&syntax::parse(&text))
            .into_iter()
            .map(move |function| (path.clone(), function))
    });
    functions.collect()
}
