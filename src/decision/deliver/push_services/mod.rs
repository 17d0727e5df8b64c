//! Bulkheads between push services: a budget of concurrent requests and a circuit breaker for each, so that a service which hangs
//! or fails costs the others nothing. A pure value: outcomes, times and draws go in, permitted requests come out.

mod breaker;

use std::collections::BTreeMap;

use self::breaker::{Breaker, FIRST_REQUESTS};
pub use self::breaker::{BreakerState, Outcome};
use tidings_core::base::{Timestamp, UserId};

/// Services that are kept in memory; a stranger can name any number of them.
const MAX_SERVICES: usize = 1_024;

/// Bounds of concurrent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To all services together.
    pub total: usize,
    /// To one service.
    pub per_service: usize,
}

/// State of one service, for operators.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceStatus {
    /// Origin of its endpoints.
    pub service: String,
    /// State of its breaker.
    pub breaker: BreakerState,
    /// End of the pause of an open breaker.
    pub open_until: Option<Timestamp>,
    /// Requests under way.
    pub in_flight: usize,
    /// Requests that ended since the service became known.
    pub ended: u64,
    /// Those of them that failed or were told to come later.
    pub failed: u64,
}

/// Breakers and budgets of all push services, by origin.
#[derive(Clone, Debug)]
pub struct PushServices {
    limits: Limits,
    services: BTreeMap<String, Breaker>,
    /// The last user who had a turn with a service; those after them are next.
    turns: BTreeMap<String, UserId>,
    in_flight: usize,
}

/// Numbers of messages that may be claimed for the services in one round. A copy, to be spent elsewhere.
#[derive(Clone, Debug)]
pub struct Allowance {
    shares: BTreeMap<String, Share>,
    /// Of a service that is not known.
    unknown: usize,
    room: usize,
    /// Part of the room that services get which have not answered yet.
    unproven_room: usize,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    free: usize,
    in_flight: usize,
    is_proven: bool,
    after: Option<UserId>,
}

impl PushServices {
    /// No service is known.
    pub fn new(limits: Limits) -> Self {
        Self { limits, services: BTreeMap::new(), turns: BTreeMap::new(), in_flight: 0 }
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Requests that may be started now. `held`: requests that have ended and still hold their place.
    pub fn allowance(&mut self, held: usize, now: Timestamp) -> Allowance {
        let per_service = self.limits.per_service;
        let mut unproven = 0;
        let mut shares = BTreeMap::new();
        for (service, breaker) in &mut self.services {
            let share = Share {
                free: breaker.free(per_service, now),
                in_flight: breaker.in_flight,
                is_proven: breaker.is_proven,
                after: self.turns.get(service).copied(),
            };
            unproven += if share.is_proven { 0 } else { breaker.in_flight };
            shares.insert(service.clone(), share);
        }
        Allowance {
            shares,
            unknown: FIRST_REQUESTS.min(per_service),
            room: self.limits.total.saturating_sub(self.in_flight + held),
            unproven_room: self.limits.total.div_ceil(2).saturating_sub(unproven),
        }
    }

    /// A request to `service` begins.
    pub fn started(&mut self, service: &str, now: Timestamp) {
        self.in_flight += 1;
        if let Some(breaker) = self.services.get_mut(service) {
            return breaker.started(now);
        }
        if self.services.len() >= MAX_SERVICES {
            self.forget_one();
        }
        let mut breaker = Breaker::new(now);
        breaker.started(now);
        self.services.insert(service.to_owned(), breaker);
    }

    /// A request to `service` ended. `chance` is uniform in 0…1. Returns the breaker's state if this changed it.
    pub fn ended(
        &mut self,
        service: &str,
        outcome: Outcome,
        now: Timestamp,
        chance: f64,
    ) -> Option<BreakerState> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let breaker = self.services.get_mut(service)?;
        let before = breaker.state();
        breaker.note_end(outcome, self.limits.per_service, now, chance);
        (breaker.state() != before).then(|| breaker.state())
    }

    /// The last user who had a turn with `service`.
    pub fn note_turn(&mut self, service: &str, user: UserId) {
        if self.services.contains_key(service) {
            self.turns.insert(service.to_owned(), user);
        }
    }

    /// At most `max` services: those with an open breaker first, then by requests under way.
    pub fn status(&self, max: usize) -> Vec<ServiceStatus> {
        let mut all: Vec<(&String, &Breaker)> = self.services.iter().collect();
        let is_well = |breaker: &Breaker| breaker.state() == BreakerState::Closed;
        all.sort_by_key(|(_, breaker)| {
            (is_well(breaker), !breaker.is_proven, std::cmp::Reverse((breaker.in_flight, breaker.ended)))
        });
        let status = |(service, breaker): (&String, &Breaker)| ServiceStatus {
            service: service.clone(),
            breaker: breaker.state(),
            open_until: breaker.open_until(),
            in_flight: breaker.in_flight,
            ended: breaker.ended,
            failed: breaker.failed,
        };
        all.into_iter().take(max).map(status).collect()
    }

    /// The service that was used least recently, those that never answered first; never one with requests under way.
    fn forget_one(&mut self) {
        let idle = self.services.iter().filter(|(_, breaker)| breaker.in_flight == 0);
        let oldest = idle.min_by_key(|(_, breaker)| (breaker.is_proven, breaker.used_at));
        if let Some(service) = oldest.map(|(service, _)| service.clone()) {
            self.services.remove(&service);
            self.turns.remove(&service);
        }
    }
}

impl Allowance {
    /// Services that answer: they are asked for first, however many others wait.
    pub fn proven(&self) -> impl Iterator<Item = &str> {
        self.shares.iter().filter(|(_, share)| share.is_proven).map(|(service, _)| service.as_str())
    }

    /// Returns whether nothing may be claimed for any service.
    pub fn is_spent(&self) -> bool {
        self.room == 0
    }

    /// Requests that may be claimed for `service`: with those under way never more than half of what it and the others could have,
    /// so that something is left for the next one.
    pub fn of(&self, service: &str) -> usize {
        let share = self.shares.get(service).copied().unwrap_or(self.unknown());
        let half =
            |room: usize| (room + share.in_flight).div_ceil(2).saturating_sub(share.in_flight).min(room);
        let may = share.free.min(half(self.room));
        if share.is_proven { may } else { may.min(half(self.unproven_room)) }
    }

    fn unknown(&self) -> Share {
        Share { free: self.unknown, in_flight: 0, is_proven: false, after: None }
    }

    /// The user after whom the next turn begins.
    pub fn turn_after(&self, service: &str) -> Option<UserId> {
        self.shares.get(service).and_then(|share| share.after)
    }

    /// `user` had the last turn with `service`.
    pub fn note_turn(&mut self, service: &str, user: UserId) {
        if let Some(share) = self.shares.get_mut(service) {
            share.after = Some(user);
        }
    }

    /// `n` were claimed for `service`.
    pub fn spend(&mut self, service: &str, n: usize) {
        self.room = self.room.saturating_sub(n);
        let unknown = self.unknown();
        let share = self.shares.entry(service.to_owned()).or_insert(unknown);
        share.free = share.free.saturating_sub(n);
        share.in_flight += n;
        if !share.is_proven {
            self.unproven_room = self.unproven_room.saturating_sub(n);
        }
    }
}

#[cfg(test)]
mod tests;
