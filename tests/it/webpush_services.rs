//! Web Push to several push services, some of which hang, fail or ask for a pause.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp, UserId};
use tidings::store::Fields;
use tidings::store::push_outbox::{self, Turn};

use crate::helpers::database::TestDatabase;
use crate::helpers::push_service::PushService;
use crate::helpers::server::{Server, wait_for};
use crate::webpush::{lax, numbers, order, subscribe, user, waiting};

/// How long a message to a service that is well may take.
const SOON: Duration = Duration::from_secs(2);

/// What the server tells operators of a service.
fn told(server: &Server, service: &PushService) -> Value {
    let services = numbers(server)["services"].clone();
    let mut all = services.as_array().unwrap().iter();
    all.find(|one| one["service"] == service.origin()).cloned().unwrap_or_default()
}

#[test]
fn a_service_that_hangs_or_fails_costs_another_nothing() {
    for (answer, most) in [(None, 4), (Some((500, "")), 16)] {
        let database = TestDatabase::new();
        let (server, bad, good) = (lax(&database), PushService::start(), PushService::start());
        bad.answer_all(answer);
        let mut http = server.http();
        for user in 1..=20 {
            subscribe(&mut http, json!(user), &bad.endpoint(&user.to_string()));
        }
        subscribe(&mut http, json!(21), &good.endpoint("good"));
        for n in 0..400 {
            order(&database.store, 1 + n % 20, 1 + n, json!({"title": "Hello"}), Millis::hours(1));
        }
        bad.wait_for(4);
        let started = Instant::now();
        order(&database.store, 21, 1, json!({"title": "Hello"}), Millis::hours(1));
        good.wait_for(1);
        assert!(started.elapsed() < SOON, "{answer:?}: {:?}", started.elapsed());
        let asked = bad.pushed().len();
        assert!(asked <= most, "{answer:?}: {asked} requests");
        // Nothing of it was given up.
        wait_for("the good one's end", || numbers(&server)["sent"] == 1);
        assert_eq!(waiting(&database.store), 400);
        if answer.is_some() {
            wait_for("the breaker to show", || told(&server, &bad)["breaker"] == "open");
            let metrics = server.http().get("/metrics").body;
            let accepted = format!(
                "tidings_webpush_requests_total{{service=\"{}\",outcome=\"accepted\"}} 1",
                good.origin()
            );
            assert!(metrics.contains(&accepted), "{metrics}");
            assert!(metrics.contains("tidings_webpush_breakers_open{service=\"other\"} 1"), "{metrics}");
            assert!(!metrics.contains(&bad.origin()), "a label only for who accepts");
        }
    }
}

#[test]
fn a_service_is_back_to_few_before_it_is_back_to_all_and_what_it_asks_for_is_obeyed() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    let mut http = server.http();
    for user in 1..=20 {
        subscribe(&mut http, json!(user), &service.endpoint(&user.to_string()));
    }
    service.answer_next(Some((503, "Retry-After: 3")));
    order(&database.store, 1, 1, json!({"title": "Hello"}), Millis::hours(1));
    service.wait_for(1);
    wait_for("the breaker to show", || told(&server, &service)["breaker"] == "open");
    for n in 1..120 {
        order(&database.store, 1 + n % 20, 1 + n, json!({"title": "Hello"}), Millis::hours(1));
    }
    let pushed = service.wait_for(121);
    let at = |n: usize| pushed[n].at.millis_since(pushed[0].at).0;
    assert!(at(1) >= 3_000, "asked for 3 s, came after {} ms", at(1));
    let probe = at(1);
    let within = |ms: u64| {
        pushed.iter().skip(1).filter(|one| one.at.millis_since(pushed[0].at).0 <= probe + ms).count()
    };
    // The probe, then windows of 2, 4, 8 … requests of half a second at least.
    for (ms, most) in [(400, 3), (900, 7), (1_400, 15)] {
        assert!(within(ms) <= most, "{} requests within {ms} ms", within(ms));
    }
    wait_for("the outbox to empty", || waiting(&database.store) == 0);
}

#[test]
fn turns_go_round_all_users_of_a_service_and_no_other_service_is_read() {
    let database = TestDatabase::new();
    let (store, service, other) = (&database.store, PushService::start(), PushService::start());
    let users: Vec<UserId> = (1..=5).map(|id| user(store, id)).collect();
    for (index, one) in users.iter().enumerate() {
        let origin = if index == 4 { &other } else { &service };
        let endpoint = origin.endpoint(&index.to_string());
        diesel::connection::SimpleConnection::batch_execute(
            &mut database.connection(),
            &format!(
                "INSERT INTO push_subscriptions (user_id, endpoint, p256dh, auth) VALUES ({}, '{endpoint}', \
                 decode('04' || repeat('01', 64), 'hex'), decode(repeat('01', 16), 'hex'))",
                one.to_sql()
            ),
        )
        .unwrap();
    }
    // Somebody's 30, then one of each.
    for n in 1..=30 {
        order(store, 1, n, json!({"title": "Hello"}), Millis::hours(1));
    }
    for id in 2..=5 {
        order(store, id, 1, json!({"title": "Hello"}), Millis::hours(1));
    }
    let all = store.run_blocking(|conn| push_outbox::services(conn, "", 10)).unwrap();
    let mut expected = vec![service.origin(), other.origin()];
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(store.run_blocking(|conn| push_outbox::services(conn, &all[0], 10)).unwrap(), all[1..]);
    let origin = service.origin();
    let claim = |after: Option<UserId>, limit: i64| -> Vec<UserId> {
        let turn = Turn { service: &origin, after, limit, lease: Millis::hours(1) };
        let now = Timestamp::now();
        let due = database
            .store
            .run_blocking(|conn| push_outbox::claim(conn, &Fields::default(), turn, now))
            .unwrap();
        assert!(due.iter().all(|push| push.service == origin));
        due.iter().map(|push| push.user).collect()
    };
    assert_eq!(claim(None, 2), users[..2], "each has a turn, however many somebody has");
    assert_eq!(claim(Some(users[1]), 2), users[2..4]);
    assert_eq!(claim(Some(users[3]), 4), [users[0]; 4], "only one is left, who gets all of it");
    assert_eq!(claim(Some(users[0]), 100), [users[0]; 25], "after the last one comes the first");
    assert_eq!(claim(None, 100), []);
    // A claim whose answer was lost comes back, and what has expired goes without one.
    let later = Timestamp::now() + Millis::hours(2);
    let freed = store.run_blocking(|conn| push_outbox::free_expired_claims(conn, later)).unwrap();
    assert_eq!(freed, 33);
    assert_eq!(store.run_blocking(|conn| push_outbox::expire(conn, later, 30)).unwrap(), 30);
    assert_eq!(waiting(store), 4);
}

#[test]
fn what_waits_for_a_service_that_never_answers_ends_with_its_message() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    service.answer_all(Some((503, "Retry-After: 3600")));
    subscribe(&mut server.http(), json!(1), &service.endpoint("a"));
    order(&database.store, 1, 1, json!({"title": "Hello"}), Millis::hours(2));
    service.wait_for(1);
    wait_for("the breaker to show", || told(&server, &service)["breaker"] == "open");
    order(&database.store, 1, 2, json!({"title": "For a moment"}), Millis::seconds(2));
    wait_for("it to expire", || waiting(&database.store) == 1);
    assert_eq!(service.pushed().len(), 1);
    wait_for("the expiry to be counted", || numbers(&server)["expired"] == 1);
}
