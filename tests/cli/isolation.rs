//! Walls and configuration files at the command line.

use super::fixture::{CliFixture, finding};

#[test]
fn cli_wall_isolates_a_folder_in_its_own_mesh() {
    let fixture = CliFixture::new();
    let _ada = fixture.peer("ada");
    let secret = fixture.world.project("acme/api");
    let built = fixture.run_ok(&["wall", "../acme", "acme"]);
    assert!(
        built.starts_with("~/acme and all below: mesh acme\n"),
        "{built}"
    );
    assert!(
        fixture
            .run_ok(&["wall"])
            .starts_with("~/acme/**  acme\nhere: mesh default")
    );
    let inside_wall = fixture.world.cli(&secret, &["peers"]);
    assert!(
        inside_wall
            .out
            .starts_with("no mesh here yet: ~/.claude-mesh/meshes/acme/mesh.db"),
        "{inside_wall:?}"
    );
    assert_eq!(
        fixture.world.cli(&secret, &["ask", "ada", "hello?"]).code,
        Some(1),
        "no peer is found across the wall"
    );
    assert!(
        fixture
            .run_ok(&["wall", "../acme", "default"])
            .contains("(it was acme)")
    );
    assert!(fixture.world.cli(&secret, &["peers"]).out.contains("ada"));
    assert_eq!(
        fixture.run_refused(&["wall", "../a*", "acme"]).0,
        "invalid_argument"
    );
    assert_eq!(
        fixture.run_refused(&["wall", "../acme", "A B"]).0,
        "storage"
    );
    assert_eq!(fixture.run(&["wall", "../acme"]).code, Some(2));
}

#[test]
fn cli_refuses_an_invalid_mesh_config() {
    let fixture = CliFixture::new();
    let _ada = fixture.peer("ada");
    let misspelled = "{\"meshs\": {\"/proj/**\": \"a\"}}";
    for broken in ["{", misspelled, "{\"walls\": 5}"] {
        fixture.world.write(".claude-mesh/config.json", broken);
        let (code, reported) = fixture.run_refused(&["peers"]);
        assert_eq!(code, "storage");
        assert!(
            reported.contains("config.json cannot be used"),
            "{reported}"
        );
    }
}

#[test]
fn cli_and_doctor_report_the_line_of_a_project_file_error() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write("own/.claude-mesh.json", "{\n \"name\": 7 }");
    let (code, reported) = fixture.run_refused(&["peers"]);
    assert_eq!(code, "storage");
    assert!(
        reported.contains("own/.claude-mesh.json cannot be used") && reported.contains("line 2"),
        "{reported}"
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, ".claude-mesh.json cannot be used")["severity"],
        "problem"
    );
}
