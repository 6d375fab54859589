//! Which mesh a folder belongs to. A mesh is one database file; who opens another file does not exist for us.
//!
//! `config.json` in the claude-mesh folder is the user's own and maps folders to meshes. What a repository commits can
//! never choose a mesh. The decision is made before anything is opened.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::platform::fault::{Fault, FaultKind};
use crate::platform::settings::{Settings, expand_home};
use crate::platform::{file, permissions, text};

/// Nobody has that many walls.
const BYTES_MAX: u64 = 1024 * 1024;

/// The mesh of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeshLocation {
    /// Its name; `default` where no wall stands.
    pub name: String,
    /// Its database file.
    pub database: PathBuf,
    /// What decided.
    pub decided_by: String,
}

/// `config.json` as it is written by people and by `claude-mesh wall`. An unknown key is a fault: a misspelled one must not
/// open a wall, and what a newer program means by one of its own, this one cannot know. So a key that is added later stops
/// older programs from opening any mesh; it had better go into a file of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Config {
    #[serde(default)]
    meshes: Map<String, Value>,
}

/// Returns the mesh of a canonical folder.
pub fn mesh_location(settings: &Settings, folder: &Path) -> Result<MeshLocation, Fault> {
    if let Some((database, from)) = &settings.database {
        return Ok(MeshLocation {
            name: "default".into(),
            database: database.clone(),
            decided_by: format!("MESH_DB_PATH in {from}"),
        });
    }
    let path = config_path(settings);
    let best = mesh_folders(settings)?
        .into_iter()
        .filter(|(folder_prefix, _)| folder.starts_with(canonicalize_existing(folder_prefix)))
        .max_by_key(|(folder_prefix, _)| canonicalize_existing(folder_prefix).components().count());
    Ok(match best {
        Some((folder, name)) => MeshLocation {
            database: settings
                .mesh_home
                .join("meshes")
                .join(&name)
                .join("mesh.db"),
            decided_by: format!("{} for {}", path.display(), folder.display()),
            name,
        },
        None => MeshLocation {
            name: "default".into(),
            database: settings.mesh_home.join("mesh.db"),
            decided_by: "the default".into(),
        },
    })
}

/// Returns the folders with a mesh of their own, in the order of the file.
pub fn mesh_folders(settings: &Settings) -> Result<Vec<(PathBuf, String)>, Fault> {
    let path = config_path(settings);
    let Some(value) = read(&path)? else {
        return Ok(Vec::new());
    };
    let config: Config = serde_json::from_value(value)
        .map_err(|error| broken_file_fault(&path, &describe_json_error(&error)))?;
    config
        .meshes
        .iter()
        .map(|(pattern, name)| parse_mapping(settings, &path, pattern, name))
        .collect()
}

/// Writes a wall: `folder` itself and all below belong to mesh `name`; `default` takes the wall away. Returns what held before.
pub fn set_mesh(settings: &Settings, folder: &Path, name: &str) -> Result<Option<String>, Fault> {
    check_name(name).map_err(|problem| {
        Fault::new(
            FaultKind::Setting,
            problem,
            "use a-z, 0-9, `.`, `_` and `-`; nothing was changed",
        )
    })?;
    let path = config_path(settings);
    let mut value = read(&path)?.unwrap_or_else(|| Value::Object(Map::new()));
    mesh_folders(settings)?;
    let meshes = value
        .as_object_mut()
        .expect("read gives objects only")
        .entry("meshes")
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
    let mut content = serde_json::to_string_pretty(&value).expect("a JSON value can be written");
    content.push('\n');
    permissions::replace_file_durably(&path, content.as_bytes())?;
    Ok(previous)
}

/// Returns the file with the user's walls.
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
    check_name(name).map_err(|problem| broken_file_fault(path, &problem))?;
    let folder = folder_of_pattern(settings, pattern);
    if !folder.is_absolute() || folder.to_string_lossy().contains(['*', '?', '[']) {
        let problem = format!(
            "{pattern:?} must be an absolute folder or `~/folder`, with or without `/**` at its end"
        );
        return Err(broken_file_fault(path, &problem));
    }
    Ok((folder, name.to_owned()))
}

fn folder_of_pattern(settings: &Settings, pattern: &str) -> PathBuf {
    expand_home(
        Path::new(pattern.strip_suffix("/**").unwrap_or(pattern)),
        &settings.home,
    )
}

/// The folder need not exist yet: its nearest existing parent is made canonical.
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
        Err(format!("{:?} cannot name a mesh", text::one_line(name)))
    }
}

fn read(path: &Path) -> Result<Option<Value>, Fault> {
    let failed = |error: std::io::Error| {
        if file::is_unusable_file(&error) {
            broken_file_fault(path, &error.to_string())
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
    let value: Value = serde_json::from_slice(text::without_bom(&content))
        .map_err(|error| broken_file_fault(path, &error.to_string()))?;
    if value.is_object() {
        Ok(Some(value))
    } else {
        Err(broken_file_fault(path, "expected an object"))
    }
}

fn describe_json_error(error: &serde_json::Error) -> String {
    let problem = error.to_string();
    let problem = problem.replace("unknown field", "unknown key");
    problem.replace("expected a map", "expected an object")
}

/// A broken map must not open the default mesh to a folder that stands behind a wall.
fn broken_file_fault(path: &Path, problem: &str) -> Fault {
    Fault::new(
        FaultKind::BrokenFile,
        format!("{} cannot be used: {problem}", path.display()),
        "mend or remove the file; until then no mesh is opened, so that no wall is crossed",
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
