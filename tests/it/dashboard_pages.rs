//! What people see on the pages of the dashboard: when answers fail, with a screen reader or a keyboard, in a second tab, after a mute.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::broken_line::{BrokenLine, Line};
use crate::helpers::browser::{Browser, DESKTOP, PHONE};
use crate::helpers::database::TestDatabase;
use crate::helpers::demo::demo;
use crate::helpers::server::{Server, wait_for};

const AXE: &str = include_str!("fixtures/axe-core/axe.min.js");
/// The pages of Operate in their order, each with something that is there once it is drawn.
const PAGES: [(&str, &str); 8] = [
    ("decisions", "#decisions-body .decision"),
    ("outcomes", "#feedback-body .funnel"),
    ("models", "#models-body .model-segments"),
    ("rules", "#rules-body tbody tr"),
    ("segments", "#segments-body .plot"),
    ("load", "#where-body tbody tr"),
    ("users", "#sessions-body li"),
    ("cleaning", "#cleaning-body .report"),
];

fn there(selector: &str) -> String {
    format!("document.querySelector({})?.checkVisibility()", json!(selector))
}

/// No text of a mistake in a script, and no exception that nobody caught.
fn speaks_to_people(browser: &mut Browser, when: &str) {
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    for wrong in [
        "annot read",
        "undefined",
        "is not a function",
        "is not iterable",
        "NaN",
        "TypeError",
        "[object",
        "Unexpected token",
    ] {
        assert!(!text.contains(wrong), "{when}: {wrong} in {text}");
    }
    let complaints = browser.take_complaints();
    let uncaught: Vec<_> = complaints.iter().filter(|one| one.contains("Uncaught")).collect();
    assert!(uncaught.is_empty(), "{when}: {uncaught:#?}");
}

#[test]
fn a_line_that_breaks_is_said_in_words_and_everything_is_right_again_by_itself() {
    let (_database, server) = demo("12");
    let line = BrokenLine::to(server.address);
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    let areas = [
        ("try/7", "#products [data-item-id]"),
        ("operate/models", "#models-body .model-segments"),
        ("results/7", "#outcomes-body tbody tr"),
    ];
    for state in [Line::Gone, Line::Cut, Line::Html, Line::Null, Line::Strange] {
        for (area, selector) in areas {
            let when = format!("{area}, {state:?}");
            // Broken before anything is there, and while it is there.
            line.set(state);
            browser.open(&format!("http://{}/?{state:?}#/{area}", line.address));
            browser.wait_for("/can.t be reached/.test(document.body.innerText)");
            speaks_to_people(&mut browser, &when);
            line.set(Line::Open);
            browser.wait_for(&there(selector));
            browser.wait_for("document.querySelector('#banner').hidden");
            if area.starts_with("try") {
                browser.wait_for("document.querySelector('#connection[data-state=online]')");
                browser.wait_for(&there("#preferences-body .quiet-hours"));
                browser.wait_for(&there("#profile-body .figures"));
                browser.wait_for(&there("#recommendations-body .rec"));
            }
            line.set(state);
            browser.wait_for("!document.querySelector('#banner').hidden");
            if area.starts_with("operate") {
                for (page, _) in PAGES {
                    browser.evaluate(&format!("location.hash = '#/operate/{page}'"));
                    browser.evaluate("new Promise(resolve => setTimeout(resolve, 200))");
                    speaks_to_people(&mut browser, &format!("{page}, {state:?}"));
                }
            }
            speaks_to_people(&mut browser, &when);
            line.set(Line::Open);
            browser.wait_for("document.querySelector('#banner').hidden");
        }
    }
    for (page, selector) in PAGES {
        browser.evaluate(&format!("location.hash = '#/operate/{page}'"));
        browser.wait_for(&there(selector));
    }
    browser.wait_for("!/can.t be/.test(document.body.innerText)");
}

#[test]
fn operate_asks_one_question_a_page_and_decisions_first() {
    let (_database, server) = demo("12");
    let mut browser = Browser::launch();
    for (viewport, device, most) in [(DESKTOP, "desktop", 1_700), (PHONE, "phone", 2_400)] {
        browser.resize(viewport);
        browser.open(&format!("http://{}/?{device}#/operate", server.address));
        for (page, selector) in PAGES {
            if page != "decisions" {
                // By the keyboard, as anybody gets there.
                browser.tab_to(&format!("#area-operate [data-page={page}]"));
                browser.press("Enter");
            }
            browser.wait_for(&there(selector));
            let shown = browser.evaluate(
                "[...document.querySelectorAll('#area-operate .page')].filter(page => page.checkVisibility()).map(page => page.id)",
            );
            assert_eq!(shown, json!([format!("page-{page}")]));
            assert_eq!(browser.evaluate("document.querySelectorAll('.pages [aria-current]').length"), 1);
            let (width, height) =
                ("document.documentElement.scrollWidth", "document.documentElement.scrollHeight");
            let (width, height) = (browser.evaluate(width), browser.evaluate(height));
            assert!(
                width.as_u64().unwrap() <= u64::from(viewport.width),
                "{page} is {width} wide on a {device}"
            );
            assert!(height.as_u64().unwrap() <= most, "{page} is {height} high on a {device}");
            browser.screenshot(&format!("operate-{page}-{device}"));
        }
        // A page has an address of its own.
        browser.open(&format!("http://{}/?{device}-again#/operate/rules", server.address));
        browser.wait_for(&there("#rules-body tbody tr"));
        assert!(browser.take_complaints().is_empty());
    }
}

/// What axe-core finds on the page as it is, a line each.
pub fn audit(browser: &mut Browser) -> Vec<String> {
    if browser.evaluate("typeof axe") == "undefined" {
        browser.evaluate(&format!("{AXE}\n;1"));
    }
    // Animations end first: a half-faded text has a contrast of its own.
    let found = browser.evaluate(
        "Promise.all(document.getAnimations().filter(one => one.effect.getComputedTiming().iterations !== Infinity)\
         .map(one => one.finished.catch(() => 0)))\
         .then(() => axe.run(document, { rules: { 'target-size': { enabled: true }, \
         'label-content-name-mismatch': { enabled: true } }, resultTypes: ['violations'] }))\
         .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => \
         `${id}: ${target.join(' ')} ${failureSummary.replace(/\\s+/g, ' ').slice(0, 160)}`)))",
    );
    let lines: Vec<String> = serde_json::from_value(found).unwrap();
    lines
}

/// Audits each page in a light and a dark window of both sizes.
fn audit_pages(browser: &mut Browser, server: &Server, pages: &[(String, String)]) {
    let mut found = Vec::new();
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        browser.resize(viewport);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            for (page, ready) in pages {
                browser.open(&format!("http://{}/?{device}-{scheme}#/{page}", server.address));
                browser.wait_for(ready);
                let lines = audit(browser);
                found.extend(lines.into_iter().map(|line| format!("{page} {device} {scheme}: {line}")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn axe_finds_nothing_on_any_page() {
    let (_database, server) = demo("12");
    let mut browser = Browser::launch();
    let mut pages: Vec<(String, String)> =
        PAGES.iter().map(|(page, selector)| (format!("operate/{page}"), there(selector))).collect();
    let online = "document.querySelector('#connection[data-state=online]') && \
                  document.querySelector('#notifications [data-notification-id]') && \
                  document.querySelector('#products [data-item-id]')";
    pages.push(("try/7".to_owned(), online.to_owned()));
    pages.push((
        "results/7".to_owned(),
        format!("{} && {}", there("#outcomes-body tbody tr"), there(".heat-cell")),
    ));
    audit_pages(&mut browser, &server, &pages);
}

#[test]
fn axe_finds_nothing_where_there_is_nothing_to_show() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut browser = Browser::launch();
    let mut pages: Vec<(String, String)> =
        PAGES.iter().map(|(page, _)| (format!("operate/{page}"), there(&format!("#page-{page}")))).collect();
    for area in ["try", "results"] {
        pages.push((area.to_owned(), there(&format!("#area-{area} .empty"))));
    }
    audit_pages(&mut browser, &server, &pages);
}

fn shown_ids(browser: &mut Browser) -> Value {
    let ids = "[...document.querySelectorAll('#notifications [data-notification-id]')].map(one => one.dataset.notificationId)";
    browser.wait_for(&format!("{ids}.length && {ids}"))
}

/// The first message of an event stream.
fn first_event(server: &Server, query: &str) -> Value {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "GET /v1/sse?{query} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let data =
        lines.filter_map(|line| line.strip_prefix("data:").map(|data| serde_json::from_str(data).unwrap()));
    data.into_iter().find(|frame: &Value| frame["type"] == "recommendation").unwrap()
}

#[test]
fn a_second_tab_shows_the_same_answer_and_nothing_is_pushed_again() {
    let (_database, server) = demo("12");
    let address = format!("http://{}/#/try/a-new-user", server.address);
    let (mut first, mut second) = (Browser::launch(), Browser::launch());
    first.resize(DESKTOP);
    second.resize(DESKTOP);
    first.open(&address);
    let greeted = shown_ids(&mut first);
    assert_eq!(greeted.as_array().unwrap().len(), 1, "{greeted}");
    second.open(&address);
    assert_eq!(shown_ids(&mut second), greeted);
    let (mut client, answer) = server.login("a-new-user");
    assert_eq!(answer["notification_id"], greeted[0], "{answer}");
    client.expect("welcome");
    assert_eq!(first_event(&server, "user_id=a-new-user")["notification_id"], greeted[0]);
    // One decision, whoever asked.
    let decisions = server.http().get("/admin/decisions?user_id=a-new-user").json()["decisions"].clone();
    let logins = decisions.as_array().unwrap().iter().filter(|one| one["trigger"] == "login").count();
    assert_eq!(logins, 1, "{decisions}");
    assert_eq!(shown_ids(&mut first), greeted);
}

#[test]
fn what_is_muted_leaves_the_recommendations_and_comes_back_by_undo() {
    let (_database, server) = demo("12");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/try/7", server.address));
    browser.wait_for("document.querySelector('#connection[data-state=online]')");
    let entry = "#notifications [data-notification-id]";
    browser.wait_for(&there(&format!("{entry} [data-action=mute-products]")));
    browser.wait_for(&there("#recommendations-body .rec"));
    let mutes = || {
        let answer = server.http().get("/v1/users/7/preferences");
        if answer.status == 404 { json!([]) } else { answer.json()["mutes"].clone() }
    };
    browser.click(&format!("{entry} [data-action=mute-products]"));
    browser.wait_for(&there(&format!("{entry} [data-action=undo]")));
    browser.screenshot("muted-desktop");
    let muted = mutes()[0]["name"].clone();
    let category = muted.as_str().unwrap().to_owned();
    browser.wait_for(&there("#preferences-body [data-mute-of=item_category]"));
    let listed =
        "[...document.querySelectorAll('#recommendations-body .rec')].map(card => card.dataset.itemId)";
    let is_free = |ids: &Value| {
        let mut http = server.http();
        ids.as_array().unwrap().iter().all(|id| {
            let item = http.get(&format!("/v1/items/{}", id.as_str().unwrap())).json();
            !item["category"].as_array().unwrap().contains(&json!(category))
        })
    };
    wait_for("recommendations without the category", || is_free(&browser.evaluate(listed)));
    browser.click(&format!("{entry} [data-action=undo]"));
    wait_for("the mute to be taken back", || mutes() == json!([]));
    browser.wait_for("!document.querySelector('#preferences-body [data-mute-of]')");

    // A category of messages, in the same way.
    browser.click(&format!("{entry}:not([data-state]) [data-action=mute]"));
    wait_for("the category of messages to be muted and that to be stored", || {
        let timeline = server.http().get("/admin/users/7/timeline").json();
        timeline["entries"].as_array().unwrap().iter().any(|entry| entry["outcome"] == "muted")
    });
    browser.click("[data-state=muted] [data-action=undo]");
    wait_for("that to be taken back", || {
        server.http().get("/v1/users/7/preferences").json()["muted"] == json!([])
    });
    assert!(browser.take_complaints().is_empty());
}
