//! `claude-mesh demo`: the main job played with real servers and real hooks, in seconds, without Claude Code.
//!
//! Everything happens in a temporary folder with a mesh of its own; it goes when the demo ends, however it ends.

mod stage;
mod stand_in;
mod stories;
mod told;

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::install::{PROGRAMS, places};
use super::wrong::{Failure, Wrong};
use super::{Ending, Outcome, print};
use crate::ground::Settings;

use stage::Stage;
use told::Told;

/// Play the main job with real programs, without Claude Code
///
/// Two sessions, each with a real server and real hooks, in a temporary folder. Takes a few seconds, needs no account,
/// touches nothing of yours and removes what it made.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh demo
  claude-mesh demo --json")]
pub(super) struct Demo {}

/// Stands for Claude Code in the demo: a process of its own whose child is the server
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  claude-mesh demo   starts it")]
pub(super) struct Client {}

/// Plays the stories.
pub(super) fn demo(json: bool) -> Outcome {
    let settings = Settings::of_this_process()?;
    let programs = places(&settings)?.programs;
    if let Some(missing) = PROGRAMS.iter().find(|name| !programs.join(name).is_file()) {
        let message = format!("{missing} is not beside claude-mesh");
        let hint = "install all five programs into one folder (`cargo install` does)";
        return Err(Wrong::new("unsupported", message, hint).into());
    }
    let mut told = Told::new(json);
    let stage = Stage::set_up(programs, Duration::from_secs(20))?;
    let began_ms = stage::now_ms();
    let end = End {
        played: stories::play(&stage, &mut told),
        took_ms: stage::now_ms() - began_ms,
        left: "nothing is left of it".into(),
        advice: "`claude-mesh doctor` tells what is wrong here",
    };
    drop(stage);
    end.tell(&told)
}

/// How the demo ended.
struct End {
    played: anyhow::Result<()>,
    took_ms: i64,
    left: String,
    /// What to do when it failed.
    advice: &'static str,
}

impl End {
    fn tell(self, told: &Told) -> Outcome {
        if told.json {
            print::json(&json!({
                "ok": self.played.is_ok(),
                "stories": told.stories,
                "took_ms": self.took_ms,
                "problem": self.played.as_ref().err().map(|problem| format!("{problem:#}")),
            }))?;
            return Ok(if self.played.is_ok() {
                Ending::Done
            } else {
                Ending::Refused
            });
        }
        if let Err(problem) = self.played {
            let message = format!("the demo stopped: {problem:#}");
            let hint = format!("{}; {}", self.left, self.advice);
            return Err(Wrong::new("storage", message, hint).into());
        }
        let took = stage::span(self.took_ms);
        told.say(&format!("\nAll of it took {took}; {}.", self.left))?;
        told.say("Next: `claude-mesh install`, then open Claude Code in two projects and let one ask the other.")?;
        Ok(Ending::Done)
    }
}

/// Starts the server as a child and waits for it, as Claude Code does.
pub(super) fn client() -> Outcome {
    let settings = Settings::of_this_process()?;
    let server = places(&settings)?.programs.join(PROGRAMS[0]);
    let ended = std::process::Command::new(&server)
        .status()
        .map_err(|error| {
            Wrong::new(
                "unsupported",
                format!("cannot start {}: {error}", server.display()),
                "",
            )
        })?;
    Ok(if ended.success() {
        Ending::Done
    } else {
        Ending::Refused
    })
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Wrong::new("storage", format!("{error:#}"), "").into()
    }
}
