//! Runs Chromium with a script that plays the person, `browser.mjs`, step by step.
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::other_clients::{Package, Registry, node};
use crate::support::{Hub, World};

const PLAYWRIGHT: Package = Package {
    name: "playwright-core",
    registry: Registry::Npm,
    spec: "playwright-core@1.65.1",
    entry: "node_modules/playwright-core",
};
const AXE: Package = Package {
    name: "axe-core",
    registry: Registry::Npm,
    spec: "axe-core@4.14.1",
    entry: "node_modules/axe-core/axe.min.js",
};

/// A scenario of `browser.mjs` that runs.
pub(super) struct Browser {
    script: Child,
    lines: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Browser {
    /// Starts a scenario at the board of a hub. Returns `None` after reporting why the calling test is skipped.
    #[track_caller]
    pub(super) fn play(world: &World, hub: &Hub, scenario: &str, own: &Value) -> Option<Self> {
        let (playwright, axe) = (PLAYWRIGHT.get()?, AXE.get()?);
        let Some(chromium) = chromium() else {
            return PLAYWRIGHT.skip("there is no chromium in PATH");
        };
        let token = hub.mesh().create_board_link().unwrap();
        let mut options = json!({
            "playwright": playwright, "axe": axe, "chromium": chromium, "url": format!("{}/#token={token}", hub.url()),
        });
        for (key, value) in own.as_object().into_iter().flatten() {
            options[key] = value.clone();
        }
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/board/browser.mjs");
        let log = world.home().join(format!("browser-{scenario}.log"));
        let mut script = world
            .command(node().ok()?.to_str().unwrap(), &world.home())
            .arg(script)
            .args([scenario, &options.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(script.stdout.take().unwrap());
        Some(Self { script, lines, log })
    }

    /// Waits until the scenario has come to its next step.
    #[track_caller]
    pub(super) fn wait_for_step(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}: {}", self.errors()))
    }

    /// Lets the scenario go on.
    pub(super) fn go_on(&mut self) {
        let _ = writeln!(self.script.stdin.as_mut().unwrap());
    }

    /// Waits for the end of the scenario, which must have found everything as it expects.
    #[track_caller]
    pub(super) fn finish(mut self) {
        let status = self.script.wait().unwrap();
        assert!(status.success(), "{}", self.errors());
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without stdin the script closes its browser.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// Checks the types of the page's modules. Returns what the checker complains about; `None` if it cannot be had.
pub(super) fn type_errors() -> Option<String> {
    let checker = Package {
        name: "TypeScript",
        registry: Registry::Npm,
        spec: "typescript@7.0.2",
        entry: "node_modules/typescript/bin/tsc",
    };
    let checker = checker.get()?;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/hub/page");
    let options = "--allowJs --checkJs --strict --noEmit --noUncheckedIndexedAccess --target es2023 --module es2022 \
        --moduleResolution bundler --lib es2023,dom,dom.iterable main.js types.js";
    let output = Command::new(node().ok()?)
        .arg(checker)
        .args(options.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.success(), complaint.is_empty(), "{output:?}");
    Some(complaint)
}
