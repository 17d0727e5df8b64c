//! Click-through of placements: lists that are named by events, and events that do not fit their list.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::wait_for;
use crate::helpers::shop::shop;

fn view(http: &mut Http, user: i64, item: &Value, list: &Value) {
    act(http, "view", user, item, list);
}

fn act(http: &mut Http, kind: &str, user: i64, item: &Value, list: &Value) {
    let answer =
        http.post("/v1/events", &json!({"kind": kind, "user_id": user, "item_id": item, "list_id": list}));
    assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(1)), "{}", answer.body);
}

fn outcomes(http: &mut Http) -> Value {
    let answer = http.get("/admin/outcomes/placements?days=1");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn kept(database: &TestDatabase) -> i64 {
    database.count("SELECT count(*) AS n FROM lists")
}

#[test]
fn the_click_through_of_a_placement_is_counted_by_the_events_that_name_its_lists() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let known: Vec<Value> =
        (1..4).map(|user| json!({"kind": "view", "user_id": user, "item_id": 140})).collect();
    assert_eq!(http.post("/v1/events", &json!(known)).status, 202);
    let first = http.get("/v1/users/1/recommendations?placement=home&n=4").json();
    let second = http.post("/v1/recommend", &json!({"user_id": 2, "placement": "home", "n": 6})).json();
    let anybody = http.get("/v1/items/102/similar?placement=item&n=5").json();
    let bare = http.get("/v1/users/1/recommendations?n=4").json();
    let streamed = server.http().get("/v1/recommendations?placement=email&n=2").body;
    let mailed: Vec<Value> = streamed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(mailed.len(), 3);
    wait_for("the lists to be stored", || kept(&database) == 6);

    let item = |list: &Value, place: usize| list["items"][place]["item_id"].clone();
    // Twice is one click of the list; the purchase of the clicked item comes from the backend and names no list.
    view(&mut http, 1, &item(&first, 0), &first["list_id"]);
    act(&mut http, "add_to_cart", 1, &item(&first, 1), &first["list_id"]);
    let paid =
        json!({"kind": "purchase", "user_id": 1, "item_id": item(&first, 1), "value": 10, "currency": "EUR"});
    assert_eq!(http.post("/v1/events", &paid).status, 202);
    act(&mut http, "remove_from_cart", 2, &item(&second, 0), &second["list_id"]);
    view(&mut http, 3, &item(&anybody, 0), &anybody["list_id"]);
    view(&mut http, 3, &item(&mailed[2], 0), &mailed[2]["list_id"]);
    // Of another user, of an item that was not in it, of a list that is not kept.
    view(&mut http, 3, &item(&second, 0), &second["list_id"]);
    let absent = (101..141).find(|id| !first["items"].to_string().contains(&id.to_string())).unwrap();
    view(&mut http, 1, &json!(absent), &first["list_id"]);
    view(&mut http, 1, &item(&bare, 0), &bare["list_id"]);

    let found = outcomes(&mut http);
    let counts = |name: &str| {
        let placements = found["placements"].as_array().unwrap();
        let one = placements.iter().find(|one| one["name"] == name).unwrap();
        ["lists", "items", "clicked", "carted", "bought"].map(|field| one[field].as_u64().unwrap())
    };
    assert_eq!(counts("home"), [2, 10, 1, 1, 1], "{found:#}");
    assert_eq!(counts("item"), [1, 5, 1, 0, 0]);
    assert_eq!(counts("email"), [3, 6, 1, 0, 0]);
    assert_eq!(found["ignored"], json!({"other_user": 1, "other_item": 1, "unknown_list": 1}));
    assert_eq!((&found["overall"]["lists"], &found["overall"]["clicked"]), (&json!(6), &json!(3)));
    let share = &found["placements"][0]["click_through"];
    assert!(share["low"].as_f64() < share["value"].as_f64(), "{found:#}");

    let bad =
        http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 101, "list_id": "home"}));
    let rejected = &bad.json()["rejected"][0];
    assert_eq!((&rejected["code"], &rejected["field"]), (&json!("bad_field"), &json!("list_id")));
    assert!(http.get("/admin/outcomes/placements?day=1").body.contains("days"));
}

#[test]
fn without_days_no_list_is_kept_and_a_client_on_a_socket_names_one_too() {
    let (database, server) = shop(&["--set", "retention.lists_days=0"]);
    let mut http = server.http();
    assert_eq!(http.get("/v1/users/1/recommendations?placement=home").status, 200);
    let (mut client, _) = server.login(1);
    let list = "019ad1c2-7a00-7000-8000-5d2f6c1b9e10";
    client.send(&json!({"type": "event", "kind": "view", "item_id": 101, "list_id": list}));
    client.expect("accepted");
    assert_eq!(database.count("SELECT count(*) AS n FROM events WHERE list_id IS NOT NULL"), 1);
    assert_eq!(outcomes(&mut http)["ignored"], json!({"unknown_list": 1}));
    assert_eq!(kept(&database), 0);
}
