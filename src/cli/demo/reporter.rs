//! Prints the scenarios of the demo: as text while they run, or as JSON at the end.
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use crate::cli::print;

/// Prints the scenarios and keeps them for the JSON result.
pub(super) struct Reporter {
    pub(super) json: bool,
    pub(super) scenarios: Vec<Value>,
}

impl Reporter {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            scenarios: Vec::new(),
        }
    }

    pub(super) fn say(&self, line: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        print::line(line)
    }

    pub(super) fn scenario(&mut self, title: &str) -> std::io::Result<()> {
        self.scenarios
            .push(json!({ "story": title, "steps": [], "times": {} }));
        self.say(&format!("\n{}. {}", self.scenarios.len(), title.bold()))
    }

    pub(super) fn step(&mut self, line: &str) -> std::io::Result<()> {
        if let Some(steps) = self
            .scenarios
            .last_mut()
            .and_then(|scenario| scenario["steps"].as_array_mut())
        {
            steps.push(line.into());
        }
        self.say(&format!("   {line}"))
    }

    pub(super) fn times(&mut self, times: &Value) {
        if let Some(scenario) = self.scenarios.last_mut() {
            scenario["times"] = times.clone();
        }
    }
}
