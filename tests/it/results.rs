//! The "Results" area in a real browser: outcomes, the heat map, where messages end, experiments, one user's story.

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::helpers::browser::{Browser, DESKTOP, PHONE};
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

fn shop() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let items: serde_json::Value = (101..131)
        .map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "category": ["Mugs"], "price": 10.0, "currency": "EUR", "attributes": {"brand": format!("Brand {}", id % 3)}}))
        .collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    (database, server)
}

fn complain(browser: &mut Browser) {
    assert_eq!(browser.take_complaints(), Vec::<String>::new());
}

#[test]
fn a_person_sets_preferences_receives_mutes_and_the_dashboard_says_why_the_next_one_did_not_come() {
    let (_database, server) = shop();
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/", server.address));
    // A connection that asks nothing while a browser starts would be closed.
    let mut http = server.http();
    // Become a user and say when one wants to hear nothing: not now.
    browser.fill("#user-id", "7");
    browser.click("#become");
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    browser.click("#paused");
    wait_for("the pause", || http.get("/v1/users/7/preferences").json()["paused_until"].is_string());
    browser.wait_for("document.querySelector('#paused')?.checked");
    // The page is drawn anew by the answer to the change before, perhaps between press and release.
    wait_for("its end", || {
        if browser.evaluate("document.querySelector('#paused')?.checked") == json!(true) {
            browser.click("#paused");
        }
        http.get("/v1/users/7/preferences").json()["paused_until"].is_null()
    });
    // Receive.
    let card = "#products [data-item-id]";
    browser.click(&format!("{card} [data-action=view]"));
    let entry = browser.wait_for(
        "[...document.querySelectorAll('#notifications .entry')].find(entry => entry.innerText.includes('after your view'))\
         ?.dataset.notificationId",
    );
    let entry = format!("#notifications [data-notification-id={entry}]");
    // Mute from the message.
    browser.click(&format!("{entry} [data-action=mute]"));
    wait_for("the mute", || http.get("/v1/users/7/preferences").json()["muted"][0].is_string());
    // The next one does not come.
    let event = json!({"kind": "view", "user_id": 7, "item_id": 120});
    assert_eq!(http.post("/v1/events", &event).status, 202);
    let story = "/admin/users/7/timeline";
    // Not always the newest: the page says of the messages that they were displayed, in its own time.
    let mut refusals = || {
        let story = http.get(story).json();
        story["entries"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "drop").count()
    };
    wait_for("the refusal", || refusals() > 0);
    // And the dashboard says why, in the user's story and in the sum.
    browser.open(&format!("http://{}/?why#/results/7", server.address));
    browser.wait_for("document.querySelector('#timeline-body [data-outcome=drop] .timeline-why').innerText.includes('muted: the user wants no')");
    // A page that is left after a while says how long the product was looked at: one more that does not come.
    let sum = "document.querySelector('.branches [data-step=preference] strong')";
    let mut visits = 0;
    wait_for("the sum of the refusals", || {
        visits += 1;
        browser.open(&format!("http://{}/?why{visits}#/results/7", server.address));
        browser.wait_for(sum);
        browser.evaluate(&format!("{sum}.innerText")) == json!(refusals().to_string())
    });
    browser.wait_for("document.querySelector('#outcomes-body tr[data-group=view]')");
    browser.screenshot("results-muted");
    complain(&mut browser);
}

#[test]
fn results_are_read_by_pointer_keyboard_and_table_and_fit_a_phone() {
    let (_database, server) = shop();
    let clicks = |user: i64| {
        let (mut client, _) = server.login(user);
        client.send(&json!({"type": "event", "kind": "view", "item_id": 102}));
        let message = client.expect("recommendation");
        client.send(
            &json!({"type": "feedback", "notification_id": message["notification_id"], "outcome": "clicked"}),
        );
        client
    };
    let mut clients: Vec<_> = (1..=4).map(clicks).collect();
    // A connection of its own each time: one that is kept ends while the browser is at work.
    let clicked = || server.http().get("/admin/outcomes").json()["overall"]["clicked"].as_i64();
    wait_for("the first clicks", || clicked() == Some(4));
    let mut browser = Browser::launch();
    // Of four messages no share is shown: how many more are needed is said instead.
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/?few#/results", server.address));
    browser
        .wait_for("document.querySelector('.heat-cell[aria-label*=\"6 more delivered messages needed\"]')");
    browser.wait_for(
        "[...document.querySelectorAll('#outcomes-body .too-few')].some(cell => cell.innerText.startsWith('26 more delivered'))",
    );
    assert_eq!(browser.evaluate("document.querySelectorAll('#outcomes-body .interval').length"), 0);
    browser.screenshot("results-few");
    clients.extend((5..=36).map(clicks));
    wait_for("the clicks", || clicked() == Some(36));
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        browser.resize(viewport);
        browser.open(&format!("http://{}/?{device}#/results", server.address));
        browser.wait_for("document.querySelector('.heat-cell[aria-label*=\"clicked\"]')");
        let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(width <= u64::from(viewport.width), "{width} pixels wide at {viewport:?}");
        browser.screenshot(&format!("results-small-{device}"));
    }
    let filled = "document.querySelector('.heat-cell[aria-label*=\"clicked\"]')";
    browser.evaluate(&format!("{filled}.focus()"));
    browser.wait_for("/ sent, .* clicked/.test(document.querySelector('.heat-said').innerText)");
    browser.click("#heat-table");
    browser.wait_for("document.querySelectorAll('#heat-body tbody tr').length === 24");
    browser.click("#outcomes-sides [data-by=channel]");
    browser.wait_for("document.querySelector('#outcomes-body tr[data-group=socket]')");
    browser.wait_for("document.querySelector('#experiments-body .empty')");
    complain(&mut browser);
}

#[test]
fn the_inbox_remembers_what_was_read() {
    let (_database, server) = shop();
    let messages = json!([{"user_id": 7, "title": "First"}, {"user_id": 7, "title": "Second"}]);
    let mut http = server.http();
    assert_eq!(http.post("/v1/notifications", &messages).status, 202);
    wait_for("both", || http.get("/v1/users/7/inbox").json()["unread"] == 2);
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/try/7", server.address));
    let unread = |title: &str| {
        format!(
            "[...document.querySelectorAll('#notifications .entry.unread h3')].some(h3 => h3.innerText === '{title}')"
        )
    };
    browser.wait_for(&format!("{} && {}", unread("First"), unread("Second")));
    // In one go: the list may be drawn anew at any moment.
    let second = "[...document.querySelectorAll('.entry')].find(entry => entry.innerText.includes('Second'))";
    let mut last = None;
    wait_for("one to be read", || {
        // What a page shows may move under the pointer while it fills; a person clicks again.
        if last.is_none_or(|at: std::time::Instant| at.elapsed().as_secs() >= 5) {
            browser.evaluate(&format!("{second}.querySelector('[data-action=click]')?.click()"));
            last = Some(std::time::Instant::now());
        }
        http.get("/v1/users/7/inbox").json()["unread"] == 1
    });
    browser.open(&format!("http://{}/?again#/try/7", server.address));
    browser.wait_for(&format!("{} && !{}", unread("First"), unread("Second")));
    let bell = "document.querySelector('#inbox').shadowRoot";
    browser.wait_for(&format!("{bell}.querySelector('.badge').textContent === '1'"));
    browser.evaluate(&format!("{bell}.querySelector('#bell').click()"));
    browser.wait_for(&format!("{bell}.querySelectorAll('.row').length === 2"));
    browser.screenshot("inbox-dashboard-desktop");
    browser.evaluate(&format!("{bell}.querySelector('[data-name=read-all]').click()"));
    wait_for("all to be read", || http.get("/v1/users/7/inbox").json()["unread"] == 0);
    browser.wait_for(&format!("{bell}.querySelector('.badge').hidden && !{}", unread("First")));
    assert_eq!(browser.evaluate("document.title"), "Tidings");
    browser.screenshot("inbox-desktop");
    complain(&mut browser);
}

/// What six held-out users can't tell is said in words and not drawn.
#[test]
fn a_difference_that_cannot_be_told_yet_is_not_drawn() {
    let database = TestDatabase::new();
    let server =
        Server::start(&database.url, &["--set", "policy.holdout=0.02", "--set", "policy.random=0.05"]);
    database
        .connection()
        .batch_execute(
            "SELECT ensure_event_partition(now()); \
             WITH more AS (INSERT INTO users (external_id) SELECT 'm' || n FROM generate_series(1, 168) n \
             RETURNING user_id, substr(external_id, 2)::int AS n), \
             told AS (INSERT INTO decisions (decision_id, decided_at, user_id, trigger, category, outcome, reasons, model_version, \
             items, propensity, slice) SELECT gen_random_uuid(), now() - interval '7 minutes', user_id, 'view', 'x', 'drop', '{}', 0, \
             '{}', 1, CASE WHEN n <= 6 THEN 'holdout' WHEN n <= 24 THEN 'random' ELSE 'ordinary' END FROM more) \
             INSERT INTO events (event_key, occurred_at, user_id, item_id, kind, value) \
             SELECT gen_random_uuid(), now(), user_id, 0, 5, 20 FROM more WHERE n > 119",
        )
        .unwrap();
    let mut browser = Browser::launch();
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        browser.resize(viewport);
        browser.open(&format!("http://{}/?{device}#/results", server.address));
        browser.wait_for("document.querySelector('#experiments-body .forest')");
        let text = browser.evaluate("document.querySelector('#experiments-body').innerText").to_string();
        assert!(
            text.contains("added is not known yet (too few to tell: the smaller group has 6 users, about "),
            "{text}"
        );
        assert_eq!(
            browser.evaluate("document.querySelectorAll('#experiments-body [data-sure=true]').length"),
            json!(0)
        );
        assert_eq!(
            browser.evaluate("document.querySelectorAll('#experiments-body .forest-line').length"),
            json!(0)
        );
        let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(width <= u64::from(viewport.width), "{width} pixels wide at {viewport:?}");
        browser.screenshot(&format!("results-too-few-{device}"));
    }
    complain(&mut browser);
}
