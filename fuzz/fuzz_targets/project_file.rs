//! A committed `.claude-mesh.json` names and restricts its project or is refused with its name; keys of later versions change
//! nothing.
#![no_main]

use std::cell::LazyCell;

use claude_mesh::platform::FaultKind;
use claude_mesh::platform::project::{PROJECT_FILE_NAME, Project};
use claude_mesh::platform::settings::Settings;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const ROLE_CHARS_MAX: usize = 64;

thread_local! {
    static HOME: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a temporary folder"));
}

fuzz_target!(|content: &[u8]| {
    let Some(project) = read(content) else {
        return;
    };
    let file = &project.file;
    assert!(
        file.role
            .as_ref()
            .is_none_or(|role| role.chars().count() <= ROLE_CHARS_MAX)
    );
    assert!(
        file.name
            .as_ref()
            .is_none_or(|name| name.contains(char::is_alphanumeric))
    );
    assert_eq!(project.is_enabled(), file.enabled != Some(false));
    let text = content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content);
    if let Ok(Value::Object(mut later)) = serde_json::from_slice(text) {
        later.insert("key_of_a_later_version".into(), json!({ "a": [1] }));
        let extended = read(Value::Object(later).to_string().as_bytes());
        assert_eq!(extended.map(|it| it.file), Some(project.file));
    }
});

fn read(content: &[u8]) -> Option<Project> {
    HOME.with(|home| {
        let folder = home.path();
        std::fs::write(folder.join(PROJECT_FILE_NAME), content).expect("the folder can be written");
        let settings = Settings::read(&|_| None, folder.into(), None, folder.into());
        let settings = settings.expect("there are no settings");
        match Project::of(folder, &settings) {
            Ok(project) => Some(project),
            Err(fault) => {
                assert_eq!(fault.kind, FaultKind::BrokenFile, "{fault}");
                assert!(fault.message.contains(PROJECT_FILE_NAME), "{fault}");
                None
            }
        }
    })
}
