//! What happens in a story: news for `bo`, calls and hooks of `bo`, and what the network does between its host and the hub.
use proptest::prelude::*;

/// Something that comes for `bo`.
#[derive(Debug, Clone)]
pub(super) enum News {
    Asks { waits: bool },
    Erases { question: u8 },
    Answers { question: u8 },
    Posts { alert: bool },
    Quiets { until_ms: Option<i64> },
    Pauses { until_ms: Option<i64> },
    Claims { resource: u8 },
    Releases { resource: u8 },
}

/// A call of a tool by `bo`.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Replies { question: u8 },
    PollsInbox,
    ReadsMail,
    Asks { waits: bool },
    EndsWait,
    Queues { resource: u8 },
}

/// A hook of `bo`.
#[derive(Debug, Clone)]
pub(super) enum Hook {
    Prompt {
        typed: bool,
        new_turn: bool,
    },
    /// The oldest line that the server has posted is read.
    WakeLine {
        new_turn: bool,
    },
    Stop {
        already_blocked: bool,
    },
    /// The waiting hook wakes the session.
    Rewake,
}

/// What happens between the host and the hub.
#[derive(Debug, Clone)]
pub(super) enum Network {
    /// The hub makes a snapshot.
    SnapshotLeaves,
    /// The oldest snapshot under way arrives.
    SnapshotArrives,
    /// Verbs are sent, unless some are under way.
    VerbsLeave,
    /// The hub carries them out.
    VerbsArrive,
    /// Its response arrives.
    ResponseArrives,
    /// The connection breaks.
    Breaks,
}

/// One step of a story.
#[derive(Debug, Clone)]
pub(super) enum Step {
    News(News),
    Call(Call),
    Hook(Hook),
    Network(Network),
    /// The server looks whether `bo` is to be woken.
    ServerLooks,
    /// The line that the server has posted last does not arrive.
    LineFails,
}

/// Returns stories with that number of steps.
pub(super) fn stories(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), steps)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => news().prop_map(Step::News),
        4 => call().prop_map(Step::Call),
        9 => hook().prop_map(Step::Hook),
        12 => network().prop_map(Step::Network),
        2 => Just(Step::ServerLooks),
        1 => Just(Step::LineFails),
    ]
}

fn news() -> impl Strategy<Value = News> {
    // A throttle that ends by itself would end before what came under it gets to the mirror.
    let until = || prop_oneof![Just(None), Just(Some(10_000_000_i64))];
    prop_oneof![
        6 => any::<bool>().prop_map(|waits| News::Asks { waits }),
        1 => any::<u8>().prop_map(|question| News::Erases { question }),
        2 => any::<u8>().prop_map(|question| News::Answers { question }),
        2 => any::<bool>().prop_map(|alert| News::Posts { alert }),
        1 => until().prop_map(|until_ms| News::Quiets { until_ms }),
        1 => until().prop_map(|until_ms| News::Pauses { until_ms }),
        1 => (0_u8..2).prop_map(|resource| News::Claims { resource }),
        1 => (0_u8..2).prop_map(|resource| News::Releases { resource }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => any::<u8>().prop_map(|question| Call::Replies { question }),
        1 => Just(Call::PollsInbox),
        1 => Just(Call::ReadsMail),
        2 => any::<bool>().prop_map(|waits| Call::Asks { waits }),
        1 => Just(Call::EndsWait),
        1 => (0_u8..2).prop_map(|resource| Call::Queues { resource }),
    ]
}

fn hook() -> impl Strategy<Value = Hook> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>())
            .prop_map(|(typed, new_turn)| Hook::Prompt { typed, new_turn }),
        2 => any::<bool>().prop_map(|new_turn| Hook::WakeLine { new_turn }),
        4 => any::<bool>().prop_map(|already_blocked| Hook::Stop { already_blocked }),
        1 => Just(Hook::Rewake),
    ]
}

fn network() -> impl Strategy<Value = Network> {
    prop_oneof![
        3 => Just(Network::SnapshotLeaves),
        3 => Just(Network::SnapshotArrives),
        2 => Just(Network::VerbsLeave),
        2 => Just(Network::VerbsArrive),
        2 => Just(Network::ResponseArrives),
        1 => Just(Network::Breaks),
    ]
}
