//! Frequency caps: what expired before anybody was given it gives its place back, live and after a restart.

use diesel::prelude::*;
use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::push_service::PushService;
use crate::helpers::server::{Server, wait_for};
use crate::webpush::{start, subscribe};

/// One message an hour, whatever it is.
const ONE_AN_HOUR: &str = r#"policy.caps=[{ category = "*", window_min = 60, max = 1 }]"#;
/// Long enough for a decision to be made within it on a busy machine.
const LASTS_MS: i64 = 1_500;

fn server(database: &TestDatabase) -> Server {
    Server::start(&database.url, &["--set", ONE_AN_HOUR])
}

fn at(milliseconds_from_now: i64) -> String {
    Timestamp::from_millis(Timestamp::now().as_millis() + milliseconds_from_now).to_string()
}

/// The shop says something that is worth showing for so long; its title as the id.
fn say(server: &Server, user: i64, title: &str, lasts_ms: i64) {
    let message =
        json!({"user_id": user, "kind": "news", "title": title, "body": "b", "expires_at": at(lasts_ms)});
    let answer = server.http().post("/v1/notifications", &message);
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// Titles of what was stored for a user, in order.
fn stored(database: &TestDatabase, user: i64) -> Vec<String> {
    let rows = diesel::sql_query(
        "SELECT n.frame::jsonb->>'title' AS title FROM notifications n JOIN users u USING (user_id) \
         WHERE u.external_id = $1 AND n.trigger = 'api' ORDER BY stream_offset",
    )
    .bind::<diesel::sql_types::Text, _>(user.to_string())
    .load::<Title>(&mut database.connection())
    .unwrap();
    rows.into_iter().map(|row| row.title).collect()
}

#[derive(QueryableByName)]
struct Title {
    #[diesel(sql_type = diesel::sql_types::Text)]
    title: String,
}

/// Waits until a message of the shop was held back for the cap as often as that.
fn capped(server: &Server, user: i64, times: usize) {
    wait_for("the cap", || {
        let answer = server.http().get(&format!("/admin/decisions?user_id={user}")).json();
        let decisions = answer["decisions"].as_array().unwrap();
        let capped = |one: &&Value| {
            one["outcome"] == "drop" && one["reasons"][0].as_str().is_some_and(|said| said.starts_with("cap"))
        };
        decisions.iter().filter(capped).count() == times
    });
}

fn look(client: &mut Client, visible: bool) {
    client.send(&json!({"type": "presence", "visible": visible}));
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
}

fn wait_until(moment_ms: i64) {
    wait_for("its time to be over", || Timestamp::now().as_millis() > moment_ms);
}

#[test]
fn what_expired_unseen_gives_its_place_back_and_what_was_given_does_not() {
    let database = TestDatabase::new();
    let mut server = server(&database);
    let [mut hidden, mut looked, mut late] = [1, 2, 3].map(|user| server.login(user).0);
    look(&mut hidden, false);
    look(&mut late, false);
    let users = [1, 2, 3, 4];
    users.iter().for_each(|user| say(&server, *user, "first", LASTS_MS));
    let over = Timestamp::now().as_millis() + LASTS_MS;
    // The frame comes to a hidden page as well, which says so: nobody saw it.
    let frame = hidden.expect("notification");
    hidden.send(&json!({"type": "ack", "offset": frame["offset"]}));
    looked.expect("notification");
    late.expect("notification");
    look(&mut late, true);
    users.iter().for_each(|user| say(&server, *user, "while it could be shown", 60_000));
    users.iter().for_each(|user| capped(&server, *user, 1));
    wait_until(over);
    users.iter().for_each(|user| say(&server, *user, "after it expired", LASTS_MS));
    for user in [1, 4] {
        wait_for("the place that was given back", || {
            stored(&database, user) == ["first", "after it expired"]
        });
    }
    for user in [2, 3] {
        capped(&server, user, 2);
        assert_eq!(stored(&database, user), ["first"]);
    }
    // The same from what is stored.
    let over = Timestamp::now().as_millis() + LASTS_MS;
    server.kill();
    wait_until(over);
    let again = self::server(&database);
    users.iter().for_each(|user| say(&again, *user, "after a restart", 60_000));
    for user in [1, 4] {
        wait_for("the place that was given back", || {
            stored(&database, user) == ["first", "after it expired", "after a restart"]
        });
    }
    for user in [2, 3] {
        capped(&again, user, 3);
        assert_eq!(stored(&database, user), ["first"]);
    }
}

#[test]
fn what_was_taken_back_unseen_gives_its_place_to_the_message_that_corrects_it() {
    let database = TestDatabase::new();
    let mut server = server(&database);
    let [mut hidden, mut looked] = [1, 2].map(|user| server.login(user).0);
    look(&mut hidden, false);
    let users = [1, 2, 3];
    users.iter().for_each(|user| say(&server, *user, "wrong", 60_000));
    hidden.expect("notification");
    looked.expect("notification");
    let take_back = |server: &Server, user: i64| {
        let page = server.http().get(&format!("/v1/users/{user}/inbox")).json();
        let id = page["messages"][0]["notification_id"].as_str().unwrap().to_owned();
        assert_eq!(server.http().delete(&format!("/v1/notifications/{id}")).status, 204);
    };
    users.iter().for_each(|user| take_back(&server, *user));
    // The one who may have read it has had the message of this hour.
    users.iter().for_each(|user| say(&server, *user, "right", 60_000));
    for user in [1, 3] {
        wait_for("the correction", || stored(&database, user) == ["wrong", "right"]);
    }
    capped(&server, 2, 1);
    // The same from what is stored, and only once a place.
    users.iter().for_each(|user| say(&server, *user, "one more", 60_000));
    capped(&server, 2, 2);
    [1, 3].iter().for_each(|user| capped(&server, *user, 1));
    [1, 3].iter().for_each(|user| take_back(&server, *user));
    server.kill();
    let server = self::server(&database);
    users.iter().for_each(|user| say(&server, *user, "after a restart", 60_000));
    for user in [1, 3] {
        wait_for("the correction", || stored(&database, user) == ["wrong", "right", "after a restart"]);
    }
    capped(&server, 2, 3);
}

#[test]
fn what_a_push_service_took_keeps_its_place_and_the_database_says_so() {
    let database = TestDatabase::new();
    let service = PushService::start();
    let settings = [("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true"), ("TIDINGS_WEBPUSH_NOT_FOR", "")];
    let server = start(&database, &settings);
    subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    subscribe(&mut server.http(), json!(2), &service.endpoint("two"));
    say(&server, 1, "taken", 60_000);
    service.wait_for(1);
    service.answer_next(Some((410, "")));
    say(&server, 2, "refused", 60_000);
    let given = |user: i64| {
        let rows = diesel::sql_query(
            "SELECT (given_at IS NOT NULL)::text AS title FROM notifications n JOIN users u USING (user_id) \
             WHERE u.external_id = $1 AND n.channel = 1",
        );
        rows.bind::<diesel::sql_types::Text, _>(user.to_string())
            .load::<Title>(&mut database.connection())
            .unwrap()
            .into_iter()
            .map(|row| row.title)
            .collect::<Vec<_>>()
    };
    wait_for("the push to be recorded", || given(1) == ["true"]);
    wait_for("the end of the subscription", || {
        database.count("SELECT count(*) AS n FROM push_subscriptions WHERE ended_at IS NULL") == 1
    });
    assert_eq!(given(2), ["false"]);
}
