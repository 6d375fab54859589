//! Checks that the documents agree with the code and with each other: tools, commands, settings, links, paths, test names.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use claude_mesh::platform::settings;
use serde_json::Value;

use crate::support::{World, program};

/// The documents beside the pages in `docs/`.
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the paths of the pages in `docs/`, in order.
fn pages() -> BTreeSet<String> {
    std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| format!("docs/{}", path.file_name().unwrap().to_str().unwrap()))
        .collect()
}

/// Returns the paths of all documents.
fn documents() -> Vec<String> {
    DOCUMENTS
        .iter()
        .map(|name| (*name).to_owned())
        .chain(pages())
        .collect()
}

/// Returns the language and the content of each code block, and the lines outside of them.
fn parts(markdown: &str) -> (Vec<(&str, String)>, Vec<&str>) {
    let (mut blocks, mut outside) = (Vec::new(), Vec::new());
    let mut open: Option<(&str, String)> = None;
    for line in markdown.lines() {
        let marker = line.trim_start().strip_prefix("```");
        match (marker, open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => open = Some((language, String::new())),
            (None, Some((language, content))) => {
                open = Some((language, content + line + "\n"));
            }
            (None, None) => outside.push(line),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (blocks, outside)
}

/// Returns the `sh` blocks of the README, in order.
fn shell_blocks() -> Vec<String> {
    let readme = read("README.md");
    let (blocks, _) = parts(&readme);
    let shell = blocks.into_iter().filter(|(language, _)| *language == "sh");
    shell
        .map(|(_, content)| content.trim_end().to_owned())
        .collect()
}

/// Returns the rows of the first table below a heading of a document, cell by cell.
pub(crate) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let content = read(document);
    let start = content
        .find(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{document} has no heading {heading:?}"));
    let lines = content[start..]
        .lines()
        .skip_while(|line| !line.starts_with("| "))
        .skip(2);
    lines
        .take_while(|line| line.starts_with("| "))
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// Returns the first column of a table, without its quoting.
fn names(document: &str, heading: &str) -> BTreeSet<String> {
    table(document, heading)
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect()
}

/// Returns what is in backticks outside of code blocks.
fn quoted(markdown: &str) -> Vec<&str> {
    let (_, outside) = parts(markdown);
    outside
        .iter()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// Returns the anchors of the headings of a document, as they are made from their texts.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let (_, outside) = parts(markdown);
    let headings = outside.iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn readme_has_at_most_180_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 180, "README.md has {lines} lines");
}

// Requirement: Mesh 19
#[test]
fn first_two_shell_blocks_are_install_and_tests() {
    let blocks = shell_blocks();
    assert!(blocks[0].starts_with("cargo install --locked --path . &&"));
    assert!(blocks[0].ends_with("claude-mesh\" install"));
    assert_eq!(blocks[1], "cargo test --locked");
    assert_eq!(blocks[2], "claude-mesh demo");
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let script = read(".ci/run");
    assert!(script.ends_with("\neval \"$test_command\"\n"));
    assert!(
        !script.contains("cargo test"),
        ".ci/run has no test command of its own"
    );
    let output = Command::new("bash")
        .args([".ci/run", "--print-test-command"])
        .current_dir(root())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim_end(), shell_blocks()[1]);
}

/// Returns a text with each measured time, in milliseconds or seconds, replaced by `N ms`.
fn without_times(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        let digits = words[at - 1].trim_start_matches('(');
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let unit = ["ms", "s"].into_iter().find(|unit| {
            let rest = words[at].strip_prefix(unit);
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        });
        if let (true, Some(unit)) = (is_number, unit) {
            words[at - 1] = words[at - 1].replace(digits, "N");
            words[at] = format!("ms{}", &words[at][unit.len()..]);
        }
    }
    words.join(" ")
}

#[test]
fn transcript_in_the_readme_is_what_demo_prints() {
    let readme = read("README.md");
    let (blocks, _) = parts(&readme);
    let (language, transcript) = &blocks[0];
    assert_eq!(*language, "text");
    let world = World::new();
    let printed = world.cli(&world.home(), &["demo"]).out;
    let expected = format!("$ claude-mesh demo\n{printed}");
    assert_eq!(
        without_times(transcript),
        without_times(&expected),
        "the transcript should be:\n{expected}"
    );
}

#[test]
fn readme_links_to_every_page() {
    let readme = read("README.md");
    for page in pages() {
        assert!(readme.contains(&format!("]({page}")), "no link to {page}");
    }
}

#[test]
fn every_page_begins_with_what_it_is_for() {
    for page in pages() {
        let content = read(&page);
        let mut lines = content.lines();
        assert!(lines.next().unwrap().starts_with("# "), "{page}");
        assert_eq!(lines.next(), Some(""), "{page}");
        assert!(lines.next().unwrap().starts_with("This page "), "{page}");
    }
}

// Requirement: Mesh 2
#[test]
fn tool_table_lists_every_tool() {
    let listed: BTreeSet<String> = claude_mesh::mcp::tool_list(None)
        .iter()
        .map(|tool| tool.name.to_string())
        .collect();
    assert_eq!(names("docs/tools.md", "List of tools"), listed);
}

/// Describes the value of a parameter as its schema does.
fn value_of(schema: &Value) -> String {
    let ticked = |word: &Value| format!("`{}`", word.as_str().unwrap());
    let kind = match (&schema["enum"], schema["type"].as_str()) {
        (Value::Array(words), _) => words.iter().map(ticked).collect::<Vec<_>>().join("/"),
        (_, Some("string")) => "text".into(),
        (_, Some("integer")) => "number".into(),
        (_, Some("boolean")) => "true or false".into(),
        (_, Some("array")) if schema["items"]["type"] == "object" => "list of objects".into(),
        (_, Some("array")) => "list of texts".into(),
        _ if schema["anyOf"].is_array() => "text or list of texts".into(),
        (_, kind) => kind.unwrap_or("value").into(),
    };
    let most = schema["maximum"]
        .as_u64()
        .map(|most| format!("up to {most}"));
    let words = schema["description"].as_str().map(str::to_owned);
    let more: Vec<String> = [most, words].into_iter().flatten().collect();
    match more.as_slice() {
        [] => kind,
        more => format!("{kind} ({})", more.join("; ")),
    }
}

#[test]
fn parameter_table_matches_the_tool_schemas() {
    let mut expected = Vec::new();
    for tool in claude_mesh::mcp::tool_list(None) {
        let schema = Value::Object((*tool.input_schema).clone());
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let one = |(name, value): (&String, &Value)| {
            let mark = if required.contains(&name.as_str().into()) {
                ""
            } else {
                "?"
            };
            format!("`{name}`{mark} {}", value_of(value))
        };
        let all = schema["properties"].as_object();
        let all: Vec<String> = all.into_iter().flatten().map(one).collect();
        let all = if all.is_empty() {
            "–".into()
        } else {
            all.join(", ")
        };
        expected.push(vec![format!("`{}`", tool.name), all]);
    }
    let lines = expected
        .iter()
        .map(|row| format!("| {} |\n", row.join(" | ")));
    assert_eq!(
        table("docs/tools.md", "Parameters"),
        expected,
        "the table should be:\n{}",
        lines.collect::<String>()
    );
}

/// Returns the commands that `claude-mesh --help` lists.
fn commands() -> BTreeSet<String> {
    let world = World::new();
    let help = world.cli(&world.home(), &["--help"]).out;
    let commands = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(|name| format!("claude-mesh {name}"))
        .collect()
}

// Requirement: Mesh 2
#[test]
fn command_table_lists_every_command() {
    let commands = commands();
    assert_eq!(names("docs/commands.md", "List of commands"), commands);
    let everyday = names("README.md", "Commands for every day");
    assert_eq!(everyday.len(), 6);
    assert!(everyday.is_subset(&commands), "{everyday:?}");
}

#[test]
fn settings_table_and_example_file_match_the_code() {
    let example = read("config/claude-mesh.env.example");
    let rows = table("docs/settings.md", "List of settings");
    assert_eq!(rows.len(), settings::ALL.len());
    for (row, setting) in rows.iter().zip(settings::ALL) {
        assert_eq!(row[0], format!("`{}`", setting.name));
        assert_eq!(
            row[1].trim_matches('`'),
            setting.default,
            "{}",
            setting.name
        );
        assert_eq!(row[2], setting.description, "{}", setting.name);
        let line = format!("# {}=", setting.name);
        assert_eq!(
            example.contains(&line),
            setting.allowed_in_file,
            "{}",
            setting.name
        );
        assert!(example.contains(setting.name));
    }
}

#[test]
fn relative_links_lead_to_files_and_headings() {
    let mut wrong = Vec::new();
    for document in documents() {
        let content = read(&document);
        let (_, outside) = parts(&content);
        let outside = outside.join("\n");
        for target in outside.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.starts_with("https://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                root().join(&document)
            } else {
                root().join(&document).parent().unwrap().join(path)
            };
            let has_heading = anchor.is_empty()
                || std::fs::read_to_string(&file)
                    .is_ok_and(|content| anchors(&content).contains(anchor));
            if !file.exists() || !has_heading {
                wrong.push(format!("{document}: {target}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn source_paths_in_documents_exist() {
    const FOLDERS: [&str; 7] = [
        "src/",
        "tests/",
        "benches/",
        "examples/",
        "hooks/",
        "config/",
        "mcp/",
    ];
    let mut wrong = Vec::new();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/internals.md"] {
        for path in quoted(&read(document)) {
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
            if is_path && !root().join(path).exists() {
                wrong.push(format!("{document}: {path}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn tests_that_security_names_exist() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        let output = Command::new("grep")
            .args(["-rhoE", "fn [a-z_0-9]+", folder])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        sources += &String::from_utf8(output.stdout).unwrap();
    }
    let functions: BTreeSet<&str> = sources
        .lines()
        .filter_map(|line| line.strip_prefix("fn "))
        .collect();
    let security = read("SECURITY.md");
    let held = security.split("## What holds it").nth(1).unwrap();
    let held = held.split("\n## ").next().unwrap();
    let mut count = 0;
    for name in held
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('_') && !name.contains(' '))
    {
        assert!(functions.contains(name), "SECURITY.md names {name}");
        count += 1;
    }
    assert!(count >= 8);
}

// Requirement: Ask 7
#[test]
fn example_project_file_is_valid() {
    let world = World::new();
    world.write(
        "p/.claude-mesh.json",
        &read("config/claude-mesh.example.json"),
    );
    let session = world.session("p");
    assert_eq!(session.name(), "backend");
}

#[test]
fn table_of_remote_routes_lists_every_route() {
    let source = read("src/hub/remote/mod.rs");
    let mut expected = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let mut parts = route.split('"');
        let path = parts.nth(1).unwrap().replace("{session}", "{id}");
        let handler = parts.next().unwrap().trim_start_matches(',').trim();
        let method = handler.split('(').next().unwrap().to_uppercase();
        expected.insert(format!("{method} {path}"));
    }
    assert_eq!(
        names("docs/http.md", "Sessions of other machines"),
        expected
    );
}

// Requirement: Mesh 16
#[test]
fn example_programs_run() {
    for (example, says) in [
        ("two_members", "bo answered: 5433\n"),
        ("late_answer", "bo answered late: 5433\n"),
    ] {
        let path = PathBuf::from(program("claude-mesh"))
            .with_file_name("examples")
            .join(example);
        let output = Command::new(path).env_clear().output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(
            out.ends_with(says),
            "{example}: {out}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
