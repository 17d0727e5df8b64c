//! The dashboard in a real browser: become a user, look at a product, see the notification arrive, click it.

use serde_json::json;

use crate::helpers::browser::{Browser, DESKTOP, PHONE, Viewport};
use crate::helpers::database::TestDatabase;
use crate::helpers::demo::{demo, start};
use crate::helpers::server::{Server, wait_for};

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
            browser.wait_for("document.querySelector('#decisions-body .decision')?.checkVisibility()");
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

/// Expression for the number of pixels of a chart that are wholly of a colour of the page, e.g. `--series-1`.
fn painted(chart: &str, colour: &str) -> String {
    let canvas = json!(format!("{chart} canvas"));
    format!(
        "(() => {{ const probe = document.body.appendChild(document.createElement('i')); \
         probe.style.color = 'var({colour})'; \
         const wanted = [...getComputedStyle(probe).color.matchAll(/\\d+/g)].map(Number).concat(255); \
         probe.remove(); const canvas = document.querySelector({canvas}); \
         const {{ data }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); let n = 0; \
         for (let at = 0; at < data.length; at += 4) n += wanted.every((part, i) => data[at + i] === part); \
         return n; }})()"
    )
}

/// Waits until the charts are painted in the colours that the page has now.
fn are_painted(browser: &mut Browser, charts: &[String]) {
    for chart in charts {
        browser.wait_for(&format!("{chart} > 10"));
    }
}

#[test]
fn the_charts_are_drawn_in_the_colours_of_the_theme() {
    let (_database, server) = demo("12");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.prefer("light");
    browser.open(&format!("http://{}/#/operate/segments", server.address));
    let segment = browser
        .wait_for("document.querySelector('#segments-body .legend [data-segment]')?.dataset.segment")
        .as_str()
        .unwrap()
        .to_lowercase();
    let plot = painted("#segments-body", &format!("--seg-{segment}"));
    let charts = [
        painted("#chart-rates", "--series-2"),
        painted("#chart-latency", "--series-1"),
        painted("#tiles .tile:nth-child(2)", "--tide"),
    ];
    for (page, chart, toggle) in [
        ("segments", &plot, "#segments-body .legend button"),
        ("load", &charts[0], "#chart-rates .legend button:nth-child(2)"),
    ] {
        browser.click(&format!(".pages [data-page={page}]"));
        browser.wait_for(&format!("{chart} > 10"));
        browser.click(toggle);
        browser.wait_for(&format!("{chart} === 0"));
        browser.click(toggle);
        browser.wait_for(&format!("{chart} > 10"));
    }
    are_painted(&mut browser, &charts);

    // A canvas does not follow the theme by itself: chosen by the button, then by the system.
    browser.click("#theme");
    browser.click("#theme");
    assert_eq!(browser.evaluate("document.documentElement.dataset.theme"), "dark");
    are_painted(&mut browser, &charts);
    browser.screenshot("charts-desktop-dark");
    browser.click("#theme");
    are_painted(&mut browser, &charts);
    browser.prefer("dark");
    are_painted(&mut browser, &charts);

    browser.resize(PHONE);
    browser.wait_for("document.querySelector('#chart-rates canvas').clientWidth < 390");
    are_painted(&mut browser, &charts);
    fits(&mut browser, PHONE);
    complain(&mut browser, "with the charts");
}

#[test]
fn segments_are_plotted_however_skewed_their_behaviour_is() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/operate", server.address));
    browser.evaluate(
        "import('/js/scatter.js').then(({ scatterPlot }) => { \
         const place = document.body.appendChild(document.createElement('div')); place.id = 'plot'; \
         window.plot = scatterPlot(place); })",
    );
    // Both axes are linear, then square roots, then one of them is linear again.
    for (purchases, minutes) in
        [([5, 6, 10], [50, 60, 100]), ([50, 60, 10_000], [1, 2, 90_000]), ([5, 6, 10], [1, 2, 90_000])]
    {
        let users: Vec<_> = purchases
            .iter()
            .zip(&minutes)
            .map(|(purchases, minutes)| {
                json!({"segment": "A", "purchases_per_month": purchases, "browsing_minutes_per_month": minutes})
            })
            .collect();
        browser
            .evaluate(&format!("window.plot.update({})", json!({"segments": users[..1], "sample": users})));
        browser.wait_for(&format!("{} > 10", painted("#plot", "--seg-a")));
        assert_eq!(browser.evaluate("document.querySelectorAll('#plot canvas').length"), 1);
    }
    complain(&mut browser, "with the plot");
}

#[test]
fn a_chart_is_read_out_by_keys_and_shown_as_a_table() {
    let (_database, server) = demo("12");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/operate/load", server.address));
    browser.wait_for(&format!("{} > 10", painted("#chart-rates", "--series-1")));
    browser.tab_to("#chart-rates .plot");
    browser.press("End");
    browser.press("ArrowLeft");
    let said = browser.wait_for("document.querySelector('#chart-rates [aria-live]').textContent");
    let parts: Vec<&str> = said.as_str().unwrap().split([':', ',']).map(str::trim).collect();
    assert_eq!(parts.len(), 3, "{said}");
    assert!(parts[0] == "1 s ago" || parts[0] == "2 s ago", "{said}");
    assert!(parts[1].starts_with("events/s ") && parts[2].starts_with("pushes/s "), "{said}");
    let readout = browser.evaluate("document.querySelector('#chart-rates .readout').innerText");
    assert!(readout.as_str().unwrap().contains("pushes/s"), "{readout}");
    browser.screenshot("charts-desktop-light");
    browser.press("Escape");
    browser.wait_for("document.querySelector('#chart-rates .readout').hidden");

    browser.click("#chart-rates .as-table");
    let rows = "[...document.querySelectorAll('#chart-rates tbody tr')].map(row => row.innerText)";
    let rows = browser.wait_for(&format!("{rows}.length && {rows}"));
    assert!(rows[0].as_str().unwrap().starts_with("now"), "{rows}");
    let shown = "document.querySelector('#chart-rates .plot').checkVisibility()";
    assert_eq!(browser.evaluate(shown), false);
    browser.click("#chart-rates .as-table");
    assert_eq!(browser.evaluate(shown), true);
    complain(&mut browser, "with the chart as a table");
}

#[test]
fn the_retrain_button_trains_and_says_so() {
    let (_database, server) = demo("0");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/operate/models", server.address));
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
            browser.open(&format!("http://{}/?{device}-{scheme}#/operate/models", server.address));
            let table = "document.querySelector('#models-body .model-segments table')?.innerText";
            let table = browser.wait_for(table);
            for segment in ["A", "B", "C", "D", "E"] {
                let users = metrics[format!("segment.{segment}.users")].as_f64().unwrap_or(0.0);
                let shown = table.as_str().unwrap().lines().any(|line| line.starts_with(segment));
                assert_eq!(shown, users > 0.0, "{segment} with {users} users in {table}");
            }
            browser
                .wait_for("/trained/i.test(document.querySelector('#models-body .model-health')?.innerText)");
            browser.screenshot(&format!("models-{device}-{scheme}"));
            browser.click(".pages [data-page=rules]");
            let rows = browser.wait_for("document.querySelectorAll('#rules-body tbody tr').length");
            assert!(rows.as_u64().unwrap() >= 10, "{rows} rules");
            let words = browser.evaluate("document.querySelector('#area-operate').innerText");
            assert!(!words.as_str().unwrap().contains("[object"), "{words}");
            fits(&mut browser, viewport);
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
        for (page, place, words) in [
            ("decisions", "#decisions-body", "No decisions yet"),
            ("models", "#models-body", "No model yet"),
            ("rules", "#rules-body", "No rules yet"),
            ("load", "#chart-rates", "No events in"),
        ] {
            browser.click(&format!(".pages [data-page={page}]"));
            browser.wait_for(&format!("/{words}/.test(document.querySelector('{place}').innerText)"));
            fits(&mut browser, viewport);
            browser.screenshot(&format!("empty-{page}-{scheme}"));
        }
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
