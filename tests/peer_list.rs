//! The list of peers: its scope, what it shows of each peer, liveness.
use claude_mesh::platform::{Clock, SystemClock};
use serde_json::json;

use crate::peer::{names, peers};
use crate::support::World;

// Requirement: Mesh 4
#[test]
fn unverifiable_session_is_stale_after_its_ttl_and_then_dead() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.call("register", json!({ "ttl_seconds": 60 }));
    let liveness = |seconds: i64| {
        // As a session on another machine that was last seen this long ago.
        let moved = "UPDATE session SET host = 'elsewhere', boot = 'another', last_seen_at_ms = ?1
                     WHERE ended_at_ms IS NULL AND peer_id = (SELECT id FROM peer WHERE name = 'bo')";
        let now_ms = Clock::now(&SystemClock::new()).wall_ms;
        world
            .rows()
            .execute(moved, [now_ms - seconds * 1000])
            .unwrap();
        let seen = peers(&ada, json!({ "include_stale": true }));
        let found = seen[0]["liveness"].as_str().unwrap().to_owned();
        let listed = names(&ada).len();
        (found, listed)
    };
    assert_eq!(liveness(50), ("alive".into(), 1));
    assert_eq!(
        liveness(70),
        ("stale".into(), 1),
        "stale peers are always listed"
    );
    assert_eq!(
        liveness(100),
        ("dead".into(), 0),
        "dead peers are listed only on request"
    );
}

// Requirement: Sharing 1, Peers 7
#[test]
fn peer_list_is_scoped_to_repository_or_folder_with_details() {
    let world = World::new();
    let git = |arguments: &[&str]| {
        let ran = world
            .command("git", &world.project("shop"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    let (shop, api) = (world.session("shop"), world.session("shop/api"));
    let _other = world.session("other");
    api.call("register", json!({ "summary": "the routes" }));
    let of = |scope: &str| {
        let mut found: Vec<String> = peers(&shop, json!({ "scope": scope }))
            .iter()
            .map(|peer| peer["peer"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found.join(" ")
    };
    assert_eq!(of("machine"), "api other");
    assert_eq!([of("repo"), of("directory")], ["api", "api"]);
    let seen = &peers(&shop, json!({ "scope": "directory" }))[0];
    assert_eq!(
        [&seen["project"], &seen["git_root"]].map(|path| path.as_str().unwrap().to_owned()),
        [&api.folder, &shop.folder].map(|path| path.display().to_string())
    );
    assert_eq!(
        [&seen["git_branch"], &seen["summary"], &seen["liveness"]],
        ["main", "the routes", "alive"]
    );
    assert!(seen["agent"].as_str().unwrap().starts_with("claude-code"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(seen["host"], host.trim());
    assert!(seen["started_at"].is_string() && seen["peer_id"].is_string());
    let refused = shop.call("list_peers", json!({ "scope": "planet" }));
    assert_eq!(refused["error"]["code"], "invalid_argument");
}

// Requirement: Sharing 2
#[test]
fn summary_has_at_most_500_characters() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let long = "ü".repeat(500);
    bo.call("register", json!({ "summary": long }));
    let refused = bo.call("register", json!({ "summary": format!("{long}!") }));
    assert_eq!(refused["error"]["code"], "invalid_argument");
    assert_eq!(peers(&ada, json!({}))[0]["summary"], long);
}
