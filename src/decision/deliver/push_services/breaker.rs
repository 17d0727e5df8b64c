//! Circuit breaker of one push service: how many requests may be started now. In go outcomes of requests, times and draws of
//! chance; nothing here waits or sends. The breaker is the one of Nygard, *Release It!* (2007); the number of concurrent requests
//! grows by one an answer and is halved by a failure (additive increase, multiplicative decrease, Chiu and Jain 1989).

use tidings_core::base::{Millis, Timestamp};

/// Concurrent requests to a service of which nothing is known yet.
pub(super) const FIRST_REQUESTS: usize = 4;
/// So many failures in a row open the breaker.
const FAILURES_IN_A_ROW: u32 = 5;
/// So many of the last [`WINDOW`] open it as well.
const FAILURES_IN_WINDOW: u32 = 10;
const WINDOW: u32 = 20;
/// The breaker stays open at least half of this, at most all of it; each failed probe doubles it.
const FIRST_OPEN_MS: u64 = 2_000;
const MAX_OPEN_MS: u64 = 120_000;
/// Requests in the first window after a probe was answered; each next window has twice as many.
const FIRST_WINDOW_REQUESTS: usize = 2;
/// A window of so many ends the return: from there on only the number of concurrent requests bounds it.
const LAST_WINDOW_REQUESTS: usize = 1_024;
/// Mean length of a window; drawn from half to one and a half times this.
const WINDOW_MS: u64 = 1_000;
/// A 429 may mean one subscription only: the first pauses the service for at most this long, those after it in full.
const MAX_FIRST_BUSY: Millis = Millis::seconds(60);

/// Outcome of one request, as the breaker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service answered: it works, whatever it said of the message.
    Answered,
    /// No answer in time, no connection, or an error of the server (5xx).
    Failed,
    /// The service asked to be left alone for this long (`Retry-After`).
    Paused(Millis),
    /// The same in an answer that may concern a single subscription (429).
    Busy(Millis),
    /// No request was made.
    Unused,
}

/// State of a breaker, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests go.
    Closed,
    /// One request asks whether the service is back.
    HalfOpen,
    /// The service is back and gets more requests from window to window.
    Returning,
    /// No request goes.
    Open,
}

impl BreakerState {
    /// Name in answers and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Returning => "returning",
            Self::Open => "open",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    /// Nothing goes before `until`, then one probe.
    Open {
        until: Timestamp,
    },
    /// A probe is under way.
    Probing,
    /// At most `size` requests until `ends`, of which `left` are left.
    Returning {
        ends: Timestamp,
        size: usize,
        left: usize,
    },
}

/// One push service.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
    /// Requests that have not ended.
    pub in_flight: usize,
    /// Most concurrent requests at present.
    limit: usize,
    failures_in_a_row: u32,
    /// The latest outcomes, the newest in the lowest bit; 1 = failure.
    outcomes: u32,
    /// Times it opened since the service last was back for good.
    trips: u32,
    /// 429s since the last other answer.
    busy_in_a_row: u32,
    /// Answered since it last opened.
    pub is_proven: bool,
    /// Draw of the latest outcome, for lengths of windows.
    chance: f64,
    /// Requests that ended, and those that failed.
    pub ended: u64,
    pub failed: u64,
    pub used_at: Timestamp,
}

impl Breaker {
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: State::Closed,
            in_flight: 0,
            limit: FIRST_REQUESTS,
            failures_in_a_row: 0,
            outcomes: 0,
            trips: 0,
            busy_in_a_row: 0,
            is_proven: false,
            chance: 0.5,
            ended: 0,
            failed: 0,
            used_at: now,
        }
    }

    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing => BreakerState::HalfOpen,
            State::Returning { .. } => BreakerState::Returning,
        }
    }

    /// End of the pause of an open breaker.
    pub fn open_until(&self) -> Option<Timestamp> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Requests that may be started now, at most `max` at the same time.
    pub fn free(&mut self, max: usize, now: Timestamp) -> usize {
        match &mut self.state {
            State::Closed => self.limit.min(max).saturating_sub(self.in_flight),
            State::Open { until } => usize::from(*until <= now),
            State::Probing => 0,
            State::Returning { ends, size, left } => {
                if *ends <= now {
                    *size *= 2;
                    (*ends, *left) = (now + window(self.chance), *size);
                }
                let (size, left) = (*size, *left);
                if size >= LAST_WINDOW_REQUESTS {
                    (self.state, self.trips) = (State::Closed, 0);
                }
                self.limit.min(max).saturating_sub(self.in_flight).min(left)
            }
        }
    }

    pub fn started(&mut self, now: Timestamp) {
        self.in_flight += 1;
        self.used_at = now;
        match &mut self.state {
            State::Open { until } if *until <= now => self.state = State::Probing,
            State::Returning { left, .. } => *left = left.saturating_sub(1),
            State::Closed | State::Probing | State::Open { .. } => {}
        }
    }

    /// A request ended. `chance` is uniform in 0…1.
    pub fn note_end(&mut self, outcome: Outcome, max: usize, now: Timestamp, chance: f64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.chance = chance;
        match outcome {
            Outcome::Unused => {
                if matches!(self.state, State::Probing) {
                    self.state = State::Open { until: now };
                }
                return;
            }
            Outcome::Answered => self.answered(max, now),
            Outcome::Failed => self.note_failure(now),
            Outcome::Paused(wait) => self.pause(wait, now),
            Outcome::Busy(wait) => {
                let most = if self.busy_in_a_row == 0 { wait.min(MAX_FIRST_BUSY) } else { wait };
                self.busy_in_a_row += 1;
                self.pause(most, now);
            }
        }
        self.ended += 1;
    }

    fn answered(&mut self, max: usize, now: Timestamp) {
        (self.failures_in_a_row, self.busy_in_a_row, self.is_proven) = (0, 0, true);
        self.outcomes <<= 1;
        self.limit = (self.limit + 1).min(max);
        if matches!(self.state, State::Probing) {
            let (ends, size) = (now + window(self.chance), FIRST_WINDOW_REQUESTS);
            self.state = State::Returning { ends, size, left: size };
            self.limit = FIRST_REQUESTS;
        }
    }

    fn note_failure(&mut self, now: Timestamp) {
        self.failed += 1;
        self.failures_in_a_row += 1;
        self.outcomes = (self.outcomes << 1) | 1;
        self.limit = (self.limit / 2).max(1);
        let recent = self.outcomes & ((1 << WINDOW) - 1);
        match self.state {
            // What was under way when it opened says nothing new.
            State::Open { .. } => {}
            State::Probing => self.open(now),
            State::Closed | State::Returning { .. } => {
                if self.failures_in_a_row >= FAILURES_IN_A_ROW || recent.count_ones() >= FAILURES_IN_WINDOW {
                    self.open(now);
                }
            }
        }
    }

    fn open(&mut self, now: Timestamp) {
        let most = FIRST_OPEN_MS.saturating_mul(1 << self.trips.min(16)).min(MAX_OPEN_MS);
        self.trips += 1;
        self.close_to_all(now + Millis(most / 2 + ((most / 2) as f64 * self.chance) as u64));
    }

    /// The wait that the service asked for, and up to a tenth more: all its clients were told the same.
    fn pause(&mut self, wait: Millis, now: Timestamp) {
        self.failed += 1;
        let until = now + Millis(wait.0.saturating_add((wait.0 as f64 * 0.1 * self.chance) as u64));
        self.close_to_all(self.open_until().map_or(until, |before| before.max(until)));
    }

    fn close_to_all(&mut self, until: Timestamp) {
        self.state = State::Open { until };
        (self.failures_in_a_row, self.outcomes, self.is_proven) = (0, 0, false);
    }
}

fn window(chance: f64) -> Millis {
    Millis(WINDOW_MS / 2 + (WINDOW_MS as f64 * chance) as u64)
}
