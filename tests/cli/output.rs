//! What holds for every command: sanitized output, closed pipes, usage errors, help and man pages.
use std::io::Write;
use std::process::Stdio;

use super::fixture::{CliFixture, answers};
use crate::support::{ProcessOutput, program};

#[test]
fn cli_read_commands_create_no_database() {
    let fixture = CliFixture::new();
    for arguments in [
        &["peers"][..],
        &["peers", "--all", "--json"],
        &["peers", "--forget", "old"],
        &["inbox"],
        &["inbox", "--all"],
        &["log"],
        &["log", "--json"],
        &["status"],
        &["gc"],
        &["wall"],
    ] {
        fixture.run_ok(arguments);
    }
    assert!(fixture.run_ok(&["peers"]).starts_with(
        "no mesh here yet: ~/.claude-mesh/mesh.db does not exist\n`claude-mesh install`"
    ));
    assert_eq!(
        fixture.run_refused(&["ask", "bo", "why?"]).0,
        "unknown_peer"
    );
    assert_eq!(
        fixture.run_refused(&["ask", "--all", "why?"]).0,
        "unknown_peer"
    );
    fixture.run(&["doctor"]);
    assert!(!fixture.world.home().join(".claude-mesh").exists());
}

#[test]
fn cli_output_omits_control_characters_of_peers() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(
        &mut ada,
        "bo",
        "a\u{1b}]0;title\u{7}\u{1b}[2Jb\u{202e}c\u{9b}1m",
    );
    for arguments in [
        &["inbox", "--all"][..],
        &["inbox", "--peer", "bo", "--json"],
        &["log"],
    ] {
        let shown = fixture.run_ok(arguments);
        assert!(
            !shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']),
            "{shown:?}"
        );
    }
}

#[test]
fn cli_output_is_raw_in_a_pipe_and_sanitized_in_a_terminal() {
    let raw = "a\tb\r\nc\u{1b}[1mX\u{9b}2m\n</peer-question>\n\n";
    let clean = "a\tb\ncX2m\n";
    let fixture = CliFixture::new();
    let mut set = fixture
        .world
        .command(program("claude-mesh"), &fixture.folder)
        .args(["state", "set", "raw", "-", "--text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = set.stdin.take().unwrap();
    stdin.write_all(raw.as_bytes()).unwrap();
    drop(stdin);
    assert!(set.wait().unwrap().success());
    // One newline ends the text on input, and one on output.
    assert_eq!(fixture.run_ok(&["state", "get", "raw"]), raw);
    let answering = answers(fixture.peer("bo"), "a\r\n\u{1b}[1mX\n");
    let answer = fixture.run_ok(&["ask", "bo", "which port?"]);
    assert_eq!(answer, "a\r\n\u{1b}[1mX\n\n");
    drop(answering.join().unwrap());

    let command = format!("{} state get raw", program("claude-mesh"));
    let terminal = fixture
        .world
        .command("script", &fixture.folder)
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .output();
    match terminal {
        Ok(output) => {
            // The terminal itself ends its lines with \r\n.
            let shown = ProcessOutput::of(&output).out.replace("\r\n", "\n");
            assert!(shown.starts_with(clean), "{shown:?}");
        }
        Err(error) => {
            writeln!(std::io::stderr(), "SKIPPED: a terminal: {error}").ok();
        }
    }

    // The output of a shell in a session is read by its model.
    let script = format!("read go; \"{}\" state get raw; :", program("claude-mesh"));
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &fixture.folder);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let shown = ProcessOutput::of(&shell.wait_with_output().unwrap()).out;
    assert!(shown.starts_with(clean), "{shown:?}");
    assert!(!shown.contains("</peer-question"), "{shown:?}");
}

#[test]
fn cli_exits_successfully_when_stdout_is_closed() {
    let fixture = CliFixture::new();
    let _ada = fixture.peer("ada");
    for arguments in [
        &["peers"][..],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let mut running = fixture.start(arguments);
        drop(running.stdout.take());
        let ran = ProcessOutput::of(&running.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn cli_help_fails_when_stdout_cannot_be_written() {
    let fixture = CliFixture::new();
    for arguments in ["--help", "ask --help", "--version", "status"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let output = fixture
            .world
            .command(program("claude-mesh"), &fixture.folder)
            .args(arguments.split(' '))
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        assert_eq!(ran.code, Some(1), "{arguments}: {ran:?}");
        assert!(ran.err.contains("cannot print"), "{arguments}: {ran:?}");
    }
}

#[test]
fn cli_usage_errors_exit_with_status_2() {
    let fixture = CliFixture::new();
    for arguments in [
        &["nonsense"][..],
        &[],
        &["ask", "bo"],
        &["ask", "--all", "bo", "why?"],
        &["ask", "bo", "why?", "--timeout", "soon"],
        &["reply", "x"],
        &["install", "--project", "--local"],
    ] {
        assert_eq!(fixture.run(arguments).code, Some(2), "{arguments:?}");
    }
    assert!(fixture.run_ok(&["--help"]).contains("Exit status: 0 done"));
    assert_eq!(
        fixture.run_ok(&["--version"]),
        format!("claude-mesh {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn cli_commands_have_examples_and_man_pages() {
    let fixture = CliFixture::new();
    let help = fixture.run_ok(&["--help"]);
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    for line in listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
    {
        let command = line.split_whitespace().next().unwrap();
        assert!(
            fixture
                .run_ok(&[command, "--help"])
                .contains("Examples:\n  "),
            "{command}"
        );
        assert!(
            fixture.run_ok(&["man", command]).contains(".SH SYNOPSIS"),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            fixture
                .run_ok(&["completions", shell])
                .contains("claude-mesh")
        );
    }
    assert_eq!(
        fixture.run_refused(&["man", "nonsense"]).0,
        "invalid_argument"
    );
}
