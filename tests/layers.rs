//! Checks the structure of the sources: layers, import cycles, and what only one module may do.
mod conventions;
mod cycles;
mod resolve_imports;
mod syntax;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use self::resolve_imports::Crate;

/// The layers from the lowest; modules of one layer do not use each other.
const LAYERS: [&[&str]; 10] = [
    &["platform"],
    &["model"],
    &["claude_code"],
    &["store", "wake"],
    &["mesh"],
    &["tools"],
    &["hooks", "setup"],
    &["mcp"],
    &["hub", "remote"],
    &["cli"],
];

/// Modules that use another module of their layer, each with the reason.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// Returns the Rust files below a folder of this package with their path below it and their content.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = root().join(folder);
    files(&root)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let content = std::fs::read_to_string(&path).unwrap();
            (
                path.strip_prefix(&root).unwrap().display().to_string(),
                content,
            )
        })
        .collect()
}

/// Returns the files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the library. `main.rs` is a crate of its own.
fn library() -> Crate {
    let sources = sources("src");
    let files = sources
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    Crate::read(files.filter(|(path, _)| *path != "main.rs"))
}

fn layer_index(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn modules_depend_only_on_lower_layers() {
    let mut violations = Vec::new();
    let mut unused = EXCEPTIONS.to_vec();
    for usage in library().usages() {
        let (Some(from), Some(to)) = (usage.from.first(), usage.to.first()) else {
            continue;
        };
        let (own_layer, used_layer) = (layer_index(from), layer_index(to));
        assert!(own_layer.is_some(), "{from} belongs to no layer");
        unused.retain(|(a, b, _)| a != from || b != to);
        let is_excepted = EXCEPTIONS.iter().any(|(a, b, _)| a == from && b == to);
        if from != to && used_layer >= own_layer && !is_excepted {
            violations.push(format!("src/{} uses {to}", usage.place));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert!(
        unused.is_empty(),
        "exceptions that nothing needs: {unused:?}"
    );
}

/// The report names each cycle with the lines that make it.
#[test]
fn siblings_form_no_import_cycle() {
    let edges = cycles::sibling_edges(&library());
    let mut report = String::new();
    for cycle in cycles::cycles(&edges) {
        let evidence = cycles::evidence(&edges, &cycle).join("\n");
        writeln!(report, "{cycle}\n{evidence}").unwrap();
    }
    assert!(report.is_empty(), "import cycles:\n{report}");
}

/// Returns where code with one of these patterns lies outside the allowed files of `src`.
fn misplaced(module: &str, allowed: &[&str], patterns: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for (relative, source) in sources("src") {
        let code = source.split("#[cfg(test)]").next().unwrap();
        let is_test = relative.contains("_tests/");
        if is_test || allowed.iter().any(|allowed| relative.starts_with(allowed)) {
            continue;
        }
        let found = patterns.iter().filter(|pattern| code.contains(**pattern));
        violations
            .extend(found.map(|pattern| format!("{relative}: {pattern} belongs to {module}")));
    }
    violations
}

#[test]
fn module_specific_code_stays_in_its_module() {
    let rules: [(&str, &[&str], &[&str]); 5] = [
        (
            "store",
            &["store/"],
            &["rusqlite::", "SELECT ", "INSERT INTO", "PRAGMA "],
        ),
        (
            "platform/settings.rs",
            &["platform/settings.rs"],
            &["env::var"],
        ),
        (
            "the programs' own modules",
            &["cli/", "hooks/", "mcp/", "main.rs"],
            &["println!", "eprintln!", "process::exit"],
        ),
        (
            "claude_code",
            &["claude_code/"],
            &["crossSessionInbound", "asyncRewake"],
        ),
        // The demo plays Claude Code, and quoted text must not contain its tags.
        (
            "claude_code",
            &["claude_code/", "cli/demo/", "platform/foreign_text.rs"],
            &[
                "cross-session-message",
                "task-notification",
                "hookSpecificOutput",
                "hook_event_name",
                "procStart",
            ],
        ),
    ];
    let violations = rules.map(|(module, allowed, patterns)| misplaced(module, allowed, patterns));
    assert_eq!(violations.concat(), Vec::<String>::new());
}

#[test]
fn libraries_are_used_only_by_their_modules() {
    let servers = [
        "mcp/",
        "hub/",
        "remote/",
        "store/engine/postgres/",
        "tools/async_driver.rs",
    ];
    let watchers = ["wake/watcher.rs", "wake/shared_listener.rs", "lib.rs"];
    let http = [" axum::", " hyper::", " tower::", "(axum::", "<axum::"];
    let rules: [(&str, &[&str], &[&str]); 6] = [
        ("wake", &watchers, &["notify::"]),
        ("the servers", &["mcp/", "hub/", "remote/"], &["rmcp::"]),
        ("the servers", &servers, &["tokio::"]),
        ("hub and remote", &["hub/", "remote/"], &http),
        ("tools", &["tools/", "hub/operations/"], &["schemars::"]),
        ("cli", &["cli/", "main.rs"], &["clap::"]),
    ];
    let violations = rules.map(|(module, allowed, patterns)| misplaced(module, allowed, patterns));
    assert_eq!(violations.concat(), Vec::<String>::new());
}

#[test]
fn every_source_file_starts_with_a_doc_comment() {
    let folders = ["src", "tests", "hooks", "mcp", "examples", "benches"];
    for (path, source) in folders.iter().flat_map(|folder| sources(folder)) {
        assert!(
            source.starts_with("//! "),
            "{path} does not say what it does"
        );
    }
}

// Requirement: Ask 4
#[test]
fn program_entry_points_are_at_most_twelve_lines() {
    for entry_point in [
        "src/main.rs",
        "mcp/server.rs",
        "hooks/session_start.rs",
        "hooks/session_end.rs",
        "hooks/inbox_poll.rs",
        "hooks/claim_guard.rs",
        "hooks/inbox_wait.rs",
    ] {
        let lines = std::fs::read_to_string(root().join(entry_point))
            .unwrap()
            .lines()
            .count();
        assert!(lines <= 12, "{entry_point} has {lines} lines");
    }
}

/// The hooks are the programs that need no feature; what they are built from is what is left without any.
// Requirement: Beyond 10
#[test]
fn hooks_build_without_async_runtime_cli_parser_and_watcher() {
    let tree = |features: &[&str]| {
        let output = std::process::Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--locked",
                "--edges",
                "normal",
                "--prefix",
                "none",
            ])
            .args(features)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (all, bare) = (tree(&[]), tree(&["--no-default-features"]));
    for library in [
        "tokio ",
        "clap ",
        "notify ",
        "notify-rust ",
        "rmcp ",
        "schemars ",
        "sha2 ",
        "subtle ",
        "base64 ",
    ] {
        assert!(all.contains(library), "the search itself works: {library}");
        assert!(!bare.contains(library), "hooks need {library}");
    }
}
