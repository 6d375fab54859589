//! The plugin `mesh` as strangers install it: from a git repository and a registry of npm packages, both on this machine, into
//! an empty home, up to the first answer between two windows.
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;

use super::client::{Lab, LabSession};
use super::fork::is_fork;
use super::mesh::Mesh;
use super::scripted_api::{ScriptedApi, call, say};
use crate::other_clients::{Package, Registry, node};
use crate::support::{print_to_stderr, strip_programs, wait_until};

/// A registry of npm packages. Its dependency asks for a version by a tag that not every registry has.
const VERDACCIO: Package = Package {
    name: "verdaccio",
    registry: Registry::NpmWith(r#"{"private": true, "overrides": {"node-fetch": "2.7.0"}}"#),
    spec: "verdaccio@6.8.0",
    entry: "node_modules/verdaccio/bin/verdaccio",
};
/// It refuses what it has not got, instead of asking another registry.
const CONFIG: &str = "storage: ./storage
max_body_size: 900mb
uplinks: {}
auth: { htpasswd: { file: ./htpasswd } }
packages: { '**': { access: $all, publish: $all } }
log: { type: stdout, format: pretty, level: warn }
";
const TOOLS: &str = "mcp__plugin_mesh_claude-mesh__";

/// A registry that runs until this is dropped.
struct NpmRegistry {
    child: Child,
    address: String,
}

impl NpmRegistry {
    fn start(lab: &Lab, verdaccio: &Path) -> Self {
        let folder = lab.path("registry");
        fs::create_dir(&folder).expect("the folder is writable");
        fs::write(folder.join("config.yaml"), CONFIG).expect("the folder is writable");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let address = free.expect("a port is free").to_string();
        let child = command(lab, node().expect("npm needs it"))
            .arg(verdaccio)
            .args(["--config", "config.yaml", "--listen", &address])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node was found");
        wait_until("the registry listens", || {
            TcpStream::connect(&address).is_ok()
        });
        let settings = format!("registry=http://{address}/\n//{address}/:_authToken=any\n");
        fs::write(lab.path("home/.npmrc"), settings).expect("the home is writable");
        Self { child, address }
    }
}

impl Drop for NpmRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command with the environment of the lab, in which node and npm are found.
fn command(lab: &Lab, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(lab.environment());
    command.env("PATH", path_with_node()).stdin(Stdio::null());
    command
}

fn path_with_node() -> String {
    let node = node().expect("npm needs it");
    let folder = node.parent().expect("a program is in a folder");
    format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display())
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Packs the built programs for this platform, publishes the package, and returns a folder of the plugin that names it.
fn publish(lab: &Lab) -> PathBuf {
    let (plugin, small, out) = (lab.path("plugin"), lab.path("programs"), lab.path("out"));
    run(Command::new("cp")
        .arg("-r")
        .arg(root().join("plugin/mesh"))
        .arg(&plugin));
    strip_programs(&small);
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let packed = run(command(lab, root().join("release/npm-packages"))
        .arg(target)
        .args([&small, &out, &plugin]));
    run(command(lab, "npm").args(["publish", "--access", "public", packed.trim()]));
    plugin
}

/// Makes a repository of the plugin, and a marketplace that names it.
fn marketplace(lab: &Lab, plugin: &Path) -> PathBuf {
    let git = |arguments: &[&str]| {
        run(command(lab, "git").args(arguments).current_dir(plugin));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&[
        "-c",
        "user.name=ada",
        "-c",
        "user.email=a@b",
        "commit",
        "-qm",
        "one",
    ]);
    let file = fs::read(root().join(".claude-plugin/marketplace.json")).expect("the file is there");
    let mut market: serde_json::Value = serde_json::from_slice(&file).expect("it is JSON");
    let url = format!("file://{}/.git", plugin.display());
    market["plugins"][0]["source"] = json!({ "source": "url", "url": url });
    let folder = lab.path("market");
    fs::create_dir_all(folder.join(".claude-plugin")).expect("the folder is writable");
    fs::write(
        folder.join(".claude-plugin/marketplace.json"),
        market.to_string(),
    )
    .expect("the folder is writable");
    folder
}

/// Types the commands that install the plugin, and returns how many.
#[track_caller]
fn install_plugin(installer: &LabSession<'_>, market: &str) -> u32 {
    for arguments in [
        &["plugin", "marketplace", "add", market][..],
        &["plugin", "install", "mesh@claude-mesh"],
    ] {
        let done = installer.run(arguments).finish();
        assert!(done.status.success(), "{done:#?}");
    }
    2
}

#[test]
fn two_windows_with_the_plugin_get_to_the_first_answer() {
    let Some(verdaccio) = VERDACCIO.get() else {
        return;
    };
    let Some(lab) = Lab::new() else { return };
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    lab.project("docs");
    let registry = NpmRegistry::start(&lab, &verdaccio);
    let market = marketplace(&lab, &publish(&lab));
    let nobody = ScriptedApi::listen(|_| say("nobody asks me"));
    let path = format!("{}:{}", claude_folder(&lab), path_with_node());
    let installer = lab.session(&frontend, &nobody).env("PATH", &path);
    // What a stranger types: two commands, `claude` in one window, and `claude 'ask backend …'` in the other.
    let started = Instant::now();
    let market = market.to_str().expect("the path is UTF-8");
    let mut typed_lines = install_plugin(&installer, market);
    let installed = started.elapsed();
    let mesh = Mesh::of(&lab);
    let answering = ScriptedApi::listen(|request| match request.peer_question_id() {
        Some(id) => call(
            &format!("{TOOLS}reply_to_peer"),
            json!({ "question_id": id, "answer": "5433" }),
        ),
        None => say("back to my prompt"),
    });
    let asking = asks("backend");
    let idle = lab.session(&backend, &answering).env("PATH", &path);
    let Some(_window) = idle.interactive() else {
        return;
    };
    typed_lines += 1;
    mesh.wait_for_peer("backend");
    let asker = lab
        .session(&frontend, &asking)
        .env("PATH", &path)
        .headless("ask backend");
    typed_lines += 1;
    let said = asker.finish().result();
    assert!(said.contains("\"answer\":\"5433\""), "{said}");
    print_to_stderr(&format!(
        "MEASURED: plugin, from an empty home to the first answer: {typed_lines} typed lines, {:.1} s, of which the install {:.1} s",
        started.elapsed().as_secs_f64(),
        installed.as_secs_f64()
    ));
    assert!(said.contains("\"by\":\"session\""), "{said}");
    assert_fork_answers(&lab, &mesh, &path);

    // Everything came from the package: nothing else is installed.
    let found = mesh.run(&["doctor", "--json"]);
    assert!(
        found.contains("plugin: mesh@claude-mesh is enabled"),
        "{found}"
    );
    assert!(registry.address.starts_with("127.0.0.1:"));
}

/// A model that asks a peer and repeats the result.
fn asks(peer: &'static str) -> ScriptedApi {
    ScriptedApi::listen(move |request| match request.turn() {
        0 => call(
            &format!("{TOOLS}ask_peer"),
            json!({ "to": peer, "question": "which port?", "timeout_seconds": 60 }),
        ),
        _ => say(format!("got {}", request.tool_results().join(""))),
    })
}

/// Checks that the mod of the plugin runs: a fork of a new session answers in its place, if the person allows it.
#[track_caller]
fn assert_fork_answers(lab: &Lab, mesh: &Mesh, path: &str) {
    let settings = lab.path("home/.claude-mesh/.env");
    fs::write(settings, "CLAUDE_MESH_FORK=always\n").expect("the folder is there");
    let [docs, frontend] = ["docs", "frontend"].map(|name| lab.path(name));
    let idle = ScriptedApi::listen(|request| {
        say(if is_fork(request) {
            "5434"
        } else {
            "hello, person"
        })
    });
    let window = lab.session(&docs, &idle).env("PATH", path).interactive();
    let window = window.expect("the first window is open");
    mesh.wait_for_peer("docs");
    window.type_prompt("hello");
    window.wait_for("hello, person");
    mesh.wait_for_activity("docs", "idle");
    let asking = asks("docs");
    let asker = lab.session(&frontend, &asking).env("PATH", path);
    let said = asker.headless("ask docs").finish().result();
    assert!(said.contains("\"answer\":\"5434\""), "{said}");
    assert!(said.contains("\"by\":\"fork\""), "{said}");
    let found = mesh.run(&["doctor", "--json"]);
    assert!(found.contains("forks answer for sessions"), "{found}");
}

/// Returns the folder of the client.
fn claude_folder(lab: &Lab) -> String {
    let path = lab
        .environment()
        .into_iter()
        .find(|(name, _)| *name == "PATH");
    let path = path.expect("a lab has a path").1;
    path.split(':').next().expect("it has folders").to_owned()
}

#[test]
fn plugin_and_marketplace_pass_the_validation_of_the_client() {
    let Some(lab) = Lab::new() else { return };
    let project = lab.project("shop");
    let nobody = ScriptedApi::listen(|_| say("nobody asks me"));
    // A copy, so that the client cannot write into the sources.
    let copy = lab.path("copy");
    fs::create_dir(&copy).expect("the folder is writable");
    for part in [".claude-plugin", "plugin"] {
        run(Command::new("cp")
            .arg("-r")
            .arg(root().join(part))
            .arg(&copy));
    }
    for folder in [copy.clone(), copy.join("plugin/mesh")] {
        let folder = folder.to_str().expect("the path is UTF-8");
        let validated = lab
            .session(&project, &nobody)
            .run(&["plugin", "validate", folder])
            .finish();
        assert!(validated.status.success(), "{validated:#?}");
        let said = validated.stdout.to_lowercase();
        assert!(said.contains("validation passed"), "{validated:#?}");
        assert!(!said.contains("warning"), "{validated:#?}");
    }
}
