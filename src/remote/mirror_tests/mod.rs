//! Compares the hooks of a session on the mesh of its machine with those of a session far from its mesh: the same happens to
//! both, and they print the same and leave the same in the mesh, however slow and broken the network is.
//!
//! What comes for the session happens to the first one when the mirror of the second one gets it: that is the only
//! difference that the delay may make.
mod side;
mod story;

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use crate::claude_code::{HookEvent, HookOutput, Prompt};
use crate::hooks::{self, HookCall, HookMesh};
use crate::mesh::{SessionHandle, SessionSnapshot, SessionVerb, SnapshotClock};
use crate::platform::clock::ManualClock;
use crate::platform::{Clock, Settings};
use crate::remote::mirror::SessionMirror;
use crate::remote::verb_queue::NumberedVerb;

use side::Side;
use story::{Call, Hook, Network, News, Step};

/// Two sessions `bo` to which the same happens.
struct Pair {
    /// The mesh of a machine.
    local: Side,
    /// The mesh of a hub, and the mirror of its `bo` on another host.
    hub: Side,
    mirror: SessionMirror,
    /// The clock of that host.
    here: Arc<ManualClock>,
    settings: Settings,
    /// What has come for `bo` at the hub; the mirror, and so the first mesh, has got the first of it.
    news: Vec<News>,
    known_news: usize,
    /// Snapshots under way, each with how much news it includes.
    snapshots: VecDeque<(SessionSnapshot, usize)>,
    /// Verbs under way, and whether the hub has carried them out.
    verbs: Option<(Vec<NumberedVerb>, bool)>,
    /// The nonces of wake lines that were posted and not read.
    lines: VecDeque<(String, String)>,
    turn: u32,
}

impl Pair {
    fn new() -> Self {
        let (local, hub) = (Side::new(), Side::new());
        let here = Arc::new(ManualClock::at(1_700_000_000_000));
        let home = local.home().to_owned();
        let mut settings = Settings::read(&|_| None, home.clone(), None, home).unwrap();
        // What a session does is known at once here, and at a hub when it has been sent: peers would be woken differently.
        settings.keeps_activity = false;
        let mut mirror = SessionMirror::new(Arc::clone(&here) as Arc<dyn Clock>);
        mirror.begin(hub.me().session, 0);
        let mut pair = Self {
            local,
            hub,
            mirror,
            here,
            settings,
            news: Vec::new(),
            known_news: 0,
            snapshots: VecDeque::new(),
            verbs: None,
            lines: VecDeque::new(),
            turn: 1,
        };
        pair.settle();
        pair
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        for clock in [&self.local.clock, &self.hub.clock, &self.here] {
            clock.advance_ms(1_000);
        }
        match step {
            Step::News(news) => {
                let news = self.dated(news);
                let erases = matches!(news, News::Erases { .. });
                self.hub.news(&news);
                self.news.push(news);
                if erases {
                    // What depends on a question that is not there any more is stored at one of them, and not at the other.
                    self.settle();
                }
            }
            Step::Call(call) => self.call(call),
            Step::Hook(hook) => self.hook(hook)?,
            Step::Network(network) => self.network(network),
            Step::ServerLooks => {
                self.settle();
                let (local, hub) = (self.local.wake(), self.hub.wake());
                prop_assert_eq!(local.is_some(), hub.is_some(), "a wake");
                self.lines.extend(local.zip(hub));
                // A wake ends the hold of questions; the stream looks again at once after it.
                self.settle();
            }
            Step::LineFails => {
                self.settle();
                if self.lines.pop_back().is_some() {
                    let problem = "no inbox".to_owned();
                    let me = self.local.me();
                    self.local
                        .mesh()
                        .record_wake_failure(&me, &problem)
                        .unwrap();
                    self.mirror
                        .record(SessionVerb::RecordWakeFailure { problem });
                    // It concerns what is pending when the hub gets it.
                    self.settle();
                }
            }
        }
        Ok(())
    }

    /// Returns news whose end is a time of the meshes.
    fn dated(&self, news: &News) -> News {
        let now_ms = self.hub.clock.now().wall_ms;
        let dated = |until_ms: Option<i64>| until_ms.map(|after_ms| now_ms + after_ms);
        match news {
            News::Quiets { until_ms } => News::Quiets {
                until_ms: dated(*until_ms),
            },
            News::Pauses { until_ms } => News::Pauses {
                until_ms: dated(*until_ms),
            },
            news => news.clone(),
        }
    }

    /// A call goes to the hub after all verbs, and returns with a snapshot that includes it.
    fn call(&mut self, call: &Call) {
        self.settle();
        self.local.call(call);
        self.hub.call(call);
        let is_counted = self.hub.waits();
        self.mirror.count_waiting_call(false);
        if is_counted {
            self.mirror.count_waiting_call(true);
        }
        self.settle();
    }

    fn hook(&mut self, hook: &Hook) -> Result<(), TestCaseError> {
        let (local_event, far_event) = match hook {
            Hook::Prompt { typed, new_turn } => {
                let turn = self.turn(*new_turn);
                let event = prompted(&turn, *typed, None);
                (event.clone(), event)
            }
            Hook::WakeLine { new_turn } => {
                let Some((local, far)) = self.lines.pop_front() else {
                    return Ok(());
                };
                let turn = self.turn(*new_turn);
                let event = |nonce| prompted(&turn, false, Some(nonce));
                (event(local), event(far))
            }
            Hook::Stop { already_blocked } => {
                let event = HookEvent::Stopping {
                    session: None,
                    turn: Some(self.turn(false)),
                    already_blocked: *already_blocked,
                    said: None,
                };
                (event.clone(), event)
            }
            Hook::Rewake => {
                let me = self.local.me();
                let local = hooks::wake_text(self.local.mesh(), &me).unwrap();
                let me = self.hub.me();
                let far = hooks::wake_text(&mut self.mirror, &me).unwrap();
                let output = |text: Option<String>| text.map(HookOutput::Context);
                return self.compare(output(local), output(far));
            }
        };
        let call = |event| HookCall {
            event,
            payload: Vec::new(),
            settings: self.settings.clone(),
            other_client: false,
            by_server: true,
        };
        let (local_call, far_call) = (call(local_event), call(far_event));
        let me = self.local.me();
        let local = deliver(&local_call, self.local.mesh(), &me);
        let me = self.hub.me();
        let far = deliver(&far_call, &mut self.mirror, &me);
        self.compare(local, far)
    }

    fn turn(&mut self, is_new: bool) -> String {
        self.turn += u32::from(is_new);
        format!("t{}", self.turn)
    }

    fn compare(
        &self,
        local: Option<HookOutput>,
        far: Option<HookOutput>,
    ) -> Result<(), TestCaseError> {
        let shown = |side: &Side, output: Option<HookOutput>| {
            let output = output.map(|output| output.to_json("E"));
            without_times(&side.named(&output.unwrap_or_default()))
        };
        prop_assert_eq!(shown(&self.local, local), shown(&self.hub, far));
        Ok(())
    }

    fn network(&mut self, network: &Network) {
        match network {
            Network::SnapshotLeaves => {
                let me = self.hub.me();
                let snapshot = self.hub.mesh().look_at_session(&me).unwrap().snapshot;
                // It goes as JSON.
                let json = serde_json::to_string(&snapshot).unwrap();
                let snapshot = serde_json::from_str(&json).unwrap();
                self.snapshots.push_back((snapshot, self.news.len()));
            }
            Network::SnapshotArrives => {
                if let Some((snapshot, news)) = self.snapshots.pop_front() {
                    for news in &self.news[self.known_news..news] {
                        self.local.news(news);
                    }
                    self.known_news = news;
                    let now = self.hub.clock.now();
                    // On a real network this is the time at which it left, milliseconds ago.
                    let clock = SnapshotClock {
                        wall_ms: now.wall_ms,
                        monotonic_ms: now.monotonic_ms,
                        boot: now.boot.to_string(),
                    };
                    self.mirror.take(snapshot, clock, 0);
                }
            }
            Network::VerbsLeave if self.verbs.is_none() => {
                let verbs = self.mirror.unsent();
                self.verbs = (!verbs.is_empty()).then_some((verbs, false));
            }
            Network::VerbsArrive => {
                if let Some((verbs, is_applied)) = &mut self.verbs {
                    let me = self.hub.me();
                    for verb in verbs.iter().filter(|_| !*is_applied) {
                        let mesh = self.hub.mesh();
                        mesh.run_verb_once(me.session, verb.number, |mesh| {
                            mesh.apply_session_verb(&me, &verb.verb)
                        })
                        .unwrap();
                    }
                    *is_applied = true;
                }
            }
            Network::ResponseArrives => {
                if let Some((verbs, true)) = &self.verbs {
                    let last = verbs.last().unwrap().number;
                    self.mirror.queue().confirm_sent(last);
                    self.verbs = None;
                }
            }
            // They are sent again, whether or not the hub has carried them out; what it sends now are new snapshots.
            Network::Breaks => {
                self.verbs = None;
                self.snapshots.clear();
            }
            Network::VerbsLeave => {}
        }
    }

    /// Lets everything arrive.
    fn settle(&mut self) {
        while self.verbs.is_some() || !self.mirror.unsent().is_empty() {
            for network in [
                Network::VerbsLeave,
                Network::VerbsArrive,
                Network::ResponseArrives,
            ] {
                self.network(&network);
            }
        }
        self.network(&Network::SnapshotLeaves);
        while !self.snapshots.is_empty() {
            self.network(&Network::SnapshotArrives);
        }
    }
}

fn prompted(turn: &str, typed: bool, wake_line_nonce: Option<String>) -> HookEvent {
    HookEvent::Prompted {
        session: None,
        prompt: Prompt {
            typed,
            text: "go on".into(),
            wake_line_nonce,
            turn: Some(turn.to_owned()),
        },
    }
}

/// Returns a text without the times in it: what comes later to one of the sessions is younger there.
fn without_times(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    let marks = [
        "asked=\\\"",
        "answered=\\\"",
        "expired=\\\"",
        "posted=\\\"",
        "until ",
    ];
    while let Some((at, mark)) = marks
        .iter()
        .filter_map(|mark| Some((rest.find(mark)?, mark)))
        .min()
    {
        kept += &rest[..at];
        rest = &rest[at + mark.len()..];
        rest = &rest[rest.find(['"', ')']).unwrap_or(rest.len())..];
    }
    kept + rest
}

/// Runs a story, and compares at each hook and at the end.
fn run(story: &[Step]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    for step in story {
        pair.take(step)?;
    }
    pair.settle();
    let (mut local, mut hub) = (pair.local.stored(), pair.hub.stored());
    let same: Vec<_> = local
        .iter()
        .filter(|row| hub.contains(row))
        .cloned()
        .collect();
    local.retain(|row| !same.contains(row));
    hub.retain(|row| !same.contains(row));
    prop_assert_eq!(local, hub, "what is stored");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn far_hooks_print_and_leave_what_local_hooks_do(story in story::stories(60)) {
        run(&story)?;
    }
}

/// Returns the output of a hook, and records it as delivered.
fn deliver<M: HookMesh>(call: &HookCall, mesh: &mut M, me: &SessionHandle) -> Option<HookOutput> {
    hooks::record_activity(call, mesh, me);
    let delivery = hooks::deliver(call, mesh, me).unwrap()?;
    delivery.record(mesh, me).unwrap();
    Some(delivery.output)
}
