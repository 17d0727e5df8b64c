use super::*;
use tidings_core::base::Millis;

const LIMITS: Limits = Limits { total: 64, per_service: 32 };

fn at(ms: i64) -> Timestamp {
    Timestamp(ms * 1_000)
}

/// Starts all that is allowed; how many.
fn start(services: &mut PushServices, service: &str, now: Timestamp) -> usize {
    let n = services.allowance(0, now).of(service);
    for _ in 0..n {
        services.started(service, now);
    }
    n
}

fn end(services: &mut PushServices, service: &str, outcome: Outcome, n: usize, now: Timestamp) {
    for _ in 0..n {
        services.ended(service, outcome, now, 0.5);
    }
}

fn state(services: &PushServices, service: &str) -> BreakerState {
    services.status(9).into_iter().find(|one| one.service == service).unwrap().breaker
}

/// A service that has answered often enough for its whole budget.
fn grown(service: &str) -> PushServices {
    let mut services = PushServices::new(LIMITS);
    for _ in 0..8 {
        let n = start(&mut services, service, at(0));
        end(&mut services, service, Outcome::Answered, n, at(0));
    }
    services
}

#[test]
fn a_service_begins_small_and_grows_to_its_budget() {
    let mut services = PushServices::new(LIMITS);
    assert_eq!(start(&mut services, "a", at(0)), 4);
    assert_eq!(start(&mut services, "a", at(0)), 0);
    end(&mut services, "a", Outcome::Answered, 4, at(1));
    assert_eq!(start(&mut services, "a", at(1)), 8);
    assert_eq!(start(&mut grown("a"), "a", at(2)), 32);
}

#[test]
fn one_that_hangs_leaves_the_others_their_budget() {
    let mut services = grown("a");
    assert_eq!(start(&mut services, "a", at(0)), 32, "and never an answer");
    assert_eq!(start(&mut services, "a", at(0)), 0);
    assert_eq!(start(&mut services, "b", at(0)), 4);
    // However many there are: one that answers finds a place.
    let mut services = grown("good");
    for n in 0..500 {
        start(&mut services, &format!("made up {n}"), at(0));
    }
    assert_eq!(services.in_flight(), LIMITS.total / 2);
    assert!(start(&mut services, "good", at(0)) >= 16);
}

#[test]
fn failures_open_it_and_a_probe_asks_ever_more_seldom() {
    let mut services = grown("a");
    assert_eq!(start(&mut services, "a", at(0)), 32);
    end(&mut services, "a", Outcome::Failed, 4, at(10));
    assert_eq!(state(&services, "a"), BreakerState::Closed);
    end(&mut services, "a", Outcome::Failed, 28, at(10));
    assert_eq!(state(&services, "a"), BreakerState::Open);
    let mut now = 10;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let opened = now;
        while start(&mut services, "a", at(now)) == 0 {
            now += 100;
        }
        pauses.push(now - opened);
        assert_eq!(start(&mut services, "a", at(now)), 0, "one probe at a time");
        end(&mut services, "a", Outcome::Failed, 1, at(now));
    }
    assert_eq!(pauses, [1_500, 3_000, 6_000, 12_000, 24_000, 48_000, 90_000, 90_000, 90_000]);
}

#[test]
fn half_of_the_requests_failing_opens_it_as_well() {
    let mut services = grown("a");
    for _ in 0..10 {
        assert_eq!(state(&services, "a"), BreakerState::Closed);
        services.started("a", at(0));
        services.started("a", at(0));
        services.ended("a", Outcome::Answered, at(0), 0.0);
        services.ended("a", Outcome::Failed, at(0), 0.0);
    }
    assert_eq!(state(&services, "a"), BreakerState::Open);
}

#[test]
fn it_comes_back_in_growing_windows() {
    let mut services = grown("a");
    services.started("a", at(0));
    end(&mut services, "a", Outcome::Paused(Millis::seconds(3)), 1, at(0));
    let mut by_second = Vec::new();
    let mut now = 0;
    for _ in 0..16 {
        let mut n = 0;
        for _ in 0..200 {
            let some = start(&mut services, "a", at(now));
            n += some;
            end(&mut services, "a", Outcome::Answered, some, at(now));
            now += 5;
        }
        by_second.push(n);
    }
    assert_eq!(by_second[..3], [0, 0, 0], "{by_second:?}");
    assert!((1..=4).contains(&by_second[3]), "{by_second:?}");
    let twice = |pair: &[usize]| pair[1] <= 2 * pair[0] + 2;
    assert!(by_second[3..11].windows(2).all(twice), "{by_second:?}");
    assert!(by_second[15] > 1_000 && state(&services, "a") == BreakerState::Closed, "{by_second:?}");
}

#[test]
fn what_it_asks_for_is_obeyed_and_a_single_429_by_one_minute_at_most() {
    let mut services = grown("a");
    let hour = Millis::hours(1);
    services.started("a", at(0));
    services.started("a", at(0));
    services.ended("a", Outcome::Paused(hour), at(0), 0.0);
    services.ended("a", Outcome::Failed, at(1), 0.0);
    services.ended("a", Outcome::Paused(Millis(1)), at(1), 0.0);
    assert_eq!(start(&mut services, "a", at(3_599_999)), 0);
    assert_eq!(start(&mut services, "a", at(3_600_000)), 1);
    let mut services = grown("b");
    for (now, until) in [(0, 60_000), (60_000, 3_660_000)] {
        services.started("b", at(now));
        services.ended("b", Outcome::Busy(hour), at(now), 0.0);
        assert_eq!(start(&mut services, "b", at(until - 1)), 0);
    }
}

#[test]
fn a_probe_that_was_not_made_is_made_by_the_next() {
    let mut services = grown("a");
    services.started("a", at(0));
    services.ended("a", Outcome::Paused(Millis::seconds(1)), at(0), 0.0);
    assert_eq!(start(&mut services, "a", at(1_000)), 1);
    services.ended("a", Outcome::Unused, at(1_000), 0.0);
    assert_eq!(start(&mut services, "a", at(1_000)), 1);
    services.ended("a", Outcome::Answered, at(1_001), 0.0);
    assert_eq!(state(&services, "a"), BreakerState::Returning);
}

#[test]
fn memory_is_bounded_by_the_number_of_services() {
    let mut services = grown("good");
    for n in 0..3_000 {
        let name = n.to_string();
        services.started(&name, at(n));
        services.ended(&name, Outcome::Failed, at(n), 0.0);
    }
    assert_eq!(services.services.len(), MAX_SERVICES);
    assert!(services.services.contains_key("good"));
}

#[test]
fn an_allowance_is_spent_by_halves_and_turns_go_on_after_the_last_user() {
    let mut services = grown("a");
    services.note_turn("a", UserId(7));
    services.note_turn("nobody's", UserId(7));
    let mut allowance = services.allowance(0, at(0));
    assert_eq!((allowance.turn_after("a"), allowance.turn_after("nobody's")), (Some(UserId(7)), None));
    assert_eq!(allowance.proven().collect::<Vec<_>>(), ["a"]);
    let of: Vec<usize> = (0..3)
        .map(|_| {
            let n = allowance.of("a");
            allowance.spend("a", n.min(12));
            n
        })
        .collect();
    assert_eq!(of, [32, 20, 8]);
    assert!(services.allowance(64, at(0)).is_spent());
}
