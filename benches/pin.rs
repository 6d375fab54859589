//! Pinning: a process inherits the CPUs of the thread that starts it, so the thread moves before it starts one.
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which CPUs the processes of a measurement use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    /// The scheduler chooses.
    None,
    /// All on one CPU.
    Same,
    /// The peer on another CPU than the rest.
    Cross,
}

/// The two sides of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The benchmark itself and what it measures from outside.
    Near,
    /// The peer.
    Far,
}

impl Pin {
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "same" => Some(Self::Same),
            "cross" => Some(Self::Cross),
            _ => None,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::None => "unpinned",
            Self::Same => "one CPU",
            Self::Cross => "two CPUs",
        }
    }

    /// Runs a closure on the CPUs of a side; the processes that it starts inherit them.
    pub(crate) fn on<T>(self, side: Side, work: impl FnOnce() -> T) -> T {
        static ALL: OnceLock<CpuSet> = OnceLock::new();
        let before = sched_getaffinity(None).unwrap();
        let all = ALL.get_or_init(|| before);
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|cpu| all.is_set(*cpu))
            .collect();
        let cpu = match (self, side) {
            (Self::None, _) => return work(),
            (Self::Same, _) | (Self::Cross, Side::Near) => cpus[0],
            (Self::Cross, Side::Far) => *cpus.get(1).expect("--pin cross needs two CPUs"),
        };
        let mut one = CpuSet::new();
        one.set(cpu);
        sched_setaffinity(None, &one).unwrap();
        let outcome = work();
        sched_setaffinity(None, &before).unwrap();
        outcome
    }
}
