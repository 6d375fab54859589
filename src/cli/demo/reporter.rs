//! What is told: as text while it happens, or as JSON at the end.
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::super::print;

/// The stories told so far.
pub(super) struct Told {
    pub(super) json: bool,
    pub(super) stories: Vec<Value>,
}

impl Told {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            stories: Vec::new(),
        }
    }

    pub(super) fn say(&self, line: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        print::line(line)
    }

    pub(super) fn story(&mut self, title: &str) -> std::io::Result<()> {
        self.stories
            .push(json!({ "story": title, "steps": [], "times": {} }));
        self.say(&format!("\n{}. {}", self.stories.len(), title.bold()))
    }

    pub(super) fn step(&mut self, line: &str) -> std::io::Result<()> {
        if let Some(steps) = self
            .stories
            .last_mut()
            .and_then(|story| story["steps"].as_array_mut())
        {
            steps.push(line.into());
        }
        self.say(&format!("   {line}"))
    }

    pub(super) fn times(&mut self, times: &Value) {
        if let Some(story) = self.stories.last_mut() {
            story["times"] = times.clone();
        }
    }
}
