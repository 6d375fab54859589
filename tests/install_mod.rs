//! Installing the mod: its files, its keys in the settings of the user, what `doctor` says of it, and its removal.
use std::fs;
use std::path::PathBuf;

use claude_mesh::setup::{InstallOptions, InstallScope, Severity};
use serde_json::json;

use crate::support::install_home::{InstallHome, json_of, read, write};

const WITH_MOD: InstallOptions = InstallOptions {
    install_mod: true,
    confirm_answers: false,
    guard: false,
    wake: None,
};

fn folder(home: &InstallHome) -> PathBuf {
    home.places.mesh_home.join("mod")
}

fn module(home: &InstallHome) -> PathBuf {
    folder(home).join("mesh/hooks/register.js")
}

#[test]
fn mod_is_installed_on_request_only() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    assert!(!folder(&home).exists());
    assert!(!read(&home.settings()).contains("mesh@"));
    home.install_with(InstallScope::User, WITH_MOD);
    let settings = json_of(&home.settings());
    assert_eq!(
        settings["extraKnownMarketplaces"],
        json!({ "claude-mesh-mod": { "source": { "source": "directory", "path": folder(&home) } } })
    );
    assert_eq!(
        settings["enabledPlugins"],
        json!({ "mesh@claude-mesh-mod": true })
    );
    let modules = json_of(&folder(&home).join("mesh/hooks/hooks.json"));
    assert_eq!(modules, json!({ "modules": ["./register.js"] }));
    assert!(read(&module(&home)).contains("export function register"));
}

#[test]
fn later_install_keeps_and_updates_the_mod() {
    let home = InstallHome::new();
    home.install_with(InstallScope::User, WITH_MOD);
    let installed = home.all_files();
    for options in [InstallOptions::default(), WITH_MOD] {
        let applied = home.install_with(InstallScope::User, options);
        assert!(applied.written.is_empty());
    }
    fs::write(module(&home), "// an older version").unwrap();
    let applied = home.install(InstallScope::User);
    assert_eq!(applied.written.len(), 1);
    assert!(applied.written[0].backup.is_none());
    assert_eq!(home.all_files(), installed);
}

#[test]
fn mod_that_its_user_disabled_stays_disabled() {
    let home = InstallHome::new();
    home.install_with(InstallScope::User, WITH_MOD);
    let enabled = read(&home.settings());
    let disabled = enabled.replace("mod\": true", "mod\": false");
    assert_ne!(disabled, enabled);
    write(&home.settings(), &disabled, 0o600);
    home.install(InstallScope::User);
    assert_eq!(read(&home.settings()), disabled);
    home.assert_note("mod: it is disabled in ~/.claude/settings.json");
    home.install_with(InstallScope::User, WITH_MOD);
    assert_eq!(read(&home.settings()), enabled);
}

#[test]
fn uninstall_removes_the_mod_and_nothing_else() {
    let before = "{\n  \"enabledPlugins\": { \"other@market\": true },\n  \"model\": \"opus\"\n}\n";
    let home = InstallHome::with_files(&[(InstallScope::User, "settings", before)]);
    let own = home.places.mesh_home.join(".env");
    write(&own, "CLAUDE_MESH_SYNC=full\n", 0o600);
    home.install_with(InstallScope::User, WITH_MOD);
    assert_eq!(
        json_of(&home.settings())["enabledPlugins"],
        json!({ "other@market": true, "mesh@claude-mesh-mod": true })
    );
    home.uninstall(InstallScope::User);
    assert_eq!(read(&home.settings()), before);
    assert!(!folder(&home).exists());
    assert!(own.exists());

    let home = InstallHome::new();
    home.install_with(InstallScope::User, WITH_MOD);
    let others = folder(&home).join("mesh/notes.txt");
    write(&others, "mine", 0o600);
    home.uninstall(InstallScope::User);
    let left: Vec<_> = home.all_files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["home/.claude-mesh/mod/mesh/notes.txt"]);
}

#[test]
fn inspect_says_whether_the_mod_is_installed() {
    let home = InstallHome::new();
    home.install(InstallScope::User);
    let says = |part: &str| {
        let fine = home.findings(Severity::Ok);
        assert!(fine.iter().any(|it| it.text == part), "{fine:#?}");
    };
    says("mod: not installed (`claude-mesh install --mod`)");
    home.install_with(InstallScope::User, WITH_MOD);
    says("mod: installed (~/.claude-mesh/mod)");
    assert_eq!(home.findings(Severity::Problem), []);
    assert_eq!(home.findings(Severity::Note), []);

    let fix = Some("claude-mesh install --mod");
    fs::write(module(&home), "// an older version").unwrap();
    home.assert_problem("missing or of another version", fix);
    fs::remove_file(module(&home)).unwrap();
    home.assert_problem("missing or of another version", fix);
    home.install(InstallScope::User);
    says("mod: installed (~/.claude-mesh/mod)");

    let moved = read(&home.settings()).replace("/.claude-mesh/mod\"", "/elsewhere/mod\"");
    write(&home.settings(), &moved, 0o600);
    home.assert_problem("elsewhere/mod is wired, not ~/.claude-mesh/mod", fix);
}

#[test]
fn inspect_says_which_setting_stops_the_mod() {
    let project = |content: &str| {
        let home = InstallHome::new();
        home.install_with(InstallScope::User, WITH_MOD);
        write(
            &home.file(InstallScope::Project, "settings"),
            content,
            0o600,
        );
        home
    };
    let home = project(r#"{"enabledPlugins": {"mesh@claude-mesh-mod": false}}"#);
    home.assert_note("it is disabled in ");
    let home = project(r#"{"disableAllHooks": true}"#);
    home.assert_note("mod: disableAllHooks is true in ");

    for (managed, setting) in [
        (r#"{"disableAllHooks": true}"#, Some("disableAllHooks")),
        (
            r#"{"allowManagedHooksOnly": true}"#,
            Some("allowManagedHooksOnly"),
        ),
        (
            r#"{"pluginConfigs": {"cc-plugin-sec-default@builtin": {"options": {"allowManagedModsOnly": true}}}}"#,
            Some("allowManagedModsOnly"),
        ),
        (
            r#"{"strictKnownMarketplaces": []}"#,
            Some("strictKnownMarketplaces"),
        ),
        (r#"{"model": "opus"}"#, None),
    ] {
        let mut home = InstallHome::new();
        home.install_with(InstallScope::User, WITH_MOD);
        home.places.managed_settings = home.root.path().join("managed-settings.json");
        write(&home.places.managed_settings, managed, 0o600);
        match setting {
            Some(setting) => home.assert_note(&format!("mod: {setting} is set in ")),
            None => assert_eq!(home.findings(Severity::Note), []),
        }
    }
}
