//! The house keeps its floors: a room uses rooms below it, never beside or above; and what belongs to one room only stays
//! there.
use std::path::{Path, PathBuf};

/// Rooms from the ground up; those on one floor do not know each other.
const LAYERS: [&[&str]; 7] = [
    &["platform"],
    &["model"],
    &["claude_code"],
    &["store", "wake"],
    &["mesh"],
    &["tools"],
    &["hooks", "mcp", "cli", "setup"],
];

/// Uses that look sideways on purpose, each with its reason.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "cli",
    "setup",
    "install, uninstall and doctor are the command-line side of the wiring",
)];

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let content = std::fs::read_to_string(&path).unwrap();
            found.push((path, content));
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn layer_index(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// Returns the rooms a source mentions by `crate::module`, also in grouped `use crate::{a::…, b::…}` lines.
fn modules_used(source: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = &source[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => modules.push(leading_identifier(rest)),
            Some(group) => modules.extend(
                top_level_items(group)
                    .iter()
                    .map(|item| leading_identifier(item)),
            ),
        }
    }
    modules.retain(|module| layer_index(module).is_some());
    modules.sort();
    modules.dedup();
    modules
}

fn leading_identifier(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Splits the inside of a group at its own commas.
fn top_level_items(group: &str) -> Vec<String> {
    let (mut items, mut depth) = (vec![String::new()], 0);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ => items.last_mut().unwrap().push(c),
        }
    }
    items
}

#[test]
fn modules_depend_only_on_lower_layers() {
    let mut violations = Vec::new();
    for (path, source) in sources(&root().join("src")) {
        let relative = path.strip_prefix(root().join("src")).unwrap().to_path_buf();
        let module = relative
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let Some(own_layer) = layer_index(&module) else {
            continue;
        };
        for used in modules_used(&source) {
            let excepted = EXCEPTIONS
                .iter()
                .any(|(from, to, _)| *from == module && *to == used);
            if used != module && layer_index(&used).unwrap() >= own_layer && !excepted {
                violations.push(format!(
                    "{} looks up or sideways to {used}",
                    relative.display()
                ));
            }
        }
    }
    assert_eq!(violations, Vec::<String>::new());
}

#[test]
fn grouped_use_declarations_are_parsed() {
    let used =
        modules_used("use crate::{platform::{Clock, Fault}, store::Tx};\nuse crate::mesh;\n");
    assert_eq!(used, ["mesh", "platform", "store"]);
}

#[test]
fn module_specific_code_stays_in_its_module() {
    let mut violations = Vec::new();
    let mut forbid = |module: &str, allowed: &[&str], patterns: &[&str]| {
        for (path, source) in sources(&root().join("src")) {
            let relative = path
                .strip_prefix(root().join("src"))
                .unwrap()
                .display()
                .to_string();
            let code = source.split("#[cfg(test)]").next().unwrap();
            if allowed.iter().any(|allowed| relative.starts_with(allowed)) {
                continue;
            }
            violations.extend(
                patterns
                    .iter()
                    .filter(|pattern| code.contains(**pattern))
                    .map(|pattern| format!("{relative}: {pattern} belongs to {module}")),
            );
        }
    };
    forbid(
        "store",
        &["store/"],
        &["rusqlite::", "SELECT ", "INSERT INTO", "PRAGMA "],
    );
    forbid(
        "platform/settings.rs",
        &["platform/settings.rs"],
        &["env::var"],
    );
    forbid(
        "the audiences",
        &["cli/", "hooks/", "mcp/", "main.rs"],
        &["println!", "eprintln!", "process::exit"],
    );
    forbid(
        "wake/watcher.rs",
        &["wake/watcher.rs", "lib.rs"],
        &["notify::"],
    );
    forbid("mcp", &["mcp/"], &["rmcp::", "tokio::"]);
    forbid("tools", &["tools/"], &["schemars::"]);
    forbid("cli", &["cli/", "main.rs"], &["clap::"]);
    assert_eq!(violations, Vec::<String>::new());
}

#[test]
fn every_source_file_starts_with_a_doc_comment() {
    let folders = ["src", "tests", "hooks", "mcp", "examples", "benches"];
    for (path, source) in folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
    {
        assert!(
            source.starts_with("//! "),
            "{} does not say what it is",
            path.display()
        );
    }
}

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
    for library in ["tokio ", "clap ", "notify ", "rmcp ", "schemars "] {
        assert!(all.contains(library), "the search itself works: {library}");
        assert!(!bare.contains(library), "hooks need {library}");
    }
}
