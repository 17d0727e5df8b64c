//! Lists on request: parameters that are obeyed or refused, placements, and the lists of all users.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::http::Response;
use crate::helpers::shop::shop;

fn ids(list: &Value) -> Vec<i64> {
    list["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_i64().unwrap()).collect()
}

fn refused(answer: &Response, field: Option<&str>) -> String {
    assert_eq!(answer.status, 400, "{answer:?}");
    let error = answer.json()["error"].clone();
    assert_eq!(error["field"].as_str(), field, "{error}");
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn every_parameter_of_a_list_is_obeyed_and_a_filtered_list_is_full() {
    let (_database, server) = shop(&["--set", "recommend.exploration=0"]);
    let mut http = server.http();
    // Four items of a sub-category, dearer each; one of them sold out, one without a price.
    let special: Vec<Value> = (201..207)
        .map(|id| {
            let mut item = json!({"item_id": id, "title": format!("Diving watch {id}"), "category": "Watches > Diving",
                "price": id - 200, "currency": "EUR", "attributes": {"colour": if id % 2 == 0 { "red" } else { "blue" }},
                "tags": ["new"]});
            match id {
                205 => item["stock"] = json!(0),
                206 => drop(item.as_object_mut().unwrap().remove("price")),
                _ => {}
            }
            item
        })
        .collect();
    assert_eq!(http.put("/v1/items", &json!(special)).status, 200);
    let mut list = |query: &str| http.get(&format!("/v1/users/9/recommendations?{query}")).json();
    let set = |list: &Value| ids(list).into_iter().collect::<BTreeSet<i64>>();
    assert_eq!(set(&list("category=Watches%20%3E%20Diving&n=200")), [201, 202, 203, 204, 206].into());
    assert_eq!(set(&list("category=Watches/Diving&stock=any")), [201, 202, 203, 204, 205, 206].into());
    assert_eq!(set(&list("category=Watches/Diving&max_price=3")), [201, 202, 203].into());
    assert_eq!(set(&list("min_price=2&max_price=3")), [202, 203].into());
    assert_eq!(set(&list("attributes=colour:red")), [202, 204, 206].into());
    assert_eq!(set(&list("attributes=%7B%22colour%22:%22red%22%7D&exclude=202,204")), [206].into());
    assert_eq!(set(&list("tags=new&exclude=201&exclude=202,203")), [204, 206].into());
    assert_eq!(set(&list("items=101,102,999")), [101, 102].into());
    let filtered = list("category=Watches/Diving&max_price=3&exclude=201");
    assert_eq!(filtered["removed"], json!({"stock": 1, "category": 40, "price": 2, "exclude": 1}));
    // Twenty mugs: pages meet without a gap and without an item twice.
    let whole = ids(&list("category=Muges&n=20"));
    assert_eq!(whole.len(), 20);
    let pages: Vec<i64> =
        (0..4).flat_map(|page| ids(&list(&format!("category=Muges&n=5&offset={}", page * 5)))).collect();
    assert_eq!(pages, whole);
    assert_eq!(ids(&list("category=Muges&offset=20")), Vec::<i64>::new());
    let near = list("category=Wachtes");
    let warning = near["warnings"][0].as_str().unwrap();
    assert!(ids(&near).is_empty() && warning.contains("did you mean \"Watches\"?"), "{near}");
}

#[test]
fn a_list_that_can_not_be_meant_is_refused_with_the_nearest_name() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    for (query, field, message) in [
        ("catgory=A", Some("catgory"), "did you mean `category`?"),
        ("limit=3", Some("limit"), "unknown parameter `limit`"),
        ("n=0", Some("n"), "n must be 1…200, is 0"),
        ("n=1000", Some("n"), "n must be 1…200, is 1000"),
        ("n=-3", Some("n"), "is -3"),
        ("n=ten", Some("n"), "whole number"),
        ("n=1&n=2", Some("n"), "given twice"),
        ("offset=-1", Some("offset"), "is -1"),
        ("min_price=5&max_price=3", Some("min_price"), "must not be above max_price"),
        ("max_price=cheap", Some("max_price"), "a number"),
        ("stock=on", None, "expected `in` or `any`"),
        ("currency=euro", Some("currency"), "ISO 4217"),
        ("attributes=red", Some("attributes"), "name:value"),
        ("placement=hme", Some("placement"), "did you mean \"home\"?"),
        ("page=crat", Some("page"), "did you mean \"cart\"?"),
    ] {
        for path in ["/v1/users/1/recommendations", "/v1/items/101/similar", "/v1/recommendations"] {
            if path == "/v1/recommendations" && query == "limit=3" {
                continue;
            }
            let told = refused(&http.get(&format!("{path}?{query}")), field);
            assert!(told.contains(message), "{path}?{query}: {told}");
        }
    }
    for (body, field, message) in [
        (json!({"catgory": "A"}), None, "did you mean `category`?"),
        (json!({"context": {"itme": 1}}), None, "did you mean `item`?"),
        (json!({"n": 0}), Some("n"), "1…200"),
        (json!({"n": "3"}), None, "invalid type"),
        (json!({"category": 3}), Some("category"), "list of levels"),
    ] {
        let told = refused(&http.post("/v1/recommend", &body), field);
        assert!(told.contains(message), "{body}: {told}");
    }
    assert!(refused(&http.get("/v1/items?limt=3"), Some("limt")).contains("did you mean `limit`?"));
}

#[test]
fn a_list_is_for_a_user_for_nobody_or_beside_a_page_and_a_cart() {
    let (_database, server) = shop(&["--set", "recommend.exploration=0"]);
    let mut http = server.http();
    let nobody = http.post("/v1/recommend", &json!({})).json();
    assert_eq!((ids(&nobody).len(), nobody["user_id"].is_null()), (10, true));
    let beside = http.post("/v1/recommend", &json!({"n": 4, "context": {"item": 102}})).json();
    let items = ids(&beside);
    assert!(items.iter().all(|id| id % 2 == 0 && *id != 102), "watches beside a watch: {items:?}");
    assert_eq!(beside["items"][0]["reason"], "similar to Watch number 102");
    let cart = json!({"user_id": 5, "n": 6, "context": {"page": "checkout", "cart": [101, 103]}});
    let cart = http.post("/v1/recommend", &cart).json();
    let items = ids(&cart);
    assert!(items.iter().all(|id| id % 2 == 1 && ![101, 103].contains(id)), "mugs beside mugs: {items:?}");
    assert_eq!(cart["removed"]["context"], 2);
    let unknown = http.post("/v1/recommend", &json!({"context": {"item": "nothing"}})).json();
    assert!(unknown["warnings"][0].as_str().unwrap().contains("nothing is not in the catalogue"));
    // A connected user's list is made by the live state: what was just seen comes last.
    let (mut client, _) = Client::login(server.address, json!(5));
    client.send(&json!({"type": "event", "kind": "view", "item_id": 102, "dwell_ms": 9000}));
    client.expect("accepted");
    let live = http.get("/v1/users/5/recommendations?n=38&category=Watches").json();
    assert_eq!(ids(&live).last(), Some(&102));
    assert_ne!(live["list_id"], http.get("/v1/users/5/recommendations").json()["list_id"]);
}

#[test]
fn a_placement_pins_raises_lowers_removes_and_says_so() {
    let (_database, server) = shop(&["--set", "recommend.exploration=0"]);
    let mut http = server.http();
    let body = json!({"name": "landing", "n": 6, "filter": {"max_price": 50}, "diversity": 0.0, "rules": [
        {"name": "hero", "filter": {"items": [140, 111]}, "pin": 1},
        {"name": "mugs first", "filter": {"category": "Muges"}, "boost": 9.0},
        {"name": "brand 1 last", "filter": {"attributes": {"brand": "Brand 1"}}, "bury": 1.0},
        {"name": "not this one", "filter": {"items": [113]}, "remove": true},
        {"name": "over", "filter": {"items": [125]}, "pin": 2, "until": "2020-01-01T00:00:00+01:00"},
    ], "fallback": ["newest"]});
    assert_eq!(http.put("/admin/placements/landing", &body).status, 200);
    let list = http.get("/v1/users/1/recommendations?placement=landing").json();
    assert_eq!((list["placement"].as_str(), ids(&list).len()), (Some("landing"), 6));
    assert_eq!(&ids(&list)[..2], [140, 111]);
    assert_eq!(
        (list["items"][0]["rule"].as_str(), list["items"][1]["rule"].as_str()),
        (Some("hero"), Some("hero"))
    );
    assert!(!ids(&list).contains(&113) && !ids(&list).contains(&125));
    assert_eq!(list["removed"]["placement"], 1);
    // With something known of the user the blend ranks, and the rules weigh.
    for item in [102, 104, 101, 103] {
        http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": item, "dwell_ms": 9000}));
    }
    let list = http.get("/v1/users/1/recommendations?placement=landing&n=12").json();
    let ranked: Vec<&Value> =
        list["items"].as_array().unwrap().iter().filter(|item| item["rule"] == "mugs first").collect();
    assert!(ranked.len() >= 5, "{list:#}");
    let removed = http.get("/v1/users/1/recommendations?placement=landing&n=200&category=Watches").json();
    assert_eq!(removed["removed"]["category"].as_i64(), Some(19), "{removed:#}");

    // A pause switches it off, a version that does not hold together is refused.
    let wrong = json!({"name": "landing", "rules": [{"name": "a", "filter": {"category": "Muges"}}]});
    assert!(
        refused(&http.put("/admin/placements/landing", &wrong), Some("rules")).contains("exactly one of")
    );
    let misspelt = json!({"name": "landing", "fallbak": []});
    assert!(
        refused(&http.put("/admin/placements/landing", &misspelt), None).contains("did you mean `fallback`?")
    );
    assert_eq!(http.post("/admin/placements/landing/pause", &json!({})).status, 200);
    let told = refused(&http.get("/v1/users/1/recommendations?placement=landing"), Some("placement"));
    assert!(told.contains("there is no placement \"landing\""), "{told}");
    let names: Vec<Value> = http.get("/admin/placements").json()["definitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["cart", "email", "home", "item", "landing"]);
}

#[test]
fn a_placement_goes_on_with_what_was_begun() {
    let (_database, server) = shop(&["--set", "recommend.exploration=0"]);
    let mut http = server.http();
    let body = json!({"name": "again", "wants": "continue", "fallback": []});
    assert_eq!(http.put("/admin/placements/again", &body).status, 200);
    for (kind, item) in
        [("view", 101), ("view", 101), ("view", 105), ("like", 103), ("add_to_cart", 102), ("purchase", 104)]
    {
        let event = json!({"kind": kind, "user_id": 7, "item_id": item, "dwell_ms": 8000});
        let event = match kind {
            "view" => event,
            _ => json!({"kind": kind, "user_id": 7, "item_id": item}),
        };
        assert_eq!(http.post("/v1/events", &event).status, 202);
    }
    let list = http.get("/v1/users/7/recommendations?placement=again").json();
    assert_eq!(ids(&list), [102, 103, 101], "{list:#}");
    let reasons: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["in your cart", "you liked it", "you came back to it"]);
    // The home page mixes both; without a placement the cart is not recommended.
    let home = http.get("/v1/users/7/recommendations?placement=home").json();
    assert_eq!((ids(&home).len(), ids(&home)[0], ids(&home)[3]), (10, 102, 103), "{home:#}");
    let plain = http.get("/v1/users/7/recommendations?n=40").json();
    assert!(!ids(&plain).contains(&102) && plain["removed"]["in_cart"] == 1);
}

#[test]
fn the_lists_of_all_users_come_as_lines_and_go_on_behind_a_user() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let events: Vec<Value> =
        (0..150).map(|user| json!({"kind": "view", "user_id": user, "item_id": 101 + user % 40})).collect();
    assert_eq!(http.post("/v1/events", &json!(events)).status, 202);
    let lines =
        |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let stream = |query: &str| {
        let answer = server.http().get(&format!("/v1/recommendations?{query}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        lines(&answer.body)
    };
    let all = stream("n=3&category=Watches");
    let users: Vec<i64> = all.iter().map(|line| line["user_id"].as_i64().unwrap()).collect();
    assert_eq!(users.iter().copied().collect::<BTreeSet<i64>>(), (0..150).collect());
    assert_eq!(users.len(), 150);
    assert!(all.iter().all(|line| ids(line).len() == 3 && ids(line).iter().all(|id| id % 2 == 0)));
    let rest = stream(&format!("n=3&after={}&limit=20", users[99]));
    let rest: Vec<i64> = rest.iter().map(|line| line["user_id"].as_i64().unwrap()).collect();
    assert_eq!(rest, users[100..120]);
    assert!(refused(&http.get("/v1/recommendations?after=nobody"), Some("after")).contains("no user nobody"));
    // The command makes the same lists.
    let command = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
            .arg("recommend")
            .args(arguments)
            .env("DATABASE_URL", &database.url)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, text, _) = command(&["--all", "--with", "n=3", "--with", "category=Watches"]);
    assert_eq!((code, lines(&text).len()), (Some(0), 150));
    let (code, text, _) = command(&["--user", "3", "--with", "n=2", "--with", "category=Muges"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("  1  ") && text.contains("Mug number"), "{text}");
    let (code, _, told) = command(&["--user", "3", "--with", "catgory=Muges"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("did you mean `category`?"), "{told}");
}
