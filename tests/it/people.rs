//! People who sign in by password: the first administrator, sessions and their end, forged requests, guessed passwords, accounts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::helpers::people::{self, PASSWORD, add, code, cookie, keep, sign_in, signed_in, start, start_on};
use crate::helpers::server::wait_for;
use crate::helpers::tokens::token;

/// The secret of the link that a server prints when nobody has an account.
fn first_link(server: &mut crate::helpers::server::Server) -> String {
    let line = server.next_line();
    let (_, secret) = line.split_once("/#/join/").unwrap_or_else(|| panic!("no link in {line}"));
    secret.to_owned()
}

#[test]
fn the_first_administrator_is_made_by_a_link_that_is_good_once() {
    let (database, mut server) = start(&[]);
    let link = first_link(&mut server);
    // Somebody whom an identity provider has signed in meanwhile is none.
    let by_provider = "INSERT INTO people (person_id, name, role, issuer, issuer_subject, created_by) \
                       VALUES (gen_random_uuid(), 'eve', 'viewer', 'https://id.example', '7', 'https://id.example')";
    database.execute(by_provider).unwrap();
    let mut http = server.http();
    assert_eq!(http.get("/v1/people/me").status, 401);
    assert_eq!(http.post("/v1/people/link", &json!({"link": link})).json(), json!({"name": null}));
    let join = |http: &mut crate::helpers::http::Http, link: &str, name: &str, password: &str| {
        http.post("/v1/people/join", &json!({"link": link, "name": name, "password": password}))
    };
    for (name, password, refused) in [
        ("anna", "too short", "bad_password"),
        ("anna", "annaannaanna", "bad_password"),
        ("anna", "password1234", "bad_password"),
        ("an na", PASSWORD, "bad_name"),
    ] {
        assert_eq!(code(&join(&mut http, &link, name, password)), (400, refused.to_owned()), "{password}");
    }
    assert_eq!(join(&mut http, "x", "anna", PASSWORD).status, 404);
    let answer = join(&mut http, &link, "Anna", PASSWORD);
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("anna")), "{}", answer.body);
    assert_eq!(answer.json()["role"], "admin");
    let set = answer.header("set-cookie").unwrap();
    for part in ["tidings-session=", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    keep(&mut http, &answer);
    assert_eq!(http.get("/v1/people").json()["people"][0]["name"], "anna");
    assert_eq!(join(&mut server.http(), &link, "fred", PASSWORD).status, 404, "a second time");
    let mut entries = http.get("/v1/admin/audit?actor=anna").json()["entries"].take();
    let entry = entries.as_array_mut().unwrap().pop().unwrap();
    assert_eq!((&entry["action"], &entry["role"]), (&json!("POST /v1/people/join"), &json!("admin")));
    drop(server);
    let mut server = start_on(&database, &[]);
    server.terminate();
    assert!(server.rest_of_lines().is_empty(), "there is an administrator");
}

#[test]
fn names_that_nobody_has_are_answered_as_wrong_passwords_are() {
    let (database, server) = start(&["limits.failures_per_min=0", "people.attempts_per_min=0"]);
    add(&database, "anna", "viewer");
    add(&database, "ben", "viewer");
    assert!(people::people(&database, &["disable", "ben"], "").0);
    let mut http = server.http();
    let mut took = |name: &str, password: &str| {
        let at = Instant::now();
        let answer = sign_in(&mut http, name, password);
        let took = at.elapsed();
        assert_eq!(code(&answer), (401, "sign_in_refused".to_owned()));
        assert!(answer.header("set-cookie").is_none());
        took
    };
    let attempts = [("anna", "another sentence of mine"), ("carl", PASSWORD), ("ben", PASSWORD)];
    // Whatever else the machine does only adds to a time, and comes to each in turn.
    let mut least = [Duration::MAX; 3];
    for _ in 0..12 {
        for (least, (name, password)) in least.iter_mut().zip(attempts) {
            *least = took(name, password).min(*least);
        }
    }
    let [known, others @ ..] = least;
    for unknown in others {
        let ratio = unknown.as_secs_f64() / known.as_secs_f64();
        assert!((0.33..3.0).contains(&ratio), "{unknown:?}, a wrong password {known:?}");
    }
    assert_eq!(sign_in(&mut http, " ANNA ", PASSWORD).status, 200);
}

#[test]
fn attempts_slow_down_by_name_and_by_address() {
    // Few, so that none comes back while passwords are checked on a slow machine.
    let (database, server) = start(&["people.attempts_per_min=2", "limits.failures_per_min=3"]);
    add(&database, "anna", "viewer");
    add(&database, "ben", "viewer");
    let mut http = server.http();
    for _ in 0..2 {
        assert_eq!(sign_in(&mut http, "anna", "another sentence of mine").status, 401);
    }
    let answer = sign_in(&mut http, "anna", PASSWORD);
    assert_eq!(code(&answer), (429, "rate_limited".to_owned()), "the right one as well");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(sign_in(&mut http, "ben", PASSWORD).status, 200);
    assert_eq!(sign_in(&mut http, "carl", PASSWORD).status, 401);
    assert_eq!(sign_in(&mut http, "ben", PASSWORD).status, 429, "its address has failed too often");
}

#[test]
fn a_request_that_changes_something_by_cookie_needs_the_token_of_its_session() {
    let (database, server) = start(&["server.allowed_origins=['https://shop.example']"]);
    add(&database, "anna", "admin");
    add(&database, "ben", "admin");
    let (mut anna, ben) = (signed_in(&server, "anna"), signed_in(&server, "ben"));
    let body = json!({"name": "carl", "role": "viewer"});
    let (cookie, own) = (anna.headers[0].clone(), anna.headers[1].clone());
    for wrong in [None, Some(""), Some("x"), Some(ben.headers[1].1.as_str())] {
        anna.headers = vec![cookie.clone()];
        anna.headers.extend(wrong.map(|token| ("X-CSRF-Token".to_owned(), token.to_owned())));
        assert_eq!(code(&anna.post("/v1/people", &body)), (403, "csrf".to_owned()), "{wrong:?}");
        assert_eq!(anna.get("/v1/people").status, 200, "reading needs none");
    }
    anna.headers = vec![cookie.clone(), own.clone(), ("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
    assert_eq!(code(&anna.post("/v1/people", &body)), (403, "origin_not_allowed".to_owned()));
    // A page of the shop may talk to the server, and has no session there.
    anna.headers =
        vec![cookie.clone(), own.clone(), ("Origin".to_owned(), "https://shop.example".to_owned())];
    assert_eq!(code(&anna.post("/v1/people", &body)), (401, "token_missing".to_owned()));
    assert_eq!(anna.get("/v1/people/me").status, 401);
    anna.headers = vec![cookie, own];
    assert_eq!(anna.post("/v1/people", &body).status, 201);
    let mut http = server.http();
    let bearer = format!("Bearer {}", token(&["--role", "admin", "--user", "dora"]));
    http.headers.push(("Authorization".to_owned(), bearer));
    assert_eq!(http.post("/v1/people", &json!({"name": "emil", "role": "viewer"})).status, 201);
    assert_eq!(http.get("/v1/people/sessions").status, 403, "a token has no session");
}

#[test]
fn sessions_end_at_once_one_by_one_and_everywhere_with_their_sockets() {
    let (database, server) = start(&[]);
    add(&database, "anna", "developer");
    let mut all: Vec<_> = (0..4).map(|_| signed_in(&server, "anna")).collect();
    let sessions = all[0].get("/v1/people/sessions").json();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 4);
    let id = |http: &mut crate::helpers::http::Http| http.get("/v1/people/me").json()["session_id"].take();
    let third = id(&mut all[2]);
    let path = format!("/v1/people/sessions/{}", third.as_str().unwrap());
    assert_eq!(all[0].delete(&path).status, 204);
    assert_eq!(code(&all[2].get("/v1/people/me")), (401, "session_ended".to_owned()));
    assert_eq!(all[0].delete(&path).status, 404);
    let answer = all[1].post("/v1/people/sign-out", &Value::Null);
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(all[1].get("/v1/people/me").status, 401);
    // A socket of the browser goes by the cookie, and with the session.
    let cookie = all[3].headers[0].1.clone();
    let mut socket = crate::helpers::client::Client::connect_with(server.address, &[("Cookie", &cookie)]);
    socket.send(&json!({"type": "login", "user_id": 17, "device": "test"}));
    socket.expect("welcome");
    assert_eq!(all[0].post("/v1/people/sign-out-everywhere", &Value::Null).json()["ended"], 2);
    assert_eq!(socket.close_code(), 3503);
    assert!(all.iter_mut().all(|http| http.get("/v1/people/me").status == 401));
}

#[test]
fn a_socket_ends_when_the_role_of_its_person_changes() {
    let (database, server) = start(&[]);
    for (name, role) in [("anna", "admin"), ("ben", "developer"), ("carl", "developer")] {
        add(&database, name, role);
    }
    let (mut anna, mut ben, carl) =
        (signed_in(&server, "anna"), signed_in(&server, "ben"), signed_in(&server, "carl"));
    let open = |http: &crate::helpers::http::Http| {
        let cookie = http.headers[0].1.clone();
        let mut socket = crate::helpers::client::Client::connect_with(server.address, &[("Cookie", &cookie)]);
        socket.send(&json!({"type": "login", "user_id": 17, "device": "test"}));
        socket
    };
    let (mut of_ben, mut of_carl) = (open(&ben), open(&carl));
    of_ben.expect("welcome");
    of_carl.expect("welcome");
    let all = anna.get("/v1/people").json();
    let row = all["people"].as_array().unwrap().iter().find(|one| one["name"] == "ben").unwrap().clone();
    let path = format!("/v1/people/{}", row["person_id"].as_str().unwrap());
    assert_eq!(anna.patch(&path, &json!({"role": "viewer"})).status, 200);
    assert_eq!(of_ben.close_code(), 3503);
    // The session goes on, as one of a viewer, who opens no socket in the name of a user.
    assert_eq!(ben.get("/v1/people/me").json()["role"], "viewer");
    assert_eq!(open(&ben).close_code(), 3507);
    of_carl.send(&json!({"type": "ping"}));
    of_carl.expect("pong");
}

#[test]
fn a_session_ends_when_it_is_idle_by_a_new_password_and_not_by_a_restart() {
    let (database, mut server) = start(&[]);
    add(&database, "anna", "viewer");
    let (mut one, mut other) = (signed_in(&server, "anna"), signed_in(&server, "anna"));
    let wrong = json!({"password": "not my sentence at all", "new_password": "another sentence of mine"});
    assert_eq!(code(&one.post("/v1/people/password", &wrong)), (400, "bad_password".to_owned()));
    let right = json!({"password": PASSWORD, "new_password": "another sentence of mine"});
    let answer = one.post("/v1/people/password", &right);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(other.get("/v1/people/me").status, 401);
    keep(&mut one, &answer);
    assert_eq!(one.get("/v1/people/me").status, 200);
    assert_eq!(sign_in(&mut other, "anna", PASSWORD).status, 401);
    server.terminate();
    let server = start_on(&database, &[]);
    let headers = one.headers.clone();
    let mut one = server.http();
    one.headers = headers;
    assert_eq!(one.get("/v1/people/me").status, 200);
    let earlier = "UPDATE person_sessions SET seen_at = seen_at - interval '61 minutes'";
    drop(one);
    drop(server);
    database.execute(earlier).unwrap();
    let server = start_on(&database, &[]);
    let mut http = server.http();
    http.headers = vec![("Cookie".to_owned(), cookie(&answer))];
    assert_eq!(code(&http.get("/v1/people/me")), (401, "session_ended".to_owned()));
}

#[test]
fn administrators_add_people_change_roles_and_disable_and_one_stays() {
    let (database, server) = start(&[]);
    add(&database, "anna", "admin");
    let mut anna = signed_in(&server, "anna");
    let made = anna.post("/v1/people", &json!({"name": "ben", "role": "viewer"}));
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    assert_eq!(anna.post("/v1/people", &json!({"name": "Ben", "role": "viewer"})).status, 409);
    let refused = anna.post("/v1/people", &json!({"name": "carl", "role": "viewr"}));
    assert!(refused.status == 400 && refused.body.contains("did you mean viewer?"), "{}", refused.body);
    let secret = made["link"].as_str().unwrap().strip_prefix("#/join/").unwrap();
    let mut ben = server.http();
    assert_eq!(ben.post("/v1/people/link", &json!({"link": secret})).json(), json!({"name": "ben"}));
    let joined = ben.post("/v1/people/join", &json!({"link": secret, "password": PASSWORD}));
    assert_eq!(joined.status, 200, "{}", joined.body);
    keep(&mut ben, &joined);
    assert_eq!(ben.get("/admin/metrics").status, 200);
    let refused = ben.post("/admin/retrain", &Value::Null);
    assert!(refused.status == 403 && refused.body.contains("operate"), "{}", refused.body);
    let of_ben = format!("/v1/people/{}", made["person_id"].as_str().unwrap());
    assert_eq!(anna.patch(&of_ben, &json!({"role": "operator"})).json()["role"], "operator");
    let me = ben.get("/v1/people/me").json();
    assert_eq!(me["role"], "operator");
    assert!(me["permissions"].as_array().unwrap().contains(&json!("operate")));
    let own = anna.get("/v1/people").json();
    let own = own["people"].as_array().unwrap().iter().find(|one| one["name"] == "anna").unwrap().clone();
    let of_anna = format!("/v1/people/{}", own["person_id"].as_str().unwrap());
    for last in [json!({"role": "viewer"}), json!({"disabled": true})] {
        assert_eq!(anna.patch(&of_anna, &last).status, 409, "{last}");
    }
    assert!(anna.patch(&of_ben, &json!({"disabled": true})).json()["disabled_at"].is_string());
    assert_eq!(ben.get("/v1/people/me").status, 401);
    let entries = anna.get("/v1/admin/audit?object=/v1/people/&limit=10").json();
    let mut changes = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["status"] == 200);
    let told = changes.next().unwrap();
    assert_eq!((&told["before"]["disabled_at"], &told["actor"]), (&Value::Null, &json!("anna")));
    assert!(!entries.to_string().contains(secret));
}

#[test]
fn the_command_line_does_the_same_and_a_running_server_follows() {
    let (database, server) = start(&[]);
    let run = |arguments: &[&str], input: &str| people::people(&database, arguments, input);
    let (done, link) = run(&["add", "anna", "--role", "admin"], "");
    assert!(done && link.contains("/#/join/"), "{link}");
    assert!(!run(&["add", "Anna", "--role", "admin"], "").0, "the name is taken");
    assert!(!run(&["add", "ben", "--role", "service"], "").0, "no role of people");
    let (done, text) = run(&["add", "ben", "--role", "admin", "--password-stdin"], "short");
    assert!(!done && text.contains("at least 12 characters"), "{text}");
    assert!(run(&["password", "anna", "--password-stdin"], &format!("{PASSWORD}\n")).0);
    let mut anna = signed_in(&server, "anna");
    let (done, text) = run(&["role", "anna", "viewer"], "");
    assert!(!done && text.contains("last administrator"), "{text}");
    add(&database, "ben", "admin");
    assert_eq!(run(&["role", "anna", "viewer"], ""), (true, "anna viewer".to_owned()));
    wait_for("the new role", || anna.get("/v1/people/me").json()["role"] == "viewer");
    assert!(run(&["disable", "anna"], "").0);
    wait_for("the end of the session", || anna.get("/v1/people/me").status == 401);
    let (_, listed) = run(&["list"], "");
    assert!(
        listed.contains("anna viewer disabled") && listed.contains("ben admin never signed in"),
        "{listed}"
    );
    assert!(run(&["list", "--json"], "").1.lines().all(|line| line.starts_with('{')));
}

#[test]
fn nobody_joins_signs_in_or_out_without_an_entry_of_the_audit_log() {
    let (database, mut server) = start(&["limits.failures_per_min=0"]);
    let link = first_link(&mut server);
    add(&database, "ben", "viewer");
    let mut ben = signed_in(&server, "ben");
    let join = json!({"link": link, "name": "anna", "password": PASSWORD});
    let new = json!({"password": PASSWORD, "new_password": "another sentence of mine"});
    database.execute("ALTER TABLE audit_log ADD CONSTRAINT none CHECK (status >= 300) NOT VALID").unwrap();
    let all = [
        server.http().post("/v1/people/join", &join),
        sign_in(&mut server.http(), "ben", PASSWORD),
        ben.post("/v1/people/password", &new),
        ben.post("/v1/people/sign-out-everywhere", &Value::Null),
    ];
    assert!(all.iter().all(|answer| answer.status == 503), "{:?}", all.map(|answer| answer.body));
    assert!(all.iter().all(|answer| answer.header("set-cookie").is_none()));
    database.execute("ALTER TABLE audit_log DROP CONSTRAINT none").unwrap();
    let count = |rows: &str| database.count(&format!("SELECT count(*) AS n FROM {rows}"));
    assert_eq!((count("people"), count("person_sessions")), (1, 1));
    assert_eq!(ben.get("/v1/people/me").status, 200, "neither signed out nor with a new password");
    let done =
        |path: &str| count(&format!("audit_log WHERE action = 'POST /v1/people/{path}' AND status = 200"));
    assert_eq!(server.http().post("/v1/people/join", &join).status, 200, "the link is good still");
    let signed_in = sign_in(&mut ben, "ben", PASSWORD);
    keep(&mut ben, &signed_in);
    let changed = ben.post("/v1/people/password", &new);
    keep(&mut ben, &changed);
    assert_eq!(ben.post("/v1/people/sign-out-everywhere", &Value::Null).json()["ended"], 1);
    assert_eq!(["join", "sign-in", "password", "sign-out-everywhere"].map(done), [1, 2, 1, 1]);
    assert_eq!(count("audit_log WHERE actor = 'ben' AND role = 'viewer' AND status = 200"), 4);
}
