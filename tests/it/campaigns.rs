//! Calls of the shop while they go out: seen with their progress, paused, changed, resumed, slowed down.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};

const PATH: &str = "/v1/notifications";

/// Users 1 to `n`.
fn start(n: u32) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let users = format!("INSERT INTO users (external_id) SELECT n::text FROM generate_series(1, {n}) n");
    database.connection().batch_execute(&users).unwrap();
    let server = Server::start(&database.url, &[]);
    (database, server)
}

fn count(database: &TestDatabase, what: &str) -> i64 {
    database.count(&format!("SELECT count(*) AS n FROM {what}"))
}

fn titled(database: &TestDatabase, title: &str) -> i64 {
    count(database, &format!("notifications WHERE frame::json->>'title' = '{title}'"))
}

fn id(answer: &Response) -> String {
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn shown(http: &mut Http, id: &str) -> Value {
    let answer = http.get(&format!("{PATH}/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn after(milliseconds: u64) -> String {
    (Timestamp::now() + Millis(milliseconds)).to_string()
}

fn switch(http: &mut Http, id: &str, to: &str) -> Response {
    http.post(&format!("{PATH}/{id}/{to}"), &json!({}))
}

/// A message to a user that waits for its time in the outbox has gone out: the notifier has looked at the timeline since.
fn the_timeline_has_been_read(server: &Server) {
    let mut http = server.http();
    let probe = id(&http.post(PATH, &json!({"user_id": 1, "title": "probe", "send_at": after(50)})));
    wait_for("the probe", || shown(&mut http, &probe)["state"] == "sent");
}

#[test]
fn a_message_at_a_rate_is_paused_changed_and_resumed_and_a_restart_knows_how_far_it_is() {
    let (database, mut server) = start(60);
    let mut http = server.http();
    let sale = json!({"everyone": true, "title": "Sale", "rate_per_minute": 1_200});
    let id = id(&http.post(PATH, &sale));
    wait_for("some of it", || titled(&database, "Sale") >= 3);
    let answer = switch(&mut http, &id, "pause");
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("paused")), "{}", answer.body);
    assert_eq!(switch(&mut http, &id, "pause").status, 200, "asked for again");
    wait_for("what was being decided", || count(&database, "outbox WHERE NOT is_held") == 0);
    let before = titled(&database, "Sale");
    assert!(before < 60);
    the_timeline_has_been_read(&server);
    assert_eq!(titled(&database, "Sale"), before);
    let paused = shown(&mut http, &id);
    assert_eq!((&paused["progress"]["planned"], &paused["progress"]["sent"]), (&json!(60), &json!(before)));
    assert_eq!(paused["progress"]["waiting"], json!(60 - before));
    assert_eq!(http.get(&format!("{PATH}?state=paused")).json()["notifications"][0], paused);
    // Another process knows the same, and sends nothing of it either.
    server.kill();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    the_timeline_has_been_read(&server);
    assert_eq!(shown(&mut http, &id), paused);
    // The rest of it in other words.
    let changed = http.patch(&format!("{PATH}/{id}"), &json!({"title": "Last call"}));
    assert_eq!((changed.status, &changed.json()["state"]), (200, &json!("paused")), "{}", changed.body);
    let resumed = Timestamp::now();
    assert_eq!(switch(&mut http, &id, "resume").json()["state"], "sending");
    wait_for("the rest", || shown(&mut http, &id)["state"] == "sent");
    assert_eq!((titled(&database, "Sale"), titled(&database, "Last call")), (before, 60 - before));
    let progress = shown(&mut http, &id)["progress"].clone();
    let all = json!({"planned": 60, "sent": 60, "deferred": 0, "refused": {}, "waiting": 0, "displayed": 0, "clicked": 0});
    assert_eq!(progress, all);
    // 20 a second, and a second of credit at most.
    let least = u64::try_from(60 - before - 21).unwrap_or(0) * 50;
    assert!(Timestamp::now().millis_since(resumed).0 >= least, "{before} before, {least} ms at least");
    assert_eq!(switch(&mut http, &id, "resume").status, 409);
    assert_eq!(switch(&mut http, &id, "pause").status, 409, "nothing of it waits");
}

#[test]
fn progress_tells_who_gets_it_not_and_why_and_who_gets_it_later() {
    let (database, server) = start(5);
    let mut http = server.http();
    assert_eq!(http.patch("/v1/users/2/preferences", &json!({"muted": ["news"]})).status, 200);
    assert_eq!(http.patch("/v1/users/3/preferences", &json!({"opted_out": true})).status, 200);
    let hour = Timestamp::now().as_seconds() / 3_600;
    let clock = |hours: i64| format!("{:02}:00", (hour + hours).rem_euclid(24));
    let all_day = json!({"quiet_hours": {"from": clock(-1), "to": clock(3)}, "time_zone": "UTC"});
    assert_eq!(http.patch("/v1/users/4/preferences", &all_day).status, 200);
    let news =
        json!({"everyone": true, "title": "News", "category": "news", "expires_at": after(86_400_000 * 7)});
    let id = id(&http.post(PATH, &news));
    wait_for("all decisions", || {
        titled(&database, "News") == 2 && count(&database, "decisions WHERE call_id IS NOT NULL") == 3
    });
    wait_for("the one that waits", || count(&database, "outbox") == 1);
    let view = shown(&mut http, &id);
    assert_eq!(view["state"], "sending");
    let expected = json!({"planned": 5, "sent": 2, "deferred": 1, "refused": {"muted_category": 1, "opted_out": 1},
        "waiting": 0, "displayed": 0, "clicked": 0});
    assert_eq!(view["progress"], expected);
    // What users do with it is counted.
    let message = database.count("SELECT count(*) AS n FROM notifications WHERE call_id IS NOT NULL");
    assert_eq!(message, 2);
    let click = "INSERT INTO feedback (notification_id, outcome, user_id) \
                 SELECT notification_id, 2, user_id FROM notifications ORDER BY user_id LIMIT 1";
    database.connection().batch_execute(click).unwrap();
    assert_eq!(shown(&mut http, &id)["progress"]["clicked"], 1);
    // Taken back: nothing of it waits.
    assert_eq!(http.delete(&format!("{PATH}/{id}")).status, 204);
    let view = shown(&mut http, &id);
    assert_eq!((&view["state"], &view["progress"]["deferred"]), (&json!("withdrawn"), &json!(0)));
}

#[test]
fn what_a_trigger_was_set_off_for_waits_while_it_is_paused() {
    let (database, server) = start(2);
    let mut http = server.http();
    let fire = json!({"user_ids": [1, 2], "event": {"title": "Ready to collect"}});
    let id = id(&http.post("/v1/triggers/announcement", &fire));
    assert_eq!(shown(&mut http, &id)["progress"]["waiting"], 2, "nobody is here");
    assert_eq!(switch(&mut http, &id, "pause").json()["state"], "paused");
    let (mut client, _) = server.login(1);
    the_timeline_has_been_read(&server);
    assert_eq!(titled(&database, "Ready to collect"), 0);
    assert_eq!(http.patch(&format!("{PATH}/{id}"), &json!({"title": "x"})).status, 409);
    assert_eq!(switch(&mut http, &id, "resume").json()["state"], "sending");
    loop {
        if client.expect("notification")["title"] == "Ready to collect" {
            break;
        }
    }
    let progress = shown(&mut http, &id)["progress"].clone();
    assert_eq!((&progress["sent"], &progress["waiting"]), (&json!(1), &json!(1)));
}

#[test]
fn a_scheduled_message_to_named_users_that_is_paused_lets_its_time_pass() {
    let (database, server) = start(3);
    let mut http = server.http();
    let wish = json!({"user_ids": [1, 2, 3], "title": "Later", "send_at": after(3_000)});
    let id = id(&http.post(PATH, &wish));
    assert_eq!(switch(&mut http, &id, "pause").json()["state"], "paused");
    let due = Timestamp::now() + Millis(3_100);
    wait_for("its time", || Timestamp::now() > due);
    the_timeline_has_been_read(&server);
    assert_eq!((titled(&database, "Later"), shown(&mut http, &id)["state"].clone()), (0, json!("paused")));
    assert_eq!(switch(&mut http, &id, "resume").status, 200);
    wait_for("all of it", || shown(&mut http, &id)["progress"]["sent"] == 3);
}

#[test]
fn calls_are_listed_by_pages_newest_first_and_a_single_message_is_found() {
    let (database, server) = start(3);
    let mut http = server.http();
    let mut ids: Vec<String> = (0..5)
        .map(|n| {
            id(&http.post(
                PATH,
                &json!({"everyone": true, "title": format!("m{n}"), "send_at": after(3_600_000)}),
            ))
        })
        .collect();
    ids.reverse();
    let mut listed = Vec::new();
    let mut next = String::new();
    loop {
        let page = http.get(&format!("{PATH}?state=scheduled&limit=2{next}")).json();
        let views = page["notifications"].as_array().unwrap().clone();
        listed.extend(views.iter().map(|view| view["id"].as_str().unwrap().to_owned()));
        match page["next_after"].as_str() {
            Some(after) => next = format!("&after={after}"),
            None => break,
        }
    }
    assert_eq!(listed, ids);
    let wrong = http.get(&format!("{PATH}?state=pausd"));
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("did you mean paused?"), "{}", wrong.body);
    // One message to one user: sent, refused, unknown.
    let one = id(&http.post(PATH, &json!({"user_id": 1, "title": "One"})));
    let view = shown(&mut http, &one);
    assert_eq!(
        (&view["state"], &view["progress"]["sent"], &view["message"]["title"]),
        (&json!("sent"), &json!(1), &json!("One"))
    );
    assert_eq!(http.patch("/v1/users/2/preferences", &json!({"opted_out": true})).status, 200);
    let refused = id(&http.post(PATH, &json!({"user_id": 2, "title": "Two"})));
    wait_for("the decision", || count(&database, "decisions WHERE call_id IS NOT NULL") == 1);
    assert_eq!(shown(&mut http, &refused)["progress"]["refused"], json!({"opted_out": 1}));
    assert_eq!(http.get(&format!("{PATH}/018f0000-0000-7000-8000-000000000000")).status, 404);
    assert_eq!(http.get(&format!("{PATH}/nonsense")).status, 400);
    assert_eq!(switch(&mut http, &one, "pause").status, 404);
}

#[test]
fn a_message_at_a_wall_time_comes_to_each_zone_in_its_turn_and_to_who_moves_once() {
    let (database, mut server) = start(4);
    let mut http = server.http();
    // Quarters of an hour ago and ahead, by the clock of each: one zone is due, one is not.
    let zone = |http: &mut Http, user: u32, name: &str| {
        let wish = json!({"time_zone": name});
        assert_eq!(http.patch(&format!("/v1/users/{user}/preferences"), &wish).status, 200);
    };
    zone(&mut http, 1, "Pacific/Kiritimati"); // UTC+14
    zone(&mut http, 2, "Etc/GMT+12"); // UTC-12
    zone(&mut http, 3, "Pacific/Kiritimati");
    // Midday in Kiritimati has passed an hour ago; at UTC and UTC-12 it is hours away.
    let local = Timestamp::now().to_jiff() + jiff::SignedDuration::from_hours(13);
    let local = jiff::tz::TimeZone::UTC.to_datetime(local).round(jiff::Unit::Minute).unwrap();
    let wish = json!({"everyone": true, "title": "Good morning", "send_at_local": local.to_string()});
    let id = id(&http.post(PATH, &wish));
    wait_for("the first zone", || titled(&database, "Good morning") == 2);
    wait_for("the outbox", || count(&database, "outbox") == 0);
    let view = shown(&mut http, &id);
    assert_eq!((&view["state"], &view["progress"]["planned"]), (&json!("sending"), &json!(4)));
    assert_eq!((&view["progress"]["sent"], &view["progress"]["waiting"]), (&json!(2), &json!(2)));
    // One moves on to where it is still to come, another to where it has come; the server dies.
    zone(&mut http, 3, "Etc/GMT+12");
    zone(&mut http, 2, "Pacific/Kiritimati");
    server.kill();
    let look_now = "UPDATE broadcasts SET due_at = now()";
    database.connection().batch_execute(look_now).unwrap();
    let server = Server::start(&database.url, &[]);
    wait_for("who moved", || titled(&database, "Good morning") == 3);
    // It has come everywhere: a day later by the stored wall time.
    drop(server);
    let a_day_ago = "UPDATE broadcasts SET local_at = to_char(local_at::timestamp - interval '27 hours', \
                     'YYYY-MM-DD\"T\"HH24:MI:SS'), due_at = now()";
    database.connection().batch_execute(a_day_ago).unwrap();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    wait_for("everybody", || shown(&mut http, &id)["state"] == "sent");
    assert_eq!(titled(&database, "Good morning"), 4);
    let twice = "(SELECT user_id FROM notifications GROUP BY user_id HAVING count(*) > 1) twice";
    assert_eq!(count(&database, twice), 0);
    let who = shown(&mut http, &id);
    assert_eq!((&who["users"], &who["progress"]["sent"]), (&json!(4), &json!(4)));
}

#[test]
fn named_users_get_a_message_at_their_wall_time_and_a_change_of_words_reaches_who_has_it_not() {
    let (database, server) = start(2);
    let mut http = server.http();
    assert_eq!(
        http.patch("/v1/users/1/preferences", &json!({"time_zone": "Pacific/Kiritimati"})).status,
        200
    );
    let local = Timestamp::now().to_jiff() + jiff::SignedDuration::from_hours(13);
    let local = jiff::tz::TimeZone::UTC.to_datetime(local).round(jiff::Unit::Minute).unwrap();
    let wish = json!({"user_ids": [1, 2], "title": "At nine", "send_at_local": local.to_string()});
    let id = id(&http.post(PATH, &wish));
    wait_for("the first", || shown(&mut http, &id)["progress"]["sent"] == 1);
    let path = format!("{PATH}/{id}");
    assert_eq!(http.patch(&path, &json!({"title": "At ten"})).status, 409, "it has begun: pause it first");
    assert_eq!(switch(&mut http, &id, "pause").status, 200);
    assert_eq!(http.patch(&path, &json!({"title": "At ten"})).status, 200);
    assert_eq!(http.patch(&path, &json!({"send_at": after(60_000)})).status, 400);
    assert_eq!(
        http.patch("/v1/users/2/preferences", &json!({"time_zone": "Pacific/Kiritimati"})).status,
        200
    );
    database.connection().batch_execute("UPDATE broadcasts SET due_at = now()").unwrap();
    assert_eq!(switch(&mut http, &id, "resume").status, 200);
    wait_for("the second", || shown(&mut http, &id)["progress"]["sent"] == 2);
    assert_eq!((titled(&database, "At nine"), titled(&database, "At ten")), (1, 1));
}

#[test]
fn a_template_is_put_into_the_words_of_each_user_and_one_that_fails_later_is_a_reason() {
    let (database, server) = start(3);
    let mut http = server.http();
    let template = json!({"name": "order_ready", "variants": [{"name": "a", "texts": {
        "en": {"title": "{{ event.title or 'Order' }} {{ event.number }}", "body": "Collect it today."},
        "de": {"title": "{{ event.title or 'Bestellung' }} {{ event.number }}", "body": "Heute abholen."}}}]});
    let stored = http.put("/admin/templates/order_ready", &template);
    assert!(stored.status < 300, "{}", stored.body);
    assert_eq!(http.patch("/v1/users/2/preferences", &json!({"locale": "de-AT"})).status, 200);
    let wish = |template: &str, variables: Value| json!({"user_ids": [1, 2], "template": template, "variables": variables});
    for (wrong, code, hint) in [
        (wish("order_redy", json!({})), "unknown_template", "order_ready"),
        (wish("order_ready", json!({"numbr": 1})), "unknown_variable", "number"),
    ] {
        let answer = http.post(PATH, &wrong);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(code)), "{}", answer.body);
        assert!(answer.body.contains(&format!("did you mean {hint}?")), "{}", answer.body);
    }
    let id = id(&http.post(PATH, &wish("order_ready", json!({"number": "17"}))));
    wait_for("both", || shown(&mut http, &id)["progress"]["sent"] == 2);
    assert_eq!((titled(&database, "Order 17"), titled(&database, "Bestellung 17")), (1, 1));
    let frame = "notifications WHERE frame::jsonb ? 'template' OR frame::jsonb ? 'variables'";
    assert_eq!(count(&database, frame), 0, "users get words");
    // Scheduled, and the template is gone when it is due.
    let later = json!({"user_id": 3, "template": "order_ready", "variables": {"number": "18"}, "send_at": after(4_000)});
    let id = self::id(&http.post(PATH, &later));
    database
        .connection()
        .batch_execute("UPDATE definitions SET state = 'paused' WHERE name = 'order_ready'")
        .unwrap();
    drop(server);
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    wait_for("the decision", || shown(&mut http, &id)["progress"]["refused"] == json!({"unrenderable": 1}));
}

/// A message for each of users 1 to 4, with what this one says beside it.
fn one_each(http: &mut Http, beside: &Value) -> Response {
    let each = |user: u32| {
        let mut message = json!({"user_id": user, "title": format!("For {user}"), "category": "news"});
        message.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        message
    };
    http.post(PATH, &json!((1..=4).map(each).collect::<Vec<_>>()))
}

#[test]
fn an_array_of_messages_to_one_user_each_is_seen_paused_and_taken_back_like_any_call() {
    let (database, server) = start(4);
    let mut http = server.http();
    assert_eq!(http.patch("/v1/users/2/preferences", &json!({"muted": ["news"]})).status, 200);
    let hour = Timestamp::now().as_seconds() / 3_600;
    let clock = |hours: i64| format!("{:02}:00", (hour + hours).rem_euclid(24));
    let all_day = json!({"quiet_hours": {"from": clock(-1), "to": clock(3)}, "time_zone": "UTC"});
    assert_eq!(http.patch("/v1/users/4/preferences", &all_day).status, 200);
    // At once, and under keys through the outbox.
    for beside in [json!({}), json!({"dedupe_key": "once"})] {
        let lasting = after(86_400_000 * 7);
        let mut beside = beside;
        beside["expires_at"] = json!(lasting);
        let call = id(&one_each(&mut http, &beside));
        let expected = json!({"planned": 4, "sent": 2, "deferred": 1, "refused": {"muted_category": 1},
            "waiting": 0, "displayed": 0, "clicked": 0});
        wait_for("all decisions", || shown(&mut http, &call)["progress"] == expected);
        let view = shown(&mut http, &call);
        assert_eq!((&view["id"], &view["state"]), (&json!(call), &json!("sending")));
        assert_eq!((&view["audience"], &view["message"]), (&json!({"users": 4}), &Value::Null));
        assert_eq!(http.get(PATH).json()["notifications"][0], view, "listed");
        assert_eq!(switch(&mut http, &call, "pause").json()["state"], "paused");
        wait_for("what waits to be held", || count(&database, "outbox WHERE is_held") == 1);
        let changed = http.patch(&format!("{PATH}/{call}"), &json!({"title": "Other"}));
        assert_eq!(changed.status, 409, "{}", changed.body);
        assert_eq!(switch(&mut http, &call, "resume").json()["state"], "sending");
        assert_eq!(http.delete(&format!("{PATH}/{call}")).status, 204);
        assert_eq!(shown(&mut http, &call)["state"], "withdrawn");
        let live = format!("notifications WHERE call_id = '{call}' AND withdrawn_at IS NULL");
        wait_for("the rest", || count(&database, &live) == 0 && count(&database, "outbox") == 0);
    }
    // What was accepted before is part of no other call.
    let again = one_each(&mut http, &json!({"dedupe_key": "once"})).json();
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(4)));
    assert_eq!(count(&database, "broadcasts"), 2);
}
