//! Decides which mesh a folder belongs to, before anything is opened. A mesh is one database file; sessions that open
//! different files do not see each other.
//!
//! `config.json` in the claude-mesh folder belongs to the user and maps folders to meshes. A file that a repository commits
//! can never choose a mesh.
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::platform::fault::{Fault, FaultKind};
use crate::platform::hub_location::{HubLocation, is_hub_url, normalize_url};
use crate::platform::settings::{Settings, expand_home};
use crate::platform::{file, permissions, text};

pub use crate::platform::mesh_address::{MeshAddress, MeshLocation, hub_fault};

/// The size limit of `config.json`.
const BYTES_MAX: u64 = 1024 * 1024;
/// The key of `config.json` that maps folders to meshes.
const MESHES: &str = "meshes";

/// Returns the mesh of a canonical folder, if it is a file of this machine; a fault if it is at a hub.
pub fn mesh_location(settings: &Settings, folder: &Path) -> Result<MeshLocation, Fault> {
    match mesh_address(settings, folder)? {
        MeshAddress::File(location) => Ok(location),
        MeshAddress::Hub(hub) => Err(hub_fault(&hub)),
    }
}

/// Returns where the mesh of a canonical folder is.
pub fn mesh_address(settings: &Settings, folder: &Path) -> Result<MeshAddress, Fault> {
    if settings.database.is_some() {
        return Ok(MeshAddress::File(default_location(settings)));
    }
    let best = mesh_folders(settings)?
        .into_iter()
        .filter(|(folder_prefix, _)| folder.starts_with(canonicalize_existing(folder_prefix)))
        .max_by_key(|(folder_prefix, _)| canonicalize_existing(folder_prefix).components().count());
    Ok(match best {
        Some((folder, url)) if is_hub_url(&url) => {
            let decided_by = decided_by(settings, &folder);
            MeshAddress::Hub(HubLocation::new(&settings.mesh_home, &url, decided_by))
        }
        Some((folder, name)) => MeshAddress::File(walled_location(settings, &folder, name)),
        None => match &settings.hub {
            Some(hub) => MeshAddress::Hub(hub.location(&settings.mesh_home)),
            None => MeshAddress::File(default_location(settings)),
        },
    })
}

/// Returns the location of every mesh of the user in a file, the default one first, whether or not its database exists.
pub fn all_meshes(settings: &Settings) -> Result<Vec<MeshLocation>, Fault> {
    let mut meshes = vec![default_location(settings)];
    if settings.database.is_some() {
        return Ok(meshes);
    }
    for (folder, name) in mesh_folders(settings)? {
        if !is_hub_url(&name) && meshes.iter().all(|mesh| mesh.name != name) {
            meshes.push(walled_location(settings, &folder, name));
        }
    }
    Ok(meshes)
}

/// Returns the hubs that walls and settings name.
pub fn hubs(settings: &Settings) -> Result<Vec<HubLocation>, Fault> {
    let of_setting = settings
        .hub
        .iter()
        .map(|hub| hub.location(&settings.mesh_home));
    let mut hubs: Vec<HubLocation> = of_setting.collect();
    for (folder, url) in mesh_folders(settings)? {
        if is_hub_url(&url) {
            let decided_by = decided_by(settings, &folder);
            hubs.push(HubLocation::new(&settings.mesh_home, &url, decided_by));
        }
    }
    Ok(hubs)
}

/// Returns the mesh of folders without a wall.
fn default_location(settings: &Settings) -> MeshLocation {
    let (database, decided_by) = match &settings.database {
        Some((database, from)) => (database.clone(), format!("MESH_DB_PATH in {from}")),
        None => (settings.mesh_home.join("mesh.db"), "the default".into()),
    };
    MeshLocation {
        name: "default".into(),
        database,
        decided_by,
    }
}

/// Returns the mesh `name`, which the wall around `folder` selects.
fn walled_location(settings: &Settings, folder: &Path, name: String) -> MeshLocation {
    let meshes = settings.mesh_home.join("meshes");
    MeshLocation {
        database: meshes.join(&name).join("mesh.db"),
        decided_by: decided_by(settings, folder),
        name,
    }
}

fn decided_by(settings: &Settings, folder: &Path) -> String {
    let config = config_path(settings);
    format!("{} for {}", config.display(), folder.display())
}

/// Returns the folders with a mesh of their own, in the order of the file.
pub fn mesh_folders(settings: &Settings) -> Result<Vec<(PathBuf, String)>, Fault> {
    let path = config_path(settings);
    let Some(config) = read(&path)? else {
        return Ok(Vec::new());
    };
    check_keys(&config).map_err(|problem| broken_file_fault(&path, &problem))?;
    let mappings = config.get(MESHES).and_then(Value::as_object);
    mappings
        .into_iter()
        .flatten()
        .map(|(pattern, name)| parse_mapping(settings, &path, pattern, name))
        .collect()
}

/// Refuses unknown keys of `config.json`: a misspelled one must not open a wall, and this program cannot know what a newer
/// one means by a key of its own. So a key that is added later stops older programs from opening any mesh; it should go into
/// another file.
fn check_keys(config: &Map<String, Value>) -> Result<(), String> {
    if let Some(unknown) = config.keys().find(|key| *key != MESHES) {
        return Err(format!("unknown key `{unknown}`, expected `{MESHES}`"));
    }
    match config.get(MESHES) {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(format!("\"{MESHES}\" must be an object")),
    }
}

/// Writes a wall: `folder` and everything below it belong to the mesh `name`, which may be the checked URL of a hub; `default`
/// removes the wall. Returns the mesh of the wall that was there before.
pub fn set_mesh(settings: &Settings, folder: &Path, name: &str) -> Result<Option<String>, Fault> {
    if !is_hub_url(name) {
        check_name(name).map_err(|problem| {
            Fault::new(
                FaultKind::Setting,
                problem,
                "use a-z, 0-9, `.`, `_` and `-`; nothing was changed",
            )
        })?;
    }
    let path = config_path(settings);
    let mut config = read(&path)?.unwrap_or_default();
    mesh_folders(settings)?;
    let meshes = config
        .entry(MESHES)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
        .expect("mesh_folders has checked that meshes is an object");
    let is_same_folder = |pattern: &String| {
        canonicalize_existing(&folder_of_pattern(settings, pattern))
            == canonicalize_existing(folder)
    };
    let replaced_patterns: Vec<String> = meshes
        .keys()
        .filter(|pattern| is_same_folder(pattern))
        .cloned()
        .collect();
    let previous = replaced_patterns
        .iter()
        .filter_map(|pattern| meshes.shift_remove(pattern))
        .filter_map(|name| name.as_str().map(str::to_owned))
        .last();
    if name != "default" {
        meshes.insert(
            format!("{}/**", canonicalize_existing(folder).display()),
            Value::from(name),
        );
    }
    let mut content = serde_json::to_string_pretty(&config).expect("a JSON value can be written");
    content.push('\n');
    permissions::replace_file_durably(&path, content.as_bytes())?;
    Ok(previous)
}

/// Returns the path of the file with the walls.
pub fn config_path(settings: &Settings) -> PathBuf {
    settings.mesh_home.join("config.json")
}

fn parse_mapping(
    settings: &Settings,
    path: &Path,
    pattern: &str,
    name: &Value,
) -> Result<(PathBuf, String), Fault> {
    let name = name.as_str().ok_or_else(|| {
        broken_file_fault(
            path,
            &format!("the mesh of {pattern:?} must be a name, got {name}"),
        )
    })?;
    // An older program takes a URL for a name, and refuses the map.
    let checked = if is_hub_url(name) {
        normalize_url(name, true)
    } else {
        check_name(name).map(|()| name.to_owned())
    };
    let name = checked.map_err(|problem| broken_file_fault(path, &problem))?;
    let folder = folder_of_pattern(settings, pattern);
    if !folder.is_absolute() || folder.to_string_lossy().contains(['*', '?', '[']) {
        let problem = format!(
            "{pattern:?} must be an absolute folder or `~/folder`, with or without `/**` at its end"
        );
        return Err(broken_file_fault(path, &problem));
    }
    Ok((folder, name))
}

fn folder_of_pattern(settings: &Settings, pattern: &str) -> PathBuf {
    expand_home(
        Path::new(pattern.strip_suffix("/**").unwrap_or(pattern)),
        &settings.home,
    )
}

/// Resolves the nearest existing parent, because the folder need not exist yet.
fn canonicalize_existing(folder: &Path) -> PathBuf {
    folder
        .ancestors()
        .find_map(|parent| {
            Some(
                parent
                    .canonicalize()
                    .ok()?
                    .join(folder.strip_prefix(parent).ok()?),
            )
        })
        .unwrap_or_else(|| folder.to_path_buf())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_valid = (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        });
    if is_valid {
        Ok(())
    } else {
        Err(format!(
            "{:?} is not a valid mesh name",
            text::one_line(name)
        ))
    }
}

fn read(path: &Path) -> Result<Option<Map<String, Value>>, Fault> {
    let failed = |error: std::io::Error| {
        if file::is_unusable_file(&error) {
            broken_file_fault(path, &error.to_string()).with_source(error)
        } else {
            Fault::io("read", path, error)
        }
    };
    let file = match file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    permissions::check_owner_and_mode(path, &file.metadata().map_err(failed)?)?;
    let content = file::read_open(file, BYTES_MAX).map_err(failed)?;
    let value = serde_json::from_slice(text::without_bom(&content))
        .map_err(|error| broken_file_fault(path, &error.to_string()).with_source(error))?;
    match value {
        Value::Object(config) => Ok(Some(config)),
        _ => Err(broken_file_fault(path, "expected an object")),
    }
}

/// Without a valid map no mesh is opened: the default mesh must not include a folder behind a wall.
fn broken_file_fault(path: &Path, problem: &str) -> Fault {
    Fault::new(
        FaultKind::BrokenFile,
        format!("{} cannot be used: {problem}", path.display()),
        "repair or remove the file; until then no mesh is opened, so that no wall is crossed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::file::tests::make_pipe;

    fn settings(home: &Path) -> Settings {
        Settings::read(&|_| None, home.into(), None, home.into()).unwrap()
    }

    #[test]
    fn nearest_wall_decides_and_includes_its_own_folder() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let settings = settings(&home);
        assert_eq!(
            set_mesh(&settings, &home.join("clients"), "clients").unwrap(),
            None
        );
        assert_eq!(
            set_mesh(&settings, &home.join("clients/acme"), "acme").unwrap(),
            None
        );
        let mesh = |folder: &str| mesh_location(&settings, &home.join(folder)).unwrap().name;
        assert_eq!(mesh("clients/acme/api"), "acme");
        assert_eq!(mesh("clients/acme"), "acme");
        assert_eq!(mesh("clients/acme2"), "clients");
        assert_eq!(mesh("own"), "default");
        assert_eq!(
            set_mesh(&settings, &home.join("clients/acme"), "default")
                .unwrap()
                .as_deref(),
            Some("acme")
        );
        assert_eq!(mesh("clients/acme/api"), "clients");
    }

    #[test]
    fn invalid_wall_map_content_prevents_locating_any_mesh() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings(home.path());
        permissions::create_folder(&settings.mesh_home).unwrap();
        for content in [
            "{\"meshes\": {\"~/a/**\": 1}}",
            "{",
            "[]",
            "{\"meshes\": {\"a/*/b\": \"x\"}}",
            "{\"meshes\": {\"~/a\": \"../x\"}}",
            "{\"meshs\": {\"~/a/**\": \"a\"}}",
            "{\"walls\": 5}",
            "{\"meshes\": 5}",
            "{\"meshes\": {\"~/a\": \"https://user:secret@mesh.example\"}}",
            "{\"meshes\": {\"~/a\": \"https://mesh.example/path\"}}",
        ] {
            let _ = std::fs::remove_file(config_path(&settings));
            std::io::Write::write_all(
                &mut permissions::create_file(&config_path(&settings)).unwrap(),
                content.as_bytes(),
            )
            .unwrap();
            let fault = mesh_location(&settings, home.path()).unwrap_err();
            assert_eq!(fault.kind, FaultKind::BrokenFile, "{content}");
            assert!(set_mesh(&settings, home.path(), "x").is_err(), "{content}");
        }
        std::fs::remove_file(config_path(&settings)).unwrap();
        make_pipe(&config_path(&settings));
        let fault = mesh_location(&settings, home.path()).unwrap_err();
        assert!(fault.message.ends_with("it is not a file"), "{fault}");
    }

    #[test]
    fn wall_map_fault_names_the_misspelled_and_the_expected_key() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings(home.path());
        permissions::create_folder(&settings.mesh_home).unwrap();
        let content = b"{\"meshs\": {\"~/a/**\": \"a\"}}";
        std::io::Write::write_all(
            &mut permissions::create_file(&config_path(&settings)).unwrap(),
            content,
        )
        .unwrap();
        let fault = mesh_location(&settings, home.path()).unwrap_err();
        let expected = "unknown key `meshs`, expected `meshes`";
        assert!(fault.message.ends_with(expected), "{}", fault.message);
        assert!(set_mesh(&settings, home.path(), "x").is_err());
        let kept = std::fs::read(config_path(&settings)).unwrap();
        assert_eq!(kept, content);
    }

    /// The programs before hubs know only names, and must open nothing where the map has a URL.
    #[test]
    fn url_of_a_hub_is_no_name_so_older_programs_refuse_the_map() {
        for url in ["https://mesh.example", "http://127.0.0.1:3456", "https://m"] {
            assert!(is_hub_url(url));
            assert!(check_name(url).is_err(), "{url}");
        }
        assert!(check_name("https:").is_err() && check_name("a/b").is_err());
    }

    #[test]
    fn wall_with_a_url_puts_its_folder_at_the_hub() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let settings = settings(&home);
        let work = home.join("work");
        set_mesh(&settings, &home, "https://mesh.example:3456").unwrap();
        set_mesh(&settings, &work, "own").unwrap();
        let address = |folder: &str| mesh_address(&settings, &home.join(folder)).unwrap();
        let MeshAddress::Hub(hub) = address("other") else {
            panic!("it is at a hub")
        };
        assert_eq!(hub.name, "mesh.example:3456");
        assert!(hub.key_file.ends_with("keys/mesh.example_3456.key"));
        assert_eq!(address("work/api").name(), "own");
        let fault = mesh_location(&settings, &home).unwrap_err();
        assert_eq!(fault.kind, FaultKind::AtHub);
        assert!(fault.message.contains("https://mesh.example:3456"));
        let names: Vec<String> = all_meshes(&settings)
            .unwrap()
            .into_iter()
            .map(|it| it.name)
            .collect();
        assert_eq!(names, ["default", "own"]);
    }

    #[test]
    fn building_a_wall_keeps_existing_walls() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings(home.path());
        permissions::create_folder(&settings.mesh_home).unwrap();
        std::io::Write::write_all(
            &mut permissions::create_file(&config_path(&settings)).unwrap(),
            b"{\"meshes\": {\"~/z/**\": \"z\"}}",
        )
        .unwrap();
        set_mesh(&settings, &home.path().join("y"), "y").unwrap();
        let value = read(&config_path(&settings)).unwrap().unwrap();
        assert_eq!(value["meshes"].as_object().unwrap().len(), 2);
    }
}
