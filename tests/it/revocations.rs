//! Revoked tokens and API keys: refused at once, connections ended, over a restart and from beside the server.

use std::process::Command;

use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

fn serve(database: &TestDatabase) -> Server {
    let secret = format!("auth.secret={SECRET}");
    Server::start(&database.url, &["--set", "auth.mode=token", "--set", &secret])
}

fn start() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = serve(&database);
    (database, server)
}

fn with(server: &Server, token: &str) -> Http {
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    http
}

fn admin(server: &Server) -> Http {
    with(server, &token(&["--role", "admin", "--user", "anna"]))
}

fn user(id: &str) -> String {
    token(&["--role", "user", "--user", id])
}

fn login(server: &Server, token: &str) -> Client {
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": token, "device": "test"}));
    client
}

fn code(answer: &Response) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn id_of(token: &str) -> String {
    use base64::Engine;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["jti"].as_str().unwrap().to_owned()
}

#[test]
fn one_token_is_revoked_by_its_id_and_the_others_of_its_user_are_not() {
    let (database, mut server) = start();
    let (stolen, other) = (user("17"), user("17"));
    let (mut thief, mut owner) = (login(&server, &stolen), login(&server, &other));
    thief.expect("welcome");
    owner.expect("welcome");
    let made = admin(&server)
        .post("/v1/admin/revocations", &json!({"token_id": id_of(&stolen), "reason": "stolen"}));
    assert_eq!((made.status, &made.json()["closed"]), (201, &json!(1)), "{}", made.body);
    assert_eq!(thief.close_code(), 3503);
    let asks = |server: &Server, token: &str| with(server, token).get("/v1/users/17/preferences");
    assert_eq!(code(&asks(&server, &stolen)), (401, "token_revoked".to_owned()));
    assert_eq!(login(&server, &stolen).close_code(), 3503, "no way back in");
    assert_eq!(asks(&server, &other).status, 200);
    server.kill();
    let server = serve(&database);
    assert_eq!(code(&asks(&server, &stolen)), (401, "token_revoked".to_owned()), "after a restart");
    assert_eq!(asks(&server, &other).status, 200);
    let listed = admin(&server).get("/v1/admin/revocations").json();
    assert_eq!(listed["revocations"][0]["reason"], "stolen");
    assert_eq!(listed["revocations"][0]["created_by"], "anna");
}

#[test]
fn a_user_signs_out_everywhere_and_in_again() {
    let (_database, server) = start();
    let token = user("17");
    let mut clients: Vec<Client> = (0..3).map(|_| login(&server, &token)).collect();
    let mut other = login(&server, &user("18"));
    other.expect("welcome");
    clients.iter_mut().for_each(|client| drop(client.expect("welcome")));
    let mut stranger = with(&server, &user("18"));
    assert_eq!(stranger.post("/v1/users/17/sign-out", &Value::Null).status, 403);
    let made = with(&server, &token).post("/v1/users/17/sign-out", &Value::Null);
    assert_eq!((made.status, &made.json()["closed"]), (201, &json!(3)), "{}", made.body);
    for mut client in clients {
        assert_eq!(client.close_code(), 3503);
    }
    assert_eq!(
        code(&with(&server, &token).get("/v1/users/17/preferences")),
        (401, "token_revoked".to_owned())
    );
    login(&server, &user("17")).expect("welcome");
    assert_eq!(stranger.get("/v1/users/18/preferences").status, 200);
}

#[test]
fn what_another_process_revokes_ends_connections_here() {
    let (database, server) = start();
    let token = user("17");
    let mut client = login(&server, &token);
    client.expect("welcome");
    let all = "INSERT INTO revocations (issued_before, created_by) VALUES (now(), 'another server')";
    database.execute(all).unwrap();
    assert_eq!(client.close_code(), 3503);
    assert_eq!(with(&server, &token).get("/v1/users/17/preferences").status, 401);
    assert_eq!(admin(&server).get("/v1/admin/revocations").status, 200, "issued since");
}

fn tidings(database: &TestDatabase, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let output = command.args(arguments).env("DATABASE_URL", &database.url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_api_key_is_shown_once_confined_to_its_scopes_and_revoked_at_once() {
    let (database, server) = start();
    let mut anna = admin(&server);
    let made = anna.post("/v1/admin/keys", &json!({"name": "shop", "scopes": ["items:write"]}));
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("tdg_") && key.len() == 47, "{key}");
    let mut shop = with(&server, &key);
    assert_eq!(shop.put("/v1/items", &json!([{"item_id": 1, "title": "A"}])).status, 200);
    assert_eq!(shop.get("/v1/items").status, 200);
    let refused = shop.get("/v1/users/17/preferences");
    assert_eq!(code(&refused), (403, "not_permitted".to_owned()));
    assert!(refused.body.contains("users:read"), "{}", refused.body);
    assert_eq!(shop.get("/admin/metrics").status, 403);
    assert!(!anna.get("/v1/admin/keys").body.contains(&key));
    let hash = "SELECT count(*) AS n FROM api_keys WHERE hash = sha256(convert_to('KEY', 'UTF8'))"
        .replace("KEY", &key);
    assert_eq!(database.count(&hash), 1);
    assert_eq!(database.count(&format!("SELECT count(*) AS n FROM audit_log WHERE after LIKE '%{key}%'")), 0);
    wait_for("the last use", || !anna.get("/v1/admin/keys").json()["keys"][0]["last_used_at"].is_null());
    let id = made["key_id"].as_str().unwrap();
    assert_eq!(anna.delete(&format!("/v1/admin/keys/{id}")).status, 204);
    assert_eq!(code(&shop.get("/v1/items")), (401, "api_key_unknown".to_owned()));
    assert_eq!(anna.get("/v1/admin/keys?revoked=true").json()["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn an_api_key_may_what_its_permissions_say_and_its_maker_may_no_less() {
    let (database, server) = start();
    let mut anna = admin(&server);
    let made = anna.post(
        "/v1/admin/keys",
        &json!({"name": "mailer", "permissions": ["send_messages", "read_decisions", "manage_keys"]}),
    );
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["role"], Value::Null);
    assert_eq!(made.json()["permissions"], json!(["read_decisions", "send_messages", "manage_keys"]));
    let mut mailer = with(&server, made.json()["key"].as_str().unwrap());
    let me = mailer.get("/v1/people/me").json();
    assert_eq!(me["permissions"], json!(["read_decisions", "send_messages", "manage_keys"]));
    let send = json!({"user_id": "user-of-mailer", "title": "Hello"});
    assert_eq!(mailer.post("/v1/notifications", &send).status, 202);
    let refused = mailer.get("/v1/items");
    assert_eq!(refused.status, 200, "anybody with a token");
    for (answer, lacks) in [
        (mailer.get("/v1/users/17/preferences"), "read_users"),
        (mailer.put("/v1/items", &json!([{"item_id": 1, "title": "A"}])), "write_catalogue"),
        (mailer.get("/v1/admin/audit"), "read_audit"),
        (mailer.post("/v1/events", &json!({"kind": "view", "user_id": 17, "item_id": 1})), "act_for_users"),
        // A key that makes keys gives none more than it may itself.
        (mailer.post("/v1/admin/keys", &json!({"name": "all"})), "monitor"),
        (
            mailer.post("/v1/admin/keys", &json!({"name": "more", "permissions": ["read_audit"]})),
            "read_audit",
        ),
    ] {
        assert_eq!(code(&answer), (403, "not_permitted".to_owned()), "{}", answer.body);
        assert!(answer.body.contains(lacks), "{lacks}: {}", answer.body);
    }
    let less = json!({"name": "less", "permissions": ["send_messages"]});
    assert_eq!(mailer.post("/v1/admin/keys", &less).status, 201);
    wait_for("the decision", || mailer.get("/admin/decisions?limit=10").body.contains("decision"));
    let shown = mailer.get("/admin/decisions?limit=10").body;
    assert!(!shown.contains("user-of-mailer"), "it has no personal data: {shown}");
    // The command line makes the same, and a running server follows.
    let made = tidings(&database, &["keys", "create", "auditor", "--permission", "read_audit"]);
    let mut auditor = with(&server, made.trim());
    wait_for("the key", || auditor.get("/v1/admin/audit").status == 200);
    assert_eq!(auditor.get("/v1/admin/keys").status, 403);
    assert!(tidings(&database, &["keys", "list"]).contains(" read_audit auditor "));
    for (bad, says) in [
        (json!({"name": "a", "permissions": ["send_mesages"]}), "send_messages"),
        (json!({"name": "a", "permissions": ["read_users"]}), "add personal_data"),
        (json!({"name": "a", "role": "admin", "permissions": ["read_audit"]}), "leave role out"),
        (json!({"name": "a", "role": "viewer"}), "name its permissions"),
    ] {
        let answer = anna.post("/v1/admin/keys", &bad);
        assert!(answer.status == 400 && answer.body.contains(says), "{bad}: {}", answer.body);
    }
}

#[test]
fn an_api_key_has_origins_and_a_confined_one_makes_none_that_may_more() {
    let (_database, server) = start();
    let mut anna = admin(&server);
    let mut make = |http: Option<&mut Http>, body: Value| {
        let answer = http.unwrap_or(&mut anna).post("/v1/admin/keys", &body);
        (answer.status, answer.json()["key"].as_str().unwrap_or_default().to_owned())
    };
    let (_, elsewhere) = make(None, json!({"name": "far", "origins": ["10.0.0.0/8"]}));
    let (_, here) = make(None, json!({"name": "near", "origins": ["127.0.0.1"]}));
    assert_eq!(code(&with(&server, &elsewhere).get("/v1/items")), (401, "api_key_origin".to_owned()));
    assert_eq!(with(&server, &here).get("/v1/items").status, 200);
    let (_, confined) = make(None, json!({"name": "keys", "role": "admin", "scopes": ["admin:write"]}));
    let mut confined = with(&server, &confined);
    assert_eq!(make(Some(&mut confined), json!({"name": "all", "role": "admin"})).0, 403);
    assert_eq!(make(Some(&mut confined), json!({"name": "items", "scopes": ["items:write"]})).0, 403);
    assert_eq!(make(Some(&mut confined), json!({"name": "less", "scopes": ["admin:read"]})).0, 201);
    let (end, later) = (Timestamp::now().plus_days(1.0), Timestamp::now().plus_days(2.0));
    let bound = json!({"name": "bound", "role": "admin", "origins": ["127.0.0.0/8"], "expires_at": end});
    let mut bound = with(&server, &make(None, bound).1);
    for (origins, end, field) in [
        (json!([]), json!(end), "origins"),
        (json!(["127.0.0.1", "0.0.0.0/0"]), json!(end), "origins"),
        (json!(["127.0.0.1"]), Value::Null, "expires_at"),
        (json!(["127.0.0.1"]), json!(later), "expires_at"),
    ] {
        let answer =
            bound.post("/v1/admin/keys", &json!({"name": "wider", "origins": origins, "expires_at": end}));
        assert_eq!(code(&answer), (403, "not_permitted".to_owned()), "{}", answer.body);
        assert_eq!(answer.json()["error"]["field"], field, "{}", answer.body);
    }
    let within = json!({"name": "within", "origins": ["127.0.0.1"], "expires_at": end});
    assert_eq!(make(Some(&mut bound), within).0, 201);
    for bad in [
        json!({"name": ""}),
        json!({"name": "a", "role": "user"}),
        json!({"name": "a", "scopes": ["item:write"]}),
        json!({"name": "a", "origins": ["nowhere/x"]}),
        json!({"name": "a", "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"name": "a", "scope": []}),
    ] {
        assert_eq!(make(None, bad.clone()).0, 400, "{bad}");
    }
}

#[test]
fn an_api_key_makes_nobody_who_may_more_than_itself() {
    let (_database, server) = start();
    let mut anna = admin(&server);
    let made = anna.post("/v1/people", &json!({"name": "root", "role": "admin"})).json();
    let of_root = format!("/v1/people/{}", made["person_id"].as_str().unwrap());
    let made = anna.post("/v1/people", &json!({"name": "ben", "role": "viewer"})).json();
    let of_ben = format!("/v1/people/{}", made["person_id"].as_str().unwrap());
    let viewers = ["monitor", "read_figures", "read_decisions", "read_messages", "manage_people"];
    let made = anna.post("/v1/admin/keys", &json!({"name": "desk", "permissions": viewers}));
    assert_eq!(made.status, 201, "{}", made.body);
    let mut desk = with(&server, made.json()["key"].as_str().unwrap());
    for answer in [
        desk.post("/v1/people", &json!({"name": "eve", "role": "admin"})),
        desk.patch(&of_ben, &json!({"role": "operator"})),
        desk.post(&format!("{of_root}/link"), &Value::Null),
        desk.patch(&of_root, &json!({"disabled": false})),
    ] {
        assert_eq!(code(&answer), (403, "not_permitted".to_owned()), "{}", answer.body);
    }
    assert_eq!(desk.post("/v1/people", &json!({"name": "carl", "role": "viewer"})).status, 201);
    assert_eq!(desk.post(&format!("{of_ben}/link"), &Value::Null).status, 201);
    assert_eq!(desk.patch(&of_ben, &json!({"disabled": true})).status, 200);
}

#[test]
fn an_api_key_with_any_bound_gives_nobody_an_account_a_role_or_a_link() {
    let (_database, server) = start();
    let mut anna = admin(&server);
    let made = anna.post("/v1/people", &json!({"name": "ben", "role": "viewer"})).json();
    let of_ben = format!("/v1/people/{}", made["person_id"].as_str().unwrap());
    let end = Timestamp::now().plus_days(1.0);
    for bound in [
        json!({"name": "here", "role": "admin", "origins": ["127.0.0.0/8"]}),
        json!({"name": "short", "role": "admin", "expires_at": end}),
        json!({"name": "confined", "role": "admin", "scopes": ["admin:write"]}),
    ] {
        let made = anna.post("/v1/admin/keys", &bound);
        assert_eq!(made.status, 201, "{}", made.body);
        let mut key = with(&server, made.json()["key"].as_str().unwrap());
        assert_eq!(anna.patch(&of_ben, &json!({"disabled": true})).status, 200);
        for answer in [
            key.post("/v1/people", &json!({"name": "eve", "role": "viewer"})),
            key.patch(&of_ben, &json!({"role": "operator"})),
            key.patch(&of_ben, &json!({"disabled": false})),
            key.post(&format!("{of_ben}/link"), &Value::Null),
        ] {
            assert_eq!(code(&answer), (403, "not_permitted".to_owned()), "{bound}: {}", answer.body);
        }
        let people = anna.get("/v1/people").json()["people"].take();
        assert_eq!((people.as_array().unwrap().len(), &people[0]["role"]), (1, &json!("viewer")));
        // Nobody is given anything by these.
        assert_eq!(anna.patch(&of_ben, &json!({"disabled": false})).status, 200);
        assert_eq!(key.patch(&of_ben, &json!({"disabled": true})).status, 200);
        assert_eq!(key.get("/v1/people").status, 200);
    }
}

#[test]
fn keys_are_made_and_revoked_beside_a_running_server() {
    let (database, server) = start();
    let key = tidings(&database, &["keys", "create", "shop", "--days", "30"]);
    let mut shop = with(&server, key.trim());
    wait_for("the key", || shop.get("/v1/items").status == 200);
    let listed: Value = serde_json::from_str(tidings(&database, &["keys", "list", "--json"]).trim()).unwrap();
    tidings(&database, &["keys", "revoke", listed["key_id"].as_str().unwrap()]);
    wait_for("its end", || shop.get("/v1/items").status == 401);
}
