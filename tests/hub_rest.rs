//! The REST routes of the hub, over real sockets.
use claude_mesh::model::access_key::KeyScope;

use crate::support::{Hub, World};

#[test]
fn status_needs_a_key() {
    let world = World::new();
    let hub = Hub::start(&world);
    assert!(hub.url().starts_with("http://127.0.0.1:"));
    assert_eq!(hub.request("GET", "/health").send().status, 200);
    assert_eq!(hub.request("GET", "/v1/status").send().status, 401);
    let key = hub.key("ada", KeyScope::Read);
    let (status, body) = hub.get("/v1/status", &key);
    assert_eq!((status, &body["status"]), (200, &"ok".into()), "{body}");
    assert!(hub.terminate());
}
