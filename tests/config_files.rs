//! The shipped files of `config/` for those who operate a hub: they agree with the programs.
use serde_json::Value;

use crate::support::World;

/// Each unit has one command line that is used; others are there to choose from.
#[test]
fn units_in_config_start_the_hub_with_valid_options() {
    let world = World::new();
    for (unit, count) in [
        (include_str!("../config/claude-mesh-hub.service"), 1),
        (include_str!("../config/claude-mesh-hub-system.service"), 3),
    ] {
        let commands = unit
            .lines()
            .filter_map(|line| line.trim_start_matches('#').strip_prefix("ExecStart="));
        let commands: Vec<&str> = commands.collect();
        assert_eq!(commands.len(), count, "{commands:?}");
        for command in commands {
            let mut words = command.split(' ');
            assert!(words.next().unwrap().ends_with("claude-mesh"), "{command}");
            // What is before `--help` is parsed first.
            let words: Vec<&str> = words.chain(["--help"]).collect();
            let output = world.cli(&world.home(), &words);
            assert_eq!(output.code, Some(0), "{command}: {output:?}");
            assert!(output.out.contains("--public-url"), "{command}");
        }
    }
}

/// A proxy that gives up earlier ends calls that still wait.
#[test]
fn nginx_waits_longer_than_any_call_and_buffers_nothing() {
    let content = include_str!("../config/nginx-hub.conf");
    let value = |name: &str| {
        let mut lines = content.lines().map(str::trim);
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_suffix(';'));
        value.unwrap_or_else(|| panic!("no {name}")).trim()
    };
    assert_eq!(value("proxy_buffering"), "off");
    let tools = claude_mesh::mcp::tool_list(None);
    let longest = tools.iter().filter_map(|tool| {
        let parameter = tool
            .input_schema
            .get("properties")?
            .get("timeout_seconds")?;
        parameter.get("maximum").and_then(Value::as_u64)
    });
    let longest = longest.max().expect("a tool waits");
    let timeout = value("proxy_read_timeout").strip_suffix('s').unwrap();
    assert!(timeout.parse::<u64>().unwrap() > longest);
}
