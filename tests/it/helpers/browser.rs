//! A real headless browser, driven over a WebSocket: no driver to install, nothing but the browser itself. Chromium over the
//! DevTools protocol, Firefox over WebDriver BiDi (what both can: pages, expressions, keys, complaints). Clicks and keys are
//! the browser's own input events, so what covers a button is noticed.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

/// How long a page may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const FIREFOX: [&str; 2] = ["firefox-esr", "firefox"];
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox", // refuses to run as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
];

/// A window size.
#[derive(Clone, Copy, Debug)]
pub struct Viewport {
    pub width: u32,
    pub height: u32,
}

/// A laptop and a phone.
pub const DESKTOP: Viewport = Viewport { width: 1440, height: 900 };
pub const PHONE: Viewport = Viewport { width: 390, height: 844 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Chromium,
    Firefox,
}

/// One browser with one page; ended with this value.
pub struct Browser {
    engine: Engine,
    child: Child,
    socket: WebSocket<TcpStream>,
    /// The page: a DevTools session, or a browsing context of BiDi.
    page: String,
    last_id: u64,
    complaints: Vec<String>,
    /// The service worker's, once there is one and somebody has asked.
    registration: Option<String>,
    _profile: TempDir,
}

impl Browser {
    /// Chromium with an empty profile and an empty page. Panics when there is none: `make setup` installs it.
    pub fn launch() -> Self {
        Self::launch_engine(Engine::Chromium)
    }

    /// A browser with an empty profile and an empty page. Panics when there is none: `make setup` installs it.
    pub fn launch_engine(engine: Engine) -> Self {
        let profile = TempDir::new().unwrap();
        let directory = profile.path().to_str().unwrap();
        // Read by Firefox: a window without a screen has the focus all the same.
        fs::write(profile.path().join("user.js"), "user_pref(\"focusmanager.testmode\", true);\n").unwrap();
        let (names, says) = match engine {
            Engine::Chromium => (&CHROMIUM[..], "DevTools listening on "),
            Engine::Firefox => (&FIREFOX[..], "WebDriver BiDi listening on "),
        };
        let mut command = Command::new(binary(names));
        match engine {
            Engine::Chromium => {
                command.args(FLAGS).arg(format!("--user-data-dir={directory}")).arg("about:blank")
            }
            // HOME, so that nothing of the machine's user is read.
            Engine::Firefox => command
                .args(["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", directory])
                .env("HOME", directory),
        };
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(says).map(str::to_owned))
            .expect("the browser ended before it listened");
        // A full pipe would stop the browser.
        thread::spawn(move || lines.for_each(drop));
        let stream = TcpStream::connect(url.split('/').nth(2).unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = if engine == Engine::Firefox { format!("{url}/session") } else { url };
        let (socket, _) = tokio_tungstenite::tungstenite::client(url, stream).unwrap();
        let mut browser = Self {
            engine,
            child,
            socket,
            page: String::new(),
            last_id: 0,
            complaints: Vec::new(),
            registration: None,
            _profile: profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        match self.engine {
            Engine::Chromium => {
                let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
                let attach = json!({"targetId": target["targetId"], "flatten": true});
                self.page =
                    self.call("Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
                for domain in ["Page", "Runtime", "Log"] {
                    self.call(&format!("{domain}.enable"), json!({}));
                }
            }
            Engine::Firefox => {
                self.call("session.new", json!({"capabilities": {}}));
                // The first tab is a page of the browser itself.
                let tab = self.call("browsingContext.create", json!({"type": "tab"}));
                self.page = tab["context"].as_str().unwrap().to_owned();
                self.call("browsingContext.activate", json!({"context": self.page}));
                self.call("session.subscribe", json!({"events": ["log.entryAdded"]}));
            }
        }
    }

    /// Sets the window's size; a narrow one is a phone with touch.
    pub fn resize(&mut self, viewport: Viewport) {
        let Viewport { width, height } = viewport;
        if self.engine == Engine::Firefox {
            let size = json!({"context": self.page, "viewport": {"width": width, "height": height}});
            self.call("browsingContext.setViewport", size);
            return;
        }
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// `light` or `dark`, as the system would say.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Loads a page and waits until it is there.
    pub fn open(&mut self, url: &str) {
        match self.engine {
            Engine::Chromium => {
                let answer = self.call("Page.navigate", json!({"url": url}));
                assert!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
            }
            Engine::Firefox => {
                self.call("browsingContext.navigate", json!({"context": self.page, "url": url}));
            }
        }
        self.wait_for(&format!(
            "location.href.startsWith({}) && document.readyState === 'complete'",
            json!(url)
        ));
    }

    /// The value of an expression in the page; promises are awaited. Panics if it throws. A page that gives way to another
    /// meanwhile has no answer: the other one is asked.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        if self.engine == Engine::Firefox {
            return self.evaluate_in_firefox(expression);
        }
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = loop {
            match self.try_call("Runtime.evaluate", parameters.clone()) {
                Ok(answer) => break answer,
                Err(error) => assert!(error.contains("navigated"), "{expression}: {error}"),
            }
        };
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {}", thrown["exception"]["description"]);
        answer["result"]["value"].clone()
    }

    fn evaluate_in_firefox(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "target": {"context": self.page}, "awaitPromise": true});
        let answer = self.call("script.evaluate", parameters);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {}", thrown["text"]);
        plain(&answer["result"])
    }

    /// Waits in the page until an expression is truthy; its value.
    pub fn wait_for(&mut self, expression: &str) -> Value {
        let limit_ms = PATIENCE.as_millis() - 2_000;
        let value = self.evaluate(&format!(
            "new Promise(resolve => {{ const end = performance.now() + {limit_ms}; const look = () => {{ \
             let value = null; try {{ value = ({expression}); }} catch {{}} \
             if (value || performance.now() > end) resolve(value || null); else setTimeout(look, 20); }}; look(); }})"
        ));
        assert!(!value.is_null(), "never true: {expression}; complaints: {:?}", self.complaints);
        value
    }

    /// Waits for an element, brings it into view and clicks it in its middle; again if it moved away meanwhile. Panics
    /// when something covers it.
    pub fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        let deadline = Instant::now() + PATIENCE;
        self.wait_for(&format!("document.querySelector({quoted})"));
        loop {
            let at = self.wait_for(&format!(
                "(() => {{ const element = document.querySelector({quoted}); \
                 element.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
                 const {{x: left, y: up, width, height}} = element.getBoundingClientRect(); \
                 const x = left + width / 2, y = up + height / 2, top = document.elementFromPoint(x, y); \
                 if (!width || !top || !(element === top || element.contains(top))) return null; \
                 window.wasClicked = false; \
                 element.addEventListener('click', () => window.wasClicked = true, {{once: true, capture: true}}); \
                 return {{x, y}}; }})()"
            ));
            for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
                let count = u8::from(kind != "mouseMoved");
                let button = if count == 0 { "none" } else { "left" };
                let event =
                    json!({"type": kind, "x": at["x"], "y": at["y"], "button": button, "clickCount": count});
                self.call("Input.dispatchMouseEvent", event);
            }
            if self.evaluate("window.wasClicked") == true {
                return;
            }
            assert!(Instant::now() < deadline, "{selector} can't be clicked");
        }
    }

    /// Replaces what a field says.
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.click(selector);
        self.evaluate(&format!("document.querySelector({}).select()", json!(selector)));
        self.insert(text);
    }

    /// Types into what has the focus.
    pub fn insert(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses Tab until an element that matches has the focus.
    pub fn tab_to(&mut self, selector: &str) {
        let there = format!("document.activeElement.matches({})", json!(selector));
        for _ in 0..120 {
            self.press("Tab");
            if self.evaluate(&there) == true {
                return;
            }
        }
        panic!("Tab does not lead to {selector}");
    }

    /// Presses a key, e.g. `Enter`, `Tab`, `ArrowLeft`.
    pub fn press(&mut self, key: &str) {
        // The code of DevTools, and the character that WebDriver has for it.
        let (code, character) = match key {
            "Enter" => (13, '\u{e007}'),
            "Escape" => (27, '\u{e00c}'),
            "Tab" => (9, '\u{e004}'),
            "End" => (35, '\u{e010}'),
            "Home" => (36, '\u{e011}'),
            "ArrowLeft" => (37, '\u{e012}'),
            "ArrowUp" => (38, '\u{e013}'),
            "ArrowRight" => (39, '\u{e014}'),
            "ArrowDown" => (40, '\u{e015}'),
            _ => panic!("no code for {key}"),
        };
        if self.engine == Engine::Firefox {
            let strokes = ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": character}));
            let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
            self.call("input.performActions", json!({"context": self.page, "actions": [keyboard]}));
            return;
        }
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Writes `target/browser/<name>.png` of what the window shows.
    pub fn screenshot(&mut self, name: &str) -> PathBuf {
        // Two frames, so that what was changed last is painted.
        self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))",
        );
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("browser");
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join(format!("{name}.png"));
        fs::write(&file, STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()).unwrap();
        file
    }

    /// Registers the service worker of an origin's page that is open, and lets a push arrive at it.
    pub fn deliver_push(&mut self, origin: &str, data: &str) {
        self.allow_notifications(origin);
        self.evaluate(
            "navigator.serviceWorker.register('/sw.js').then(registration => window.registration = registration).then(() => 1)",
        );
        self.wait_for("registration.active?.state === 'activated' && Notification.permission === 'granted'");
        self.push(origin, data);
    }

    /// Grants an origin the permission to show notifications.
    pub fn allow_notifications(&mut self, origin: &str) {
        self.call("Browser.grantPermissions", json!({"origin": origin, "permissions": ["notifications"]}));
    }

    /// Lets a push arrive at the service worker that the open page has registered.
    pub fn push(&mut self, origin: &str, data: &str) {
        self.call("ServiceWorker.enable", json!({}));
        let deadline = Instant::now() + PATIENCE;
        let id = loop {
            // A round trip at a time: the browser tells of its registrations when it gets round to it.
            self.evaluate("new Promise(resolve => setTimeout(resolve, 20))");
            if let Some(id) = &self.registration {
                break id.clone();
            }
            assert!(Instant::now() < deadline, "no service worker was registered");
        };
        let push = json!({"origin": origin, "registrationId": id, "data": data});
        self.call("ServiceWorker.deliverPushMessage", push);
    }

    /// Errors on the console, exceptions and failed loads since the last call.
    pub fn take_complaints(&mut self) -> Vec<String> {
        // A round trip: what was said before it has arrived.
        self.evaluate("1");
        std::mem::take(&mut self.complaints)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.last_id += 1;
        let mut request = json!({"id": self.last_id, "method": method, "params": parameters});
        if self.engine == Engine::Chromium && !self.page.is_empty() {
            request["sessionId"] = json!(self.page);
        }
        self.socket.send(Message::text(request.to_string())).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "{method} takes too long");
            let text = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(Error::Io(error)) => panic!("{method}: no answer: {error}"),
                Err(error) => panic!("{method}: {error}"),
            };
            let mut message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == self.last_id {
                let is_good = message["error"].is_null();
                let refused = || format!("{} {}", message["error"], message["message"]);
                return if is_good { Ok(message["result"].take()) } else { Err(refused()) };
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, event: &Value) {
        let parameters = &event["params"];
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                let details = &parameters["exceptionDetails"];
                format!("{} {}", details["text"], details["exception"]["description"])
            }
            Some("Runtime.consoleAPICalled") if parameters["type"] == "error" => {
                format!("console.error {}", parameters["args"])
            }
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                format!("{} {}", parameters["entry"]["text"], parameters["entry"]["url"])
            }
            Some("log.entryAdded") if parameters["level"] == "error" => {
                format!("{} {}", parameters["type"], parameters["text"])
            }
            Some("ServiceWorker.workerErrorReported") => {
                format!("service worker: {}", parameters["errorMessage"])
            }
            Some("ServiceWorker.workerRegistrationUpdated") => {
                let id = parameters["registrations"][0]["registrationId"].as_str();
                self.registration = id.map(str::to_owned).or(self.registration.take());
                return;
            }
            _ => return,
        };
        self.complaints.push(complaint);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary(names: &[&str]) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("none of {names:?}: run make setup"))
}

/// A value in BiDi's notation as JSON; what has no JSON is null.
fn plain(value: &Value) -> Value {
    let inside = &value["value"];
    match value["type"].as_str() {
        Some("array") => inside.as_array().unwrap().iter().map(plain).collect(),
        Some("object") => {
            let fields = inside.as_array().unwrap().iter();
            fields.map(|field| (field[0].as_str().unwrap().to_owned(), plain(&field[1]))).collect()
        }
        _ => inside.clone(),
    }
}
