//! Lets the sessions of a home use a mesh at a hub, as `claude-mesh wall` does.
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Lets the sessions below a home use a mesh at a hub.
pub(crate) fn join_home(home: &Path, url: &str, key: &str) {
    join_folder(home, home, url, key);
}

/// Lets the sessions below a folder use a mesh at a hub, by the map in a home.
pub(crate) fn join_folder(home: &Path, folder: &Path, url: &str, key: &str) {
    let map = format!("{{\"meshes\": {{\"{}/**\": \"{url}\"}}}}", folder.display());
    let authority = url.split_once("://").unwrap().1.replace(':', "_");
    for (path, content) in [
        (".claude-mesh/config.json".to_owned(), map.as_str()),
        (format!(".claude-mesh/keys/{authority}.key"), key),
    ] {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
    }
    set_mode(&home.join(".claude-mesh"), 0o700);
    set_mode(&home.join(".claude-mesh/keys"), 0o700);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
