//! The client in a real browser, on pages of a shop of another origin: where it connects to, what tabs share, what hidden
//! pages claim, how its service worker lives beside another.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::helpers::browser::{Browser, Engine};
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::site::Site;

/// A shop, the server that it uses, and a browser at one of its pages.
struct Shop {
    _database: TestDatabase,
    server: Server,
    site: Site,
    browser: Browser,
}

impl Shop {
    fn open(files: &[(&str, &str)], path: &str) -> Self {
        Self::open_in(Engine::Chromium, files, path)
    }

    fn open_in(engine: Engine, files: &[(&str, &str)], path: &str) -> Self {
        let database = TestDatabase::new();
        let site = Site::start(files);
        let origins = format!("server.allowed_origins=[\"{}\"]", site.origin());
        let server =
            Server::start(&database.url, &["--set", &origins, "--set", "webpush.allow_loopback=true"]);
        let mut browser = Browser::launch_engine(engine);
        browser.open(&format!("{}{path}", site.origin()));
        Self { _database: database, server, site, browser }
    }

    /// The address of a file of the server, as a JavaScript string.
    fn at(&self, path: &str) -> String {
        json!(format!("http://{}/{path}", self.server.address)).to_string()
    }

    /// Connections of a user.
    fn connections(&self, user: i64) -> Value {
        let sessions = self.server.http().get("/admin/sessions").json();
        let all = sessions["sessions"].as_array().unwrap().iter();
        all.filter(|one| one["user_id"] == user)
            .map(|one| one["connections"].clone())
            .next()
            .unwrap_or_default()
    }

    /// Loads the worker of the page's site with the server's address in it.
    fn register(&mut self, worker: &str, scope: &str) {
        let origin = self.site.origin();
        self.browser.allow_notifications(&origin);
        let (webpush, server) = (self.at("webpush.js"), self.at(""));
        // A headless browser has no push service: what it would say is taken as said.
        self.browser.evaluate(&format!(
            "(async () => {{ \
               window.told = []; navigator.serviceWorker.addEventListener('message', ({{data}}) => told.push(data)); \
               window.subscription = {{endpoint: 'http://127.0.0.1:9/a', options: {{}}, unsubscribe: async () => true, \
                 toJSON: () => ({{endpoint: 'http://127.0.0.1:9/a', keys: {{ \
                 p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4', \
                 auth: 'BTBZMqHH6r4Tts7J_aSIgg'}}}})}}; \
               window.keys = []; \
               PushManager.prototype.subscribe = async (options) => (keys.push(options.applicationServerKey), subscription.options = options, subscription); \
               PushManager.prototype.getSubscription = async () => keys.length ? subscription : null; \
               window.push = await import({webpush}); \
               await push.enableWebPush({{userId: 7, server: {server}, serviceWorker: {}, scope: {}}}); \
               window.registration = await navigator.serviceWorker.getRegistration({}); \
               return 1; }})()",
            json!(worker),
            json!(scope),
            json!(scope)
        ));
    }

    /// What the browser shows, once the page has been told of this message.
    fn shown(&mut self, id: &str) -> Vec<Value> {
        self.browser
            .wait_for(&format!("told.find(({{notification_id}}) => notification_id === {})", json!(id)));
        let all = self.browser.evaluate(
            "registration.getNotifications().then(all => all.map(({title, actions, data}) => ({title, actions, data})))",
        );
        all.as_array().unwrap().clone()
    }
}

#[test]
fn a_page_of_a_shop_connects_to_where_the_client_was_loaded_from() {
    connect_from_a_shop(Engine::Chromium);
}

#[test]
fn a_page_of_a_shop_connects_to_where_the_client_was_loaded_from_in_firefox() {
    connect_from_a_shop(Engine::Firefox);
}

fn connect_from_a_shop(engine: Engine) {
    let mut shop = Shop::open_in(engine, &[], "/products/12");
    let script = format!(
        "import({}).then(({{Tidings}}) => {{ window.tidings = new Tidings({{userId: 7}}); tidings.connect(); return 1; }})",
        shop.at("tidings.js")
    );
    shop.browser.evaluate(&script);
    shop.browser.wait_for("tidings.status.state === 'online' && tidings.transport === 'websocket'");
    let sent = shop
        .browser
        .evaluate("tidings.send({kind: 'search', query: 'lamp'}).then(({duplicate}) => !duplicate)");
    assert_eq!(sent, true);
    assert_eq!(shop.browser.evaluate("tidings.inbox().then(({unread}) => unread >= 0)"), true);
    let complaints = shop.browser.take_complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn tabs_of_a_browser_share_a_connection_and_hand_it_on() {
    share_between_tabs(Engine::Chromium);
}

#[test]
fn tabs_of_a_browser_share_a_connection_and_hand_it_on_in_firefox() {
    share_between_tabs(Engine::Firefox);
}

fn share_between_tabs(engine: Engine) {
    let mut shop = Shop::open_in(engine, &[], "/products/1");
    let tab = format!(
        "(n) => {{ const frame = document.body.appendChild(document.createElement('iframe')); frame.src = '/products/tab' + n; \
         return new Promise(loaded => frame.onload = loaded).then(() => frame.contentWindow.eval(\
         'import({}).then(({{Tidings}}) => {{ window.tidings = new Tidings({{userId: 7}}); window.got = []; \
         tidings.on(\"message\", m => got.push(m.title)); tidings.connect(); }})')) }}",
        shop.at("tidings.js").replace('"', "\\\"")
    );
    shop.browser.evaluate(&format!("Promise.all([0, 1, 2, 3, 4].map({tab})).then(() => 1)"));
    let all = "[...document.querySelectorAll('iframe')].map(frame => frame.contentWindow)";
    shop.browser.wait_for(&format!("{all}.every(({{tidings}}) => tidings.status.state === 'online')"));
    let sockets = format!("{all}.filter(({{tidings}}) => tidings.transport === 'websocket').length");
    assert_eq!(shop.browser.evaluate(&sockets), 1);
    assert_eq!(shop.connections(7), 1);
    let tell = |shop: &Shop, title: &str| {
        let message = json!({"user_id": 7, "title": title, "priority": "transactional"});
        assert_eq!(shop.server.http().post("/v1/notifications", &message).status, 202);
    };
    tell(&shop, "first");
    shop.browser.wait_for(&format!("{all}.every(({{got}}) => got.includes('first'))"));
    let accepted = format!(
        "Promise.all({all}.map(({{tidings}}, n) => tidings.send({{kind: 'search', query: 'q' + n}}))).then(all => all.length)"
    );
    assert_eq!(shop.browser.evaluate(&accepted), 5);
    // The one with the connection goes; the others go on, and miss nothing.
    shop.browser.evaluate(
        "[...document.querySelectorAll('iframe')].find(frame => frame.contentWindow.tidings.transport === 'websocket').remove()",
    );
    tell(&shop, "second");
    shop.browser.wait_for(&format!("{all}.length === 4 && {all}.every(({{got}}) => got.includes('second'))"));
    assert_eq!(shop.browser.evaluate(&sockets), 1);
    wait_for("the first connection to go", || shop.connections(7) == 1);
    let once = format!("{all}.every(({{got}}) => new Set(got).size === got.length)");
    assert_eq!(shop.browser.evaluate(&once), true);
}

#[test]
fn a_hidden_page_leaves_to_the_service_worker_what_it_shows() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let origin = format!("http://{}", server.address);
    let mut browser = Browser::launch();
    browser.open(&format!("{origin}/"));
    browser.evaluate(
        "window.told = []; navigator.serviceWorker.addEventListener('message', ({data}) => told.push(data.notification_id)); \
         Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true});",
    );
    let claim = "import('/webpush.js').then(({claimShown}) => claimShown('m1'))";
    assert_eq!(browser.evaluate(claim), false);
    browser.deliver_push(&origin, &json!({"notification_id": "m1", "title": "Order 17"}).to_string());
    browser.wait_for("told.includes('m1')");
    browser.evaluate("delete document.visibilityState");
    assert_eq!(browser.evaluate(claim), false, "shown by the worker");
    assert_eq!(browser.evaluate(&claim.replace("m1", "m2")), true);
}

#[test]
fn a_worker_below_a_folder_is_ready_and_shows_what_comes() {
    let (sw, shown) = (client("sw.js"), client("shown.js"));
    let mut shop = Shop::open(&[("/push/sw.js", &sw), ("/push/shown.js", &shown)], "/products/12");
    shop.register("/push/sw.js", "/push/");
    let message = json!({"notification_id": "m1", "title": "Order 17", "data": {"actions": [
        {"action": "track", "title": "Track", "url": "/products/17"}, {"action": "bad"}]}});
    let origin = shop.site.origin();
    shop.browser.push(&origin, &message.to_string());
    let one = shop.shown("m1").remove(0);
    assert_eq!((&one["title"], &one["actions"][0]["title"]), (&json!("Order 17"), &json!("Track")));
    assert_eq!(one["actions"].as_array().unwrap().len(), 1);
    assert_eq!(shop.browser.evaluate("push.webPushState()"), "on");
    // Read elsewhere: taken back by a push, and by the client of an open page.
    shop.browser.push(&origin, &json!({"type": "withdraw", "notification_id": "m1"}).to_string());
    let none = "registration.getNotifications().then(all => window.left = all.length) && window.left === 0";
    shop.browser.wait_for(none);
    shop.browser.push(&origin, &json!({"notification_id": "m2", "title": "Order 18"}).to_string());
    assert_eq!(shop.shown("m2").len(), 1);
    // Nothing waits for the connection that this page does not make.
    let read = "{ new Tidings({userId: 7}).readAll(); return 1; }";
    shop.browser.evaluate(&format!("import({}).then(({{Tidings}}) => {read})", shop.at("tidings.js")));
    shop.browser.wait_for(none);
}

#[test]
fn a_new_key_of_the_server_is_subscribed_to_at_the_next_visit() {
    let (sw, shown) = (client("sw.js"), client("shown.js"));
    let mut shop = Shop::open(&[("/push/sw.js", &sw), ("/push/shown.js", &shown)], "/products/12");
    shop.register("/push/sw.js", "/push/");
    assert_eq!(shop.browser.evaluate("keys.length"), 1);
    // The browser's subscription is of another key now.
    shop.browser.evaluate("subscription.options.applicationServerKey = new Uint8Array([4, 1, 2]).buffer; 1");
    let options =
        format!("{{userId: 7, server: {}, serviceWorker: '/push/sw.js', scope: '/push/'}}", shop.at(""));
    assert_eq!(shop.browser.evaluate(&format!("push.renewWebPush({options})")), true);
    assert_eq!(shop.browser.evaluate("keys.length"), 2);
    let other = options.replace("userId: 7", "userId: 8");
    assert_eq!(shop.browser.evaluate(&format!("push.renewWebPush({other})")), false, "another user's");
    assert_eq!(shop.browser.evaluate(&format!("push.disableWebPush({options}).then(() => 1)")), 1);
    assert_eq!(shop.browser.evaluate(&format!("push.renewWebPush({options})")), false, "it was ended");
}

#[test]
fn a_worker_of_the_shop_imports_ours_and_both_live() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let worker = format!(
        "self.tidingsServer = 'http://{}/'; importScripts(self.tidingsServer + 'sw.js'); \
         self.addEventListener('push', (event) => {{ let theirs = null; try {{ theirs = event.data.json().theirs; }} catch {{ theirs = event.data.text(); }} \
         if (theirs) event.waitUntil(self.registration.showNotification('Of the shop: ' + theirs, {{data: {{theirs}}}})\
         .then(() => clients.matchAll({{includeUncontrolled: true}})).then(all => all.forEach(one => one.postMessage({{notification_id: theirs}})))); }}); \
         self.addEventListener('fetch', () => {{}});",
        server.address
    );
    let files = [("/worker.js", worker.as_str())];
    let site = Site::start(&files);
    let mut browser = Browser::launch();
    browser.open(&format!("{}/products/1", site.origin()));
    browser.allow_notifications(&site.origin());
    browser.evaluate(
        "window.told = []; navigator.serviceWorker.addEventListener('message', ({data}) => told.push(data.notification_id)); \
         navigator.serviceWorker.register('/worker.js').then(registration => window.registration = registration).then(() => 1)",
    );
    browser.wait_for("registration.active?.state === 'activated' && Notification.permission === 'granted'");
    for data in [r#"{"theirs":"sale"}"#, r#"{"notification_id":"m1","title":"Ours"}"#, "words"] {
        browser.push(&site.origin(), data);
    }
    browser.wait_for("['sale', 'm1', 'words'].every(id => told.includes(id))");
    let titles =
        browser.evaluate("registration.getNotifications().then(all => all.map(({title}) => title).sort())");
    assert_eq!(titles, json!(["Of the shop: sale", "Of the shop: words", "Ours"]));
    let complaints = browser.take_complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_bundle_works_in_a_page() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/js");
    let esbuild = package.join("node_modules/.bin/esbuild");
    if !esbuild.exists() {
        return println!("no esbuild (npm ci in clients/js): the bundle is not tested");
    }
    let bundle = |format: &str| {
        let mut command = Command::new(&esbuild);
        command.args(["src/tidings.js", "--bundle", "--minify", "--global-name=bundled"]);
        command.args([&format!("--format={format}"), "--log-override:empty-import-meta=silent"]);
        String::from_utf8(command.current_dir(&package).output().unwrap().stdout).unwrap()
    };
    let (module, script) = (bundle("esm"), bundle("iife"));
    let mut shop = Shop::open(&[("/app.js", &module), ("/script.js", &script)], "/products/1");
    let server = shop.at("");
    for load in [
        "import('/app.js').then(bundle => window.bundle = bundle)",
        "new Promise(resolve => { const script = document.createElement('script'); script.src = '/script.js'; \
         script.onload = resolve; document.head.append(script); }).then(() => window.bundle = bundled)",
    ] {
        shop.browser.evaluate(&format!("{load}.then(() => 1)"));
        let told = shop
            .browser
            .evaluate("(() => { try { new bundle.Tidings(); } catch (error) { return error.message; } })()");
        assert!(told.as_str().unwrap().contains("needs to be told"), "{told}");
        shop.browser.evaluate(&format!(
            "window.tidings = new bundle.Tidings({{userId: 7, url: {server}}}); tidings.connect()"
        ));
        shop.browser.wait_for("tidings.status.state === 'online'");
        shop.browser.evaluate("tidings.disconnect()");
    }
}

/// A file of the client.
fn client(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/js/src").join(name)).unwrap()
}
