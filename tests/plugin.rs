//! The plugin `mesh`: its files, how it and an install keep out of each other's way, and what it says without its programs.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{ProcessOutput, World, program};

fn plugin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/mesh")
}

fn read(path: &str) -> Value {
    let content = std::fs::read(plugin().join(path)).unwrap();
    serde_json::from_slice(&content).unwrap()
}

/// Copies the plugin into a home, with the built programs in the npm package of a platform if there is one.
fn copy_plugin(world: &World, package: Option<&str>) -> PathBuf {
    let copy = world.home().join("plugin");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(plugin())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    if let Some(package) = package {
        let bin = copy
            .join("node_modules/@claude-mesh")
            .join(package)
            .join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        for name in [
            "claude-mesh",
            "claude-mesh-server",
            "claude-mesh-session-start",
        ] {
            std::os::unix::fs::symlink(program(name), bin.join(name)).unwrap();
        }
    }
    copy
}

/// Runs `bin/mesh` of a copy as Claude Code does.
fn run(world: &World, plugin: &Path, arguments: &[&str], input: &str) -> ProcessOutput {
    let mut command = world.command(plugin.join("bin/mesh").to_str().unwrap(), &world.home());
    command
        .args(arguments)
        .env("CLAUDE_PLUGIN_ROOT", plugin)
        .env("CLAUDE_PLUGIN_DATA", world.home().join("data"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that needs no input may have ended.
    let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    drop(stdin);
    ProcessOutput::of(&child.wait_with_output().unwrap())
}

const START: &str = r#"{"hook_event_name":"SessionStart","source":"startup","session_id":"s"}"#;

#[test]
fn plugin_has_the_version_and_the_hooks_of_an_install() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(read(".claude-plugin/plugin.json")["version"], version);
    let (package, lock) = (read("package.json"), read("package-lock.json"));
    assert_eq!(package["version"], version);
    let root = &lock["packages"][""];
    assert_eq!(
        root["optionalDependencies"],
        package["optionalDependencies"]
    );
    let packages = package["optionalDependencies"].as_object().unwrap();
    assert_eq!(packages.len(), 4);
    for (name, wanted) in packages {
        let locked = &lock["packages"][format!("node_modules/{name}")];
        assert_eq!(
            (&locked["version"], wanted),
            (&json!(version), &json!(version))
        );
        let parts: Vec<&str> = name.rsplit('/').next().unwrap().split('-').collect();
        let libc = if parts[2] == "gnu" { "glibc" } else { "musl" };
        assert_eq!(
            (&locked["cpu"], &locked["libc"]),
            (&json!([parts[1]]), &json!([libc]))
        );
        assert_eq!(locked["optional"], true);
    }
    // The same events as `install`, with the same time limits; and the permission, which an install adds as a rule.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = std::fs::read(root.join("config/hooks.json")).unwrap();
    let installed: Value = serde_json::from_slice(&installed).unwrap();
    let hooks = read("hooks/hooks.json");
    for (event, groups) in installed["hooks"].as_object().unwrap() {
        let (wanted, own) = (
            &groups[0]["hooks"][0],
            &hooks["hooks"][event][0]["hooks"][0],
        );
        let program = wanted["command"].as_str().unwrap();
        let word = own["args"][0].as_str().unwrap();
        assert_eq!(program, format!("claude-mesh-{word}"), "{event}");
        assert_eq!(own["timeout"], wanted["timeout"], "{event}");
        assert_eq!(own["command"], "${CLAUDE_PLUGIN_ROOT}/bin/mesh");
    }
    assert_eq!(hooks["modules"], json!(["./register.js"]));
    let allowed = &hooks["hooks"]["PreToolUse"][0]["matcher"];
    assert_eq!(allowed, "mcp__plugin_mesh_claude-mesh__.*");
    let mode = std::fs::metadata(plugin().join("bin/mesh")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o111, 0o111);
    assert_eq!(
        std::fs::read(plugin().join("LICENSE")).unwrap(),
        std::fs::read(root.join("LICENSE")).unwrap()
    );
}

#[test]
fn plugin_starts_the_programs_of_the_package_that_fits() {
    for package in ["linux-x64-gnu", "linux-arm64-gnu", "linux-x64-musl"] {
        let world = World::new();
        let copy = copy_plugin(&world, Some(package));
        let ran = run(&world, &copy, &["--version"], "");
        assert!(ran.out.starts_with("claude-mesh "), "{package}: {ran:?}");
        let ran = run(&world, &copy, &["session-start"], START);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.contains("additionalContext"), "{ran:?}");
    }
}

#[test]
fn plugin_without_programs_says_so_once_and_fails_no_hook() {
    let world = World::new();
    let copy = copy_plugin(&world, None);
    let first = run(&world, &copy, &["session-start"], START);
    let text = first.json()["systemMessage"].as_str().unwrap().to_owned();
    assert!(
        text.contains("npm package for this platform is not installed"),
        "{text}"
    );
    assert!(!text.contains('\n'));
    for word in ["session-start", "inbox-poll", "session-end", "claim-guard"] {
        let ran = run(&world, &copy, &[word], START);
        let said = (ran.code, ran.out.as_str(), ran.err.as_str());
        assert_eq!(said, (Some(0), "", ""), "{word}");
    }
    for words in [&["server"][..], &["doctor"], &[]] {
        let ran = run(&world, &copy, words, "");
        assert_eq!(
            (ran.code, ran.err.trim_end()),
            (Some(1), text.as_str()),
            "{words:?}"
        );
    }
}

#[test]
fn plugin_rests_beside_an_install_and_says_so_once() {
    let world = World::new();
    let copy = copy_plugin(&world, Some("linux-x64-gnu"));
    assert_eq!(world.cli(&world.home(), &["install"]).code, Some(0));
    let first = run(&world, &copy, &["session-start"], START);
    let text = first.json()["systemMessage"].as_str().unwrap().to_owned();
    assert!(text.contains("claude-mesh uninstall"), "{text}");
    let again = run(&world, &copy, &["session-start"], START);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""));
    let ran = run(&world, &copy, &["server"], "");
    assert_eq!((ran.code, ran.err.trim_end()), (Some(1), text.as_str()));
    assert!(!world.database().exists());
    assert_eq!(world.cli(&world.home(), &["uninstall"]).code, Some(0));
    let ran = run(&world, &copy, &["session-start"], START);
    assert!(
        ran.out.contains("additionalContext"),
        "it works again: {ran:?}"
    );
}

#[test]
fn calls_of_the_plugin_tools_are_allowed_without_a_program() {
    let world = World::new();
    let copy = copy_plugin(&world, None);
    let output = &run(&world, &copy, &["allow"], "{}").json()["hookSpecificOutput"];
    assert_eq!(output["permissionDecision"], "allow");
}

/// Writes what Claude Code writes when the plugin is installed from a marketplace.
fn enable_plugin(world: &World, folder: &Path) {
    world.write(
        ".claude/settings.json",
        r#"{"enabledPlugins": {"mesh@claude-mesh": true}}"#,
    );
    let installed = json!({ "version": 2, "plugins": { "mesh@claude-mesh": [
        { "scope": "user", "installPath": folder, "version": "0.1.0" },
    ] } });
    world.write(
        ".claude/plugins/installed_plugins.json",
        &installed.to_string(),
    );
}

#[test]
fn install_is_refused_beside_the_plugin() {
    let world = World::new();
    let copy = copy_plugin(&world, Some("linux-x64-gnu"));
    enable_plugin(&world, &copy);
    let ran = world.cli(&world.home(), &["install"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let said = "the plugin mesh@claude-mesh is enabled in ~/.claude/settings.json";
    assert!(ran.err.contains(said), "{ran:?}");
    assert!(
        ran.err.contains("claude plugin disable mesh@claude-mesh"),
        "{ran:?}"
    );
    assert!(!world.home().join(".claude.json").exists());
}

#[test]
fn doctor_says_which_of_plugin_and_install_works() {
    let world = World::new();
    let findings = || {
        let all = world.cli(&world.home(), &["doctor", "--json"]).json()["findings"].clone();
        let texts = all.as_array().unwrap().iter();
        let texts = texts.map(|one| {
            let word = |key: &str| one[key].as_str().unwrap().to_owned();
            format!("{}: {}", word("severity"), word("text"))
        });
        texts.collect::<Vec<_>>().join("\n")
    };
    let copy = copy_plugin(&world, Some("linux-x64-gnu"));
    enable_plugin(&world, &copy);
    let working = findings();
    assert!(
        working.contains("ok: plugin: mesh@claude-mesh is enabled"),
        "{working}"
    );
    assert!(
        !working.contains("no server entry") && !working.contains("no hook"),
        "{working}"
    );
    std::fs::remove_dir_all(copy.join("node_modules")).unwrap();
    let missing = findings();
    assert!(
        missing.contains("problem: the plugin mesh@claude-mesh lacks its programs"),
        "{missing}"
    );
    // Both, as when the plugin is enabled after an install.
    std::fs::remove_file(world.home().join(".claude/settings.json")).unwrap();
    assert_eq!(world.cli(&world.home(), &["install"]).code, Some(0));
    let file = world.home().join(".claude/settings.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    settings["enabledPlugins"] = json!({ "mesh@claude-mesh": true });
    std::fs::write(&file, settings.to_string()).unwrap();
    let both = findings();
    assert!(
        both.contains("note: the plugin mesh@claude-mesh (~/.claude/settings.json) rests"),
        "{both}"
    );
    assert!(both.contains("hooks: 4 wired"), "{both}");
}
