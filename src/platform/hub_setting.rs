//! Reads the settings that put folders without a wall into the mesh of a hub, for `Settings`.
//!
//! A repository can commit settings of Claude Code that set the environment of its sessions, so the environment of a process
//! that Claude Code has started does not count here: no repository chooses where the texts of its sessions go.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::platform::env_file::EnvValues;
use crate::platform::fault::Fault;
use crate::platform::hub_location::{HubLocation, normalize_url};
use crate::platform::process;
use crate::platform::setting_specs::{HUB_KEY_FILE, HUB_URL};
use crate::platform::setting_value::{invalid_setting, require_absolute};

/// The variables that Claude Code sets for what it starts. Settings can change their values, but not remove them.
const CLAUDE_VARIABLES: [&str; 5] = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
];

/// The hub that `CLAUDE_MESH_URL` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSetting {
    /// Its URL in the normal form.
    pub url: String,
    /// The file with the key; `None` for the one that `claude-mesh join` stores.
    pub key_file: Option<PathBuf>,
    /// Where the URL is set.
    pub from: String,
}

impl HubSetting {
    /// Returns the mesh at this hub.
    pub fn location(&self, mesh_home: &Path) -> HubLocation {
        let decided_by = format!("{HUB_URL} in {}", self.from);
        let mut location = HubLocation::new(mesh_home, &self.url, decided_by);
        if let Some(key_file) = &self.key_file {
            location.key_file.clone_from(key_file);
        }
        location
    }
}

/// Where the settings of a hub may come from.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) files: &'a [(PathBuf, EnvValues)],
    pub(super) home: &'a Path,
    pub(super) mesh_home: &'a Path,
    pub(super) config_dir: &'a Path,
}

/// The settings that were found without effect, each with its place.
type Untrusted = Vec<(&'static str, String)>;

/// What the settings say about hubs.
pub(super) struct FoundHub {
    pub(super) hub: Option<HubSetting>,
    pub(super) untrusted: Untrusted,
    /// Whether a repository may have chosen the claude-mesh folder: hubs that it names do not count.
    pub(super) is_mesh_home_untrusted: bool,
}

impl Sources<'_> {
    /// Returns the hub, and the settings of one that do not count where they are set.
    pub(super) fn read(&self) -> Result<FoundHub, Fault> {
        let is_mesh_home_untrusted = self.is_mesh_home_untrusted();
        let own = (!is_mesh_home_untrusted).then(|| self.mesh_home.join(".env"));
        let mut untrusted = Vec::new();
        let url = self.find(HUB_URL, own.as_deref(), &mut untrusted);
        let key_file = self.find(HUB_KEY_FILE, own.as_deref(), &mut untrusted);
        let key_file = key_file
            .map(|(path, from)| require_absolute(HUB_KEY_FILE, &from, Path::new(&path), self.home))
            .transpose()?;
        let to_hub = |(url, from): (String, String)| {
            // The text of a URL that is refused may have a password in it.
            let url = normalize_url(&url, false)
                .map_err(|problem| invalid_setting(HUB_URL, &from, "the URL of a hub", &problem))?;
            Ok(HubSetting {
                url,
                key_file,
                from,
            })
        };
        Ok(FoundHub {
            hub: url.map(to_hub).transpose()?,
            untrusted,
            is_mesh_home_untrusted,
        })
    }

    /// Returns whether only the environment of a session names the claude-mesh folder.
    fn is_mesh_home_untrusted(&self) -> bool {
        let usual = self.home.join(".claude-mesh");
        let is_usual = || {
            let usual = usual.canonicalize();
            usual.is_ok_and(|usual| self.mesh_home.canonicalize().is_ok_and(|it| it == usual))
        };
        self.mesh_home != usual && self.is_started_by_claude() && !is_usual()
    }

    /// Returns a value that counts, and where it is set; notes those that do not count. The file `own` counts.
    fn find(
        &self,
        name: &'static str,
        own: Option<&Path>,
        untrusted: &mut Untrusted,
    ) -> Option<(String, String)> {
        let value = (self.environment)(name).filter(|value| !value.is_empty());
        let from_environment = value.map(|value| {
            (
                value.to_string_lossy().into_owned(),
                "the environment".into(),
            )
        });
        if from_environment.is_some() && !self.is_started_by_claude() {
            return from_environment;
        }
        if from_environment.is_some() {
            untrusted.push((name, "the environment of a session".into()));
        }
        let mut found = None;
        for (path, values) in self.files {
            let Some(value) = values.get(name).filter(|value| !value.is_empty()) else {
                continue;
            };
            if Some(path.as_path()) == own {
                found = Some((value.clone(), path.display().to_string()));
            } else {
                untrusted.push((name, path.display().to_string()));
            }
        }
        found
    }

    /// Returns whether Claude Code has started this process, as far as variables, its registry and the names of processes say.
    fn is_started_by_claude(&self) -> bool {
        CLAUDE_VARIABLES
            .into_iter()
            .any(|name| (self.environment)(name).is_some())
            || process::ancestors(process::own_pid())
                .any(|ancestor| self.is_claude(ancestor.key.pid))
    }

    fn is_claude(&self, pid: i32) -> bool {
        let entry = format!("sessions/{pid}.json");
        let is_registered = [self.config_dir, &self.home.join(".claude")]
            .into_iter()
            .any(|folder| folder.join(&entry).exists());
        is_registered || process::name(pid).as_deref() == Some("claude")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::isolation::{self, MeshAddress};
    use crate::platform::setting_specs::HOME;
    use crate::platform::settings::Settings;

    fn read(
        home: &Path,
        environment: &[(&str, &str)],
        program: Option<&Path>,
    ) -> Result<Settings, Fault> {
        let find = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Settings::read(&find, home.into(), program, home.into())
    }

    #[test]
    fn hub_of_the_environment_counts_only_outside_claude_code() {
        let home = tempfile::tempdir().unwrap();
        let url = (HUB_URL, "https://Mesh.example:3456/");
        for variable in CLAUDE_VARIABLES {
            let settings = read(home.path(), &[url, (variable, "")], None).unwrap();
            assert_eq!(settings.hub, None, "{variable}");
            let place = "the environment of a session".to_owned();
            assert_eq!(settings.untrusted, [(HUB_URL, place)]);
        }
    }

    #[test]
    fn hub_of_an_env_file_counts_only_from_the_claude_mesh_folder() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("repo/bin/claude-mesh-server");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::create_dir_all(home.path().join(".claude-mesh")).unwrap();
        let above = home.path().join("repo/.env");
        std::fs::write(&above, format!("{HUB_URL}=https://other.example\n")).unwrap();
        let settings = read(home.path(), &[], Some(&program)).unwrap();
        assert_eq!(settings.hub, None);
        assert_eq!(settings.untrusted, [(HUB_URL, above.display().to_string())]);
        let own = home.path().join(".claude-mesh/.env");
        let text = format!("{HUB_URL}=https://mesh.example\n{HUB_KEY_FILE}=~/k\n");
        std::fs::write(&own, text).unwrap();
        let settings = read(home.path(), &[], Some(&program)).unwrap();
        let MeshAddress::Hub(hub) = isolation::mesh_address(&settings, home.path()).unwrap() else {
            panic!("it is at a hub")
        };
        assert_eq!(hub.url, "https://mesh.example");
        assert_eq!(hub.key_file, home.path().join("k"));
        assert_eq!(hub.decided_by, format!("{HUB_URL} in {}", own.display()));
    }

    #[test]
    fn hubs_in_a_mesh_home_that_a_session_names_do_not_count() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("repo/mesh");
        std::fs::create_dir_all(&folder).unwrap();
        let env_file = folder.join(".env");
        std::fs::write(&env_file, format!("{HUB_URL}=https://other.example\n")).unwrap();
        let walls = r#"{"meshes": {"/acme/**": "https://other.example"}}"#;
        std::fs::write(folder.join("config.json"), walls).unwrap();
        let named = (HOME, folder.to_str().unwrap());
        let of_session = read(home.path(), &[named, ("CLAUDECODE", "1")], None).unwrap();
        assert_eq!(of_session.hub, None);
        let place = env_file.display().to_string();
        assert_eq!(of_session.untrusted, [(HUB_URL, place)]);
        let fault = isolation::mesh_address(&of_session, Path::new("/acme/api")).unwrap_err();
        assert!(fault.message.contains("CLAUDE_MESH_HOME"), "{fault}");
        assert!(isolation::mesh_address(&of_session, home.path()).is_ok());
        std::os::unix::fs::symlink(&folder, home.path().join(".claude-mesh")).unwrap();
        let linked = read(home.path(), &[named, ("CLAUDECODE", "1")], None).unwrap();
        assert!(linked.hub.is_some(), "the user has linked it");
        assert!(isolation::mesh_address(&linked, Path::new("/acme/api")).is_ok());
    }

    #[test]
    fn database_path_and_walls_override_the_hub_of_the_settings() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join(".claude-mesh/.env");
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::write(&own, format!("{HUB_URL}=https://mesh.example\n")).unwrap();
        let settings = read(home.path(), &[], None).unwrap();
        let acme = home.path().join("acme");
        isolation::set_mesh(&settings, &acme, "acme").unwrap();
        let name = |settings: &Settings, folder: &Path| {
            isolation::mesh_address(settings, folder)
                .unwrap()
                .name()
                .to_owned()
        };
        assert_eq!(name(&settings, &acme), "acme");
        assert_eq!(name(&settings, home.path()), "mesh.example");
        let settings = read(home.path(), &[("MESH_DB_PATH", "/a/mesh.db")], None).unwrap();
        assert_eq!(name(&settings, home.path()), "default");
    }

    #[test]
    fn refused_hub_url_is_not_repeated() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join(".claude-mesh/.env");
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        for url in [
            "https://ada:hunter2@mesh.example",
            "http://mesh.example",
            "mesh",
        ] {
            std::fs::write(&own, format!("{HUB_URL}={url}\n")).unwrap();
            let fault = read(home.path(), &[], None).unwrap_err();
            assert!(fault.message.starts_with(HUB_URL), "{fault}");
            assert!(!fault.message.contains("hunter2"), "{fault}");
        }
    }
}
