//! What a session far from its mesh says of a hub that it cannot use: URL, certificate, key, version.
use claude_mesh::mesh::REMOTE_REVISION;
use claude_mesh::model::access_key::{KeyHolder, KeyScope};
use claude_mesh::remote::{HubError, verify};
use serde_json::json;

use crate::support::{Hub, ScriptedServer, World, far_key, join_home};

const KEY: &str = "cmk_wrong";

/// Returns why a hub cannot be used without a pinned certificate.
#[track_caller]
fn problem(url: &str, key: &str) -> HubError {
    verify(url, key, None).expect_err("it cannot be used")
}

/// Starts a hub with a certificate for these names. Returns it with the file of the certificate.
fn hub_with_tls(world: &World, names: &[&str]) -> (Hub, std::path::PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = world.write("hub.pem", &certified.cert.pem());
    let key = world.write("hub.key", &certified.signing_key.serialize_pem());
    let files = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let hub = Hub::start_with(world, &["--tls-cert", files[0], "--tls-key", files[1]]);
    (hub, certificate)
}

#[test]
fn hub_is_verified_by_its_url_and_key() {
    let world = World::new();
    let hub = Hub::start(&world);
    let described = verify(hub.url(), &far_key(&hub, "laptop"), None).unwrap();
    assert_eq!(
        (described.mesh.as_str(), described.host.as_str()),
        ("default", "laptop")
    );
}

#[test]
fn unreachable_hub_and_unknown_name_differ() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let refused = problem(&url, KEY);
    assert!(
        matches!(&refused, HubError::Unreachable { problem, .. } if problem == "no program listens there"),
        "{refused}"
    );
    let unknown = problem("http://no-such-host.invalid:3456", KEY);
    assert!(
        matches!(&unknown, HubError::UnknownHost { source, .. } if source.name == "no-such-host.invalid"),
        "{unknown}"
    );
    assert!(refused.is_out_of_reach() && unknown.is_out_of_reach());
}

#[test]
fn other_programs_are_no_hub_and_redirects_are_not_followed() {
    for (server, expected) in [
        (
            ScriptedServer::http("200 OK", "", "<html>"),
            "unusable answer",
        ),
        (
            ScriptedServer::http("404 Not Found", "", "<html>"),
            "status 404",
        ),
        (ScriptedServer::start("SSH-2.0-OpenSSH_9.6\r\n"), "HTTP"),
        (
            ScriptedServer::http("302 Found", "Location: http://127.0.0.1:1/\r\n", ""),
            "redirects to \"http://127.0.0.1:1/\", which is not followed",
        ),
    ] {
        let error = problem(&server.url, KEY);
        assert!(matches!(error, HubError::NotAHub { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let proxy = problem(&ScriptedServer::http("502 Bad Gateway", "", "x").url, KEY);
    assert!(proxy.is_out_of_reach(), "a hub behind it may come: {proxy}");
}

#[test]
fn side_that_is_to_be_updated_is_named() {
    let without_route = json!({ "error": { "code": "not_found", "message": "no route GET /v1/remote", "hint": "" } });
    let older = ScriptedServer::http("404 Not Found", "", &without_route.to_string());
    let error = problem(&older.url, KEY);
    assert!(matches!(error, HubError::OtherRevision { .. }), "{error}");
    assert!(error.to_string().contains("update the hub"), "{error}");
    let world = World::new();
    let hub = Hub::start(&world);
    let key = far_key(&hub, "laptop");
    for (revision, expected) in [
        (0, "older than this hub; update it there"),
        (REMOTE_REVISION + 1, "update the hub first"),
    ] {
        let request = hub.request("GET", "/v1/remote").key(&key);
        let request = request.header("claude-mesh-revision", &revision.to_string());
        let (status, body) = request.send().parts();
        assert_eq!((status, &body["error"]["code"]), (409, &json!("revision")));
        let reported = ScriptedServer::http("409 Conflict", "", &body.to_string());
        let error = problem(&reported.url, KEY);
        assert!(matches!(error, HubError::OtherRevision { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn wrong_and_revoked_keys_are_refused_and_never_shown() {
    let world = World::new();
    let hub = Hub::start(&world);
    let wrong = problem(hub.url(), KEY);
    assert!(wrong.to_string().contains("no such key"), "{wrong}");
    let key = far_key(&hub, "laptop");
    let id = key.split('_').nth(1).unwrap();
    let revoked = world.cli(&world.home(), &["key", "revoke", id]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let error = problem(hub.url(), &key);
    assert!(error.to_string().contains("was revoked"), "{error}");
    let shown = format!("{error} {error:?} {}", error.hint());
    assert!(!shown.contains(&key), "{shown}");
    let of_peer = hub.key_of(
        KeyHolder::Peer(claude_mesh::model::PeerName::fold("ada")),
        KeyScope::Write,
        "ada",
    );
    let error = problem(hub.url(), &of_peer);
    assert!(error.to_string().contains("not of a host"), "{error}");
}

#[test]
fn untrusted_certificate_is_described_and_can_be_pinned() {
    let world = World::new();
    let (hub, certificate) = hub_with_tls(&world, &["mesh.example"]);
    let key = far_key(&hub, "laptop");
    let error = problem(hub.url(), &key);
    assert!(matches!(error, HubError::Certificate { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("CN=rcgen self signed cert"), "{text}");
    let printed = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&certificate)
        .output();
    if let Ok(printed) = printed {
        let printed = String::from_utf8_lossy(&printed.stdout);
        let fingerprint = printed.trim().rsplit('=').next().unwrap();
        assert!(text.contains(fingerprint), "{text}: {fingerprint}");
    }
    assert!(
        error.hint().contains("--certificate"),
        "how to pin: {}",
        error.hint()
    );
    let pinned = verify(hub.url(), &key, Some(&certificate)).unwrap();
    assert_eq!(pinned.host, "laptop", "whatever its name is");
    let other = rcgen::generate_simple_self_signed(["mesh.example".to_owned()]).unwrap();
    let other = world.write("other.pem", &other.cert.pem());
    let error = verify(hub.url(), &key, Some(&other)).unwrap_err();
    assert!(error.to_string().contains("another one than"), "{error}");
    let none = verify(hub.url(), &key, Some(&world.home().join("none.pem"))).unwrap_err();
    assert!(matches!(none, HubError::UnusableCertificate(_)), "{none}");
}

#[test]
fn certificate_of_a_trusted_issuer_must_be_for_the_name() {
    let world = World::new();
    let issuer_key = rcgen::KeyPair::generate().unwrap();
    let mut issuer = rcgen::CertificateParams::new(Vec::new()).unwrap();
    issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = issuer.self_signed(&issuer_key).unwrap();
    let issuer = rcgen::Issuer::new(issuer, issuer_key);
    let root = world.write("root.pem", &root.pem());
    for (name, expected) in [
        ("127.0.0.1", None),
        (
            "mesh.example",
            Some("it is for mesh.example, not for 127.0.0.1"),
        ),
    ] {
        let host = World::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let files = [
            host.write("hub.pem", &certificate.pem()),
            host.write("hub.key", &key.serialize_pem()),
        ];
        let files = files.each_ref().map(|path| path.to_str().unwrap());
        let hub = Hub::start_with(&host, &["--tls-cert", files[0], "--tls-key", files[1]]);
        // The certificates of the system are those that this variable names.
        let mut laptop = World::new();
        laptop.set("SSL_CERT_FILE", root.to_str().unwrap());
        join_home(&laptop.home(), hub.url(), &far_key(&hub, "laptop"));
        let session = laptop.bare_session("ada", &[]);
        session.discover();
        let status = session.call("mesh_status", json!({}));
        match expected {
            None => assert!(status["error"].is_null(), "{status}"),
            Some(expected) => {
                let message = status["error"]["message"].as_str().unwrap();
                assert!(message.contains(expected), "{message}");
            }
        }
    }
}

#[test]
fn scheme_of_the_other_kind_is_reported() {
    let world = World::new();
    let plain = Hub::start(&world);
    let url = plain.url().replace("http://", "https://");
    let error = problem(&url, KEY);
    assert!(matches!(error, HubError::NoTls { .. }), "{error}");
    let other = World::new();
    let (tls, _) = hub_with_tls(&other, &["localhost"]);
    let url = tls.url().replace("https://", "http://");
    let error = problem(&url, KEY);
    assert!(!error.hint().is_empty(), "{error}");
}

#[test]
fn key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = World::new();
    join_home(&laptop.home(), hub.url(), &far_key(&hub, "laptop"));
    let keys = laptop.home().join(".claude-mesh/keys");
    let key = std::fs::read_dir(keys).unwrap().next().unwrap().unwrap();
    std::fs::set_permissions(key.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let session = laptop.bare_session("ada", &[]);
    session.discover();
    let refused = session.call("mesh_status", json!({}));
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("others can read it"), "{refused}");
}
