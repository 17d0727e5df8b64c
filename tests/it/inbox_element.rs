//! `<tidings-inbox>` in a real browser, on a page of a shop of another origin.

use serde_json::{Value, json};

use crate::helpers::browser::{Browser, DESKTOP, Engine, PHONE};
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::site::Site;

const AXE: &str = include_str!("fixtures/axe-core/axe.min.js");
const USER: i64 = 7;

/// A page with the element, the server that it shows, and a browser.
struct Page {
    database: TestDatabase,
    server: Server,
    browser: Browser,
}

impl Page {
    /// `tag` is what is in the page; SERVER in it is the server's address. Messages are in the inbox before it is opened.
    fn open(tag: &str, titles: &[String]) -> Self {
        Self::open_in(Engine::Chromium, tag, titles)
    }

    fn open_in(engine: Engine, tag: &str, titles: &[String]) -> Self {
        let database = TestDatabase::new();
        // The page's origin is known before the server starts, its text only afterwards.
        let site = Site::start(&[]);
        let origins = format!("server.allowed_origins=[\"{}\"]", site.origin());
        let server = Server::start(&database.url, &["--set", &origins]);
        let mut page = Self { database, server, browser: Browser::launch_engine(engine) };
        if !titles.is_empty() {
            let (_device, _) = page.server.login(USER);
            page.tell(titles);
            let n = titles.len();
            wait_for("the messages to be in the inbox", || page.inbox("limit=100")["unread"] == n);
        }
        page.browser.resize(DESKTOP);
        page.browser.open(&format!("{}/products/1", site.origin()));
        page.write(tag);
        page
    }

    /// Replaces the page's content and loads the component.
    fn write(&mut self, tag: &str) {
        let tag = tag.replace("SERVER", &format!("http://{}", self.server.address));
        let script = json!(format!("http://{}/inbox.js", self.server.address));
        let around = "<a href='#before' id='before'>Before</a>TAG<a href='#after' id='after'>After</a>";
        let body = json!(format!("<main><h1>Shop</h1>{}</main>", around.replace("TAG", &tag)));
        self.browser.evaluate(&format!(
            "document.documentElement.lang = 'en'; document.head.innerHTML = \
             '<title>Shop</title><meta name=viewport content=\"width=device-width\">'; document.body.innerHTML = {body}; \
             window.element = () => document.querySelector('tidings-inbox'); \
             window.q = (selector) => element().shadowRoot.querySelector(selector); \
             window.all = (selector) => [...element().shadowRoot.querySelectorAll(selector)]; \
             window.active = () => element().shadowRoot.activeElement; \
             window.titles = () => all('.row .head').map(one => one.lastChild.textContent); \
             import({script}).then(() => 1)"
        ));
    }

    /// Sends messages to the user, in this order.
    fn tell(&self, titles: &[String]) {
        let message = |title: &String| {
            json!({"user_id": USER, "title": title, "body": format!("About {title}."), "category": "price_drops",
                   "priority": "transactional", "url": "/products/2"})
        };
        let messages: Vec<Value> = titles.iter().map(message).collect();
        let answer = self.server.http().post("/v1/notifications", &json!(messages));
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    fn inbox(&self, query: &str) -> Value {
        self.server.http().get(&format!("/v1/users/{USER}/inbox?{query}")).json()
    }

    fn preferences(&self) -> Value {
        self.server.http().get(&format!("/v1/users/{USER}/preferences")).json()
    }

    /// Clicks inside the element, where the browser really is asked for what lies there.
    fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        let hit = self.browser.wait_for(&format!(
            "(() => {{ const one = q({quoted}); one.scrollIntoView({{block: 'nearest'}}); \
             const {{x, y, width, height}} = one.getBoundingClientRect(); \
             const top = element().shadowRoot.elementFromPoint(x + width / 2, y + height / 2); \
             if (!width || one.disabled || !(one === top || one.contains(top))) return null; one.click(); return 1; }})()"
        ));
        assert_eq!(hit, 1, "{selector}");
    }

    /// Nothing on the console, but what a test has provoked itself.
    fn quiet(&mut self) {
        let complaints = self.browser.take_complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

fn numbered(n: usize) -> Vec<String> {
    (1..=n).map(|at| format!("Message {at}")).collect()
}

const PLAIN: &str = "<tidings-inbox user-id='7'></tidings-inbox>";

#[test]
fn the_inbox_is_walked_from_the_keyboard_over_pages_that_stay_as_they_are() {
    walk_from_the_keyboard(Engine::Chromium);
}

#[test]
fn the_inbox_is_walked_from_the_keyboard_over_pages_that_stay_as_they_are_in_firefox() {
    walk_from_the_keyboard(Engine::Firefox);
}

fn walk_from_the_keyboard(engine: Engine) {
    let mut page = Page::open_in(engine, PLAIN, &numbered(25));
    let browser = &mut page.browser;
    browser.wait_for("q('#bell').getAttribute('aria-label') === 'Notifications, 25 unread'");
    assert_eq!(browser.evaluate("q('.badge').textContent"), "25");
    browser.tab_to("tidings-inbox");
    assert_eq!(browser.evaluate("active() === q('#bell')"), true);
    browser.press("Enter");
    browser.wait_for("element().open && active()?.matches('.row:first-child .open')");
    assert_eq!(browser.evaluate("titles().length"), 20);
    assert_eq!(browser.evaluate("titles()[0]"), "Message 25");
    browser.press("ArrowDown");
    browser.press("ArrowDown");
    assert_eq!(browser.evaluate("active() === all('.row .open')[2]"), true);
    browser.press("ArrowUp");
    assert_eq!(browser.evaluate("active() === all('.row .open')[1]"), true);
    // Along one message, and its actions; Escape goes back a step at a time.
    browser.press("ArrowRight");
    browser.wait_for("active().dataset.name === 'archive' || active().dataset.name === 'more'");
    browser.evaluate("active().dataset.name === 'more' || q('.row:nth-child(2) [data-name=more]').focus()");
    browser.press("Enter");
    browser.wait_for("all('.row')[1].querySelector('.actions').checkVisibility()");
    browser.press("ArrowRight");
    assert_eq!(browser.evaluate("active().dataset.action"), "read");
    browser.press("Escape");
    assert_eq!(browser.evaluate("active().dataset.name"), "more");
    assert_eq!(browser.evaluate("element().open"), true);

    // What arrives between two pages moves neither the focus nor the pages.
    browser.press("End");
    assert_eq!(browser.evaluate("active() === all('.row .open')[19]"), true);
    page.tell(&["Just now".to_owned()]);
    let browser = &mut page.browser;
    browser.wait_for("titles()[0] === 'Just now'");
    assert_eq!(browser.evaluate("active() === all('.row .open')[20]"), true);
    browser.press("ArrowDown");
    browser.wait_for("active().dataset.name === 'older'");
    browser.press("Enter");
    browser.wait_for("titles().length === 26");
    browser.wait_for("active() === all('.row .open')[21]");
    let expected: Vec<String> =
        std::iter::once("Just now".to_owned()).chain(numbered(25).into_iter().rev()).collect();
    assert_eq!(browser.evaluate("titles()"), json!(expected));
    browser.wait_for("!q('[data-name=older]')");
    assert_eq!(browser.evaluate("q('[aria-live]').textContent"), "5 older messages");

    // One row at a time is reached by Tab; what follows the element closes it.
    assert_eq!(
        browser.evaluate("new Set(all('.row [tabindex=\"0\"]').map(one => one.closest('.row'))).size"),
        1
    );
    browser.press("Escape");
    browser.wait_for("!element().open && active() === q('#bell')");
    browser.press("Enter");
    browser.wait_for("element().open");
    browser.tab_to("#after");
    browser.wait_for("!element().open");
    page.quiet();
}

#[test]
fn messages_are_read_here_and_elsewhere_and_all_at_once() {
    read_here_and_elsewhere(Engine::Chromium);
}

#[test]
fn messages_are_read_here_and_elsewhere_and_all_at_once_in_firefox() {
    read_here_and_elsewhere(Engine::Firefox);
}

fn read_here_and_elsewhere(engine: Engine) {
    let mut page = Page::open_in(engine, PLAIN, &numbered(4));
    let ids: Vec<String> = {
        let messages = page.inbox("limit=10")["messages"].as_array().unwrap().clone();
        messages.iter().map(|one| one["notification_id"].as_str().unwrap().to_owned()).collect()
    };
    page.browser.evaluate(
        "window.chosen = []; window.counts = []; \
         element().addEventListener('tidings-select', (event) => { event.preventDefault(); chosen.push(event.detail); }); \
         element().addEventListener('tidings-count', ({detail}) => counts.push(detail.unread)); 1",
    );
    page.click("#bell");
    page.click(".row:nth-child(1) .open");
    let browser = &mut page.browser;
    browser.wait_for(
        "chosen.length === 1 && chosen[0].message.title === 'Message 4' && chosen[0].url === '/products/2'",
    );
    // Prevented: the page stays, and takes care of the focus itself.
    assert_eq!(browser.evaluate("location.pathname === '/products/1' && !element().open"), true);
    browser.wait_for("q('.badge').textContent === '3' && element().unread === 3");
    wait_for("the message to be read", || page.inbox("limit=10")["messages"][0]["read"] == true);

    // Another device reads one, the shop takes one back.
    let body = json!({"notification_ids": [ids[1]]});
    assert_eq!(page.server.http().post(&format!("/v1/users/{USER}/inbox/read"), &body).status, 200);
    page.browser.wait_for("q('.badge').textContent === '2'");
    assert_eq!(page.server.http().delete(&format!("/v1/notifications/{}", ids[2])).status, 204);
    page.browser.wait_for("titles().join() === 'Message 4,Message 3,Message 1'");
    page.click("#bell");
    page.browser.wait_for("all('.row.unread').length === 1");

    // Elsewhere one is unread again, another archived and brought back.
    let change = |page: &Page, what: &str, id: &String| {
        let body = json!({"notification_ids": [id]});
        let answer = page.server.http().post(&format!("/v1/users/{USER}/inbox/{what}"), &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    change(&page, "unread", &ids[0]);
    page.browser.wait_for("all('.row.unread').length === 2 && q('.badge').textContent === '2'");
    change(&page, "archive", &ids[1]);
    page.browser.wait_for("titles().join() === 'Message 4,Message 1'");
    change(&page, "unarchive", &ids[1]);
    page.browser.wait_for("titles().join() === 'Message 4,Message 3,Message 1'");

    page.click("[data-name=read-all]");
    page.browser.wait_for("q('.badge').hidden && all('.row.unread').length === 0");
    page.browser.wait_for("q('.notice').textContent === 'All marked as read.'");
    wait_for("all to be read", || page.inbox("limit=10")["unread"] == 0);
    assert_eq!(page.browser.evaluate("counts.at(-1)"), 0);
    page.quiet();
}

#[test]
fn messages_are_archived_snoozed_deleted_and_taken_back_where_the_server_can() {
    let mut page = Page::open(PLAIN, &numbered(3));
    page.click("#bell");
    page.browser.wait_for("titles().length === 3");
    let shown =
        "all('[data-name=archive]').some(one => one.checkVisibility()) || q('select').checkVisibility()";
    assert_eq!(page.browser.evaluate(shown), true);
    page.browser.evaluate("all('.row .open')[1].focus()");
    page.browser.press("ArrowRight");
    page.browser.press("Enter");
    page.browser.wait_for(
        "titles().join() === 'Message 3,Message 1' && q('.notice').textContent.startsWith('Archived.')",
    );
    assert_eq!(page.browser.evaluate("active() === all('.row .open')[1]"), true);
    page.browser.wait_for("q('.badge').textContent === '2'");
    assert_eq!(page.inbox("state=archived")["messages"][0]["title"], "Message 2");
    page.click("[data-name=undo]");
    page.browser.wait_for("titles().length === 3 && q('.badge').textContent === '3'");
    assert_eq!(page.inbox("state=archived")["messages"], json!([]));
    snooze_delete_and_views(&mut page);
    // A server without: its pages say nothing of it, or it refuses.
    page.browser.evaluate(
        "(() => { const {client} = element(), {inbox} = client; client.inbox = async (query) => { \
         const page = await inbox.call(client, query); \
         page.messages = page.messages.map(({archived, snoozed_until, ...message}) => message); return page; }; \
         return element().refresh().then(() => 1); })()",
    );
    assert_eq!(page.browser.evaluate(shown), false);
    page.click(".row [data-name=more]");
    let actions = "all('.row:first-child [data-action]').map(one => one.dataset.action).join()";
    assert_eq!(page.browser.evaluate(actions), "read,mute");
    page.quiet();
}

fn snooze_delete_and_views(page: &mut Page) {
    page.click(".row:first-child [data-name=more]");
    page.click("[data-action=snoozeHour]");
    page.browser.wait_for(
        "titles().join() === 'Message 2,Message 1' && q('.notice').textContent.startsWith('Comes back')",
    );
    page.browser.evaluate("q('select').value = 'snoozed'; q('select').dispatchEvent(new Event('change'))");
    page.browser.wait_for("titles().join() === 'Message 3' && q('.row time').textContent.includes('until')");
    page.click(".row:first-child [data-name=more]");
    page.click("[data-action=unread], [data-action=read]");
    page.browser.evaluate("q('select').value = 'inbox'; q('select').dispatchEvent(new Event('change'))");
    page.browser.wait_for("titles().length >= 2");
    // Deleting asks twice.
    let n = page.browser.evaluate("titles().length").as_u64().unwrap();
    page.click(".row:last-child [data-name=more]");
    page.click(".row:last-child [data-action=delete]");
    page.browser.wait_for("q('.row:last-child .sure').textContent === 'Delete for good?'");
    page.click(".row:last-child [data-action=delete]");
    page.browser.wait_for(&format!("titles().length === {}", n - 1));
    wait_for("the message to be gone", || !page.inbox("state=all").to_string().contains("Message 1"));
}

#[test]
fn a_category_is_muted_and_heard_of_again_and_preferences_are_kept() {
    let mut page = Page::open(PLAIN, &numbered(1));
    page.click("#bell");
    page.click(".row [data-name=more]");
    page.click("[data-action=mute]");
    page.browser
        .wait_for("q('.notice').textContent.startsWith('You will not get any more of “Price drops”.')");
    wait_for("the mute to be stored", || page.preferences()["muted"] == json!(["price_drops"]));
    // It counts as what came of the message.
    let outcomes = "SELECT count(*) AS n FROM feedback WHERE outcome = 5";
    wait_for("the outcome to be stored", || page.database.count(outcomes) == 1);
    page.click("[data-name=undo]");
    page.browser.wait_for("q('.notice').textContent === 'Undone.'");
    assert_eq!(page.preferences()["muted"], json!([]));
    assert_eq!(page.preferences()["mutes"], json!([]));
    page.click("[data-action=mute]");
    wait_for("the mute to be stored", || page.preferences()["muted"] == json!(["price_drops"]));

    page.click("[data-name=preferences]");
    page.browser.wait_for("q('[name=quiet]') && active() === q('[data-name=back]')");
    page.click("[name=quiet]");
    page.browser.wait_for("q('.notice').textContent === 'Saved.'");
    assert_eq!(page.preferences()["quiet_hours"], json!({"from": "22:00", "to": "07:00"}));
    page.browser
        .evaluate("q('[name=to]').value = '08:30'; q('[name=to]').dispatchEvent(new Event('change'))");
    wait_for("the hours to be stored", || page.preferences()["quiet_hours"]["to"] == "08:30");
    page.click("[name=push]");
    wait_for("the channel to be stored", || page.preferences()["blocked_channels"] == json!({"*": ["push"]}));
    page.click("[name=push]");
    wait_for("the channel to be free", || page.preferences()["blocked_channels"] == json!({}));
    page.click("form li button");
    wait_for("the mute to be gone", || page.preferences()["muted"] == json!([]));
    page.browser
        .wait_for("q('form').textContent.includes('Nothing is muted.') && active() === q('[name=quiet]')");
    assert_eq!(page.browser.evaluate("q('form').textContent.includes('English')"), true);
    page.browser.press("Escape");
    page.browser
        .wait_for("active() === q('[data-name=preferences]') && element().open && titles().length === 1");
    page.quiet();
}

#[test]
fn it_speaks_german_or_what_the_page_says_and_shows_what_the_page_gives_it() {
    let mut page = Page::open("<tidings-inbox locale='de'></tidings-inbox>", &numbered(2));
    page.browser.wait_for("q('#bell').getAttribute('aria-label') === 'Mitteilungen'");
    page.click("#bell");
    page.browser.wait_for("q('.state').textContent === 'Niemand ist angemeldet.'");
    // A client of the page whose first request fails.
    let client = format!("http://{}/tidings.js", page.server.address);
    page.browser.evaluate(&format!(
        "import({}).then(({{Tidings}}) => {{ let n = 0; window.tidings = new Tidings({{userId: {USER}, \
         fetch: (...call) => (n += 1) > 1 ? fetch(...call) : Promise.reject(new TypeError('no network'))}}); \
         tidings.connect(); element().client = tidings; return 1; }})",
        json!(client)
    ));
    page.browser
        .wait_for("q('.problem').textContent.startsWith('Die Mitteilungen können nicht angezeigt werden.')");
    page.click("[data-name=retry]");
    page.browser.wait_for("titles().length === 2 && q('.row time').textContent === 'jetzt'");
    page.browser.wait_for("q('#bell').getAttribute('aria-label') === 'Mitteilungen, 2 ungelesene'");
    assert_eq!(page.browser.evaluate("q('.head').textContent"), "ungelesen: Message 2");
    page.browser.evaluate("element().words = {title: 'Nachrichten'}; 1");
    assert_eq!(page.browser.evaluate("q('#title').textContent + titles()"), "NachrichtenMessage 2,Message 1");
    page.browser.evaluate("element().words = null; element().locale = 'fr-FR'; 1");
    assert_eq!(
        page.browser.evaluate("q('#title').textContent + q('.row time').textContent"),
        "Notificationsnow"
    );
    // Nothing of a user stays when they sign out; the page's own client is not ended with the element.
    page.browser.evaluate("tidings.signOut().then(() => 1)");
    page.browser.wait_for("titles().length === 0");
    let empty = Page::open(PLAIN, &[]);
    let mut page = empty;
    page.click("#bell");
    page.browser.wait_for("q('.state strong').textContent === 'No messages yet'");
    page.tell(&["First".to_owned()]);
    // The answer to the login, which may come late, is none of them.
    page.browser.wait_for("titles().join() === 'First' && q('.badge').textContent === '1'");
    page.quiet();
}

/// What axe-core finds on the page as it is, a line each.
fn audit(browser: &mut Browser) -> Vec<String> {
    if browser.evaluate("typeof axe") == "undefined" {
        browser.evaluate(&format!("{AXE}\n;1"));
    }
    let found = browser.evaluate(
        "Promise.all(element().shadowRoot.getAnimations().filter(one => one.effect.getComputedTiming().iterations !== Infinity)\
         .map(one => one.finished.catch(() => 0)))\
         .then(() => axe.run(document, { rules: { 'target-size': { enabled: true }, \
         'label-content-name-mismatch': { enabled: true } }, resultTypes: ['violations'] }))\
         .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => \
         `${id}: ${target.join(' ')} ${failureSummary.replace(/\\s+/g, ' ').slice(0, 160)}`)))",
    );
    serde_json::from_value(found).unwrap()
}

#[test]
fn axe_finds_nothing_on_laptops_and_phones_by_day_and_by_night() {
    let mut page = Page::open(PLAIN, &numbered(22));
    let mut found = Vec::new();
    for (viewport, device) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
        page.browser.resize(viewport);
        for scheme in ["light", "dark"] {
            page.browser.prefer(scheme);
            page.write("<tidings-inbox user-id='7' theme='auto'></tidings-inbox>");
            page.browser.evaluate("Object.assign(document.documentElement.style, {colorScheme: 'light dark', background: 'Canvas'}); 1");
            page.browser.wait_for("!q('.badge').hidden");
            page.click("#bell");
            page.browser.wait_for("titles().length === 20");
            page.click(".row:nth-child(2) [data-name=more]");
            page.browser.evaluate("q('.body').scrollTop = 0");
            let mut look = |page: &mut Page, what: &str| {
                let lines = audit(&mut page.browser);
                found.extend(lines.into_iter().map(|line| format!("{what} {device} {scheme}: {line}")));
                page.browser.screenshot(&format!("inbox-{what}-{device}-{scheme}"));
            };
            look(&mut page, "list");
            page.click("[data-name=preferences]");
            page.browser.wait_for("q('[name=quiet]')");
            look(&mut page, "preferences");
            let width = page.browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(width <= u64::from(viewport.width), "{width} pixels wide at {viewport:?}");
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    page.quiet();
}
