//! The dashboard in a real browser: become a user, look at a product, see the notification arrive, click it.

use std::process::Command;

use serde_json::json;
use tidings::app::demo::{self, DemoSize};
use tidings::base::Timestamp;

use crate::helpers::browser::{Browser, DESKTOP, PHONE, Viewport};
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

/// The demo with a shorter history, so that it starts in a second or two, and this many live shoppers.
fn demo(live_shoppers: &str) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let size = DemoSize { n_shoppers: 250, ..DemoSize::of_seed(1) };
    demo::load_sized(&database.store, size, Timestamp::now(), &mut |_, _| {}).unwrap();
    let server = start(&database, "127.0.0.1:0", live_shoppers);
    (database, server)
}

fn start(database: &TestDatabase, listen: &str, live_shoppers: &str) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["demo", "--seed", "1", "--shoppers", live_shoppers, "--listen", listen]);
    Server::spawn(command.env("DATABASE_URL", &database.url))
}

fn complain(browser: &mut Browser, when: &str) {
    let complaints = browser.take_complaints();
    assert!(complaints.is_empty(), "{when}: {complaints:#?}");
}

/// Nothing may stick out sideways: a page that scrolls to the right looks broken on a phone.
fn fits(browser: &mut Browser, viewport: Viewport) {
    let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(width <= u64::from(viewport.width), "{width} pixels wide at {viewport:?}");
}

#[test]
fn a_person_becomes_a_user_views_a_product_and_the_notification_arrives() {
    let (_database, server) = demo("0");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/", server.address));

    browser.fill("#user-id", "7");
    browser.click("#become");
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    let cards = browser.wait_for("document.querySelectorAll('#products [data-item-id]').length");
    assert!(cards.as_u64().unwrap() >= 8, "{cards} products");
    browser.wait_for("[...document.querySelectorAll('#products img')].some(image => image.naturalWidth > 0)");
    let ids = "[...document.querySelectorAll('#notifications [data-notification-id]')]\
               .map(entry => entry.dataset.notificationId)";
    let greeted = browser.wait_for(&format!("{ids}.length && {ids}"));

    let card = "#products [data-item-id]";
    let id = browser.evaluate(&format!("document.querySelector('{card}').dataset.itemId"));
    let item = server.http().get(&format!("/v1/items/{}", id.as_str().unwrap())).json();
    browser.click(&format!("{card} [data-action=view]"));
    let arrived = browser.wait_for(&format!("{ids}.find(id => !{greeted}.includes(id))"));
    let entry = format!("#notifications [data-notification-id={arrived}]");
    let words = browser.evaluate(&format!("document.querySelector({}).innerText", json!(entry)));
    assert!(
        words.as_str().unwrap().contains(item["title"].as_str().unwrap()),
        "the reason is not told: {words}"
    );
    browser.wait_for("document.querySelector('#detail .why')?.innerText.length > 20");
    browser.screenshot("view-desktop-light");
    complain(&mut browser, "after the view");

    browser.click(&format!("{entry} [data-action=click]"));
    let mut http = server.http();
    wait_for("the click to be counted", || {
        http.get("/admin/metrics").json()["feedback"]["overall"]["clicked"] == 1
    });
    complain(&mut browser, "after the click");
}

#[test]
fn everything_can_be_done_from_the_keyboard() {
    let (_database, server) = demo("0");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/", server.address));
    browser.wait_for("document.querySelector('#products [data-action=view]')");
    browser.tab_to("#user-id");
    browser.insert("7");
    browser.press("Enter");
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    browser.wait_for("document.querySelector('#notifications [data-notification-id]')");
    browser.tab_to("#products [data-action=view]");
    browser.press("Enter");
    browser.wait_for("document.querySelectorAll('#notifications [data-notification-id]').length >= 2");
    browser.wait_for("document.querySelector('#detail').checkVisibility()");
    browser.press("Escape");
    browser.wait_for("!document.querySelector('#detail').checkVisibility()");
    browser.tab_to("#notifications [data-action=dismiss]");
    browser.press("Enter");
    let mut http = server.http();
    wait_for("the dismissal to be counted", || {
        http.get("/admin/metrics").json()["feedback"]["overall"]["dismissed"] == 1
    });
    complain(&mut browser, "with the keyboard");
}

#[test]
fn the_dashboard_fits_laptops_and_phones_by_day_and_by_night() {
    let (_database, server) = demo("12");
    let mut browser = Browser::launch();
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        browser.resize(viewport);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.open(&format!("http://{}/?{device}-{scheme}#/try/7", server.address));
            browser.wait_for("document.querySelector('#connection[data-state=online]')");
            browser.wait_for("document.querySelector('#notifications [data-notification-id]')");
            browser.wait_for(
                "[...document.querySelectorAll('#products img')].some(image => image.naturalWidth > 0)",
            );
            fits(&mut browser, viewport);
            browser.screenshot(&format!("try-{device}-{scheme}"));
            browser.open(&format!("http://{}/?{device}-{scheme}#/operate", server.address));
            browser.wait_for("document.querySelector('#retrain')?.checkVisibility()");
            browser.wait_for("/[A-E]/.test(document.querySelector('#segments-body').innerText)");
            fits(&mut browser, viewport);
            browser.screenshot(&format!("operate-{device}-{scheme}"));
            browser.open(&format!("http://{}/?{device}-{scheme}#/results", server.address));
            browser.wait_for("document.querySelector('#outcomes-body tbody tr')");
            browser.wait_for("document.querySelector('.heat-cell[data-level=\"4\"]')");
            browser.wait_for("document.querySelector('#experiments-body').innerText && document.querySelector('.branches')");
            fits(&mut browser, viewport);
            browser.screenshot(&format!("results-{device}-{scheme}"));
            complain(&mut browser, &format!("{device} {scheme}"));
        }
    }
}

#[test]
fn the_retrain_button_trains_and_says_so() {
    let (_database, server) = demo("0");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/operate", server.address));
    browser.click("#retrain");
    let mut http = server.http();
    wait_for("a second model", || {
        http.get("/admin/models").json()["models"].as_array().is_some_and(|models| models.len() >= 2)
    });
    browser.wait_for("/\\b2\\b/.test(document.querySelector('#models-body').innerText)");
    complain(&mut browser, "after retraining");
}

#[test]
fn the_model_in_use_is_told_by_segment_with_its_rules_and_its_drift() {
    let (_database, server) = demo("0");
    let mut browser = Browser::launch();
    let mut http = server.http();
    let models = http.get("/admin/models").json();
    let metrics = &models["models"][0]["metrics"];
    let rules = http.get("/admin/rules?limit=500").json();
    assert!(rules["total"].as_i64().unwrap() >= 20, "what goes together in the demo: {rules}");
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        browser.resize(viewport);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.open(&format!("http://{}/?{device}-{scheme}#/operate", server.address));
            let table = "document.querySelector('#models-body .model-segments table')?.innerText";
            let table = browser.wait_for(table);
            for segment in ["A", "B", "C", "D", "E"] {
                let users = metrics[format!("segment.{segment}.users")].as_f64().unwrap_or(0.0);
                let shown = table.as_str().unwrap().lines().any(|line| line.starts_with(segment));
                assert_eq!(shown, users > 0.0, "{segment} with {users} users in {table}");
            }
            browser
                .wait_for("/trained/i.test(document.querySelector('#models-body .model-health')?.innerText)");
            let rows = browser.wait_for("document.querySelectorAll('#rules-body tbody tr').length");
            assert!(rows.as_u64().unwrap() >= 10, "{rows} rules");
            let words = browser.evaluate("document.querySelector('#area-operate').innerText");
            assert!(!words.as_str().unwrap().contains("[object"), "{words}");
            browser.evaluate("document.querySelector('#models').scrollIntoView()");
            fits(&mut browser, viewport);
            browser.screenshot(&format!("models-{device}-{scheme}"));
            complain(&mut browser, &format!("{device} {scheme}"));
        }
    }
    // A thing with a rule says so on its own page, and why it is or is not for this user.
    let known = rules["rules"][0]["antecedent"][0].clone();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/try/7", server.address));
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    browser.fill("#search", known["title"].as_str().unwrap());
    browser.click("#search-form button");
    let card = format!("#products [data-item-id='{}'] [data-action=view]", known["item_id"]);
    browser.wait_for(&format!("document.querySelector({})", json!(card)));
    browser.click(&card);
    let why = browser.wait_for("document.querySelector('#detail .why .rules')?.innerText");
    assert!(why.as_str().unwrap().contains("also buys"), "{why}");
    browser.screenshot("why-desktop-dark");
    complain(&mut browser, "with the reasons");
}

#[test]
fn a_server_without_data_says_what_is_missing() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut browser = Browser::launch();
    for (viewport, scheme) in [(DESKTOP, "light"), (PHONE, "dark")] {
        browser.resize(viewport);
        browser.prefer(scheme);
        browser.open(&format!("http://{}/?{scheme}#/operate", server.address));
        browser.wait_for("/No model yet/.test(document.querySelector('#models-body').innerText)");
        browser.wait_for("/No rules yet/.test(document.querySelector('#rules-body').innerText)");
        fits(&mut browser, viewport);
        browser.screenshot(&format!("empty-{scheme}"));
        complain(&mut browser, scheme);
    }
}

#[test]
fn a_lost_connection_is_said_and_made_again() {
    let (database, mut server) = demo("0");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/try/7", server.address));
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    complain(&mut browser, "before the outage");
    server.kill();
    browser.wait_for("document.querySelector('#connection[data-state=offline]')");
    let again = start(&database, &server.address.to_string(), "0");
    assert_eq!(again.address, server.address);
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
}
