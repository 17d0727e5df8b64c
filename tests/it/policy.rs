//! What users ask for and agree to, over real sockets: mutes from the message, consent, opting out.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::browser::{Browser, DESKTOP};
use crate::helpers::client::Client;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

fn view(client: &mut Client, item: i64) {
    client.send(&json!({"type": "event", "kind": "view", "item_id": item, "event_id": format!("v{item}")}));
    client.expect("accepted");
}

fn push_after_view(client: &mut Client, item: i64) -> Value {
    client.send(&json!({"type": "event", "kind": "view", "item_id": item, "event_id": format!("v{item}")}));
    loop {
        let frame = client.expect("recommendation");
        if frame["trigger"] == "view" {
            return frame;
        }
    }
}

/// Waits until the latest decision on a view says this; the decision.
fn decided(server: &Server, user: i64, outcome: &str, reason: &str) -> Value {
    let mut found = Value::Null;
    wait_for(reason, || {
        let answer = server.http().get(&format!("/admin/decisions?user_id={user}")).json();
        let latest =
            answer["decisions"].as_array().unwrap().iter().find(|one| one["trigger"] == "view").cloned();
        found = latest.unwrap_or_default();
        found["outcome"] == outcome
            && found["reasons"][0].as_str().is_some_and(|said| said.starts_with(reason))
    });
    found
}

#[test]
fn a_message_mutes_what_it_is_about_and_the_next_decision_says_why() {
    let (_database, server) = shop(&[]);
    let (mut client, _) = server.login(1);
    let push = push_after_view(&mut client, 102);
    client.send(&json!({"type": "mute", "of": "item_category", "notification_id": push["notification_id"]}));
    let muted = client.expect("muted");
    let name = muted["name"].as_str().unwrap().to_owned();
    assert_eq!((muted["of"].as_str(), name.ends_with("es")), (Some("item_category"), true));
    // Which kind the message began with is the model's business.
    let (seen, other, kind) = if name == "Watches" { (104, 105, "Watch") } else { (105, 104, "Mug") };
    view(&mut client, seen);
    let decision = decided(&server, 1, "drop", "muted: the user wants nothing of the category");
    let steps = decision["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["step"], "preference");
    assert_eq!(steps.last().unwrap()["reason"], "muted_subject");
    // What another category sets off names nothing of the muted one.
    let push = push_after_view(&mut client, other);
    for item in push["items"].as_array().unwrap() {
        assert!(!item["title"].as_str().unwrap().starts_with(kind), "{item}");
    }
    wait_for("the mute is stored", || {
        let preferences = server.http().get("/v1/users/1/preferences").json();
        preferences["mutes"] == json!([{"of": "item_category", "name": name}])
    });
}

#[test]
fn without_consent_to_profiling_a_view_sets_nothing_off_and_popular_items_are_still_shown() {
    let (database, server) = shop(&[]);
    let (mut client, _) = server.login(1);
    push_after_view(&mut client, 102);
    let said =
        json!({"purpose": "profiling", "granted": false, "source": "preference page", "text_version": "v3"});
    let answer = server.http().post("/v1/users/1/consent", &said);
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.json()["consent"]["profiling"], false);
    view(&mut client, 104);
    decided(&server, 1, "drop", "consent: none to profiling");
    let (_second, answer) = server.login(2);
    assert_eq!(answer["items"].as_array().unwrap().len(), 5);
    // Taken back and given again: both are in the ledger, and the latest holds.
    let said =
        json!([{"purpose": "profiling", "granted": true, "source": "preference page", "text_version": "v3"}]);
    assert_eq!(server.http().post("/v1/users/1/consent", &said).status, 201);
    let ledger = server.http().get("/v1/users/1/consent").json();
    let granted: Vec<_> =
        ledger["ledger"].as_array().unwrap().iter().map(|row| row["granted"].clone()).collect();
    assert_eq!(granted, [json!(true), json!(false)]);
    view(&mut client, 106);
    decided(&server, 1, "send", "");
    let change = database.connection().batch_execute("UPDATE consents SET granted = false");
    assert!(change.is_err(), "a ledger is not changed");
}

#[test]
fn consents_and_preferences_that_make_no_sense_are_refused_with_the_fix() {
    let (_database, server) = shop(&[]);
    for (path, body, code) in [
        ("/v1/users/1/consent", json!({"purpose": "world domination", "granted": true}), "bad_consent"),
        ("/v1/users/1/consent", json!([]), "bad_consent"),
        ("/v1/users/1/mute", json!({"of": "weather", "name": "rain"}), "bad_mute"),
        ("/v1/users/1/mute", json!({"of": "item", "name": ""}), "bad_mute"),
    ] {
        let answer = server.http().post(path, &body);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (400, Some(code)), "{body}");
    }
    let long = "x".repeat(200);
    let answer = server.http().put("/v1/users/1/preferences", &json!({"digest": [long]}));
    assert_eq!(answer.json()["error"]["field"], "digest");
}

#[test]
fn a_client_that_knows_only_the_old_preferences_takes_nothing_away() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let full = json!({"opted_out": true, "mutes": [{"of": "brand", "name": "Brand 1"}], "digest": ["for_you"],
                      "blocked_channels": {"*": ["push"]}, "paused_until": "2099-01-01T00:00:00Z"});
    assert_eq!(http.put("/v1/users/1/preferences", &full).status, 200);
    let answer =
        http.put("/v1/users/1/preferences", &json!({"muted": ["goes_with"], "paused_until": null})).json();
    assert_eq!(answer["muted"], json!(["goes_with"]));
    assert_eq!((&answer["opted_out"], &answer["mutes"]), (&json!(true), &full["mutes"]));
    assert_eq!((&answer["digest"], &answer["paused_until"]), (&full["digest"], &Value::Null));
    let (mut client, _) = server.login(1);
    view(&mut client, 102);
    decided(&server, 1, "drop", "opted out: the user wants order updates only");
}

#[test]
fn in_the_browser_a_person_mutes_from_the_message_and_the_dashboard_says_why() {
    let (_database, server) = shop(&[]);
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/", server.address));
    browser.fill("#user-id", "7");
    browser.click("#become");
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    // One after the other: a click before the first is stored and shown would hit what is about to be drawn anew.
    for paused in [true, false] {
        // The page is drawn anew by the answer to the change before, perhaps between press and release.
        wait_for("the preference is stored", || {
            if browser.evaluate("document.querySelector('#paused')?.checked") == json!(!paused) {
                browser.click("#paused");
            }
            server.http().get("/v1/users/7/preferences").json()["paused_until"].is_string() == paused
        });
        browser.wait_for(&format!("document.querySelector('#paused')?.checked === {paused}"));
    }
    browser.click("#notifications [data-notification-id] [data-action=mute-products]");
    let chip = browser.wait_for("document.querySelector('[data-mute-of=item_category]')?.textContent");
    let watches = chip.as_str().unwrap().contains("Watches");
    let seen = if watches { 104 } else { 105 };
    let event = json!({"kind": "view", "user_id": 7, "item_id": seen});
    assert_eq!(server.http().post("/v1/events", &event).status, 202);
    decided(&server, 7, "drop", "muted: the user wants nothing of the category");
    browser.open(&format!("http://{}/?fresh#/operate", server.address));
    let said = "[...document.querySelectorAll('#decisions-body .decision')]\
                .find(row => row.textContent.includes('wants nothing of the category'))";
    browser.wait_for(said);
    let steps = browser.evaluate(&format!("{said}.querySelectorAll('.steps li').length"));
    assert_eq!(steps, 2, "consent passed, preference stopped it");
    browser.wait_for(
        "document.querySelector('#decisions-funnel').textContent.includes('muted, paused or opted out')",
    );
    assert_eq!(browser.take_complaints(), Vec::<String>::new());
}

#[test]
fn a_list_over_http_keeps_to_consent_and_mutes_as_that_of_a_login_does() {
    let (_database, server) = shop(&["--set", "socket.linger_ms=1000", "--set", "recommend.exploration=0"]);
    let mut http = server.http();
    let (mut client, _) = server.login(7);
    for watch in [102, 104, 106, 108] {
        client.send(&json!({"type": "event", "kind": "view", "item_id": watch}));
        client.expect("accepted");
    }
    let of = |list: &Value| -> Vec<i64> {
        list["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_i64().unwrap()).collect()
    };
    let is_watch = |id: &i64| id % 2 == 0;
    let before = http.get("/v1/users/7/recommendations?n=5").json();
    assert!(of(&before).iter().any(is_watch), "{before}");
    let said = json!({"purpose": "profiling", "granted": false, "source": "settings", "text_version": "v3"});
    assert_eq!(http.post("/v1/users/7/consent", &said).status, 201);
    client.send(&json!({"type": "mute", "of": "item_category", "name": "Watches"}));
    client.expect("muted");
    let live = http.get("/v1/users/7/recommendations?n=5").json();
    assert_eq!(of(&live).len(), 5, "{live}");
    assert!(!of(&live).iter().any(is_watch) && !live.to_string().contains("because you"), "{live}");
    let (second, told) = server.login(7);
    assert_eq!(of(&told), of(&live), "the same as a login's, though a tab logged in a moment ago");
    drop((client, second));
    wait_for("the user's actor to end", || http.get("/admin/sessions").json()["total"] == 0);
    let absent = http.get("/v1/users/7/recommendations?n=5").json();
    assert_eq!(of(&absent), of(&live), "the same from the tables");
}
