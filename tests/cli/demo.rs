//! `demo` and `bench`: they run their scenarios and remove everything they made.

use serde_json::Value;

use super::fixture::CliFixture;
use crate::support::{ProcessOutput, program};

#[test]
fn demo_runs_its_scenarios_and_cleans_up() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let reported = fixture.run_ok(&["demo"]);
    assert!(
        reported.contains("1. An idle session") && reported.contains("5. The asker is killed"),
        "{reported}"
    );
    assert!(
        reported.contains("frontend gets \"5433\" as the result of its call ("),
        "{reported}"
    );
    assert!(!reported.contains('\u{1b}'), "{reported}");
    let json: Value = serde_json::from_str(&fixture.run_ok(&["demo", "--json"])).unwrap();
    assert_eq!(json["ok"], true);
    let times = json["stories"].as_array().unwrap();
    assert!(
        times[1]["times"]["answer_to_result_ms"].is_i64(),
        "{json:#}"
    );
    assert!(times[0]["times"]["ask_to_doorbell_ms"].is_i64(), "{json:#}");
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
    assert!(!fixture.world.home().join(".claude-mesh").exists());
}

#[test]
fn bench_measures_each_figure_and_cleans_up() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let reported = fixture.run_ok(&["bench", "--rounds", "10", "--json"]);
    let json: Value = serde_json::from_str(&reported).unwrap();
    let figures = json["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 9, "{json:#}");
    for figure in figures {
        assert!(figure["median"].as_f64().unwrap() > 0.0, "{figure}");
        if let Some(floor) = figure["floor"]["median"].as_f64() {
            assert!(
                floor > 0.0 && figure["ratio"].as_f64().unwrap() > 1.0,
                "{figure}"
            );
        }
    }
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn failed_demo_reports_the_cause_and_cleans_up() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let own = std::fs::read(program("claude-mesh")).unwrap();
    let alone = fixture.world.executable("bin/claude-mesh", &own);
    for name in [
        "server",
        "remote",
        "session-start",
        "session-end",
        "inbox-poll",
        "claim-guard",
        "inbox-wait",
    ] {
        let path = format!("bin/claude-mesh-{name}");
        fixture.world.executable(&path, b"#!/bin/sh\nexit 0\n");
    }
    let mut command = fixture
        .world
        .command(alone.to_str().unwrap(), &fixture.folder);
    let ran = ProcessOutput::of(&command.arg("demo").output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.starts_with("claude-mesh: the demo failed: "),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn real_demo_without_claude_code_explains_how_to_install_it() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    fixture.world.set("PATH", "");
    let ran = fixture.run(&["demo", "--real"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.err
            .starts_with("claude-mesh: Claude Code is not installed: there is no `claude` on your PATH\nhint: `npm install"),
        "{ran:?}"
    );
    let ran = fixture.run(&["demo", "--real", "--claude", "nowhere/claude"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("there is no program nowhere/claude"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn real_demo_reports_the_screen_of_a_failed_claude_code() {
    let mut fixture = CliFixture::new();
    let temporary = fixture.world.project("tmp");
    fixture.world.set("TMPDIR", temporary.to_str().unwrap());
    let program = b"#!/bin/sh\n[ \"$1\" = --version ] && echo '9.9.9 (Claude Code)' && exit\necho 'please log in'\n";
    let fake = fixture.world.executable("bin/claude", program);
    let demo = ["demo", "--real", "--claude", fake.to_str().unwrap()];
    let ran = fixture.run(&demo);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.starts_with("Claude Code 9.9.9 runs here"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("end has ended\n") && ran.err.contains("end ends with: please log in\n"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    let ran = fixture.run(&[&demo[..], &["--keep"]].concat());
    let kept = std::fs::read_dir(&temporary)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(
        ran.err
            .contains(&format!("hint: its folder is {}", kept.display())),
        "{ran:?}"
    );
    let screens = ["frontend.screen", "backend.screen"];
    let screens = screens.map(|name| std::fs::read_to_string(kept.join(name)).unwrap());
    assert!(screens.contains(&"please log in\r\n".into()), "{screens:?}");
}
