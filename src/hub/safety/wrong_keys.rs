//! Slows those who try keys: each wrong key of an address is answered later than the one before, up to a second. A right key
//! is never delayed, from whatever address.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::hub::api_error::ApiError;
use crate::hub::log::log;

/// The delay after the second wrong key; it doubles with each.
const FIRST_DELAY_MS: u64 = 10;
const DELAY_MAX_MS: u64 = 1000;
/// How many answers to one address are delayed at once. More are refused immediately, so that they hold no connections.
const DELAYED_MAX: u32 = 8;
/// An address without a wrong key for so long begins again, in milliseconds.
const FORGET_MS: i64 = 600_000;
/// How many addresses are remembered; the one that was quiet for longest is forgotten first.
const ADDRESSES_MAX: usize = 1024;

/// The wrong keys of each address.
#[derive(Debug, Default)]
pub(in crate::hub) struct WrongKeys(Mutex<HashMap<IpAddr, Tries>>);

#[derive(Debug, Default, Clone, Copy)]
struct Tries {
    count: u32,
    /// Answers that wait now.
    delayed: u32,
    last_monotonic_ms: i64,
}

/// What happens to a wrong key.
#[derive(Debug, PartialEq, Eq)]
enum Slowing {
    Delay(Duration),
    Refuse,
}

impl WrongKeys {
    /// Takes note of a wrong key, and returns when it is to be answered.
    pub(in crate::hub) async fn slow_down(
        &self,
        address: IpAddr,
        now_monotonic_ms: i64,
    ) -> Result<(), ApiError> {
        match self.note(address, now_monotonic_ms) {
            Slowing::Delay(delay) => {
                let _delayed = DelayGuard {
                    wrong_keys: self,
                    address,
                };
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Slowing::Refuse => {
                let delay = Duration::from_millis(DELAY_MAX_MS);
                Err(ApiError::too_many_requests("too many wrong keys", delay))
            }
        }
    }

    fn note(&self, address: IpAddr, now_monotonic_ms: i64) -> Slowing {
        let mut addresses = self.addresses();
        if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(&address) {
            forget_one(&mut addresses);
        }
        let tries = addresses.entry(address).or_default();
        if now_monotonic_ms - tries.last_monotonic_ms >= FORGET_MS {
            tries.count = 0;
        }
        tries.last_monotonic_ms = now_monotonic_ms;
        tries.count = tries.count.saturating_add(1);
        if tries.count.is_power_of_two() {
            log(&format!("{} wrong keys from {address}", tries.count));
        }
        if tries.delayed >= DELAYED_MAX {
            return Slowing::Refuse;
        }
        tries.delayed += 1;
        Slowing::Delay(delay_after(tries.count))
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Tries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the delay of the answer to the wrong key of that number.
fn delay_after(count: u32) -> Duration {
    let doublings = count.saturating_sub(2).min(10);
    let ms = match count {
        0 | 1 => 0,
        _ => (FIRST_DELAY_MS << doublings).min(DELAY_MAX_MS),
    };
    Duration::from_millis(ms)
}

/// Forgets the address that was quiet for longest. One whose answers wait is kept, or its count of them would be lost.
fn forget_one(addresses: &mut HashMap<IpAddr, Tries>) {
    let quiet = addresses.iter().filter(|(_, tries)| tries.delayed == 0);
    let oldest = quiet.min_by_key(|(_, tries)| tries.last_monotonic_ms);
    if let Some(address) = oldest.map(|(address, _)| *address) {
        addresses.remove(&address);
    }
}

/// An answer that waits, also if its client is gone before.
struct DelayGuard<'a> {
    wrong_keys: &'a WrongKeys,
    address: IpAddr,
}

impl Drop for DelayGuard<'_> {
    fn drop(&mut self) {
        if let Some(tries) = self.wrong_keys.addresses().get_mut(&self.address) {
            tries.delayed = tries.delayed.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn delay_grows_to_one_second() {
        let delays: Vec<u128> = (1..=10)
            .map(|count| delay_after(count).as_millis())
            .collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(delay_after(u32::MAX).as_millis(), 1000);
    }

    #[test]
    fn only_some_answers_of_an_address_are_delayed_at_once() {
        let keys = WrongKeys::default();
        let noted: Vec<Slowing> = (0..10_000).map(|_| keys.note(address(1), 1)).collect();
        let delayed = noted.iter().filter(|it| **it != Slowing::Refuse).count();
        assert_eq!(delayed, DELAYED_MAX as usize);
        assert_eq!(keys.note(address(2), 1), Slowing::Delay(Duration::ZERO));
    }

    #[test]
    fn quiet_address_begins_again_and_few_are_remembered() {
        let keys = WrongKeys::default();
        for _ in 0..3 {
            keys.note(address(1), 1);
        }
        let later = keys.note(address(1), 1 + FORGET_MS);
        assert_eq!(later, Slowing::Delay(Duration::ZERO));
        for number in 0..10_000 {
            keys.note(address(number), 5);
            drop(DelayGuard {
                wrong_keys: &keys,
                address: address(number),
            });
        }
        assert!(keys.addresses().len() <= ADDRESSES_MAX);
    }
}
