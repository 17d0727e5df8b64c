//! Rate limits of requests and connections: by address, user, service, and for refused tokens. Memory is constant.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use parking_lot::Mutex;

use tidings_core::base::ExternalId;
use tidings_core::base::rate::{Rate, RateTable, Verdict};
use tidings_core::config::{AuthMode, Config, Limits};

/// Tables, so that threads seldom wait for one another, and sets of eight keys in each: 65,536 keys in 1 MiB.
const TABLES: usize = 16;
const SETS: usize = 512;
/// Window over which rates a second are averaged, seconds.
const WINDOW_S: u32 = 10;
/// Lists of placements that are stored for one client in a minute: more are not looked at by anybody, and each is a row for a month.
const LISTS_PER_MIN: Rate = Rate { quota: 60, window_s: 60 };

/// Kind of a request: each has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reads.
    Read,
    /// Changes something.
    Change,
}

/// Verdict of one rate limit on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Name of the policy in `RateLimit`.
    pub policy: &'static str,
    /// Setting of the rate.
    pub setting: &'static str,
    /// The rate.
    pub rate: Rate,
    /// Result.
    pub verdict: Verdict,
}

/// A key before it is hashed.
#[derive(Hash)]
enum Key<'a> {
    Address(u64),
    Connections(u64),
    Failures(u64),
    User(&'a ExternalId, Class),
    Service(&'a str, Class),
    Events(&'a ExternalId),
    SignIn(&'a str),
    Lists(&'a ExternalId),
}

/// Buckets of all clients of one server.
pub struct Limiter {
    tables: Vec<Mutex<RateTable>>,
    hasher: RandomState,
    started: Instant,
    limits: Limits,
    sign_ins_per_min: u32,
    /// Without tokens only this machine can ask.
    is_off: bool,
}

impl Limiter {
    /// Full buckets.
    pub fn new(config: &Config) -> Self {
        Self {
            tables: (0..TABLES).map(|_| Mutex::new(RateTable::new(SETS))).collect(),
            hasher: RandomState::new(),
            started: Instant::now(),
            limits: config.limits.clone(),
            sign_ins_per_min: config.people.attempts_per_min,
            is_off: config.auth.mode == AuthMode::Off,
        }
    }

    /// Counts a request without the token of a service; `None` without a limit.
    pub fn address(&self, address: Option<IpAddr>) -> Option<Limited> {
        let network = network(self.counted(address)?);
        self.take(&Key::Address(network), "address", "limits.address_per_s", self.limits.address_per_s)
    }

    /// Gives back what [`Self::address`] counted for a request that turned out not to be one of those.
    pub fn give_back(&self, address: Option<IpAddr>, counted: &Limited) {
        let Some(address) = address.filter(|_| counted.verdict.allowed) else { return };
        self.locked(&Key::Address(network(address)), |table, key, _| table.give_back(key, counted.rate));
    }

    /// Counts a new connection that stays open; also refused while its address has no failures left.
    pub fn connection(&self, address: Option<IpAddr>) -> Option<Limited> {
        let network = network(self.counted(address)?);
        if self.has_no_failures_left(address) {
            return self.failure(address);
        }
        let rate = self.limits.connections_per_s;
        self.take(&Key::Connections(network), "connections", "limits.connections_per_s", rate)
    }

    /// Counts a request with the token of a user.
    pub fn user(&self, user: &ExternalId, class: Class) -> Option<Limited> {
        self.take(&Key::User(user, class), "user", "limits.user_per_s", self.limits.user_per_s)
    }

    /// Counts so many events that a user tells of with a token of their own. More of them than the quota are never allowed.
    pub fn events(&self, user: &ExternalId, n: usize) -> Option<Limited> {
        let rate = per_minute(self.limits.user_events_per_minute).filter(|_| !self.is_off)?;
        let cost = u32::try_from(n).unwrap_or(u32::MAX);
        let verdict = self.locked(&Key::Events(user), |table, key, now| table.take(key, rate, cost, now))?;
        Some(Limited { policy: "events", setting: "limits.user_events_per_minute", rate, verdict })
    }

    /// Counts a request with the token of a service or an administrator.
    pub fn service(&self, name: &str, class: Class) -> Option<Limited> {
        self.take(&Key::Service(name, class), "service", "limits.service_per_s", self.limits.service_per_s)
    }

    /// Counts a refused token, whether or not its address is exempt from other limits.
    pub fn failure(&self, address: Option<IpAddr>) -> Option<Limited> {
        let rate = per_minute(self.limits.failures_per_min).filter(|_| !self.is_off)?;
        let key = Key::Failures(network(address?));
        let verdict = self.locked(&key, |table, key, now| table.take(key, rate, 1, now))?;
        Some(Limited { policy: "failures", setting: "limits.failures_per_min", rate, verdict })
    }

    /// Counts an attempt to sign in as somebody, whether or not there is such a person; also refused while its address has no failures
    /// left, since a password can be guessed and a token can't.
    pub fn sign_in(&self, name: &str, address: Option<IpAddr>) -> Option<Limited> {
        if self.has_no_failures_left(address) {
            return self.failure(address);
        }
        let rate = per_minute(self.sign_ins_per_min).filter(|_| !self.is_off)?;
        let verdict = self.locked(&Key::SignIn(name), |table, key, now| table.take(key, rate, 1, now))?;
        Some(Limited { policy: "sign-in", setting: "people.attempts_per_min", rate, verdict })
    }

    /// Counts a list of a placement that a user asks for with a token of their own; false for one that is not to be stored.
    pub fn list(&self, user: &ExternalId) -> bool {
        let take = |table: &mut RateTable, key, now| table.take(key, LISTS_PER_MIN, 1, now);
        self.is_off || self.locked(&Key::Lists(user), take).is_none_or(|verdict| verdict.allowed)
    }

    fn has_no_failures_left(&self, address: Option<IpAddr>) -> bool {
        let Some((address, rate)) = address.zip(per_minute(self.limits.failures_per_min)) else {
            return false;
        };
        let key = Key::Failures(network(address));
        self.locked(&key, |table, key, now| table.remaining(key, rate, now)) == Some(0)
    }

    /// The address, if it is counted by its address at all.
    fn counted(&self, address: Option<IpAddr>) -> Option<IpAddr> {
        address.filter(|address| !self.limits.exempt.iter().any(|network| network.contains(*address)))
    }

    fn take(
        &self,
        key: &Key<'_>,
        policy: &'static str,
        setting: &'static str,
        per_s: u32,
    ) -> Option<Limited> {
        if self.is_off || per_s == 0 {
            return None;
        }
        let rate = Rate { quota: per_s.saturating_mul(WINDOW_S), window_s: WINDOW_S };
        let verdict = self.locked(key, |table, key, now| table.take(key, rate, 1, now))?;
        Some(Limited { policy, setting, rate, verdict })
    }

    fn locked<T>(&self, key: &Key<'_>, work: impl FnOnce(&mut RateTable, u64, u64) -> T) -> Option<T> {
        let key = self.hasher.hash_one(key);
        // Never 0, which means an unused slot.
        let now_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        let table = self.tables.get(usize::try_from(key >> 32).unwrap_or(0) % TABLES)?;
        Some(work(&mut table.lock(), key, now_us))
    }
}

fn per_minute(quota: u32) -> Option<Rate> {
    (quota > 0).then_some(Rate { quota, window_s: 60 })
}

/// Network of one client: an IPv4 address, or the first 64 bits of an IPv6 address, which is what a client is given.
pub fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(set: impl FnOnce(&mut Limits)) -> Limiter {
        let mut config = Config::default();
        config.auth.mode = AuthMode::Token;
        set(&mut config.limits);
        Limiter::new(&config)
    }

    fn allowed(limited: Option<Limited>) -> bool {
        limited.is_none_or(|limited| limited.verdict.allowed)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn of_a_client_that_asks_for_lists_in_a_loop_a_minutes_worth_is_stored() {
        let (limiter, user) = (limiter(|_| {}), ExternalId::Integer(7));
        let stored = (0..1_000).filter(|_| limiter.list(&user)).count();
        assert!((60..70).contains(&stored), "{stored}");
        assert!(limiter.list(&ExternalId::Integer(8)));
    }

    #[test]
    fn addresses_of_one_network_share_and_exempt_ones_are_not_counted() {
        let limiter = limiter(|limits| limits.address_per_s = 1);
        for n in 0..10 {
            assert!(allowed(limiter.address(address(&format!("2001:db8::{n}")))));
        }
        assert!(!allowed(limiter.address(address("2001:db8::ffff"))));
        assert!(allowed(limiter.address(address("2001:db8:0:1::1"))));
        for _ in 0..10 {
            assert!(allowed(limiter.address(address("203.0.113.1"))));
        }
        assert!(!allowed(limiter.address(address("::ffff:203.0.113.1"))));
        assert!(allowed(limiter.address(address("203.0.113.2"))));
        for _ in 0..1_000 {
            assert_eq!(limiter.address(address("127.0.0.1")), None);
            assert_eq!(limiter.address(None), None);
        }
    }

    #[test]
    fn a_request_that_is_given_back_leaves_the_rate_of_its_address_as_it_was() {
        let limiter = limiter(|limits| limits.address_per_s = 1);
        let own = address("203.0.113.1");
        for _ in 0..1_000 {
            let counted = limiter.address(own).unwrap();
            assert!(counted.verdict.allowed);
            limiter.give_back(own, &counted);
        }
        assert!((0..10).all(|_| allowed(limiter.address(own))));
        let refused = limiter.address(own).unwrap();
        limiter.give_back(own, &refused);
        assert!(!allowed(limiter.address(own)), "a refusal took nothing");
    }

    #[test]
    fn users_are_counted_by_what_they_do_and_services_not_at_all_by_default() {
        let limiter = limiter(|limits| limits.user_per_s = 2);
        let (one, other) = (ExternalId::Integer(1), ExternalId::Integer(2));
        for _ in 0..20 {
            assert!(allowed(limiter.user(&one, Class::Read)));
        }
        assert!(!allowed(limiter.user(&one, Class::Read)));
        assert!(allowed(limiter.user(&one, Class::Change)) && allowed(limiter.user(&other, Class::Read)));
        for _ in 0..10_000 {
            assert_eq!(limiter.service("backend", Class::Change), None);
        }
    }

    #[test]
    fn a_user_tells_of_so_many_events_a_minute_in_whatever_batches_they_come() {
        let limiter = limiter(|limits| limits.user_events_per_minute = 100);
        let (one, other) = (ExternalId::Integer(1), ExternalId::Integer(2));
        assert!(allowed(limiter.events(&one, 60)) && allowed(limiter.events(&one, 40)));
        let refused = limiter.events(&one, 10).unwrap();
        assert!(!refused.verdict.allowed && (1..=6).contains(&refused.verdict.reset_s()));
        assert!(allowed(limiter.events(&other, 100)) && !allowed(limiter.events(&other, 101)));
        assert!(allowed(limiter.user(&one, Class::Change)), "requests are counted apart");
    }

    #[test]
    fn refused_tokens_count_from_everywhere_and_close_the_door_to_connections_of_strangers_only() {
        let limiter = limiter(|limits| limits.failures_per_min = 3);
        for of in ["203.0.113.1", "127.0.0.1"] {
            assert!(allowed(limiter.connection(address(of))));
            for _ in 0..3 {
                assert!(allowed(limiter.failure(address(of))));
            }
            let refused = limiter.failure(address(of)).unwrap();
            assert!(!refused.verdict.allowed && (1..=20).contains(&refused.verdict.reset_s()));
        }
        let refused = limiter.connection(address("203.0.113.1")).unwrap();
        assert_eq!((refused.policy, refused.verdict.allowed), ("failures", false));
        assert!(allowed(limiter.connection(address("203.0.113.2"))));
        assert!(allowed(limiter.connection(address("127.0.0.1"))), "a proxy may hide others behind it");
    }

    #[test]
    fn attempts_to_sign_in_count_by_name_and_end_where_an_address_has_failed_too_often() {
        let limiter = limiter(|limits| limits.failures_per_min = 3);
        for _ in 0..10 {
            assert!(allowed(limiter.sign_in("anna", address("203.0.113.1"))));
        }
        let refused = limiter.sign_in("anna", address("203.0.113.2")).unwrap();
        assert_eq!((refused.policy, refused.verdict.allowed), ("sign-in", false));
        for _ in 0..3 {
            assert!(allowed(limiter.sign_in("ben", address("203.0.113.3"))));
            limiter.failure(address("203.0.113.3"));
        }
        assert_eq!(limiter.sign_in("ben", address("203.0.113.3")).unwrap().policy, "failures");
        assert!(allowed(limiter.sign_in("ben", address("203.0.113.1"))));
    }

    #[test]
    fn without_tokens_nothing_is_counted() {
        let limiter = Limiter::new(&Config::default());
        for _ in 0..10_000 {
            assert_eq!(limiter.failure(address("203.0.113.1")), None);
            assert_eq!(limiter.user(&ExternalId::Integer(1), Class::Read), None);
        }
    }
}
