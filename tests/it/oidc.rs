//! Sign-in of people with a real OpenID provider (tests/oidc), and with browsers that did not begin it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::people::{add, people, start_on};
use crate::helpers::server::Server;

/// The provider, as a process of its own.
struct Provider {
    child: Child,
    address: SocketAddr,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    /// `None`, and a line that says so, where npm could not install it.
    fn start(redirect_uri: &str) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        if !folder.join("node_modules/oidc-provider").exists() {
            println!("no oidc-provider (npm ci in tests/oidc): sign-in with a provider is not tested");
            return None;
        }
        let mut command = Command::new("node");
        command.args(["provider.mjs", redirect_uri]).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let issuer = lines.next().unwrap().unwrap();
        // It warns of its defaults on standard output, and would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let address = issuer.strip_prefix("http://").unwrap().parse().unwrap();
        Some(Self { child, address })
    }
}

/// A server that knows the provider, which knows the server.
fn start() -> Option<(TestDatabase, Server, Provider)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let provider = Provider::start(&format!("http://127.0.0.1:{port}/oidc/callback"))?;
    let database = TestDatabase::new();
    let (listen, issuer) =
        (format!("server.listen=127.0.0.1:{port}"), format!("oidc.issuer=http://{}", provider.address));
    let settings = [
        listen.as_str(),
        &issuer,
        "oidc.client_id=tidings",
        "oidc.client_secret=a secret & more",
        "oidc.name=Shop SSO",
        "auth.jwks_allow_private=true",
        "auth.roles={boss = 'admin'}",
    ];
    let server = start_on(&database, &settings);
    Some((database, server, provider))
}

/// A browser that keeps the cookies of one site and follows nothing by itself.
struct Browser {
    http: Http,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn at(address: SocketAddr) -> Self {
        Self { http: Http::connect(address), cookies: BTreeMap::new() }
    }

    fn send(&mut self, method: &str, path: &str, form: &str) -> Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.http.headers = vec![("Cookie".to_owned(), cookies.join("; "))];
        let answer =
            self.http.send(method, path, "application/x-www-form-urlencoded", form.as_bytes()).unwrap();
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// Path and query of a redirect, wherever it leads.
fn location(answer: &Response) -> String {
    assert!((302..=303).contains(&answer.status), "{}: {}", answer.status, answer.body);
    let location = answer.header("location").unwrap();
    match location.strip_prefix("http://") {
        Some(rest) => rest[rest.find('/').unwrap()..].to_owned(),
        None => location.to_owned(),
    }
}

/// Signs in at the provider as somebody with a role; the path that leads back to the server.
fn at_provider(provider: &Provider, begin: &str, login: &str) -> String {
    let mut browser = Browser::at(provider.address);
    let mut next = begin.to_owned();
    for _ in 0..10 {
        if next.starts_with("/oidc/callback") {
            return next;
        }
        let answer = browser.send("GET", &next, "");
        if answer.status != 200 {
            next = location(&answer);
            continue;
        }
        let form = match answer.body.contains("name=\"login\"") {
            true => format!("prompt=login&login={}&password=x", login.replace('/', "%2F")),
            false => "prompt=consent".to_owned(),
        };
        next = location(&browser.send("POST", &next, &form));
    }
    panic!("the provider leads nowhere");
}

/// Signs somebody in; the answer of the callback, and the browser.
fn sign_in(server: &Server, provider: &Provider, login: &str) -> (Browser, Response) {
    let mut browser = Browser::at(server.address);
    let begin = location(&browser.send("GET", "/v1/people/oidc", ""));
    let back = at_provider(provider, &begin, login);
    let answer = browser.send("GET", &back, "");
    (browser, answer)
}

#[test]
fn a_real_provider_signs_people_in_with_the_role_that_it_names() {
    let Some((database, server, provider)) = start() else { return };
    assert_eq!(server.http().get("/v1/people/sign-in").json()["provider"], "Shop SSO");
    let (mut anna, answer) = sign_in(&server, &provider, "anna/boss");
    assert_eq!((answer.status, answer.header("location")), (303, Some("../")), "{}", answer.body);
    let me = anna.send("GET", "/v1/people/me", "").json();
    assert_eq!((&me["name"], &me["role"]), (&json!("anna"), &json!("admin")));
    let listed = anna.send("GET", "/v1/people", "").json();
    let issuer = format!("http://{}", provider.address);
    assert_eq!(
        (&listed["people"][0]["issuer"], &listed["people"][0]["has_password"]),
        (&json!(issuer), &json!(false))
    );
    let entries = anna.send("GET", "/v1/admin/audit?action=oidc", "").json();
    assert_eq!(
        (&entries["entries"][0]["actor"], &entries["entries"][0]["role"]),
        (&json!("anna"), &json!("admin"))
    );
    // The provider says otherwise the next time. Somebody else is an administrator: the last one would stay one.
    add(&database, "dora", "admin");
    let (mut again, _) = sign_in(&server, &provider, "anna/viewer");
    assert_eq!(again.send("GET", "/v1/people/me", "").json()["role"], "viewer");
    // Nobody without a role, of somebody else's name, or who is disabled.
    assert_eq!(sign_in(&server, &provider, "ben/nothing").1.status, 401);
    add(&database, "carl", "viewer");
    assert_eq!(sign_in(&server, &provider, "carl/viewer").1.status, 403);
    assert!(people(&database, &["disable", "anna"], "").0);
    let (_, refused) = sign_in(&server, &provider, "anna/boss");
    assert!(refused.status == 403 && refused.body.contains("disabled"), "{}", refused.body);
    assert!(refused.header("set-cookie").is_none());
}

#[test]
fn a_sign_in_that_was_begun_elsewhere_or_is_over_signs_nobody_in() {
    let Some((_database, server, provider)) = start() else { return };
    let mut browser = Browser::at(server.address);
    let begin = location(&browser.send("GET", "/v1/people/oidc", ""));
    let back = at_provider(&provider, &begin, "anna/boss");
    // Another browser, led here with somebody's code.
    let mut other = Browser::at(server.address);
    assert_eq!(other.send("GET", &back, "").status, 401);
    location(&other.send("GET", "/v1/people/oidc", ""));
    assert_eq!(other.send("GET", &back, "").status, 401, "with an attempt of its own");
    assert_eq!(browser.send("GET", &back, "").status, 303);
    let cookies = browser.cookies.clone();
    browser.cookies.retain(|name, _| name != "tidings-session");
    assert_eq!(browser.send("GET", &back, "").status, 401, "a second time");
    browser.cookies = cookies;
    assert_eq!(browser.send("GET", "/v1/people/me", "").status, 200);
    // A refusal of the provider, and a code of nobody.
    for tail in ["error=access_denied", "code=guessed"] {
        let begin = location(&browser.send("GET", "/v1/people/oidc", ""));
        let state = begin.split("&state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let answer = browser.send("GET", &format!("/oidc/callback?{tail}&state={state}"), "");
        assert!(answer.status >= 400 && answer.header("set-cookie").is_none(), "{tail}: {}", answer.status);
    }
}
