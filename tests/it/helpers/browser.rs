//! A real headless Chromium, driven over the DevTools protocol (a WebSocket): no driver to install, nothing but the
//! browser itself. Clicks and keys are the browser's own input events, so what covers a button is noticed.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

/// How long a page may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
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

/// One browser with one page; ended with this value.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    last_id: u64,
    complaints: Vec<String>,
    /// The service worker's, once there is one and somebody has asked.
    registration: Option<String>,
    _profile: TempDir,
}

impl Browser {
    /// An empty profile and an empty page. Panics when there is no Chromium: `make setup` installs it.
    pub fn launch() -> Self {
        let profile = TempDir::new().unwrap();
        let mut child = Command::new(binary())
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("Chromium ended before it listened");
        // A full pipe would stop the browser.
        thread::spawn(move || lines.for_each(drop));
        let stream = TcpStream::connect(url.split('/').nth(2).unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tokio_tungstenite::tungstenite::client(url, stream).unwrap();
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            last_id: 0,
            complaints: Vec::new(),
            registration: None,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.session =
            browser.call("Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sets the window's size; a narrow one is a phone with touch.
    pub fn resize(&mut self, viewport: Viewport) {
        let Viewport { width, height } = viewport;
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
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        self.wait_for(&format!(
            "location.href.startsWith({}) && document.readyState === 'complete'",
            json!(url)
        ));
    }

    /// The value of an expression in the page; promises are awaited. Panics if it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {}", thrown["exception"]["description"]);
        answer["result"]["value"].clone()
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
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => panic!("no code for {key}"),
        };
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
        fs::write(&file, decode_base64(answer["data"].as_str().unwrap())).unwrap();
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
        self.last_id += 1;
        let mut request = json!({"id": self.last_id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
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
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
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

fn binary() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|directory| NAMES.map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .expect("no Chromium: run make setup")
}

/// RFC 4648 without line breaks.
fn decode_base64(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut n_bits) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = (bits << 6) | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            out.push((bits >> n_bits) as u8);
        }
    }
    out
}
