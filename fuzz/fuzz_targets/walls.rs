//! The map of walls: with an unusable one no folder has a mesh and nothing writes it; a wall that is added counts, and those
//! that were there stay.
#![no_main]

use std::cell::LazyCell;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claude_mesh::platform::isolation::{config_path, mesh_address, mesh_folders, set_mesh};
use claude_mesh::platform::settings::Settings;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static HOME: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a temporary folder"));
}

fuzz_target!(|content: &[u8]| HOME.with(|home| check(home.path(), content)));

fn check(home: &Path, content: &[u8]) {
    let settings = Settings::read(&|_| None, home.into(), None, home.into());
    let settings = settings.expect("there are no settings");
    let path = config_path(&settings);
    let folder = path.parent().expect("it is in a folder");
    std::fs::create_dir_all(folder).expect("the folder can be made");
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).expect("it is ours");
    std::fs::write(&path, content).expect("the folder can be written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
    let own = home.join("own project");
    let Ok(before) = mesh_folders(&settings) else {
        assert!(mesh_address(&settings, &own).is_err(), "a mesh is found");
        assert!(set_mesh(&settings, &own, "x").is_err(), "a wall is added");
        assert_eq!(std::fs::read(&path).expect("it is there"), content);
        return;
    };
    set_mesh(&settings, &own, "own-mesh").expect("a wall can be added");
    let added = mesh_address(&settings, &own.canonicalize().unwrap_or(own.clone()));
    assert_eq!(added.expect("it has a mesh").name(), "own-mesh");
    let after = mesh_folders(&settings).expect("a written map can be read");
    for wall in before.iter().filter(|(folder, _)| *folder != own) {
        assert!(after.contains(wall), "{wall:?} is gone");
    }
    set_mesh(&settings, &own, "default").expect("a wall can be removed");
    let after = mesh_folders(&settings).expect("a written map can be read");
    assert!(after.iter().all(|(folder, _)| *folder != own));
}
