//! The dashboard of people who sign in: the first link, the sign-in page, the audit log, accounts, their own sessions.

use serde_json::json;

use crate::dashboard_pages::audit;
use crate::helpers::browser::{Browser, DESKTOP, PHONE};
use crate::helpers::people::{PASSWORD, add, start};

fn there(selector: &str) -> String {
    format!("document.querySelector({})?.checkVisibility()", json!(selector))
}

fn sign_in(browser: &mut Browser, name: &str, password: &str) {
    browser.wait_for(&there("#password-form"));
    browser.fill("#signin-name", name);
    browser.fill("#signin-password", password);
    browser.press("Enter");
}

#[test]
fn the_first_administrator_joins_and_reads_the_audit_log() {
    let (_database, mut server) = start(&[]);
    let line = server.next_line();
    let (_, link) = line.rsplit_once(' ').unwrap();
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(link);
    browser.wait_for(&there("#join-form"));
    assert!(audit(&mut browser).is_empty(), "{:#?}", audit(&mut browser));
    browser.screenshot("join-desktop");
    for (again, problem) in [("another sentence", "not the same"), (PASSWORD, "")] {
        browser.fill("#join-name", "anna");
        browser.fill("#join-password", PASSWORD);
        browser.fill("#join-again", again);
        browser.click("#join-form button");
        if !problem.is_empty() {
            browser
                .wait_for(&format!("/{problem}/.test(document.querySelector('#join-problem').textContent)"));
        }
    }
    browser.wait_for("document.querySelector('#account-name').textContent === 'anna'");
    browser.wait_for("!document.querySelector('#join').checkVisibility()");
    // By hand: an attempt that is refused, to be found.
    assert_eq!(server.http().get("/v1/people").status, 401);
    browser.evaluate("location.hash = '#/operate/audit'");
    browser.wait_for("document.querySelectorAll('#audit-entries tr').length >= 2");
    browser.screenshot("audit-desktop");
    browser.evaluate("document.querySelector('#audit-status').value = '401'");
    browser.evaluate("document.querySelector('#audit-status').dispatchEvent(new Event('change'))");
    browser.wait_for(
        "document.querySelectorAll('#audit-entries tr').length && \
         [...document.querySelectorAll('#audit-entries tr')].every(row => /refused 401/.test(row.textContent))",
    );
    browser.evaluate("document.querySelector('#audit-status').value = ''");
    browser.fill("#audit-action", "people/join");
    browser.wait_for("document.querySelectorAll('#audit-entries tr').length === 1");
    assert!(
        browser.evaluate("document.querySelector('#audit-entries').textContent").to_string().contains("anna")
    );
    browser.fill("#audit-action", "nothing of the kind");
    browser.wait_for(&there("#audit-body .empty"));
    browser.click("#audit-export");
    browser.wait_for("/0 entries exported/.test(document.querySelector('#audit-note').textContent)");
}

#[test]
fn people_sign_in_see_what_their_role_may_and_sign_out() {
    let (database, server) = start(&[]);
    add(&database, "anna", "admin");
    add(&database, "vera", "viewer");
    let mut browser = Browser::launch();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/operate", server.address));
    sign_in(&mut browser, "vera", "not her sentence");
    browser.wait_for("/wrong/.test(document.querySelector('#password-problem').textContent)");
    sign_in(&mut browser, "vera", PASSWORD);
    browser.wait_for("document.querySelector('#account-name').textContent === 'vera'");
    browser.wait_for("!document.querySelector('#signin').checkVisibility()");
    browser.wait_for(&there("#area-operate [data-page=models]"));
    for page in ["audit", "people"] {
        assert_eq!(browser.evaluate(&there(&format!("#area-operate [data-page={page}]"))), false, "{page}");
    }
    browser.click("#sign-out");
    browser.wait_for(&there("#password-form"));
    sign_in(&mut browser, "anna", PASSWORD);
    browser.wait_for(&there("#area-operate [data-page=people]"));
    browser.click("#area-operate [data-page=people]");
    browser.wait_for(&there("#people-body [data-name=vera]"));
    browser.fill("#people-name", "ben");
    browser.press("Enter");
    browser.wait_for("/#\\/join\\//.test(document.querySelector('#people-link-address')?.value ?? '')");
    browser.wait_for(&there("#people-body [data-name=ben]"));
    browser.evaluate(
        "(select => { select.value = 'operator'; select.dispatchEvent(new Event('change')) })\
         (document.querySelector('[data-name=vera] select'))",
    );
    let role = |name: &str| format!("document.querySelector('[data-name={name}] select')?.value");
    browser.wait_for(&format!("{} === 'operator'", role("vera")));
    // The last administrator stays one, and the page says so.
    browser.evaluate(
        "(select => { select.value = 'viewer'; select.dispatchEvent(new Event('change')) })\
         (document.querySelector('[data-name=anna] select'))",
    );
    browser.wait_for("/last administrator/.test(document.querySelector('#toasts').textContent)");
    browser.wait_for(&format!("{} === 'admin'", role("anna")));
    // What the client library of "Try it" sends carries the token of the session as well.
    browser.evaluate(
        "import('/js/api.js').then(async (api) => { \
         const change = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{\"locale\":\"de\"}' }; \
         const path = '/v1/users/17/preferences'; \
         globalThis.answered = [(await fetch(path, change)).status, (await api.fetchSigned(path, change)).status]; }), 0",
    );
    browser.wait_for("globalThis.answered?.join() === '403,200'");
    browser.click("#account-name");
    browser.wait_for(&there("#own-sessions tbody tr"));
    browser.click("#sign-out-everywhere");
    browser.wait_for(&there("#password-form"));
}

#[test]
fn axe_finds_nothing_on_the_pages_of_people() {
    let (database, server) = start(&[]);
    add(&database, "anna", "admin");
    let mut browser = Browser::launch();
    let mut found = Vec::new();
    browser.resize(DESKTOP);
    browser.open(&format!("http://{}/#/operate", server.address));
    browser.wait_for(&there("#password-form"));
    found.extend(audit(&mut browser));
    browser.screenshot("sign-in-desktop");
    sign_in(&mut browser, "anna", PASSWORD);
    browser.wait_for(&there("#account-name"));
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        browser.resize(viewport);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            for (page, ready) in [
                ("operate/audit", "#audit-entries tr"),
                ("operate/people", "#people-body [data-name=anna]"),
                ("account", "#own-sessions tbody tr"),
            ] {
                browser.open(&format!("http://{}/?{device}-{scheme}#/{page}", server.address));
                browser.wait_for(&there(ready));
                let lines = audit(&mut browser);
                found.extend(lines.into_iter().map(|line| format!("{page} {device} {scheme}: {line}")));
                let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
                assert!(width <= u64::from(viewport.width), "{page} is {width} wide on a {device}");
                browser.screenshot(&format!("{}-{device}", page.replace('/', "-")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
