//! The documents agree with the code: every tool, command, setting and test they name is there, and the other way round.
use std::collections::BTreeSet;
use std::path::PathBuf;

use claude_mesh::platform::settings;
use serde_json::Value;

use crate::world::{World, program};

fn read(path: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the rows of the table below a heading of the README, cell by cell.
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let start = readme
        .find(&format!("\n### {heading}\n"))
        .expect("the heading");
    let lines = readme[start..]
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
fn names(heading: &str) -> BTreeSet<String> {
    table(heading)
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_tool_table_names_every_tool() {
    let listed: BTreeSet<String> = claude_mesh::mcp::tool_list(None)
        .iter()
        .map(|tool| tool.name.to_string())
        .collect();
    assert_eq!(names("Tools"), listed);
}

/// Returns what may be given for a parameter, in the words of its schema.
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
fn the_parameter_table_matches_the_tool_schemas() {
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
        table("Parameters"),
        expected,
        "the table should be:\n{}",
        lines.collect::<String>()
    );
}

#[test]
fn the_command_table_names_every_command() {
    let world = World::new();
    let help = world.cli(&world.home(), &["--help"]).out;
    let commands = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let listed: BTreeSet<String> = commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(|name| format!("claude-mesh {name}"))
        .collect();
    assert_eq!(names("Commands"), listed);
}

#[test]
fn the_settings_table_and_example_match_the_code() {
    let example = read("config/claude-mesh.env.example");
    let rows = table("Settings");
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
fn setup_takes_exactly_two_commands() {
    let readme = read("README.md");
    let set_up = readme
        .split("\n## ")
        .find(|section| section.starts_with("Set up"))
        .unwrap();
    let blocks: Vec<&str> = set_up
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().trim())
        .collect();
    assert_eq!(blocks[1], "cargo test --locked");
    assert!(blocks[0].starts_with("cargo install --locked --path . &&"));
    assert_eq!(
        blocks[2..],
        ["claude-mesh demo"],
        "the two, and the demo after them"
    );
}

#[test]
fn every_readme_link_target_exists() {
    for document in ["README.md", "SECURITY.md"] {
        let content = read(document);
        for target in content
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            let outside = target.starts_with("https://");
            assert!(
                outside
                    || PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                        .join(target)
                        .exists(),
                "{document}: {target}"
            );
        }
    }
}

#[test]
fn every_test_that_security_names_exists() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        let output = std::process::Command::new("grep")
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

#[test]
fn the_example_project_file_is_valid() {
    let world = World::new();
    world.write(
        "p/.claude-mesh.json",
        &read("config/claude-mesh.example.json"),
    );
    let session = world.session("p");
    assert_eq!(session.name(), "backend");
}

#[test]
fn the_examples_run_successfully() {
    for (example, says) in [
        ("two_members", "bo answered: 5433\n"),
        ("late_answer", "bo answered late: 5433\n"),
    ] {
        let path = PathBuf::from(program("claude-mesh"))
            .with_file_name("examples")
            .join(example);
        let output = std::process::Command::new(path)
            .env_clear()
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(
            out.ends_with(says),
            "{example}: {out}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
