//! The files of a release, made by the scripts in `release/` from the built programs, each installed into an empty folder.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use toml::Table;

use crate::support::{ProcessOutput, World, skip, strip_programs};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes the archive of the built programs, and unpacks it into an empty folder.
fn unpacked(world: &World) -> PathBuf {
    let programs = world.home().join("programs");
    strip_programs(&programs);
    let out = world.home().join("out");
    let script = root().join("release/archive");
    let archive = run(world
        .command(script.to_str().unwrap(), &world.home())
        .arg(target())
        .args([&programs, &out]));
    let archive = Path::new(archive.trim());
    let sums = archive.file_name().unwrap().to_str().unwrap().to_owned() + ".sha256";
    run(Command::new("sha256sum")
        .args(["--check", &sums])
        .current_dir(&out));
    let empty = world.home().join("empty");
    std::fs::create_dir(&empty).unwrap();
    run(Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .current_dir(&empty));
    empty
}

fn manifest() -> Table {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

#[test]
fn archive_installs_from_an_empty_folder() {
    let world = World::new();
    let empty = unpacked(&world);
    let manifest = manifest();
    let package = &manifest["package"];
    let (name, version) = (
        package["name"].as_str().unwrap(),
        package["version"].as_str().unwrap(),
    );
    let folder = empty.join(format!("{name}-{version}-{}", target()));
    for file in [
        "man/claude-mesh.1",
        "completions/_claude-mesh",
        "completions/claude-mesh.fish",
        "LICENSE",
    ] {
        assert!(
            std::fs::metadata(folder.join(file)).unwrap().len() > 500,
            "{file}"
        );
    }
    let mesh = folder.join("claude-mesh");
    let ran = run(world
        .command(mesh.to_str().unwrap(), &world.home())
        .arg("install"));
    assert!(ran.contains("wrote ~/.claude.json"), "{ran}");
    let servers = std::fs::read_to_string(world.home().join(".claude.json")).unwrap();
    let server = folder.join("claude-mesh-server");
    assert!(servers.contains(server.to_str().unwrap()), "{servers}");
    let mut installed = World::new();
    (installed.servers, installed.hooks) = (folder.clone(), folder);
    let (ada, bo) = (installed.session("ada"), installed.session("bo"));
    let asked = ada.start(
        "ask_peer",
        serde_json::json!({ "to": "bo", "question": "which port?" }),
    );
    let id = bo.next_question();
    bo.send_reply(&id, "5433");
    assert_eq!(asked.result()["answer"], "5433");
}

#[test]
fn archive_has_each_program_where_binstall_looks() {
    let world = World::new();
    let empty = unpacked(&world);
    let manifest = manifest();
    let package = &manifest["package"];
    let binstall = &package["metadata"]["binstall"];
    let filled = |template: &str, bin: &str| {
        let mut text = template.to_owned();
        for (name, value) in [
            ("name", package["name"].as_str().unwrap()),
            ("version", package["version"].as_str().unwrap()),
            ("target", &target()),
            ("bin", bin),
            ("binary-ext", ""),
            ("repo", "https://example.org/claude-mesh"),
        ] {
            text = text.replace(&format!("{{ {name} }}"), value);
        }
        assert!(!text.contains('{'), "{text}");
        text
    };
    let url = filled(binstall["pkg-url"].as_str().unwrap(), "");
    let archive = url.rsplit('/').next().unwrap();
    assert!(
        world.home().join("out").join(archive).is_file(),
        "{archive}"
    );
    let list = std::fs::read_to_string(root().join("release/programs")).unwrap();
    for bin in manifest["bin"].as_array().unwrap() {
        let bin = bin["name"].as_str().unwrap();
        let path = empty.join(filled(binstall["bin-dir"].as_str().unwrap(), bin));
        assert!(path.is_file(), "{}", path.display());
        assert!(
            list.lines().any(|line| line == bin),
            "release/programs names {bin}"
        );
    }
}

/// The files of the repository that a package leaves out: they are for working on it.
const NOT_PACKAGED: [&str; 5] = [".cargo/", ".ci/", ".gitignore", "deny.toml", "fuzz/"];
/// What `cargo package` adds.
const ADDED: [&str; 2] = [".cargo_vcs_info.json", "Cargo.toml.orig"];

#[test]
fn package_of_the_crate_holds_the_files_of_the_repository() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let listed = run(Command::new(cargo)
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(root()));
    let mut listed: Vec<&str> = listed.lines().filter(|it| !ADDED.contains(it)).collect();
    listed.sort_unstable();
    let own = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let tracked = Command::new("git")
        .args(own)
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success());
    let Some(tracked) = tracked else {
        skip("the list of a package", "this is no git checkout");
        return;
    };
    let tracked = String::from_utf8(tracked.stdout).unwrap();
    let mut wanted: Vec<&str> = tracked
        .lines()
        .filter(|file| {
            !NOT_PACKAGED
                .iter()
                .any(|left_out| file.starts_with(left_out))
        })
        .filter(|file| root().join(file).exists())
        .collect();
    wanted.sort_unstable();
    assert_eq!(listed, wanted);
}

#[test]
fn owner_of_the_repository_is_set_in_one_step() {
    let world = World::new();
    let copy = world.project("copy");
    let files = ["Cargo.toml", "docs/plugin.md", "plugin/mesh/README.md"];
    for path in ["release", "Cargo.toml", "CHANGELOG.md", "docs", "plugin"] {
        run(Command::new("cp")
            .arg("-r")
            .arg(root().join(path))
            .arg(&copy));
    }
    let text = |file: &str| std::fs::read_to_string(copy.join(file)).unwrap();
    let script = |name: &str, arguments: &[&str]| {
        let path = copy.join("release").join(name);
        let mut command = world.command(path.to_str().unwrap(), &copy);
        let command = command.args(arguments).env("CARGO", "echo");
        ProcessOutput::of(&command.stdin(Stdio::null()).output().unwrap())
    };
    // As long as nobody publishes this, the placeholder stands in each of them, and nothing can be published.
    let refused = script("check", &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("release/set-owner OWNER"),
        "{refused:?}"
    );
    assert_eq!(script("set-owner", &["a/b"]).code, Some(1));
    assert_eq!(script("set-owner", &["ada"]).code, Some(0));
    for file in files {
        let text = text(file);
        assert!(
            text.contains("ada/claude-mesh") && !text.contains("OWNER/"),
            "{file}"
        );
    }
    let refused = script("check", &[]);
    assert!(
        refused.err.contains("CHANGELOG.md has no heading"),
        "{refused:?}"
    );
    let version = env!("CARGO_PKG_VERSION");
    let changes = text("CHANGELOG.md").replace("## [Unreleased]", &format!("## [{version}]"));
    std::fs::write(copy.join("CHANGELOG.md"), changes).unwrap();
    let checked = script("check", &[]);
    assert_eq!(checked.out, "publish --dry-run --locked\n", "{checked:?}");
}

#[test]
fn documents_name_the_owner_of_the_manifest() {
    let manifest = manifest();
    let repository = manifest["package"]["repository"].as_str().unwrap();
    let owner = repository.rsplit('/').nth(1).unwrap();
    let named = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c.is_whitespace() || "`\"'()".contains(c));
        let owners = words.filter_map(|word| word.strip_suffix("/claude-mesh"));
        let owners = owners.filter_map(|before| before.rsplit('/').next());
        let plain =
            |it: &&str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        owners.filter(plain).map(str::to_owned).collect()
    };
    for file in ["docs/plugin.md", "plugin/mesh/README.md"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let owners = named(&text);
        assert!(
            !owners.is_empty() && owners.iter().all(|it| it == owner),
            "{file}: {owners:?}"
        );
    }
}

#[test]
fn scripts_of_a_release_refuse_what_is_missing() {
    let world = World::new();
    let empty = world.project("nothing");
    for (script, target) in [
        ("archive", target()),
        ("npm-packages", target()),
        ("npm-packages", "x86_64-apple-darwin".into()),
    ] {
        let output = world
            .command(
                root().join("release").join(script).to_str().unwrap(),
                &world.home(),
            )
            .arg(&target)
            .args([&empty, &world.home().join("out")])
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{script} {target}: {output:?}"
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with(&format!("{script}: ")), "{said}");
    }
}
