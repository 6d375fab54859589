//! The table: one line for each number, printed as soon as it is known, or JSON lines.
use std::io::Write;

use serde_json::json;

use crate::pin::Pin;

/// Measurements of one quantity.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Returns the value below which this share of the measurements lies.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into the samples"
        )]
        let at = ((sorted.len() - 1) as f64 * share).round() as usize;
        sorted[at]
    }

    pub(crate) fn p50(&self) -> f64 {
        self.quantile(0.5)
    }
}

impl Extend<f64> for Samples {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        self.0.extend(values);
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The goal of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At most this multiple of the baseline.
    Times(f64),
    /// At most this value.
    AtMost(f64),
    /// At least this value.
    AtLeast(f64),
    /// None: the number is shown for comparison only.
    None,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) best: Option<f64>,
    pub(crate) p50: f64,
    pub(crate) p99: Option<f64>,
    pub(crate) baseline: Option<(String, f64)>,
    pub(crate) goal: Goal,
}

impl Line {
    /// Returns a line of times in microseconds.
    pub(crate) fn times(what: impl Into<String>, samples: &Samples) -> Self {
        Self {
            what: what.into(),
            unit: "µs",
            best: Some(samples.quantile(0.0)),
            p50: samples.p50(),
            p99: Some(samples.quantile(0.99)),
            baseline: None,
            goal: Goal::None,
        }
    }

    /// Returns a line of one number.
    pub(crate) fn number(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            what: what.into(),
            unit,
            best: None,
            p50: value,
            p99: None,
            baseline: None,
            goal: Goal::None,
        }
    }

    pub(crate) fn baseline(mut self, name: impl Into<String>, value: f64) -> Self {
        self.baseline = Some((name.into(), value));
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.baseline
            .as_ref()
            .map(|(_, baseline)| self.p50 / baseline)
    }

    fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::Times(times) => self.ratio().map(|ratio| ratio <= times),
            Goal::AtMost(most) => Some(self.p50 <= most),
            Goal::AtLeast(least) => Some(self.p50 >= least),
            Goal::None => None,
        }
    }
}

/// The printed table.
pub(crate) struct Table {
    json: bool,
    missed: usize,
}

impl Table {
    pub(crate) fn new(json: bool) -> Self {
        if !json {
            print_line(&format!(
                "{:<62} {:>9} {:>9} {:>9}  {:<39} {:>5}  {:<10} met",
                "what", "best", "p50", "p99", "baseline", "ratio", "goal"
            ));
        }
        Self { json, missed: 0 }
    }

    /// Begins a group of lines, with the load of the machine, which is in every time below.
    pub(crate) fn group(&self, name: &str, pin: Pin) {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split_whitespace().next().unwrap_or("unknown");
        self.note(&format!("{name}, {}; load before it {load}", pin.words()));
    }

    /// Prints a note about the next lines.
    pub(crate) fn note(&self, text: &str) {
        if self.json {
            print_line(&format!("{}", json!({ "note": text })));
        } else {
            print_line(&format!("-- {text}"));
        }
    }

    pub(crate) fn line(&mut self, line: &Line) {
        let met = line.met();
        self.missed += usize::from(met == Some(false));
        if self.json {
            let goal = match line.goal {
                Goal::Times(times) => json!({ "times_floor": times }),
                Goal::AtMost(most) => json!({ "at_most": most }),
                Goal::AtLeast(least) => json!({ "at_least": least }),
                Goal::None => json!(null),
            };
            let line = json!({
                "what": line.what, "unit": line.unit, "best": line.best, "p50": line.p50, "p99": line.p99,
                "floor": line.baseline.as_ref().map(|(name, value)| json!({ "name": name, "value": value })),
                "ratio": line.ratio(), "goal": goal, "met": met,
            });
            print_line(&line.to_string());
            return;
        }
        let number = |value: f64| {
            if value >= 1000.0 && line.unit == "µs" {
                format!("{:.2} ms", value / 1000.0)
            } else {
                format!("{value:.*} {}", usize::from(value < 100.0), line.unit)
            }
        };
        let baseline = line.baseline.as_ref();
        let goal = match line.goal {
            Goal::Times(times) => format!("≤ {} ×", (times * 100.0).round() / 100.0),
            Goal::AtMost(most) => format!("≤ {}", number(most)),
            Goal::AtLeast(least) => format!("≥ {}", number(least)),
            Goal::None => String::new(),
        };
        print_line(&format!(
            "{:<62} {:>9} {:>9} {:>9}  {:<39} {:>5}  {:<10} {}",
            line.what,
            line.best.map_or_else(String::new, number),
            number(line.p50),
            line.p99.map_or_else(String::new, number),
            baseline.map_or_else(String::new, |(name, value)| format!(
                "{} {name}",
                number(*value)
            )),
            line.ratio()
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            goal,
            met.map_or("", |met| if met { "yes" } else { "no" }),
        ));
    }

    pub(crate) fn end(&self) {
        if !self.json {
            print_line(&format!("{} missed", self.missed));
        }
    }
}

/// A closed pipe does not end the measurement: its sessions and homes are removed at its end.
fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
