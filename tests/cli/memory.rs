//! Memory at the command line.

use crate::memory::recall_texts;
use crate::support::World;

#[test]
fn person_remembers_recalls_and_forgets_by_command() {
    let world = World::new();
    let shop = world.project("shop");
    let nothing = world.cli(&shop, &["memory", "recall", "port"]);
    assert!(nothing.out.contains("no mesh here yet"), "{nothing:?}");
    assert!(!world.database().exists(), "reading creates no file");
    let ada = world.session("shop");
    let kept = world.cli(
        &shop,
        &[
            "memory",
            "remember",
            "--key",
            "port",
            "--tag",
            "ops",
            "use 5433 \u{1b}[31mnow",
        ],
    );
    assert!(kept.out.starts_with("\"port\" is remembered"), "{kept:?}");
    let found = world.cli(&shop, &["memory", "recall", "5433 -staging", "use"]);
    assert!(found.out.contains("  use 5433 now\n"), "{found:?}");
    assert!(found.out.contains("#ops"), "{found:?}");
    assert!(found.out.contains("person@"), "{found:?}");
    assert_eq!(recall_texts(&ada, "5433"), "use 5433 \u{1b}[31mnow");
    let listed = world.cli(&shop, &["memory", "list", "--json"]).json();
    assert_eq!(listed["memories"][0]["key"], "port");
    let id = listed["memories"][0]["memory_id"].as_str().unwrap();
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
    let refused = world.cli(&shop, &["memory", "remember", &token]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let forced = world.cli(&shop, &["memory", "remember", "--force", &token]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    let wrong = world.cli(&shop, &["memory", "recall", "()", "--json"]);
    assert_eq!(wrong.json()["error"]["code"], "invalid_argument");
    let forgotten = world.cli(&shop, &["memory", "forget", "--id", id, "--json"]);
    assert_eq!(forgotten.json()["forgotten"], 1);
    world.cli(&shop, &["memory", "remember", "--key", "port", "5433"]);
    let forgotten = world.cli(&shop, &["memory", "forget", "--key", "port", "--json"]);
    assert_eq!(forgotten.json()["forgotten"], 1);
    let forgotten = world.cli(&shop, &["memory", "forget", "port"]);
    assert!(forgotten.out.contains("no such memory"), "{forgotten:?}");
    assert_eq!(
        world.cli(&shop, &["memory", "forget", "--id", "x"]).code,
        Some(1)
    );
}
