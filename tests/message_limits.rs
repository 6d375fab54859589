//! Limits of messages: size, length of a list, rate of broadcasts.

use serde_json::json;

use crate::support::World;
use crate::support::{post_message, refused};

#[test]
fn largest_body_arrives_whole_and_a_long_list_is_limited() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let large = "ä".repeat(65_536 / 2);
    for _ in 0..7 {
        post_message(&ada, "bo", &large);
    }
    let first = bo.call("list_messages", json!({}));
    assert_eq!(first["truncated"], true);
    assert!(first.to_string().encode_utf16().count() <= 200_000);
    let page = first["messages"].as_array().unwrap();
    assert_eq!(page[0]["body"], large.as_str());
    let last = &page.last().unwrap()["message_id"];
    assert!(
        first["hint"]
            .as_str()
            .unwrap()
            .contains(last.as_str().unwrap())
    );
    let rest = bo.call("list_messages", json!({ "after": last }));
    assert_eq!(page.len() + rest["messages"].as_array().unwrap().len(), 7);
}

#[test]
fn sixty_broadcasts_a_minute_pass_and_more_are_rate_limited() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    for number in 0..60 {
        post_message(&ada, "*", &format!("{number}"));
    }
    let (code, message) = refused(&ada.call("post", json!({ "to": "*", "body": "once more" })));
    assert_eq!(code, "rate_limited");
    assert!(
        message.contains("again in ") && message.ends_with(" s"),
        "{message}"
    );
    post_message(&ada, "bo", "to one it is free");
}
