//! Messages under a manual clock, and mailbox cursors compared with a reference model.
use crate::support::MeshFixture;

use claude_mesh::mesh::{Mesh, MessageDraft, MessageFilter, SessionHandle, SubscriptionAction};
use claude_mesh::model::{Error, Recipient, Refusal, Topic};
use claude_mesh::platform::id::MessageId;
use proptest::prelude::*;

fn join_peer(fixture: &MeshFixture, name: &str, instance: u32) -> (Mesh, SessionHandle) {
    let mut mesh = fixture.mesh();
    let me = mesh
        .register(&fixture.join_request(name, instance))
        .unwrap();
    (mesh, me)
}

fn to(text: &str) -> Recipient {
    Recipient::parse(text).unwrap()
}

fn texts(mesh: &mut Mesh, me: &SessionHandle) -> Vec<String> {
    let wanted = MessageFilter {
        limit: 100,
        ..MessageFilter::default()
    };
    let listed = mesh.messages(me, &wanted).unwrap();
    assert_eq!(listed.unread as usize, listed.messages.len());
    listed
        .messages
        .into_iter()
        .map(|message| message.body)
        .collect()
}

// Requirement: Mesh 14
#[test]
fn messages_keep_posting_order_despite_a_clock_jump() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = join_peer(&fixture, "ada", 1);
    let (mut bo, b) = join_peer(&fixture, "bo", 2);
    let mut ids: Vec<MessageId> = Vec::new();
    for (number, jump_ms) in [0, -3_600_000, 0, 7_200_000, -1].into_iter().enumerate() {
        fixture.clock.jump_wall_ms(jump_ms);
        let text = number.to_string();
        ids.push(
            ada.post(&a, &MessageDraft::of(&to("bo"), &text))
                .unwrap()
                .id,
        );
    }
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert_eq!(texts(&mut bo, &b), ["0", "1", "2", "3", "4"]);
}

#[test]
fn expired_message_is_hidden_and_reclaimed() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = join_peer(&fixture, "ada", 1);
    let (mut bo, b) = join_peer(&fixture, "bo", 2);
    ada.sweep().unwrap();
    let to_bo = to("bo");
    let short = MessageDraft {
        ttl_seconds: Some(60),
        ..MessageDraft::of(&to_bo, "lunch?")
    };
    ada.post(&a, &short).unwrap();
    ada.post(&a, &MessageDraft::of(&to("bo"), "stays")).unwrap();
    fixture.clock.advance_ms(59_999);
    assert_eq!(texts(&mut bo, &b), ["lunch?", "stays"]);
    fixture.clock.advance_ms(1);
    assert_eq!(texts(&mut bo, &b), ["stays"]);
    assert_eq!(bo.unmentioned_mail(&b).unwrap().count, 1);
    assert_eq!(ada.sweep().unwrap().messages, 1);
    fixture.clock.advance_ms(30 * 24 * 3_600_000);
    assert_eq!(
        ada.sweep().unwrap().messages,
        1,
        "all messages are removed after thirty days"
    );
    assert_eq!(texts(&mut bo, &b), Vec::<String>::new());
}

#[test]
fn one_sweep_removes_at_most_a_thousand_messages() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = join_peer(&fixture, "ada", 1);
    let (_bo, _) = join_peer(&fixture, "bo", 2);
    ada.sweep().unwrap();
    for _ in 0..1_100 {
        ada.post(&a, &MessageDraft::of(&to("bo"), "x")).unwrap();
    }
    fixture.clock.advance_ms(31 * 24 * 3_600_000);
    assert_eq!(ada.sweep().unwrap().messages, 1_000);
    assert_eq!(ada.sweep().unwrap().messages, 100);
}

#[test]
fn broadcast_rate_limit_resets_after_a_minute() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = join_peer(&fixture, "ada", 1);
    let everybody = to("*");
    let post = |mesh: &mut Mesh| mesh.post(&a, &MessageDraft::of(&everybody, "listen"));
    for _ in 0..60 {
        post(&mut ada).unwrap();
        fixture.clock.advance_ms(100);
    }
    fixture.clock.advance_ms(24_000);
    let refused = post(&mut ada).unwrap_err();
    let Error::Refused(Refusal::RateLimited { problem }) = refused else {
        panic!("{refused}")
    };
    assert!(problem.ends_with("again in 30 s"), "{problem}");
    fixture.clock.advance_ms(30_000);
    post(&mut ada).unwrap();
}

/// One step, for the mesh and for the model below.
#[derive(Debug, Clone)]
enum MessageStep {
    Direct,
    FromOther,
    Everyone,
    Topic(usize),
    Subscribe(usize),
    Unsubscribe(usize),
    Read(prop::sample::Index),
    Expire,
    List(Vec<usize>),
}

const TOPICS: [&str; 3] = ["ops", "alerts", "x"];

fn step() -> impl Strategy<Value = MessageStep> {
    prop_oneof![
        3 => Just(MessageStep::Direct),
        1 => Just(MessageStep::FromOther),
        2 => Just(MessageStep::Everyone),
        3 => (0..3_usize).prop_map(MessageStep::Topic),
        2 => (0..3_usize).prop_map(MessageStep::Subscribe),
        1 => (0..3_usize).prop_map(MessageStep::Unsubscribe),
        2 => any::<prop::sample::Index>().prop_map(MessageStep::Read),
        1 => Just(MessageStep::Expire),
        3 => prop::collection::vec(0..3_usize, 0..3).prop_map(MessageStep::List),
    ]
}

/// A message in the model: its recipient, and whether the reader receives it without listing topics.
struct ModelMessage {
    id: MessageId,
    topic: Option<usize>,
    delivered: bool,
    expired: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Listed messages, the unread count and the cursor agree with a list of messages.
    // Requirement: Mesh 13
    #[test]
    fn mailbox_cursor_agrees_with_a_list_model(steps in prop::collection::vec(step(), 1..40)) {
        let fixture = MeshFixture::new();
        let (mut ada, a) = join_peer(&fixture, "ada", 1);
        let (mut bo, b) = join_peer(&fixture, "bo", 2);
        let (mut posted_messages, mut subscribed, mut cursor) = (Vec::<ModelMessage>::new(), [false; 3], None::<MessageId>);
        for step in steps {
            let topic = |number: usize| Topic::parse(TOPICS[number]).unwrap();
            let mut add = |id, topic, delivered| posted_messages.push(ModelMessage { id, topic, delivered, expired: false });
            match step {
                MessageStep::Direct => add(ada.post(&a, &MessageDraft::of(&to("bo"), "d")).unwrap().id, None, true),
                MessageStep::FromOther => add(bo.post(&b, &MessageDraft::of(&to("ada"), "o")).unwrap().id, None, false),
                MessageStep::Everyone => add(ada.post(&a, &MessageDraft::of(&to("*"), "e")).unwrap().id, None, true),
                MessageStep::Topic(number) => {
                    let recipient = Recipient::Topic(topic(number));
                    let posted = ada.post(&a, &MessageDraft::of(&recipient, "t")).unwrap();
                    add(posted.id, Some(number), subscribed[number]);
                }
                MessageStep::Subscribe(number) => {
                    bo.subscribe(&b, SubscriptionAction::Subscribe, &[topic(number)]).unwrap();
                    subscribed[number] = true;
                }
                MessageStep::Unsubscribe(number) => {
                    bo.subscribe(&b, SubscriptionAction::Unsubscribe, &[topic(number)]).unwrap();
                    subscribed[number] = false;
                    // A new subscription starts at its own time.
                    posted_messages.iter_mut().filter(|one| one.topic == Some(number)).for_each(|one| one.delivered = false);
                }
                MessageStep::Read(index) if !posted_messages.is_empty() => {
                    let up_to = index.get(&posted_messages).id;
                    cursor = cursor.max(Some(up_to));
                    let marked = bo.mark_read(&b, up_to).unwrap();
                    prop_assert_eq!(Some(marked.cursor), cursor.map(|id| id.to_string()));
                    let left = posted_messages.iter().filter(|one| one.delivered && !one.expired && Some(one.id) > cursor).count();
                    prop_assert_eq!(marked.remaining as usize, left);
                }
                MessageStep::Read(_) => {}
                MessageStep::Expire => {
                    let to_bo = to("bo");
                    let short = MessageDraft { ttl_seconds: Some(1), ..MessageDraft::of(&to_bo, "s") };
                    let id = ada.post(&a, &short).unwrap().id;
                    fixture.clock.advance_ms(1_000);
                    posted_messages.push(ModelMessage { id, topic: None, delivered: true, expired: true });
                }
                MessageStep::List(numbers) => {
                    let topics: Vec<Topic> = numbers.iter().map(|number| topic(*number)).collect();
                    let listed = bo.messages(&b, &MessageFilter { topics: &topics, limit: 100, ..MessageFilter::default() }).unwrap();
                    let shown: Vec<MessageId> = listed.messages.iter().map(|message| message.id).collect();
                    let expected: Vec<MessageId> = posted_messages
                        .iter()
                        .filter(|one| !one.expired && Some(one.id) > cursor)
                        .filter(|one| one.delivered || one.topic.is_some_and(|topic| numbers.contains(&topic)))
                        .map(|one| one.id)
                        .collect();
                    prop_assert_eq!(&shown, &expected);
                    prop_assert_eq!(listed.unread as usize, expected.len());
                    prop_assert_eq!(listed.cursor, cursor.map(|id| id.to_string()));
                }
            }
        }
    }
}
